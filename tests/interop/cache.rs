//! Proofs of earlier runs: they spare questions, they accept, and they never refuse.

use std::fs;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::forger::Forger;
use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::sshd::Sshd;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(30);

/// A host, its zone, and a resolver that counts the questions.
struct World {
    sshd: Sshd,
    tree: Tree,
    resolver: Forger,
}

fn world() -> World {
    world_of(&[])
}

fn world_of(more: &[&str]) -> World {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let plan = more.iter().fold(plan, |plan, line| plan.record(line));
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    World { sshd, tree, resolver }
}

impl World {
    fn cache(&self) -> PathBuf {
        self.tree.sandbox.join("cache")
    }

    fn sshanchor(&self) -> Command {
        let mut command = self.tree.sshanchor(self.resolver.addr());
        command.env("SSHANCHOR_CACHE", self.cache());
        command
    }

    fn verify(&self) -> Finished {
        let target = format!("{HOST}:{}", self.sshd.port());
        run(self.sshanchor().args(["verify", &target, "--json", "--timeout", "5"]), LIMIT)
    }

    fn lookup(&self, name: &str) -> Finished {
        run(self.sshanchor().args(["lookup", name, "--json", "--timeout", "5"]), LIMIT)
    }

    fn questions(&self) -> usize {
        self.resolver.asked().len()
    }

    #[track_caller]
    fn accepted_from(&self, source: &str) {
        let finished = self.verify();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(finished.json()["source"], source, "{finished:#?}");
    }

    /// The cache's files, all but the secret.
    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.cache().join("v1")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| !path.ends_with("key")).collect()
    }
}

#[test]
fn a_warm_verify_and_proxy_send_no_question() {
    let world = world();
    world.accepted_from("dns");
    let cold = world.questions();
    world.accepted_from("cache");
    assert_eq!(world.questions(), cold, "{:?}", world.resolver.asked().split_off(cold));
    let proxy = format!("{} proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    let mut ssh = world.sshd.ssh();
    for (name, value) in world.sshanchor().get_envs() {
        value.map(|value| ssh.env(name, value));
    }
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &format!("ProxyCommand={proxy}"), HOST, "true"]);
    let finished = run(&mut ssh, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(world.questions(), cold, "{:?}", world.resolver.asked().split_off(cold));
    let finished = world.lookup(HOST);
    assert_eq!(
        (finished.code, finished.json()["source"].as_str()),
        (Some(0), Some("cache")),
        "{finished:#?}"
    );
    assert_eq!(world.questions(), cold);
}

#[test]
fn another_host_of_the_zone_costs_its_own_questions_alone() {
    let world = world_of(&[
        "web2.example.test. SSHFP 4 2 0000000000000000000000000000000000000000000000000000000000000001",
    ]);
    world.accepted_from("dns");
    let before = world.questions();
    let finished = world.lookup("web2.example.test");
    assert_eq!(finished.json()["source"], "dns", "{finished:#?}");
    assert_eq!(world.questions(), before + 1);
}

#[test]
fn what_is_stored_accepts_and_never_refuses() {
    let mut world = world();
    world.accepted_from("dns");
    world.accepted_from("cache");
    // An impostor, or a new key that is not published yet: DNS has the last word.
    world.sshd.rotate_host_keys();
    let finished = world.verify();
    assert_eq!((finished.code, finished.json()["source"].as_str()), (Some(3), Some("dns")), "{finished:#?}");
    // Published: at once, whatever the old set's TTL.
    world.tree.update(&world.sshd.sshfp_update(OWNER));
    world.accepted_from("dns");
    world.accepted_from("cache");
    // Another type of key alone: it is not among those that are offered by what is stored.
    let other = Sshd::start(&["ecdsa256"]);
    world.tree.update(&other.sshfp_update(OWNER));
    world.sshd = other;
    world.accepted_from("dns");
}

#[test]
fn a_ttl_that_is_over_ends_it() {
    let sshd = Sshd::start(&["ed25519"]);
    let lines = sshd.sshfp(OWNER);
    let short = |line: &String| line.replacen(" IN SSHFP ", " 2 IN SSHFP ", 1);
    let plan = lines.iter().map(short).fold(Tree::plan(), |plan, line| plan.record(&line));
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    let world = World { sshd, tree, resolver };
    world.accepted_from("dns");
    let before = world.questions();
    let over = || world.lookup(HOST).json()["source"] == "dns";
    assert!(wait_until(Duration::from_secs(20), over), "it never ends");
    assert!(world.questions() > before);
}

