//! What is kept of proofs by a CA: caches, outages, bundles; and how soon a revocation is heard of. And what `doctor` says.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::consumers::World;
use super::*;
use crate::support::certificate::public;
use crate::support::forger::{Forged, Forger};
use crate::support::port::Port;
use crate::support::run;

/// The TTL of the revoked set, in seconds.
const TTL: u64 = 3;

struct Lasting {
    world: World,
    forger: Forger,
}

impl Lasting {
    /// A host whose zone's revoked set has a short TTL, and a resolver that counts.
    fn start() -> Lasting {
        let world = World::start();
        world.tree.update(&format!(
            "update delete _revoked._ssh.example.test. SSHFP\nupdate add _revoked._ssh.example.test. {TTL} SSHFP {SENTINEL}"
        ));
        let forger = Forger::start(world.tree.addr());
        Lasting { world, forger }
    }

    fn sshanchor(&self) -> Command {
        let mut command = self.world.sshanchor();
        command.env("SSHANCHOR_RESOLVER", self.forger.addr().to_string());
        command.env("SSHANCHOR_CACHE", self.world.tree.sandbox.join("cache"));
        command
    }

    fn verify(&self, more: &[&str]) -> Value {
        let target = format!("{HOST}:{}", self.world.sshd.port());
        let finished =
            run(self.sshanchor().args(["verify", "--json", "--timeout", "5", &target]).args(more), LIMIT);
        finished.json_lines().pop().unwrap_or_else(|| panic!("{finished:#?}"))
    }

    #[track_caller]
    fn is(&self, reason: &str, source: &str) {
        let told = self.verify(&[]);
        let got = (told["reason"].as_str().unwrap_or_default(), told["source"].as_str().unwrap_or_default());
        assert_eq!(got, (reason, source), "{told}");
    }

    /// Revokes the key in this file.
    fn revoke(&self, file: PathBuf) {
        let record = record_of(&public(&file));
        self.world.tree.update(&format!("update add _revoked._ssh.example.test. {TTL} SSHFP {record}"));
    }

    /// The refusal comes when the TTL of the set is over, and no later.
    #[track_caller]
    fn is_heard_of_in_time(&self) {
        let revoked = Instant::now();
        loop {
            let told = self.verify(&[]);
            if told["reason"] == "revoked" {
                break;
            }
            assert_eq!(told["verdict"], "accept", "{told}");
            // Of a verify that began before the end of the TTL.
            assert!(revoked.elapsed() < Duration::from_secs(TTL + 3), "{told}");
        }
        self.is("revoked", "dns");
    }
}

#[test]
fn a_revoked_ca_is_heard_of_when_the_ttl_is_over_though_all_else_is_in_the_cache() {
    let lasting = Lasting::start();
    lasting.is("", "dns");
    lasting.forger.honest();
    lasting.is("", "cache");
    assert!(lasting.forger.asked().is_empty(), "{:?}", lasting.forger.asked());
    lasting.revoke(lasting.world.ca.join("ca.pub"));
    lasting.is_heard_of_in_time();
}

#[test]
fn a_revoked_key_in_a_certificate_is_heard_of_in_time() {
    let lasting = Lasting::start();
    lasting.is("", "dns");
    lasting.revoke(lasting.world.sshd.host_key("ecdsa256"));
    lasting.is_heard_of_in_time();
}

#[test]
fn a_revoked_plain_key_is_refused_in_time_though_its_record_is_still_there() {
    let mut lasting = Lasting::start();
    lasting.world.publish("keys");
    lasting.world.certify(false);
    lasting.is("", "dns");
    lasting.is("", "cache");
    for key in ["ed25519", "ecdsa256", "rsa"] {
        lasting.revoke(lasting.world.sshd.host_key(key));
    }
    lasting.is_heard_of_in_time();
}

#[test]
fn a_proof_by_a_ca_serves_through_an_outage_where_policy_lets_it() {
    let lasting = Lasting::start();
    lasting.is("", "dns");
    std::thread::sleep(Duration::from_secs(TTL + 1));
    lasting.forger.rule(|exchange| {
        let mut message = exchange.message().answered(Vec::new());
        message.flags = (message.flags & !0xf) | 2;
        vec![Forged::Send(message.write())]
    });
    let told = lasting.verify(&[]);
    assert_eq!(told["verdict"], "unproven", "{told}");
    lasting.world.rule("outage_grace = \"6h\"");
    let told = lasting.verify(&[]);
    assert_eq!(
        (told["verdict"].as_str(), told["source"].as_str()),
        (Some("accept"), Some("grace")),
        "{told}"
    );
    // What DNS says comes before what it said.
    lasting.revoke(lasting.world.ca.join("ca.pub"));
    lasting.forger.honest();
    lasting.is("revoked", "dns");
}

