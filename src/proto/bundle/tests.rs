use super::*;
use crate::proto::chain::Anchors;
use crate::proto::chain::paper::{Key, MARGIN, NOW, Paper, TTL, Zone, name, question, record};
use crate::proto::rr::Origin;

const HOST: &str = "web1.example.test";
const KEY: &[u8] = b"\x04\x02the key of web1";

/// A host, an alias of it in another zone, and a whole zone that was moved there.
fn paper() -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    paper.publish("example.test", HOST, RrType::SSHFP, &[KEY]);
    let alias = paper.zone("other.test").sign("www.other.test", RrType::CNAME, &[name(HOST).wire()]);
    paper.put("www.other.test", RrType::SSHFP, alias);
    let moved =
        paper.zone("other.test").sign("old.other.test", RrType::DNAME, &[name("example.test").wire()]);
    let cname = record("web1.old.other.test", RrType::CNAME, name(HOST).wire());
    paper.put("web1.old.other.test", RrType::SSHFP, moved.into_iter().chain([cname]).collect());
    paper
}

fn bundle(paper: &Paper, hosts: &[&str]) -> Bundle {
    let answers = hosts.iter().map(|host| paper.prove(host, RrType::SSHFP).unwrap());
    Bundle::new(answers.flat_map(|answer| answer.entries(NOW)), NOW)
}

fn prove(paper: &Paper, bundle: &Bundle, host: &str, now: u64) -> Result<Answer, ChainError> {
    bundle.prove(&question(host, RrType::SSHFP), &mut Prover::new(paper.anchors.clone(), now))
}

#[test]
fn what_is_written_proves_again_with_its_aliases() {
    let paper = paper();
    let hosts = [HOST, "www.other.test", "web1.old.other.test"];
    let text = bundle(&paper, &hosts).to_text();
    let read = Bundle::from_text(&text).unwrap();
    assert_eq!(read, bundle(&paper, &hosts));
    assert_eq!(read.to_text(), text);
    for host in hosts {
        let answer = prove(&paper, &read, host, NOW).unwrap();
        assert_eq!(answer.data().set().rdatas().collect::<Vec<_>>(), [KEY], "{host}");
        assert_eq!(answer.origin(), Origin::Bundle);
    }
    // Three questions, the target of two of them being the third; keys of four zones, DS of three.
    assert_eq!(read.entries().len(), 3 + 4 + 3);
}

#[test]
fn a_bundle_holds_until_its_signatures_end_and_not_until_its_ttl() {
    let paper = paper();
    let bundle = bundle(&paper, &[HOST]);
    let end = NOW + u64::from(MARGIN);
    let late = prove(&paper, &bundle, HOST, end).unwrap();
    assert_eq!((late.valid_until(), late.expires()), (end, end));
    assert_eq!(prove(&paper, &bundle, HOST, end + 1).unwrap_err().code(), "signature-expired");
    let early = NOW - u64::from(MARGIN) - 1;
    assert_eq!(prove(&paper, &bundle, HOST, early).unwrap_err().code(), "signature-not-yet-valid");
}

#[test]
fn a_bundle_brings_no_anchor_and_lacks_what_it_lacks() {
    let paper = paper();
    let bundle = bundle(&paper, &[HOST]);
    for (zone, code) in [(".", "anchor-mismatch"), ("example.test", "anchor-mismatch"), ("com", "no-anchor")]
    {
        let other = Zone { key: Key::ed25519("of somebody else"), ..Zone::new(zone) };
        let anchors = Anchors::from_text(&other.anchor(RrType::DNSKEY)).unwrap();
        let asked = question(HOST, RrType::SSHFP);
        let outcome = bundle.prove(&asked, &mut Prover::new(anchors, NOW));
        assert_eq!(outcome.unwrap_err().code(), code, "{zone}");
    }
    assert_eq!(prove(&paper, &bundle, "web2.example.test", NOW).unwrap_err().code(), "no-answer");
}

#[test]
fn many_hosts_of_a_zone_share_what_proves_the_zone() {
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    let hosts: Vec<String> = (0..200).map(|n| format!("h{n}.example.test")).collect();
    for host in &hosts {
        paper.publish("example.test", host, RrType::SSHFP, &[KEY]);
    }
    let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let (one, all) = (bundle(&paper, &names[..1]), bundle(&paper, &names));
    assert_eq!(all.entries().len(), one.entries().len() + 199);
    // In octets: what a host adds is its own line.
    let line = entry_text(one.get(&question(names[0], RrType::SSHFP)).unwrap()).len() + 8;
    assert!(all.to_text().len() <= one.to_text().len() + 199 * line);
}

