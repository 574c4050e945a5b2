use super::*;

fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

#[test]
fn text_and_wire_agree() {
    assert_eq!(name("WWW.Example.COM.").wire(), b"\x03www\x07example\x03com\x00");
    assert_eq!(Name::from_wire(b"\x03WWW\x00").unwrap(), name("www"));
    assert_eq!(name(r"a\.b\003.c").wire(), b"\x04a.b\x03\x01c\x00");
    assert_eq!(name(r"a\.b\003.c").to_string(), r"a\.b\003.c");
    assert_eq!(Name::root().to_string(), ".");
    assert_eq!(name("."), Name::root());
}

#[test]
fn malformed_names_are_refused() {
    for bad in ["", "a..b", ".a", r"a\", r"a\25", r"a\999"] {
        assert!(Name::from_text(bad).is_err(), "{bad:?}");
    }
    for bad in [&b""[..], b"\x03ww", b"\xc0\x0c", b"\x01a", b"\x01a\x00x"] {
        assert!(Name::from_wire(bad).is_err(), "{bad:?}");
    }
    assert!(Name::from_text(&"a.".repeat(128)).is_err());
    assert!(Name::from_text(&"a".repeat(64)).is_err());
    assert!(Name::from_text(&"a.".repeat(127)).is_ok());
}

#[test]
fn ancestry_counts_whole_labels() {
    assert!(name("a.example.com").is_at_or_below(&name("example.com")));
    assert!(name("example.com").is_at_or_below(&name("example.com")));
    assert!(name("example.com").is_at_or_below(&Name::root()));
    assert!(!name("badexample.com").is_at_or_below(&name("example.com")));
    assert!(!name("com").is_at_or_below(&name("example.com")));
    assert_eq!(name("a.b.c").parent(), Some(name("b.c")));
    assert_eq!(name("a.b.c").last_labels(1), name("c"));
}

#[test]
fn canonical_order_is_that_of_rfc_4034_section_6_1() {
    let sorted = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "Z.a.example",
        "zABC.a.EXAMPLE",
        "z.example",
        r"\001.z.example",
        "*.z.example",
        r"\200.z.example",
    ];
    for pair in sorted.windows(2) {
        assert!(name(pair[0]) < name(pair[1]), "{pair:?}");
    }
}

#[test]
fn host_names_are_strict() {
    for good in ["web1.example.com", "WEB1.example.com.", "a", "xn--bcher-kva.example", "1a.2b"] {
        assert!(HostName::parse(good).is_ok(), "{good:?}");
    }
    for bad in [
        "", ".", "-a.b", "a-.b", "a_b.c", "a b", "a/b", "a;b", "*.b", "$(x)", "a..b", "1.2.3", "ü.de",
        "a\nb", "a\\.b",
    ] {
        assert!(matches!(HostName::parse(bad), Err(HostNameError::Grammar(_))), "{bad:?}");
    }
    for address in ["127.0.0.1", "::1", "[::1]", "fe80::1%eth0"] {
        assert!(matches!(HostName::parse(address), Err(HostNameError::Address(_))), "{address:?}");
    }
    let host = HostName::parse("web1.example.com").unwrap();
    assert_eq!(host.port_label(2222).unwrap().to_string(), "_2222._ssh.web1.example.com");
}
