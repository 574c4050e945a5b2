//! How a rotation begins: what is wrong with the host, or with what stands in DNS, is told before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::foreign::Foreign;
use super::host::{self, Host};
use super::records::Set;
use super::{Prospect, Rotation, server, store};
use crate::error::{Error, Kind};
use crate::proto::hostkey::KeyType;
use crate::proto::rotation::{self, Change, Digest, Mode, Record, Round, Shown, Sight, Wish};
use crate::proto::sshfp::{self, Sshfp};
use crate::ssh::host_key_file::HostKeyFile;
use crate::ssh::sshd::drop_in::DropIn;
use crate::verifier;

impl Rotation {
    /// Puts `types` into the queue (none: all that the host has), where nothing is under way. What is wrong with the
    /// host, or with what stands in DNS, is told before anything is done. [`Rotation::advance`] does the rest.
    /// Gives what there is to be said of it.
    pub async fn begin(&self, types: &[KeyType], wish: Wish) -> Result<Vec<String>, Error> {
        let lock = store::lock(&self.state)?;
        let mut record = store::read(&self.state)?;
        let mut host = Host::read(&self.server.sshd, self.server.patience).await?;
        let mut types = chosen(&host, types)?;
        types.retain(|key_type| !record.is_saved(*key_type));
        let (mut left, mut notes) = (Vec::new(), Vec::new());
        // More of what is asked for already keeps what was asked for first.
        let before = record.is_open().then_some(record.wish);
        let since =
            before.filter(|wish| wish.mode == Mode::Compromised).map_or(wish.since, |before| before.since);
        let margin = before.map_or(wish.margin, |before| before.margin.max(wish.margin));
        if wish.mode == Mode::Compromised {
            let before = record.queue.clone();
            left = self.interrupt(&mut record, &host, &types, &mut notes).await?;
            let dropped: Vec<KeyType> =
                before.into_iter().filter(|t| !record.queue.contains(t) && !types.contains(t)).collect();
            if !dropped.is_empty() {
                notes.push(format!(
                    "the rotation of {} that was under way is given up: begin it again once this one has ended",
                    list(&dropped)
                ));
            }
            host = Host::read(&self.server.sshd, self.server.patience).await?;
        } else if record.is_open() {
            let error = Error::usage("under-way", "a rotation is under way already");
            return Err(error.hint(
                "go on with it: sshanchor rotate --resume; see where it is: --status; give it up: --abort",
            ));
        }
        record.wish = Wish { since, margin, ..wish };
        record.queue.extend(
            types.iter().filter(|key_type| !record.queue.contains(key_type)).copied().collect::<Vec<_>>(),
        );
        // Whatever is wrong is told before anything is written down.
        if record.round.is_none() {
            let (mut warnings, now) = (Vec::new(), verifier::now());
            self.new_round(&record, &host, now, &mut warnings).await?;
        }
        crate::crash::may_crash("begin", "before");
        store::write(&self.state, &record, &lock)?;
        crate::crash::may_crash("begin", "after");
        // Only now that nobody would look for it.
        left.iter().try_for_each(|file| file.settle().map(drop)).map_err(host::file_error)?;
        Ok(notes)
    }

    /// A rotation that is under way gives way to an emergency, or where its key has been replaced already, becomes part
    /// of it. What it leaves beside these keys may go.
    async fn interrupt(
        &self,
        record: &mut Record,
        host: &Host,
        types: &[KeyType],
        notes: &mut Vec<String>,
    ) -> Result<Vec<HostKeyFile>, Error> {
        let was_planned = record.wish.mode != Mode::Compromised;
        let Some(round) = &mut record.round else {
            if was_planned {
                record.queue.clear();
            }
            return Ok(Vec::new());
        };
        let changing: Vec<KeyType> = round.changes.iter().map(|change| change.key_type).collect();
        if round.replaced.is_none() && round.mode != Mode::Compromised {
            if round.touched.is_some() {
                let change = server::Change { content: None, expected: &[], other: None };
                let drop_in = DropIn::find(self.server.sshd.config()).ok();
                server::configure(&self.server, drop_in.as_ref(), &change).await?;
            }
            let files = round.changes.iter().map(|change| HostKeyFile::at(Path::new(&change.path))).collect();
            record.round = None;
            record.queue.clear();
            return Ok(files);
        }
        // What else was planned is no emergency.
        if was_planned {
            record.queue.retain(|key_type| changing.contains(key_type));
        }
        let more: Vec<KeyType> = types.iter().filter(|t| !changing.contains(t)).copied().collect();
        // The next run of the steps puts it away, and begins with the others.
        if round.is_over() || (more.is_empty() && round.mode == Mode::Compromised) {
            return Ok(Vec::new());
        }
        let changes = more.iter().map(|key_type| change(host, *key_type)).collect::<Result<Vec<_>, _>>()?;
        if !more.is_empty() {
            let keys = list(&changing);
            notes
                .push(format!("the change of {keys} that is under way goes on with {} at once", list(&more)));
        }
        let all: Vec<KeyType> = changing.into_iter().chain(more).collect();
        let is_hiding = self.hides(Mode::Compromised, &all, host, notes)?;
        round.overtake(changes, is_hiding);
        Ok(Vec::new())
    }

