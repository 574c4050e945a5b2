//! `--known-hosts-file`: how an ssh without KnownHostsCommand learns what the proxy has proven.

use std::path::PathBuf;

use crate::error::Error;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::{HostKey, Presented};
use crate::proto::verdict::Verdict;
use crate::ssh::known_hosts::accepted::{self, AcceptedError};
use crate::verifier::Verifier;

/// `--known-hosts-file FILE` of `proxy`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct PrivateFile {
    /// Write the proven key to this file before ssh sees it: ssh's UserKnownHostsFile, for an ssh older than 8.5
    /// (config ssh writes both)
    #[arg(long, value_name = "FILE")]
    known_hosts_file: Option<PathBuf>,
}

impl PrivateFile {
    /// Writes `key`, which was accepted, as one of `name`: what ssh looks up. Keys of that name which are not proven
    /// by this evidence go; the others stay, for another connection may be about to read them.
    pub(super) fn keep(
        &self,
        verifier: &Verifier,
        evidence: &Evidence,
        name: &str,
        key: &HostKey,
    ) -> Result<(), Error> {
        self.update(verifier, evidence, name, Some(key)).map_err(|e| {
            Error::failure("io", format!("ssh cannot be told of the proven key: {e}")).hint(
                "name a file in a folder of this user's own: --known-hosts-file ~/.ssh/sshanchor/known_hosts",
            )
        })
    }

    /// Takes away the keys of `name` that are not proven by this evidence. That this fails makes no refusal less of one.
    pub(super) fn clear(&self, verifier: &Verifier, evidence: &Evidence, name: &str) {
        let _ = self.update(verifier, evidence, name, None);
    }

    fn update(
        &self,
        verifier: &Verifier,
        evidence: &Evidence,
        name: &str,
        key: Option<&HostKey>,
    ) -> Result<(), AcceptedError> {
        // Of the handshakes that showed the others nothing is known any more.
        let verifier = verifier.of_keys_alone();
        let is_proven = |known: &HostKey| {
            matches!(verifier.judge(evidence, &Presented::Plain(known.clone()), None), Verdict::Accept(_))
        };
        match &self.known_hosts_file {
            Some(file) => accepted::update(file, name, key, is_proven),
            None => Ok(()),
        }
    }
}
