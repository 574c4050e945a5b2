//! What is written is what ssh is to do; tests/interop/config_ssh* ask ssh itself.

use super::change::{Change, Kind};
use super::hosts::HostsError;
use super::include::{Included, included, is_first, names, with, without};
use super::installed::{Installed, differences};
use super::*;
use crate::proto::doctor::ssh::Config;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn hosts(text: &str) -> Hosts {
    Hosts::parse(&words(text)).unwrap()
}

fn wanted(way: Way) -> Wanted {
    Wanted {
        version: "1.2.3".to_owned(),
        again: words("sshanchor config ssh --install *.example.com !db.example.com"),
        hosts: hosts("*.example.com !db.example.com"),
        way,
        program: "/usr/bin/sshanchor".to_owned(),
        options: [words("--resolver [::1]:53"), words("--bundle /x/100%")],
    }
}

#[test]
fn versions_are_read_and_compared() {
    for (text, want) in [
        ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.22 25 Aug 2026", Some((9, 2))),
        ("OpenSSH_8.4p1, OpenSSL", Some((8, 4))),
        ("OpenSSH_10.0p2", Some((10, 0))),
        ("OpenSSH_for_Windows_9.5p1", Some((9, 5))),
        ("Dropbear v2022.83", None),
        ("", None),
    ] {
        assert_eq!(Version::parse(text), want.map(|(major, minor)| Version { major, minor }), "{text}");
    }
    let new = |text: &str| Version::parse(text).unwrap().asks_for_keys();
    assert!(new("OpenSSH_8.5p1") && new("OpenSSH_10.0p1") && !new("OpenSSH_8.4p1") && !new("OpenSSH_7.9p1"));
}

#[test]
fn each_way_leaves_ssh_no_other_way_to_a_key() {
    let text = wanted(Way::KnownHosts).text().unwrap();
    assert_eq!(
        text,
        "# sshanchor 1.2.3: ssh proves the keys of these hosts from DNSSEC\n\
         # Do not edit; made by: sshanchor config ssh --install '*.example.com' '!db.example.com'\n\
         Match host *.example.com,*.example.com.,!db.example.com,!db.example.com.\n    \
         KnownHostsCommand /usr/bin/sshanchor --resolver \"[::1]:53\" known-hosts --bundle \"/x/100%%\" %I %H %t %K %k %p\n    \
         StrictHostKeyChecking yes\n    UserKnownHostsFile none\n    GlobalKnownHostsFile none\n    \
         VerifyHostKeyDNS no\n    CheckHostIP no\n    NoHostAuthenticationForLocalhost no\n    UpdateHostKeys no\n"
    );
    let proxy = wanted(Way::Proxy).text().unwrap();
    assert!(proxy.contains("\n    KnownHostsCommand /usr/bin/sshanchor"), "{proxy}");
    let line =
        "\n    ProxyCommand /usr/bin/sshanchor --resolver '[::1]:53' proxy --bundle '/x/100%%' '%h' %p\n";
    assert!(proxy.contains(line), "{proxy}");

    let old = wanted(Way::ProxyWithFile("~/.ssh/sshanchor/known_hosts".to_owned())).text().unwrap();
    for line in [
        "--known-hosts-file ~/.ssh/sshanchor/known_hosts '%h' %p\n",
        "\n    UserKnownHostsFile ~/.ssh/sshanchor/known_hosts\n",
        "\n    GlobalKnownHostsFile /dev/null\n",
        "\n    StrictHostKeyChecking yes\n",
    ] {
        assert!(old.contains(line), "{line}: {old}");
    }
    assert!(!old.contains("KnownHostsCommand"), "an old ssh would not start");
    assert!(!old.contains("none"), "to an old ssh it is a file");
}

