//! What an audit tells: the one form from which all others are made (JSON as it is; table, CSV, SARIF, Prometheus and
//! HTML by `crate::fleet::report`). Times are seconds since 1970; text may hold peers' octets, and is sanitised by
//! whoever shows it.

use serde::{Deserialize, Serialize};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It weakens verification, or will break it.
    Warning,
    /// The host cannot be verified, or is not what DNS says.
    Error,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind: a stable word, listed in the README ("stale-record").
    pub code: String,
    /// How grave.
    pub severity: Severity,
    /// What it is about, where a host has several of it: a digest, a server, a file. With host, port and code it tells
    /// findings apart from one audit to the next.
    pub subject: String,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A published record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its owner.
    pub owner: String,
    /// RDATA in presentation form.
    pub rdata: String,
    /// Proven from the trust anchor.
    pub proven: bool,
}

/// A key that the host shows in a handshake, or holds on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The type's name as in known_hosts.
    #[serde(rename = "type")]
    pub key_type: String,
    /// SHA-256 of the key blob, lower-case hex.
    pub sha256: String,
    /// Where it was seen: "live", "disk", "known_hosts".
    pub seen: Vec<String>,
    /// A proven record is of it.
    pub published: bool,
}

/// A server of the zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Address and port.
    pub address: String,
    /// Serial number of its SOA; none where it did not answer.
    pub serial: Option<u32>,
    /// It has the same records as what is proven; none where it did not answer.
    pub agrees: Option<bool>,
}

/// What is true of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// As it was named.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// accept, reject or unproven; none where the host could not be reached.
    pub verdict: Option<String>,
    /// The verdict's reason, a stable word.
    pub reason: Option<String>,
    /// The verdict in a sentence.
    pub message: String,
    /// What DNS says: secure, insecure, bogus, absent, indeterminate.
    pub status: String,
    /// The zone that signs its records.
    pub zone: Option<String>,
    /// When the proof ends, in seconds since 1970.
    pub valid_until: Option<u64>,
    /// The least TTL on the way, in seconds.
    pub ttl: Option<u32>,
    /// The version line of its SSH server.
    pub server_version: Option<String>,
    /// The key exchange that was agreed upon.
    pub kex: Option<String>,
    /// Its published records.
    pub records: Vec<Record>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// The servers of its zone.
    pub servers: Vec<Server>,
    /// What is not as it should be, the gravest first.
    pub findings: Vec<Finding>,
}

/// What changed since an earlier audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// When the earlier one was made, in seconds since 1970.
    pub since: u64,
    /// Findings that are new: host with port, and finding.
    pub new: Vec<(String, Finding)>,
    /// Findings that are gone.
    pub gone: Vec<(String, Finding)>,
    /// Hosts that are new, and hosts that are no longer audited.
    pub hosts_new: Vec<String>,
    /// See above.
    pub hosts_gone: Vec<String>,
}

/// An audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Of this form: 1.
    pub version: u32,
    /// The program's version.
    pub program: String,
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// The hosts, in the order in which they were named.
    pub hosts: Vec<HostReport>,
    /// What changed, where an earlier audit was named.
    pub changes: Option<Changes>,
}
