//! What DNS proves about a host's keys.

mod ca;

use std::collections::BTreeMap;

use super::chain::Answer;
use super::denial::Unproven;
use super::hostkey::KeyType;
use super::message::Question;
use super::name::{HostName, Name, NameError};
use super::policy::{Mode, Policy, PortLabels, Require, Shortfall};
use super::rr::{Origin, RrType};
use super::sshfp::Sshfp;

pub use ca::{CaSet, Gap, Scope};

/// Where a host's keys may be published: at its own name, good on any port, and
/// under its port label, good on that port only.
pub fn owners(host: &HostName, port: u16) -> Result<[Question; 2], NameError> {
    let question = |owner: Name| Question::new(owner, RrType::SSHFP);
    Ok([question(host.name().clone()), question(host.port_label(port)?)])
}

/// Everything that was found out for one host and port.
#[derive(Debug, Clone)]
pub struct Evidence {
    host: HostName,
    port: u16,
    /// At the host's own name: decides what is said if nothing is proven.
    host_keys: Result<Answer, Unproven>,
    /// Under the port label: can only add keys, unless policy wants these alone.
    port_keys: Result<Answer, Unproven>,
    /// Nobody has asked for those yet.
    port_is_open: bool,
    /// CA sets, revoked sets, and what else tells the host's zone.
    others: BTreeMap<Question, Result<Answer, Unproven>>,
}

/// What a probe should ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Types of plain keys, the best first.
    pub keys: Vec<KeyType>,
    /// Types of keys in certificates, the best first.
    pub certificates: Vec<KeyType>,
}

impl Offer {
    /// No key whatever could be accepted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.certificates.is_empty()
    }
}

/// Strongest and cheapest first.
const PREFERENCE: [KeyType; 5] =
    [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::Rsa];

impl Evidence {
    /// From the outcome of both lookups of [`owners`].
    pub fn new(
        host: HostName,
        port: u16,
        host_keys: Result<Answer, Unproven>,
        port_keys: Result<Answer, Unproven>,
    ) -> Self {
        Evidence { host, port, host_keys, port_keys, port_is_open: false, others: BTreeMap::new() }
    }

    /// With what was found out by the first of [`owners`] alone: the other, `at_port`, has yet to be asked for.
    pub fn of_host(
        host: HostName,
        port: u16,
        host_keys: Result<Answer, Unproven>,
        at_port: Question,
    ) -> Self {
        let port_keys = Err(Unproven::unanswered(at_port, "it has yet to be asked for"));
        Evidence { port_is_open: true, ..Self::new(host, port, host_keys, port_keys) }
    }

    /// The keys under the port label have yet to be asked for.
    pub fn port_is_open(&self) -> bool {
        self.port_is_open
    }

    /// The same, with what was found out by the second of [`owners`]; and whether that is a proof.
    pub fn with_port(self, port_keys: Result<Answer, Unproven>) -> (Self, bool) {
        let is_proven = port_keys.is_ok();
        (Evidence { port_keys, port_is_open: false, ..self }, is_proven)
    }

    /// The host asked about.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port asked about.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The proven answers that are really about this host and port, as SSHFP records with the answer
    /// they came in.
    pub(super) fn proven(&self) -> impl Iterator<Item = (&Answer, Vec<Sshfp>)> {
        let asked = owners(&self.host, self.port).ok();
        [&self.host_keys, &self.port_keys]
            .into_iter()
            .enumerate()
            .filter_map(move |(at, answer)| {
                let answer = answer.as_ref().ok()?;
                // The question belongs to the proof: an answer to another one vouches for nothing here.
                (asked.as_ref()?.get(at)? == answer.asked()).then_some(answer)
            })
            .map(|answer| {
                let records = answer.data().set().rdatas().filter_map(|r| Sshfp::from_rdata(r).ok());
                (answer, records.collect())
            })
    }

    /// Every answer: of both lookups of [`owners`], and of those that followed.
    fn answers(&self) -> impl Iterator<Item = &Result<Answer, Unproven>> {
        [&self.host_keys, &self.port_keys].into_iter().chain(self.others.values())
    }

    /// What came of this question; none if it was not asked.
    pub fn outcome(&self, asked: &Question) -> Option<&Result<Answer, Unproven>> {
        match owners(&self.host, self.port) {
            Ok([host, _]) if host == *asked => Some(&self.host_keys),
            Ok([_, port]) if port == *asked => Some(&self.port_keys),
            _ => self.others.get(asked),
        }
    }

    /// Everything that is proven, whether or not it counts.
    pub fn proofs(&self) -> impl Iterator<Item = &Answer> {
        self.answers().filter_map(|answer| answer.as_ref().ok())
    }

