//! Denials by NSEC3 (RFC 5155 section 8).

use data_encoding::BASE32HEX_NOPAD;

use super::*;

const OPT_OUT: u8 = 1;

/// How the records of one zone are made.
#[derive(Clone, Copy)]
struct Chain {
    zone: &'static str,
    algorithm: u8,
    flags: u8,
    iterations: u16,
    salt: &'static [u8],
}

const CHAIN: Chain = Chain { zone: ZONE, algorithm: 1, flags: 0, iterations: 2, salt: b"salt" };

impl Chain {
    fn hash(self, of: &str) -> Vec<u8> {
        nsec3::hash(&name(of), self.salt, self.iterations).to_vec()
    }

    fn record(self, hash: &[u8], next: &[u8], types: &[u16]) -> Vec<Record> {
        let owner = format!("{}.{}", BASE32HEX_NOPAD.encode(hash), self.zone);
        let head = [&[self.algorithm, self.flags][..], &self.iterations.to_be_bytes()].concat();
        let salt = [&[self.salt.len() as u8], self.salt].concat();
        let types = if types.is_empty() { Vec::new() } else { bitmap(types) };
        let rdata = [head, salt, vec![next.len() as u8], next.to_vec(), types].concat();
        Zone::new(self.zone).sign(&owner, RrType::NSEC3, &[&rdata])
    }

    /// The record at `owner`.
    fn at(self, owner: &str, types: &[u16]) -> Vec<Record> {
        let hash = self.hash(owner);
        self.record(&hash, &step(&hash, 1), types)
    }

    /// A record around `missing`.
    fn over(self, missing: &str) -> Vec<Record> {
        let hash = self.hash(missing);
        self.record(&step(&hash, -1), &step(&hash, 1), &[1])
    }

    /// The proof that a name next below the apex does not exist.
    fn no_name(self, missing: &str) -> Vec<Record> {
        let wildcard = format!("*.{}", self.zone);
        [self.at(self.zone, &[NS, SOA]), self.over(missing), self.over(&wildcard)].concat()
    }
}

/// The hash one before or after.
fn step(hash: &[u8], by: i16) -> Vec<u8> {
    let mut out = hash.to_vec();
    for octet in out.iter_mut().rev() {
        let sum = i16::from(*octet) + by;
        *octet = sum as u8;
        if (0..256).contains(&sum) {
            break;
        }
    }
    out
}

#[test]
fn no_data_is_what_the_names_own_record_says() {
    assert_eq!(denied(NOERROR, CHAIN.at(HOST, &[1])), Status::Absent);
    assert_eq!(denied(NOERROR, CHAIN.at(HOST, &[])), Status::Absent, "an empty non-terminal");
    assert_eq!(denied(NOERROR, CHAIN.at(HOST, &[44])), Status::Bogus);
    assert_eq!(denied(NOERROR, CHAIN.at(HOST, &[CNAME])), Status::Bogus);
    assert_eq!(denied(NOERROR, CHAIN.at(HOST, &[NS])), Status::Bogus, "a cut");
    assert_eq!(denied(NOERROR, CHAIN.at("other.example.test", &[1])), Status::Bogus);
}

#[test]
fn a_name_error_takes_three_records() {
    let (encloser, gap, wildcard) =
        (CHAIN.at(ZONE, &[NS, SOA]), CHAIN.over(HOST), CHAIN.over("*.example.test"));
    let case = |records: &[&[Record]]| denied(NXDOMAIN, records.concat());
    assert_eq!(case(&[&encloser, &gap, &wildcard]), Status::Absent);
    assert_eq!(case(&[&gap, &wildcard]), Status::Bogus, "no closest encloser");
    assert_eq!(case(&[&encloser, &wildcard]), Status::Bogus, "the name is not covered");
    assert_eq!(case(&[&encloser, &gap]), Status::Bogus, "the wildcard is not covered");
    let source = |types: &[u16]| CHAIN.at("*.example.test", types);
    assert_eq!(case(&[&encloser, &gap, &source(&[16])]), Status::Absent);
    assert_eq!(case(&[&encloser, &gap, &source(&[44])]), Status::Bogus);
}

