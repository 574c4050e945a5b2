//! One host: what ssh makes of its name, its proof, what ssh remembers of it.

use std::path::PathBuf;

use tokio::time::Instant;

use super::{Doctor, Group, files, no_config};
use crate::dns::lookup::Lookups;
use crate::dns::resolver::Resolver;
use crate::fan_out::in_order;
use crate::proto::chain::Anchors;
use crate::proto::doctor::known_hosts::Remembered;
use crate::proto::doctor::revocation::Sets;
use crate::proto::doctor::ssh::Config;
use crate::proto::doctor::{self as judge, Finding};
use crate::proto::evidence::{Evidence, Scope, owners};
use crate::proto::known_hosts::{entries, lookup_name};
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Policy;
use crate::proto::revocation;
use crate::proto::rr::RrType;
use crate::proto::sshfp::Sshfp;
use crate::ssh::config::{self, AskSshError};
use crate::ssh::known_hosts;

/// Names above a host at which CA sets are looked for.
const MAX_PLACES: usize = 8;
/// Rounds of questions about CAs: the host's zone, its CA sets, what is beside those that lie elsewhere.
const ROUNDS: usize = 4;

/// A host, and what ssh makes of its name.
#[derive(Debug)]
pub struct Host {
    typed: String,
    /// The name that is to be proven: ssh's HostName, if there is one.
    pub(super) name: HostName,
    port: u16,
    config: Option<Config>,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(super) async fn host(&self, typed: String, name: HostName) -> Host {
        let mut host = Host { typed, name, port: 22, config: None, findings: Vec::new() };
        match config::of_host(&host.typed, self.ssh_config.as_deref(), self.timeout / 3).await {
            Ok(config) => host.take(config),
            Err(AskSshError::Missing) => {}
            Err(error) => {
                let asked = self.asked(&host.typed);
                host.findings.push(no_config(&asked, &error).of(&host.name));
            }
        }
        host
    }

    pub(super) async fn examine_one(&self, host: Host) -> Group {
        let Host { typed, name, port, config, mut findings } = host;
        let title = if typed == name.to_string() { typed.clone() } else { format!("{typed} ({name})") };
        let proven = match (&self.resolver, &self.anchors) {
            (Ok(resolver), Ok(anchors)) => {
                let (found, proven) = self.proof(resolver, anchors, &name, port).await;
                findings.extend(found);
                proven
            }
            _ => None,
        };
        let known_as = config.as_ref().and_then(|config| config.get("hostkeyalias"));
        let known_as = match known_as {
            Some(alias) => alias.to_ascii_lowercase(),
            None => lookup_name(&name.to_string(), port),
        };
        let wanted = config.as_ref().is_some_and(Config::wants_known_hosts);
        findings.extend(remembered(&name, &known_as, proven.as_deref(), config.as_ref(), wanted));
        if let Some(config) = &config {
            let mut about_ssh = self.in_force(&typed, config).await;
            let client = self.ssh().await;
            about_ssh.extend(judge::ssh::judge(Some(&typed), config, client.version, client.installed()));
            findings.extend(about_ssh.into_iter().map(|finding| finding.of(&name)));
        }
        Group { title, findings }
    }

