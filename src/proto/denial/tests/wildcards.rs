//! Answers expanded from a wildcard (RFC 4035 section 5.3.4, RFC 5155 section 8.8): true of the name only if
//! its zone denies anything closer, and a proof for no host in any case.

use super::*;

const TXT: RrType = RrType::TXT;
const DATA: &[u8] = b"\x02hi";

/// What is said of `host`, whose records are expanded from `wildcard`, with these records beside them.
fn expanded(wildcard: &str, host: &str, rtype: RrType, beside: Vec<Record>) -> (Status, &'static str) {
    let mut paper = paper();
    let answer = expand(paper.zone(ZONE), wildcard, host, rtype, if rtype == TXT { DATA } else { SSHFP });
    paper.put_beside(host, rtype, answer, beside);
    let failure = paper.failure(host, rtype);
    (failure.status, failure.error.code())
}

#[test]
fn an_expansion_is_secure_where_nothing_closer_exists() {
    let zone = Zone::new(ZONE);
    let gap = |owner, next| nsec(&zone, owner, next, &[1]);
    let case = |beside| expanded("*.example.test", HOST, TXT, beside);
    assert_eq!(case(gap("alpha.example.test", "zulu.example.test")), (Status::Secure, "wildcard"));
    assert_eq!(case(Vec::new()), (Status::Bogus, "wildcard"), "nothing is denied");
    assert_eq!(case(gap(HOST, "zulu.example.test")), (Status::Bogus, "wildcard"), "the name exists");
    assert_eq!(case(gap("alpha.example.test", "beta.example.test")).0, Status::Bogus, "another gap");
    let below = gap("alpha.example.test", "x.host.example.test");
    assert_eq!(case(below).0, Status::Bogus, "an empty non-terminal exists");
    let mut unsigned = gap("alpha.example.test", "zulu.example.test");
    unsigned.pop();
    assert_eq!(case(unsigned).0, Status::Bogus);
    let others = nsec(&Zone::new("test"), "alpha.example.test", "zulu.example.test", &[1]);
    assert_eq!(case(others).0, Status::Bogus, "another zone's word");
}

#[test]
fn a_wildcard_does_not_reach_past_a_closer_encloser() {
    let deep = "x.host.example.test";
    let case =
        |owner, next| expanded("*.example.test", deep, TXT, nsec(&Zone::new(ZONE), owner, next, &[1])).0;
    assert_eq!(case("alpha.example.test", "zulu.example.test"), Status::Secure);
    assert_eq!(case(HOST, "zulu.example.test"), Status::Bogus, "host.example.test exists");
}

#[test]
fn an_expansion_vouches_for_no_host() {
    let gap = nsec(&Zone::new(ZONE), "alpha.example.test", "zulu.example.test", &[1]);
    let said = expanded("*.example.test", HOST, RrType::SSHFP, gap.clone());
    assert_eq!(said, (Status::Indeterminate, "wildcard"));
    let mut paper = paper();
    paper.put_beside(
        HOST,
        RrType::SSHFP,
        expand(paper.zone(ZONE), "*.example.test", HOST, RrType::SSHFP, SSHFP),
        gap,
    );
    assert!(paper.run(HOST, RrType::SSHFP).outcome.is_err());
    paper.publish(ZONE, HOST, RrType::SSHFP, &[SSHFP]);
    assert!(paper.run(HOST, RrType::SSHFP).outcome.is_ok());
}

#[test]
fn a_false_expansion_is_bogus_whatever_is_denied() {
    let zone = Zone::new(ZONE);
    let gap = nsec(&zone, "alpha.example.test", "zulu.example.test", &[1]);
    let mut paper = paper();
    // Signed at the name itself, and its label count changed afterwards.
    let mut forged = zone.sign(HOST, TXT, &[DATA]);
    forged[1].rdata[3] = 2;
    paper.put_beside(HOST, TXT, forged, gap);
    assert_eq!(paper.failure(HOST, TXT).status, Status::Bogus);
}

#[test]
fn a_name_that_a_wildcards_alias_stands_at_is_no_cut() {
    let zone = Zone::new(ZONE);
    let target = name("x.signed.example.test");
    let case = |beside: Vec<Record>| {
        let mut paper = paper();
        // The alias without its signature, and the whole of it to whoever asks for the DS set.
        let whole = expand(&zone, "*.example.test", HOST, RrType::CNAME, target.wire());
        paper.put(HOST, TXT, whole[..1].to_vec());
        paper.put_beside(HOST, RrType::DS, whole, beside);
        paper.failure(HOST, TXT).status
    };
    assert_eq!(case(nsec(&zone, "alpha.example.test", "zulu.example.test", &[1])), Status::Bogus);
    assert_eq!(case(Vec::new()), Status::Bogus, "and if nobody says that it may stand there");
}
