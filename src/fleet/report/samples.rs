//! Reports for tests: those of this folder, and those that show them to a browser, to promtool and to readers of SARIF.

use super::audit::{
    Change, Changes, Finding, HostCertificate, HostReport, Key, Record, Report, Server, Severity, ZoneReport,
};

/// When they were made, in seconds since 1970: 2026-11-21, noon.
pub const TIME: u64 = 1_795_262_400;

fn finding(code: &str, severity: Severity, subject: &str, message: &str, hint: &str) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        subject: subject.to_owned(),
        message: message.to_owned(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

fn digest(seed: &str) -> String {
    seed.bytes()
        .cycle()
        .take(32)
        .enumerate()
        .map(|(at, b)| format!("{:02x}", b.wrapping_mul(at as u8 + 7)))
        .collect()
}

fn servers(lags: bool) -> Vec<Server> {
    let server = |at: u32, serial, agrees| Server {
        name: Some(format!("ns{at}.example.com")),
        address: format!("192.0.2.{}:53", 52 + at),
        serial,
        agrees,
    };
    vec![server(1, Some(2026112101), Some(true)), server(2, Some(2026112101 - u32::from(lags)), Some(!lags))]
}

/// A host that is as it should be.
pub fn well(host: &str) -> HostReport {
    let key = |key_type: &str, bits| Key {
        key_type: key_type.to_owned(),
        sha256: digest(&format!("{host}{key_type}")),
        bits,
        seen: vec!["live".to_owned()],
        published: true,
    };
    let keys = vec![key("ssh-ed25519", None), key("ecdsa-sha2-nistp256", None), key("ssh-rsa", Some(3072))];
    let number = |key: &Key| match key.key_type.as_str() {
        "ssh-ed25519" => 4,
        "ssh-rsa" => 1,
        _ => 3,
    };
    let record = |key: &Key| Record {
        owner: format!("{host}."),
        rdata: format!("{} 2 {}", number(key), key.sha256.to_uppercase()),
        proven: true,
    };
    HostReport {
        host: host.to_owned(),
        port: 22,
        verdict: Some("accept".to_owned()),
        reason: None,
        message: format!("{host} is proven: its key has a proven SSHFP record"),
        status: "secure".to_owned(),
        zone: Some("example.com.".to_owned()),
        valid_until: Some(TIME + 3600),
        signed_until: Some(TIME + 12 * 86_400),
        ttl: Some(3600),
        address: Some("192.0.2.10:22".to_owned()),
        server_version: Some("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7".to_owned()),
        kex: Some("sntrup761x25519-sha512@openssh.com".to_owned()),
        records: keys.iter().map(record).collect(),
        keys,
        certificates: Vec::new(),
        servers: servers(false),
        findings: Vec::new(),
    }
}

fn refused(host: &str, verdict: Option<&str>, reason: &str, status: &str, message: &str) -> HostReport {
    let verdict = verdict.map(str::to_owned);
    let proven = status == "secure";
    let mut report = HostReport {
        verdict,
        reason: Some(reason.to_owned()),
        message: message.to_owned(),
        status: status.to_owned(),
        ..well(host)
    };
    if !proven {
        report.records.clear();
        report.keys.iter_mut().for_each(|key| key.published = false);
        (report.valid_until, report.signed_until, report.ttl) = (None, None, None);
    }
    report
}

/// A small fleet with something of everything, compared with an earlier audit.
pub fn fleet() -> Report {
    use Severity::{Error, Info, Warning};
    let mut hosts: Vec<HostReport> = (1..=6).map(|at| well(&format!("web{at}.example.com"))).collect();
    if let [web1, web2, _, web4, ..] = hosts.as_mut_slice() {
        web1.certificates.push(HostCertificate {
            key_sha256: digest("certified"),
            ca_sha256: Some(digest("ca")),
            serial: 17,
            valid_from: Some(TIME - 86_400),
            valid_until: Some(TIME + 40 * 86_400),
            good: true,
        });
        let rsa = digest("web2.example.comssh-rsa");
        web2.findings.push(finding(
            "stale-record",
            Warning,
            &rsa,
            "web2.example.com has a record of an RSA key that it does not hold",
            "sshanchor publish --name web2.example.com --server 192.0.2.53 --key-file KEY --prune",
        ));
        web2.findings.push(finding("sha1-record", Info, "4 1", "a SHA-1 record, which proves nothing", ""));
        web4.servers = servers(true);
        web4.findings.push(finding(
            "server-differs",
            Warning,
            "192.0.2.54:53",
            "ns2.example.com has other records of web4.example.com than the rest of DNS (2 records, serial 2026112100)",
            "see that it is notified and may transfer example.com.: its log, and the primary's (also-notify, allow-transfer)",
        ));
    }
    let mut impostor = refused(
        "db1.example.com",
        Some("reject"),
        "key-mismatch",
        "secure",
        "db1.example.com shows an ssh-ed25519 key that contradicts its proven records",
    );
    impostor.findings.push(finding(
        "key-mismatch",
        Error,
        &digest("impostor"),
        "db1.example.com shows an ssh-ed25519 key that contradicts its proven records",
        "someone may be in the way: compare on the host itself with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; \
         if the key is new there: sshanchor publish --name db1.example.com",
    ));
    let mut unsigned = refused(
        "build.example.net",
        Some("unproven"),
        "insecure",
        "insecure",
        "nothing vouches for build.example.net (insecure): example.net. is not signed",
    );
    unsigned.zone = Some("example.net.".to_owned());
    unsigned.findings.push(finding(
        "insecure",
        Error,
        "build.example.net",
        "nothing vouches for build.example.net (insecure): example.net. is not signed",
        "sign the zone, and give its DS records to the zone above",
    ));
    let mut bare = refused(
        "backup.example.com",
        Some("unproven"),
        "no-record",
        "absent",
        "nothing vouches for backup.example.com: the zone proves that there is no SSHFP record",
    );
    bare.port = 2222;
    bare.findings.push(finding(
        "no-record",
        Error,
        "backup.example.com",
        "nothing vouches for backup.example.com: the zone proves that there is no SSHFP record",
        "on that host: sshanchor publish --name backup.example.com",
    ));
    let mut silent =
        refused("old.example.com", None, "unreachable", "secure", "old.example.com:22 does not answer");
    (silent.address, silent.server_version, silent.kex) = (None, None, None);
    silent.keys.clear();
    silent.findings.push(finding(
        "orphan",
        Warning,
        "old.example.com",
        "old.example.com does not answer, and its records vouch for whoever holds its keys: connection refused",
        "if it is gone: sshanchor withdraw --name old.example.com --server PRIMARY --key-file KEY",
    ));
    let changed = |host: Option<&HostReport>, finding: &Finding| Change {
        host: host.map(HostReport::place),
        finding: finding.clone(),
    };
    let changes = Changes {
        since: TIME - 86_400,
        new: vec![
            changed(Some(&impostor), &impostor.findings[0]),
            changed(Some(&silent), &silent.findings[0]),
        ],
        gone: vec![changed(
            hosts.first(),
            &finding(
                "missing-record",
                Warning,
                "x",
                "an ECDSA key of web1.example.com has no record",
                "publish it",
            ),
        )],
        hosts_new: vec!["web6.example.com:22".to_owned()],
        hosts_gone: vec!["web0.example.com:22".to_owned()],
    };
    hosts.extend([impostor, unsigned, bare, silent]);
    let zones = vec![
        ZoneReport { zone: "example.com.".to_owned(), hosts: 9, servers: servers(true) },
        ZoneReport {
            zone: "example.net.".to_owned(),
            hosts: 1,
            servers: vec![Server {
                name: None,
                address: "198.51.100.1:53".to_owned(),
                serial: None,
                agrees: None,
            }],
        },
    ];
    let of_fleet = vec![
        finding(
            "replay-window",
            Warning,
            "example.com.",
            "a record of example.com. that is withdrawn can be replayed for 14 days (9 hosts)",
            "sign for less long: BIND: signatures-validity 3d in dnssec-policy; Knot: rrsig-lifetime: 3d",
        ),
        finding(
            "serial-differs",
            Info,
            "example.com.",
            "the servers of example.com. have different serial numbers",
            "",
        ),
    ];
    let mut report = Report::new(TIME, hosts, zones, of_fleet);
    report.changes = Some(changes);
    report
}

/// What peers may send to break a page, a spreadsheet, a terminal or a line.
pub const HOSTILE: [&str; 12] = [
    "<script>window.owned=1</script>",
    "\"><img src=x onerror=window.owned=1>",
    "' onmouseover='window.owned=1",
    "</style></script></title><script>window.owned=1</script>",
    "<!--<script>",
    "=HYPERLINK(\"https://evil.example\";\"click\")",
    "a;=1+1|@SUM(1)",
    "\u{202e}txt.exe\u{2066}\u{200b}",
    "\x1b]0;owned\x07\x1b[31mred\0\r\nX: y\u{9b}31m",
    "[click](https://evil.example) {0} {{1}} `x`",
    "javascript:window.owned=1",
    "&lt;b&gt; &amp;#60; ${owned} {{owned}} \\u003cscript\\u003e",
];

/// A report in which each text is hostile.
pub fn hostile() -> Report {
    let long = "<b>\u{202e}\"'&\n".repeat(100_000 / 12);
    let mut hosts: Vec<HostReport> = Vec::new();
    for text in HOSTILE.into_iter().chain([long.as_str()]) {
        let own = || text.to_owned();
        let server = || Server { name: Some(own()), address: own(), serial: None, agrees: None };
        let evil = |severity| finding(text, severity, text, text, text);
        hosts.push(HostReport {
            host: own(),
            port: 22,
            verdict: Some(own()),
            reason: Some(own()),
            message: own(),
            status: own(),
            zone: Some(own()),
            valid_until: Some(u64::MAX),
            signed_until: Some(u64::MAX),
            ttl: Some(u32::MAX),
            address: Some(own()),
            server_version: Some(own()),
            kex: Some(own()),
            records: vec![Record { owner: own(), rdata: own(), proven: false }],
            keys: vec![Key {
                key_type: own(),
                sha256: own(),
                bits: Some(usize::MAX),
                seen: vec![own(), own()],
                published: false,
            }],
            certificates: vec![HostCertificate {
                key_sha256: own(),
                ca_sha256: Some(own()),
                serial: u64::MAX,
                valid_from: Some(0),
                valid_until: Some(u64::MAX),
                good: false,
            }],
            servers: vec![server()],
            findings: vec![evil(Severity::Error), evil(Severity::Info)],
        });
    }
    let zones = hosts.iter().map(|host| ZoneReport {
        zone: host.host.clone(),
        hosts: usize::MAX,
        servers: host.servers.clone(),
    });
    let (zones, findings) = (zones.collect(), hosts.iter().flat_map(|host| host.findings.clone()).collect());
    let changes =
        hosts.iter().map(|host| Change { host: Some(host.place()), finding: host.findings[0].clone() });
    let changes = Changes {
        since: 0,
        new: changes.clone().collect(),
        gone: changes.collect(),
        hosts_new: hosts.iter().map(HostReport::place).collect(),
        hosts_gone: hosts.iter().map(|host| host.host.clone()).collect(),
    };
    let mut report = Report::new(TIME, hosts, zones, findings);
    report.changes = Some(changes);
    report
}

/// So many hosts; of each hundred one is rejected, two are unproven, one does not answer, and ten have warnings.
pub fn many(count: usize) -> Report {
    let small = fleet();
    let [impostor, unsigned, bare, silent] = &small.hosts[6..] else { panic!("the sample has ten hosts") };
    let named = |report: &HostReport, name: String| HostReport { host: name, ..report.clone() };
    let host = |at: usize| match at % 100 {
        13 => named(impostor, format!("db{at}.example.com")),
        29 => named(unsigned, format!("build{at}.example.net")),
        57 => named(bare, format!("backup{at}.example.com")),
        71 => named(silent, format!("old{at}.example.com")),
        other => {
            let mut report = well(&format!("node{at}.example.com"));
            if other % 10 == 0 {
                report.findings.extend(small.hosts[1].findings.clone());
            }
            report
        }
    };
    Report::new(TIME, (0..count).map(host).collect(), small.zones.clone(), small.findings.clone())
}
