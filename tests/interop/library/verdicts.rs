//! Verdicts of one verifier over a long time.

use std::time::{Duration, Instant};

use super::*;
use crate::support::sshd::Sshd;

#[tokio::test]
async fn a_verifier_judges_by_what_is_proven_at_the_moment() {
    let (tree, sshd) = (Tree::start(), Sshd::start(&["ed25519", "rsa"]));
    let verifier = Verifier::new(&options(&tree)).unwrap();
    let [key, other] = ["ed25519", "rsa"].map(|name| key_in(&sshd.host_key(name)));
    assert_eq!(told(&verifier, 22, &key).await, "no-record");
    let refusal = verifier.expect(&host(), 22).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.hint().is_empty()), ("no-record", false));

    // That there was nothing is not remembered.
    let ed25519 = sshd.sshfp(OWNER).into_iter().find(|line| line.contains("SSHFP 4")).unwrap();
    let add = |ttl: u32| {
        let data = ed25519.split_once(" IN ").unwrap().1;
        format!("update delete {OWNER} SSHFP\nupdate add {OWNER} {ttl} {data}")
    };
    tree.update(&add(1));
    let published = Instant::now();
    while !told(&verifier, 22, &key).await.is_empty() {
        assert!(published.elapsed() < Duration::from_secs(10), "it is seen when the second is over");
    }
    assert_eq!(told(&verifier, 22, &other).await, "key-type-not-published");
    let expected = verifier.expect(&host(), 22).await.unwrap();
    assert_eq!(expected.key_types(), [sshanchor::KeyType::Ed25519]);
    assert!(!expected.wants_certificate());

    // And that there was something only for its TTL.
    tree.update(&format!("update delete {OWNER} SSHFP"));
    let withdrawn = Instant::now();
    while told(&verifier, 22, &key).await != "no-record" {
        assert!(withdrawn.elapsed() < Duration::from_secs(10), "a proof outlives its TTL");
    }
}

#[tokio::test]
async fn what_was_proven_serves_within_its_ttl_without_dns_and_refuses_nobody() {
    let sshd = Sshd::start(&["ed25519", "rsa"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let [key, other] = ["ed25519", "rsa"].map(|name| key_in(&sshd.host_key(name)));
    let verifier = Verifier::new(&options(&tree).timeout(Duration::from_secs(2))).unwrap();
    assert_eq!(told(&verifier, 22, &key).await, "");
    let Tree { named, .. } = tree;
    drop(named);
    let mut seconds = Duration::from_secs(1);
    let began = Instant::now();
    // Each second is a run of its own.
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(told(&verifier.clone(), 22, &key).await, "");
        assert_eq!(told(&verifier, 22, &other).await, "");
        tokio::time::sleep(std::mem::take(&mut seconds) / 4).await;
    }
    let stranger = Sshd::start(&["ed25519"]);
    let refused = told(&verifier, 22, &key_in(&stranger.host_key("ed25519"))).await;
    assert_eq!(refused, "key-mismatch", "what is stored says so, and nobody says otherwise");
    assert_eq!(
        told(
            &Verifier::new(
                &Options::new()
                    .resolver(["127.0.0.1:9".parse().unwrap()])
                    .timeout(Duration::from_millis(300))
            )
            .unwrap(),
            22,
            &key
        )
        .await,
        "no-answer"
    );
}

#[test]
fn a_verifier_belongs_to_no_runtime() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let verifier = Verifier::new(&options(&tree)).unwrap();
    let key = key_in(&sshd.host_key("ed25519"));
    for port in [22, 2222] {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(told(&verifier, port, &key)), "");
    }
}

#[tokio::test]
async fn many_verdicts_at_once_share_what_a_zone_needs() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let verifier = Verifier::new(&options(&tree)).unwrap();
    let key = key_in(&sshd.host_key("ed25519"));
    let tasks: Vec<_> = (1..=200u16)
        .map(|port| {
            let (verifier, key) = (verifier.clone(), key.clone());
            tokio::spawn(async move { told(&verifier, port, &key).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "");
    }
}

#[tokio::test]
async fn the_configuration_of_the_machine_counts_where_it_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let sshd = Sshd::start(&["ed25519"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let key = key_in(&sshd.host_key("ed25519"));
    let text = format!(
        "version = 1\nresolver = \"{}\"\ntrust_anchor = \"{}\"\ncache = \"{}\"\n[[host]]\nmatch = \"*.test\"\nalgorithms = \"ssh-rsa\"\n",
        tree.addr(),
        tree.anchor().display(),
        tree.sandbox.join("cache").display()
    );
    let file = tree.sandbox.write("config.toml", &text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let options = Options::from_config_file(&file).unwrap();
    assert_eq!(options.warnings(), [""; 0]);
    assert_eq!(told(&Verifier::new(&options).unwrap(), 22, &key).await, "algorithm-not-allowed");
    assert!(tree.sandbox.join("cache/v1").is_dir(), "proofs are kept where the file says");

    // What others could have written does not count, and is told of; what is malformed is never left out.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ignored = Options::from_config_file(&file);
    assert!(ignored.is_ok_and(|options| options.warnings().len() == 1));
    std::fs::write(&file, "version = 1\nresolvers = 1\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(Options::from_config_file(&file).unwrap_err().reason, "config");
}