#[test]
fn malformed_bundles_are_told_of_by_line() {
    let text = bundle(&paper(), &[HOST]).to_text();
    assert!(Bundle::from_text(&text).is_ok());
    let cut = &text[..text[..text.len() - 1].rfind('\n').unwrap() + 1];
    assert!(matches!(Bundle::from_text(cut), Err(BundleError::Count { said: 6, found: 5 })));
    let last = text.lines().last().unwrap();
    let twice = format!("{text}{last}\n");
    assert!(matches!(Bundle::from_text(&twice), Err(BundleError::Line { line: 8, .. })));
    for (from, to) in [
        ("\"ttl\":", "\"more\":1,\"ttl\":"),
        ("\"type\":\"DS\"", "\"type\":\"A\""),
        ("\"type\":\"DS\"", "\"type\":\"ANY\""),
        ("\"type\":\"DS\"", "\"alias\":\"CNAME\",\"type\":\"DS\""),
        ("\"type\":\"DS\"", "\"alias\":\"DNAME\",\"type\":\"DS\""),
        ("\"type\":\"DS\"", "\"owner\":\"test\",\"type\":\"DS\""),
        ("\"name\":\"test\"", "\"name\":\"te..st\""),
        ("\"rrsig\":\"", "\"rrsig\":\"!"),
        ("\"rdata\":[\"", "\"rdata\":[\"!"),
        ("\"rdata\":[", "\"rdata\":[],\"rdata\":["),
        ("\n{", "\n\n{"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert!(matches!(Bundle::from_text(&changed), Err(BundleError::Line { .. })), "{from} -> {to}");
    }
    for other in ["", "{}", "\n", "{\"format\":\"sshanchor-bundle\"}", "a.example SSHFP 4 2 00"] {
        assert_eq!(Bundle::from_text(other), Err(BundleError::Header), "{other}");
    }
    let newer = text.replacen("\"version\":1", "\"version\":2,\"hosts\":7", 1);
    assert_eq!(Bundle::from_text(&newer), Err(BundleError::Version(2)));
}

#[test]
fn a_record_is_no_longer_than_what_is_signed_can_say() {
    // The length of each record is signed in 16 bits: several that follow one another could pass for one.
    let line = |length: usize| {
        let (rdata, rrsig) =
            (BASE64.encode(&vec![0; length]), BASE64.encode(&[&[0, 44][..], &[0; 17]].concat()));
        format!(
            r#"{{"name":"a.test","type":"SSHFP","ttl":1,"fetched":1,"rdata":["{rdata}"],"rrsig":"{rrsig}"}}"#
        )
    };
    assert!(entry_from_text(&line(65_535)).is_ok());
    assert_eq!(entry_from_text(&line(65_536)).unwrap_err(), "a record of more than 65535 octets");
}

#[test]
fn an_entry_lives_for_the_least_ttl_and_then_by_grace() {
    let paper = paper();
    let bundle = bundle(&paper, &[HOST]);
    let entry = bundle.get(&question(HOST, RrType::SSHFP)).unwrap();
    let end = NOW + u64::from(TTL);
    assert_eq!(entry.until(), end);
    let origin = |now, grace| entry.kept(now, grace).map(|set| (set.origin(), set.ttl()));
    assert_eq!(origin(NOW, 0), Some((Origin::Cache, TTL)));
    assert_eq!(origin(end, 0), Some((Origin::Cache, 0)));
    assert_eq!(origin(end + 1, 0), None);
    let grace = Origin::Grace { fetched: NOW, until: end + 60 };
    assert_eq!(origin(end + 60, 60), Some((grace, 0)));
    assert_eq!(origin(end + 61, 60), None);
    assert_eq!(origin(NOW - 1, u64::MAX), None, "from the future");
    // A wire TTL that was raised cannot outlive what was signed.
    let raised = entry.set().clone().from_origin(Origin::Dns, u32::MAX);
    let entry = Entry::new(entry.question().clone(), raised, NOW).unwrap();
    assert_eq!(entry.until(), end);
}

#[test]
fn a_proof_in_grace_says_so_and_ends_with_its_grace() {
    let paper = paper();
    let bundle = bundle(&paper, &[HOST]);
    let now = NOW + u64::from(TTL) + 10;
    let asked = question(HOST, RrType::SSHFP);
    let mut prover = Prover::new(paper.anchors.clone(), now);
    let kept = |q: &Question| bundle.get(q).and_then(|entry| entry.kept(now, 60));
    let answer = prove_stored(&asked, &mut prover, kept).unwrap();
    let end = NOW + u64::from(TTL) + 60;
    assert_eq!(answer.origin(), Origin::Grace { fetched: NOW, until: end });
    assert_eq!(answer.valid_until(), end);
}
