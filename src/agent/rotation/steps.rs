//! The steps of a rotation. Each may be done again after a crash.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::host::{drop_in_error, file_error};
use super::records::record;
use super::server::{Change as Configuration, Expected, configure, hiding};
use super::{Progress, Rotation, Situation};
use crate::error::Error;
use crate::files;
use crate::proto::hostkey::KeyType;
use crate::proto::moment;
use crate::proto::revocation::Window;
use crate::proto::rotation::{Change, Digest, Mode, Round, Step, Wait};
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::ssh::host_key_file::{HostKeyFile, NEXT, is_next, suffixed};
use crate::ssh::sshd::drop_in::Content;
use crate::verifier;

/// How long ssh-keygen may take for a large RSA key.
const KEYGEN: Duration = Duration::from_secs(300);

impl Rotation {
    /// Does one step; what it has to wait for, if it turns out that it has to.
    pub(super) async fn perform(
        &self,
        step: &Step,
        situation: &Situation,
        progress: &mut Progress,
    ) -> Result<Option<Wait>, Error> {
        let Some(round) = progress.record.round.clone() else { return Ok(None) };
        match step {
            Step::Prepare => {
                let changes = self.prepare(&round, situation).await?;
                if let Some(round) = &mut progress.record.round {
                    round.changes = changes;
                }
            }
            Step::Announce => self.announce(&round, situation).await?,
            Step::Hide => match self.hide(&round, situation).await {
                // Whoever has the key is not to be helped by our caution.
                Err(error) if round.mode == Mode::Compromised => {
                    progress.warnings.push(format!("{error}: the new keys are shown at once"));
                    if let Some(round) = &mut progress.record.round {
                        round.is_hiding = false;
                    }
                }
                outcome => outcome?,
            },
            Step::Replace => self.replace(&round, situation).await?,
            Step::Publish => self.publish(&round, situation, progress).await?,
            Step::Lost => {
                progress.warnings.push("a server shows other records again: the wait begins anew".into())
            }
            Step::Prove => {
                let wanted = round.targets().union(&situation.others).copied().collect();
                // While keys overlap the old one is there as well.
                let leaving = if round.mode == Mode::Overlap { BTreeSet::new() } else { round.leaving() };
                if let Err(why) = self.records().prove(&wanted, &leaving).await? {
                    return Ok(Some(Wait::Proof(why)));
                }
            }
            Step::Show => self.show(&round, situation).await?,
            Step::Finish => finish(&round, situation, progress)?,
            Step::Idle | Step::Ground | Step::Spread | Step::Withdraw | Step::Wait(_) => {}
        }
        Ok(None)
    }

    async fn prepare(&self, round: &Round, situation: &Situation) -> Result<Vec<Change>, Error> {
        let mut changes = round.changes.clone();
        for change in changes.iter_mut().filter(|change| change.new.is_none()) {
            let is_old = |path: &Path| path == Path::new(&change.path);
            let old = situation.host.keys.iter().find(|(file, _)| is_old(file.path()));
            let bits = old.and_then(|(_, key)| key.rsa_bits());
            let made = file(change).make_next(change.key_type, bits, KEYGEN).await.map_err(file_error)?;
            change.new = Some(made.sha256());
        }
        Ok(changes)
    }

    /// sshd tells of the next key to clients that have logged in (OpenSSH's PROTOCOL section 2.5).
    async fn announce(&self, round: &Round, situation: &Situation) -> Result<(), Error> {
        let is_hidden = round.hidden.is_some();
        let algorithms = if is_hidden { hiding(&situation.host, &types(round))?.algorithms } else { None };
        let expected: Vec<(KeyType, Expected)> = round
            .changes
            .iter()
            .map(|change| match (is_hidden, change.old) {
                (false, Some(old)) => (change.key_type, Expected::Key(old)),
                _ => (change.key_type, Expected::Hidden),
            })
            .collect();
        let content = Some(Content { host_keys: with_next(round, situation), algorithms });
        self.configure(situation, content, &expected, other(round, situation)).await
    }

    async fn hide(&self, round: &Round, situation: &Situation) -> Result<(), Error> {
        if let (true, Some(drop_in)) = (round.is_explicit, &situation.drop_in) {
            for change in round.changes.iter().filter(|change| change.old.is_none()) {
                drop_in.keep(Path::new(&change.path)).map_err(drop_in_error)?;
            }
        }
        let expected: Vec<_> =
            types(round).into_iter().map(|key_type| (key_type, Expected::Hidden)).collect();
        let mut content = hiding(&situation.host, &types(round))?;
        // Whoever connects now would forget a key that is not told of any more, and be surprised by it later.
        if round.tells_next() {
            content.host_keys = with_next(round, situation);
        }
        let content = Some(content);
        self.configure(situation, content, &expected, other(round, situation)).await
    }

