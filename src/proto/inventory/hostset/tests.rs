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

#[test]
fn sets_are_those_of_clustershell() {
    let table = include_str!("clustershell.txt");
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (what, rest) = line.split_once(' ').unwrap();
        let fields: Vec<&str> = rest.split(" => ").collect();
        let wanted = match what {
            "none" => None,
            _ => Some(fields[1]).filter(|ours| *ours != "-"),
        };
        let found = names(fields[0]);
        if let Err(error) = &found {
            assert!(!error.hint().is_empty(), "{line}");
        }
        assert_eq!(found.map(|names| names.join(",")).ok().as_deref(), wanted, "{line}");
        count += 1;
    }
    assert!(count > 50);
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
