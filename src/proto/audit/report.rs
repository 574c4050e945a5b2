//! What an audit tells: the one form from which all others are made (JSON as it is; table, CSV, SARIF, Prometheus and
//! HTML by `crate::fleet::report`). Times are seconds since 1970, and RFC 3339 in JSON; text may hold peers' octets, and is
//! sanitised by whoever shows it.

use serde::{Deserialize, Serialize};

use super::time;

/// The version of this form.
pub const VERSION: u32 = 1;

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

impl Severity {
    /// The word for it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind: a stable word, listed in docs/json.md ("stale-record").
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

/// A key that the host shows in a handshake, or holds on disk, or that known_hosts remembers of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The type's name as in known_hosts.
    #[serde(rename = "type")]
    pub key_type: String,
    /// SHA-256 of the key blob, lower-case hex.
    pub sha256: String,
    /// Size of an RSA key, in bits.
    pub bits: Option<usize>,
    /// Where it was seen: "live", "disk", "known_hosts".
    pub seen: Vec<String>,
    /// A proven record is of it.
    pub published: bool,
}

/// A certificate that the host shows. What it says is its issuer's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCertificate {
    /// SHA-256 of the plain key in it, lower-case hex.
    pub key_sha256: String,
    /// SHA-256 of its CA's key; none of a type that SSHFP has no number for.
    pub ca_sha256: Option<String>,
    /// Its number among those of its CA.
    pub serial: u64,
    /// The first second of its validity, since 1970.
    #[serde(with = "time::option")]
    pub valid_from: Option<u64>,
    /// The first second after its validity, since 1970; none if it has no end.
    #[serde(with = "time::option")]
    pub valid_until: Option<u64>,
    /// Nothing is wrong with it for this host, and a proven CA has signed it.
    pub good: bool,
}

/// A server of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Address and port; empty where its name has none.
    pub address: String,
    /// Serial number of its SOA; none where it did not answer.
    pub serial: Option<u32>,
    /// It has the same records as what is proven, or as the server with the newest serial number where nothing is; of a
    /// zone: those of all its hosts. None where it did not answer.
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
    /// The verdict's reason, a stable word; none of an accept.
    pub reason: Option<String>,
    /// The verdict in a sentence.
    pub message: String,
    /// What DNS says of its own keys: secure, insecure, bogus, absent, indeterminate.
    pub status: String,
    /// The zone that signs its records, or that holds its name where nothing is proven.
    pub zone: Option<String>,
    /// Until when the proof may be kept (TTLs and signatures), in seconds since 1970.
    #[serde(with = "time::option")]
    pub valid_until: Option<u64>,
    /// When the first of its signatures ends, in seconds since 1970.
    #[serde(with = "time::option")]
    pub signed_until: Option<u64>,
    /// The TTL that its zone gives its records, in seconds.
    pub ttl: Option<u32>,
    /// The address that answered.
    pub address: Option<String>,
    /// The version line of its SSH server.
    pub server_version: Option<String>,
    /// The key exchange that was agreed upon.
    pub kex: Option<String>,
    /// Its published records.
    pub records: Vec<Record>,
    /// Its keys.
    pub keys: Vec<Key>,
    /// Its certificates.
    pub certificates: Vec<HostCertificate>,
    /// The servers of its zone, and whether each has its records.
    pub servers: Vec<Server>,
    /// What is not as it should be, the gravest first.
    pub findings: Vec<Finding>,
}

impl HostReport {
    /// Host and port as they can be typed: `web1.example.com:22`, `[2001:db8::1]:22`.
    pub fn place(&self) -> String {
        Self::place_of(&self.host, self.port)
    }

    /// The same of a host and a port.
    pub fn place_of(host: &str, port: u16) -> String {
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }
}

/// A zone in which hosts have their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneReport {
    /// Its name.
    pub zone: String,
    /// How many of the audited hosts it holds.
    pub hosts: usize,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// What is new, or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Host and port ([`HostReport::place`]); none of what is about no single host.
    pub host: Option<String>,
    /// The finding.
    pub finding: Finding,
}

/// What changed since an earlier audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// When the earlier one was made, in seconds since 1970.
    #[serde(with = "time")]
    pub since: u64,
    /// Findings that are new, or graver than they were.
    pub new: Vec<Change>,
    /// Findings that are gone, of hosts that are audited still.
    pub gone: Vec<Change>,
    /// Hosts that are new ([`HostReport::place`]).
    pub hosts_new: Vec<String>,
    /// Hosts that are no longer audited.
    pub hosts_gone: Vec<String>,
}

/// How much there is of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Hosts in all.
    pub hosts: usize,
    /// Those that are accepted.
    pub accept: usize,
    /// Those against which a proof speaks.
    pub reject: usize,
    /// Those for which nothing vouches.
    pub unproven: usize,
    /// Those that could not be reached, or showed no key.
    pub unreachable: usize,
    /// Findings of severity error, of hosts and of the fleet.
    pub errors: usize,
    /// Of severity warning.
    pub warnings: usize,
    /// Of severity info.
    pub infos: usize,
}

/// An audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Of this form: [`VERSION`].
    pub version: u32,
    /// The program's version.
    pub program: String,
    /// When it was made, in seconds since 1970.
    #[serde(with = "time")]
    pub time: u64,
    /// How much there is of what.
    pub summary: Summary,
    /// The hosts, in the order in which they were named.
    pub hosts: Vec<HostReport>,
    /// Their zones, by name.
    pub zones: Vec<ZoneReport>,
    /// What is not as it should be and about no single host: zones and their servers, CA sets, orphans. The subject
    /// says about what.
    pub findings: Vec<Finding>,
    /// What changed, where an earlier audit was named.
    pub changes: Option<Changes>,
}

impl Report {
    /// Of these parts, with their summary; nothing is compared yet.
    pub fn new(time: u64, hosts: Vec<HostReport>, zones: Vec<ZoneReport>, findings: Vec<Finding>) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let mut report = Report {
            version: VERSION,
            program,
            time,
            summary: Summary::default(),
            hosts,
            zones,
            findings,
            changes: None,
        };
        report.summary = report.count();
        report
    }

    /// Every finding with its host; none of what is about no single host.
    pub fn all_findings(&self) -> impl Iterator<Item = (Option<&HostReport>, &Finding)> {
        let of_hosts = self.hosts.iter().flat_map(|host| host.findings.iter().map(move |f| (Some(host), f)));
        self.findings.iter().map(|finding| (None, finding)).chain(of_hosts)
    }

    fn count(&self) -> Summary {
        let verdict = |word: Option<&str>| self.hosts.iter().filter(|h| h.verdict.as_deref() == word).count();
        let findings = |severity| self.all_findings().filter(|(_, f)| f.severity == severity).count();
        Summary {
            hosts: self.hosts.len(),
            accept: verdict(Some("accept")),
            reject: verdict(Some("reject")),
            unproven: verdict(Some("unproven")),
            unreachable: verdict(None),
            errors: findings(Severity::Error),
            warnings: findings(Severity::Warning),
            infos: findings(Severity::Info),
        }
    }
}
