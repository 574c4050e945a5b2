//! What a file may say, and how mistakes are told.

use super::*;
use crate::proto::policy::Mode;

fn at() -> Whereabouts<'static> {
    Whereabouts { index: 3, folder: Path::new("/etc/sshanchor"), home: Some(Path::new("/home/u")) }
}

/// Line, message and line shown of the mistakes.
fn mistakes(text: &str) -> Vec<Mistake> {
    parse(text, at()).unwrap_err()
}

#[track_caller]
fn refused(text: &str, line: usize, why: &str) {
    let found = mistakes(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, Some(line), "{found:?}");
    assert!(found[0].message.contains(why), "{found:?}");
    assert_eq!(found[0].shown.as_deref(), text.lines().nth(line - 1).map(str::trim), "{found:?}");
}

const WHOLE: &str = r#"# All there is.
version = 1
resolver = ["192.0.2.1", "[2001:db8::1]:5353"]
trust_anchor = "corp.anchor"
cache = "~/.cache/sshanchor"
timeout = "20s"

[[host]]
match = "*.example.com !db.example.com"
outage_grace = "6h"
algorithms = ["ssh-ed25519"]

[[host]]
match = ["old.example.com", "10.0.0.*"]
mode = "pass"
"#;

#[test]
fn everything_is_read_with_its_line() {
    let file = parse(WHOLE, at()).unwrap();
    let (servers, line) = file.resolver.unwrap();
    assert_eq!(
        servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["192.0.2.1:53", "[2001:db8::1]:5353"]
    );
    assert_eq!(line, 3);
    assert_eq!(file.trust_anchor, Some(("/etc/sshanchor/corp.anchor".into(), 4)));
    assert_eq!(file.cache, Some((Cache::Folder("/home/u/.cache/sshanchor".into()), 5)));
    assert_eq!(file.timeout, Some((Duration::from_secs(20), 6)));
    let [first, second] = &file.rules[..] else { panic!("{:?}", file.rules) };
    assert_eq!((first.place, second.place), (Location { file: 3, line: 8 }, Location { file: 3, line: 13 }));
    let lines: Vec<(&str, usize)> = first.settings.iter().map(|(s, place)| (s.key(), place.line)).collect();
    assert_eq!(lines, [("outage_grace", 10), ("algorithms", 11)]);
    assert_eq!(second.hosts.to_string(), "old.example.com 10.0.0.*");
    assert_eq!(second.settings, [(Setting::Mode(Mode::Pass), Location { file: 3, line: 15 })]);
}

#[test]
fn little_is_enough() {
    assert!(parse("version = 1", at()).unwrap().rules.is_empty());
    let file =
        parse("version = 1\nresolver = \"::1\"\ncache = \"off\"\n[[host]]\nmatch = \"*\"", at()).unwrap();
    assert_eq!((file.resolver.unwrap().0.len(), file.cache, file.rules.len()), (1, Some((Cache::Off, 3)), 1));
}

#[test]
fn the_version_comes_first() {
    for text in ["", "resolver = \"::1\"", "[[host]]\nmatch = \"*\""] {
        let found = mistakes(text);
        assert!(found.len() == 1 && found[0].message.contains("version = 1"), "{found:?}");
    }
    for version in ["2", "\"1\"", "1.0", "0x1", "-1"] {
        refused(&format!("version = {version}\nsomething = \"new\"\n"), 1, "version 1 alone");
    }
}

