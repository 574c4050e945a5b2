//! A zone, its TLD, or all of DNS goes dark and comes back: what policy lets serve meanwhile, and what never
//! does.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::forger::{Exchange, Forged, Forger};
use crate::support::process::wait_until;
use crate::support::sshd::Sshd;
use crate::support::wire::RRSIG;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(40);
const GRACE: &str = "version = 1\n[[host]]\nmatch = \"*.example.test\"\noutage_grace = \"6h\"\n";

struct World {
    sshd: Sshd,
    tree: Tree,
    resolver: Forger,
    anchor: PathBuf,
}

/// A host whose records live for two seconds, verified once.
fn world() -> World {
    let sshd = Sshd::start(&["ed25519"]);
    let short = |line: &String| line.replacen(" IN SSHFP ", " 2 IN SSHFP ", 1);
    let plan = sshd.sshfp(OWNER).iter().map(short).fold(Tree::plan(), |plan, line| plan.record(&line));
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    let anchor = tree.anchor();
    let world = World { sshd, tree, resolver, anchor };
    world.expect(GRACE, 0, "dns");
    world
}

impl World {
    fn sshanchor(&self, config: &str) -> Command {
        let mut command = self.tree.sshanchor(self.resolver.addr());
        command.env("SSHANCHOR_CACHE", self.tree.sandbox.join("cache"));
        command.env("SSHANCHOR_TRUST_ANCHOR", &self.anchor);
        command.env("SSHANCHOR_CONFIG", self.tree.sandbox.write("config.toml", config));
        command
    }

    fn verify(&self, config: &str) -> Finished {
        let target = format!("{HOST}:{}", self.sshd.port());
        run(self.sshanchor(config).args(["verify", &target, "--json", "--timeout", "4"]), LIMIT)
    }

    #[track_caller]
    fn expect(&self, config: &str, code: i32, source: &str) {
        let finished = self.verify(config);
        let told = finished.json()["source"].as_str().unwrap_or_default().to_owned();
        assert_eq!((finished.code, told.as_str()), (Some(code), source), "{finished:#?}");
    }

    /// Waits until the TTL is over, which is when what is stored no longer serves as such.
    #[track_caller]
    fn until_in_grace(&self) -> Finished {
        let mut last = None;
        let in_grace = || {
            let finished = self.verify(GRACE);
            let over = finished.json()["source"] != "cache";
            last = Some(finished);
            over
        };
        assert!(wait_until(Duration::from_secs(30), in_grace), "its TTL never ends");
        last.unwrap()
    }

    /// Everything at and below the TLD meets this.
    fn dark(&self, how: impl Fn(&Exchange) -> Vec<Forged> + Send + Sync + 'static) {
        self.resolver.rule(move |exchange| match exchange.message().name.labels() {
            0 => vec![Forged::Send(exchange.reply.clone())],
            _ => how(exchange),
        });
    }
}

fn rcode(code: u16) -> impl Fn(&Exchange) -> Vec<Forged> + Send + Sync {
    move |exchange| {
        let mut reply = exchange.question.clone();
        reply[2] |= 0x80;
        reply[3] = code as u8;
        vec![Forged::Send(reply)]
    }
}

fn unsigned(exchange: &Exchange) -> Vec<Forged> {
    let mut message = exchange.message();
    message.answer.retain(|record| record.rtype != RRSIG);
    message.authority.retain(|record| record.rtype != RRSIG);
    vec![Forged::Send(message.write())]
}

#[test]
fn a_tld_goes_dark_and_comes_back() {
    let world = world();
    world.dark(rcode(2));
    let finished = world.until_in_grace();
    let judged = finished.json();
    assert_eq!((finished.code, judged["source"].as_str()), (Some(0), Some("grace")), "{finished:#?}");
    assert!((2..60).contains(&judged["age"].as_u64().unwrap()), "{finished:#?}");
    assert!(finished.stderr.contains("warning: DNS gives no usable answer"), "{finished:#?}");
    // Who has no such policy stays outside, and so does who is another.
    world.expect("version = 1\n", 4, "");
    world.resolver.honest();
    world.expect(GRACE, 0, "dns");
    let finished = world.verify(GRACE);
    assert!(!finished.stderr.contains("warning"), "{finished:#?}");
}

#[test]
fn every_kind_of_outage_counts() {
    let world = world();
    world.dark(rcode(5));
    assert_eq!(world.until_in_grace().json()["source"], "grace");
    world.dark(|_| Vec::new());
    world.expect(GRACE, 0, "grace");
    world.dark(unsigned);
    world.expect(GRACE, 0, "grace");
}

#[test]
fn an_impostor_gains_nothing_by_an_outage() {
    let mut world = world();
    world.dark(rcode(2));
    world.until_in_grace();
    world.sshd.rotate_host_keys();
    world.expect(GRACE, 3, "grace");
}

#[test]
fn what_dns_proves_otherwise_ends_all_grace() {
    let world = world();
    // The records are withdrawn, and a client sees that; then the zone goes dark.
    world.tree.update(&format!("update delete {OWNER} SSHFP"));
    let gone = || world.verify(GRACE).json()["reason"] == "no-record";
    assert!(wait_until(Duration::from_secs(30), gone), "still there");
    world.dark(rcode(2));
    let finished = world.verify(GRACE);
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(4), Some("no-answer")),
        "{finished:#?}"
    );
}