    async fn replace(&self, round: &Round, situation: &Situation) -> Result<(), Error> {
        for change in &round.changes {
            match round.target(change) {
                Some(wanted) => file(change).bring(|key| key.sha256() == wanted).map_err(file_error)?,
                None => file(change).take_away().map_err(file_error)?,
            }
        }
        // Not sooner, lest anybody forget it in between; and not left so: of a message that tells of one key twice ssh
        // takes nothing.
        match (situation.host.tells_next(), round.is_hiding) {
            (false, _) => Ok(()),
            (true, true) => self.hide(round, situation).await,
            (true, false) => self.configure(situation, None, &[], None).await,
        }
    }

    async fn publish(
        &self,
        round: &Round,
        situation: &Situation,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let keys = situation.host.published()?;
        let mut wanted: SshfpSet = keys.iter().map(Sshfp::of_key).collect();
        wanted.extend(progress.record.also_wanted().iter().map(record));
        let leaving: BTreeSet<(KeyType, Digest)> = round
            .changes
            .iter()
            .flat_map(|change| [change.old, change.new].map(|key| Some((change.key_type, key?))))
            .flatten()
            .collect();
        // Before they are replaced, and with them their signatures.
        let before = match round.mode {
            Mode::Compromised => self.records().signatures().await,
            _ => Vec::new(),
        };
        self.records().publish(&wanted, &leaving).await?;
        if round.mode == Mode::Compromised {
            let now = verifier::now();
            let policies = &self.options.policies;
            let names = self.spots.iter().flat_map(|spot| &spot.names);
            for name in names {
                if let Some(window) = Window::of(now, &before, &policies.of(&name.to_string())) {
                    progress.notes.push(format!(
                        "whoever has the old key can pass for {name} for up to {}, until {} (by replaying the old records), \
                         else until {} (caches); until then clients with old caches refuse the new key",
                        moment::span(window.length(now)),
                        moment::text(window.replayed_until),
                        moment::text(window.cached_until)
                    ));
                }
            }
            for old in round.changes.iter().filter_map(|change| change.old) {
                progress.notes.push(format!(
                    "certificates of the old key are good until they end, unless its CA revokes it: sshanchor ca revoke --sha256 {}",
                    data_encoding::HEXLOWER.encode(&old)
                ));
            }
        }
        Ok(())
    }

    async fn show(&self, round: &Round, situation: &Situation) -> Result<(), Error> {
        let expected: Vec<(KeyType, Expected)> = round
            .changes
            .iter()
            .map(|change| match round.target(change) {
                Some(key) => (change.key_type, Expected::Key(key)),
                None => (change.key_type, Expected::Hidden),
            })
            .collect();
        if let Some(drop_in) = &situation.drop_in {
            let is_gone = |change: &Change| change.old.is_none() && round.target(change).is_none();
            if round.is_explicit && round.changes.iter().any(is_gone) {
                drop_in.keep_none().map_err(drop_in_error)?;
            }
        }
        self.configure(situation, None, &expected, None).await
    }

    async fn configure(
        &self,
        situation: &Situation,
        content: Option<Content>,
        expected: &[(KeyType, Expected)],
        other: Option<KeyType>,
    ) -> Result<(), Error> {
        let change = Configuration { content, expected, other };
        configure(&self.server, situation.drop_in.as_ref(), &change).await
    }
}

fn finish(round: &Round, situation: &Situation, progress: &mut Progress) -> Result<(), Error> {
    if let Some(drop_in) = &situation.drop_in {
        files::sweep(files::folder(&drop_in.path()));
    }
    for change in &round.changes {
        let file = file(change);
        let was_used = file.settle().map_err(file_error)?;
        let path = change.path.as_str();
        if was_used && round.aborted.is_none() {
            progress.notes.push(format!("{path} is the new key; the old private key is removed"));
        }
        for certificate in situation.host.certificates(file.path()) {
            if round.aborted.is_none() {
                progress.warnings.push(format!(
                    "{} is about the old key, and sshd does not show it any more: sshanchor ca renew",
                    certificate.display()
                ));
            }
        }
    }
    Ok(())
}

fn file(change: &Change) -> HostKeyFile {
    HostKeyFile::at(Path::new(&change.path))
}

fn types(round: &Round) -> Vec<KeyType> {
    round.changes.iter().map(|change| change.key_type).collect()
}

/// A type that serves while others are hidden.
fn other(round: &Round, situation: &Situation) -> Option<KeyType> {
    let hidden = types(round);
    situation.host.offered().into_iter().find(|key_type| !hidden.contains(key_type))
}

/// The host keys that sshd is to be told of, for it to tell of the next ones: in front of those that sshd_config names,
/// which needs their type to be hidden; or all, where it names none.
fn with_next(round: &Round, situation: &Situation) -> Vec<PathBuf> {
    let next = round.changes.iter().map(|change| suffixed(Path::new(&change.path), NEXT));
    let present = situation.host.effective.host_keys.iter().filter(|path| path.exists() && !is_next(path));
    present.filter(|_| !round.is_explicit).cloned().chain(next).collect()
}
