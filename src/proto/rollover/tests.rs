use proptest::prelude::*;

use super::*;
use crate::proto::hostkey::KeyType;
use crate::proto::issuance::{Issued, KeyDigest};

const OLD: Key = Key([1; 32]);
const NEW: Key = Key([2; 32]);
const NOW: u64 = 1_800_000_000;
const TTL: u32 = 3600;

fn set(old: bool, new: bool) -> Seen {
    Seen::Set { old, new, ttl: TTL }
}

/// All servers alike.
fn seen(server: Seen, signing: Key, needed: usize) -> Observation {
    let until = if needed > 0 { NOW + 999_999 } else { 0 };
    Observation { primary: server, others: vec![server], signing, needed: Needed { count: needed, until } }
}

fn at(at: Stage) -> State {
    State { at, ..start(None, OLD, NEW, DEFAULT_SETTLE, NOW).unwrap() }
}

#[test]
fn a_roll_goes_from_stage_to_stage() {
    let mut state = start(None, OLD, NEW, DEFAULT_SETTLE, NOW).unwrap();
    let (both, signed) = (set(true, true), NOW + u64::from(TTL));
    let lagging = Observation { primary: both, ..seen(set(true, false), OLD, 3) };
    let settled = signed + 20 + DEFAULT_SETTLE;
    let lagging_end = Observation { primary: set(false, true), ..seen(both, NEW, 0) };
    for (observation, now, action, stage) in [
        (seen(set(true, false), OLD, 3), NOW, Action::Publish, Stage::Publishing),
        (lagging, NOW, Action::WaitForServers { left: 1 }, Stage::Publishing),
        (seen(both, OLD, 3), NOW, Action::WaitUntil(signed), Stage::Propagating { until: signed }),
        (seen(both, OLD, 3), signed - 1, Action::WaitUntil(signed), Stage::Propagating { until: signed }),
        (seen(both, OLD, 3), signed, Action::SwitchSigning, Stage::Switching),
        (
            seen(both, NEW, 3),
            signed + 1,
            Action::WaitForReissue { left: 3, until: NOW + 999_999 },
            Stage::Reissuing,
        ),
        (
            seen(both, NEW, 1),
            signed + 9,
            Action::WaitForReissue { left: 1, until: NOW + 999_999 },
            Stage::Reissuing,
        ),
        (seen(both, NEW, 0), signed + 20, Action::WaitUntil(settled), Stage::Settling { until: settled }),
        (seen(both, NEW, 0), settled, Action::Withdraw, Stage::Withdrawing),
        (lagging_end, settled + 1, Action::WaitForServers { left: 1 }, Stage::Withdrawing),
        (seen(set(false, true), NEW, 0), settled + 2, Action::Done, Stage::Done),
        (seen(set(false, true), NEW, 0), settled + 3, Action::Done, Stage::Done),
    ] {
        let (next, next_action) = step(&state, &observation, now).unwrap();
        assert_eq!((next_action, next.at), (action, stage));
        // Looked at again it is the same, and what is written down is read again.
        assert_eq!(step(&next, &observation, now).unwrap(), (next.clone(), action));
        let text = serde_json::to_string(&next).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), next, "{text}");
        assert!(!next.explain(&action).is_empty());
        state = next;
    }
    let other = Key([3; 32]);
    assert_eq!(start(Some(&state), NEW, other, 0, NOW).unwrap().at, Stage::Publishing);
}

