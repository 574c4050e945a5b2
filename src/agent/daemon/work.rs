//! One pass of an agent: what this machine is, what stands at the place of its records, what is changed there, and
//! what then is to be seen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::Settings;
use super::memory::Store;
use super::rights::Rights;
use super::watch::Files;
use crate::agent::machine::{self, Keys};
use crate::agent::orphans::{self, Orphan};
use crate::agent::pass::{self, Pass, Target};
use crate::agent::published::{self, Published};
use crate::agent::rotation;
use crate::agent::site::{self, Purpose};
use crate::agent::state::State;
use crate::config::publishing::Publishing;
use crate::error::Error;
use crate::files::pipe;
use crate::proto::certificate::FOREVER;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::Intent;
use crate::proto::renewal;
use crate::proto::status::{Certificate, Moment};
use crate::proto::vanished::{Judgement, LIMIT};

/// So many sets have the whole of the configured time for a pass; more have more.
const SETS_A_TIMEOUT: usize = 100;
/// Longest certificate file that is read, in octets.
const MAX_CERTIFICATE: u64 = 256 * 1024;

/// What this machine is now.
#[derive(Debug, Default)]
pub struct Local {
    /// Of each `[publish]` table the names.
    pub names: Vec<Result<Vec<HostName>, Error>>,
    /// Of each the keys.
    pub keys: Vec<Result<Keys, Error>>,
    /// On which files that rests.
    pub files: Files,
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

/// What became of one set.
#[derive(Debug)]
pub struct Done {
    /// What was wanted.
    pub target: Target,
    /// What became of it.
    pub published: Published,
    /// It is as it should be, and could not be changed if it were not.
    pub locked_out: Option<Error>,
    /// Own records were gone.
    pub judgement: Judgement,
    /// When the first of the signatures over it expires, in seconds since 1970.
    pub signatures_expire: Option<u64>,
}

/// What a rotation has left whose record is lost; and records that were published from here by the configuration, at
/// names that it no longer has.
pub async fn left_over(settings: &Settings, state: &State) -> Vec<String> {
    let mut left = Vec::from_iter(rotation::left_over(state, settings.rotate.sshd_config.as_deref()));
    left.extend(orphans(settings, state).await);
    left
}

async fn orphans(settings: &Settings, state: &State) -> Vec<String> {
    if !settings.configured {
        return Vec::new();
    }
    // What cannot be had here is told where it is needed.
    let (Ok(entries), Ok(named)) = (state.entries(), machine::owners(&settings.publishing).await) else {
        return Vec::new();
    };
    let lost = orphans::orphans(&entries, &named);
    lost.iter().map(|orphan| format!("{}: {}", orphan.message(), Orphan::HINT)).collect()
}

/// Names, keys and certificates of this machine.
pub async fn local(settings: &Settings) -> Local {
    let mut local = Local::default();
    let mut known: BTreeMap<&[PathBuf], (Result<Keys, Error>, machine::Sources)> = BTreeMap::new();
    for table in &settings.publishing {
        local.names.push(machine::names(table).await);
        let files = table.host_keys.as_slice();
        if !known.contains_key(files) {
            let config = settings.rotate.sshd_config.as_deref();
            known.insert(files, machine::keys_and_sources(files, config).await);
        }
        if let Some((keys, _)) = known.get(files) {
            local.keys.push(keys.clone());
        }
    }
    for (_, sources) in known.into_values() {
        local.certificates.extend(sources.certificates.iter().filter_map(|path| certificate(path)));
        local.files.files.extend(sources.keys.into_iter().chain(sources.certificates));
        local.files.folders.extend(sources.folders);
    }
    local
}

fn certificate(path: &Path) -> Option<Certificate> {
    let text = pipe::read(path, MAX_CERTIFICATE, pipe::PATIENCE).ok()?;
    let found = renewal::read(&text).ok()?;
    Some(Certificate {
        path: path.display().to_string(),
        key_type: found.key().key_type().name().to_owned(),
        expires: Some(found.valid_before()).filter(|end| *end != FOREVER).map(Moment),
    })
}

/// How long a pass over so many sets may take.
pub fn patience(settings: &Settings, sets: usize) -> Duration {
    let times = u32::try_from(1 + sets / SETS_A_TIMEOUT).unwrap_or(u32::MAX);
    settings.options.timeout.saturating_mul(times)
}

/// Does what one `[publish]` table wants; what became of each of its sets, and what is to be said of it.
pub async fn table(
    table: &Publishing,
    (names, keys): (&[HostName], &Keys),
    settings: &Settings,
    state: &State,
    store: &mut Store,
    now: u64,
) -> Result<(Vec<Done>, Vec<String>), Error> {
    let intent = Intent::Publish { ttl: table.ttl, prune: table.exclusive };
    let mut wanted = keys.records();
    if table.host_keys.is_empty() {
        // While keys overlap, two of a type are wanted.
        wanted.extend(rotation::also_wanted(state)?);
    }
    let targets = machine::targets(names, table.port, &wanted, intent)?;
    let (pass, warnings) = pass(table, settings, state, targets.len())?;
    let zones = pass.zones(targets.clone()).await?;
    let mut done = Vec::new();
    for lost in zones.lost {
        if let Some(target) = targets.iter().find(|target| target.wish.owner == lost.owner) {
            done.push(Done::new(target, lost));
        }
    }
    for (zone, part) in zones.found {
        match of_zone(&pass, &zone, &part, table, store, now).await {
            Ok(more) => done.extend(more),
            Err(error) => done.extend(part.iter().map(|target| {
                let place = published::SiteName::of(&pass.site);
                let published = Published::failed(&target.name, &target.wish.owner, &place, error.clone());
                Done::new(target, published)
            })),
        }
    }
    Ok((done, warnings))
}

/// How so many sets of a table are changed from now on, and what is to be said of its files.
pub(super) fn pass<'a>(
    table: &'a Publishing,
    settings: &'a Settings,
    state: &State,
    sets: usize,
) -> Result<(Pass<'a>, Vec<String>), Error> {
    let deadline = Instant::now() + patience(settings, sets);
    let ready = site::open(&table.place, Purpose::Change, settings.options.timeout / 2, deadline)?;
    let pass = Pass {
        site: ready.site,
        state: state.clone(),
        zone: table.zone.clone(),
        check_servers: &table.check_servers,
        looks_only: false,
        together: false,
        options: &settings.options,
        prove_by_system: true,
        waits: false,
        require_signed: table.require_signed,
        configured: settings.configured,
    };
    Ok((pass, ready.warnings))
}

