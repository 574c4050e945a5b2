//! A zone transfer (AXFR, RFC 5936) as far as SSHFP records at some names go: what stands there, and what keeps the
//! zone from having a say there. Nothing in it is proven.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::message::{MessageError, NOERROR, RawMessage, RawRecord};
use super::name::Name;
use super::plan::Present;
use super::rr::RrType;
use super::sshfp::Sshfp;

/// A transfer under way.
#[derive(Debug)]
pub struct Transfer {
    zone: Name,
    id: u16,
    /// SOA records seen: the first begins the transfer, the second ends it.
    soas: u8,
    contents: Contents,
}

/// What a zone holds at the names that were asked for.
#[derive(Debug)]
pub struct Contents {
    zone: Name,
    /// The names that were asked for, each once, in that order, and the SSHFP records at each; none where one of them is malformed, or
    /// they were given away.
    sets: Vec<(Name, Option<Found>)>,
    /// The place of each name.
    places: HashMap<Name, usize>,
    /// The place of the name that is as a rule asked for next: that behind the last one.
    next: usize,
    /// Every owner of SSHFP records, where these are asked for.
    owners: Option<BTreeSet<Name>>,
    /// Where another zone, another name or another branch takes over: owners of NS below the apex, CNAME, DNAME.
    leaves: HashSet<Name>,
}

/// What was found at one name: a set is made of it once it is whole, for a peer may send as much as it likes, in the worst
/// of orders.
#[derive(Debug, Default)]
struct Found {
    /// The lowest of their TTLs; 0 where there are none.
    ttl: u32,
    records: Vec<Sshfp>,
}

/// Why there is no transfer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The server will not.
    #[error("{}", super::message::rcode_name(*.0))]
    Rcode(u16),
    /// It is not an authority for the zone.
    #[error("not an authority")]
    NotAuthoritative,
    /// Not a transfer of this zone.
    #[error("malformed")]
    Malformed,
}

impl From<MessageError> for TransferError {
    fn from(_: MessageError) -> Self {
        TransferError::Malformed
    }
}

impl Transfer {
    /// Of `zone`, in replies to the query `id`, as far as it concerns `names`.
    pub fn new(zone: &Name, id: u16, names: impl IntoIterator<Item = Name>) -> Self {
        let (mut sets, mut places) = (Vec::new(), HashMap::new());
        for name in names {
            if let Entry::Vacant(place) = places.entry(name.clone()) {
                place.insert(sets.len());
                sets.push((name, Some(Found::default())));
            }
        }
        let leaves = HashSet::new();
        let contents = Contents { zone: zone.clone(), sets, places, next: 0, owners: None, leaves };
        Transfer { zone: zone.clone(), id, soas: 0, contents }
    }

    /// The same for whoever wants to know which names have SSHFP records at all.
    pub fn of_owners(zone: &Name, id: u16) -> Self {
        let mut transfer = Self::new(zone, id, []);
        transfer.contents.owners = Some(BTreeSet::new());
        transfer
    }

    /// How many names are kept of what has come.
    pub fn kept(&self) -> usize {
        self.contents.owners.as_ref().map_or(0, BTreeSet::len).saturating_add(self.contents.leaves.len())
    }

    /// Takes one message; true once it is the last.
    pub fn push(&mut self, message: &[u8]) -> Result<bool, TransferError> {
        let mut message = RawMessage::read(message, self.id)?;
        match message.rcode() {
            NOERROR => {}
            rcode => return Err(TransferError::Rcode(rcode)),
        }
        // Knot does not set AA in a transfer [measured, 3.2.6], for all that RFC 5936 section 2.2.1 wants it. Whoever
        // decides by what is there has to know that an authority said it; a list of names is none the worse.
        let is_list = self.contents.owners.is_some();
        if self.soas == 0 && !message.is_authoritative() && !is_list {
            return Err(TransferError::NotAuthoritative);
        }
        while let Some(record) = message.next_answer()? {
            // Nothing comes before the first SOA record, and nothing after the second.
            if self.soas == 2 || (self.soas == 0 && record.rtype != RrType::SOA) {
                return Err(TransferError::Malformed);
            }
            self.take(&record)?;
        }
        match self.soas {
            // A message without a record would go on for ever.
            0 => Err(TransferError::Malformed),
            soas => Ok(soas == 2),
        }
    }

