//! CNAME and DNAME: every step is proven, and leads where it says.

use super::*;
use crate::proto::chain::{Anchors, Fetched, MAX_ALIASES};
use crate::proto::denial::Status;
use crate::proto::message::Response;
use crate::proto::name::Name;

const TARGET: &str = "real.other.test";

/// [`HOST`] is an alias of a host in another signed zone.
fn aliased() -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    paper.publish("example.test", HOST, RrType::CNAME, &[name(TARGET).wire()]);
    let alias = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    paper.put(HOST, RrType::SSHFP, alias);
    paper.publish("other.test", TARGET, RrType::SSHFP, &[ONE]);
    paper
}

#[test]
fn a_cname_leads_over_zones_and_each_step_is_proven() {
    let paper = aliased();
    let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
    assert_eq!(answer.asked(), &question(HOST, RrType::SSHFP));
    assert_eq!(answer.data().set().owner(), &name(TARGET));
    assert_eq!(answer.data().zone().name(), &name("other.test"));
    assert_eq!(answer.aliases().len(), 1);
    assert_eq!(answer.aliases()[0].zone().name(), &name("example.test"));
}

#[test]
fn one_reply_with_the_whole_way_asks_for_nothing_twice() {
    let mut paper = aliased();
    let mut both = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    both.extend(paper.zone("other.test").sign(TARGET, RrType::SSHFP, &[ONE]));
    paper.put(HOST, RrType::SSHFP, both);
    let run = paper.run(HOST, RrType::SSHFP);
    assert!(run.outcome.is_ok());
    assert!(!run.asked.contains(&question(TARGET, RrType::SSHFP)));
    // Both zones' keys are asked for at once.
    let wanted = ["example.test", "other.test"].map(|z| question(z, RrType::DNSKEY));
    assert!(wanted.iter().all(|q| run.asked.iter().position(|a| a == q).unwrap() < 5), "{:?}", run.asked);
}

#[test]
fn unsigned_data_beside_an_alias_does_not_stand_for_the_targets_own() {
    let mut paper = aliased();
    let alias = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    let filled_in = [alias, vec![record(TARGET, RrType::SSHFP, b"\x04\x02two")]].concat();
    paper.put(HOST, RrType::SSHFP, filled_in.clone());
    assert_eq!(paper.prove(HOST, RrType::SSHFP).unwrap().data().set().rdatas().next(), Some(ONE));
    paper.silence(TARGET, RrType::SSHFP);
    assert_eq!(proven(&paper), Err("no-signature"));
    let reply = Response { answer: filled_in, ..Response::default() };
    let mut material = Material::default();
    material.add(&question(HOST, RrType::SSHFP), &reply);
    let target = question(TARGET, RrType::SSHFP);
    assert!(material.get(&target).is_none() && matches!(material.heard(&target), Some(Fetched::Set(_))));
}

#[test]
fn piece_by_piece_a_reply_stands_for_what_was_asked_alone() {
    let paper = aliased();
    let mut both = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    both.extend(paper.zone("other.test").sign(TARGET, RrType::SSHFP, &[ONE]));
    let reply = Response { answer: both, ..Response::default() };
    let (asked, target) = (question(HOST, RrType::SSHFP), question(TARGET, RrType::SSHFP));
    for (mut material, whole) in [(Material::default(), true), (Material::piecemeal(), false)] {
        material.add(&asked, &reply);
        assert!(material.get(&asked).is_some());
        assert_eq!(material.get(&target).is_some(), whole);
        assert_eq!(material.end_of_aliases(&asked), target);
    }
}

#[test]
fn an_alias_that_is_not_proven_leads_nowhere() {
    let cname = |zone: &Zone| zone.sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    let case = |records: Vec<Record>| {
        let mut paper = aliased();
        paper.put(HOST, RrType::SSHFP, records);
        proven(&paper)
    };
    let zone = Zone::new("example.test");
    assert_eq!(case(cname(&zone)), Ok(()));
    let mut unsigned = cname(&zone);
    unsigned.pop();
    assert_eq!(case(unsigned), Err("no-signature"));
    let mut elsewhere = cname(&zone);
    elsewhere[0].rdata = name("evil.other.test").wire().into();
    assert!(case(elsewhere).is_err());
    let mut two = cname(&zone);
    two.insert(0, record(HOST, RrType::CNAME, name("evil.other.test").wire()));
    assert_eq!(case(two), Err("bad-alias"));
    let by_target = Zone { name: name("other.test"), ..Zone::new("other.test") };
    assert_eq!(case(cname(&by_target)), Err("foreign-signer"));
    let wildcard = zone.sign_as(HOST, RrType::CNAME, &[name(TARGET).wire()], |r| r.labels = 2);
    assert_eq!(case(wildcard), Err("wildcard"));
}