    /// sshd is not to offer these types while they change, for it offers others.
    fn hides(
        &self,
        mode: Mode,
        types: &[KeyType],
        host: &Host,
        warnings: &mut Vec<String>,
    ) -> Result<bool, Error> {
        let served = host.offered().iter().any(|key_type| !types.contains(key_type));
        let drop_in = DropIn::find(self.server.sshd.config());
        match (mode, served, drop_in) {
            (Mode::Overlap, ..) | (Mode::Compromised, false, _) => Ok(false),
            (Mode::Hide, false, _) => {
                let message = "sshd_config's HostKeyAlgorithms leave nothing but the type that changes";
                Err(Error::usage("no-other-type", message).hint(
                    "allow another type that the host has; or, where no client goes by VerifyHostKeyDNS: --overlap",
                ))
            }
            // Whoever has the key is not to be helped by our caution.
            (Mode::Compromised, true, Err(error)) => {
                warnings.push(format!("{error}: the new keys are shown at once"));
                Ok(false)
            }
            (Mode::Hide, true, Err(error)) => Err(host::drop_in_error(error)),
            (_, true, Ok(_)) => Ok(true),
        }
    }

    /// What [`Rotation::begin`] would do; what speaks against it, where nothing is under way, as it would say it. Nothing
    /// is changed.
    pub async fn would_begin(&self, asked: &[KeyType], wish: Wish) -> Result<Prospect, Error> {
        let host = Host::read(&self.server.sshd, self.server.patience).await?;
        let (types, mut warnings, mut first) = (chosen(&host, asked)?, Vec::new(), None);
        let record = store::read(&self.state)?;
        if !record.is_open() {
            let record = Record { wish, queue: types.clone(), ..record };
            first = Some(self.new_round(&record, &host, verifier::now(), &mut warnings).await?);
        }
        Ok(Prospect { wish, types, first, warnings })
    }

    /// What comes first of the queue, where nothing speaks against it.
    pub(super) async fn new_round(
        &self,
        record: &Record,
        host: &Host,
        now: u64,
        warnings: &mut Vec<String>,
    ) -> Result<Round, Error> {
        let Wish { mode, announce, .. } = record.wish;
        let types = host.types();
        let (sights, sets) = self.records().look().await?;
        let foreign = Foreign::of(&sets, &self.state)?;
        let (key_type, is_added) = rotation::next(&record.queue, mode, &types, &foreign.types())
            .ok_or_else(|| Error::usage("no-rotation", "no rotation is under way"))?;
        if is_added {
            foreign.allow(key_type, &types, warnings)?;
        }
        let wanted: Vec<KeyType> =
            if mode == Mode::Compromised { record.queue.clone() } else { vec![key_type] };
        let mut changes = Vec::new();
        for key_type in &wanted {
            changes.push(match is_added {
                true => {
                    let path = text(host.place_for(*key_type)?)?;
                    Change { key_type: *key_type, path, old: None, new: None }
                }
                false => change(host, *key_type)?,
            });
        }
        let paths: BTreeSet<PathBuf> = changes.iter().map(|change| PathBuf::from(&change.path)).collect();
        let others = host.others(&paths)?;
        let is_explicit = host::is_explicit(&self.server.sshd, host, self.server.patience).await?;
        let is_hiding = self.hides(mode, &wanted, host, warnings)?;
        if mode != Mode::Compromised {
            self.preflight(&changes, &others, &sights, &sets).await?;
        }
        let announce = match (mode, is_explicit, is_added) {
            (Mode::Overlap, true, _) if announce > 0 => {
                warnings.push(
                    "sshd_config names its HostKeys: with --overlap the next key cannot be announced there"
                        .into(),
                );
                0
            }
            (Mode::Compromised, ..) | (_, _, true) => 0,
            _ => announce,
        };
        warnings.extend(worries(&changes, host, mode, &sets));
        let lacks =
            |sight: &Sight| !sight.shown.as_ref().is_ok_and(|shown| others.is_subset(&shown.everywhere));
        let ground = (!sights.iter().any(lacks)).then_some(0);
        let round = Round::new(mode, changes, now);
        let mut round = Round { is_hiding, is_explicit, announce, ground, ..round };
        round.see_ttl(&sights);
        Ok(round)
    }