#[test]
fn grace_has_an_end() {
    let world = world();
    world.dark(rcode(2));
    let brief = GRACE.replace("6h", "3s");
    let over = || world.verify(&brief).code == Some(4);
    assert!(world.verify(&brief).code == Some(0));
    assert!(wait_until(Duration::from_secs(30), over), "it never ends");
    // And the longer one still serves.
    world.expect(GRACE, 0, "grace");
}

#[test]
fn the_proxy_lets_ssh_through_in_grace_aloud() {
    let world = world();
    world.dark(rcode(2));
    world.until_in_grace();
    let proxy = format!("{} proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    let mut ssh = world.sshd.ssh();
    for (name, value) in world.sshanchor(GRACE).get_envs() {
        value.map(|value| ssh.env(name, value));
    }
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &format!("ProxyCommand={proxy}"), HOST, "true"]);
    let finished = run(&mut ssh, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stderr.contains("warning: DNS gives no usable answer"), "{finished:#?}");
}

#[test]
fn what_serves_in_place_of_an_answer_has_half_the_time() {
    let world = world();
    world.dark(rcode(2));
    world.until_in_grace();
    world.dark(|_| Vec::new());
    let target = format!("{HOST}:{}", world.sshd.port());
    let finished = run(world.sshanchor(GRACE).args(["verify", &target, "--json", "--timeout", "8"]), LIMIT);
    assert_eq!(
        (finished.code, finished.json()["source"].as_str()),
        (Some(0), Some("grace")),
        "{finished:#?}"
    );
    // Half of it is for connection and handshake; there is no record of the port, stored or other.
    assert!(finished.elapsed < Duration::from_secs(6), "{finished:#?}");
}

/// A server, or something on the way to it, may never answer questions for names that begin with an underscore, or for
/// types that it does not know.
#[test]
fn what_an_accept_does_not_need_takes_little_of_its_time() {
    let world = world();
    let verdict = |code: i32| {
        let target = format!("{HOST}:{}", world.sshd.port());
        let mut verify = world.sshanchor("version = 1\n");
        verify.env("SSHANCHOR_CACHE", "off");
        let finished = run(verify.args(["verify", &target, "--json", "--timeout", "12"]), LIMIT);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        // Half of the time is six seconds.
        assert!(finished.elapsed < Duration::from_secs(5), "{finished:#?}");
        finished.json()["reason"].clone()
    };
    let honest = |exchange: &Exchange| vec![Forged::Send(exchange.reply.clone())];
    // No revoked set is needed for a plain key.
    world.resolver.rule(move |exchange| {
        let is_revoked = exchange.message().name.0.starts_with(b"\x08_revoked");
        if is_revoked { Vec::new() } else { honest(exchange) }
    });
    verdict(0);
    // The address tells the zone; of a second one and of an alias nothing is heard. sshd has no certificate.
    let hex = "7".repeat(64);
    world.tree.update(&format!(
        "update delete {OWNER} SSHFP\nupdate add _ca._ssh.example.test. 60 SSHFP 4 2 {hex}\n\
         update add _revoked._ssh.example.test. 60 SSHFP 1 2 {}",
        "0".repeat(64)
    ));
    world.resolver.rule(move |exchange| {
        let message = exchange.message();
        let is_host = message.name.0.starts_with(b"\x04web1\x07example") && [28, 5].contains(&message.rtype);
        if is_host { Vec::new() } else { honest(exchange) }
    });
    assert_eq!(verdict(3), "certificate-required");
}

#[test]
fn what_an_alias_led_to_and_is_gone_is_gone_by_its_own_name_too() {
    let world = world();
    world.tree.update("update add www.example.test. 60 CNAME web1.example.test.");
    let lookup = || {
        let mut lookup = world.sshanchor(GRACE);
        run(lookup.args(["lookup", "www.example.test", "--json", "--timeout", "4"]), LIMIT).json()
    };
    assert_eq!(lookup()["status"], "secure");
    world.tree.update(&format!("update delete {OWNER} SSHFP"));
    assert!(wait_until(Duration::from_secs(30), || lookup()["status"] == "absent"), "still there");
    world.dark(rcode(2));
    let finished = world.verify(GRACE);
    assert_eq!((finished.code, &finished.json()["reason"]), (Some(4), &"no-answer".into()), "{finished:#?}");
}

/// The same zone, with `records` and all of its keys changed at once, which the cache knows nothing of: the
/// keys of both are anchors.
fn with_new_keys(world: &mut World, records: &[String]) -> Tree {
    let tree = records.iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let anchors = [&world.tree, &tree].map(|tree| tree.keys("example.test.").dnskey_line()).concat();
    world.anchor = world.tree.sandbox.write("both.key", &anchors);
    world.resolver = Forger::start(tree.addr());
    tree
}

#[test]
fn grace_ends_where_new_keys_prove_otherwise() {
    let mut world = world();
    world.dark(rcode(2));
    world.until_in_grace();
    let tree = with_new_keys(&mut world, &[]);
    // The zone's old keys are still within their TTL, and what they do not prove is no outage.
    let finished = world.verify(GRACE);
    assert_eq!((finished.code, &finished.json()["reason"]), (Some(4), &"no-record".into()), "{finished:#?}");
    world.dark(rcode(2));
    let finished = world.verify(GRACE);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    drop(tree);
}

#[test]
fn new_keys_prove_what_they_sign_beside_old_ones_that_are_kept() {
    let mut world = world();
    let records = world.sshd.sshfp(OWNER);
    let tree = with_new_keys(&mut world, &records);
    let told = || world.verify("version = 1\n");
    assert!(wait_until(LIMIT, || told().json()["source"] != "cache"));
    let finished = told();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    drop(tree);
}