#[test]
fn the_last_record_of_a_chain_goes_round_to_the_first() {
    let hash = CHAIN.hash(HOST);
    let rest = [CHAIN.at(ZONE, &[NS, SOA]), CHAIN.over("*.example.test")].concat();
    let case = |from: Vec<u8>, to: Vec<u8>| {
        denied(NXDOMAIN, [CHAIN.record(&from, &to, &[1]), rest.clone()].concat())
    };
    assert_eq!(case(step(&hash, -1), vec![0; 20]), Status::Absent, "after the last");
    assert_eq!(case(vec![0xff; 20], step(&hash, 1)), Status::Absent, "before the first");
    assert_eq!(case(step(&hash, 1), vec![0; 20]), Status::Bogus);
    assert_eq!(case(step(&hash, 1), step(&hash, 1)), Status::Absent, "a chain of one");
}

#[test]
fn an_encloser_at_a_cut_or_dname_denies_nothing_below() {
    const DEEP: &str = "x.host.example.test";
    let case = |types: &[u16]| {
        let wildcard = CHAIN.over("*.host.example.test");
        let mut paper = paper();
        paper.deny(
            DEEP,
            RrType::SSHFP,
            NXDOMAIN,
            [CHAIN.at(HOST, types), CHAIN.over(DEEP), wildcard].concat(),
        );
        status(&paper, DEEP)
    };
    assert_eq!(case(&[1]), Status::Absent);
    assert_eq!(case(&[NS]), Status::Bogus);
    assert_eq!(case(&[NS, DS]), Status::Bogus);
    assert_eq!(case(&[DNAME]), Status::Bogus);
    let at_apex = CHAIN.at(ZONE, &[NS, SOA, DNAME]);
    let rest = [CHAIN.over(HOST), CHAIN.over("*.example.test")].concat();
    assert_eq!(denied(NXDOMAIN, [at_apex, rest].concat()), Status::Bogus);
}

#[test]
fn opt_out_leaves_room_for_unsigned_zones_and_for_nothing_else() {
    let chain = Chain { flags: OPT_OUT, ..CHAIN };
    assert_eq!(denied(NXDOMAIN, chain.no_name(HOST)), Status::Insecure);
    let halves = [chain.at(ZONE, &[NS, SOA]), chain.over(HOST)].concat();
    assert_eq!(denied(NOERROR, halves.clone()), Status::Insecure, "a name above unsigned zones");
    assert_eq!(denied(NXDOMAIN, halves), Status::Bogus, "a wildcard may exist");
    assert_eq!(denied(NOERROR, chain.at(HOST, &[1])), Status::Absent, "a name in the chain is in no gap");
    // At a cut.
    let cut = |authority| status(&unsigned(authority), "h.sub.example.test");
    let apex = chain.at(ZONE, &[NS, SOA]);
    assert_eq!(cut([apex.clone(), chain.over("sub.example.test")].concat()), Status::Insecure);
    assert_eq!(cut(chain.over("sub.example.test")), Status::Bogus, "no closest encloser");
    assert_eq!(cut([apex, chain.over("else.example.test")].concat()), Status::Bogus, "a gap elsewhere");
    assert_eq!(cut(CHAIN.at("sub.example.test", &[NS])), Status::Insecure, "or by the cut's own record");
    assert_eq!(cut(CHAIN.at("sub.example.test", &[NS, DS])), Status::Bogus);
}

#[test]
fn the_opt_out_of_a_zone_above_says_nothing_about_a_signed_zone() {
    // The host of a signed zone, its signatures stripped, with the parent's gap around the zone's name.
    let above = Chain { zone: "test", flags: OPT_OUT, ..CHAIN };
    let gap = [above.at("test", &[NS, SOA]), above.over(ZONE)].concat();
    let mut paper = paper();
    paper.put(HOST, RrType::SSHFP, vec![record(HOST, RrType::SSHFP, SSHFP)]);
    paper.deny(HOST, RrType::DS, NOERROR, gap.clone());
    assert_eq!(status(&paper, HOST), Status::Bogus);
    for rcode in [NOERROR, NXDOMAIN] {
        assert_eq!(denied(rcode, gap.clone()), Status::Bogus, "{rcode}");
    }
}

