//! What is asked of the handshake that shows a key, beside the key: the key exchange, and what the server calls itself.

use std::fmt;

use crate::proto::pattern::spans;
use crate::proto::ssh_config::Version;

/// Key exchanges that keep a session from a later quantum computer: hybrids of ML-KEM (draft-ietf-sshm-mlkem-hybrid-kex),
/// and of Streamlined NTRU Prime by its final parameters, under both of its names (OpenSSH 8.5 and 9.9).
pub const POST_QUANTUM: [&str; 5] = [
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
];
/// What OpenSSH calls itself, and all that comes from it.
const OPENSSH: &str = "OpenSSH";
/// Most patterns in a list, and the longest of them, in octets: no version line is longer.
const MAX_PATTERNS: usize = 64;
const MAX_PATTERN: usize = 253;

/// What was seen of the handshake that showed a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// The key exchange that was agreed upon.
    pub kex: String,
    /// The client offered strict key exchange (OpenSSH's PROTOCOL section 1.10).
    pub strict_client: bool,
    /// The server offered it.
    pub strict_server: bool,
    /// The server's version line: printable ASCII, and what the server claims.
    pub server_version: String,
}

/// Whether a key exchange will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kex {
    /// Any that was agreed upon.
    #[default]
    Any,
    /// One of [`POST_QUANTUM`].
    PostQuantum,
}

/// Whether both sides have to keep to the strict key exchange, the answer to Terrapin (CVE-2023-48795).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StrictKex {
    /// They need not.
    #[default]
    Any,
    /// They have to.
    Required,
}

/// All that is asked of a handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posture {
    /// The strict key exchange.
    pub strict_kex: StrictKex,
    /// The key exchange.
    pub kex: Kex,
    /// What the server may call itself. None: anything.
    pub server_versions: Option<Versions>,
    /// The least version of a server that calls itself OpenSSH. None: any.
    pub min_openssh: Option<Version>,
}

/// Patterns of what servers call themselves, as in ssh_config(5): `*`, `?`, and `!` for what is not taken. Case does not
/// count. Where all of them are negated, everything else is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(Vec<String>);

/// Why texts are no patterns of versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionsError {
    /// None at all, or a `!` alone.
    #[error("want patterns of what servers call themselves, such as \"OpenSSH_9.*\" or \"!dropbear_2019*\"")]
    Empty,
    /// Too many, or one that is too long.
    #[error("want at most {MAX_PATTERNS} patterns of at most {MAX_PATTERN} octets")]
    Long,
    /// What stands in no software version (RFC 4253 section 4.2).
    #[error(
        "{0:?} stands in no software version: want the part behind SSH-2.0- and before a blank, such as \"OpenSSH_9.*\""
    )]
    Character(char),
}

/// Why a handshake is not as it has to be. Texts of peers inside are printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the operands of the message")]
pub enum Fault {
    /// `kex`: of what was agreed upon.
    #[error(
        "the key exchange is {kex}, which a later quantum computer may undo (policy wants a post-quantum one: kex)"
    )]
    WeakKex { kex: String },
    /// `kex`: the server offers none that this program knows.
    #[error("{}", not_offered(server_offers))]
    NoPostQuantumOffered { server_offers: Vec<String> },
    /// `strict_kex`.
    #[error("{} not offer the strict key exchange (policy wants it of both: strict_kex)", who(*client, *server))]
    NotStrict { client: bool, server: bool },
    /// `server_versions`.
    #[error("the server calls itself {said:?}, which policy does not take (server_versions)")]
    Version { said: String },
    /// `min_openssh`.
    #[error("the server calls itself {said:?}, and policy wants OpenSSH {wanted} at least (min_openssh)")]
    OldOpenSsh { said: String, wanted: Version },
    /// Nobody here has seen it.
    #[error("policy asks for more than a key ({}), and the handshake is not seen here", asked.join(", "))]
    NotSeen { asked: Vec<&'static str> },
}

/// The one of [`POST_QUANTUM`] that this program's own handshakes have.
const OWN: &str = "mlkem768x25519-sha256";

/// Those of [`POST_QUANTUM`] among these.
fn post_quantum(offers: &[String]) -> Vec<&str> {
    offers.iter().map(String::as_str).filter(|name| POST_QUANTUM.contains(name)).collect()
}

fn not_offered(offers: &[String]) -> String {
    match post_quantum(offers).as_slice() {
        [] => format!(
            "the server offers no post-quantum key exchange that is known here (it offers {}; policy wants one: kex)",
            offers.join(", ")
        ),
        theirs => format!(
            "of post-quantum key exchanges the server has {} alone, and this program {OWN} alone: its SSH library, russh, has no \
             other (policy wants one: kex)",
            theirs.join(", ")
        ),
    }
}

fn who(client: bool, server: bool) -> &'static str {
    match (client, server) {
        (false, false) => "the client and the server do",
        (false, true) => "the client does",
        (true, _) => "the server does",
    }
}