    /// What stands in DNS is what clients rely on meanwhile.
    async fn preflight(
        &self,
        changes: &[Change],
        others: &BTreeSet<Digest>,
        sights: &[Sight],
        sets: &[Set],
    ) -> Result<(), Error> {
        if let Some((sight, why)) =
            sights.iter().filter(|s| s.is_primary).find_map(|s| Some((s, s.shown.as_ref().err()?)))
        {
            let message = format!(
                "{} does not show the records at {}: {why}; nothing was begun",
                sight.server, sight.owner
            );
            return Err(Error::failure("no-answer", message)
                .hint("see what is wrong there: sshanchor doctor; then do it again"));
        }
        for set in sets {
            let owner = &set.owner;
            let algorithms: BTreeSet<u8> =
                changes.iter().map(|change| change.key_type.sshfp_algorithm()).collect();
            let is_of = |record: &&Sshfp| algorithms.contains(&record.algorithm());
            if let Some(record) =
                set.present.records.iter().filter(is_of).find(|r| r.fingerprint_type() == sshfp::SHA1)
            {
                let message = format!(
                    "{owner} has the SHA-1 record {record}, which OpenSSH would hold against the new key"
                );
                return Err(Error::usage("sha1-records", message)
                    .hint("take such records away first: sshanchor publish --prune"));
            }
        }
        let olds: BTreeSet<Digest> = changes.iter().filter_map(|change| change.old).collect();
        let wanted: BTreeSet<Digest> = olds.union(others).copied().collect();
        let shown: Vec<&Shown> =
            sights.iter().filter(|s| s.is_primary).filter_map(|s| s.shown.as_ref().ok()).collect();
        if shown.iter().any(|shown| !olds.is_subset(&shown.everywhere)) {
            let error = Error::usage("not-published", "the key that is to change does not stand in DNS");
            return Err(error.hint("publish this machine's keys first: sshanchor publish"));
        }
        if shown.iter().all(|shown| wanted.is_subset(&shown.everywhere))
            && let Err(why) = self.records().prove(&olds, &BTreeSet::new()).await?
        {
            let message = format!("clients cannot prove the records as they are: {why}; nothing was changed");
            return Err(Error::new(Kind::Unproven, "not-proven", message)
                .hint("see why: sshanchor doctor, sshanchor lookup NAME"));
        }
        Ok(())
    }
}

/// What some clients may suffer from all the same.
fn worries(changes: &[Change], host: &Host, mode: Mode, sets: &[Set]) -> Vec<String> {
    let mut worries = Vec::new();
    for change in changes {
        for certificate in host.certificates(Path::new(&change.path)) {
            worries.push(format!(
                "{} is about the key that changes: sshanchor ca renew, as soon as the rotation has ended; until then clients \
                 that go by certificates alone need one about another key",
                certificate.display()
            ));
        }
    }
    let changing: BTreeSet<u8> = changes.iter().map(|change| change.key_type.sshfp_algorithm()).collect();
    for set in sets.iter().filter(|_| mode == Mode::Hide) {
        let mut count: BTreeMap<u8, usize> = BTreeMap::new();
        for record in set.present.records.iter().filter(|record| !changing.contains(&record.algorithm())) {
            *count.entry(record.algorithm()).or_default() += 1;
        }
        for (algorithm, _) in count.iter().filter(|(_, count)| **count > 1) {
            worries.push(format!(
                "{} has several records of algorithm {algorithm}: OpenSSH with VerifyHostKeyDNS refuses such keys, and may be \
                 shown one while the other type is hidden",
                set.owner
            ));
        }
    }
    worries
}

/// The types that are meant: all that the host has, or those of `asked` that it has.
fn chosen(host: &Host, asked: &[KeyType]) -> Result<Vec<KeyType>, Error> {
    let has = host.types();
    let types: Vec<KeyType> = match asked {
        [] => has,
        // A family is asked for, of which a host has one or the other.
        asked if asked.iter().any(|key_type| has.contains(key_type)) => {
            asked.iter().filter(|key_type| has.contains(key_type)).copied().collect()
        }
        asked => asked.to_vec(),
    };
    if types.is_empty() {
        return Err(Error::failure("no-host-keys", "sshd has no host key that can be rotated")
            .hint("run this as root; make host keys: ssh-keygen -A"));
    }
    for key_type in &types {
        host.of_type(*key_type)?;
    }
    Ok(types)
}

fn list(types: &[KeyType]) -> String {
    types.iter().map(|key_type| key_type.name()).collect::<Vec<_>>().join(", ")
}

/// The change of a type that the host has.
fn change(host: &Host, key_type: KeyType) -> Result<Change, Error> {
    let (file, key) = host.of_type(key_type)?;
    Ok(Change { key_type, path: text(file.path().to_owned())?, old: Some(key.sha256()), new: None })
}

fn text(path: PathBuf) -> Result<String, Error> {
    path.into_os_string().into_string().map_err(|path| {
        Error::usage("host-key-file", format!("the path {} is not UTF-8", PathBuf::from(path).display()))
    })
}
