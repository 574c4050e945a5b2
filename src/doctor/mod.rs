//! Is this machine able to verify, and what weakens it: gathers what there is to know, and has
//! [`crate::proto::doctor`] judge it. What is looked at, in this order:
//!
//! 1. `path`: what each resolver hands out;
//! 2. this program's configuration; the clock and the trust anchors, by the keys of the anchored zones; `files`: who may write the anchors;
//! 3. for each host its proof, its known_hosts entries, and ssh's configuration for it; else ssh's defaults.

mod files;
mod path;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::dns::anchors::{self, AnchorFileError};
use crate::dns::lookup::Lookups;
use crate::dns::resolver::{Resolver, ResolverError};
use crate::proto::chain::Anchors;
use crate::proto::doctor::anchors::Source;
use crate::proto::doctor::known_hosts::Remembered;
use crate::proto::doctor::path::Path;
use crate::proto::doctor::ssh::Config;
use crate::proto::doctor::{self as judge, Finding, Severity};
use crate::proto::evidence::{Evidence, owners};
use crate::proto::known_hosts::{entries, lookup_name};
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Policies;
use crate::proto::rr::RrType;
use crate::proto::sshfp::Sshfp;
use crate::ssh::config::{self, AskSshError};
use crate::ssh::known_hosts;
use crate::verifier::Options;

/// Zones with trust anchors that are looked at.
const MAX_ZONES: usize = 16;
/// Hosts, or resolvers, that are looked at at the same time.
const AT_ONCE: usize = 16;
/// A name whose configuration is ssh's defaults: nobody has lines for it (RFC 2606).
const NOBODY: &str = "sshanchor.invalid";

/// Looks at this machine.
#[derive(Debug)]
pub struct Doctor {
    resolver: Result<Resolver, ResolverError>,
    anchors: Result<Anchors, AnchorFileError>,
    anchor_file: Option<PathBuf>,
    ssh_config: Option<PathBuf>,
    policies: Policies,
    /// What is wrong with the configuration, as those say who read it.
    warnings: Vec<String>,
    timeout: Duration,
    /// For all that concerns every host; of the hosts each has its own.
    deadline: Instant,
    /// Seconds since 1970.
    now: u64,
}

/// A host, and what ssh makes of its name.
#[derive(Debug)]
pub struct Host {
    typed: String,
    /// The name that is to be proven: ssh's HostName, if there is one.
    name: HostName,
    port: u16,
    config: Option<Config>,
    findings: Vec<Finding>,
}

