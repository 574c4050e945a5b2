//! What is wrong with a certificate whose CA is proven.

use super::*;
use crate::proto::wire::put_string;

/// The verdict on a certificate that was changed in one thing.
fn changed(change: impl FnOnce(&mut Draft)) -> Verdict {
    let mut draft = Draft::of(HOST);
    change(&mut draft);
    decide(
        &gather(&world(), HOST, &Policy::default(), Scope::Cas),
        &draft.presented(),
        None,
        &Policy::default(),
        NOW,
    )
}

fn fault(verdict: Verdict) -> Fault {
    match verdict {
        Verdict::Reject(Reason::Certificate { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_time_has_a_first_and_a_last_second() {
    let window = |from, until| code(&changed(|draft| (draft.from, draft.until) = (from, until)));
    assert_eq!(window(NOW, NOW + 1), "accept");
    assert_eq!(window(0, u64::MAX >> 1), "accept");
    assert_eq!(window(NOW + 1, NOW + 2), "certificate-not-yet-valid");
    assert_eq!(window(NOW - 1, NOW), "certificate-expired");
}

#[test]
fn its_names_count_word_for_word() {
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        code(&changed(|draft| draft.principals = names))
    };
    assert_eq!(named(&[HOST]), "accept");
    assert_eq!(named(&["other.example.test", HOST]), "accept");
    for none in [
        vec![],
        vec!["other.example.test"],
        vec!["*.example.test"],
        vec!["*"],
        vec!["host.example.tes?"],
        vec!["Host.example.test"],
        vec!["host.example.test."],
        vec!["host"],
        vec!["host.example.test,other.example.test"],
        vec!["[host.example.test]:22"],
    ] {
        assert_eq!(named(&none), "certificate-other-name", "{none:?}");
    }
    assert_eq!(fault(changed(|draft| draft.principals.clear())), Fault::NoPrincipals);
}

#[test]
fn it_is_a_hosts_without_conditions() {
    assert_eq!(fault(changed(|draft| draft.kind = CertType::User)), Fault::UserType);
    for option in ["force-command", "source-address", "no-such-option@example.test"] {
        let verdict = changed(|draft| draft.options.push((option, "x")));
        assert_eq!(fault(verdict), Fault::CriticalOption(option.to_owned()));
    }
}

#[test]
fn the_ca_that_it_names_has_signed_it() {
    let good = Draft::of(HOST).blob();
    let evidence = gather(&world(), HOST, &Policy::default(), Scope::Cas);
    let judged = |blob: &[u8]| {
        let Ok(presented) = Presented::of_type(blob, "ssh-ed25519-cert-v01@openssh.com") else {
            return "unread";
        };
        code(&decide(&evidence, &presented, None, &Policy::default(), NOW))
    };
    assert_eq!(judged(&good), "accept");
    // No octet may be another one.
    for at in 0..good.len() {
        let mut forged = good.clone();
        forged[at] ^= 1;
        assert_ne!(judged(&forged), "accept", "octet {at}");
    }
    for cut in 0..good.len() {
        assert_eq!(judged(&good[..cut]), "unread", "cut at {cut}");
    }
    assert_eq!(judged(&[&good[..], &[0]].concat()), "unread");
    // Signed by another one than it names.
    let other = Draft { ca: secret(3), ..Draft::of(HOST) };
    assert_eq!(judged(&other.blob()), "ca-not-published");
}

/// A certificate whose CA key is a certificate of this type, whose CA key is one, and so on: as deep as fits.
fn nested(name: &str, key: &[&[u8]]) -> Vec<u8> {
    let mut ca = Vec::new();
    loop {
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_bytes());
        put_string(&mut blob, b"");
        key.iter().for_each(|field| put_string(&mut blob, field));
        // Serial number 0, of a host; key id, principals; from 0 to 0; options, extensions, reserved: all empty.
        blob.extend([0; 11]);
        blob.push(2);
        blob.extend([0; 8 + 16 + 12]);
        put_string(&mut blob, &ca);
        put_string(&mut blob, b"");
        match blob.len() < 60_000 {
            true => ca = blob,
            false => break,
        }
    }
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519-cert-v01@openssh.com");
    put_string(&mut blob, b"");
    put_string(&mut blob, &[7; 32]);
    blob.extend([0; 11]);
    blob.push(2);
    blob.extend([0; 8 + 16 + 12]);
    put_string(&mut blob, &ca);
    put_string(&mut blob, b"");
    blob
}

#[test]
fn a_ca_that_is_a_certificate_is_read_no_deeper() {
    for (name, key) in [
        ("ssh-ed25519-cert-v01@openssh.com", &[&[7; 32][..]][..]),
        ("sk-ssh-ed25519-cert-v01@openssh.com", &[&[7; 32], b"ssh:"]),
        ("sk-a-cert-v01@b", &[b""]),
        ("a-cert-v01@b", &[b""]),
        ("a-cert-v01@sk-b", &[b""]),
    ] {
        let read = Presented::of_type(&nested(name, key), "ssh-ed25519-cert-v01@openssh.com");
        let why = read.unwrap_err().to_string();
        assert!(why.contains("its CA key is a certificate"), "{name}: {why}");
    }
}
