//! What an alias leads to is part of the answer.

use super::*;

/// An alias in an unsigned zone to [`HOST`], which is bogus, absent or proven as the tests have it.
fn unsigned_alias(target: &str) -> Paper {
    let zone = Zone::new(ZONE);
    let mut paper = unsigned(nsec(&zone, "sub.example.test", "zulu.example.test", &[NS]));
    let alias = vec![record("h.sub.example.test", RrType::CNAME, name(target).wire())];
    paper.put("h.sub.example.test", RrType::SSHFP, alias);
    paper
}

fn says(paper: &Paper) -> (Status, String) {
    let failure = paper.failure("h.sub.example.test", RrType::SSHFP);
    (failure.status, failure.error.to_string())
}

#[test]
fn an_insecure_alias_does_not_hide_that_its_target_is_bogus() {
    let mut paper = unsigned_alias(HOST);
    paper.publish(ZONE, HOST, RrType::SSHFP, &[SSHFP]);
    let insecure = (Status::Insecure, "no DS for sub.example.test at example.test".to_owned());
    assert_eq!(says(&paper), insecure, "a proven target makes no secure of it");
    let expired = paper.zone(ZONE).sign_as(HOST, RrType::SSHFP, &[SSHFP], |rrsig| rrsig.expiration = 7);
    paper.put(HOST, RrType::SSHFP, expired);
    let (status, error) = says(&paper);
    assert_eq!(status, Status::Bogus);
    assert!(error.starts_with("RRSIG over host.example.test SSHFP"), "{error}");
    paper.deny(HOST, RrType::SSHFP, NOERROR, nsec(&Zone::new(ZONE), HOST, "next.example.test", &[1]));
    assert_eq!(says(&paper), insecure, "nor does a proven absence make absent of it");
    paper.deny(HOST, RrType::SSHFP, NOERROR, Vec::new());
    let no_cut = nsec(paper.zone(ZONE), HOST, "next.example.test", &[1]);
    paper.deny(HOST, RrType::DS, NOERROR, no_cut);
    assert_eq!(says(&paper).0, Status::Bogus, "an unproven denial");
}

#[test]
fn a_target_that_nobody_answers_for_leaves_it_open() {
    assert_eq!(says(&unsigned_alias("host.test")).0, Status::Indeterminate);
}

#[test]
fn insecure_aliases_end_or_are_left() {
    assert_eq!(says(&unsigned_alias("h.sub.example.test")).0, Status::Indeterminate, "a loop");
    let line = |length: usize| {
        let mut paper = unsigned_alias("h1.sub.example.test");
        for step in 1..length {
            let (owner, target) =
                (format!("h{step}.sub.example.test"), format!("h{}.sub.example.test", step + 1));
            paper.put(&owner, RrType::SSHFP, vec![record(&owner, RrType::CNAME, name(&target).wire())]);
        }
        let end = format!("h{length}.sub.example.test");
        paper.put(&end, RrType::SSHFP, vec![record(&end, RrType::SSHFP, SSHFP)]);
        says(&paper).0
    };
    assert_eq!(line(crate::proto::chain::MAX_ALIASES), Status::Insecure);
    assert_eq!(line(crate::proto::chain::MAX_ALIASES + 1), Status::Indeterminate);
}

#[test]
fn what_a_reply_denies_of_an_aliass_target_is_heard_where_nobody_answers_for_it() {
    let (zone, signed) = (Zone::new(ZONE), Zone::new("signed.example.test"));
    let target = "x.signed.example.test";
    let alias = zone.sign(HOST, RrType::CNAME, &[name(target).wire()]);
    let apex = nsec(&signed, "signed.example.test", "signed.example.test", &[NS, SOA]);
    let mut paper = paper();
    paper.put_beside(HOST, RrType::SSHFP, alias.clone(), apex.clone());
    let run = paper.run(HOST, RrType::SSHFP);
    assert!(run.asked.contains(&question(target, RrType::SSHFP)), "it is asked for all the same");
    assert_eq!(run.outcome.unwrap_err().status, Status::Absent);
    paper.publish("signed.example.test", target, RrType::SSHFP, &[SSHFP]);
    assert!(paper.run(HOST, RrType::SSHFP).outcome.is_ok(), "and its answer counts");
    paper.silence(target, RrType::SSHFP);
    let above = nsec(&Zone::new("test"), ZONE, "zulu.test", &[NS, DS]);
    paper.put_beside(HOST, RrType::SSHFP, alias.clone(), above);
    paper.deny(target, RrType::DS, NXDOMAIN, apex);
    assert_eq!(status(&paper, HOST), Status::Bogus, "another zone's denial");
    paper.put(HOST, RrType::SSHFP, alias);
    assert_eq!(status(&paper, HOST), Status::Indeterminate);
}

#[test]
fn what_a_reply_denies_of_an_aliass_target_is_heard_where_the_answer_for_it_proves_nothing() {
    let (zone, signed) = (Zone::new(ZONE), Zone::new("signed.example.test"));
    let aside = |target: &str, own: Vec<Record>, aside: Vec<Record>| {
        let mut paper = paper();
        let alias = zone.sign(HOST, RrType::CNAME, &[name(target).wire()]);
        paper.put_beside(HOST, RrType::SSHFP, alias, aside);
        paper.deny(target, RrType::SSHFP, NOERROR, own);
        paper
    };
    let target = "x.signed.example.test";
    let apex = nsec(&signed, "signed.example.test", "signed.example.test", &[NS, SOA]);
    let elsewhere = nsec(&signed, "y.signed.example.test", "z.signed.example.test", &[1]);
    assert_eq!(status(&aside(target, soa(&signed), apex.clone()), HOST), Status::Absent);
    assert_eq!(status(&aside(target, soa(&signed), elsewhere), HOST), Status::Bogus);
    let mut forged = apex.clone();
    *forged[1].rdata.last_mut().unwrap() ^= 1;
    assert_eq!(status(&aside(target, soa(&signed), forged), HOST), Status::Bogus);

    // A cut into an unsigned zone, of which the answer for the target itself says nothing.
    let cut = nsec(&zone, "sub.example.test", "zulu.example.test", &[NS]);
    let of_child = || vec![record("sub.example.test", RrType::SOA, &[0; 22])];
    for target in ["h.sub.example.test", "sub.example.test"] {
        let silent = |own: Vec<Record>, beside: Vec<Record>| {
            let mut paper = aside(target, own, beside);
            paper.silence("sub.example.test", RrType::DS);
            status(&paper, HOST)
        };
        assert_eq!(silent(of_child(), cut.clone()), Status::Insecure, "{target}");
        assert_eq!(silent(of_child(), Vec::new()), Status::Indeterminate, "{target}");
        assert_eq!(silent(soa(&zone), cut.clone()), Status::Insecure, "{target}");
        assert_eq!(silent(soa(&zone), Vec::new()), Status::Bogus, "{target}");
    }
    // Nor does an old one make unsigned what is seen to be signed.
    let old = nsec(&zone, "signed.example.test", "zulu.example.test", &[NS]);
    let mut replayed = aside(target, Vec::new(), old);
    replayed.deny(target, RrType::DS, NOERROR, apex);
    assert_eq!(status(&replayed, HOST), Status::Bogus);
}
