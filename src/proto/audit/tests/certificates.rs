use ssh_key::certificate::{Builder, CertType};

use super::*;
use crate::proto::certificate::Certificate;
use crate::proto::revocation::SENTINEL;

const CA: u8 = 9;

/// A certificate of CA `ca` for the key of seed 1.
fn certificate(ca: u8, principal: &str, from: u64, until: u64) -> Certificate {
    let mut builder = Builder::new([9; 32], private(1).public_key(), from, until).unwrap();
    builder.cert_type(CertType::Host).unwrap();
    builder.valid_principal(principal).unwrap();
    let blob = builder.sign(&private(ca)).unwrap().to_bytes().unwrap();
    Certificate::from_blob(&blob, "ssh-ed25519-cert-v01@openssh.com").unwrap()
}

/// web1 with its key in DNS, a CA set with `ca` above it, and what is revoked.
fn with(ca: Option<u8>, revoked: &[Vec<u8>], certificate: Certificate) -> HostFacts {
    let mut paper = paper(&[(WEB1, &[record(&key(1))])]);
    if let Some(ca) = ca {
        paper.publish(ZONE, "_ca._ssh.example.test", RrType::SSHFP, &[&record(&key(ca))]);
    }
    let revoked: Vec<&[u8]> = revoked.iter().map(Vec::as_slice).chain([&SENTINEL[..]]).collect();
    paper.publish(ZONE, "_revoked._ssh.example.test", RrType::SSHFP, &revoked);
    let mut facts = facts(&paper, WEB1, &[key(1)]);
    facts.live.as_mut().unwrap().certificates = vec![certificate];
    facts
}

fn of(certificate: Certificate) -> Vec<String> {
    found(&with(Some(CA), &[], certificate))
}

#[test]
fn certificates_are_held_against_name_and_time() {
    let good = certificate(CA, WEB1, NOW - DAY, NOW + DAY);
    assert_eq!(of(good.clone()), Vec::<String>::new());
    let report = judged(&with(Some(CA), &[], good));
    let shown = &report.report().certificates[0];
    assert_eq!((shown.good, shown.valid_until), (true, Some(NOW + DAY)));
    assert_eq!(
        of(certificate(CA, "web2.example.test", NOW - DAY, NOW + DAY)),
        ["warning certificate-other-name"]
    );
    assert_eq!(of(certificate(CA, WEB1, NOW - 9 * DAY, NOW - DAY)), ["warning certificate-expired"]);
    assert_eq!(of(certificate(CA, WEB1, NOW + DAY, NOW + 9 * DAY)), ["warning certificate-not-yet-valid"]);
    // A quarter of its life is left, and less.
    assert_eq!(of(certificate(CA, WEB1, NOW - 3 * DAY, NOW + DAY)), Vec::<String>::new());
    assert_eq!(of(certificate(CA, WEB1, NOW - 3 * DAY, NOW + DAY - 2)), ["warning certificate-end"]);
    // One that has no end is near none.
    assert_eq!(of(certificate(CA, WEB1, 0, u64::MAX)), Vec::<String>::new());
}

#[test]
fn the_ca_of_a_certificate_is_to_be_proven() {
    let good = || certificate(CA, WEB1, NOW - DAY, NOW + DAY);
    assert_eq!(found(&with(Some(CA), &[], good())), Vec::<String>::new());
    assert_eq!(found(&with(Some(8), &[], good())), ["warning ca-not-published"]);
    // Where DNS has no CA at all it is somebody else's matter.
    assert_eq!(found(&with(None, &[], good())), ["info ca-not-published"]);
    assert_eq!(found(&with(Some(CA), &[record(&key(CA))], good())), ["error revoked"]);
}

#[test]
fn a_ca_is_to_reach_no_further_than_its_use() {
    let lab = ["a.lab.example.test", "b.lab.example.test", WEB1];
    let all = |users: usize| -> Vec<HostFacts> {
        let mut paper = paper(&[]);
        for host in lab {
            paper.publish(ZONE, host, RrType::SSHFP, &[&record(&key(1))]);
        }
        paper.publish(ZONE, "_ca._ssh.example.test", RrType::SSHFP, &[&record(&key(CA))]);
        paper.publish(ZONE, "_revoked._ssh.example.test", RrType::SSHFP, &[&SENTINEL]);
        let host = |(at, host): (usize, &&str)| {
            let mut facts = facts(&paper, host, &[key(1)]);
            if at < users {
                let good = certificate(CA, host, NOW - DAY, NOW + DAY);
                facts.live.as_mut().unwrap().certificates = vec![good];
            }
            facts
        };
        lab.iter().enumerate().map(host).collect()
    };
    let of = |users| codes(&report(&all(users)).findings);
    assert_eq!(of(3), Vec::<String>::new());
    assert_eq!(of(2), ["warning ca-wide"]);
    assert_eq!(of(0), ["info ca-unused"]);
    let wide = report(&all(2)).findings.remove(0);
    assert!(wide.message.contains("only those below lab.example.test"), "{wide:?}");
    assert!(wide.message.ends_with("it could sign for web1.example.test as well"), "{wide:?}");
    // Who did not show everything may be the one.
    let mut partial = all(0);
    partial[0].live = None;
    assert_eq!(codes(&report(&partial).findings), Vec::<String>::new());
    assert_eq!(codes(&report(&all(2)[..2]).findings), Vec::<String>::new(), "nobody is outside");
}
