//! Is this machine able to verify, and to publish, and what weakens it: gathers what there is to know, and has
//! [`crate::proto::doctor`] judge it. What is looked at, in this order:
//!
//! 1. `path`: what each resolver hands out;
//! 2. this program's configuration; the clock and the trust anchors, by the keys of the anchored zones;
//!    `files`: who may write the anchors;
//! 3. `host`: for each host its proof, its known_hosts entries, and ssh's configuration for it; else ssh's
//!    defaults;
//! 4. `publish`: where this machine publishes, its keys, the place of its records and what the key to it may do.

mod files;
mod host;
mod path;
pub mod publish;
mod ssh;

pub use host::Host;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::dns::anchors::{self, AnchorFileError};
use crate::dns::resolver::{Resolver, ResolverError};
use crate::fan_out::{Unfinished, in_order};
use crate::proto::chain::Anchors;
use crate::proto::doctor::anchors::Source;
use crate::proto::doctor::path::Path;
use crate::proto::doctor::{self as judge, Finding, Severity};
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Policies;
use crate::proto::rr::RrType;
use crate::ssh::config::{self, AskSshError, NOBODY};
use crate::verifier::Options;

/// Zones with trust anchors that are looked at.
const MAX_ZONES: usize = 16;
/// Hosts, or resolvers, that are looked at at the same time.
const AT_ONCE: usize = 16;

/// Looks at this machine.
#[derive(Debug)]
pub struct Doctor {
    resolver: Result<Resolver, ResolverError>,
    anchors: Result<Anchors, AnchorFileError>,
    anchor_file: Option<PathBuf>,
    ssh_config: Option<PathBuf>,
    client: OnceCell<ssh::Client>,
    policies: Policies,
    /// What is wrong with the configuration, as those say who read it.
    warnings: Vec<String>,
    timeout: Duration,
    /// For all that concerns every host; of the hosts each has its own.
    deadline: Instant,
    /// Seconds since 1970.
    now: u64,
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
            anchors: anchors::load(options.trust_anchor.as_deref(), options.timeout),
            anchor_file: options.trust_anchor.clone(),
            ssh_config,
            client: OnceCell::new(),
            policies: options.policies.clone(),
            warnings: warnings.to_vec(),
            timeout: options.timeout,
            deadline: Instant::now() + options.timeout,
            now,
        }
    }

    /// What ssh would do for each of these names, which are as they were typed.
    pub async fn hosts(self: &Arc<Self>, names: Vec<(String, HostName)>) -> Result<Vec<Host>, Unfinished> {
        let host = |(typed, name)| {
            let doctor = self.clone();
            async move { doctor.host(typed, name).await }
        };
        in_order(names, AT_ONCE, host).await
    }

    /// All that concerns every host; `hosts` only show which names matter.
    pub async fn machine(&self, hosts: &[Host]) -> Result<Vec<Group>, Unfinished> {
        let (groups, client) = tokio::join!(self.way(hosts), self.client(hosts));
        let mut groups = groups?;
        groups.push(Group { title: "ssh".to_owned(), findings: client });
        Ok(groups)
    }

    /// The resolvers, and what their answers say of clock and anchors.
    async fn way(&self, hosts: &[Host]) -> Result<Vec<Group>, Unfinished> {
        let mut groups = Vec::new();
        let paths = match &self.resolver {
            Ok(resolver) => self.paths(resolver, hosts).await?,
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
        groups.extend(self.trust(able).await?);
        Ok(groups)
    }

    /// What each resolver hands out, in their order.
    async fn paths(&self, resolver: &Resolver, hosts: &[Host]) -> Result<Vec<Path>, Unfinished> {
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
        in_order(resolver.servers(), AT_ONCE, look).await
    }

    /// The clock and the anchors, by the keys of the anchored zones.
    async fn trust(&self, able: bool) -> Result<[Group; 2], Unfinished> {
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
                let zones = anchors.zones().into_iter().take(MAX_ZONES);
                for (reply, question) in in_order(zones, AT_ONCE, ask).await? {
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
        Ok([
            Group { title: "clock".to_owned(), findings: clock },
            Group { title: "trust anchors".to_owned(), findings },
        ])
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
        findings.extend(self.files().await);
        if hosts.is_empty() {
            match config::of_host(NOBODY, self.ssh_config.as_deref(), self.timeout / 3).await {
                Ok(config) => {
                    let client = self.ssh().await;
                    findings.extend(judge::ssh::judge(None, &config, client.version, client.installed()));
                }
                Err(error) => findings.push(no_config(&self.asked(NOBODY), &error)),
            }
        }
        findings
    }

    /// How ssh was asked about `host`, to be typed again.
    fn asked(&self, host: &str) -> String {
        match &self.ssh_config {
            Some(file) => format!("ssh -F {} -G {host}", file.display()),
            None => format!("ssh -G {host}"),
        }
    }

    /// All that concerns each host.
    pub async fn examine(self: &Arc<Self>, hosts: Vec<Host>) -> Result<Vec<Group>, Unfinished> {
        let group = |host| {
            let doctor = self.clone();
            async move { doctor.examine_one(host).await }
        };
        in_order(hosts, AT_ONCE, group).await
    }
}

fn no_config(asked: &str, error: &AskSshError) -> Finding {
    Finding::warning("ssh-config", asked, error.to_string()).remedy(format!("{asked} shows it"))
}

fn bad_anchors(error: &AnchorFileError) -> Finding {
    Finding::error("anchor-file", "trust anchors", error.to_string())
        .remedy("give DNSKEY or DS lines, as dig ZONE DNSKEY prints them; without --trust-anchor the built-in root keys count")
}
