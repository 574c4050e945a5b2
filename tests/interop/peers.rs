//! The machinery itself: trees and servers that the other tests stand on.

use std::time::{SystemTime, UNIX_EPOCH};

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::{RData, RecordType};

use crate::support::Tree;
use crate::support::ask::{ask, is_signed};

#[test]
fn a_tree_serves_signed_zones_and_takes_updates() {
    let tree = Tree::start();
    for zone in [".", "test.", "example.test.", "sub.example.test.", "other.test.", "broken.test."] {
        assert!(is_signed(tree.addr(), zone, RecordType::DNSKEY), "{zone}");
    }
    assert!(!is_signed(tree.addr(), "plain.test.", RecordType::SOA));
    let digest = "00".repeat(32);
    tree.update(&format!("update add web1.example.test. 60 SSHFP 4 2 {digest}"));
    assert!(is_signed(tree.addr(), "web1.example.test.", RecordType::SSHFP));
    for zone in ["test.", "example.test.", "sub.example.test.", "other.test.", "broken.test."] {
        assert!(is_signed(tree.addr(), zone, RecordType::DS), "{zone}");
    }
    let plain = ask(tree.addr(), "plain.test.", RecordType::DS).unwrap();
    assert!(plain.answers.is_empty());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let root = ask(tree.addr(), ".", RecordType::SOA).unwrap();
    let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &root.answers[1].data else { panic!("{root:?}") };
    let age = now - u64::from(signature.input().sig_inception.get());
    assert!((3600..3700).contains(&age), "{age}");
}
