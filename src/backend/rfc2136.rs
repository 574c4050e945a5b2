//! Dynamic updates to a zone's primary: BIND, Knot and whatever else speaks RFC 2136 with TSIG.

use crate::backend::{ApplyError, Backend, check_zone};
use crate::dns::authority::{Authority, AuthorityError};
use crate::dns::transport::TransportError;
use crate::dns::tsig::Key;
use crate::dns::update::{self, Asked, Refusal, UpdateError};
use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};

/// How many owners a hint names.
const MOST_SHOWN: usize = 3;

/// One zone at its primary.
#[derive(Debug)]
pub struct Rfc2136 {
    primary: Authority,
    zone: Name,
    key: Option<Key>,
    clock: fn() -> u64,
}

impl Rfc2136 {
    /// The zone `zone` at `primary`. Without a key it can be read alone. `clock` gives the time in
    /// seconds since 1970, which signatures carry.
    pub fn new(primary: Authority, zone: Name, key: Option<Key>, clock: fn() -> u64) -> Self {
        Rfc2136 { primary, zone, key, clock }
    }

    /// The zone that is updated.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Whether the server takes the key for the zone. Nothing is changed.
    pub async fn try_key(&self) -> Result<(), Error> {
        let deadline = self.primary.until();
        update::try_key(self.asked()?, deadline).await.map_err(|e| plain(self.explain(e, &[])))
    }

    /// Whether the key may change SSHFP at `owner`. Nothing is changed.
    pub async fn try_rights(&self, owner: &Name) -> Result<(), Error> {
        let deadline = self.primary.until();
        let tried = update::try_rights(self.asked()?, owner, deadline).await;
        tried.map_err(|e| plain(self.explain(e, &[owner])))
    }

    fn asked(&self) -> Result<Asked<'_>, Error> {
        let Some(key) = &self.key else {
            let error = Error::usage("no-key", "an update needs a TSIG key");
            return Err(error.hint("give the key file: --key-file FILE"));
        };
        Ok(Asked { server: self.primary.server, zone: &self.zone, key, now: (self.clock)() })
    }

    fn explain(&self, error: UpdateError, owners: &[&Name]) -> ApplyError {
        let owner = match owners {
            [one] => one.to_string(),
            [first, ..] => format!("{first} and others"),
            [] => self.zone.to_string(),
        };
        let key = self.key.as_ref().map_or_else(String::new, |key| key.name().to_string());
        let (zone, server) = (&self.zone, self.primary.server);
        let told = |reason: &'static str| {
            let asked = format!("update of {owner} in zone {zone} with TSIG key {key}");
            Error::failure(reason, format!("{error} ({asked})"))
        };
        ApplyError::Failed(match &error {
            UpdateError::LostRace { .. } => {
                return ApplyError::LostRace(told("lost-race").hint(
                    "somebody else keeps changing these records: try again, and see who else publishes at this name",
                ));
            }
            UpdateError::Rcode { rcode: Refusal::Refused, .. } => {
                return ApplyError::Refused(told("refused").hint(self.how_to_allow(&key, owners)));
            }
            UpdateError::BadKey { .. } => {
                return ApplyError::Refused(told("badkey").hint(format!(
                    "the server has no key {key}, or has it for another algorithm: compare its key statement with the \
                     key file; if it is Knot and has the key, {}",
                    self.how_to_allow(&key, owners)
                )));
            }
            UpdateError::BadSig { .. } => {
                told("badsig").hint(format!("the secret of {key} differs: copy the key file from the server again"))
            }
            UpdateError::BadTime { server_time, skew, .. } => told("badtime").hint(format!(
                "the clocks differ by {} s and 300 s are allowed: set them right by NTP (ours says {}, the server's {})",
                skew.unsigned_abs(),
                (self.clock)(),
                server_time
            )),
            UpdateError::Tsig { .. } => told("tsig").hint("see the server's log"),
            UpdateError::NotVouched { .. } => told("not-vouched").hint(
                "whatever answered does not hold the key: something on the way, or the wrong server; nothing it says counts",
            ),
            UpdateError::Rcode { rcode: Refusal::NotAuth, .. } => told("notauth").hint(format!(
                "{server} is not the primary of {zone}: give the primary as --server, and the right --zone if it was given"
            )),
            UpdateError::Rcode { rcode: Refusal::NotZone, .. } => {
                told("notzone").hint(format!("{owner} does not lie in {zone}: leave --zone out, or give the right one"))
            }
            UpdateError::Rcode { rcode: Refusal::NotImp, .. } => told("notimp").hint(
                "the server takes no dynamic updates for this zone: allow them there (BIND: update-policy, Knot: acl)",
            ),
            UpdateError::Rcode { rcode: Refusal::FormErr, .. } => {
                told("formerr").hint("the server did not understand the update: see its log, and report this")
            }
            UpdateError::Rcode { rcode: Refusal::ServFail, .. } => told("servfail").hint(
                "the server could not do it: see its log (a journal that cannot be written, a zone that is frozen)",
            ),
            UpdateError::Rcode { rcode: Refusal::Other(_), .. } => told("update-failed").hint("see the server's log"),
            UpdateError::TooLarge => told("too-large").hint("there are too many records at this name to change them at once"),
            UpdateError::Encode(_) => told("internal"),
            UpdateError::Transport(e) => unreachable(e, told(transport_reason(e))),
        })
    }
}

