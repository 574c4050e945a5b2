//! Names, SSHFP records, messages.

use std::cmp::Ordering;

use sshanchor::proto::hostkey::HostKey;
use sshanchor::proto::message::{Question, Response, is_reply_to};
use sshanchor::proto::name::{HostName, Name};
use sshanchor::proto::rr::{RrSet, RrType, Rrsig, presentation};
use sshanchor::proto::sshfp::Sshfp;

use super::{assert_printable, encode};

/// Octets as a name on the wire, as text, and as two of either to be compared.
pub fn name(octets: &[u8]) {
    let mut names: Vec<Name> = Vec::new();
    let mut rest = octets;
    while let (Ok((name, used)), true) = (Name::read_wire(rest), names.len() < 8) {
        assert!((1..=255).contains(&used));
        assert_eq!(rest[..used].to_ascii_lowercase(), name.wire());
        assert_eq!(Name::from_wire(&rest[..used]).as_ref(), Ok(&name));
        names.push(name);
        rest = &rest[used..];
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        names.extend(text.lines().take(8).filter_map(|line| Name::from_text(line).ok()));
        text.lines().take(8).for_each(host_name);
    }
    names.iter().for_each(check_name);
    for (left, right) in names.iter().zip(names.iter().skip(1)) {
        assert_eq!(left.cmp(right), right.cmp(left).reverse());
        assert_eq!(left == right, left.cmp(right) == Ordering::Equal);
        // Whatever is below a name comes after it (RFC 4034 section 6.1).
        if left.is_at_or_below(right) {
            assert!(left >= right && *right == left.last_labels(right.label_count()));
        }
    }
}

fn check_name(name: &Name) {
    let text = name.to_string();
    assert_printable(&text);
    assert!(!text.contains(' '));
    assert_eq!(Name::from_text(&text).as_ref(), Ok(name), "{text}");
    assert_eq!(Name::from_wire(name.wire()).as_ref(), Ok(name));
    assert_eq!(Name::from_labels(name.labels()).as_ref(), Ok(name));
    assert!(name.wire().len() <= 255 && name.label_count() <= 127);
    assert!(name.is_at_or_below(name) && name.is_at_or_below(&Name::root()));
    if let Some(parent) = name.parent() {
        assert!(name.is_at_or_below(&parent) && !parent.is_at_or_below(name) && parent < *name);
        assert_eq!(parent, name.last_labels(name.label_count() - 1));
        assert_eq!(parent.child(name.labels().next().unwrap()).as_ref(), Ok(name));
    } else {
        assert!(name.is_root());
    }
}

fn host_name(text: &str) {
    let Ok(host) = HostName::parse(text) else { return };
    check_name(host.name());
    let shown = host.to_string();
    assert!(
        shown.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)),
        "{shown}"
    );
    assert_eq!(HostName::parse(&shown).as_ref(), Ok(&host));
    assert!(shown.parse::<std::net::IpAddr>().is_err());
    if let Ok(label) = host.port_label(2222) {
        assert!(label.is_at_or_below(host.name()) && label.label_count() == host.name().label_count() + 2);
    }
}

/// Octets as RDATA and as text.
pub fn sshfp(octets: &[u8]) {
    if let Ok(record) = Sshfp::from_rdata(octets) {
        assert_eq!(record.rdata(), octets);
        assert_eq!(presentation(RrType::SSHFP, octets), record.to_string());
        check_sshfp(&record);
    } else {
        assert!(octets.len() < 3);
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(record) = Sshfp::from_text(text)
    {
        check_sshfp(&record);
    }
}

fn check_sshfp(record: &Sshfp) {
    let text = record.to_string();
    assert_printable(&text);
    assert_printable(&record.fingerprint_text());
    assert_eq!(Sshfp::from_text(&text).as_ref(), Ok(record));
    assert_eq!(Sshfp::from_rdata(&record.rdata()).as_ref(), Ok(record));
    let after = |line: String, prefix: &str| line.strip_prefix(prefix).map(str::to_owned).unwrap();
    let (plain, generic) = (record.line("h"), record.generic_line("h"));
    assert_eq!(Sshfp::from_text(&after(plain, "h IN SSHFP ")).as_ref(), Ok(record));
    assert_eq!(Sshfp::from_text(&after(generic, "h IN TYPE44 ")).as_ref(), Ok(record));
    let key = HostKey::from_line(super::world::KEY).unwrap();
    assert_eq!(record.matches(&key), *record == Sshfp::of_key(&key));
    if record.is_usable() {
        assert!(record.fingerprint_type() == 2 && record.fingerprint().len() == 32);
        assert!(matches!(record.algorithm(), 1 | 3 | 4));
    }
}

/// The id and the question of a message, read by another hand than the crate's.
pub fn asked(message: &[u8]) -> Option<(u16, Question)> {
    let id = u16::from_be_bytes(*message.first_chunk()?);
    let (name, used) = Name::read_wire(message.get(12..)?).ok()?;
    let rtype = u16::from_be_bytes(*message.get(12 + used..)?.first_chunk()?);
    Some((id, Question::new(name, RrType(rtype))))
}

/// Octets as a reply to the question in them.
pub fn message(octets: &[u8]) {
    let Some((id, question)) = asked(octets) else { return };
    let Ok(response) = Response::read(octets, id, &question) else { return };
    assert!(is_reply_to(octets, id, &question));
    assert!(Response::read(octets, !id, &question).is_err());
    let other = Question::new(question.name.clone(), RrType(!question.rtype.0));
    let bare = response.answer.is_empty() && response.authority.is_empty();
    assert!(Response::read(octets, id, &other).is_err() || bare);
    let records: Vec<_> = response.answer.iter().chain(&response.authority).collect();
    if response.truncated {
        assert!(records.is_empty());
    }
    for record in &records {
        check_name(&record.owner);
        let shown = presentation(record.rtype, &record.rdata);
        assert!(!shown.is_empty());
        assert_printable(&shown);
        if let Some(rrsig) = Rrsig::from_rdata(&record.rdata) {
            assert_eq!(Rrsig::from_rdata(&rrsig.rdata()), Some(rrsig));
        }
    }
    // Canonical RDATA is canonical; names that were compressed may have made it too long to be sent again.
    if records.iter().all(|record| record.rdata.len() <= usize::from(u16::MAX)) {
        let again = encode::reply(id, &question, &response);
        assert_eq!(Response::read(&again, id, &question).as_ref(), Ok(&response));
    }
    let mut backwards = response.answer.clone();
    backwards.reverse();
    assert_eq!(sorted(RrSet::collect(&response.answer)), sorted(RrSet::collect(&backwards)));
}

/// Sets that differ in the order of signatures alone are the same.
fn sorted(sets: Vec<RrSet>) -> Vec<String> {
    let mut shown: Vec<String> = sets
        .iter()
        .map(|set| {
            let mut signatures: Vec<Vec<u8>> = set.signatures().iter().map(Rrsig::rdata).collect();
            signatures.sort();
            let rdatas: Vec<&[u8]> = set.rdatas().collect();
            format!("{} {} {} {rdatas:?} {signatures:?}", set.owner(), set.rtype(), set.ttl())
        })
        .collect();
    shown.sort();
    shown
}