    /// Why no set of the host's own keys is proven, if none is.
    pub fn key_failure(&self) -> Option<&Unproven> {
        let is_proven = self.host_keys.is_ok() || self.port_keys.is_ok();
        self.host_keys.as_ref().err().filter(|_| !is_proven)
    }

    /// Where the proofs came from, of several the one to be told of; none if nothing is proven.
    pub fn origin(&self) -> Option<Origin> {
        let others = self.others.values().filter_map(|answer| answer.as_ref().ok());
        self.proven().map(|(answer, _)| answer).chain(others).map(Answer::origin).reduce(Origin::and)
    }

    /// It comes from an earlier run or a file: DNS may know better.
    pub fn is_stored(&self) -> bool {
        matches!(self.origin(), Some(Origin::Cache | Origin::Bundle))
    }

    /// No keys and no CAs are proven, and that for want of a usable answer.
    pub fn is_outage(&self) -> bool {
        let is_ca_set = |question: &Question| question.name.labels().next() == Some(b"_ca");
        let has_ca_set = self.others.iter().any(|(question, answer)| is_ca_set(question) && answer.is_ok());
        self.proven().next().is_none()
            && !has_ca_set
            && self.answers().any(|answer| answer.as_ref().is_err_and(Unproven::is_outage))
    }

    /// Those of [`Evidence::proven`] that `policy` looks at.
    pub(super) fn looked_at(&self, policy: &Policy) -> impl Iterator<Item = (&Answer, Vec<Sshfp>)> {
        let port_alone = policy.port_labels == PortLabels::Required;
        let label = self.host.port_label(self.port).ok();
        self.proven().filter(move |(answer, _)| !port_alone || label.as_ref() == Some(&answer.asked().name))
    }

    /// Those of [`Evidence::looked_at`] that hold and suffice at `now`, in seconds since 1970: what counts for
    /// and against a key.
    pub(super) fn counting(&self, policy: &Policy, now: u64) -> impl Iterator<Item = (&Answer, Vec<Sshfp>)> {
        self.looked_at(policy)
            .filter(move |(answer, _)| now <= answer.expires() && policy.suffices(answer, now).is_ok())
    }

    /// Why a proof that holds at `now` does not count.
    pub(super) fn shortfall(&self, policy: &Policy, now: u64) -> Option<Shortfall> {
        self.looked_at(policy)
            .filter(|(answer, _)| now <= answer.expires())
            .find_map(|(answer, _)| policy.suffices(answer, now).err())
    }

    /// Why nothing is proven where `policy` looks first.
    pub(super) fn failure(&self, policy: &Policy) -> Option<&Unproven> {
        match policy.port_labels {
            PortLabels::Allowed => self.host_keys.as_ref().err(),
            PortLabels::Required => self.port_keys.as_ref().err(),
        }
    }

    /// The key types for which a usable record counts at `now`, in seconds since 1970, and which `policy` allows.
    /// None of a host that policy passes.
    pub fn key_types(&self, policy: &Policy, now: u64) -> Vec<KeyType> {
        if policy.mode == Mode::Pass {
            return Vec::new();
        }
        let records: Vec<Sshfp> = self.counting(policy, now).flat_map(|(_, records)| records).collect();
        let published =
            |t: &KeyType| records.iter().any(|r| r.is_usable() && r.algorithm() == t.sshfp_algorithm());
        PREFERENCE.into_iter().filter(|t| policy.allows(*t) && published(t)).collect()
    }

    /// What the host may show to be accepted, at `now` in seconds since 1970: plain keys of published types, certificates
    /// where a CA set counts, both of them by what `policy` requires.
    pub fn offer(&self, policy: &Policy, now: u64) -> Offer {
        if policy.mode == Mode::Pass {
            return Offer::default();
        }
        let published = self.key_types(policy, now);
        let certificates = match self.ca_sets(policy, now).next() {
            None => Vec::new(),
            Some(_) => PREFERENCE.into_iter().filter(|t| policy.allows(*t)).collect(),
        };
        match policy.require {
            Require::Either => Offer { keys: published, certificates },
            Require::Hostkey => Offer { keys: published, certificates: Vec::new() },
            Require::Ca => Offer { keys: Vec::new(), certificates },
            Require::Both => Offer {
                keys: Vec::new(),
                certificates: certificates.into_iter().filter(|t| published.contains(t)).collect(),
            },
        }
    }

    /// The last second, since 1970, at which all that is proven still holds.
    pub fn valid_until(&self) -> Option<u64> {
        self.proven().map(|(answer, _)| answer.valid_until()).min()
    }
}
