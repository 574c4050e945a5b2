//! The zones of the table: one tree with a corner of DNSSEC in each.

use std::fmt::Write as _;

use super::records::{aliases, names, types};
use crate::support::Zone;
use crate::support::forge::{Claims, SigningKey, now};
use crate::support::tree::{Plan, Tree};
use crate::support::wire::{Rr, WireName};
use crate::support::zone::{Keys, Parent, Signing, ds_of};

const DAY: u32 = 86_400;

/// Every zone beside `.`, `test.`, `plain.test.` and `broken.test.`. example.test. is for Knot: BIND
/// makes no NSEC3 of 500 iterations.
pub fn plan() -> Plan {
    let mut plan = Tree::plan();
    plan.zones.retain(|z| [".", "test.", "plain.test.", "broken.test."].contains(&&*z.name));
    let tops = [denials(), algorithms(), digests(), keys(), islands(), spoilt()].concat();
    let zones = tops.into_iter().chain([aliases(types(names(furnished("nsec.test."))))]);
    let plan = zones.fold(plan, Plan::zone);
    let back = "back.plain.test. CNAME web1.nsec.test.";
    plan.record(back)
        .record("bad.plain.test. CNAME web1.dsflip.test.")
        .record("moved.plain.test. DNAME nsec.test.")
}

/// What each kind of denial is tried on.
fn furnished(name: &str) -> Zone {
    let records = [
        "web1 A 127.0.0.1",
        "web1.hosts A 127.0.0.1",
        "cname CNAME web1",
        "moved DNAME hosts",
        "a.ent TXT below",
        "a.b.deep TXT below",
        "*.wild TXT any",
        "host.wild TXT own",
        "a.ent.wild TXT below",
        "*.alias CNAME web1",
        "*.away CNAME web1.ed25519.test.",
        "*.lost CNAME nobody",
        "mid.*.star TXT middle",
    ];
    let whole = records.map(|line| {
        let (owner, rest) = line.split_once(' ').unwrap();
        let target = !rest.ends_with('.') && (rest.starts_with("CNAME") || rest.starts_with("DNAME"));
        format!("{owner}.{name} {rest}{}", if target { format!(".{name}") } else { String::new() })
    });
    whole.iter().fold(Zone::signed(name).combined(), |zone, line| zone.record(line))
}

/// NSEC3 in its forms, and cuts below zones of each.
fn denials() -> Vec<Zone> {
    let mut zones = vec![
        furnished("nsec3.test.").nsec3(),
        furnished("n100.test.").iterations(100),
        furnished("optout.test.").opt_out(),
        Zone { combined: false, ..furnished("example.test.").iterations(500) },
    ];
    for above in ["nsec.test.", "nsec3.test.", "optout.test."] {
        for cut in ["signed", "signed.ent", "signed.x.gap"] {
            zones.push(furnished(&format!("{cut}.{above}")));
        }
        for cut in ["plain", "plain.ent", "plain.y.hole"] {
            zones.push(Zone::unsigned(&format!("{cut}.{above}")).hosts());
        }
    }
    zones
}

fn algorithms() -> Vec<Zone> {
    let of = |algorithm: &str| {
        Zone::signed(&format!("{}.test.", algorithm.to_lowercase())).algorithm(algorithm).combined().hosts()
    };
    let plain = ["RSASHA256", "RSASHA512", "ECDSAP384SHA384", "ED25519", "ED448", "RSASHA1"];
    let mut zones: Vec<Zone> = plain.map(of).into();
    zones.push(of("NSEC3RSASHA1").nsec3());
    zones
}

/// The fields of a DS line, which dnssec-dsfromkey writes as `ZONE IN DS TAG ALGORITHM DIGEST-TYPE DIGEST`.
fn with_field(line: &str, field: usize, value: &str) -> String {
    let mut fields: Vec<&str> = line.split_whitespace().collect();
    fields[field] = value;
    fields.join(" ") + "\n"
}