#[test]
fn records_of_another_zone_or_form_are_not_heard() {
    let case = |chain: Chain| denied(NXDOMAIN, chain.no_name(HOST));
    assert_eq!(case(CHAIN), Status::Absent);
    assert_eq!(case(Chain { zone: "signed.example.test", ..CHAIN }), Status::Bogus);
    assert_eq!(case(Chain { zone: "test", ..CHAIN }), Status::Bogus);
    assert_eq!(case(Chain { algorithm: 2, ..CHAIN }), Status::Bogus, "an unknown hash");
    assert_eq!(case(Chain { flags: 2, ..CHAIN }), Status::Bogus, "an unknown flag");
    let mixed = [CHAIN.no_name(HOST), Chain { salt: b"", ..CHAIN }.at(HOST, &[1])].concat();
    assert_eq!(denied(NXDOMAIN, mixed), Status::Bogus, "two chains at once");
    let hash = CHAIN.hash(HOST);
    for length in [0, 19, 21] {
        let next = vec![0xff; length];
        assert_eq!(denied(NOERROR, CHAIN.record(&hash, &next, &[1])), Status::Bogus, "{length}");
    }
    let record = CHAIN.at(HOST, &[1]).remove(0);
    let (label, rdata) = (record.owner.to_string(), record.rdata);
    let signed_at = |owner: &str| denied(NOERROR, Zone::new(ZONE).sign(owner, RrType::NSEC3, &[&rdata]));
    assert_eq!(signed_at(&label), Status::Absent);
    assert_eq!(signed_at(&label.replace(".example", ".signed.example")), Status::Bogus, "not below the apex");
    let mut unsigned = CHAIN.at(HOST, &[1]);
    unsigned.pop();
    assert_eq!(denied(NOERROR, unsigned), Status::Bogus);
}

#[test]
fn many_iterations_make_a_zone_insecure_and_cost_nothing() {
    let with = |iterations| denied(NXDOMAIN, Chain { iterations, ..CHAIN }.no_name(HOST));
    assert_eq!(with(0), Status::Absent);
    assert_eq!(with(150), Status::Absent);
    assert_eq!(with(151), Status::Insecure);
}

/// A name of `labels` labels below [`ZONE`].
fn deep(labels: usize) -> String {
    format!("{}{ZONE}", "a.".repeat(labels))
}

#[test]
fn each_name_is_hashed_once_however_often_it_is_met() {
    // CVE-2023-50868: a hundred labels, each a candidate for the closest encloser, 150 iterations.
    let chain = Chain { iterations: 150, ..CHAIN };
    let (host, rounds) = (deep(100), 151);
    let mut paper = paper();
    paper.deny(&host, RrType::SSHFP, NXDOMAIN, [chain.no_name("a.example.test")].concat());
    let run = paper.run(&host, RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().status, Status::Absent);
    assert_eq!(run.hashed, 102 * rounds, "the name, what is above it up to the apex, and the wildcard");
    // The denial is stripped, so each label is asked for its DS set: no cut, as its own record says.
    paper.deny(&host, RrType::SSHFP, NXDOMAIN, Vec::new());
    for labels in 1..=100 {
        let name = deep(labels);
        paper.deny(&name, RrType::DS, NOERROR, chain.at(&name, &[]));
    }
    let run = paper.run(&host, RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().status, Status::Bogus);
    assert!(run.hashed <= 100 * rounds, "{}", run.hashed);
}

#[test]
fn a_lookup_has_one_budget_for_hashes() {
    use crate::proto::chain::{Budget, MAX_HASHED};
    use crate::proto::rr::RrSet;
    let (zone, host, mut budget) = (name(ZONE), name(&deep(100)), Budget::default());
    let mut denied = |salt: &'static [u8]| {
        let records = Chain { iterations: 150, salt, ..CHAIN }.no_name("a.example.test");
        let sets = RrSet::collect(&records);
        let records: Vec<_> = sets.iter().filter_map(|set| nsec3::Nsec3::from_set(set, &zone)).collect();
        let told = nsec3::denies(&records, &zone, &host, RrType::SSHFP, &mut budget);
        (told, budget.hashed())
    };
    for salt in [b"a", b"b", b"c", b"a"] {
        assert_eq!(denied(salt).0, types::Denies::Name);
    }
    // Chains of other salts, for which nothing that is known helps.
    for salt in [b"d", b"e", b"f"] {
        let (told, hashed) = denied(salt);
        assert_eq!(told, types::Denies::TooManyHashes);
        assert!((MAX_HASHED - 151..=MAX_HASHED).contains(&hashed), "{hashed}");
    }
    assert_eq!(denied(b"a").0, types::Denies::Name, "what is known costs nothing");
}
