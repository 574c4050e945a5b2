//! Each setting that weakens ssh, beside the one that does not.

use super::super::tests::severity;
use super::*;

/// As OpenSSH 9.2 prints them, the lines that matter.
const DEFAULTS: &str = "host web1.example.com\nhostname web1.example.com\nport 22\ncanonicalizehostname false\n\
    controlmaster false\nproxyusefdpass no\nstricthostkeychecking ask\nverifyhostkeydns false\nupdatehostkeys false\n\
    globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n\
    userknownhostsfile /home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2\ncontrolpersist no\n";
const PROXY: &str = "proxycommand sshanchor proxy %h %p\n";

/// What is found where these lines stand before the defaults.
fn found(lines: &str) -> Vec<Finding> {
    judge(Some("web1.example.com"), &Config::parse(&format!("{lines}{DEFAULTS}")))
}

#[test]
fn output_is_read_by_keyword() {
    let config = Config::parse(DEFAULTS);
    assert_eq!((config.host(), config.port()), (Some("web1.example.com"), Some(22)));
    let files = [
        "/home/me/.ssh/known_hosts",
        "/home/me/.ssh/known_hosts2",
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
    ];
    assert_eq!(config.known_hosts_files(), files);
    let none = Config::parse("userknownhostsfile none\ncanonicalizePermittedcnames none\nport x\n\nodd");
    assert!(none.known_hosts_files().is_empty() && none.port().is_none());
}

#[test]
fn the_defaults_are_well_but_for_the_proxy() {
    let findings = found("");
    assert_eq!(severity(&findings, "ssh-proxy"), Severity::Info);
    let others: Vec<&Finding> = findings.iter().filter(|f| f.check != "ssh-proxy").collect();
    assert!(others.iter().all(|finding| finding.severity == Severity::Ok), "{others:#?}");
}

#[test]
fn connections_are_checked_where_sshanchor_is_asked() {
    for lines in [PROXY, "knownhostscommand /usr/bin/sshanchor known-hosts %I %H %t %K\n"] {
        assert_eq!(severity(&found(lines), "ssh-proxy"), Severity::Ok, "{lines}");
    }
    assert_eq!(severity(&found("proxycommand sshanchor proxy %n %p\n"), "ssh-proxy"), Severity::Warning);
    let other = found("proxycommand nc %h %p\n");
    let finding = other.iter().find(|finding| finding.check == "ssh-proxy").unwrap();
    assert_eq!(finding.severity, Severity::Info);
    assert!(finding.message.contains("nc %h %p") && finding.remedy.is_some());
    let jump = found("proxyjump jump.example.com\n").remove(0);
    assert!(jump.message.contains("ProxyJump") && jump.remedy.unwrap().contains("without the jump"));
}

#[test]
fn laxity_is_told() {
    let strict = |value: &str, proxy: &str| {
        severity(&found(&format!("{proxy}stricthostkeychecking {value}\n")), "ssh-strict")
    };
    for value in ["no", "off", "false"] {
        assert_eq!(
            (strict(value, ""), strict(value, PROXY)),
            (Severity::Warning, Severity::Warning),
            "{value}"
        );
    }
    assert_eq!((strict("accept-new", ""), strict("accept-new", PROXY)), (Severity::Warning, Severity::Info));
    for value in ["yes", "true", "ask"] {
        assert_eq!(strict(value, ""), Severity::Ok, "{value}");
    }
}

#[test]
fn belief_in_the_ad_bit_is_told() {
    let dns =
        |value: &str| severity(&found(&format!("verifyhostkeydns {value}\n")), "ssh-verify-host-key-dns");
    assert_eq!(["yes", "true", "ask"].map(dns), [Severity::Warning; 3]);
    assert_eq!(["no", "false"].map(dns), [Severity::Ok; 2]);
}

#[test]
fn shared_connections_delay_refusals() {
    let shared = |lines: &str| {
        let findings = found(&format!("controlpath /home/me/.ssh/abc\n{lines}"));
        findings.into_iter().find(|finding| finding.check == "ssh-multiplexing").unwrap()
    };
    let persists = shared("controlmaster auto\ncontrolpersist 600\n");
    assert_eq!(persists.severity, Severity::Warning);
    assert!(persists.message.contains("for 10 minutes after the last session"), "{persists:?}");
    assert!(persists.remedy.unwrap().contains("ssh -O exit web1.example.com"));
    for value in ["yes", "true", "0"] {
        let endless = shared(&format!("controlmaster true\ncontrolpersist {value}\n"));
        assert!(endless.severity == Severity::Warning && endless.message.contains("until it is told to end"));
    }
    assert_eq!(shared("controlmaster autoask\ncontrolpersist no\n").severity, Severity::Info);
    assert_eq!(shared("controlmaster false\n").severity, Severity::Info);
    assert_eq!(
        severity(&found("controlmaster auto\ncontrolpersist 600\n"), "ssh-multiplexing"),
        Severity::Ok
    );
    assert_eq!(severity(&found("controlpath none\ncontrolmaster auto\n"), "ssh-multiplexing"), Severity::Ok);
}

#[test]
fn what_changes_names_and_known_hosts_is_told_only_where_it_is_set() {
    let has = |lines: &str, check: &str| found(lines).iter().any(|finding| finding.check == check);
    for (check, set, unset) in [
        ("ssh-host-key-alias", "hostkeyalias web\n", "hostkeyalias none\n"),
        ("ssh-canonicalize", "canonicalizehostname always\n", "canonicalizehostname false\n"),
        ("ssh-update-host-keys", "updatehostkeys true\n", "updatehostkeys false\n"),
        (
            "ssh-proxy-fdpass",
            "proxyusefdpass yes\nproxycommand sshanchor proxy %h %p\n",
            "proxyusefdpass yes\n",
        ),
    ] {
        assert!(has(set, check) && !has(unset, check), "{check}");
    }
}

#[test]
fn known_hosts_is_wanted_by_a_strict_client_behind_the_proxy_alone() {
    let wants = |lines: &str| Config::parse(&format!("{lines}{DEFAULTS}")).wants_known_hosts();
    assert!(wants(&format!("{PROXY}stricthostkeychecking true\n")));
    assert!(!wants(PROXY));
    assert!(!wants("stricthostkeychecking true\n"));
    assert!(!wants(&format!("{PROXY}stricthostkeychecking true\nknownhostscommand sshanchor known-hosts\n")));
}

#[test]
fn versions_are_read() {
    assert_eq!(
        version("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\n").severity,
        Severity::Ok
    );
    assert_eq!(version("OpenSSH_8.5p1").severity, Severity::Ok);
    assert_eq!(version("OpenSSH_8.4p1").severity, Severity::Info);
    assert_eq!(version("OpenSSH_7.9").severity, Severity::Info);
    assert_eq!(version("Dropbear v2022.83").severity, Severity::Info);
    assert_eq!(version("").severity, Severity::Info);
}