#[test]
fn what_cannot_be_quoted_is_refused() {
    for bad in ["a\nb", "a\0", "\u{7f}"] {
        assert!(in_command(bad).is_err() && in_shell(bad).is_err() && in_value(bad).is_err(), "{bad:?}");
    }
    assert_eq!(in_command("${HOME}"), Err(QuoteError::Variable("${HOME}".to_owned())));
    assert!(in_value("a%h").is_err() && in_value("it's").is_err());
    assert_eq!(in_value("/home/a b/k").unwrap(), "\"/home/a b/k\"");
    assert_eq!(in_command(r#"a "b" \c %d"#).unwrap(), r#""a \"b\" \\c %%d""#);
    assert_eq!(in_shell(r"it's \ %").unwrap(), r"'it'\''s '\\' %%'");
    assert_eq!((in_shell("").unwrap(), in_command("").unwrap()), ("''".to_owned(), "\"\"".to_owned()));
    assert_eq!(quote::program("/opt/50% off/x").unwrap(), "\"/opt/50% off/x\"");
}

#[test]
fn hosts_are_those_that_can_be_matched() {
    let chosen = hosts("*.Example.com. web?.example.org !db.example.com");
    assert_eq!(
        chosen.match_list(),
        "*.example.com,*.example.com.,web?.example.org,web?.example.org.,!db.example.com,!db.example.com."
    );
    assert_eq!(chosen.probes(), ["sshanchor-probe.example.com", "webx.example.org"]);
    assert_eq!(hosts("web*").match_list(), "web*");
    assert_eq!(hosts("* !sshanchor-probe").probes(), Vec::<String>::new());
    assert_eq!(hosts("10.0.* fe80:* 10 *.de web1").addresses(), ["10.0.*", "fe80:*", "10"]);
    for nobody in ["!db.example.com", "web1 !web*"] {
        assert!(matches!(Hosts::parse(&words(nobody)), Err(HostsError::Nobody(_))), "{nobody}");
    }
    for bad in ["a b\"c", "a\nHost b$", ""] {
        assert!(Hosts::parse(&[bad.to_owned()]).is_err(), "{bad:?}");
    }
}

#[test]
fn the_include_is_the_first_and_goes_without_a_trace() {
    const LINE: &str = "Include ~/.ssh/sshanchor.conf";
    for text in [
        "",
        "Host *\n  User me\n",
        "Host *\r\n  User me\r\n",
        "\n\n# mine\n\nUser me",
        "Include other\nHost a",
        "Host a\n  Include ~/.ssh/sshanchor.conf.bak\n",
        "caf\u{e9} \u{feff}\n",
    ] {
        let there = with(Some(text.as_bytes()), LINE);
        assert!(is_first(&there, LINE) && there.ends_with(text.as_bytes()), "{text:?}");
        assert_eq!(with(Some(&there), LINE), there, "{text:?}: twice is once");
        assert_eq!(without(&there, LINE).as_deref(), Some(text.as_bytes()), "{text:?}");
        assert_eq!(there.windows(2).any(|w| w == b"\r\n"), text.contains('\r'), "{text:?}");
    }
    // Where it stands too late it moves.
    let late = format!("Host a\n  User b\n{LINE}\n");
    let there = with(Some(late.as_bytes()), LINE);
    assert!(is_first(&there, LINE) && there.ends_with(b"\nHost a\n  User b\n"));
    // A file that was made for it goes with it, unless something else has come into it.
    let made = with(None, LINE);
    assert!(is_first(&made, LINE) && without(&made, LINE).is_none());
    let mut more = made.clone();
    more.extend(b"User me\n");
    assert_eq!(without(&more, LINE).as_deref(), Some(&b"User me\n"[..]));
    // Blanks before it are no other line.
    assert!(is_first(format!("# x\n\n   {LINE}\n").as_bytes(), LINE));
}

#[test]
fn where_the_system_includes_its_folder_is_seen() {
    for (text, want) in [
        ("Include /etc/ssh/ssh_config.d/*.conf\nHost *\n", Included::First),
        ("# x\n\nInclude=\"/etc/ssh/ssh_config.d/*.conf\"\n", Included::First),
        ("include ssh_config.d/*.conf", Included::First),
        ("Host *\n  User x\nInclude /etc/ssh/ssh_config.d/*.conf\n", Included::Later(3)),
        ("Include /etc/ssh/other.d/*.conf\n", Included::No),
        ("", Included::No),
    ] {
        assert_eq!(included(text.as_bytes(), "/etc/ssh"), want, "{text}");
    }
}

#[test]
fn what_changes_is_shown() {
    let change = |before: Option<&str>, after: Option<&str>| {
        let octets = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Change { path: "f".into(), before: octets(before), after: octets(after) }
    };
    for (before, after, kind, diff) in [
        (Some("a\n"), Some("a\n"), Kind::None, &[][..]),
        (None, None, Kind::None, &[]),
        (None, Some("a\nb\n"), Kind::Create, &["+a", "+b"]),
        (Some("a\nb\n"), None, Kind::Remove, &["-a", "-b"]),
        (Some("a\nb\nc\n"), Some("a\nx\nc\n"), Kind::Change, &["-b", "+x"]),
        (Some("a\na\n"), Some("a\na\na\n"), Kind::Change, &["+a"]),
    ] {
        let change = change(before, after);
        assert_eq!((change.kind(), change.diff()), (kind, words(&diff.join(" "))), "{before:?} {after:?}");
    }
}

#[test]
fn what_was_written_is_read_again_and_compared_with_what_is_in_force() {
    let file = Installed::parse(&wanted(Way::KnownHosts).text().unwrap()).unwrap();
    assert_eq!(file.version, "1.2.3");
    assert_eq!(file.again, "sshanchor config ssh --install '*.example.com' '!db.example.com'");
    assert!(file.hosts.matches("web1.example.com") && !file.hosts.matches("db.example.com"));
    assert_eq!(file.hosts.to_string(), "*.example.com !db.example.com", "final dots are left out");
    assert_eq!(file.options, wanted(Way::KnownHosts).options().unwrap().iter().map(own).collect::<Vec<_>>());
    for other in ["", "Host *\n", "# sshanchor 1\n", "# sshanchor 1: x\n# Do not edit; made by: x\nHost a\n"]
    {
        assert!(Installed::parse(other).is_none(), "{other:?}");
    }

    let command = &file.options[0].1;
    let good = format!(
        "knownhostscommand {command}\nstricthostkeychecking true\nverifyhostkeydns false\ncheckhostip no\n\
         nohostauthenticationforlocalhost no\nupdatehostkeys false\nglobalknownhostsfile none\nuserknownhostsfile none\n"
    );
    assert!(differences(&file.options, &Config::parse(&good)).is_empty());
    for (from, to, option) in [
        ("stricthostkeychecking true", "stricthostkeychecking false", "StrictHostKeyChecking"),
        ("verifyhostkeydns false", "verifyhostkeydns true", "VerifyHostKeyDNS"),
        ("userknownhostsfile none", "userknownhostsfile /x", "UserKnownHostsFile"),
        ("knownhostscommand /usr", "knownhostscommand /other", "KnownHostsCommand"),
    ] {
        let found = differences(&file.options, &Config::parse(&good.replace(from, to)));
        assert_eq!(found.iter().map(|d| d.option.as_str()).collect::<Vec<_>>(), [option]);
    }
    let file = [("UserKnownHostsFile", "~/.ssh/sshanchor/known_hosts".to_owned())];
    let with = |path: &str| differences(&file, &Config::parse(&format!("userknownhostsfile {path}\n")));
    assert!(with("/home/me/.ssh/sshanchor/known_hosts").is_empty() && !with("/home/me/other").is_empty());
}

fn own((option, value): &(&str, String)) -> (String, String) {
    ((*option).to_owned(), value.clone())
}

#[test]
fn patterns_that_go_and_names_that_are_typed_are_found() {
    for (new, former, left_out) in [
        ("*.example.com", "*.example.com", &[][..]),
        ("*.example.com", "web1.example.com *.example.org", &["*.example.org"]),
        ("*.example.com !db.example.com", "*.example.com !db.example.com", &[]),
        ("*.example.com !db.example.com", "*.example.com", &["*.example.com"]),
        ("web1", "web1 web1. !a", &[]),
    ] {
        assert_eq!(hosts(new).left_out(&hosts(former)), left_out, "{new} after {former}");
    }
    let text = b"Include x\r\nHost web1 \"web2\" *.example.com !web3 # web4\r\n  HostName a\nhost=db\n#Host c\nHostName h\n";
    assert_eq!(names(text), ["web1", "web2", "db"]);
}

#[test]
fn a_port_is_no_part_of_a_pattern() {
    for bad in ["web1.example.com:22", "a *.example.com:2222", "127.0.0.1:22"] {
        assert!(matches!(Hosts::parse(&words(bad)), Err(HostsError::Port(_))), "{bad}");
    }
    for good in ["fe80:*", "::1", "2001:db8::22", "fe80:1"] {
        assert!(Hosts::parse(&words(good)).is_ok(), "{good}");
    }
}