#[test]
fn a_bundle_holds_all_that_an_accept_by_a_ca_takes() {
    let mut lasting = Lasting::start();
    let file = lasting.world.tree.sandbox.join("fleet.bundle");
    let file = file.to_str().unwrap();
    let export = |lasting: &Lasting| {
        let target = format!("{HOST}:{}", lasting.world.sshd.port());
        run(
            lasting.sshanchor().args(["--json", "bundle", "export", &target, "--addresses", "-o", file]),
            LIMIT,
        )
    };
    let finished = export(&lasting);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let nobody = Port::free();
    let offline = |lasting: &Lasting| {
        let mut command = lasting.sshanchor();
        command.env("SSHANCHOR_RESOLVER", nobody.addr().to_string()).env("SSHANCHOR_CACHE", "off");
        let target = format!("{HOST}:{}", lasting.world.sshd.port());
        let finished =
            run(command.args(["verify", "--json", "--timeout", "3", "--bundle", file, &target]), LIMIT);
        finished.json_lines().pop().unwrap_or_else(|| panic!("{finished:#?}"))
    };
    let told = offline(&lasting);
    assert_eq!(
        (told["verdict"].as_str(), told["source"].as_str()),
        (Some("accept"), Some("bundle")),
        "{told}"
    );
    let checked = run(lasting.sshanchor().args(["--json", "bundle", "check", file]), LIMIT);
    assert_eq!(checked.code, Some(0), "{checked:#?}");
    assert!(checked.stdout.contains("_revoked._ssh.example.test"), "{checked:#?}");
    // The plain key alone is nobody's.
    lasting.world.certify(false);
    assert_eq!(offline(&lasting)["reason"], "certificate-required");
    lasting.world.certify(true);
    // What is revoked when it is exported stays so without DNS, for keys with records as well.
    lasting.revoke(lasting.world.sshd.host_key("ecdsa256"));
    assert_eq!(export(&lasting).code, Some(0));
    assert_eq!(offline(&lasting)["reason"], "revoked");
    lasting.world.publish("keys");
    lasting.world.rule("algorithms = [\"ecdsa-sha2-nistp256\"]");
    assert_eq!(export(&lasting).code, Some(0));
    assert_eq!(offline(&lasting)["reason"], "revoked");
    lasting.world.rule("");
    lasting.world.publish("none");
    // Without the revoked set nothing is proven, and nothing is written.
    lasting.world.tree.update("update delete _revoked._ssh.example.test. SSHFP");
    let before = std::fs::read(file).unwrap();
    let finished = export(&lasting);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    assert!(finished.stderr.contains("that its key is not revoked is not proven"), "{finished:#?}");
    assert_eq!(std::fs::read(file).unwrap(), before);
}

#[test]
fn doctor_tells_of_a_host_for_which_a_ca_alone_vouches() {
    let lasting = Lasting::start();
    let look = || {
        let finished = run(
            lasting.sshanchor().args(["--json", "doctor", "--ssh-config", "none", HOST]),
            Duration::from_secs(60),
        );
        let findings: Vec<Value> = finished.json_lines();
        let all: Vec<Value> = findings
            .iter()
            .flat_map(|f| f["findings"].as_array().cloned().unwrap_or(vec![f.clone()]))
            .collect();
        let of = |check: &str| -> Vec<(String, String)> {
            let found = all.iter().filter(|f| f["check"] == check && f["host"] == HOST);
            let word = |f: &Value, key: &str| f[key].as_str().unwrap_or_default().to_owned();
            found.map(|f| (word(f, "severity"), word(f, "message"))).collect()
        };
        (of("chain"), of("ca-set"), of("policy"), finished)
    };
    let (chain, sets, _, finished) = look();
    assert!(chain.iter().all(|(severity, _)| ["ok", "info"].contains(&&**severity)), "{finished:#?}");
    assert!(chain[0].1.contains("a certificate of a proven CA alone"), "{finished:#?}");
    assert!(sets.len() == 1 && sets[0].0 == "ok" && sets[0].1.contains("SHA256:"), "{finished:#?}");
    lasting.world.rule("require = \"ca\"");
    assert_eq!(look().2[0].0, "ok");
    lasting.world.rule("require = \"both\"");
    let (_, _, policy, finished) = look();
    assert_eq!(policy[0].0, "error", "{finished:#?}");
    // With keys of its own, it is told of both.
    lasting.world.publish("keys");
    let (chain, sets, policy, finished) = look();
    assert_eq!((chain[0].0.as_str(), sets.len(), policy[0].0.as_str()), ("ok", 1, "ok"), "{finished:#?}");
    // Where no CA counts, it is an error again.
    lasting.world.publish("none");
    lasting.world.rule("");
    lasting.world.tree.update("update delete _revoked._ssh.example.test. SSHFP");
    let (chain, sets, _, finished) = look();
    assert_eq!((chain[0].0.as_str(), sets.len()), ("error", 0), "{finished:#?}");
}