fn with_digest_type(line: &str, number: &str) -> String {
    with_field(line, 5, number)
}

fn with_algorithm(line: &str, number: &str) -> String {
    with_field(line, 4, number)
}

/// A bit of the digest is another.
fn flipped(line: &str) -> String {
    let digest = line.split_whitespace().last().unwrap();
    let (rest, last) = digest.split_at(digest.len() - 1);
    let last = u8::from_str_radix(last, 16).unwrap() ^ 1;
    with_field(line, 6, &format!("{rest}{last:X}"))
}

fn digests() -> Vec<Zone> {
    let zone = |name: &str, lines: fn(&Keys) -> String| {
        Zone::signed(&format!("{name}.test.")).combined().hosts().parent(Parent::Says(lines))
    };
    vec![
        zone("ds384", |keys| keys.ds("-aSHA-384")),
        zone("ds1", |keys| keys.ds("-1")),
        zone("dsunknown", |keys| with_digest_type(&keys.ds("-2"), "200")),
        zone("ds1and256", |keys| keys.ds("-1") + &keys.ds("-2")),
        zone("dsunknownand256", |keys| with_digest_type(&keys.ds("-1"), "200") + &keys.ds("-2")),
        zone("ds1good256bad", |keys| keys.ds("-1") + &flipped(&keys.ds("-2"))),
        zone("ds256good384bad", |keys| keys.ds("-2") + &flipped(&keys.ds("-aSHA-384"))),
        zone("ds256bad384good", |keys| flipped(&keys.ds("-2")) + &keys.ds("-aSHA-384")),
        zone("dsalg200", |keys| with_algorithm(&keys.ds("-2"), "200")),
        zone("dsalg200and13", |keys| with_algorithm(&keys.ds("-2"), "200") + &keys.ds("-2")),
        zone("dsalg8and13", |keys| with_algorithm(&keys.ds("-2"), "8") + &keys.ds("-2")),
        zone("dsalg8", |keys| with_algorithm(&keys.ds("-2"), "8")),
        zone("dsflip", |keys| flipped(&keys.ds("-2"))),
        zone("dsflipandgood", |keys| flipped(&keys.ds("-2")) + &keys.ds("-2")),
        zone("dstag", |keys| with_field(&keys.ds("-2"), 3, "1")),
        zone("dsmany", |keys| {
            let one = keys.ds("-2");
            (0..12).fold(one.clone(), |all, i| all + &with_field(&flipped(&one), 3, &i.to_string()))
        }),
    ]
}

/// The DS of the first further key.
fn ds_of_more(keys: &Keys) -> String {
    ds_of(&keys.more[0], "-2")
}

