//! Revocation, and what policy asks for where CAs may vouch.

use proptest::prelude::*;

use super::*;
use crate::proto::policy::Revocation;

#[test]
fn an_accept_by_a_ca_needs_the_revoked_set_and_its_sentinel() {
    let revoked = "_revoked._ssh.example.test";
    assert_eq!(by_ca(&world(), HOST), "accept");
    let mut silent = world();
    silent.silence(revoked, RrType::SSHFP);
    let presented = certificate(HOST);
    assert_eq!(told(&silent, HOST, &presented, &Policy::default()), (false, "revocation-unproven"));
    let mut bare = world();
    bare.publish(ZONE, revoked, RrType::SSHFP, &[&sha256(&ecdsa())]);
    assert_eq!(told(&bare, HOST, &presented, &Policy::default()), (false, "revocation-unproven"));
    let mut unsigned = world();
    unsigned.put(revoked, RrType::SSHFP, vec![record(revoked, RrType::SSHFP, &SENTINEL)]);
    assert_eq!(by_ca(&unsigned, HOST), "revocation-unproven");
    // Old, by policy.
    let age = Policy { max_signature_age: Some(std::time::Duration::from_secs(3600)), ..Policy::default() };
    assert_ne!(told(&world(), HOST, &presented, &age), ACCEPT);
}

#[test]
fn what_is_revoked_is_rejected_whatever_else_is_proven() {
    let revoking = |keys: &[HostKey]| {
        let mut paper = world();
        paper.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(KEY))]);
        paper.revoke(ZONE, ZONE, keys);
        paper
    };
    let (plain, certified) = (Presented::Plain(public(KEY)), certificate(HOST));
    for presented in [&plain, &certified] {
        assert_eq!(told(&revoking(&[ecdsa()]), HOST, presented, &Policy::default()), ACCEPT);
        assert_eq!(told(&revoking(&[public(KEY)]), HOST, presented, &Policy::default()), (true, "revoked"));
    }
    assert_eq!(told(&revoking(&[public(CA)]), HOST, &certified, &Policy::default()), (true, "revoked"));
    assert_eq!(told(&revoking(&[public(CA)]), HOST, &plain, &Policy::default()), ACCEPT);
    // By digest alone, sentinel or not.
    let mut odd = revoking(&[]);
    let digest = [&[0, 0][..], &public(KEY).sha256()].concat();
    odd.publish(ZONE, "_revoked._ssh.example.test", RrType::SSHFP, &[&digest]);
    assert_eq!(told(&odd, HOST, &plain, &Policy::default()), (true, "revoked"));
    let Verdict::Reject(reason) =
        decide(&gather(&odd, HOST, &Policy::default(), Scope::Keys), &plain, None, &Policy::default(), NOW)
    else {
        panic!("accepted");
    };
    assert!(reason.to_string().contains("which _revoked._ssh.example.test revokes"), "{reason}");
}

#[test]
fn plain_keys_need_the_revoked_set_where_policy_says_so() {
    let always = Policy { revocation: Revocation::Always, ..Policy::default() };
    let plain = Presented::Plain(ed25519());
    let mut paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    assert_eq!(told(&paper, HOST, &plain, &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, HOST, &plain, &always), (false, "revocation-unproven"));
    paper.revoke(ZONE, ZONE, &[]);
    assert_eq!(told(&paper, HOST, &plain, &always), ACCEPT);
    let evidence = gather(&paper, HOST, &always, Scope::Keys);
    assert!(
        matches!(decide(&evidence, &plain, None, &always, NOW), Verdict::Accept(_)),
        "asked for without CAs"
    );
}

