//! The machinery itself: trees and servers that the other tests stand on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use crate::support::ask::{ask, exchange, is_signed, question};
use crate::support::forge::{Claims, SigningKey, now};
use crate::support::forger::{Forger, ask_tcp};
use crate::support::knot::KnotTree;
use crate::support::sshd::Sshd;
use crate::support::unbound::{Unbound, stubs};
use crate::support::wire::{Dns, Rr, SSHFP};
use crate::support::{Tree, run};

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

/// AD is how a validating recursor says what it thinks of an answer.
fn authentic(unbound: &Unbound, name: &str, rtype: RecordType) -> Option<bool> {
    let mut question = question(name, rtype);
    question.metadata.checking_disabled = false;
    let answer = exchange(unbound.addr(), &question).unwrap();
    (answer.metadata.response_code == ResponseCode::NoError).then_some(answer.metadata.authentic_data)
}

#[test]
fn unbound_judges_the_tree_as_it_is_meant() {
    let tree = Tree::start();
    let unbound = Unbound::validating(&tree);
    for name in ["web1.example.test.", "web1.sub.example.test.", "web1.other.test."] {
        assert_eq!(authentic(&unbound, name, RecordType::A), Some(true), "{name}");
    }
    assert_eq!(authentic(&unbound, "web1.plain.test.", RecordType::A), Some(false));
    assert_eq!(authentic(&unbound, "web1.broken.test.", RecordType::A), None);
    let digest = "00".repeat(32);
    let ask = || authentic(&unbound, "web1.example.test.", RecordType::SSHFP);
    assert_eq!(ask(), Some(true), "its absence is proven");
    tree.update(&format!("update add web1.example.test. 60 SSHFP 4 2 {digest}"));
    unbound.flush();
    assert_eq!(ask(), Some(true));
    assert!(is_signed(unbound.addr(), "web1.example.test.", RecordType::SSHFP));
}

#[test]
fn knot_serves_and_signs_its_zone_in_the_tree() {
    let knot = KnotTree::start();
    knot.update("update add web1.example.test. 60 SSHFP 4 2 0000000000000000000000000000000000000000000000000000000000000000");
    assert!(is_signed(knot.addr(), "web1.example.test.", RecordType::SSHFP));
    assert_eq!(authentic(&knot.unbound, "web1.example.test.", RecordType::SSHFP), Some(true));
    assert_eq!(authentic(&knot.unbound, "web1.other.test.", RecordType::A), Some(true));
}

#[test]
fn sshd_runs_a_command_and_its_log_shows_the_handshake() {
    let mut sshd = Sshd::start(&["ed25519", "rsa"]);
    let mark = sshd.mark();
    let mut ssh = sshd.ssh();
    ssh.args(["-o", "StrictHostKeyChecking=no", "127.0.0.1", "echo", "hello"]);
    let finished = run(&mut ssh, Duration::from_secs(20));
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello\n"), "{finished:#?}");
    sshd.wait_closed(mark);
    assert!(sshd.saw_newkeys(mark) && sshd.saw_userauth(mark));
    let before = sshd.sshfp("web1");
    assert_eq!(before.len(), 2);
    sshd.rotate_host_keys();
    assert_ne!(before, sshd.sshfp("web1"));
}

#[test]
fn signatures_made_here_satisfy_unbound_and_wrong_ones_do_not() {
    let tree = Tree::start();
    let forger = Forger::start(tree.addr());
    let mut stubs = stubs(&tree);
    stubs.retain(|(zone, _)| zone != "example.test.");
    stubs.push(("example.test.".into(), forger.addr()));
    let unbound = Unbound::start(&stubs, Some(&tree.anchor()));
    let key = SigningKey::read(&tree.keys("example.test.").zsk);
    let owner = "made.example.test.";
    let set = vec![Rr::sshfp(owner, 4, [2; 32]), Rr::sshfp(owner, 4, [1; 32])];
    let ask = || authentic(&unbound, owner, RecordType::SSHFP);

    let answer = key.signed(set.clone());
    forger.change(move |message| {
        if message.is_for(owner, SSHFP) {
            *message = message.answered(answer.clone());
        }
    });
    assert_eq!(ask(), Some(true), "an honest signature");
    assert!(!forger.asked().is_empty());

    // Unbound forgives a tenth of the lifetime.
    let claims = Claims { expiration: now() - 40_000, inception: now() - 86_400, ..key.claims(&set) };
    let mut answer = set.clone();
    answer.push(key.sign_as(&set, claims));
    forger.change(move |message| {
        if message.is_for(owner, SSHFP) {
            *message = message.answered(answer.clone());
        }
    });
    unbound.flush();
    assert_eq!(ask(), None, "an expired signature");

    let ksk = SigningKey::read(&tree.keys("example.test.").ksk);
    let ds = Dns::read(
        &ask_tcp(tree.addr(), &question("example.test.", RecordType::DS).to_vec().unwrap()).unwrap(),
    );
    assert_eq!(ds.answer[0].data, ksk.ds("example.test.").data);
}
