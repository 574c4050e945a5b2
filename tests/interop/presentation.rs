//! `lookup` shows records of every type as zone files have them: BIND reads them back as what it served.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::peer::command;
use crate::support::{Finished, Sandbox, Tree, run, run_ok};

/// Types that BIND reads, and data of each; more than one line makes a set.
const RECORDS: &[(&str, &[&str])] = &[
    ("A", &["127.0.0.1", "192.0.2.255"]),
    ("AAAA", &["::1", "2001:db8::1.2.3.4"]),
    ("TXT", &[r#""one" "two \"quoted\" \\ ; @ $" "" "\000\255""#]),
    ("SPF", &[r#""v=spf1 -all""#]),
    ("AVC", &[r#""app-name:x""#]),
    ("NINFO", &[r#""status" "x""#]),
    ("MX", &["10 WEB1.example.test.", "20 ."]),
    ("SRV", &["1 2 22 WEB1.example.test."]),
    ("PTR", &[r"A\.b\@c.example.test."]),
    ("MB", &["a.example.test."]),
    ("MG", &["a.example.test."]),
    ("MR", &["a.example.test."]),
    ("MINFO", &["Me.example.test. You.example.test."]),
    ("HINFO", &[r#""CPU \"x\"" "OS""#]),
    ("RP", &["Me.example.test. Text.example.test."]),
    ("AFSDB", &["1 WEB1.example.test."]),
    ("RT", &["1 WEB1.example.test."]),
    ("KX", &["1 WEB1.example.test."]),
    ("PX", &["1 WEB1.example.test. WEB2.example.test."]),
    ("X25", &[r#""311061700956""#]),
    ("ISDN", &[r#""150862028003217" "004""#, r#""150862028003217""#]),
    ("GPOS", &[r#""-32.6882" "116.8652" "10.0""#]),
    ("NSAP", &["0x47.0005"]),
    ("NSAP-PTR", &["a.example.test."]),
    ("WKS", &["127.0.0.1 6 22 80"]),
    ("NAPTR", &[r#"1 2 "S" "SIP+D2U" "!^(.*)$!sip:\\1@x!" WEB1.example.test."#, r#"1 2 "" "" "" ."#]),
    ("LOC", &["52 22 23.000 N 4 53 32.001 E -2.00m 0.00m 10000m 10m", "0 0 0 S 180 0 0 W 42849672.95m"]),
    ("URI", &[r#"10 1 "https://Example.test/?a=\"b\"""#]),
    ("CAA", &[r#"0 issue "ca.example; x=\"y\"""#, r#"128 iodef "mailto:a@example.test""#]),
    ("CERT", &["1 2 3 AQID"]),
    ("DHCID", &["AQIDBA=="]),
    ("OPENPGPKEY", &["AQIDBA=="]),
    ("TLSA", &["3 1 1 abababab"]),
    ("SMIMEA", &["3 1 1 abababab"]),
    ("SSHFP", &["4 2 abababababababababababababababababababababababababababababababab"]),
    (
        "SVCB",
        &[
            "0 WEB1.example.test.",
            r#"1 . mandatory=alpn,port alpn="h2,h3-29" no-default-alpn port=443 ipv4hint=127.0.0.1,192.0.2.1 ech=AQID ipv6hint=::1,::2 key7="/dns-query{?dns}" key65333="a \"b\\,\000""#,
        ],
    ),
    ("HTTPS", &["1 . alpn=h2", r#"2 . alpn="a\\,b,c""#]),
    ("EUI48", &["00-00-5e-00-53-2a"]),
    ("EUI64", &["00-00-5e-ef-10-00-00-2a"]),
    ("NID", &["10 0014:4fff:ff20:ee64"]),
    ("L32", &["10 10.1.2.0"]),
    ("L64", &["10 2001:db8:1140:1000"]),
    ("LP", &["10 l64.example.test."]),
    ("CSYNC", &["1 3 A NS", "1 3 TYPE65280 CAA"]),
    ("KEY", &["256 3 13 AQIDBA=="]),
    ("RKEY", &["0 3 13 AQIDBA=="]),
    ("TALINK", &["a.example.test. b.example.test."]),
    ("DLV", &["1 13 2 abababababababababababababababababababababababababababababababab"]),
    ("APL", &["1:192.168.32.0/21 !1:192.168.38.0/28"]),
    ("IPSECKEY", &["10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="]),
    ("HIP", &["2 200100107B1A74DF365639CC39F1D578 AQIDBA== a.example.test."]),
    ("AMTRELAY", &["10 0 2 2001:db8::15"]),
    ("A6", &["64 ::1 WEB1.example.test."]),
    ("SINK", &["1 0 0 AQIDBA=="]),
    ("NULL", &[r"\# 3 010203"]),
    ("TYPE65280", &[r"\# 4 01020304", r"\# 0"]),
];

/// At the apex alone, or of the zone's own making.
const AT_APEX: [&str; 8] = ["SOA", "NS", "DNSKEY", "NSEC", "CDS", "CDNSKEY", "ZONEMD", "NSEC3PARAM"];

fn owner(rtype: &str) -> String {
    format!("of-{}.example.test.", rtype.to_lowercase())
}

fn lookup(tree: &Tree, name: &str, rtype: &str) -> Finished {
    let mut command = tree.sshanchor(tree.addr());
    run(command.args(["lookup", name, "--type", rtype, "--json"]), Duration::from_secs(30))
}

/// Records by type, owners left out, as BIND writes a zone file of these lines.
fn compiled(sandbox: &Sandbox, lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let head = "$TTL 60\nexample.test. SOA ns.example.test. h.example.test. 1 2 3 4 5\nexample.test. NS ns.example.test.\nns.example.test. A 127.0.0.1\n";
    let file = sandbox.write("presentation.db", &format!("{head}{}\n", lines.join("\n")));
    let mut compile = command("named-compilezone");
    compile.args(["-i", "none", "-k", "ignore", "-n", "ignore", "-r", "ignore", "-s", "full", "-o", "-"]);
    let text = run_ok(compile.arg("example.test").arg(file));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("of-")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Names in RDATA come in the case that is signed (RFC 4034 section 6.2).
        found.entry(words[0].to_owned()).or_default().push(words[3..].join(" ").to_lowercase());
    }
    found
}

#[test]
fn every_types_records_are_read_back_as_what_was_served() {
    let mut plan = Tree::plan();
    let lines: Vec<String> = RECORDS
        .iter()
        .flat_map(|(rtype, data)| data.iter().map(move |rdata| format!("{} {rtype} {rdata}", owner(rtype))))
        .collect();
    for line in &lines {
        plan = plan.record(line);
    }
    let tree = plan.start();
    let mut shown = Vec::new();
    for (rtype, data) in RECORDS {
        let finished = lookup(&tree, &owner(rtype), rtype);
        let json = finished.json();
        assert_eq!((&json["status"], &json["type"]), (&"secure".into(), &(*rtype).into()), "{finished:#?}");
        let records = json["records"].as_array().unwrap();
        assert_eq!(records.len(), data.len(), "{json}");
        for record in records {
            shown.push(format!("{} {rtype} {}", owner(rtype), record.as_str().unwrap()));
        }
    }
    let (want, found) = (compiled(&tree.sandbox, &lines), compiled(&tree.sandbox, &shown));
    assert_eq!(want.len(), RECORDS.len());
    for (owner, want) in &want {
        assert_eq!(found.get(owner), Some(want), "{owner}");
    }
    // Few types need the form of unknown ones.
    let generic: Vec<&String> = shown.iter().filter(|line| line.contains(r" \# ")).collect();
    let without: &[&str] = &["APL", "IPSECKEY", "HIP", "AMTRELAY", "A6", "SINK", "NULL", "WKS", "TYPE65280"];
    for line in generic {
        assert!(
            without.iter().any(|rtype| line.contains(&format!(" {rtype} "))) || line.contains("of-https"),
            "{line}"
        );
    }
}

#[test]
fn types_are_known_by_name_and_by_number() {
    let tree = Tree::plan()
        .record("example.test. CDS 1 13 2 abababababababababababababababababababababababababababababababab")
        .record("example.test. CDNSKEY 257 3 13 AQIDBA==")
        .start();
    for rtype in AT_APEX {
        let finished = lookup(&tree, "example.test", rtype);
        let json = finished.json();
        assert_eq!(json["type"], rtype, "{finished:#?}");
        assert!(["secure", "absent"].contains(&json["status"].as_str().unwrap()), "{finished:#?}");
    }
    let by_number = lookup(&tree, "example.test", "type2").json();
    assert_eq!((&by_number["type"], &by_number["status"]), (&"NS".into(), &"secure".into()));
    for question in ["ANY", "AXFR", "OPT", "TSIG", "TYPE255", "RRSIG", "nonsense"] {
        assert_eq!(lookup(&tree, "example.test", question).code, Some(2), "{question}");
    }
}
