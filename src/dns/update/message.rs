//! Plans as one update message (RFC 2136 section 2): prerequisites that hold what was read, changes,
//! and a size that arrives whole.

use hickory_proto::op::update_message::UpdateMessage;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::SSHFP;
use hickory_proto::rr::{self, DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable;

use super::UpdateError;
use crate::proto::name::Name;
use crate::proto::plan::Plan;
use crate::proto::sshfp::{Sshfp, SshfpSet};

/// Most owners in one message: beyond it the library may cut a message short.
pub const MAX_OWNERS: usize = 400;
/// Most records in one message, prerequisites included.
pub const MAX_RECORDS: usize = 1200;
/// Most octets in one message before it is signed; the rest is for the signature.
const MAX_OCTETS: usize = 64_000;

/// How many of the first `plans` fit in one message; at least one of them if there is any.
pub fn fitting(plans: &[Plan]) -> usize {
    let (mut records, mut octets) = (0, 0);
    let fits = |plan: &&Plan| {
        let (more_records, more_octets) = size(plan);
        records += more_records;
        octets += more_octets;
        records <= MAX_RECORDS && octets <= MAX_OCTETS
    };
    plans.iter().take(MAX_OWNERS).take_while(fits).count().max(1).min(plans.len())
}

/// Records and octets that a plan takes, at most: hickory stops compressing names after a while.
fn size(plan: &Plan) -> (usize, usize) {
    let owner = plan.owner.wire().len();
    let all = prerequisites(plan).chain(updates(plan));
    all.fold((0, 0), |(records, octets), line| (records + 1, octets + owner + 10 + line.rdata_length()))
}

/// One record of an update message.
enum Line<'a> {
    /// The whole RRset: it must not exist (prerequisite), or it goes (update).
    RrSet(DNSClass),
    /// One record of it.
    One(DNSClass, u32, &'a Sshfp),
}

impl Line<'_> {
    fn rdata_length(&self) -> usize {
        match self {
            Self::RrSet(_) => 0,
            Self::One(_, _, record) => record.fingerprint().len() + 2,
        }
    }

    fn record(&self, owner: &rr::Name) -> Record {
        match self {
            Self::RrSet(class) => {
                let mut record = Record::update0(owner.clone(), 0, RecordType::SSHFP);
                record.dns_class = *class;
                record
            }
            Self::One(class, ttl, sshfp) => {
                let rdata = SSHFP::new(
                    sshfp.algorithm().into(),
                    sshfp.fingerprint_type().into(),
                    sshfp.fingerprint().to_vec(),
                );
                let mut record = Record::from_rdata(owner.clone(), *ttl, RData::SSHFP(rdata));
                record.dns_class = *class;
                record
            }
        }
    }
}

/// Records of a section, each of this class and with this TTL.
fn each<'a>(
    class: DNSClass,
    ttl: u32,
    records: impl IntoIterator<Item = &'a Sshfp>,
) -> impl Iterator<Item = Line<'a>> {
    records.into_iter().map(move |record| Line::One(class, ttl, record))
}

/// The RRset is exactly the one that was read (RFC 2136 section 2.4.2), or none exists (section 2.4.3).
fn prerequisites(plan: &Plan) -> impl Iterator<Item = Line<'_>> {
    let present = &plan.present.records;
    let none = present.is_empty().then_some(Line::RrSet(DNSClass::NONE));
    none.into_iter().chain(each(DNSClass::IN, 0, present))
}

/// Only what differs, or the whole set where its TTL changes (RFC 2136 section 2.5).
fn updates(plan: &Plan) -> impl Iterator<Item = Line<'_>> {
    let (none, resets) = (SshfpSet::EMPTY, plan.resets_ttl());
    let (stay, go) = match resets {
        true => ([&plan.keep, &plan.foreign], none),
        false => ([none, none], &plan.remove),
    };
    let whole = resets.then_some(Line::RrSet(DNSClass::ANY));
    whole
        .into_iter()
        .chain(each(DNSClass::IN, plan.ttl, stay.into_iter().flatten()))
        .chain(each(DNSClass::NONE, 0, go))
        .chain(each(DNSClass::IN, plan.ttl, &plan.add))
}

pub(in crate::dns) fn wire_name(name: &Name) -> Result<rr::Name, UpdateError> {
    rr::Name::from_bytes(name.wire()).map_err(|e| UpdateError::Encode(e.to_string()))
}