/// Findings on one thing.
#[derive(Debug)]
pub struct Group {
    /// What they are about.
    pub title: String,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Doctor {
    /// With the clock at `now`, in seconds since 1970, and another configuration for ssh if there is one.
    /// `warnings` are those about the options' files.
    pub fn new(options: &Options, warnings: &[String], ssh_config: Option<PathBuf>, now: u64) -> Self {
        let resolver = match options.resolver.is_empty() {
            true => Resolver::system(),
            false => Resolver::new(options.resolver.clone()),
        };
        Doctor {
            resolver,
            anchors: anchors::load(options.trust_anchor.as_deref()),
            anchor_file: options.trust_anchor.clone(),
            ssh_config,
            policies: options.policies.clone(),
            warnings: warnings.to_vec(),
            timeout: options.timeout,
            deadline: Instant::now() + options.timeout,
            now,
        }
    }

    /// What ssh would do for each of these names, which are as they were typed.
    pub async fn hosts(self: &Arc<Self>, names: Vec<(String, HostName)>) -> Vec<Host> {
        let host = |(typed, name)| {
            let doctor = self.clone();
            async move { doctor.host(typed, name).await }
        };
        in_order(names.into_iter().map(host)).await
    }

    async fn host(&self, typed: String, name: HostName) -> Host {
        let mut host = Host { typed, name, port: 22, config: None, findings: Vec::new() };
        match config::of_host(&host.typed, self.ssh_config.as_deref(), self.timeout / 3).await {
            Ok(config) => host.take(config),
            Err(AskSshError::Missing) => {}
            Err(error) => {
                let asked = format!("ssh -G {}", host.typed);
                host.findings.push(no_config(&asked, &error).of(&host.name));
            }
        }
        host
    }

    /// All that concerns every host; `hosts` only show which names matter.
    pub async fn machine(&self, hosts: &[Host]) -> Vec<Group> {
        let (mut groups, client) = tokio::join!(self.way(hosts), self.client(hosts));
        groups.push(Group { title: "ssh".to_owned(), findings: client });
        groups
    }

    /// The resolvers, and what their answers say of clock and anchors.
    async fn way(&self, hosts: &[Host]) -> Vec<Group> {
        let mut groups = Vec::new();
        let paths = match &self.resolver {
            Ok(resolver) => self.paths(resolver, hosts).await,
            Err(error) => {
                let finding = Finding::error("resolver-settings", "/etc/resolv.conf", error.to_string());
                let findings = vec![finding.remedy("name a resolver: --resolver ADDR")];
                groups.push(Group { title: "resolver".to_owned(), findings });
                Vec::new()
            }
        };
        let judged = judge::path::judge(&paths);
        let delivers =
            |finding: &Finding| finding.check == "resolver-dnssec" && finding.severity == Severity::Ok;
        let able = judged.iter().flatten().any(delivers);
        let resolvers = paths.iter().zip(judged);
        groups.extend(
            resolvers.map(|(path, findings)| Group { title: format!("resolver {}", path.server), findings }),
        );
        let findings = judge::policy::configuration(&self.warnings, &self.policies);
        groups.push(Group { title: "configuration".to_owned(), findings });
        groups.extend(self.trust(able).await);
        groups
    }

    /// What each resolver hands out, in their order.
    async fn paths(&self, resolver: &Resolver, hosts: &[Host]) -> Vec<Path> {
        let first = hosts.first().map(|host| host.name.name());
        let zone = self.anchors.as_ref().ok().and_then(|anchors| {
            let closest = first.and_then(|host| anchors.closest(host));
            closest.or_else(|| anchors.zones().first().copied()).cloned()
        });
        let zone = zone.unwrap_or_else(Name::root);
        let child = path::child(&zone, first);
        let look = |server| {
            let (zone, child, timeout) = (zone.clone(), child.clone(), self.timeout);
            async move { path::look(server, &zone, child, timeout).await }
        };
        in_order(resolver.servers().map(look)).await
    }

    /// The clock and the anchors, by the keys of the anchored zones.
    async fn trust(&self, able: bool) -> [Group; 2] {
        let mut findings = Vec::new();
        let mut keys = Vec::new();
        if let Some(path) = &self.anchor_file {
            findings.extend(files::exposed(path));
        }
        let none = Anchors::built_in();
        let anchors = self.anchors.as_ref().unwrap_or(&none);
        match (&self.anchors, &self.resolver) {
            (Err(error), _) => findings.push(bad_anchors(error)),
            (Ok(_), Ok(resolver)) if able => {
                let ask = |zone: &Name| {
                    let question = Question::new(zone.clone(), RrType::DNSKEY);
                    let (resolver, deadline) = (resolver.clone(), self.deadline);
                    async move { (resolver.ask(&question, true, deadline).await, question) }
                };
                for (reply, question) in in_order(anchors.zones().into_iter().take(MAX_ZONES).map(ask)).await
                {
                    let (source, told) = (self.source(), reply.as_ref().map_err(String::as_str));
                    findings.extend(judge::anchors::judge(self.now, anchors, &source, &question.name, told));
                    keys.extend(reply.ok().map(|reply| (question, reply)));
                }
            }
            _ => {
                let message = "not compared with the keys of their zones: no resolver hands them out";
                findings.push(Finding::info("anchor-proof", "trust anchors", message));
            }
        }
        if self.anchor_file.is_none() {
            findings.push(judge::anchors::age(self.now));
        }
        let clock = vec![judge::clock::judge(self.now, anchors, &keys)];
        [
            Group { title: "clock".to_owned(), findings: clock },
            Group { title: "trust anchors".to_owned(), findings },
        ]
    }

    fn source(&self) -> Source {
        match &self.anchor_file {
            Some(path) => Source::File(path.display().to_string()),
            None => Source::BuiltIn,
        }
    }

    /// The ssh client, and where no host is given its defaults.
    async fn client(&self, hosts: &[Host]) -> Vec<Finding> {
        let mut findings = match config::version(self.timeout / 4).await {
            Ok(version) => vec![judge::ssh::version(&version)],
            Err(AskSshError::Missing) => {
                let message =
                    "no ssh in PATH: sshanchor verify works without it, sshanchor proxy needs a client";
                return vec![Finding::info("ssh-client", "ssh", message)];
            }
            Err(error) => vec![Finding::info("ssh-client", "ssh", error.to_string())],
        };
        if hosts.is_empty() {
            match config::of_host(NOBODY, self.ssh_config.as_deref(), self.timeout / 3).await {
                Ok(config) => findings.extend(judge::ssh::judge(None, &config)),
                Err(error) => findings.push(no_config(&format!("ssh -G {NOBODY}"), &error)),
            }
        }
        findings
    }

    /// All that concerns each host.
    pub async fn examine(self: &Arc<Self>, hosts: Vec<Host>) -> Vec<Group> {
        let group = |host| {
            let doctor = self.clone();
            async move { doctor.examine_one(host).await }
        };
        in_order(hosts.into_iter().map(group)).await
    }

    async fn examine_one(&self, host: Host) -> Group {
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
            let about_ssh = judge::ssh::judge(Some(&typed), config);
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
        let mut findings = judge::chain::judge(self.now, host, &host_keys, &port_keys);
        let records = judge::chain::records_of(&host_keys, &port_keys);
        let evidence = Evidence::new(host.clone(), port, host_keys, port_keys);
        findings.extend(judge::policy::judge(self.now, &evidence, &self.policies.of(&host.to_string())));
        (findings, records)
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

/// Does these works at the same time, [`AT_ONCE`] at most; their outcomes in order.
async fn in_order<T: Send + 'static>(
    works: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let (mut waiting, mut running, mut done) = (works.enumerate(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE {
            let Some((place, work)) = waiting.next() else { break };
            running.spawn(async move { (place, work.await) });
        }
        match running.join_next().await {
            Some(Ok(outcome)) => done.push(outcome),
            // Nothing that was to be looked at goes missing without a word.
            Some(Err(error)) => error.try_into_panic().map_or((), |panic| std::panic::resume_unwind(panic)),
            None => break,
        }
    }
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn no_config(asked: &str, error: &AskSshError) -> Finding {
    Finding::warning("ssh-config", asked, error.to_string()).remedy(format!("{asked} shows it"))
}

fn bad_anchors(error: &AnchorFileError) -> Finding {
    Finding::error("anchor-file", "trust anchors", error.to_string())
        .remedy("give DNSKEY or DS lines, as dig ZONE DNSKEY prints them; without --trust-anchor the built-in root keys count")
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn outcomes_keep_their_order_and_no_more_run_at_once_than_may() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = |place: usize| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Those that begin first end last.
                for _ in 0..(100 - place) {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                place
            }
        };
        assert_eq!(in_order((0..50).map(work)).await, (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }
}
