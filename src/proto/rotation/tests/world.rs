//! The whole of it, against servers that lag, caches that keep what they have, clients in the middle of a handshake, an
//! sshd that starts anew when it likes, the ordinary publisher, a known_hosts file that learns, and crashes anywhere.

use proptest::prelude::*;

use super::*;

/// Most that a cache is behind, in seconds.
const CACHE: u64 = 20;
/// Longest handshake, in seconds.
const SETTLE: u64 = 5;
/// How long the next key is announced, in seconds.
const ANNOUNCE: u64 = 8;

#[derive(Debug, Clone)]
struct World {
    now: u64,
    /// Primary first.
    servers: [BTreeSet<Digest>; 3],
    /// What each cache has, and until when.
    caches: [(BTreeSet<Digest>, u64); 3],
    record: Record,
    /// The keys of the type that changes: on disk, and beside it.
    disk: Option<Digest>,
    beside: Option<Digest>,
    /// A drop-in hides the type: on disk, and as sshd has read it.
    drop_in: (bool, bool),
    /// And by it sshd tells of the key beside.
    tells: (bool, bool),
    /// sshd reads its keys once, at its start, as it does from 9.8 on: this one, and the one beside.
    reads_once: bool,
    loaded: (Option<Digest>, Option<Digest>),
    /// The known_hosts file of somebody who was told of the new key, and takes what sshd tells whenever he connects
    /// (UpdateHostKeys).
    known: Option<BTreeSet<Digest>>,
    /// Handshakes under way: the key that is shown, and when it began.
    handshakes: Vec<(Digest, u64)>,
    /// Steps that are left until a crash.
    fuel: usize,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Tick(u64),
    /// A secondary takes over what the primary has.
    Transfer(usize),
    /// Clients connect, and are slow.
    Connect,
    /// `sshanchor rotate`, ended by a crash after so many moves.
    Rotate(usize),
    /// sshd is reloaded by somebody.
    Reload,
    /// The ordinary publisher runs.
    Publish,
    Abort,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..15u64).prop_map(Happening::Tick),
        3 => (1..3usize).prop_map(Happening::Transfer),
        3 => Just(Happening::Connect),
        5 => (0..9usize).prop_map(Happening::Rotate),
        1 => Just(Happening::Reload),
        1 => Just(Happening::Publish),
        1 => Just(Happening::Abort),
    ]
}

/// A crash.
struct Crash;

impl World {
    fn new(mode: Mode, reads_once: bool, is_added: bool, is_explicit: bool) -> World {
        let old = (!is_added).then_some(OLD);
        let set: BTreeSet<Digest> = old.into_iter().chain([OTHER]).collect();
        let mut round = round(mode);
        round.changes[0] = Change { old, new: None, ..round.changes[0].clone() };
        (round.ttl, round.announce, round.is_explicit) = (CACHE as u32, ANNOUNCE, is_explicit);
        World {
            now: NOW,
            servers: [set.clone(), set.clone(), set.clone()],
            caches: [(set.clone(), NOW + 7), (set.clone(), NOW + 13), (set, NOW + CACHE)],
            record: Record { round: Some(round), ..Record::default() },
            disk: old,
            beside: None,
            drop_in: (false, false),
            tells: (false, false),
            reads_once,
            loaded: (old, None),
            known: None,
            handshakes: Vec::new(),
            fuel: 0,
        }
    }

    fn moves(&mut self) -> Result<(), Crash> {
        self.fuel = self.fuel.checked_sub(1).ok_or(Crash)?;
        Ok(())
    }

    /// The key of the type that sshd shows.
    fn shows(&self) -> Option<Digest> {
        self.read().0.filter(|_| !self.drop_in.1)
    }

    /// The key of the type that sshd has, and the one beside of which it is to tell.
    fn read(&self) -> (Option<Digest>, Option<Digest>) {
        let beside = self.beside.filter(|_| self.tells.1);
        if self.reads_once { self.loaded } else { (self.disk, beside) }
    }