/// One update of all `plans`, which takes effect as a whole or not at all.
pub(super) fn message(zone: &Name, plans: &[Plan]) -> Result<Message, UpdateError> {
    if plans.len() > MAX_OWNERS {
        return Err(UpdateError::TooLarge);
    }
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Update);
    let mut query = Query::new();
    query.set_name(wire_name(zone)?).set_query_class(DNSClass::IN).set_query_type(RecordType::SOA);
    message.add_zone(query);
    let (mut records, mut octets) = (0, 0);
    for plan in plans {
        let (more_records, more_octets) = size(plan);
        (records, octets) = (records + more_records, octets + more_octets);
        let owner = wire_name(&plan.owner)?;
        message.add_pre_requisites(prerequisites(plan).map(|line| line.record(&owner)));
        message.add_updates(updates(plan).map(|line| line.record(&owner)));
    }
    // `fitting` lets one plan through however large it is.
    if records > MAX_RECORDS || octets > MAX_OCTETS { Err(UpdateError::TooLarge) } else { Ok(message) }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::proto::plan::{Intent, Present};

    fn zone() -> Name {
        Name::from_text("example.com").unwrap()
    }

    fn record(letter: u8) -> Sshfp {
        Sshfp::from_rdata(&[&[4, 2], [letter; 32].as_slice()].concat()).unwrap()
    }

    fn plan(host: &str, present: &[u8], wanted: &[u8], ttl: Option<u32>) -> Plan {
        let owner = Name::from_text(&format!("{host}.example.com")).unwrap();
        let set = |letters: &[u8]| letters.iter().map(|l| record(*l)).collect::<SshfpSet>();
        let intent = Intent::Publish { ttl, prune: true };
        let present = Present::new(300, set(present));
        Plan::new(&owner, &present, &set(wanted), &set(&[]), intent).unwrap()
    }

    /// Class, TTL and data of each record of a section.
    fn lines(records: &[Record]) -> Vec<String> {
        let data = |r: &Record| match &r.data {
            RData::Update0(_) => "-".to_owned(),
            RData::SSHFP(s) => (s.fingerprint[0] as char).to_string(),
            _ => "?".to_owned(),
        };
        records.iter().map(|r| format!("{} {} {}", r.dns_class, r.ttl, data(r))).collect()
    }

    #[test]
    fn prerequisites_name_exactly_what_was_read() {
        let made = |present: &[u8], wanted: &[u8], ttl| {
            let octets = message(&zone(), &[plan("web1", present, wanted, ttl)]).unwrap().to_vec().unwrap();
            let message = Message::from_vec(&octets).unwrap();
            assert_eq!(message.queries[0].query_type(), RecordType::SOA);
            (lines(&message.answers), lines(&message.authorities))
        };
        assert_eq!(made(b"", b"a", None), (vec!["NONE 0 -".into()], vec!["IN 3600 a".into()]));
        let (prerequisites, updates) = made(b"ab", b"bc", None);
        assert_eq!(prerequisites, ["IN 0 a", "IN 0 b"]);
        assert_eq!(updates, ["NONE 0 a", "IN 300 c"]);
        let (prerequisites, updates) = made(b"ab", b"bc", Some(60));
        assert_eq!(prerequisites, ["IN 0 a", "IN 0 b"]);
        assert_eq!(updates, ["ANY 0 -", "IN 60 b", "IN 60 c"]);
    }

    #[test]
    fn no_message_is_larger_than_what_arrives_whole() {
        let many: Vec<Plan> = (0..1000).map(|n| plan(&format!("web{n}"), b"ab", b"c", None)).collect();
        let fits = fitting(&many);
        assert!((200..=MAX_OWNERS).contains(&fits), "{fits}");
        let made = message(&zone(), &many[..fits]).unwrap();
        let read = Message::from_vec(&made.to_vec().unwrap()).unwrap();
        assert_eq!(read.answers.len(), fits * 2);
        assert_eq!(read.authorities.len(), fits * 3);
        assert!(matches!(message(&zone(), &many[..fits + 1]), Err(UpdateError::TooLarge)));
        // Long names count in octets.
        let long: Vec<Plan> =
            (0..400).map(|n| plan(&format!("{}{n}", "a.".repeat(110)), b"", b"c", None)).collect();
        let fits = fitting(&long);
        assert!(fits < 400, "{fits}");
        let octets = message(&zone(), &long[..fits]).unwrap().to_vec().unwrap();
        assert_eq!(Message::from_vec(&octets).unwrap().authorities.len(), fits);
        // One owner with too much is an error and no endless loop.
        let huge: Vec<u8> = (0..=255).collect();
        let mut plan = plan("web1", b"", b"c", None);
        for second in 0..5 {
            let records =
                huge.iter().map(|b| Sshfp::from_rdata(&[&[4, second], [*b; 32].as_slice()].concat()));
            plan.present.records.extend(records.map(Result::unwrap));
        }
        assert_eq!(fitting(std::slice::from_ref(&plan)), 1);
        assert!(matches!(message(&zone(), &[plan]), Err(UpdateError::TooLarge)));
    }
}