#[test]
fn what_is_required_is_one_proof_or_the_other_or_both() {
    let mut both = world();
    both.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(KEY))]);
    let (by_ca, mut by_key, mut other) = (world(), world(), world());
    by_key.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(KEY))]);
    by_key.silence("_ca._ssh.example.test", RrType::SSHFP);
    other.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(8))]);
    let (plain, certified) = (Presented::Plain(public(KEY)), certificate(HOST));
    let accepted = |paper: &Paper, presented: &Presented| {
        [Require::Either, Require::Hostkey, Require::Ca, Require::Both]
            .map(|require| told(paper, HOST, presented, &requiring(require)) == ACCEPT)
    };
    assert_eq!(accepted(&both, &certified), [true, true, true, true]);
    assert_eq!(accepted(&both, &plain), [true, true, false, false]);
    assert_eq!(accepted(&by_ca, &certified), [true, false, true, false]);
    assert_eq!(accepted(&by_ca, &plain), [false, false, false, false]);
    assert_eq!(accepted(&by_key, &certified), [true, true, false, false]);
    assert_eq!(accepted(&by_key, &plain), [true, true, false, false]);
    // A stale record beside a good certificate does not count; where both are wanted it does.
    assert_eq!(accepted(&other, &certified), [true, false, true, false]);
    let word =
        |paper: &Paper, presented: &Presented, require| told(paper, HOST, presented, &requiring(require));
    assert_eq!(word(&both, &plain, Require::Ca), (true, "certificate-required"));
    assert_eq!(word(&by_ca, &plain, Require::Either), (true, "certificate-required"));
    assert_eq!(word(&other, &certified, Require::Both), (true, "key-mismatch"));
    assert_eq!(word(&by_key, &certified, Require::Ca), (false, "no-answer"));
    assert_eq!(word(&other, &plain, Require::Either), (true, "key-mismatch"));
    // Of a key that is published, both ways count as one.
    let Verdict::Accept(anchored) = decide(
        &gather(&both, HOST, &Policy::default(), Scope::Cas),
        &certified,
        None,
        &Policy::default(),
        NOW,
    ) else {
        panic!("refused")
    };
    assert_eq!(anchored.ca(), None, "the plain key suffices");
}

#[test]
fn another_ca_is_told_from_none() {
    let presented = Draft { ca: secret(3), ..Draft::of(HOST) }.presented();
    assert_eq!(told(&world(), HOST, &presented, &Policy::default()), (true, "ca-not-published"));
    let mut none = world();
    none.silence("_ca._ssh.example.test", RrType::SSHFP);
    assert!(!told(&none, HOST, &presented, &Policy::default()).0);
    let mut sha1 = world();
    sha1.publish(ZONE, "_ca._ssh.example.test", RrType::SSHFP, &[&[4, 1, 7, 7, 7]]);
    assert_ne!(by_ca(&sha1, HOST), "accept");
}

#[test]
fn what_is_published_for_a_port_alone_can_be_revoked_too() {
    // No record at the host's own name is proven: its zone is not known, and nobody asks for it.
    let mut paper = Paper::tree(&[".", "test", ZONE]);
    paper.publish(ZONE, &format!("_22._ssh.{HOST}"), RrType::SSHFP, &[&sha256(&public(KEY))]);
    let told = |paper: &Paper| {
        let evidence = gather(paper, HOST, &Policy::default(), Scope::Keys);
        assert_eq!(evidence.host_zone(NOW), None);
        code(&decide(&evidence, &Presented::Plain(public(KEY)), None, &Policy::default(), NOW))
    };
    assert_eq!(told(&paper), "accept");
    paper.revoke(ZONE, ZONE, &[public(9)]);
    assert_eq!(told(&paper), "accept");
    paper.revoke(ZONE, ZONE, &[public(KEY)]);
    assert_eq!(told(&paper), "revoked");
}

#[test]
fn ca_sets_may_be_pinned_to_places() {
    let at = |place: &str| Policy { ca_at: Some(vec![name(place)]), ..Policy::default() };
    let presented = certificate(HOST);
    assert_eq!(told(&world(), HOST, &presented, &at(ZONE)), ACCEPT);
    assert_ne!(told(&world(), HOST, &presented, &at("other.example.test")), ACCEPT);
    assert_ne!(told(&world(), HOST, &presented, &at("test")), ACCEPT);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Data that is withheld takes accepts by a CA away, and makes none.
    #[test]
    fn nothing_that_is_withheld_makes_an_accept(
        withheld in proptest::collection::vec(any::<bool>(), 64),
        revoked in any::<bool>(),
        in_set in any::<bool>(),
        require in prop_oneof![Just(Require::Either), Just(Require::Ca), Just(Require::Both)],
    ) {
        let mut paper = world();
        paper.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(8))]);
        paper.cas(ZONE, ZONE, &[if in_set { CA } else { 5 }]);
        paper.revoke(ZONE, ZONE, &[if revoked { public(CA) } else { ecdsa() }]);
        let policy = requiring(require);
        let presented = certificate(HOST);
        let whole = told(&paper, HOST, &presented, &policy) == ACCEPT;
        prop_assert_eq!(whole, in_set && !revoked && require != Require::Both);
        let questions: Vec<Question> = paper.replies().iter().map(|(question, _)| question.clone()).collect();
        for (question, gone) in questions.iter().zip(&withheld) {
            if *gone {
                paper.silence(&question.name.to_string(), question.rtype);
            }
        }
        let less = told(&paper, HOST, &presented, &policy) == ACCEPT;
        prop_assert!(whole || !less);
    }
}