fn keys() -> Vec<Zone> {
    let zone = |name: &str| Zone::signed(&format!("{name}.test.")).hosts();
    let rsa = |name: &str| {
        zone(name)
            .algorithm("RSASHA256")
            .key(&["-a", "ECDSAP256SHA256", "-f", "KSK"])
            .key(&["-a", "ECDSAP256SHA256"])
    };
    let sha1 = |name: &str| {
        let zone = zone(name).key(&["-a", "RSASHA1", "-f", "KSK"]).key(&["-a", "RSASHA1"]);
        zone.parent(Parent::Says(|keys| keys.ds("-2") + &ds_of_more(keys)))
    };
    const STANDBY: &[&str] = &["-f", "KSK", "-P", "now-1d", "-A", "now+30d"];
    const REVOKED: &[&str] = &["-f", "KSK", "-P", "now-2d", "-A", "now-2d", "-R", "now-1d"];
    vec![
        zone("kskzsk"),
        zone("csk").combined(),
        zone("standby").key(STANDBY).parent(Parent::Says(|keys| keys.ds("-2") + &ds_of_more(keys))),
        // The DS of the key that signs is gone too early.
        zone("standbyonly").key(STANDBY).parent(Parent::Says(ds_of_more)),
        zone("twoksk").key(&["-f", "KSK"]).parent(Parent::Says(ds_of_more)),
        zone("prepublished").key(&["-P", "now-1d", "-A", "now+30d"]),
        zone("twozsk").key(&[]),
        zone("revoked").key(REVOKED),
        zone("revokedds").key(REVOKED).parent(Parent::Says(|keys| {
            let mut key = SigningKey::read(&keys.more[0]);
            key.dnskey[1] |= 0x80;
            generic("revokedds.test.", &key.ds("revokedds.test."))
        })),
        zone("revokedwas").key(REVOKED).parent(Parent::Says(ds_of_more)),
        // The DS names the key that signs all but the keys.
        zone("zskds").parent(Parent::Says(|keys| ds_of(&keys.zsk, "-2"))),
        rsa("rollold"),
        rsa("rollnew").parent(Parent::Says(ds_of_more)),
        rsa("rollboth").parent(Parent::Says(|keys| keys.ds("-2") + &ds_of_more(keys))),
        // Signatures of one algorithm are missing or wrong.
        rsa("rollhalf").parent(Parent::Says(|keys| keys.ds("-2") + &ds_of_more(keys))).edit(|text, _| {
            let gone = |line: &&str| !(line.starts_with("web1.") && line.contains("RRSIG\tA 8 "));
            let gone_too = |line: &&str| !(line.starts_with("web2.") && line.contains("RRSIG\tA 13 "));
            let text = lines(text).filter(gone).filter(gone_too).map(|line| {
                let wrong = line.starts_with("web3.") && line.contains("RRSIG\tA 8 ");
                if wrong { spoil(line) } else { line.to_owned() }
            });
            text.collect::<Vec<_>>().join("\n") + "\n"
        }),
        // The DS set names an algorithm by which nothing is signed yet.
        zone("rollearly").parent(Parent::Says(|keys| keys.ds("-2") + &with_algorithm(&keys.ds("-2"), "15"))),
        sha1("rollsha1"),
        sha1("rollsha1ds").parent(Parent::Says(ds_of_more)),
    ]
}

/// Zones without a way down to them; some tests give them anchors of their own.
fn islands() -> Vec<Zone> {
    vec![
        furnished("island.test.").parent(Parent::NoDs),
        furnished("signed.island.test."),
        Zone::unsigned("plain.island.test.").hosts(),
        Zone::signed("flip.island.test.")
            .combined()
            .hosts()
            .parent(Parent::Says(|keys| flipped(&keys.ds("-2")))),
        Zone::signed("island.plain.test.").combined().hosts().parent(Parent::NoDs),
        // An unsigned parent's DS is nobody's word.
        Zone::signed("ds.plain.test.").combined().hosts(),
        // Its anchor is of another zone's key.
        Zone::signed("wrong.test.").combined().hosts(),
    ]
}

