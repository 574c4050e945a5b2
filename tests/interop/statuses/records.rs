//! What nsec.test. holds beside the records that all furnished zones have.

use crate::support::Zone;

/// Aliases of every kind.
pub fn aliases(zone: Zone) -> Zone {
    let mut lines = vec![];
    let targets = [
        ("far", "web1.nsec3.test."),
        ("unsigned", "web1.plain.test."),
        ("below", "web1.plain.nsec.test."),
        ("bad", "web1.dsflip.test."),
        ("late", "expired.spoilt.test."),
        ("gone", "nobody.nsec3.test."),
        ("nowhere", "nobody.nsec.test."),
        ("optgone", "nobody.optout.test."),
        ("lame", "web1.lame.test."),
        ("zigzag", "back.plain.test."),
        ("unsignedbad", "bad.plain.test."),
        ("toisland", "web1.island.test."),
        ("weak", "web1.rsasha1.test."),
        ("towild", "any.wild.nsec3.test."),
        ("topalias", "web1.moved.nsec3.test."),
        ("loop", "loop.nsec.test."),
        ("ping", "pong.nsec.test."),
        ("pong", "ping.nsec.test."),
        ("upper", "WEB1.NSEC.TEST."),
        ("*.wtod", "web1.moved.nsec3.test."),
        ("tolost", "any.lost.nsec3.test."),
        ("toaway", "any.away.nsec3.test."),
        ("tostar", "x.star.nsec3.test."),
    ];
    lines.extend(targets.map(|(owner, target)| format!("{owner}.nsec.test. CNAME {target}")));
    lines.push("c1.nsec.test. CNAME web1.nsec.test.".into());
    lines.extend((2..=12).map(|i| format!("c{i}.nsec.test. CNAME c{}.nsec.test.", i - 1)));
    let trees = [
        ("over", "nsec3.test."),
        ("unsigneds", "plain.test."),
        ("bads", "dsflip.test."),
        ("nothing", "nothing.nsec3.test."),
        ("twice", "moved.nsec3.test."),
        ("round", "round.nsec.test."),
        ("self", "in.self.nsec.test."),
        ("capital", "NSEC3.Test."),
        ("dwild", "wild.nsec3.test."),
        ("daway", "away.nsec3.test."),
        ("dopt", "optout.test."),
    ];
    lines.extend(trees.map(|(owner, target)| format!("{owner}.nsec.test. DNAME {target}")));
    // A target that fits and names that do not.
    let long = [1, 2, 3].map(|_| "l".repeat(60)).join(".");
    lines.push(format!("long.nsec.test. DNAME {long}.nsec.test."));
    lines.iter().fold(zone, |zone, line| zone.record(line))
}

/// Names that need care.
pub fn names(zone: Zone) -> Zone {
    [
        r"a\.b.nsec.test. TXT dot",
        r"sp\032ace.nsec.test. TXT space",
        r"\000zero\255.nsec.test. TXT octets",
        r"back\\slash.nsec.test. TXT backslash",
        "MiXed.nsec.test. TXT case",
        "_443._tcp.nsec.test. TXT underscore",
        "*.*.nsec.test. TXT two",
        "127.nsec.test. TXT digits",
    ]
    .iter()
    .fold(zone, |zone, line| zone.record(line))
}

/// Records of many types, with capitals in the names that they hold.
pub fn types(mut zone: Zone) -> Zone {
    let digest = "ab".repeat(32);
    let data = [
        "TXT \"one\" \"two \\\"quoted\\\"\" \"\"",
        "AAAA ::1",
        "MX 10 WEB1.nsec.test.",
        "MX 20 web2.Other.TEST.",
        "SRV 1 2 22 WEB1.nsec.test.",
        "PTR WEB1.nsec.test.",
        "HINFO \"CPU\" \"OS\"",
        "RP Me.nsec.test. Text.nsec.test.",
        "AFSDB 1 WEB1.nsec.test.",
        "KX 1 WEB1.nsec.test.",
        "RT 1 WEB1.nsec.test.",
        "PX 1 WEB1.nsec.test. WEB2.nsec.test.",
        "NAPTR 1 2 \"S\" \"SIP+D2U\" \"\" WEB1.nsec.test.",
        "CAA 0 issue \"ca.example\"",
        "SVCB 1 WEB1.nsec.test. alpn=\"h2,h3\" port=443 ipv4hint=127.0.0.1",
        "HTTPS 1 . alpn=h2",
        "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        "TYPE65280 \\# 4 01020304",
        "URI 10 1 \"https://Example.test/\"",
        "CERT 1 2 3 AQID",
        "OPENPGPKEY AQIDBA==",
        "EUI48 00-00-5e-00-53-2a",
        "A6 64 ::1 WEB1.nsec.test.",
        "MINFO Me.nsec.test. You.nsec.test.",
        "DHCID AQIDBA==",
        "CSYNC 1 3 A NS",
        "ZONEMD 1 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
    ];
    zone.records.extend(data.iter().map(|line| format!("types.nsec.test. {line}")));
    for line in
        [format!("TLSA 3 1 1 {digest}"), format!("SSHFP 4 2 {digest}"), format!("SMIMEA 3 1 1 {digest}")]
    {
        zone.records.push(format!("types.nsec.test. {line}"));
        zone.records.push(format!("*.types.nsec.test. {line}"));
    }
    // 60 kB in as many records as named takes.
    let string = format!("\"{}\" ", "x".repeat(240));
    zone.records.extend((0..60).map(|i| format!("big.nsec.test. TXT {}{i}", string.repeat(4))));
    zone.record("types.nsec.test. NSAP 0x47.0005")
}
