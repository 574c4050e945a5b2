//! What is asked for besides a proof: the settings for one host, and how far a proof suffices by them.
//!
//! A policy only ever takes accepts away. The one that is in force unless something else is configured asks
//! for nothing beyond the proof itself, and RSA keys of a size that nobody can factor.

use std::time::Duration;

use super::chain::{Answer, Proven};
use super::duration;
use super::hostkey::KeyType;
use super::name::Name;
use super::rr::RrType;

pub mod findings;
pub mod posture;
mod rules;
mod setting;

pub use posture::{Kex, Posture, Seen, StrictKex, Versions};
pub use rules::{Decided, Location, Policies, Rule};
pub use setting::{Setting, SettingError, Value};

/// The least size of an RSA key unless something else is configured, in bits: what certificates and CAs need in any case.
const MIN_RSA_BITS: u32 = crate::proto::certificate::MIN_RSA_BITS as u32;

/// The settings in force for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether the host is verified at all.
    pub mode: Mode,
    /// Which proof it takes.
    pub require: Require,
    /// The host key types that may be accepted; never empty.
    pub algorithms: Vec<KeyType>,
    /// The least size of an RSA key that may be accepted, the host's or its CA's, in bits.
    pub min_rsa_bits: u32,
    /// What the records at the host's own name are good for.
    pub port_labels: PortLabels,
    /// Where aliases may lead.
    pub aliases: Aliases,
    /// Where CA sets are looked for: X of `_ca._ssh.X`. None: at every place that may speak for the host.
    pub ca_at: Option<Vec<Name>>,
    /// Which accepts need the proof that the key is not revoked.
    pub revocation: Revocation,
    /// How long every signature of a proof must still hold.
    pub min_signature_left: Duration,
    /// How old the signatures over the SSHFP set and over the aliases before it may be, since their
    /// inception; those of the zones above are not looked at. None: as old as they hold.
    pub max_signature_age: Option<Duration>,
    /// For how long after its TTL a proof may serve while no live answer can be had.
    pub outage_grace: Duration,
    /// What is asked of the handshake that shows the key.
    pub posture: Posture,
}

/// Whether a host is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Verify,
    /// `proxy` relays it untouched; ssh's own checking stays. Nothing is ever accepted by this.
    Pass,
}

/// Which proof it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    /// One that suffices.
    Either,
    /// An SSHFP record of the plain key.
    Hostkey,
    /// A certificate of a CA in a CA set.
    Ca,
    /// One certificate whose CA is in a CA set and whose plain key has an SSHFP record.
    Both,
}

/// Which accepts need a revoked set, proven and with its sentinel. A key in one that is proven is refused in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Those that rest on a CA; of plain keys the SSHFP record is taken away.
    Ca,
    /// All.
    Always,
}

/// Which SSHFP sets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortLabels {
    /// That of the host, good on any port, and that under its port label.
    Allowed,
    /// That under the port label alone.
    Required,
}

/// Where CNAME and DNAME records may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    /// Anywhere that is proven.
    Any,
    /// Not out of the zone that signed the first of them.
    SameZone,
}

/// What happens unless something else is configured.
impl Default for Policy {
    fn default() -> Self {
        Policy {
            mode: Mode::Verify,
            require: Require::Either,
            algorithms: KeyType::ALL.to_vec(),
            min_rsa_bits: MIN_RSA_BITS,
            port_labels: PortLabels::Allowed,
            aliases: Aliases::Any,
            ca_at: None,
            revocation: Revocation::Ca,
            min_signature_left: Duration::ZERO,
            max_signature_age: None,
            outage_grace: Duration::ZERO,
            posture: Posture::default(),
        }
    }
}

/// Why a proof that holds does not suffice by policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the operands of the message")]
pub enum Shortfall {
    /// `aliases = "same-zone"`.
    #[error("the alias {alias} is signed by {from}, and {data} by {to} (policy wants one zone: aliases)")]
    OtherZone { alias: Name, from: Name, data: Name, to: Name },
    /// `min_signature_left`; both in seconds.
    #[error(
        "its first signature to expire holds for {}, and policy wants {} (min_signature_left)",
        span(left),
        span(wanted)
    )]
    EndsSoon { left: u64, wanted: u64 },
    /// `max_signature_age`; both in seconds.
    #[error(
        "the RRSIG over {owner} {rtype} is {} old, and policy allows {} (max_signature_age)",
        span(age),
        span(allowed)
    )]
    TooOld { owner: Name, rtype: RrType, age: u64, allowed: u64 },
}

fn span(seconds: &u64) -> String {
    duration::text(Duration::from_secs(*seconds))
}

impl Shortfall {
    /// A stable word for scripts; listed in docs/json.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherZone { .. } => "alias-leaves-zone",
            Self::EndsSoon { .. } => "signature-ends-soon",
            Self::TooOld { .. } => "signature-too-old",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::OtherZone { alias, from, .. } => {
                format!("publish the host's records in {from} itself in place of the alias {alias}; sshanchor config show HOST tells where the setting comes from")
            }
            Self::EndsSoon { .. } | Self::TooOld { .. } => {
                "have the zone signed more often (is its signer still running?); sshanchor config show HOST tells where the setting comes from".to_owned()
            }
        }
    }
}

impl Policy {
    /// The same for a key alone, of which no handshake is to be judged: one that is remembered.
    pub fn of_key_alone(self) -> Self {
        Policy { posture: Posture::default(), ..self }
    }

    /// A key of this type may be accepted.
    pub fn allows(&self, key_type: KeyType) -> bool {
        self.algorithms.contains(&key_type)
    }

    /// Keys of every type that has this number in SSHFP may be accepted. By an ECDSA record alone nobody can tell
    /// which of its curves it is.
    pub fn allows_all_of(&self, sshfp_algorithm: u8) -> bool {
        let mut types = KeyType::ALL.iter().filter(|t| t.sshfp_algorithm() == sshfp_algorithm);
        types.all(|t| self.allows(*t))
    }

    /// Whether this proof, which holds at `now` in seconds since 1970, is all that is asked for.
    pub fn suffices(&self, answer: &Answer, now: u64) -> Result<(), Shortfall> {
        if self.aliases == Aliases::SameZone {
            within_one_zone(answer)?;
        }
        let (left, wanted) = (answer.expires().saturating_sub(now), self.min_signature_left.as_secs());
        if left < wanted {
            return Err(Shortfall::EndsSoon { left, wanted });
        }
        let Some(allowed) = self.max_signature_age.map(|age| age.as_secs()) else { return Ok(()) };
        links(answer).try_for_each(|link| {
            // Serial number arithmetic (RFC 4034 section 3.1.5). One that has yet to begin counts as very old.
            let age = u64::from((now as u32).wrapping_sub(link.rrsig().inception));
            let (owner, rtype) = (link.set().owner().clone(), link.set().rtype());
            if age > allowed { Err(Shortfall::TooOld { owner, rtype, age, allowed }) } else { Ok(()) }
        })
    }
}

/// The aliases on the way, then the data.
fn links(answer: &Answer) -> impl Iterator<Item = &Proven> {
    answer.aliases().iter().chain([answer.data()])
}

fn within_one_zone(answer: &Answer) -> Result<(), Shortfall> {
    let Some(first) = answer.aliases().first() else { return Ok(()) };
    match links(answer).find(|link| link.zone().name() != first.zone().name()) {
        None => Ok(()),
        Some(other) => Err(Shortfall::OtherZone {
            alias: first.set().owner().clone(),
            from: first.zone().name().clone(),
            data: other.set().owner().clone(),
            to: other.zone().name().clone(),
        }),
    }
}