#[test]
fn data_that_is_proven_early_waits_for_its_aliases() {
    // The alias is of a deep zone, the data of a shallow one, whose keys come in sooner. One reply has both.
    const DEEP: &str = "h.d.c.b.test";
    let mut paper = Paper::tree(&[".", "test", "b.test", "c.b.test", "d.c.b.test"]);
    let data = paper.zone("test").sign("h.test", RrType::SSHFP, &[ONE]);
    let mut alias = paper.zone("d.c.b.test").sign(DEEP, RrType::CNAME, &[name("h.test").wire()]);
    paper.put(DEEP, RrType::SSHFP, [&alias[..], &data].concat());
    assert_eq!(paper.prove(DEEP, RrType::SSHFP).unwrap().aliases().len(), 1);
    *alias[1].rdata.last_mut().unwrap() ^= 1;
    paper.put(DEEP, RrType::SSHFP, [alias, data].concat());
    assert_eq!(paper.prove(DEEP, RrType::SSHFP).map_err(|e| e.code()), Err("bad-signature"));
}

#[test]
fn the_weakest_step_ends_the_whole() {
    let mut paper = aliased();
    let alias = paper
        .zone("example.test")
        .sign_as(HOST, RrType::CNAME, &[name(TARGET).wire()], |r| r.expiration = NOW as u32 + 9);
    paper.put(HOST, RrType::SSHFP, alias);
    assert_eq!(paper.prove(HOST, RrType::SSHFP).unwrap().expires(), NOW + 9);
    let mut target = paper.zone("other.test").sign(TARGET, RrType::SSHFP, &[ONE]);
    target[0].rdata[3] ^= 1;
    paper.put(TARGET, RrType::SSHFP, target);
    assert_eq!(proven(&paper), Err("bad-signature"));
}

/// a0 -> a1 -> ... -> the last, which has the data.
fn line(steps: usize) -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    let owner = |at: usize| format!("a{at}.example.test");
    for at in 0..steps {
        let next = name(&owner(at + 1));
        let alias = paper.zone("example.test").sign(&owner(at), RrType::CNAME, &[next.wire()]);
        paper.put(&owner(at), RrType::SSHFP, alias);
    }
    paper.publish("example.test", &owner(steps), RrType::SSHFP, &[ONE]);
    paper
}

#[test]
fn aliases_end_somewhere() {
    let outcome = |steps| line(steps).prove("a0.example.test", RrType::SSHFP).map_err(|e| e.code());
    assert_eq!(outcome(MAX_ALIASES).unwrap().aliases().len(), MAX_ALIASES);
    assert_eq!(outcome(MAX_ALIASES + 1), Err("alias-loop"));
    // Each alias and the data, two DS sets and three of keys.
    let run = line(MAX_ALIASES).run("a0.example.test", RrType::SSHFP);
    assert_eq!((run.tried as usize, run.asked.len()), (MAX_ALIASES + 6, MAX_ALIASES + 6));
    let mut paper = line(2);
    let back =
        paper.zone("example.test").sign("a2.example.test", RrType::CNAME, &[name("a1.example.test").wire()]);
    paper.put("a2.example.test", RrType::SSHFP, back);
    assert_eq!(paper.prove("a0.example.test", RrType::SSHFP).map_err(|e| e.code()), Err("alias-loop"));
    let own = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(HOST).wire()]);
    paper.put(HOST, RrType::SSHFP, own);
    assert_eq!(proven(&paper), Err("alias-loop"), "to itself");
}

/// `old.test` is moved to `other.test` by a DNAME that `signer` signs.
fn moved(signer: &str, cname: &str) -> Paper {
    let mut paper = Paper::tree(&[".", "test", "old.test", "other.test"]);
    let mut answer = paper.zone(signer).sign("old.test", RrType::DNAME, &[name("other.test").wire()]);
    answer.push(record("real.old.test", RrType::CNAME, name(cname).wire()));
    paper.put("real.old.test", RrType::SSHFP, answer);
    paper.publish("other.test", TARGET, RrType::SSHFP, &[ONE]);
    paper
}

#[test]
fn the_target_is_made_from_the_proven_dname() {
    let asked = "real.old.test";
    let answer = moved("old.test", TARGET).prove(asked, RrType::SSHFP).unwrap();
    assert_eq!(answer.data().set().owner(), &name(TARGET));
    assert_eq!(answer.aliases()[0].set().rtype(), RrType::DNAME);
    let code = |paper: Paper| paper.prove(asked, RrType::SSHFP).unwrap_err().code();
    assert_eq!(code(moved("old.test", "evil.other.test")), "bad-alias", "the CNAME leads elsewhere");
    assert_eq!(moved("old.test", "evil.other.test").failure(asked, RrType::SSHFP).status, Status::Bogus);
    // A server may leave the CNAME out.
    let mut bare = moved("old.test", TARGET);
    let dname = bare.zone("old.test").sign("old.test", RrType::DNAME, &[name("other.test").wire()]);
    bare.put(asked, RrType::SSHFP, dname);
    assert_eq!(bare.prove(asked, RrType::SSHFP).unwrap().data().set().owner(), &name(TARGET));
    assert_eq!(code(moved("other.test", TARGET)), "foreign-signer");
    let mut paper = moved("old.test", TARGET);
    paper.put(
        asked,
        RrType::SSHFP,
        vec![
            record("old.test", RrType::DNAME, name("other.test").wire()),
            record(asked, RrType::CNAME, name(TARGET).wire()),
        ],
    );
    assert_eq!(code(paper), "no-signature");
}

