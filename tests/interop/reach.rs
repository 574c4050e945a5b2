//! How a host is reached: several addresses of which some do not answer, IPv6, addresses of earlier runs, and an
//! identity that is not the address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::blackhole::Blackhole;
use crate::support::forger::{Forged, Forger};
use crate::support::port::Port;
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::wire::{A, AAAA};
use crate::support::{Finished, Tree, run, run_ok};

const HOST: &str = "host.example.test";
const OWNER: &str = "host.example.test.";
const LIMIT: Duration = Duration::from_secs(60);

/// A plan in which `sshd`'s keys are published at `owner`.
fn published(plan: Plan, sshd: &Sshd, owner: &str) -> Plan {
    sshd.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line))
}

/// A tree in which `sshd` is [`HOST`], with these address records.
fn at(sshd: &Sshd, records: &[String]) -> Tree {
    let plan = published(Tree::plan(), sshd, OWNER);
    records.iter().fold(plan, |plan, record| plan.record(&format!("{OWNER} {record}"))).start()
}

/// 127.77.N.1 at the port of `sshd`.
fn side_address(sshd: &Sshd, n: u8) -> SocketAddr {
    (Ipv4Addr::new(127, 77, n, 1), sshd.port()).into()
}

/// An sshd that is to be found at ::1 as well.
fn with_ipv6() -> Sshd {
    let mut sshd = Sshd::start(&["ed25519"]);
    sshd.configure(&format!("ListenAddress [::1]:{}", sshd.port()));
    sshd
}

fn verify(tree: &Tree, sshd: &Sshd, options: &[&str]) -> Finished {
    let target = format!("{HOST}:{}", sshd.port());
    run(tree.sshanchor(tree.addr()).args(["verify", &target, "--json"]).args(options), LIMIT)
}

/// ssh through the proxy, without checks of its own, under the configuration `config` (none: no file).
fn ssh(tree: &Tree, sshd: &Sshd, proxy: &str, config: Option<PathBuf>) -> Command {
    let mut ssh = sshd.ssh();
    clean(&mut ssh, tree.sandbox.path());
    ssh.env("SSHANCHOR_RESOLVER", tree.addr().to_string());
    ssh.env("SSHANCHOR_TRUST_ANCHOR", tree.anchor()).env("SSHANCHOR_CACHE", "off");
    config.map(|file| ssh.env("SSHANCHOR_CONFIG", file));
    let proxy = format!("ProxyCommand='{}' {proxy}", env!("CARGO_BIN_EXE_sshanchor"));
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &proxy]);
    ssh
}