#[test]
fn what_goes_wrong_meanwhile_is_mended_or_waited_for() {
    let both = set(true, true);
    let step = |stage, seen: &Observation| {
        let (state, action) = step(&at(stage), seen, NOW).unwrap();
        (state.at, action)
    };
    let propagating = Stage::Propagating { until: NOW };
    assert_eq!(step(propagating, &seen(set(true, false), OLD, 1)), (Stage::Publishing, Action::Publish));
    let silent = Observation { others: vec![Seen::Silent], ..seen(both, OLD, 1) };
    let wait = Action::WaitForServers { left: 1 };
    assert_eq!(step(propagating, &silent), (Stage::Publishing, wait));
    assert_eq!(step(Stage::Switching, &silent), (Stage::Publishing, wait));
    let silent = Observation { primary: Seen::Silent, ..seen(both, OLD, 1) };
    assert_eq!(step(Stage::Publishing, &silent), (Stage::Publishing, wait));
    // A backup of the CA's folder brought the old key back.
    assert_eq!(step(Stage::Reissuing, &seen(both, OLD, 0)), (Stage::Switching, Action::SwitchSigning));
    let settling = Stage::Settling { until: NOW };
    assert_eq!(step(settling, &seen(both, OLD, 0)), (Stage::Switching, Action::SwitchSigning));
    // The set was put back to what it was.
    for old in [true, false] {
        let lost = set(old, !old);
        assert_eq!(step(settling, &seen(lost, NEW, 0)), (Stage::Reissuing, Action::Publish));
    }
    assert!(matches!(step(settling, &seen(both, NEW, 1)), (Stage::Reissuing, Action::WaitForReissue { .. })));
    assert_eq!(step(Stage::Withdrawing, &seen(both, NEW, 0)), (Stage::Withdrawing, Action::Withdraw));
    assert!(matches!(step(Stage::Withdrawing, &seen(both, NEW, 1)).1, Action::WaitForReissue { .. }));
    assert_eq!(
        step(Stage::Withdrawing, &seen(set(false, true), NEW, 1)),
        (Stage::Reissuing, Action::Publish)
    );
}

#[test]
fn a_ttl_that_was_longer_before_counts() {
    let long = Seen::Set { old: true, new: false, ttl: 9 * TTL };
    let (state, action) = step(&at(Stage::Publishing), &seen(long, OLD, 1), NOW).unwrap();
    assert_eq!(action, Action::Publish);
    let (_, action) = step(&state, &seen(set(true, true), OLD, 1), NOW).unwrap();
    assert_eq!(action, Action::WaitUntil(NOW + 9 * u64::from(TTL)));
}

#[test]
fn what_is_unsafe_is_refused() {
    let both = set(true, true);
    assert_eq!(start(None, OLD, OLD, 0, NOW), Err(Refusal::SameKey(OLD)));
    let present = at(Stage::Reissuing);
    assert_eq!(start(Some(&present), NEW, OLD, 0, NOW), Err(Refusal::UnderWay { old: OLD, new: NEW }));
    let newer = State { version: 2, ..at(Stage::Publishing) };
    assert_eq!(step(&newer, &seen(both, OLD, 0), NOW), Err(Refusal::Version(2)));

    let withdraw = |stage, observation: &Observation| may_withdraw(&at(stage), observation, NOW);
    assert_eq!(withdraw(Stage::Settling { until: NOW }, &seen(both, NEW, 0)), Ok(()));
    let late = Stage::Settling { until: NOW + 1 };
    assert_eq!(withdraw(late, &seen(both, NEW, 0)), Err(Refusal::Settling(NOW + 1)));
    let unsettled = Err(Refusal::Settling(NOW + DEFAULT_SETTLE));
    assert_eq!(withdraw(Stage::Reissuing, &seen(both, NEW, 0)), unsettled);
    assert_eq!(withdraw(Stage::Withdrawing, &seen(both, OLD, 0)), Err(Refusal::Signing(OLD)));
    let in_use = Refusal::InUse(Needed { count: 2, until: NOW + 999_999 });
    assert_eq!(withdraw(Stage::Withdrawing, &seen(both, NEW, 2)), Err(in_use));
    assert_eq!(withdraw(Stage::Withdrawing, &seen(set(true, false), NEW, 0)), Err(Refusal::NoOther));
    let silent = Observation { others: vec![Seen::Silent], ..seen(both, NEW, 0) };
    assert_eq!(withdraw(Stage::Withdrawing, &silent), Err(Refusal::NoOther));

    let forget = |observation: &Observation| may_forget(&at(Stage::Publishing), observation);
    assert_eq!(forget(&seen(set(true, false), OLD, 5)), Ok(()));
    assert_eq!(forget(&seen(both, OLD, 0)), Err(Refusal::Published(NEW)));
    assert_eq!(forget(&seen(set(true, false), NEW, 0)), Err(Refusal::Signing(NEW)));
    let silent = Observation { others: vec![Seen::Silent], ..seen(set(true, false), OLD, 0) };
    assert_eq!(forget(&silent), Err(Refusal::Published(NEW)));
}