/// Signatures out of their time, and what single missing or wrong ones do.
fn spoilt() -> Vec<Zone> {
    let names = [
        "good",
        "expired",
        "justexpired",
        "future",
        "unsigned",
        "wrong",
        "twice",
        "foreign",
        "labels",
        "ttl",
        "strange",
    ];
    let mut zone = names.iter().fold(Zone::signed("spoilt.test."), |zone, name| {
        zone.record(&format!("{name}.spoilt.test. A 127.0.0.1"))
    });
    zone.records.push("*.wild.spoilt.test. A 127.0.0.1".into());
    zone.records.push("alias.spoilt.test. CNAME good.spoilt.test.".into());
    zone.records.push("ok.spoilt.test. CNAME expired.spoilt.test.".into());
    vec![
        Zone::signed("expired.test.").valid("20260101000000", "20260201000000").hosts(),
        Zone::signed("future.test.").valid("now+864000", "now+1728000").hosts(),
        zone.edit(spoil_some),
        // The delegations of spoilt.test.: no signature over the DS, an old one, no NSEC.
        Zone::signed("bareds.spoilt.test.").combined().hosts(),
        Zone::signed("oldds.spoilt.test.").combined().hosts(),
        Zone::unsigned("nonsec.spoilt.test.").hosts(),
        Zone::unsigned("plain.spoilt.test.").hosts(),
        Zone::signed("zskonly.test.").hosts().edit(|text, keys| {
            let tag = format!(" {} zskonly.test. ", SigningKey::read(&keys.ksk).tag());
            let signs = |line: &&str| !(line.contains("RRSIG\tDNSKEY") && line.contains(&tag));
            lines(text).filter(signs).fold(String::new(), |all, line| all + line + "\n")
        }),
        Zone::signed("unsignedkeys.test.").hosts().edit(|text, _| {
            let keeps = |line: &&str| !line.contains("RRSIG\tDNSKEY");
            lines(text).filter(keeps).fold(String::new(), |all, line| all + line + "\n")
        }),
        // Nobody serves it.
        Zone { signing: Signing::Elsewhere, ..Zone::signed("lame.test.") },
    ]
}

fn spoil_some(text: &str, keys: &Keys) -> String {
    let key = SigningKey::read(&keys.zsk);
    let claims =
        |set: &[Rr], from: u32, to: u32| Claims { inception: from, expiration: to, ..key.claims(set) };
    let now = now();
    let mut out = String::new();
    for line in lines(text) {
        let (owner, covered) = (line.split_whitespace().next().unwrap(), line.split("RRSIG\t").nth(1));
        let covered = covered.and_then(|rest| rest.split(' ').next());
        let a = [Rr::new(owner, 1, vec![127, 0, 0, 1])];
        let made = |claims: Claims| Some(generic(owner, &key.sign_as(&a, claims)));
        let put = match (owner.trim_end_matches(".spoilt.test."), covered) {
            ("expired", Some("A")) => made(claims(&a, now - 20 * DAY, now - 10 * DAY)),
            // Gone by for less than a tenth of its lifetime.
            ("justexpired", Some("A")) => made(claims(&a, now - 20 * DAY, now - 3600)),
            ("future", Some("A")) => made(claims(&a, now + 10 * DAY, now + 20 * DAY)),
            ("unsigned", Some("A")) | ("bareds", Some("DS")) => Some(String::new()),
            ("wrong", Some("A")) | ("alias", Some("CNAME")) => Some(spoil(line) + "\n"),
            // The good one comes second, after one that is spoilt.
            ("twice", Some("A")) => Some(format!("{}\n{line}\n", spoil(line))),
            ("foreign", Some("A")) => {
                made(Claims { signer: WireName::new("bareds.spoilt.test."), ..key.claims(&a) })
            }
            ("labels", Some("A")) => made(Claims { labels: 4, ..key.claims(&a) }),
            ("ttl", Some("A")) => made(Claims { original_ttl: 30, ..key.claims(&a) }),
            ("strange", Some("A")) => Some(line.replace("RRSIG\tA 13 ", "RRSIG\tA 250 ") + "\n"),
            ("oldds", Some("DS")) | ("nonsec", Some("NSEC")) => Some(spoil(line) + "\n"),
            _ => None,
        };
        match put {
            Some(put) => out += &put,
            None => writeln!(out, "{line}").unwrap(),
        }
    }
    out
}

/// The records of a signed zone file.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty())
}

/// An RRSIG line whose signature is another.
fn spoil(line: &str) -> String {
    let (rest, signature) = line.rsplit_once(' ').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{rest} {first}{}", &signature[1..])
}

/// A record in the form of RFC 3597.
fn generic(owner: &str, rr: &Rr) -> String {
    let hex = data_encoding::HEXLOWER.encode(&rr.data);
    format!("{owner} 60 IN TYPE{} \\# {} {hex}\n", rr.rtype, rr.data.len())
}
