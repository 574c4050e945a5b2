use super::*;

/// A handshake as two of today have it.
pub(in crate::proto) fn seen() -> Seen {
    Seen {
        kex: "mlkem768x25519-sha256".into(),
        strict_client: true,
        strict_server: true,
        server_version: "SSH-2.0-OpenSSH_9.9p1 Debian-3".into(),
    }
}

fn code(posture: &Posture, seen: Option<&Seen>) -> &'static str {
    posture.judge(seen).err().map_or("", |fault| fault.code())
}

fn versions(patterns: &[&str]) -> Posture {
    let server_versions = Some(Versions::parse(patterns.iter().copied()).unwrap());
    Posture { server_versions, ..Posture::default() }
}

#[test]
fn nothing_is_asked_unless_it_is_said() {
    let weak = Seen { kex: "x".into(), strict_client: false, strict_server: false, ..seen() };
    assert!(!Posture::default().asks());
    assert_eq!(Posture::default().judge(None), Ok(()));
    assert_eq!(Posture::default().judge(Some(&weak)), Ok(()));
}

#[test]
fn what_is_asked_and_not_seen_does_not_pass() {
    for posture in [
        Posture { strict_kex: StrictKex::Required, ..Posture::default() },
        Posture { kex: Kex::PostQuantum, ..Posture::default() },
        versions(&["*"]),
        Posture { min_openssh: Some(Version { major: 1, minor: 0 }), ..Posture::default() },
    ] {
        assert_eq!((code(&posture, None), code(&posture, Some(&seen()))), ("handshake-not-seen", ""));
        assert_eq!(posture.asked().len(), 1);
    }
}

#[test]
fn a_post_quantum_kex_is_known_by_its_name() {
    let posture = Posture { kex: Kex::PostQuantum, ..Posture::default() };
    let of = |kex: &str| code(&posture, Some(&Seen { kex: kex.into(), ..seen() }));
    for kex in POST_QUANTUM {
        assert_eq!(of(kex), "", "{kex}");
    }
    for kex in [
        "curve25519-sha256",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group18-sha512",
        "sntrup4591761x25519-sha512@tinyssh.org",
        "mlkem768x25519-sha256@example.com",
        "",
    ] {
        assert_eq!(of(kex), "weak-kex", "{kex}");
    }
}

#[test]
fn a_server_that_has_only_what_russh_has_not_is_told_as_such() {
    let fault = |offers: &[&str]| {
        let server_offers = offers.iter().map(|name| (*name).to_owned()).collect();
        let fault = Fault::NoPostQuantumOffered { server_offers };
        (fault.to_string(), fault.hint(&"web1"))
    };
    let (told, hint) = fault(&["curve25519-sha256", "sntrup761x25519-sha512@openssh.com"]);
    assert!(told.contains("the server has sntrup761x25519-sha512@openssh.com alone"), "{told}");
    assert!(told.contains("russh") && told.contains(OWN), "{told}");
    assert!(hint.contains("sshanchor proxy") && hint.contains("9.9"), "{hint}");
    let (told, hint) = fault(&["curve25519-sha256"]);
    assert!(told.contains("no post-quantum key exchange") && !hint.contains("proxy"), "{told} {hint}");
}

#[test]
fn the_strict_kex_takes_both() {
    let posture = Posture { strict_kex: StrictKex::Required, ..Posture::default() };
    for (strict_client, strict_server, says) in [
        (false, true, "the client does not"),
        (true, false, "the server does not"),
        (false, false, "the client and the server do not"),
    ] {
        let fault = posture.judge(Some(&Seen { strict_client, strict_server, ..seen() })).unwrap_err();
        assert_eq!(fault.code(), "no-strict-kex");
        assert!(fault.to_string().contains(says), "{fault}");
    }
    assert_eq!(code(&posture, Some(&seen())), "");
}

#[test]
fn versions_are_matched_by_patterns_whatever_their_case() {
    let of = |patterns: &[&str], line: &str| {
        let seen = Seen { server_version: line.into(), ..seen() };
        code(&versions(patterns), Some(&seen)).is_empty()
    };
    assert!(of(&["OpenSSH_9.*"], "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10"));
    assert!(of(&["openssh_9.?p1"], "SSH-2.0-OpenSSH_9.2p1"));
    assert!(of(&["OpenSSH_9.*", "OpenSSH_1?.*"], "SSH-1.99-OpenSSH_10.2"));
    assert!(!of(&["OpenSSH_9.*"], "SSH-2.0-OpenSSH_8.9p1"));
    assert!(!of(&["OpenSSH_9.*", "!OpenSSH_9.2*"], "SSH-2.0-OpenSSH_9.2p1"));
    // Only what is not taken is named: all else is.
    assert!(of(&["!dropbear_2019*"], "SSH-2.0-dropbear_2022.83"));
    assert!(!of(&["!DROPBEAR_2019*"], "SSH-2.0-dropbear_2019.78"));
    // A comment is no part of it.
    assert!(!of(&["*Debian*"], "SSH-2.0-OpenSSH_9.2p1 Debian-2"));
    assert!(!of(&["OpenSSH_9.*"], ""));
}

#[test]
fn openssh_may_have_to_be_new_enough_and_others_are_left_alone() {
    let posture = Posture { min_openssh: Some(Version { major: 9, minor: 6 }), ..Posture::default() };
    let of = |line: &str| code(&posture, Some(&Seen { server_version: line.into(), ..seen() }));
    for good in [
        "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3",
        "SSH-2.0-OpenSSH_10.0",
        "SSH-2.0-OpenSSH_for_Windows_9.8",
        "SSH-2.0-dropbear_2022.83",
        "SSH-2.0-Go",
    ] {
        assert_eq!(of(good), "", "{good}");
    }
    for old in [
        "SSH-2.0-OpenSSH_9.2p1",
        "SSH-2.0-openssh_9.2p1",
        "SSH-2.0-OpenSSH_8.9",
        "SSH-2.0-OpenSSH",
        "SSH-2.0-OpenSSH_x.y",
        "SSH-2.0-OpenSSH_99999999999999999999.1",
    ] {
        assert_eq!(of(old), "server-version", "{old}");
    }
}

#[test]
fn what_no_version_can_be_is_no_pattern() {
    let parse = |patterns: &[&str]| Versions::parse(patterns.iter().copied());
    assert_eq!(parse(&[]), Err(VersionsError::Empty));
    assert_eq!(parse(&["!"]), Err(VersionsError::Empty));
    assert_eq!(parse(&["OpenSSH 9"]), Err(VersionsError::Character(' ')));
    assert_eq!(parse(&["a\x1b"]), Err(VersionsError::Character('\x1b')));
    assert_eq!(parse(&[&"a".repeat(254)]), Err(VersionsError::Long));
    assert_eq!(parse(&["a"; 65]), Err(VersionsError::Long));
}
