//! What a machine is told about its own records: `[publish]`, `[agent]` and `[rotate]` of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::proto::hostkey::KeyType;
use crate::proto::name::{HostName, Name};
use crate::proto::template::Template;

/// The name that PowerDNS has in its own API, unless told.
pub const SERVER_ID: &str = "localhost";
/// How often an agent looks, unless told.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How long a name server may be silent before a rotation goes on without it, unless told.
const DEAD_AFTER: Duration = Duration::from_secs(86_400);

/// Where records are kept, and what it takes to change them there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A primary that takes dynamic updates (RFC 2136).
    Server {
        /// Where it listens.
        address: SocketAddr,
        /// The file of the TSIG key; none means systemd's credential, or no key.
        key_file: Option<PathBuf>,
    },
    /// The HTTP API of PowerDNS.
    PowerDns {
        /// The URL of its API, as [`crate::backend::powerdns::base`] has it.
        base: String,
        /// The name that it has in its API.
        server_id: String,
        /// The file of the API key; none means systemd's credential.
        api_key_file: Option<PathBuf>,
        /// Who may certify it; none means whom the system trusts.
        ca_file: Option<PathBuf>,
    },
    /// A file that the zone's file includes.
    ZoneFile {
        /// The file.
        file: PathBuf,
        /// What has the name server load it.
        reload: Template,
    },
    /// A program.
    Exec(Template),
}

/// One `[publish]` table: names of this machine, and the place of their records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The names; none means this machine's fully qualified one.
    pub names: Vec<HostName>,
    /// Where the records are kept.
    pub place: Provider,
    /// The zone, where it is not to be found out.
    pub zone: Option<Name>,
    /// For a server on another port.
    pub port: Option<u16>,
    /// The TTL of the records, in seconds; none leaves that of records that are there.
    pub ttl: Option<u32>,
    /// Public host key files; none means those of this machine's sshd.
    pub host_keys: Vec<PathBuf>,
    /// Servers of the zone to read back from; none means those of its NS records.
    pub check_servers: Vec<SocketAddr>,
    /// Nothing is published where clients cannot prove it.
    pub require_signed: bool,
    /// Records at these names that are not this machine's are removed.
    pub exclusive: bool,
}

/// How the agent says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Log {
    /// To systemd's journal where standard error leads there, else lines of text.
    #[default]
    Auto,
    /// Lines of text on standard error.
    Text,
    /// JSON lines on standard error.
    Json,
    /// Fields, to systemd's journal.
    Journald,
}

/// When the agent takes the records away at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Goodbye {
    /// Never: the machine comes back.
    #[default]
    Never,
    /// When the machine is switched off or terminated, not when it is started anew.
    Poweroff,
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// How often it looks although nothing happened; a tenth more or less by chance.
    pub interval: Duration,
    /// Where it answers `agent status`; none means the usual place.
    pub socket: Option<PathBuf>,
    /// The file for node_exporter's textfile collector.
    pub metrics_file: Option<PathBuf>,
    /// Where it answers Prometheus.
    pub metrics_listen: Option<SocketAddr>,
    /// How it says what it does.
    pub log: Log,
    /// When it takes the records away.
    pub withdraw: Goodbye,
}

impl Default for Agent {
    fn default() -> Self {
        Agent {
            interval: INTERVAL,
            socket: None,
            metrics_file: None,
            metrics_listen: None,
            log: Log::default(),
            withdraw: Goodbye::default(),
        }
    }
}

/// `[rotate]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// The age at which a host key is replaced; none means only when somebody says so.
    pub every: Option<Duration>,
    /// The types that are replaced; none means all that there are.
    pub types: Vec<KeyType>,
    /// How long the next key is announced to clients that keep known_hosts (UpdateHostKeys).
    pub announce: Duration,
    /// How much longer caches are waited for: for clients that bridge outages of DNS (outage_grace).
    pub margin: Duration,
    /// Old and new key side by side in DNS: faster, and not for stock clients with VerifyHostKeyDNS.
    pub overlap: bool,
    /// How long a name server may be silent before the rotation goes on without it.
    pub dead_after: Duration,
    /// What makes sshd read its configuration again; none means a signal to the process of its pid file.
    pub reload: Option<Template>,
    /// sshd's configuration, where it is not the usual one.
    pub sshd_config: Option<PathBuf>,
}

impl Default for Rotate {
    fn default() -> Self {
        Rotate {
            every: None,
            types: Vec::new(),
            announce: Duration::ZERO,
            margin: Duration::ZERO,
            overlap: false,
            dead_after: DEAD_AFTER,
            reload: None,
            sshd_config: None,
        }
    }
}