impl Rfc2136 {
    fn how_to_allow(&self, key: &str, owners: &[&Name]) -> String {
        // A batch has many; one shows the form.
        let shown = if owners.len() > MOST_SHOWN { 1 } else { owners.len() };
        let names: Vec<String> = owners.iter().take(shown).map(ToString::to_string).collect();
        let grants: String = names.iter().map(|name| format!("grant {key} name {name} SSHFP; ")).collect();
        let owners: Vec<String> = names.iter().map(|name| format!("{name}.")).collect();
        format!(
            "allow key {key} to change SSHFP at {names}; BIND, in zone {zone}: update-policy {{ {grants}}}; Knot: an acl \
             with key: {key}, action: update, update-type: [SSHFP], update-owner: name, update-owner-match: equal, \
             update-owner-name: [{owners}]",
            names = names.join(" and "),
            owners = owners.join(", "),
            zone = self.zone
        )
    }
}

impl Backend for Rfc2136 {
    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        self.primary.sshfp(owner).await.map_err(explain_read)
    }

    fn fitting(&self, plans: &[Plan]) -> usize {
        update::fitting(plans)
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let asked = self.asked().map_err(ApplyError::Failed)?;
        check_zone(plans, &self.zone)?;
        let sent = update::send(asked, plans, self.primary.until()).await;
        sent.map_err(|e| self.explain(e, &plans.iter().map(|plan| &plan.owner).collect::<Vec<_>>()))
    }
}

/// An error that comes to nothing else but its words.
fn plain(error: ApplyError) -> Error {
    match error {
        ApplyError::LostRace(error) | ApplyError::Refused(error) | ApplyError::Failed(error) => error,
    }
}

/// An error of a question to an authority, with what to do about it.
pub fn explain_read(error: AuthorityError) -> Error {
    let told = |reason| Error::failure(reason, &error);
    match &error {
        AuthorityError::Transport(e) => unreachable(e, told(transport_reason(e))),
        AuthorityError::Rcode { server, name, .. } => told("server-refuses").hint(format!(
            "give the zone's primary as --server; does {server} serve the zone of {name}, and to this address?"
        )),
        AuthorityError::NotAuthoritative { server, name } => told("not-authoritative").hint(format!(
            "{server} answers for others, or hands {name} on to another zone: give the primary of that zone as --server"
        )),
        AuthorityError::Alias { name, .. } => {
            told("alias").hint(format!("publish at the name that {name} points to: clients follow the alias"))
        }
        AuthorityError::Malformed { .. } => told("malformed-answer").hint("is that a name server?"),
        AuthorityError::NoZone { .. } => told("no-zone").hint("give the zone: --zone ZONE"),
    }
}

fn transport_reason(error: &TransportError) -> &'static str {
    match error {
        TransportError::Timeout(_) => "timeout",
        TransportError::Io(_, e) if e.kind() == std::io::ErrorKind::ConnectionRefused => "connection-refused",
        TransportError::Io(..) => "unreachable",
        TransportError::TooLong(_) => "too-large",
    }
}

fn unreachable(error: &TransportError, told: Error) -> Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        TransportError::Timeout(server) => told
            .hint(format!("is {server} right, is the server up, does a firewall let UDP and TCP through?")),
        TransportError::Io(server, e) if matches!(e.kind(), UnexpectedEof | ConnectionReset | BrokenPipe) => {
            told.hint(format!("{server} closed the connection without an answer: see its log"))
        }
        TransportError::Io(server, _) => told.hint(format!("does a name server listen at {server}?")),
        TransportError::TooLong(_) => told,
    }
}