#[test]
fn a_cname_that_a_dname_makes_is_secure_and_no_proof() {
    let asked = "real.old.test";
    let case = |signer: &str, cname: &str| {
        let mut paper = moved(signer, cname);
        let mut answer = paper.zone(signer).sign("old.test", RrType::DNAME, &[name("other.test").wire()]);
        answer.push(record(asked, RrType::CNAME, name(cname).wire()));
        paper.put(asked, RrType::CNAME, answer);
        let failure = paper.failure(asked, RrType::CNAME);
        (failure.status, failure.error.code())
    };
    assert_eq!(case("old.test", TARGET), (Status::Secure, "synthesised"));
    assert_eq!(case("old.test", "evil.other.test"), (Status::Bogus, "bad-alias"));
    let mut foreign = moved("other.test", TARGET);
    let answer = foreign.zone("other.test").sign("old.test", RrType::DNAME, &[name("other.test").wire()]);
    foreign.put(asked, RrType::CNAME, answer);
    assert_eq!(foreign.prove(asked, RrType::CNAME).unwrap_err().code(), "foreign-signer");
    // A CNAME of the name's own is proven like any other set.
    let mut paper = moved("old.test", TARGET);
    paper.publish("old.test", asked, RrType::CNAME, &[name(TARGET).wire()]);
    assert!(paper.prove(asked, RrType::CNAME).is_ok());
}

#[test]
fn a_forged_dname_does_not_get_before_a_signed_cname() {
    let mut paper = aliased();
    let mut answer = paper.zone("example.test").sign(HOST, RrType::CNAME, &[name(TARGET).wire()]);
    answer.push(record("example.test", RrType::DNAME, name("evil.test").wire()));
    paper.put(HOST, RrType::SSHFP, answer);
    assert_eq!(proven(&paper), Ok(()));
}

#[test]
fn one_dname_serves_several_steps() {
    let mut paper = Paper::tree(&[".", "x"]);
    let mut answer = paper.zone(".").sign("x", RrType::DNAME, &[name(".").wire()]);
    answer.push(record("h.x.x", RrType::CNAME, name("h.x").wire()));
    answer.push(record("h.x", RrType::CNAME, name("h").wire()));
    answer.extend(paper.zone(".").sign("h", RrType::SSHFP, &[ONE]));
    paper.put("h.x.x", RrType::SSHFP, answer);
    assert_eq!(paper.prove("h.x.x", RrType::SSHFP).unwrap().aliases().len(), 2);
}

#[test]
fn a_dname_that_makes_too_long_a_name_is_refused() {
    let case = |label: usize| {
        let mut paper = Paper::tree(&[".", "test"]);
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(label));
        let mut answer = paper.zone("test").sign("m.test", RrType::DNAME, &[name(&long).wire()]);
        let target = Name::from_text(&format!("host.{long}")).unwrap_or(name("host.test"));
        answer.push(record("host.m.test", RrType::CNAME, target.wire()));
        paper.put("host.m.test", RrType::SSHFP, answer);
        paper.prove("host.m.test", RrType::SSHFP).unwrap_err().code()
    };
    assert_eq!(case(50), "no-answer", "the target is asked for");
    assert_eq!(case(60), "bad-alias");
}

#[test]
fn a_dname_above_a_closer_anchor_moves_nothing() {
    // The zone above moves the whole island elsewhere, where it publishes keys of its own.
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    let mut answer = paper.zone("test").sign("example.test", RrType::DNAME, &[name("other.test").wire()]);
    answer.push(record("h.sub.example.test", RrType::CNAME, name("h.sub.other.test").wire()));
    paper.put("h.sub.example.test", RrType::SSHFP, answer);
    paper.publish("other.test", "h.sub.other.test", RrType::SSHFP, &[ONE]);
    let outcome = |paper: &Paper| paper.prove("h.sub.example.test", RrType::SSHFP).map_err(|e| e.code());
    assert!(outcome(&paper).is_ok(), "with the root alone trusted that is its right");
    let island = Zone::new("sub.example.test");
    let anchors = format!("{}{}", paper.zone(".").anchor(RrType::DS), island.anchor(RrType::DS));
    paper.anchors = Anchors::from_text(&anchors).unwrap();
    assert_eq!(outcome(&paper), Err("above-anchor"));
    assert_eq!(paper.run("h.sub.example.test", RrType::SSHFP).outcome.unwrap_err().error.code(), "no-answer");
}
