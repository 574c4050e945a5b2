//! What was gathered about hosts, their zones and this machine's state: data, in the words of those that gathered it.

use std::net::IpAddr;

use crate::proto::certificate::Certificate;
use crate::proto::denial::Status;
use crate::proto::doctor::known_hosts::Remembered;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::HostKey;
use crate::proto::name::Name;
use crate::proto::policy::Policy;
use crate::proto::sshfp::SshfpSet;

/// Everything about one host and port.
#[derive(Debug)]
pub struct HostFacts {
    /// As it was named.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What `verify` says of it.
    pub outcome: Outcome,
    /// What DNS says; none of an address.
    pub proof: Option<Proof>,
    /// What its server shows; none where nobody looked.
    pub live: Option<Live>,
    /// The keys on this machine's disk, if this machine is the host.
    pub disk: Option<Vec<HostKey>>,
    /// What known_hosts files remember of it.
    pub remembered: Vec<Remembered>,
    /// What each server of the zone has at the owners of [`Proof::sets`], in that order.
    pub servers: Vec<ServerFact>,
}

/// What `verify` says of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// accept, reject or unproven; none where it showed no key to judge.
    pub verdict: Option<&'static str>,
    /// The reason, a stable word.
    pub reason: Option<&'static str>,
    /// SHA-256 of the plain key that it is about, where one was shown.
    pub key: Option<[u8; 32]>,
    /// In a sentence.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// What DNS says of a host.
#[derive(Debug)]
pub struct Proof {
    /// Everything that was asked, and what came of it.
    pub evidence: Evidence,
    /// What is asked for besides a proof.
    pub policy: Policy,
    /// The zone that signs its records, or that holds its name where nothing is proven, if that is known.
    pub zone: Option<Name>,
    /// Its own SSHFP sets, aliases followed: proven, or as they came.
    pub sets: Vec<PublishedSet>,
}

/// An SSHFP set of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSet {
    /// Its owner.
    pub owner: Name,
    /// Proven, or why not.
    pub status: Status,
    /// The records; none of a set that is absent.
    pub records: SshfpSet,
}

/// What a server shows.
#[derive(Debug, Default)]
pub struct Live {
    /// Its plain keys, one of a type.
    pub keys: Vec<HostKey>,
    /// Its certificates.
    pub certificates: Vec<Certificate>,
    /// The host key algorithms that it offers; none where it never told.
    pub offers: Option<Vec<String>>,
    /// The address that answered.
    pub address: Option<IpAddr>,
    /// Its version line.
    pub server_version: Option<String>,
    /// The key exchange that was agreed upon.
    pub kex: Option<String>,
    /// Why that is not all that it has.
    pub failure: Option<Failure>,
}

/// Why a server showed nothing, or not all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it went.
    pub stage: Stage,
    /// In a sentence.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// How far a connection went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name has no address.
    NoAddress,
    /// No address answers.
    Unreachable,
    /// The handshake failed.
    Handshake,
}

/// A server of a zone, and what it has of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFact {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Address and port.
    pub address: String,
    /// The serial number of its SOA; none where it did not answer.
    pub serial: Option<u32>,
    /// The records at each owner; none where it gave no answer.
    pub shows: Vec<Option<SshfpSet>>,
}

/// A zone's servers, each address for itself, asked for its SOA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFacts {
    /// The zone.
    pub zone: Name,
    /// They were named on the command line, or else are those of its NS records.
    pub servers: Vec<ZoneServer>,
}

/// A server of a zone, by its SOA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneServer {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Address and port; none where its name has no address.
    pub address: Option<String>,
    /// The serial number, or why there is none.
    pub serial: Result<u32, String>,
}

/// Records that this machine's state has as own, at an owner of no audited host or of none that this machine is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRecords {
    /// Where they stand.
    pub owner: Name,
    /// Those that are published still.
    pub records: SshfpSet,
    /// What is to be said of them, where the state knows.
    pub message: Option<String>,
}

impl ServerFact {
    /// For people: name and address.
    pub fn label(&self) -> String {
        label(self.name.as_deref(), &self.address)
    }
}

impl ZoneServer {
    /// For people: name and address.
    pub fn label(&self) -> String {
        label(self.name.as_deref(), self.address.as_deref().unwrap_or_default())
    }
}

fn label(name: Option<&str>, address: &str) -> String {
    match (name, address) {
        (Some(name), "") => name.to_owned(),
        (Some(name), address) => format!("{name} ({address})"),
        (None, address) => address.to_owned(),
    }
}
