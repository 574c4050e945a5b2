//! The whole of it, against servers that lag, caches that keep what they have, hosts that renew when they like, and
//! crashes anywhere.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Most that a cache is behind, in seconds.
const CACHE: u64 = 20;

#[derive(Debug, Clone)]
struct World {
    now: u64,
    /// Primary first.
    servers: [BTreeSet<Digest>; 3],
    /// What each cache has, and until when.
    caches: [(BTreeSet<Digest>, u64); 3],
    /// The key by which each host's certificate is signed.
    hosts: Vec<Digest>,
    certificates: Vec<Standing>,
    keys: (Digest, Option<Digest>, Option<Digest>),
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    /// Time passes.
    Tick(u64),
    /// A secondary takes over what the primary has.
    Transfer(usize),
    /// A cache asks a server, if what it has is over.
    Ask(usize, usize),
    /// A host has a certificate signed, and loads it: renewal is as it is, at any time.
    Renew(usize),
    /// `ca roll`, ended by a crash after so many steps, before or after the last one was written down.
    Roll(usize),
    /// Somebody gives it up.
    Abort,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1..15u64).prop_map(Happening::Tick),
        3 => (1..3usize).prop_map(Happening::Transfer),
        3 => (0..3usize, 0..3usize).prop_map(|(cache, server)| Happening::Ask(cache, server)),
        2 => (0..4usize).prop_map(Happening::Renew),
        4 => (0..4usize).prop_map(Happening::Roll),
        1 => Just(Happening::Abort),
    ]
}

impl World {
    fn new() -> World {
        let set = BTreeSet::from([OLD]);
        let hosts = vec![OLD; 4];
        let certificates = (0..4u8).map(|host| certificate(OLD, host, &["web"], NOW)).collect();
        let mut world = World {
            now: NOW,
            servers: [set.clone(), set.clone(), set.clone()],
            caches: [(set.clone(), NOW), (set.clone(), NOW), (set, NOW)],
            hosts,
            certificates,
            keys: (OLD, Some(NEW), None),
            entries: Vec::new(),
        };
        world.ask();
        world
    }

    /// Clients never go without an answer: what is over is asked for at once.
    fn ask(&mut self) {
        for (at, cache) in self.caches.iter_mut().enumerate() {
            if cache.1 <= self.now {
                *cache = (self.servers[at % 3].clone(), self.now + CACHE);
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        let key = |sha256| KeyDigest { key_type: KeyType::Ed25519, sha256 };
        self.entries.push(Entry { time: self.now, event: mark.event(key(OLD), key(NEW)) });
    }

    fn decide(&self) -> Step {
        let sights: Vec<Sight> = ["primary", "b", "c"]
            .iter()
            .zip(&self.servers)
            .map(|(server, keys)| sight(server, &keys.iter().copied().collect::<Vec<_>>()))
            .collect();
        let new = self.keys.1.unwrap_or(self.keys.0);
        let roll = Roll::read(&self.entries, &new).unwrap();
        let (current, next, retired) = self.keys;
        decide(&Facts {
            now: self.now,
            current,
            next,
            retired,
            roll: roll.as_ref(),
            sights: &sights,
            certificates: &self.certificates,
            margin: 0,
            settle: 0,
        })
    }

    /// One step; false if there is none.
    fn step(&mut self, is_cut_short: bool) -> bool {
        let ttl = CACHE as u32;
        match self.decide() {
            Step::Idle | Step::Wait(_) => return false,
            Step::Begin => self.mark(&Mark::Start { at: roll().at, ttl }),
            Step::Publish { old } => {
                self.servers[0].insert(NEW);
                if old {
                    self.servers[0].insert(OLD);
                }
            }
            Step::Spread => self.mark(&Mark::Spread { ttl }),
            Step::Lost => self.mark(&Mark::Lost { ttl }),
            Step::Switch => {
                self.keys = (NEW, None, Some(OLD));
                if !is_cut_short {
                    self.mark(&Mark::Switch);
                }
            }
            Step::Withdraw => {
                self.servers[0].remove(&OLD);
                if !is_cut_short {
                    self.mark(&Mark::Withdraw);
                }
            }
            Step::Unpublish => drop(self.servers[0].remove(&NEW)),
            Step::Forget => {
                self.mark(&Mark::Done);
                if !is_cut_short {
                    self.keys = (self.keys.0, None, None);
                }
            }
            Step::Revoke => panic!("no emergency"),
        }
        true
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(seconds) => self.now += seconds,
            Happening::Transfer(server) => self.servers[server] = self.servers[0].clone(),
            Happening::Ask(cache, server) => {
                if self.caches[cache].1 <= self.now {
                    self.caches[cache] = (self.servers[server].clone(), self.now + CACHE);
                }
            }
            Happening::Renew(host) => {
                self.hosts[host] = self.keys.0;
                self.certificates.push(certificate(self.keys.0, host as u8, &["web"], self.now));
            }
            Happening::Roll(steps) => {
                for step in 0..=steps {
                    if !self.step(step == steps) {
                        break;
                    }
                }
            }
            Happening::Abort => {
                let is_safe = self.keys.1.is_some();
                if is_safe && Roll::read(&self.entries, &NEW).unwrap().is_some() {
                    self.mark(&Mark::Abort);
                }
            }
        }
        self.ask();
    }

    /// Every client accepts every host.
    fn check(&self) -> Result<(), TestCaseError> {
        for (set, _) in &self.caches {
            for (host, ca) in self.hosts.iter().enumerate() {
                prop_assert!(set.contains(ca), "host {host} is refused: {self:?}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_client_accepts_every_host_whatever_happens(happenings in prop::collection::vec(happening(), 1..120)) {
        let mut world = World::new();
        for happening in happenings {
            world.happens(happening);
            world.check()?;
        }
        // And it comes to its end, once servers, time and hosts do their part.
        for _ in 0..20 {
            for happening in [
                Happening::Transfer(1), Happening::Transfer(2), Happening::Tick(CACHE + SLACK), Happening::Roll(9),
                Happening::Renew(0), Happening::Renew(1), Happening::Renew(2), Happening::Renew(3),
            ] {
                world.happens(happening);
                world.check()?;
            }
        }
        world.step(false);
        let is_aborted = Roll::read(&world.entries, &NEW).unwrap().is_some_and(|roll| roll.is_aborted && world.keys.0 == OLD);
        let last = if is_aborted { OLD } else { NEW };
        prop_assert_eq!(world.keys, (last, None, None));
        for server in &world.servers {
            prop_assert_eq!(server, &BTreeSet::from([last]));
        }
    }
}

#[test]
fn the_world_does_refuse_where_a_step_is_skipped() {
    // The property would see it: the switch before caches are over, and the withdrawal before a host has renewed.
    let mut world = World::new();
    while !matches!(world.decide(), Step::Wait(_)) {
        world.step(false);
    }
    world.keys = (NEW, None, Some(OLD));
    world.happens(Happening::Renew(0));
    assert!(world.check().is_err());
    let mut world = World::new();
    world.servers = world.servers.map(|_| BTreeSet::from([NEW]));
    world.happens(Happening::Tick(CACHE + 1));
    assert!(world.check().is_err());
    let counts: BTreeMap<Digest, usize> = world.hosts.iter().map(|ca| (*ca, 1)).collect();
    assert_eq!(counts.len(), 1);
}
