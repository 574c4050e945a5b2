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
    found_by((9, 2), lines)
}

/// The same for another version of ssh.
fn found_by((major, minor): (u32, u32), lines: &str) -> Vec<Finding> {
    let config = Config::parse(&format!("{lines}{DEFAULTS}"));
    judge(Some("web1.example.com"), &config, Some(Version { major, minor }), None)
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
    assert!(jump.remedy.unwrap().starts_with("sshanchor config ssh --install 'web1.example.com'"));
    let jump = found_by((8, 4), "proxyjump jump.example.com\n").remove(0);
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

#[test]
fn what_counts_beside_the_command_is_told() {
    const COMMAND: &str = "knownhostscommand /usr/bin/sshanchor known-hosts %I %H %t %K\n";
    const NONE: &str = "userknownhostsfile none\nglobalknownhostsfile none\n";
    let has = |findings: &[Finding], check: &str| findings.iter().any(|finding| finding.check == check);
    assert!(has(&found(COMMAND), "ssh-known-hosts-files"));
    assert!(!has(&found(&format!("{COMMAND}{NONE}")), "ssh-known-hosts-files"));
    assert!(!has(&found(PROXY), "ssh-known-hosts-files"), "the proxy comes before");
    assert!(has(&found("knownhostscommand /usr/bin/other %H\n"), "ssh-known-hosts-command"));
    assert!(!has(&found(COMMAND), "ssh-known-hosts-command"));
    // What today's ssh takes for none is a file to an old one.
    assert_eq!(severity(&found_by((8, 4), NONE), "ssh-none-file"), Severity::Warning);
    assert!(!has(&found(NONE), "ssh-none-file") && !has(&found_by((8, 4), ""), "ssh-none-file"));
    const LOCAL: &str = "nohostauthenticationforlocalhost yes\n";
    assert_eq!(severity(&found(&format!("{COMMAND}{LOCAL}")), "ssh-localhost"), Severity::Warning);
    assert_eq!(severity(&found(&format!("{PROXY}{LOCAL}")), "ssh-localhost"), Severity::Info);
    assert!(!has(&found("nohostauthenticationforlocalhost no\n"), "ssh-localhost"));
}

#[test]
fn programs_are_found_in_commands() {
    let of = |line: &str| Config::parse(line).programs();
    let khc = |path: &str| vec![("KnownHostsCommand", path.to_owned())];
    assert_eq!(of("knownhostscommand /usr/bin/sshanchor known-hosts %I"), khc("/usr/bin/sshanchor"));
    assert_eq!(of(r#"knownhostscommand "/a \"b\" c/sshanchor" known-hosts"#), khc(r#"/a "b" c/sshanchor"#));
    let proxy = of(r"proxycommand '/it'\''s/sshanchor' proxy '%h' %p");
    assert_eq!(proxy, [("ProxyCommand", "/it's/sshanchor".to_owned())]);
    assert!(of("proxycommand sshanchor proxy %h %p\nknownhostscommand /bin/other").is_empty());
}

#[test]
fn a_file_that_is_overruled_is_told_with_what_writes_it_again() {
    let file = "# sshanchor 0.1.0: x\n# Do not edit; made by: sshanchor config ssh --install web1\nMatch host web1\n    \
        StrictHostKeyChecking yes\n    UserKnownHostsFile none\n";
    let installed = Installed::parse(file).unwrap();
    let judge = |lines: &str| in_force("ssh -G web1", "/x", &installed, &Config::parse(lines));
    assert_eq!(judge("stricthostkeychecking true\nuserknownhostsfile none").severity, Severity::Ok);
    let finding = judge("stricthostkeychecking false\nuserknownhostsfile none");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.message.contains("StrictHostKeyChecking is false"), "{finding:?}");
    assert!(finding.remedy.unwrap().contains("sshanchor config ssh --install web1"));
    assert_eq!(of_this_version("/x", &installed, "0.1.0").severity, Severity::Ok);
    assert_eq!(of_this_version("/x", &installed, "0.2.0").severity, Severity::Info);
}

#[test]
fn what_is_installed_for_others_is_kept_by_the_remedy() {
    let file = "# sshanchor 0.1.0: x\n# Do not edit; made by: sshanchor config ssh --install '*.example.com'\n\
        Match host *.example.com,*.example.com.\n    StrictHostKeyChecking yes\n";
    let installed = Installed::parse(file).unwrap();
    let of = |host: Option<&str>, name: &str| {
        let config = Config::parse(&format!("hostname {name}\n{DEFAULTS}"));
        judge(host, &config, Some(Version { major: 9, minor: 2 }), Some(&installed)).remove(0)
    };
    // Some other host: the list grows.
    let other = of(Some("db.example.org"), "db.example.org");
    assert_eq!(other.severity, Severity::Info);
    assert_eq!(
        other.remedy.as_deref(),
        Some("sshanchor config ssh --install '*.example.com' 'db.example.org'")
    );
    // A short name leads past the pattern.
    let alias = of(Some("web1"), "web1.example.com");
    assert_eq!(alias.severity, Severity::Warning);
    assert!(alias.message.contains("web1 leads to web1.example.com"), "{alias:?}");
    assert!(alias.remedy.unwrap().ends_with("--install '*.example.com' 'web1'"));
    let all = of(None, "sshanchor.invalid");
    assert!(all.message.contains("other hosts than *.example.com"), "{all:?}");
}