fn certificate(ca: Key, key: u8, names: &[&str], state: ledger::State) -> Standing {
    let issued = Issued {
        serial: 1,
        key_id: "x".into(),
        principals: names.iter().map(|&name| name.to_owned()).collect(),
        key: KeyDigest { key_type: KeyType::Ed25519, sha256: [key; 32] },
        ca_sha256: ca.0,
        valid_after: NOW,
        valid_before: NOW + u64::from(key),
        blob: Vec::new(),
    };
    Standing { time: NOW, issued, state }
}

#[test]
fn a_certificate_is_needed_until_one_for_its_key_and_names_is_there() {
    use ledger::State::{Expired, Revoked, Valid};
    let needed = |all: &[Standing]| needed(all, OLD, NEW);
    let none = Needed::default();
    let one = Needed { count: 1, until: NOW + 7 };
    let old = certificate(OLD, 7, &["a", "b"], Valid);
    assert_eq!(needed(&[]), none);
    assert_eq!(needed(std::slice::from_ref(&old)), one);
    for (other, expected) in [
        (certificate(NEW, 7, &["b", "c", "a"], Valid), none),
        (certificate(NEW, 7, &["a"], Valid), one),
        (certificate(NEW, 8, &["a", "b"], Valid), one),
        (certificate(NEW, 7, &["a", "b"], Expired), one),
        (certificate(OLD, 8, &["c"], Expired), one),
        (certificate(OLD, 8, &["c"], Revoked), one),
        (certificate(OLD, 8, &["c"], Valid), Needed { count: 2, until: NOW + 8 }),
    ] {
        assert_eq!(needed(&[old.clone(), other.clone()]), expected, "{other:?}");
    }
}

/// A zone with servers that lag, caches that keep what they had for its TTL, hosts that renew now and then, and a
/// process that is killed wherever it is.
struct World {
    now: u64,
    /// Old and new at the primary, then at the others.
    servers: Vec<(bool, bool)>,
    /// What caches may still hold, and until when.
    cached: Vec<((bool, bool), u64)>,
    signing: Key,
    /// What each host has got, a CA key and an expiry each.
    issued: Vec<Vec<(Key, u64)>>,
    /// What each host shows, and by when it shows what it got last.
    shown: Vec<(Key, u64, u64)>,
    state: State,
}

const SETTLE: u64 = 5000;
const LIFE: u64 = 40_000;

impl World {
    fn new(hosts: usize, others: usize) -> World {
        let first = (OLD, NOW + LIFE);
        World {
            now: NOW,
            servers: vec![(true, false); others + 1],
            cached: Vec::new(),
            signing: OLD,
            issued: vec![vec![first]; hosts],
            shown: vec![(OLD, NOW + LIFE, u64::MAX); hosts],
            state: start(None, OLD, NEW, SETTLE, NOW).unwrap(),
        }
    }

    fn observe(&self) -> Observation {
        let as_seen = |&(old, new): &(bool, bool)| Seen::Set { old, new, ttl: TTL };
        let mut needed = Needed::default();
        for issued in &self.issued {
            let has_new = issued.iter().any(|(ca, end)| *ca == NEW && *end > self.now);
            for (_, end) in issued.iter().filter(|(ca, end)| *ca == OLD && *end > self.now && !has_new) {
                needed = Needed { count: needed.count + 1, until: needed.until.max(*end) };
            }
        }
        Observation {
            primary: as_seen(&self.servers[0]),
            others: self.servers[1..].iter().map(as_seen).collect(),
            signing: self.signing,
            needed,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Publish => self.servers[0] = (true, true),
            Action::Withdraw => self.servers[0] = (false, true),
            Action::SwitchSigning => self.signing = NEW,
            _ => {}
        }
    }

    /// Every cache may have asked every server just now.
    fn remember(&mut self) {
        for server in self.servers.clone() {
            self.cached.push((server, self.now + u64::from(TTL)));
        }
        let now = self.now;
        self.cached.retain(|(_, end)| *end > now);
        self.cached.dedup();
    }