#[test]
fn each_mistake_is_told_with_its_line() {
    for (rest, line, why) in [
        ("resolver = []", 2, "at least one"),
        ("resolver = \"ns1.example.com\"", 2, "want an address"),
        ("resolver = [\"::1\", \"ns2.example.com\"]", 2, "\"ns2.example.com\": want an address"),
        ("resolver = [53]", 2, "in quotes"),
        ("cache = \"\"", 2, "want a folder"),
        ("cache = \"none\"", 2, "or off"),
        ("cache = \"~\"", 2, "one's own"),
        ("trust_anchor = \"\"", 2, "want a path"),
        ("trust_anchor = \"~other/file\"", 2, "one's own"),
        ("trust_anchor = [\"a\"]", 2, "in quotes"),
        ("timeout = 10", 2, "in quotes"),
        ("timeout = \"0\"", 2, "from 1s"),
        ("timeout = \"2d\"", 2, "from 1s"),
        ("  colour = \"green\"", 2, "no key \"colour\""),
        ("outage_grace = \"1h\"", 2, "belongs into a [[host]] table"),
        ("[host]\nmatch = \"*\"", 2, "two brackets"),
        ("host = [\"*\"]", 2, "want a table"),
        ("[[host]]\noutage_grace = \"1h\"", 2, "for which hosts"),
        ("[[host]]\nmatch = \"\"", 3, "host patterns"),
        ("[[host]]\nmatch = \"a/b\"", 3, "host pattern"),
        ("[[host]]\nmatch = \"*\"\ntimeout = \"1s\"", 4, "above the first"),
        ("[[host]]\nmatch = \"*\"\nout_grace = 5", 4, "no setting \"out_grace\""),
        ("[[host]]\nmatch = \"*\"\noutage_grace = 6", 4, "in quotes"),
        ("[[host]]\nmatch = \"*\"\noutage_grace = \"6\"", 4, "span of time"),
        ("[[host]]\nmatch = \"*\"\nrequire = \"cas\"", 4, "means nothing"),
        ("timeout = \"1s\"\ntimeout = \"2s\"", 3, "duplicate"),
        ("resolver = \"::1", 2, "string"),
        ("[[host]\nmatch = \"*\"", 2, ""),
        ("timeout = \"1s\"\rcache = \"off\"", 2, "carriage return"),
    ] {
        refused(&format!("version = 1\n{rest}\n"), line, why);
    }
}

#[test]
fn all_mistakes_are_told_up_to_a_limit() {
    let found = mistakes("version = 1\na = 1\nb = 1\n[[host]]\nmatch = \"\"\nc = 1\nmode = \"no\"");
    assert_eq!(found.iter().map(|m| m.line.unwrap()).collect::<Vec<_>>(), [2, 3, 5, 6, 7]);
    let many: String = (0..100).map(|n| format!("key{n} = 1\n")).collect();
    let told = mistakes(&format!("version = 1\n{many}"));
    let last = &told[MAX_MISTAKES];
    assert_eq!(
        (told.len(), last.message.as_str(), last.line),
        (MAX_MISTAKES + 1, "and 80 mistakes more", None)
    );
    let long = mistakes(&format!("version = 1\nkey = \"{}\"", "x".repeat(1000)));
    assert_eq!(long[0].shown.as_ref().unwrap().len(), MAX_SHOWN + "...".len());
    for text in [
        format!("{} = 1", "k".repeat(5000)),
        format!("[[host]]\nmatch = \"a\"\nmode = \"{}\"", "m".repeat(5000)),
    ] {
        assert!(mistakes(&format!("version = 1\n{text}"))[0].message.len() <= MAX_MESSAGE);
    }
}

#[test]
fn what_is_no_text_is_told_with_its_line() {
    let found = parse(b"version = 1\n# caf\xe9\nx = 1\n", at()).unwrap_err();
    assert_eq!((found.len(), found[0].line, found[0].message.as_str()), (1, Some(2), "this is not UTF-8"));
    assert_eq!(found[0].shown.as_deref(), Some("# caf\u{fffd}"));
    assert!(parse(b"\xef\xbb\xbfversion = 1\r\n", at()).is_ok(), "a byte order mark and CRLF are text");
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    let deep = format!("version = 1\nresolver = {}", "[".repeat(100_000));
    assert!(!mistakes(&deep).is_empty());
    let tables = format!("version = 1\n[{}x]", "a.".repeat(100_000));
    assert!(!mistakes(&tables).is_empty());
}

mod publishing;

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the text, it is read or refused; and what is refused says why.
        #[test]
        fn any_text_is_read_or_refused(text in "(version = 1\n)?(\\PC|\n|[\\[\\]=\"'#.]|host|match|mode ?= ?){0,60}") {
            if let Err(mistakes) = parse(&text, at()) {
                prop_assert!(!mistakes.is_empty() && mistakes.len() <= MAX_MISTAKES + 1);
            }
        }

        /// A file that is right is refused as soon as one of its keys is written wrongly.
        #[test]
        fn no_key_is_ever_left_out(line in 2..15usize) {
            let lines: Vec<String> = WHOLE.lines().enumerate().map(|(at, text)| match at + 1 == line && text.contains(" = ") {
                true => format!("x{text}"),
                false => text.to_owned(),
            }).collect();
            let changed = lines.join("\n");
            prop_assert_eq!(parse(&changed, at()).is_err(), WHOLE.trim_end() != changed);
        }
    }
}