async fn of_zone(
    pass: &Pass<'_>,
    zone: &Name,
    targets: &[Target],
    table: &Publishing,
    store: &mut Store,
    now: u64,
) -> Result<Vec<Done>, Error> {
    let label = pass.site.label();
    let mut done = Vec::new();
    let mut to_do = Vec::new();
    let own = pass.state.read()?;
    for (target, mut look) in targets.iter().zip(pass.look(zone, targets).await?) {
        let set = store.sets.entry((target.wish.owner.clone(), label.clone())).or_default();
        // What was withdrawn on this machine is not gone either, such as at its last power-off.
        set.memory
            .standing
            .retain(|record| own.get(&target.wish.owner).is_some_and(|own| own.contains(record)));
        // What could not be read is not gone; the run proper tells why.
        let judgement = match look.error {
            None => set.memory.look(&target.wish.wanted, &look.added, now),
            Some(_) => Judgement::Publish,
        };
        if judgement == Judgement::GiveUp {
            look.error = Some(given_up(&look.owner));
            done.push(Done { judgement, ..Done::new(target, look) });
        } else {
            to_do.push((target.clone(), judgement));
        }
    }
    // Counted before anything is put back: whoever is killed in between does not count it twice.
    store.save(false)?;
    let (targets, judgements): (Vec<Target>, Vec<Judgement>) = to_do.into_iter().unzip();
    if targets.is_empty() {
        return Ok(done);
    }
    let published = pass.run(zone, &targets).await?;
    let mut rights = Rights::new(&pass.site, zone, &mut store.may);
    for ((target, published), judgement) in targets.iter().zip(published).zip(judgements) {
        let (servers, resolver) = (&table.check_servers, &pass.options.resolver);
        let signatures = match published.error {
            None => pass::signatures(&pass.site, zone, &target.wish.owner, servers, resolver).await,
            Some(_) => Ok(Vec::new()),
        };
        let expire = signatures.unwrap_or_default().iter().map(|rrsig| serial(rrsig.expiration, now)).min();
        let locked_out = rights.missing(&target.wish.owner, &published, now).await;
        done.push(Done { judgement, locked_out, signatures_expire: expire, ..Done::new(target, published) });
    }
    Ok(done)
}

/// A moment modulo 2^32, as signatures have it, as the nearest to `now` (RFC 4034 section 3.1.5).
fn serial(moment: u32, now: u64) -> u64 {
    let difference = moment.wrapping_sub(now as u32) as i32;
    now.saturating_add_signed(i64::from(difference))
}

fn given_up(owner: &Name) -> Error {
    Error::failure(
        "vanished",
        format!("own records at {owner} were removed {LIMIT} times within a day: they are not put back any more"),
    )
    .hint("find out who removes them; then have them published again: systemctl reload sshanchor-agent, or sshanchor publish")
}

impl Done {
    fn new(target: &Target, published: Published) -> Self {
        let target = target.clone();
        Done { target, published, locked_out: None, judgement: Judgement::Publish, signatures_expire: None }
    }
}

#[cfg(test)]
mod tests {
    use super::serial;

    #[test]
    fn signatures_expire_in_our_time() {
        let now = 1_795_219_200;
        assert_eq!(serial(now as u32 + 5, now), now + 5);
        assert_eq!(serial(now as u32 - 5, now), now - 5);
        assert_eq!(serial(10, (1 << 32) - 10), (1 << 32) + 10);
        assert_eq!(serial(5, 0), 5);
    }
}
