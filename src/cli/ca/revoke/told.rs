//! What is told of a revocation: which keys, for how long they can still be accepted, what to do next.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::keys::Named;
use crate::output::Report;
use crate::proto::duration;
use crate::proto::hostkey::KeyType;
use crate::proto::moment::{rfc3339, span, text};
use crate::proto::revocation::Window;

/// Most commands that are told.
const MOST_NEXT: usize = 8;

pub(super) struct Revoked<'a> {
    /// The revoked set.
    pub(super) owner: String,
    /// Below which name it counts.
    pub(super) at: String,
    /// Nothing was only looked at.
    pub(super) is_done: bool,
    /// There was a set before.
    pub(super) was_there: bool,
    pub(super) keys: &'a [Named],
    /// None if the set of before has no signature at the primary.
    pub(super) window: Option<Window>,
    /// `max_signature_age` of the policy by which the window was reckoned.
    pub(super) max_age: Option<Duration>,
    /// When it was revoked, in seconds since 1970.
    pub(super) now: u64,
    /// Options that lead to where the records are kept.
    pub(super) place: String,
}

impl Revoked<'_> {
    /// Commands that take away what else vouches for the keys.
    fn next(&self) -> Vec<String> {
        let mut hosts: Vec<&String> = self.keys.iter().flat_map(|key| &key.hosts).collect();
        hosts.sort();
        hosts.dedup();
        let command = |host: &&String| format!("sshanchor withdraw --name {host} {}", self.place);
        hosts.iter().take(MOST_NEXT).map(command).collect()
    }

    fn window_text(&self) -> String {
        let Some(window) = self.window else {
            return match self.was_there {
                true => "for how long they can still be accepted is unknown: the server shows no signature over the set \
                         of before (sshanchor doctor HOST asks a resolver)"
                    .to_owned(),
                false => "there was no revoked set before, so nothing was accepted by a CA; a plain key is accepted as long \
                          as its SSHFP record is"
                    .to_owned(),
            };
        };
        let ahead = |moment: u64| span(moment.saturating_sub(self.now));
        let policy = match self.max_age {
            Some(age) => format!("max_signature_age = {} counts", duration::text(age)),
            None => "no max_signature_age is set".to_owned(),
        };
        format!(
            "a client may still accept them for up to {}, until {}: so long the RRSIG of the old set serves whoever replays \
             it ({policy}); where nobody does, {} (caches). Shorten it with max_signature_age in the clients' configuration, \
             or with shorter signature validity in the zone",
            ahead(window.replayed_until),
            text(window.replayed_until),
            ahead(window.cached_until),
        )
    }
}

/// Fields: `revoked_at` (the set's owner), `at`, `revoked` (false if it was only looked at), `keys` (type, sha256, by, hosts), `window` (`cached_until`,
/// `replayed_until`, `seconds`; null if unknown), `next` (commands).
impl Serialize for Revoked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let keys: Vec<_> = (self.keys.iter())
            .map(|named| {
                json!({
                    "type": named.key.key_type.map(KeyType::name),
                    "sha256": HEXLOWER.encode(&named.key.sha256),
                    "by": named.by,
                    "hosts": named.hosts,
                })
            })
            .collect();
        let window = self.window.map(|window| {
            json!({
                "cached_until": rfc3339(window.cached_until),
                "replayed_until": rfc3339(window.replayed_until),
                "seconds": window.length(self.now),
            })
        });
        let mut fields = serializer.serialize_struct("Revoked", 6)?;
        fields.serialize_field("revoked_at", &self.owner)?;
        fields.serialize_field("at", &self.at)?;
        fields.serialize_field("revoked", &self.is_done)?;
        fields.serialize_field("keys", &keys)?;
        fields.serialize_field("window", &window)?;
        fields.serialize_field("next", &self.next())?;
        fields.end()
    }
}

impl Report for Revoked<'_> {
    fn text(&self) -> String {
        let head = match self.is_done {
            true => format!("revoked below {}, whatever certificates say:", self.at),
            false => format!("to be revoked below {}, whatever certificates say:", self.at),
        };
        let mut lines = vec![head];
        for named in self.keys {
            lines.push(format!("  {} ({})", named.record().fingerprint_text(), named.by));
        }
        lines.push(self.window_text());
        let next = self.next();
        if !next.is_empty() {
            lines.push(
                "if the host goes on, it needs a new key (ssh-keygen -t ed25519), signed or published anew"
                    .to_owned(),
            );
            lines.push("take the records away, if there are any, that vouch for the old one:".to_owned());
            lines.extend(next.into_iter().map(|command| format!("  {command}")));
        }
        lines.join("\n")
    }
}