    /// What is proven of a host, live: neither a cache nor another run has a say.
    async fn proof(
        &self,
        resolver: &Resolver,
        anchors: &Anchors,
        host: &HostName,
        port: u16,
    ) -> (Vec<Finding>, Option<Vec<Sshfp>>) {
        let [at_host, at_port] = match owners(host, port) {
            Ok(questions) => questions,
            Err(why) => {
                let message = format!("leaves no room for its port label: {why}");
                return (vec![Finding::error("chain", host, message).of(host)], None);
            }
        };
        let deadline = Instant::now() + self.timeout;
        let lookups = Lookups::new(resolver.clone(), anchors.clone(), self.now, deadline);
        let (host_keys, port_keys) = tokio::join!(lookups.prove(&at_host), lookups.prove(&at_port));
        let records = judge::chain::records_of(&host_keys, &port_keys);
        let mut evidence = Evidence::new(host.clone(), port, host_keys.clone(), port_keys.clone());
        let policy = self.policies.of(&host.to_string());
        for _ in 0..ROUNDS {
            let needs = evidence.needs(&policy, Scope::Cas, self.now);
            let asked = in_order(needs, MAX_PLACES, |question: Question| {
                let lookups = lookups.clone();
                async move { (question.clone(), lookups.prove(&question).await) }
            });
            for (question, outcome) in asked.await.unwrap_or_default() {
                evidence.add(question, outcome);
            }
        }
        let sufficient = evidence.sufficient_ca_sets(&policy, self.now);
        let (sets, lacking) = match sufficient {
            Ok(sets) => (sets, None),
            Err(lacking) => (Vec::new(), Some(lacking)),
        };
        let mut findings = match (evidence.key_failure(), lacking) {
            (Some(unproven), _) if !sets.is_empty() => {
                judge::ca::judge_alone(self.now, host, unproven, &sets)
            }
            (Some(_), Some(lacking)) => vec![judge::ca::judge_lacking(host, lacking)],
            _ => {
                let mut findings = judge::chain::judge(self.now, host, &host_keys, &port_keys);
                findings.extend(judge::ca::judge(host, &sets));
                findings
            }
        };
        findings.extend(judge::policy::judge(self.now, &evidence, &policy));
        findings.extend(self.revocation(&lookups, host, &policy).await);
        (findings, records)
    }

    /// The CA sets above the host and the revoked sets beside them.
    async fn revocation(&self, lookups: &Lookups, host: &HostName, policy: &Policy) -> Vec<Finding> {
        let Ok(Some(zone)) = lookups.zone_of_host(host.name()).await else { return Vec::new() };
        let places = judge::revocation::places(host, &zone);
        let sets = in_order(places.into_iter().take(MAX_PLACES), MAX_PLACES, |at: Name| {
            let lookups = lookups.clone();
            async move {
                let question = |owner| Question::new(owner, RrType::SSHFP);
                let ca = question(revocation::ca_owner(&at).ok()?);
                let revoked = question(revocation::owner(&at).ok()?);
                let (ca, revoked) = tokio::join!(lookups.prove(&ca), lookups.prove(&revoked));
                Some(Sets { at, ca, revoked })
            }
        });
        let sets: Vec<Sets> = sets.await.unwrap_or_default().into_iter().flatten().collect();
        judge::revocation::judge(self.now, host, &sets, policy)
    }
}

impl Host {
    /// ssh's configuration for it, which may lead to another name.
    fn take(&mut self, config: Config) {
        self.port = config.port().unwrap_or(self.port);
        match config.host().map(HostName::parse) {
            Some(Ok(name)) => self.name = name,
            Some(Err(error)) => {
                let message = format!("ssh connects to something else: {error}");
                let finding = Finding::error("ssh-host-name", format!("ssh -G {}", self.typed), message);
                self.findings.push(
                    finding.remedy("give the host's name as HostName in ssh's configuration").of(&self.name),
                );
            }
            None => {}
        }
        self.config = Some(config);
    }
}

/// What the known_hosts files that ssh would read say of a host.
fn remembered(
    host: &HostName,
    known_as: &str,
    proven: Option<&[Sshfp]>,
    config: Option<&Config>,
    wanted: bool,
) -> Vec<Finding> {
    let paths: Vec<PathBuf> = match config {
        Some(config) => config.known_hosts_files().into_iter().map(known_hosts::expand).collect(),
        None => known_hosts::default_files(),
    };
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        let shown = path.display().to_string();
        match known_hosts::read(&path) {
            Ok(None) => {}
            Ok(Some(text)) => {
                for finding in files::exposed(&path).into_iter().map(|finding| finding.of(host)) {
                    // Files of one folder share what is wrong with it.
                    if !findings.contains(&finding) {
                        findings.push(finding);
                    }
                }
                files.push(Remembered { path: shown, entries: entries(&text, known_as) });
            }
            Err(error) => {
                let finding = Finding::info("known-hosts", shown, format!("cannot be read: {error}"));
                findings.push(finding.of(host));
            }
        }
    }
    findings.extend(judge::known_hosts::judge(host, known_as, proven, &files, wanted));
    findings
}
