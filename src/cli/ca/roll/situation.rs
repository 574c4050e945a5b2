//! What a roll's next step depends on, as it is now: the CA's folder, its journal, and what every server shows.

use crate::agent::readback;
use crate::backend::rfc2136::explain_read;
use crate::cli::Context;
use crate::cli::ca::ca_error;
use crate::cli::publish::primary::Primary;
use crate::dns::authority::Authority;
use crate::dns::servers::Server;
use crate::error::Error;
use crate::fan_out::in_order;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::KeyState;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::issuance::ledger::{self, Standing};
use crate::proto::name::Name;
use crate::proto::revocation;
use crate::proto::rollover::{Facts, Mark, Roll, Shown, Sight};
use crate::ssh::ca::Ca;
use crate::verifier;

/// How many servers are asked at a time.
const WIDTH: usize = 32;

/// All that is known.
pub(super) struct Situation {
    pub(super) ca: Ca,
    pub(super) roll: Option<Roll>,
    /// The names below whose sets the keys stand.
    pub(super) at: Vec<Name>,
    pub(super) certificates: Vec<Standing>,
    pub(super) sights: Vec<Sight>,
    /// The journal says that the old key is revoked.
    pub(super) is_old_revoked: bool,
    /// Seconds since 1970.
    pub(super) now: u64,
}

impl Situation {
    /// Reads it all; DNS only while a roll is under way. `names` count where the journal has none.
    pub(super) async fn read(ca: Ca, names: &[Name], primary: &Primary, cx: &Context) -> Result<Self, Error> {
        let entries = ca.journal().read().map_err(ca_error)?;
        let new = in_state(&ca, KeyState::Next).unwrap_or(ca.public_key()).sha256();
        let roll = Roll::read(&entries, &new).map_err(|e| {
            let hint = "nothing is done on a journal that is spoilt: compare it with a backup";
            Error::failure("journal", format!("{}: {e}", ca.journal().path().display())).hint(hint)
        })?;
        let at = roll.as_ref().map_or_else(|| names.to_vec(), |roll| roll.at.clone());
        let is_under_way = ca.authority().keys().len() > 1;
        let sights = if is_under_way { sights(&at, primary, cx).await? } else { Vec::new() };
        // Later than all that was seen.
        let now = verifier::now();
        let mut situation =
            Situation { ca, roll, at, certificates: Vec::new(), sights, is_old_revoked: false, now };
        let old = situation.old().sha256();
        let revoked = |entry: &Entry| matches!(&entry.event, Event::Revoke { key, .. } if key.sha256 == old);
        situation.is_old_revoked = entries.iter().any(revoked);
        situation.certificates = ledger::certificates(entries, now);
        Ok(situation)
    }

    /// The key that is replaced; where nothing is under way, the only one.
    pub(super) fn old(&self) -> &HostKey {
        in_state(&self.ca, KeyState::Retired).unwrap_or(self.ca.public_key())
    }

    /// The key that replaces it.
    pub(super) fn new_key(&self) -> &HostKey {
        match self.is_switched() {
            true => self.ca.public_key(),
            false => in_state(&self.ca, KeyState::Next).unwrap_or(self.ca.public_key()),
        }
    }

    /// There is a key besides that which signs.
    pub(super) fn is_under_way(&self) -> bool {
        self.ca.authority().keys().len() > 1
    }

    /// The new key signs.
    pub(super) fn is_switched(&self) -> bool {
        in_state(&self.ca, KeyState::Retired).is_some()
    }

    /// Without what was asked for on the command line.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            now: self.now,
            current: self.ca.public_key().sha256(),
            next: in_state(&self.ca, KeyState::Next).map(HostKey::sha256),
            retired: in_state(&self.ca, KeyState::Retired).map(HostKey::sha256),
            roll: self.roll.as_ref(),
            sights: &self.sights,
            certificates: &self.certificates,
            margin: 0,
            settle: 0,
        }
    }

    /// The greatest TTL of the CA sets, in seconds.
    pub(super) fn ttl(&self) -> u32 {
        self.sights.iter().filter_map(|sight| sight.ca.as_ref().ok()).map(|set| set.ttl).max().unwrap_or(0)
    }

    /// Writes it into the journal.
    pub(super) fn mark(&self, mark: &Mark) -> Result<(), Error> {
        let event = mark.event(super::digest(self.old()), super::digest(self.new_key()));
        self.ca.journal().append(&Entry { time: verifier::now(), event }).map_err(ca_error)
    }
}

fn in_state(ca: &Ca, state: KeyState) -> Option<&HostKey> {
    ca.authority().keys().iter().find(|key| key.state == state).map(|key| &key.key)
}

/// What every server of the zones shows at these names.
pub(super) async fn sights(names: &[Name], primary: &Primary, cx: &Context) -> Result<Vec<Sight>, Error> {
    let authority = primary.authority(cx, names.len())?;
    let mut asked = Vec::new();
    for at in names {
        let owners = owners(at)?;
        let zone = match &primary.zone {
            Some(zone) => zone.clone(),
            None => authority.zone_of(&owners.0).await.map_err(explain_read)?,
        };
        let servers = primary.every_server(&authority, &zone, cx).await?;
        for (place, server) in servers.into_iter().enumerate() {
            asked.push((at.clone(), owners.clone(), server, place == 0));
        }
    }
    let seen = in_order(asked, WIDTH, |(at, (ca, revoked), server, is_primary)| async move {
        let (ca, revoked) =
            tokio::join!(shown(&server, &ca, &authority), shown(&server, &revoked, &authority));
        Sight { at: at.to_string(), server: server.label, is_primary, ca, revoked }
    });
    Ok(seen.await?)
}

async fn shown(server: &Server, owner: &Name, authority: &Authority) -> Result<Shown, String> {
    readback::glance(server, owner, authority).await.map(|answers| Shown::of(&answers))
}

/// The CA set's owner, and that of the revoked set beside it.
fn owners(at: &Name) -> Result<(Name, Name), Error> {
    let both = revocation::ca_owner(at).and_then(|ca| Ok((ca, revocation::owner(at)?)));
    both.map_err(|e| Error::usage("ca-name", format!("{at} leaves no room for _revoked._ssh: {e}")))
}

/// The signatures over the revoked set of `at` at the primary, before it is changed.
pub(super) async fn signatures(
    at: &Name,
    authority: &Authority,
) -> Result<Vec<crate::proto::rr::Rrsig>, Error> {
    authority.sshfp_signatures(&owners(at)?.1).await.map_err(explain_read)
}
