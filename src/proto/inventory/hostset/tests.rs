use super::*;

/// Every name of a list.
fn names(text: &str) -> Result<Vec<String>, HostSetError> {
    let mut names = Vec::new();
    for word in parse(text)? {
        match word {
            Word::Hosts(pattern) => names.extend(pattern.names()),
            Word::File(file) => names.push(format!("@{file}")),
            Word::Input => names.push("-".to_owned()),
        }
    }
    Ok(names)
}

/// What `nodeset -e -S,` of ClusterShell 1.9.1 says of the same; `tests/interop/inventory` asks the one that is
/// installed.
pub(crate) const AS_CLUSTERSHELL: [(&str, &str); 21] = [
    ("web1.example.com", "web1.example.com"),
    ("web[1-3].example.com", "web1.example.com,web2.example.com,web3.example.com"),
    ("web[001-003]", "web001,web002,web003"),
    ("web[098-101]", "web098,web099,web100,web101"),
    ("web[8-10]", "web8,web9,web10"),
    ("web[08-10]", "web08,web09,web10"),
    ("web[000]", "web000"),
    ("web[0-10/2]", "web0,web2,web4,web6,web8,web10"),
    ("web[1-10/3]", "web1,web4,web7,web10"),
    ("web[1,3,5-7]", "web1,web3,web5,web6,web7"),
    ("web[1-2,01-02]", "web1,web2,web01,web02"),
    ("web[ 1-2 , 5 ]", "web1,web2,web5"),
    ("r[1-2]n[1-2]", "r1n1,r1n2,r2n1,r2n2"),
    ("r[1-2]1", "r11,r21"),
    ("r1[0-2]", "r10,r11,r12"),
    ("[1-2]a", "1a,2a"),
    ("w[1-2]-ib[0-1].x[7]", "w1-ib0.x7,w1-ib1.x7,w2-ib0.x7,w2-ib1.x7"),
    ("a, b", "a,b"),
    ("w[1-2]:22", "w1:22,w2:22"),
    ("me@w[1-2]", "me@w1,me@w2"),
    ("web[18446744073709551]", "web18446744073709551"),
];

/// What neither takes.
pub(crate) const REFUSED_BY_BOTH: [&str; 18] = [
    "web[01-100]",
    "web[08-100/31]",
    "web[8-012]",
    "web[08-9]",
    "web[1-03]",
    "web[3-1]",
    "web[]",
    "web[1-]",
    "web[a-c]",
    "web[1-3/0]",
    "web[1-3/-1]",
    "web[1--3]",
    "web[1-2,]",
    "web[1-3",
    "web1-3]",
    "a,,b",
    ",a",
    "web[1-2[3]]",
];

/// What is read otherwise than by ClusterShell: the text, ours, theirs (none is a refusal), and why.
pub(crate) const DEVIATIONS: [(&str, Option<&str>, Option<&str>, &str); 12] = [
    ("web[5,1,3]", Some("web5,web1,web3"), Some("web1,web3,web5"), "the order is the one that was typed"),
    ("web[1,1]", Some("web1,web1"), Some("web1"), "each is taken once, but by whoever compares hosts"),
    ("r[1-2][3-4]", Some("r13,r14,r23,r24"), None, "side by side is a product like any other"),
    ("[::1]:22", Some("[::1]:22"), None, "ssh's form of an address and a port"),
    ("[web1]:22", Some("[web1]:22"), None, "ssh's form of a name and a port"),
    ("[web[1-2]]:22", Some("[web1]:22,[web2]:22"), None, "the same with a range"),
    ("a b", None, Some("a b"), "in files of parallel-ssh the second word is a user"),
    ("web[1-3]!web2", None, Some("web1,web3"), "-x says that"),
    ("web[1-3]&web2", None, Some("web2"), "one list of hosts is enough"),
    ("web[1-3]^web2", None, Some("web1,web3"), "one list of hosts is enough"),
    ("web[-3]", None, Some("web-3"), "no host is meant so: an end is missing"),
    ("web[0-00]", None, Some("web0"), "zeros in front, and the ends do not agree"),
];

#[test]
fn sets_are_those_of_clustershell() {
    for (text, expanded) in AS_CLUSTERSHELL {
        assert_eq!(names(text).map(|names| names.join(",")).as_deref(), Ok(expanded), "{text}");
    }
    for text in REFUSED_BY_BOTH {
        let error = names(text).unwrap_err();
        assert!(!error.hint().is_empty(), "{text}");
    }
    for (text, ours, _, why) in DEVIATIONS {
        let found = names(text).map(|names| names.join(",")).ok();
        assert_eq!(found.as_deref(), ours, "{text}: {why}");
    }
}

#[test]
fn files_standard_input_and_ports_stand_in_lists() {
    assert_eq!(names("a,@web, - ,@/etc/fleet").unwrap(), ["a", "@web", "-", "@/etc/fleet"]);
    assert_eq!(names("me@corp@gate:[2201-2203/2]").unwrap(), ["me@corp@gate:2201", "me@corp@gate:2203"]);
    assert_eq!(names("me@[fe80::1%eth0]:22,::1").unwrap(), ["me@[fe80::1%eth0]:22", "::1"]);
    assert_eq!(names("me[1]@web1").unwrap(), ["me[1]@web1"], "a user is no host");
    // An address with a letter or not.
    assert_eq!(names("[192.0.2.1]:22").unwrap(), ["[192.0.2.1]:22"]);
    assert!(names("@").unwrap() == ["@"], "refused as a host name");
}

#[test]
fn a_product_is_counted_before_it_is_made() {
    let count = |text| Pattern::parse(text).unwrap().count();
    assert_eq!(count("h[0-9999999][0-9999999][0-9999999]"), u64::MAX);
    assert_eq!(count("h[0-9999999999999999999]"), 10_000_000_000_000_000_000);
    let pattern = Pattern::parse("h[1-1000]x[1-1000]").unwrap();
    assert_eq!((pattern.count(), pattern.name(999_999)), (1_000_000, "h1000x1000".to_owned()));
    for bad in ["h[0-99999999999999999999]", "h[18446744073709551616]"] {
        assert!(matches!(parse(bad), Err(HostSetError::Range(..))), "{bad}");
    }
    assert!(matches!(parse(&"a".repeat(2000)), Err(HostSetError::Long(_))));
}

#[test]
fn comments_say_nothing() {
    assert_eq!(line("web1 # the first"), Some("web1"));
    assert_eq!(line("web[1-2],db1\r"), Some("web[1-2],db1"));
    for nothing in ["", "   ", "# web1", "  # web1"] {
        assert_eq!(line(nothing), None, "{nothing:?}");
    }
    assert_eq!(line("web#1"), Some("web#1"), "refused as a host name");
}

proptest::proptest! {
    #[test]
    fn no_text_does_harm(text in "[a-c\\[\\],\\-/0-9:@. ]{0,40}") {
        if let Ok(words) = parse(&text) {
            for word in words {
                if let Word::Hosts(pattern) = word {
                    let _ = pattern.names().take(100).count();
                }
            }
        }
    }

    #[test]
    fn as_many_names_as_are_counted(first in 0_u64..1000, span in 0_u64..50, step in 1_u64..9) {
        let text = format!("h[{first}-{}/{step}]", first + span);
        let expanded = names(&text).unwrap();
        let wanted: Vec<String> = (first..=first + span).step_by(step as usize).map(|n| format!("h{n}")).collect();
        proptest::prop_assert_eq!(expanded, wanted);
    }
}
