//! What policy asks of the handshake and of the size of keys: each refusal beside the accept that it leaves.

use super::*;
use crate::proto::policy::posture::tests::seen;
use crate::proto::policy::{Kex, Posture, Seen, StrictKex};

/// An RSA key of this size, made up.
fn rsa(bits: usize) -> HostKey {
    let mut modulus = vec![0, 0x80];
    modulus.resize(bits / 8 + 1, 1);
    let mut blob = Vec::new();
    for part in [&b"ssh-rsa"[..], &[1, 0, 1], &modulus] {
        crate::proto::wire::put_string(&mut blob, part);
    }
    HostKey::from_blob(&blob).unwrap()
}

fn judged(key: HostKey, published: &HostKey, seen: Option<&Seen>, policy: &Policy) -> Verdict {
    let evidence = evidence(&paper(&[(HOST, &[sha256(published)])]), 22);
    decide(&evidence, &Presented::Plain(key), seen, policy, NOW)
}

fn strict() -> Policy {
    let posture = Posture { strict_kex: StrictKex::Required, ..Posture::default() };
    Policy { posture, ..Policy::default() }
}

#[test]
fn a_handshake_that_is_not_as_policy_wants_it_is_rejected() {
    let post_quantum = Posture { kex: Kex::PostQuantum, ..Posture::default() };
    let post_quantum = Policy { posture: post_quantum, ..Policy::default() };
    let lax = Seen { strict_server: false, kex: "curve25519-sha256".into(), ..seen() };
    for (policy, reason) in [(&strict(), "no-strict-kex"), (&post_quantum, "weak-kex")] {
        let verdict = |seen: Option<&Seen>| judged(ed25519(), &ed25519(), seen, policy);
        assert!(matches!(verdict(Some(&seen())), Verdict::Accept(_)));
        let refused = verdict(Some(&lax));
        assert!(matches!(&refused, Verdict::Reject(why) if why.code() == reason && why.is_of_handshake()));
        // Nobody has seen it: nothing speaks against the host.
        let unseen = verdict(None);
        assert!(
            matches!(&unseen, Verdict::Unproven(why) if why.code() == "handshake-not-seen"),
            "{unseen:?}"
        );
        let Verdict::Unproven(why) = unseen else { panic!("{policy:?}") };
        assert!(why.hint().contains("--mode proxy") && why.is_of_handshake());
    }
    assert!(matches!(judged(ed25519(), &ed25519(), None, &strict().of_key_alone()), Verdict::Accept(_)));
}

#[test]
fn what_is_wrong_with_the_key_is_told_first() {
    let lax = Seen { strict_server: false, ..seen() };
    for seen in [None, Some(&lax)] {
        assert_eq!(code(&judged(ecdsa(), &ed25519(), seen, &strict())), "key-type-not-published");
    }
}

#[test]
fn rsa_keys_are_as_long_as_policy_wants_them() {
    let at_least = |min_rsa_bits| Policy { min_rsa_bits, ..Policy::default() };
    let told = |bits: usize, policy: &Policy| code(&judged(rsa(bits), &rsa(bits), None, policy));
    assert_eq!(told(1024, &Policy::default()), "short-key");
    assert_eq!(told(2048, &Policy::default()), "accept");
    assert_eq!(told(1024, &at_least(1024)), "accept");
    assert_eq!(told(2048, &at_least(3072)), "short-key");
    assert_eq!(told(3072, &at_least(3072)), "accept");
    // Other types have no such size.
    assert_eq!(code(&judged(ed25519(), &ed25519(), None, &at_least(16384))), "accept");
    let verdict = judged(rsa(1024), &rsa(1024), None, &Policy::default());
    let Verdict::Reject(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.to_string().contains("1024 bits"), "{reason}");
}