#[track_caller]
fn works(ssh: &mut Command, host: &str) -> Finished {
    let finished = run(ssh.args([host, "echo hello"]), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello\n"), "{finished:#?}");
    finished
}

#[track_caller]
fn is_stopped(ssh: &mut Command, host: &str, why: &[&str]) {
    let finished = run(ssh.args([host, "echo hello"]), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    for part in why {
        assert!(finished.stderr.contains(part), "{part:?} is not on the screen: {finished:#?}");
    }
}

#[test]
fn addresses_that_do_not_answer_cost_a_moment_each() {
    let sshd = Sshd::start(&["ed25519"]);
    let silent: Vec<Blackhole> = (1..=5).map(|n| Blackhole::at(side_address(&sshd, n))).collect();
    let mut records: Vec<String> = (1..=5).map(|n| format!("A {}", side_address(&sshd, n).ip())).collect();
    records.push("A 127.0.0.1".to_owned());
    let tree = at(&sshd, &records);
    // One after the other would take several times as long.
    let finished = verify(&tree, &sshd, &["--timeout", "5"]);
    assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
    works(&mut ssh(&tree, &sshd, "--timeout 5 proxy %h %p", None), HOST);
    // Where the good one is not among them, each is told.
    tree.update(&format!("update delete {OWNER} A 127.0.0.1"));
    let finished = verify(&tree, &sshd, &["--timeout", "3"]);
    let (json, message) = (finished.json(), finished.json()["message"].to_string());
    assert_eq!((finished.code, json["reason"].as_str()), (Some(1), Some("unreachable")), "{finished:#?}");
    for n in 1..=5 {
        assert!(message.contains(&format!("127.77.{n}.1: no answer in time")), "{finished:#?}");
    }
    assert!(json["hint"].as_str().unwrap().contains("firewalls"), "{finished:#?}");
    drop(silent);
}

#[test]
fn addresses_that_refuse_are_passed_over_at_once() {
    let sshd = Sshd::start(&["ed25519"]);
    let mut records: Vec<String> = (1..=6).map(|n| format!("A {}", side_address(&sshd, n).ip())).collect();
    records.extend(["A 127.0.0.1".to_owned(), "AAAA ::1".to_owned()]);
    let tree = at(&sshd, &records);
    let finished = verify(&tree, &sshd, &[]);
    assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
    tree.update(&format!("update delete {OWNER} A 127.0.0.1"));
    let finished = verify(&tree, &sshd, &[]);
    let json = finished.json();
    assert_eq!((finished.code, json["reason"].as_str()), (Some(1), Some("unreachable")), "{finished:#?}");
    let message = json["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("cannot reach {HOST} port {}: ::1: ", sshd.port())),
        "IPv6 first: {message}"
    );
    assert_eq!(message.matches("Connection refused").count(), 7, "{message}");
    assert!(json["hint"].as_str().unwrap().contains("nothing listens on port"), "{finished:#?}");
}

#[test]
fn a_host_with_ipv6_alone_is_reached() {
    let sshd = with_ipv6();
    let tree = at(&sshd, &["AAAA ::1".to_owned()]);
    let finished = verify(&tree, &sshd, &[]);
    assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
    let mark = sshd.mark();
    works(&mut ssh(&tree, &sshd, "proxy %h %p", None), HOST);
    assert!(sshd.process.log()[mark..].contains("Connection from ::1 port"));
    // A resolver that never answers for A does not hold it up, nor one that fails.
    let forger = Forger::start(tree.addr());
    for silent in [true, false] {
        forger.rule(move |exchange| match exchange.message().name.labels() {
            _ if !exchange.message().is_for(OWNER, A) => vec![Forged::Send(exchange.reply.clone())],
            _ if silent => Vec::new(),
            _ => {
                let mut reply = exchange.question.clone();
                (reply[2], reply[3]) = (reply[2] | 0x80, 2);
                vec![Forged::Send(reply)]
            }
        });
        let target = format!("{HOST}:{}", sshd.port());
        let mut command = tree.sshanchor(forger.addr());
        let finished = run(command.args(["verify", &target, "--json", "--timeout", "30"]), LIMIT);
        assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
        assert!(finished.elapsed < Duration::from_secs(15), "{finished:#?}");
    }
}

#[test]
fn a_host_that_policy_passes_may_be_an_ipv6_address() {
    let sshd = with_ipv6();
    let tree = at(&sshd, &[]);
    let rule = "version = 1\n[[host]]\nmatch = \"::1 fe80::*\"\nmode = \"pass\"\n";
    let config = tree.sandbox.write("config.toml", rule);
    let mark = sshd.mark();
    works(&mut ssh(&tree, &sshd, "proxy %h %p", Some(config.clone())), "::1");
    works(&mut ssh(&tree, &sshd, "proxy [%h] %p", Some(config.clone())), "::1");
    assert!(sshd.process.log()[mark..].contains("Connection from ::1 port"));
    is_stopped(&mut ssh(&tree, &sshd, "proxy %h %p", None), "::1", &["::1 is an address", "--identity NAME"]);
    let nobody = Port::free();
    let proxy = format!("proxy ::1 {}", nobody.number());
    let why = [
        &format!("cannot reach ::1 port {}: Connection refused", nobody.number()),
        "nothing listens on port",
    ];
    is_stopped(&mut ssh(&tree, &sshd, &proxy, Some(config)), "::1", &why);
}

#[test]
fn an_address_that_is_kept_and_silent_does_not_hold_up_the_new_one() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = at(&sshd, &["A 127.0.0.1".to_owned()]);
    let resolver = Forger::start(tree.addr());
    let verify = |timeout: &str| {
        let mut command = tree.sshanchor(resolver.addr());
        command.env("SSHANCHOR_CACHE", tree.sandbox.join("cache"));
        let target = format!("{HOST}:{}", sshd.port());
        run(command.args(["verify", &target, "--json", "--timeout", timeout]), LIMIT)
    };
    let asked =
        || resolver.asked().iter().filter(|(_, m)| m.is_for(OWNER, A) || m.is_for(OWNER, AAAA)).count();
    // It is remembered as being where nobody answers.
    let old = side_address(&sshd, 9);
    tree.update(&format!("update delete {OWNER} A\nupdate add {OWNER} 3600 A {}", old.ip()));
    let here = std::net::TcpListener::bind(old).unwrap();
    let finished = verify("2");
    assert_eq!(finished.json()["verdict"], serde_json::Value::Null, "it says nothing: {finished:#?}");
    drop(here);
    let silent = Blackhole::at(old);
    tree.update(&format!("update delete {OWNER} A\nupdate add {OWNER} 3600 A 127.0.0.1"));
    let before = asked();
    let finished = verify("30");
    assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
    assert!(finished.elapsed < Duration::from_secs(10), "{finished:#?}");
    assert_eq!(asked(), before + 2, "it was not kept");
    // What is kept and answers needs no question.
    assert_eq!(verify("30").json()["verdict"], "accept");
    assert_eq!(asked(), before + 2);
    drop(silent);
}

#[test]
fn addresses_of_a_bundle_need_not_wait_for_a_dead_resolver() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = at(&sshd, &["A 127.0.0.1".to_owned(), format!("A {}", side_address(&sshd, 9).ip())]);
    let bundle = tree.sandbox.join("hosts.bundle");
    let target = format!("{HOST}:{}", sshd.port());
    run_ok(tree.sshanchor(tree.addr()).args(["bundle", "export", "--addresses", &target, "-o"]).arg(&bundle));
    let nobody = Blackhole::at(side_address(&sshd, 8));
    let dead = Forger::start(tree.addr());
    dead.rule(|_| Vec::new());
    let mut command = tree.sshanchor(dead.addr());
    let finished =
        run(command.args(["verify", &target, "--json", "--timeout", "30", "--bundle"]).arg(&bundle), LIMIT);
    assert_eq!(finished.json()["verdict"], "accept", "{finished:#?}");
    assert!(finished.elapsed < Duration::from_secs(15), "half of the time is gone: {finished:#?}");
    drop(nobody);
}

#[test]
fn an_identity_is_proven_wherever_it_is_connected_to() {
    let sshd = with_ipv6();
    let other = Sshd::start(&["ed25519"]);
    let plan = published(Tree::plan(), &sshd, OWNER);
    let tree = published(plan, &other, "other.example.test.").start();
    let through = |proxy: &str, config: Option<&str>| {
        let config = config.map(|rules| tree.sandbox.write("config.toml", &format!("version = 1\n{rules}")));
        ssh(&tree, &sshd, proxy, config)
    };
    // The host has no address in DNS at all.
    for place in ["127.0.0.1", "::1", "localhost"] {
        let mut ssh = through(&format!("proxy --identity {HOST} %h %p"), None);
        works(ssh.args(["-o", &format!("HostKeyAlias={HOST}")]), place);
    }
    works(&mut through(&format!("proxy --identity {HOST} [::1] %p"), None), "elsewhere");
    let port = sshd.port();
    let mark = sshd.mark();
    let wrong = "proxy --identity other.example.test %h %p";
    let why =
        ["other.example.test shows", "DNSSEC proves other keys", &format!("(at 127.0.0.1 port {port})")];
    is_stopped(&mut through(wrong, None), "127.0.0.1", &why);
    sshd.wait_closed(mark);
    assert!(!sshd.saw_newkeys(mark));
    let unknown = "proxy --identity web7.example.test %h %p";
    let why = ["nothing vouches for web7.example.test", &format!("(at ::1 port {port})")];
    is_stopped(&mut through(unknown, None), "::1", &why);
    let nobody = Port::free();
    let closed = format!("proxy --identity {HOST} %h {}", nobody.number());
    let why = [&format!("cannot reach 127.0.0.1 port {}", nobody.number()), &format!("(for {HOST})")[..]];
    is_stopped(&mut through(&closed, None), "127.0.0.1", &why);
    is_stopped(
        &mut through("proxy --identity ::1 %h %p", None),
        "127.0.0.1",
        &["--identity: ::1 is an address"],
    );
    is_stopped(
        &mut through("proxy --identity web_1 %h %p", None),
        "127.0.0.1",
        &["--identity: \"web_1\" is not"],
    );
    // Policy goes by the identity, and never by the address.
    let pass_address = "[[host]]\nmatch = \"127.*\"\nmode = \"pass\"\n";
    is_stopped(&mut through(wrong, Some(pass_address)), "127.0.0.1", &["DNSSEC proves other keys"]);
    let pass_other = "[[host]]\nmatch = \"other.example.test\"\nmode = \"pass\"\n";
    works(&mut through(wrong, Some(pass_other)), "127.0.0.1");
    let by_port = format!("[[host]]\nmatch = \"{HOST}\"\nport_labels = \"required\"\n");
    let right = format!("proxy --identity {HOST} %h %p");
    is_stopped(&mut through(&right, Some(&by_port)), "127.0.0.1", &["port_labels"]);
    tree.update(&sshd.sshfp_update(&format!("_{port}._ssh.{OWNER}")));
    works(&mut through(&right, Some(&by_port)), "127.0.0.1");
}