impl Fault {
    /// A stable word for scripts; listed in docs/json.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WeakKex { .. } | Self::NoPostQuantumOffered { .. } => "weak-kex",
            Self::NotStrict { .. } => "no-strict-kex",
            Self::Version { .. } | Self::OldOpenSsh { .. } => "server-version",
            Self::NotSeen { .. } => "handshake-not-seen",
        }
    }

    /// What to do next.
    pub fn hint(&self, host: &impl fmt::Display) -> String {
        let told = format!("sshanchor config show {host} tells where the setting comes from");
        match self {
            Self::WeakKex { .. } => format!(
                "have client and server offer mlkem768x25519-sha256 or sntrup761x25519-sha512@openssh.com, as OpenSSH does from \
                 9.0 on unless KexAlgorithms says otherwise; {told}"
            ),
            Self::NoPostQuantumOffered { server_offers } if !post_quantum(server_offers).is_empty() => {
                format!(
                    "OpenSSH's server has {OWN} from 9.9 on; until it is updated connect by ssh, which knows the others too, \
                     through sshanchor proxy, or set kex = \"any\" for this host; {told}"
                )
            }
            Self::NoPostQuantumOffered { .. } => format!(
                "have the server offer mlkem768x25519-sha256 (OpenSSH from 9.9 on, KexAlgorithms in sshd_config); {told}"
            ),
            Self::NotStrict { .. } => format!(
                "update it: OpenSSH has the strict key exchange from 9.6 on, dropbear from 2024.84, and distributions have put it \
                 into older ones; {told}"
            ),
            Self::Version { .. } | Self::OldOpenSsh { .. } => {
                format!("update the server, or name what is to be taken; {told}")
            }
            Self::NotSeen { .. } => format!(
                "have ssh connect by sshanchor proxy, which sees it: sshanchor config ssh --mode proxy; {told}"
            ),
        }
    }
}

impl Posture {
    /// It asks for anything.
    pub fn asks(&self) -> bool {
        *self != Posture::default()
    }

    /// The settings by which it does.
    pub fn asked(&self) -> Vec<&'static str> {
        let asked = [
            ("strict_kex", self.strict_kex != StrictKex::Any),
            ("kex", self.kex != Kex::Any),
            ("server_versions", self.server_versions.is_some()),
            ("min_openssh", self.min_openssh.is_some()),
        ];
        asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(key, _)| key).collect()
    }

    /// Holds a handshake against it. None has seen nothing, and does not pass if anything is asked.
    pub fn judge(&self, seen: Option<&Seen>) -> Result<(), Fault> {
        let Some(seen) = seen else {
            return if self.asks() { Err(Fault::NotSeen { asked: self.asked() }) } else { Ok(()) };
        };
        if self.kex == Kex::PostQuantum && !POST_QUANTUM.contains(&seen.kex.as_str()) {
            return Err(Fault::WeakKex { kex: seen.kex.clone() });
        }
        if self.strict_kex == StrictKex::Required && !(seen.strict_client && seen.strict_server) {
            return Err(Fault::NotStrict { client: seen.strict_client, server: seen.strict_server });
        }
        let said = software(&seen.server_version);
        if self.server_versions.as_ref().is_some_and(|versions| !versions.matches(said)) {
            return Err(Fault::Version { said: said.to_owned() });
        }
        match self.min_openssh {
            // What calls itself OpenSSH without a version that can be read is too old as well.
            Some(wanted)
                if is_openssh(said) && Version::parse(said).is_none_or(|version| version < wanted) =>
            {
                Err(Fault::OldOpenSsh { said: said.to_owned(), wanted })
            }
            _ => Ok(()),
        }
    }
}

fn is_openssh(software: &str) -> bool {
    software.get(..OPENSSH.len()).is_some_and(|head| head.eq_ignore_ascii_case(OPENSSH))
}

/// The software version of a version line: behind `SSH-2.0-`, before a blank (RFC 4253 section 4.2).
pub fn software(line: &str) -> &str {
    let software = line.strip_prefix("SSH-2.0-").or_else(|| line.strip_prefix("SSH-1.99-")).unwrap_or(line);
    software.split(' ').next().unwrap_or_default()
}

impl Versions {
    /// From patterns, each perhaps with a `!` before it.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, VersionsError> {
        let patterns: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.trim_start_matches('!').is_empty()) {
            return Err(VersionsError::Empty);
        }
        if patterns.len() > MAX_PATTERNS || patterns.iter().any(|pattern| pattern.len() > MAX_PATTERN) {
            return Err(VersionsError::Long);
        }
        match patterns.iter().flat_map(|pattern| pattern.chars()).find(|c| !c.is_ascii_graphic() || *c == ',')
        {
            Some(wrong) => Err(VersionsError::Character(wrong)),
            None => Ok(Versions(patterns)),
        }
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// No server is taken, whatever it calls itself: each pattern is taken away again by one with a `!`.
    pub fn is_impossible(&self) -> bool {
        let lower: Vec<String> = self.0.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        let unwanted: Vec<&str> = lower.iter().filter_map(|pattern| pattern.strip_prefix('!')).collect();
        let mut wanted: Vec<&str> =
            lower.iter().map(String::as_str).filter(|pattern| !pattern.starts_with('!')).collect();
        if wanted.is_empty() {
            wanted.push("*");
        }
        let is_gone = |wanted: &&str| unwanted.iter().any(|un| spans(un.as_bytes(), wanted.as_bytes()));
        wanted.iter().all(is_gone)
    }

    /// A server that calls itself so is taken.
    pub fn matches(&self, software: &str) -> bool {
        let software = software.to_ascii_lowercase();
        let spans = |pattern: &str| spans(pattern.to_ascii_lowercase().as_bytes(), software.as_bytes());
        let (unwanted, wanted): (Vec<&str>, Vec<&str>) =
            self.0.iter().map(String::as_str).partition(|pattern| pattern.starts_with('!'));
        let is_unwanted = unwanted.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(spans);
        !is_unwanted && (wanted.is_empty() || wanted.into_iter().any(spans))
    }
}

#[cfg(test)]
pub(in crate::proto) mod tests;
