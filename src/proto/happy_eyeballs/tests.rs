use super::Step::*;
use super::*;

const ZERO: Duration = Duration::ZERO;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn until(n: u64) -> Step {
    Wait(Some(ms(n)))
}

fn v6(n: u16) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 22))
}

fn v4(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 22))
}

fn cold() -> Race {
    let mut race = Race::for_name([], []);
    assert_eq!(race.next(ZERO), LookUp);
    race
}

#[test]
fn families_take_turns_and_ipv6_begins() {
    let mut race = cold();
    race.found([v6(1), v6(2), v6(3)], ms(10));
    race.looked_up(Family::V6);
    assert_eq!(race.next(ms(10)), Attempt(v6(1)));
    assert_eq!(race.next(ms(10)), until(260));
    race.found([v4(1), v4(2)], ms(20));
    race.looked_up(Family::V4);
    assert_eq!(race.next(ms(20)), until(260));
    let order: Vec<Step> = [260, 510, 760, 1010].map(|at| race.next(ms(at))).to_vec();
    assert_eq!(order, [v4(1), v6(2), v4(2), v6(3)].map(Attempt));
    assert_eq!(race.next(ms(1010)), until(1260));
    assert_eq!(race.next(ms(9000)), Wait(None), "five attempts are under way");
}

#[test]
fn a_failed_attempt_makes_room_at_once() {
    let mut race = cold();
    race.found([v4(1), v4(2), v6(1)], ZERO);
    race.looked_up(Family::V6);
    race.looked_up(Family::V4);
    assert_eq!(race.next(ZERO), Attempt(v6(1)));
    race.failed();
    assert_eq!(race.next(ms(1)), Attempt(v4(1)));
    assert_eq!(race.next(ms(1)), until(251));
    race.failed();
    assert_eq!(race.next(ms(2)), Attempt(v4(2)));
    assert_eq!(race.next(ms(2)), until(252));
    race.failed();
    assert_eq!(race.next(ms(3)), GiveUp);
}

#[test]
fn an_answer_with_ipv4_waits_a_moment_for_ipv6() {
    let answered = || {
        let mut race = cold();
        race.found([v4(1)], ms(10));
        race.looked_up(Family::V4);
        assert_eq!(race.next(ms(10)), until(60));
        race
    };
    assert_eq!(answered().next(ms(60)), Attempt(v4(1)), "the other one is late");
    let mut race = answered();
    race.found([v6(1)], ms(30));
    race.looked_up(Family::V6);
    assert_eq!([30, 280].map(|at| race.next(ms(at))), [v6(1), v4(1)].map(Attempt), "it comes in time");
    let mut race = answered();
    race.looked_up(Family::V6);
    assert_eq!(race.next(ms(30)), Attempt(v4(1)), "there is none");
    // One that comes after the attempt joins.
    let mut race = answered();
    assert_eq!(race.next(ms(60)), Attempt(v4(1)));
    race.found([v6(1)], ms(100));
    race.looked_up(Family::V6);
    assert_eq!((race.next(ms(100)), race.next(ms(310))), (until(310), Attempt(v6(1))));
}

#[test]
fn what_is_kept_goes_first_and_races_the_lookup() {
    let kept = || {
        let mut race = Race::for_name([v4(1), v4(2), v6(1)], []);
        assert_eq!(race.next(ZERO), Attempt(v4(1)), "the one that was good the last time");
        assert_eq!(race.next(ZERO), until(250), "no question while it may answer");
        race
    };
    let mut race = kept();
    assert_eq!(race.next(ms(250)), LookUp);
    assert_eq!(race.next(ms(250)), Attempt(v6(1)));
    race.found([v6(1), v4(9)], ms(270));
    race.looked_up(Family::V6);
    race.looked_up(Family::V4);
    assert_eq!(
        race.next(ms(500)),
        Attempt(v4(9)),
        "what is found now goes before what is left, and nothing twice"
    );
    assert_eq!(race.next(ms(750)), Attempt(v4(2)));
    assert_eq!(race.next(ms(1000)), Wait(None));
    let mut race = kept();
    race.failed();
    assert_eq!(race.next(ms(1)), LookUp);
    assert_eq!(race.next(ms(1)), Attempt(v6(1)));
}

#[test]
fn the_reserve_is_for_a_lookup_that_finds_nothing_in_time() {
    let reserve = || {
        let mut race = Race::for_name([], [v4(7), v4(8)]);
        assert_eq!(race.next(ZERO), LookUp);
        assert_eq!(race.next(ZERO), until(1000));
        race
    };
    let mut race = reserve();
    assert_eq!(race.next(ms(1000)), Attempt(v4(7)));
    race.found([v4(1)], ms(1100));
    race.looked_up(Family::V4);
    assert_eq!(race.next(ms(1250)), Attempt(v4(1)), "better late than never");
    race.looked_up(Family::V6);
    assert_eq!(race.next(ms(9000)), Wait(None), "a slow host is waited for");
    race.failed();
    race.failed();
    assert_eq!(race.next(ms(9000)), Attempt(v4(8)), "one that does not answer is no better");
    let mut race = reserve();
    race.looked_up(Family::V6);
    race.looked_up(Family::V4);
    assert_eq!(race.next(ms(3)), Attempt(v4(7)), "there is nothing to wait for");
    let mut race = reserve();
    race.found([v4(1)], ms(5));
    race.looked_up(Family::V6);
    race.looked_up(Family::V4);
    assert_eq!(race.next(ms(5)), Attempt(v4(1)));
    assert_eq!((race.next(ms(255)), race.next(ms(5000))), (Wait(None), Wait(None)), "a slow host has moved");
    race.failed();
    assert_eq!(race.next(ms(5000)), Attempt(v4(7)));
}

#[test]
fn nothing_is_tried_without_end() {
    let kept = (1..=20).map(v4);
    let mut race = Race::for_name(kept, []);
    let (mut tried, mut now) = (Vec::new(), ZERO);
    loop {
        match race.next(now) {
            LookUp => {
                race.found((1..=20).map(v6).chain((100..120).map(v4)), now);
                race.looked_up(Family::V6);
                race.looked_up(Family::V4);
            }
            Attempt(address) => {
                tried.push(address);
                race.failed();
            }
            GiveUp => break,
            Wait(at) => now = at.unwrap(),
        }
    }
    assert_eq!(tried, [v4(1), v6(1), v4(100), v6(2), v4(101), v6(3), v4(102), v6(4)]);
}

#[test]
fn a_name_without_addresses_and_an_address_without_a_name() {
    let mut race = cold();
    race.looked_up(Family::V4);
    assert_eq!(race.next(ms(5)), until(1000));
    assert_eq!(race.next(ms(1000)), Wait(None));
    race.looked_up(Family::V6);
    assert_eq!(race.next(ms(2000)), GiveUp);
    let mut race = Race::for_addresses([v6(1)]);
    assert_eq!((race.next(ZERO), race.next(ZERO)), (Attempt(v6(1)), until(250)));
    race.failed();
    assert_eq!(race.next(ms(1)), GiveUp);
    assert_eq!(Race::for_addresses([]).next(ZERO), GiveUp);
}