#[test]
fn files_that_were_tampered_with_yield_nothing() {
    let world = world();
    world.accepted_from("dns");
    world.accepted_from("cache");
    for file in world.files() {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"fetched\":", "\"fetched\":9")).unwrap();
    }
    world.accepted_from("dns");
    world.accepted_from("cache");
    for file in world.files() {
        let octets = fs::read(&file).unwrap();
        fs::write(&file, &octets[..100]).unwrap();
    }
    world.accepted_from("dns");
}

#[test]
fn a_cache_that_others_can_write_to_is_ignored_aloud() {
    let world = world();
    world.accepted_from("dns");
    fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let finished = world.verify();
    assert_eq!((finished.code, finished.json()["source"].as_str()), (Some(0), Some("dns")), "{finished:#?}");
    assert!(finished.stderr.contains("warning: the cache is not used"), "{finished:#?}");
    assert!(finished.stderr.contains("chmod go-w"), "{finished:#?}");
    fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o700)).unwrap();
    world.accepted_from("cache");
    let moved = world.tree.sandbox.join("moved");
    fs::rename(world.cache(), &moved).unwrap();
    symlink(&moved, world.cache()).unwrap();
    let finished = world.verify();
    assert_eq!((finished.code, finished.json()["source"].as_str()), (Some(0), Some("dns")), "{finished:#?}");
    assert!(finished.stderr.contains("warning: the cache is not used"), "{finished:#?}");
}

#[test]
fn without_a_cache_each_run_asks_and_nothing_is_written() {
    let world = world();
    let verify = |world: &World| {
        let target = format!("{HOST}:{}", world.sshd.port());
        let mut command = world.sshanchor();
        let finished = run(command.args(["--cache", "off", "verify", &target, "--json"]), LIMIT);
        assert_eq!(
            (finished.code, finished.json()["source"].as_str()),
            (Some(0), Some("dns")),
            "{finished:#?}"
        );
    };
    verify(&world);
    verify(&world);
    assert!(!world.cache().exists());
}

#[test]
fn what_was_withdrawn_is_not_accepted_from_this_users_cache() {
    let world = world();
    world.accepted_from("dns");
    let mut withdraw = world.sshanchor();
    withdraw.args(["withdraw", "--name", HOST, "--server", &world.tree.addr().to_string(), "--key-file"]);
    withdraw.arg(world.tree.tsig("zone"));
    for key in world.sshd.host_keys() {
        withdraw.arg("--host-key").arg(key);
    }
    let finished = run(&mut withdraw, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let finished = world.verify();
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(4), Some("no-record")),
        "{finished:#?}"
    );
}

/// A listener that passes connections on to wherever `to` says at the time.
fn relay(from: SocketAddr, to: &Arc<Mutex<SocketAddr>>) {
    let (listener, to) = (TcpListener::bind(from).unwrap(), to.clone());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(*to.lock().unwrap()).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut into).map(|_| into.shutdown(Shutdown::Both)));
            let (mut from, mut into) = (server, client);
            thread::spawn(move || std::io::copy(&mut from, &mut into).map(|_| into.shutdown(Shutdown::Both)));
        }
    });
}

#[test]
fn a_host_that_has_moved_is_found_though_another_one_has_its_address() {
    let world = world();
    let another = Sshd::start(&["ed25519"]);
    let port = Port::free();
    let [old, new] = [2, 3].map(|n| SocketAddr::from((Ipv4Addr::new(127, 0, 0, n), port.number())));
    let at_old = Arc::new(Mutex::new(world.sshd.addr()));
    relay(old, &at_old);
    relay(new, &Arc::new(Mutex::new(world.sshd.addr())));
    let verify = || {
        let target = format!("{HOST}:{}", port.number());
        run(world.sshanchor().args(["verify", &target, "--json", "--timeout", "5"]), LIMIT)
    };
    let is_at = |address: SocketAddr| {
        let ip = address.ip();
        world.tree.update(&format!("update delete {OWNER} A\nupdate add {OWNER} 60 A {ip}"));
    };
    is_at(old);
    assert_eq!(verify().code, Some(0));
    is_at(new);
    *at_old.lock().unwrap() = another.addr();
    let finished = verify();
    assert_eq!(
        (finished.code, finished.json()["verdict"].as_str()),
        (Some(0), Some("accept")),
        "{finished:#?}"
    );
    // Where DNS too says that it is there, it is refused.
    is_at(old);
    fs::remove_dir_all(world.cache()).unwrap();
    assert_eq!([verify().code, verify().code], [Some(3); 2]);
}
