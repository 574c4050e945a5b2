//! What every command gets: where to print, and what is configured.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Command;
use crate::config::publishing::{Agent, Publishing, Rotate};
use crate::config::{Cache, Config, Typed, warning};
use crate::dns::cache::{self, CacheError};
use crate::error::Error;
use crate::log::{Lines, Telling};
use crate::output::Output;
use crate::proto::bundle::Bundle;
use crate::proto::policy::Policies;
use crate::trail::Trail;
use crate::verifier::{Options, Verifier};

/// What every command gets: where to print, and what is configured.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// What the command line and the environment say, for those that read the configuration again.
    pub typed: Typed,
    /// The resolvers that were named; empty means the system's.
    pub resolver: Vec<SocketAddr>,
    /// The file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Option<PathBuf>,
    /// How long the command may take; of several hosts each.
    pub timeout: Duration,
    /// Proofs of earlier runs, for the commands that use them.
    pub proofs: Option<cache::Cache>,
    /// What is asked for besides a proof, by host.
    pub policies: Policies,
    /// This machine's names, and where their records are kept.
    pub publishing: Vec<Publishing>,
    /// The agent's settings.
    pub agent: Agent,
    /// How host keys are replaced.
    pub rotate: Rotate,
    /// Who hears what is asked, proven and shown on the way: with `-v` standard error, and nobody where that is ssh's.
    pub telling: Telling,
    /// Where verdicts are noted, for the commands by which somebody connects.
    pub trail: Option<Arc<Trail>>,
    /// What is wrong with the configuration, and yet no error. Where standard error is the user's these have been
    /// told; `proxy` and `known-hosts` tell them in their own time.
    pub warnings: Vec<String>,
}

impl Context {
    /// With the proofs of earlier runs, if `command` uses them, and with the trail, if its verdicts are noted there.
    pub(super) fn new(out: Output, typed: Typed, config: Config, command: &Command) -> Self {
        let keeps_proofs = command.keeps_proofs();
        let trails: Vec<_> = config.trails.into_iter().map(|trail| trail.value).collect();
        let trail = command.noted().and_then(|command| Trail::new(command, &trails)).map(Arc::new);
        let mut cx = Context {
            out,
            typed,
            resolver: config.resolver.value,
            trust_anchor: config.trust_anchor.value,
            timeout: config.timeout.value,
            proofs: None,
            policies: config.policies,
            publishing: config.publishing.value,
            agent: config.agent.value,
            rotate: config.rotate.value,
            telling: match out.verbose {
                0 => Telling::default(),
                // Nothing stands there before the verdict: asyncssh takes it for the server's.
                _ if command.tells_warnings() => Telling::default(),
                _ => Telling::to(Arc::new(Lines { out, debug: 2 })),
            },
            trail,
            warnings: config.ignored.iter().map(warning).collect(),
        };
        if let Cache::Folder(folder) = config.cache.value
            && keeps_proofs
        {
            // Whatever is wrong with it costs time and nothing else.
            match cache::Cache::open(&folder) {
                Ok(proofs) => cx.proofs = Some(proofs),
                Err(e @ CacheError::Untrusted(_)) => {
                    cx.warnings.push(format!("{e} (hint: {})", e.hint()));
                }
                Err(e) => cx.out.detail(&e.to_string()),
            }
        }
        cx
    }

    /// Lookups and verdicts with these settings.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        self.verifier_with(None)
    }

    /// The same with the proofs of a bundle.
    pub fn verifier_with(&self, bundle: Option<Arc<Bundle>>) -> Result<Verifier, Error> {
        Verifier::new(&Options { bundle, ..self.options() })
    }

    /// What lookups and verdicts go by.
    pub fn options(&self) -> Options {
        Options {
            resolver: self.resolver.clone(),
            trust_anchor: self.trust_anchor.clone(),
            timeout: self.timeout,
            cache: self.proofs.clone(),
            bundle: None,
            policies: self.policies.clone(),
            trail: self.trail.clone(),
            telling: self.telling.clone(),
        }
    }

    /// Why a line of the trail is missing, if one is and it was not told yet.
    pub(super) fn trail_trouble(&self) -> Option<String> {
        self.trail.as_ref().and_then(|trail| trail.trouble())
    }
}