    fn take(&mut self, record: &RawRecord) -> Result<(), TransferError> {
        let contents = &mut self.contents;
        match record.rtype {
            RrType::SOA => {
                if record.owner()? != self.zone {
                    return Err(TransferError::Malformed);
                }
                self.soas += 1;
            }
            RrType::SSHFP if contents.owners.is_some() => {
                let owner = record.owner()?;
                if owner.is_at_or_below(&self.zone)
                    && let Some(owners) = &mut contents.owners
                {
                    owners.insert(owner);
                }
            }
            RrType::SSHFP => {
                let place = contents.places.get(&record.owner()?);
                if let Some((_, set)) = place.and_then(|at| contents.sets.get_mut(*at)) {
                    let ttl = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl }; // RFC 2181 section 8
                    match (set.as_mut(), Sshfp::from_rdata(record.rdata)) {
                        (Some(set), Ok(sshfp)) => {
                            set.ttl = if set.records.is_empty() { ttl } else { set.ttl.min(ttl) };
                            // Most have one, and a vector that grows begins with room for four.
                            if set.records.is_empty() {
                                set.records.reserve_exact(1);
                            }
                            set.records.push(sshfp);
                        }
                        _ => *set = None,
                    }
                }
            }
            RrType::NS | RrType::CNAME | RrType::DNAME => {
                let owner = record.owner()?;
                if owner != self.zone || record.rtype != RrType::NS {
                    contents.leaves.insert(owner);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What was transferred, once [`Transfer::push`] has said that it is whole.
    pub fn contents(self) -> Option<Contents> {
        (self.soas == 2).then_some(self.contents)
    }
}

impl Contents {
    /// The owners of SSHFP records that stand in this zone, where they were asked for: glue of zones below is not its own.
    pub fn owners(self) -> BTreeSet<Name> {
        let owners = self.owners.iter().flatten().filter(|owner| self.decides(owner));
        owners.cloned().collect()
    }

    /// Whose they are.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// The zone itself decides what stands at `owner`: it lies there, and neither a delegation nor an alias is on the
    /// way. Where this is false, a question tells more.
    pub fn decides(&self, owner: &Name) -> bool {
        if !owner.is_at_or_below(&self.zone) {
            return false;
        }
        // As a rule there are none or few.
        if self.leaves.is_empty() {
            return true;
        }
        let mut name = Some(owner.clone());
        while let Some(at) = name.filter(|name| name.is_at_or_below(&self.zone)) {
            if self.leaves.contains(&at) {
                return false;
            }
            name = at.parent();
        }
        true
    }

    /// The SSHFP records at one of the names that were asked for, which are given away; none where a question tells
    /// more. Records that a wildcard makes up do not stand anywhere.
    pub fn take(&mut self, owner: &Name) -> Option<Present> {
        if !self.decides(owner) {
            return None;
        }
        let at = match self.sets.get(self.next) {
            Some((name, _)) if name == owner => self.next,
            _ => *self.places.get(owner)?,
        };
        self.next = at + 1;
        let Found { ttl, records } = self.sets.get_mut(at)?.1.take()?;
        Some(Present::new(ttl, records))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 7;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn record(owner: &str, rtype: RrType, rdata: &[u8]) -> Vec<u8> {
        let mut out = name(owner).wire().to_vec();
        out.extend(rtype.0.to_be_bytes());
        out.extend([0, 1, 0, 0, 1, 44]);
        out.extend((rdata.len() as u16).to_be_bytes());
        out.extend(rdata);
        out
    }

    fn message(flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let counts = [ID, 0x8000 | flags, 0, records.len() as u16, 0, 0];
        let head: Vec<u8> = counts.iter().flat_map(|field| field.to_be_bytes()).collect();
        [head, records.concat()].concat()
    }

    fn soa() -> Vec<u8> {
        record("example", RrType::SOA, &[0; 22])
    }

    fn sshfp(owner: &str, letter: u8) -> Vec<u8> {
        record(owner, RrType::SSHFP, &[4, 2, letter])
    }

    const AA: u16 = 0x0400;

    fn begun() -> Transfer {
        let names = ["web1.example", "web2.example", "host.below.example", "alias.example", "bad.example"];
        Transfer::new(&name("example"), ID, names.map(name))
    }

    #[test]
    fn each_set_is_given_away_once_in_whatever_order() {
        let names = ["web1", "web2", "web1", "web3", "web4"];
        for asked in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [0, 2, 1, 4, 3], [2, 3, 0, 1, 4]] {
            let owner = |at: usize| name(&format!("{}.example", names[at]));
            let mut transfer = Transfer::new(&name("example"), ID, (0..5).map(owner));
            let records = [soa(), sshfp("web4.example", 4), sshfp("web1.example", 1), soa()];
            assert_eq!(transfer.push(&message(AA, &records)), Ok(true));
            let (mut contents, mut seen) = (transfer.contents().unwrap(), HashSet::new());
            for at in asked {
                let one = |letter| Present::new(300, [Sshfp::from_rdata(&[4, 2, letter]).unwrap()]);
                let there = match names[at] {
                    "web1" => one(1),
                    "web4" => one(4),
                    _ => Present::absent(),
                };
                assert_eq!(
                    contents.take(&owner(at)),
                    seen.insert(names[at]).then_some(there),
                    "{at} of {asked:?}"
                );
            }
        }
    }

    #[test]
    fn sets_come_out_as_they_stand() {
        let mut transfer = begun();
        let (ns, cname) = (name("ns.example"), name("web1.example"));
        let first = [soa(), record("example", RrType::NS, ns.wire()), sshfp("web1.example", b'a')];
        assert_eq!(transfer.push(&message(AA, &first)), Ok(false));
        let second = [
            sshfp("WEB1.example", b'b'),
            sshfp("other.example", b'c'),
            record("below.example", RrType::NS, ns.wire()),
            sshfp("host.below.example", b'd'),
            record("alias.example", RrType::CNAME, cname.wire()),
            record("bad.example", RrType::SSHFP, &[4, 2]),
            soa(),
        ];
        assert_eq!(transfer.push(&message(0, &second)), Ok(true));
        let mut contents = transfer.contents().unwrap();
        let set = |letters: &'static [u8]| letters.iter().map(|l| Sshfp::from_rdata(&[4, 2, *l]).unwrap());
        assert_eq!(contents.take(&name("web1.example")), Some(Present::new(300, set(b"ab"))));
        assert_eq!(contents.take(&name("web2.example")), Some(Present::absent()));
        for unknown in ["host.below.example", "alias.example", "bad.example", "other.example"] {
            assert_eq!(contents.take(&name(unknown)), None, "{unknown}");
        }
        assert!(contents.decides(&name("example")) && contents.decides(&name("any.example")));
        assert!(!contents.decides(&name("below.example")) && !contents.decides(&name("elsewhere.test")));
    }

    #[test]
    fn whoever_wants_the_names_gets_those_of_the_zone_itself() {
        let mut transfer = Transfer::of_owners(&name("example"), ID);
        let ns = name("ns.example");
        let first = [soa(), sshfp("web1.example", b'a'), record("below.example", RrType::NS, ns.wire())];
        assert_eq!(transfer.push(&message(0, &first)), Ok(false));
        let second = [
            sshfp("WEB1.example", b'b'),
            sshfp("_22._ssh.web2.example", b'c'),
            sshfp("host.below.example", b'd'),
            sshfp("elsewhere.test", b'e'),
            soa(),
        ];
        assert_eq!(transfer.push(&message(0, &second)), Ok(true));
        assert_eq!(transfer.kept(), 4);
        let owners: Vec<String> = transfer.contents().unwrap().owners().iter().map(Name::to_string).collect();
        assert_eq!(owners, ["web1.example", "_22._ssh.web2.example"]);
    }

    #[test]
    fn a_part_never_passes_for_the_whole() {
        let mut transfer = begun();
        assert_eq!(transfer.push(&message(AA, &[soa(), sshfp("web1.example", b'a')])), Ok(false));
        assert!(transfer.contents().is_none());
        let wrong: [(&str, Vec<u8>); 7] = [
            ("no SOA first", message(AA, &[sshfp("web1.example", b'a'), soa()])),
            ("another zone", message(AA, &[record("test", RrType::SOA, &[0; 22])])),
            ("something after the end", message(AA, &[soa(), soa(), sshfp("web1.example", b'a')])),
            ("nothing", message(AA, &[])),
            ("no authority", message(0, &[soa(), soa()])),
            ("refused", message(AA | 5, &[])),
            ("another id", {
                let mut other = message(AA, &[soa(), soa()]);
                other[1] ^= 1;
                other
            }),
        ];
        for (case, message) in wrong {
            assert!(begun().push(&message).is_err(), "{case}");
        }
        let whole = message(AA, &[soa(), sshfp("web1.example", b'a'), soa()]);
        assert_eq!(begun().push(&whole), Ok(true));
        for end in 0..whole.len() {
            assert!(begun().push(&whole[..end]).is_err(), "{end}");
        }
    }
}