    /// Somebody with a known_hosts file has logged in, and was told of all keys.
    fn is_told(&mut self) {
        let (key, beside) = self.read();
        // ssh takes nothing from a message that tells of one twice.
        if key != beside || key.is_none() {
            let told: BTreeSet<Digest> = key.into_iter().chain(beside).chain([OTHER]).collect();
            self.known = Some(told).filter(|told| self.known.is_some() || told.contains(&NEW));
        }
    }

    fn configure(&mut self, hides: bool, tells: bool) -> Result<(), Crash> {
        self.moves()?;
        (self.drop_in.0, self.tells.0) = (hides, tells);
        self.moves()?;
        self.reload();
        Ok(())
    }

    fn reload(&mut self) {
        (self.drop_in.1, self.tells.1) = (self.drop_in.0, self.tells.0);
        self.loaded = (self.disk, self.beside.filter(|_| self.tells.1));
    }

    /// What the publisher publishes: sshd's keys, and what the record says.
    fn publish(&mut self) {
        let also = self.record.also_wanted().into_iter().map(|(_, key)| key);
        self.servers[0] = self.disk.into_iter().chain([OTHER]).chain(also).collect();
    }

    fn step(&mut self) -> Result<bool, Crash> {
        let now = self.now;
        let sights: Vec<Sight> = (["primary", "b", "c"].iter().zip(&self.servers))
            .map(|(server, keys)| sight(server, &keys.iter().copied().collect::<Vec<_>>()))
            .collect();
        if let Some(round) = &mut self.record.round {
            round.hear(&sights, now);
        }
        let is_exposed =
            self.shows().is_some() && self.record.round.as_ref().is_some_and(|r| r.hidden.is_some());
        let others = BTreeSet::from([OTHER]);
        let step = decide(&Facts {
            now,
            round: self.record.round.as_ref(),
            disk: &[self.disk],
            is_half: false,
            tells_next: self.tells.0,
            others: &others,
            is_exposed,
            has_drop_in: self.drop_in.0 || self.tells.0,
            sights: &sights,
            settle: SETTLE,
            margin: 0,
            dead_after: 1000,
        });
        let Some(round) = self.record.round.as_ref().cloned() else { return Ok(false) };
        let target = round.target(&round.changes[0]);
        if self.record.round.as_mut().unwrap().clone().begin(&step, now) {
            self.moves()?;
            self.record.round.as_mut().unwrap().begin(&step, now);
        }
        match &step {
            Step::Idle | Step::Wait(_) => return Ok(false),
            Step::Prepare => {
                self.moves()?;
                self.beside = Some(NEW);
                self.moves()?;
                self.record.round.as_mut().unwrap().changes[0].new = Some(NEW);
            }
            Step::Announce => self.configure(round.hidden.is_some(), true)?,
            Step::Hide => self.configure(true, round.tells_next())?,
            Step::Show => self.configure(false, false)?,
            Step::Replace => {
                self.moves()?;
                self.disk = target;
                if self.tells.0 {
                    self.configure(round.is_hiding, false)?;
                }
            }
            Step::Publish => {
                self.moves()?;
                self.publish();
            }
            Step::Finish => {
                self.moves()?;
                self.beside = None;
                self.moves()?;
                self.record.finish(now);
            }
            Step::Ground | Step::Spread | Step::Lost | Step::Prove | Step::Withdraw => {}
        }
        self.moves()?;
        if let Some(round) = &mut self.record.round {
            round.mark(&step, now);
        }
        Ok(true)
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(seconds) => {
                self.now += seconds;
                let now = self.now;
                self.handshakes.retain(|(_, began)| began + SETTLE > now);
            }
            Happening::Transfer(server) => self.servers[server] = self.servers[0].clone(),
            Happening::Connect => {
                let shown = self.shows().into_iter().chain([OTHER]).map(|key| (key, self.now));
                self.handshakes.extend(shown);
                self.is_told();
            }
            Happening::Rotate(fuel) => {
                self.fuel = fuel;
                while let Ok(true) = self.step() {}
            }
            Happening::Reload => self.reload(),
            Happening::Publish => self.publish(),
            Happening::Abort => {
                if let Some(round) = &mut self.record.round {
                    let _ = round.abort(self.now);
                }
            }
        }
        for (at, cache) in self.caches.iter_mut().enumerate() {
            // Clients never go without an answer: what is over is asked for at once.
            if cache.1 <= self.now {
                *cache = (self.servers[at % 3].clone(), self.now + CACHE);
            }
        }
    }

    /// Every client accepts every key that it may be shown now: OpenSSH, which wants all records of the type to match,
    /// those that are content with one, and whoever was told of it.
    fn check(&self, mode: Mode) -> Result<(), TestCaseError> {
        let is_known = |known: &BTreeSet<Digest>| self.shows() != Some(NEW) || known.contains(&NEW);
        prop_assert!(self.known.as_ref().is_none_or(is_known), "the new key is not known: {self:?}");
        let shown = self.shows().into_iter().chain([OTHER]);
        for key in shown.chain(self.handshakes.iter().map(|(key, _)| *key)) {
            for (cache, _) in &self.caches {
                let of_type: BTreeSet<Digest> =
                    cache.iter().copied().filter(|other| (*other == OTHER) == (key == OTHER)).collect();
                let is_accepted = match mode {
                    Mode::Overlap => of_type.contains(&key),
                    _ => of_type == BTreeSet::from([key]),
                };
                prop_assert!(is_accepted, "{key:?} is refused: {self:?}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_client_is_ever_refused_whatever_happens(
        overlap: bool, reads_once: bool, is_added: bool, is_explicit: bool,
        happenings in prop::collection::vec(happening(), 1..120)
    ) {
        let mode = if overlap { Mode::Overlap } else { Mode::Hide };
        let is_added = is_added && !overlap;
        let mut world = World::new(mode, reads_once, is_added, is_explicit);
        for happening in happenings {
            world.happens(happening);
            world.check(mode)?;
        }
        // And it comes to its end, once servers and time do their part.
        for _ in 0..12 {
            for happening in [
                Happening::Transfer(1), Happening::Transfer(2), Happening::Connect, Happening::Tick(CACHE + SLACK),
                Happening::Rotate(99),
            ] {
                world.happens(happening);
                world.check(mode)?;
            }
        }
        prop_assert!(world.record.round.is_none(), "{world:?}");
        let past = world.record.past.pop().unwrap();
        let last = if past.aborted { past.change.old } else { past.change.new };
        prop_assert_eq!((world.disk, world.drop_in, world.beside), (last, (false, false), None));
        prop_assert_eq!(world.tells, (false, false));
        prop_assert_eq!(world.shows(), last);
        let set: BTreeSet<Digest> = last.into_iter().chain([OTHER]).collect();
        prop_assert_eq!(&world.servers[0], &set);
    }
}

#[test]
fn the_world_does_refuse_where_a_step_is_skipped() {
    // The property would see it: the new key shown before caches are over, and one that was never hidden.
    let mut world = World::new(Mode::Hide, false, false, false);
    while world.record.round.as_ref().unwrap().replaced.is_none() {
        world.happens(Happening::Rotate(99));
        world.happens(Happening::Tick(1));
    }
    world.happens(Happening::Rotate(99));
    assert!(world.check(Mode::Hide).is_ok());
    world.drop_in = (false, false);
    assert!(world.check(Mode::Hide).is_err());
    let mut world = World::new(Mode::Hide, false, false, false);
    world.disk = Some(NEW);
    assert!(world.check(Mode::Hide).is_err());
}