    /// Whatever a client has, it vouches for what each host shows.
    fn holds(&self) -> bool {
        let sets = self.servers.iter().chain(self.cached.iter().map(|(set, _)| set));
        let vouched = |ca: Key, (old, new): &(bool, bool)| if ca == OLD { *old } else { *new };
        let shown = self.shown.iter().filter(|(_, end, _)| *end > self.now);
        shown.clone().all(|(ca, ..)| sets.clone().all(|set| vouched(*ca, set)))
    }
}

#[derive(Debug, Clone)]
enum Happening {
    /// A whole step.
    Step,
    /// Killed before the state is written, or after it and before the action; or the action is done twice.
    KilledBefore,
    KilledBetween,
    Twice,
    /// One of the other servers catches up.
    Transfer(prop::sample::Index),
    /// A host asks for a certificate; and shows it within the time that hosts have.
    Renew(prop::sample::Index),
    Show(prop::sample::Index),
    Wait(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Step),
        1 => Just(Happening::KilledBefore),
        1 => Just(Happening::KilledBetween),
        1 => Just(Happening::Twice),
        3 => any::<prop::sample::Index>().prop_map(Happening::Transfer),
        3 => any::<prop::sample::Index>().prop_map(Happening::Renew),
        3 => any::<prop::sample::Index>().prop_map(Happening::Show),
        4 => (1u64..4000).prop_map(Happening::Wait),
    ]
}

impl World {
    fn happens(&mut self, happening: &Happening) {
        match happening {
            Happening::Step | Happening::KilledBefore | Happening::KilledBetween | Happening::Twice => {
                let (state, action) = step(&self.state, &self.observe(), self.now).unwrap();
                if matches!(happening, Happening::KilledBefore) {
                    return;
                }
                self.state = state;
                if !matches!(happening, Happening::KilledBetween) {
                    self.act(action);
                }
                if matches!(happening, Happening::Twice) {
                    self.act(action);
                }
            }
            Happening::Transfer(which) if self.servers.len() > 1 => {
                let at = 1 + which.index(self.servers.len() - 1);
                self.servers[at] = self.servers[0];
            }
            Happening::Transfer(_) => {}
            Happening::Renew(which) => {
                let at = which.index(self.issued.len());
                self.issued[at].push((self.signing, self.now + LIFE));
                // From the first by another CA on, there is so much time to show it.
                let (ca, _, by) = &mut self.shown[at];
                if *ca != self.signing && *by == u64::MAX {
                    *by = self.now + SETTLE - 1;
                }
            }
            Happening::Show(which) => {
                let at = which.index(self.issued.len());
                self.show(at);
            }
            Happening::Wait(time) => {
                for second in [time / 2, time - time / 2] {
                    self.now += second;
                    for at in 0..self.shown.len() {
                        if self.now >= self.shown[at].2 {
                            self.show(at);
                        }
                    }
                    self.remember();
                }
            }
        }
        self.remember();
    }

    fn show(&mut self, at: usize) {
        let (ca, end) = *self.issued[at].last().unwrap();
        self.shown[at] = (ca, end, u64::MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is in caches, and whenever the process ends, every certificate that is shown is vouched for.
    #[test]
    fn every_served_certificate_is_vouched_for_at_every_moment(
        hosts in 1usize..4,
        others in 0usize..3,
        happenings in prop::collection::vec(happening(), 0..200),
    ) {
        let mut world = World::new(hosts, others);
        for happening in &happenings {
            world.happens(happening);
            prop_assert!(world.holds(), "{:?} at {:?}: {:?} {:?}", happening, world.state.at, world.servers, world.shown);
        }
        // And it ends, once all do their part.
        for _ in 0..100 {
            world.happens(&Happening::Step);
            for server in 1..world.servers.len() {
                world.servers[server] = world.servers[0];
            }
            world.happens(&Happening::Wait(4000));
            for host in 0..hosts {
                let signing = world.signing;
                world.issued[host].push((signing, world.now + LIFE));
                world.show(host);
            }
            prop_assert!(world.holds());
        }
        prop_assert_eq!(world.state.at, Stage::Done);
        prop_assert!(world.servers.iter().all(|server| *server == (false, true)));
    }
}
