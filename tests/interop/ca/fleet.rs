//! Fifty sshd, one RRset: a stock ssh with no known_hosts reaches them all by certificate, while the CA rolls over, at
//! every step, with a cache and without.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::roll::World;
use super::{CA, REVOKED};
use crate::interop::primary::{LIMIT, Primary};
use crate::support::forger::Forger;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::process::{Process, wait_until};
use crate::support::sandbox::clean;
use crate::support::sshd::keygen;
use crate::support::{Sandbox, Tree, run, run_ok};

const HOSTS: usize = 50;
/// How many run at a time.
const WIDTH: usize = 4;
/// Long enough that a cache is of use, short enough to be waited for, in seconds.
const TTL: &str = "5";

/// The sshd, each at a loopback address of its own.
struct Fleet {
    sshd: Vec<Process>,
    port: Port,
    sandbox: Sandbox,
}

fn name(host: usize) -> String {
    format!("host{host}.example.test")
}

fn addr(host: usize, port: u16) -> SocketAddr {
    (Ipv4Addr::new(127, 50, 0, host as u8 + 1), port).into()
}

/// Calls `work` for every host, a few at a time; gives those for which it says yes.
fn each(work: impl Fn(usize) -> bool + Sync) -> BTreeSet<usize> {
    let (next, said) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..WIDTH {
            scope.spawn(|| {
                loop {
                    let host = next.fetch_add(1, Ordering::SeqCst);
                    if host >= HOSTS {
                        break;
                    }
                    if work(host) {
                        said.lock().unwrap().insert(host);
                    }
                }
            });
        }
    });
    said.into_inner().unwrap()
}

fn all() -> BTreeSet<usize> {
    (0..HOSTS).collect()
}

impl Fleet {
    fn start() -> Fleet {
        let _ = fs::create_dir("/run/sshd");
        let (sandbox, port) = (Sandbox::new(), Port::free());
        keygen(&["-t", "ed25519"], &sandbox.join("user"));
        let started = Mutex::new(Vec::new());
        each(|host| {
            let folder = sandbox.join(&host.to_string());
            fs::create_dir(&folder).unwrap();
            keygen(&["-t", "ed25519"], &folder.join("key"));
            // It reads its certificate for each client.
            let conf = format!(
                "ListenAddress {}\nHostKey {folder}/key\nHostCertificate {folder}/key-cert.pub\n\
                 AuthorizedKeysFile {}\nUsePAM no\nStrictModes no\nPidFile none\nLogLevel ERROR\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n",
                addr(host, port.number()),
                sandbox.join("user.pub").display(),
                folder = folder.display(),
            );
            fs::write(folder.join("conf"), conf).unwrap();
            let mut sshd = command("sshd");
            sshd.args(["-D", "-e", "-f"]).arg(folder.join("conf"));
            let process = Process::start("sshd", sshd, &folder, || {
                TcpStream::connect(addr(host, port.number())).is_ok()
            });
            started.lock().unwrap().push(process);
            true
        });
        Fleet { sshd: started.into_inner().unwrap(), port, sandbox }
    }

    fn public(&self, host: usize) -> PathBuf {
        self.sandbox.join(&format!("{host}/key.pub"))
    }
}

/// Users' machines, with this resolver and this cache.
struct Clients<'a> {
    fleet: &'a Fleet,
    tree: &'a Tree,
    resolver: SocketAddr,
    caches: Sandbox,
    fresh: AtomicUsize,
}

impl Clients<'_> {
    fn ssh(&self, host: usize, cache: &std::path::Path) -> Command {
        let mut ssh = command("ssh");
        clean(&mut ssh, self.tree.sandbox.path());
        ssh.env("SSHANCHOR_CACHE", cache).env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor());
        ssh.env("SSHANCHOR_RESOLVER", self.resolver.to_string());
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
        ssh.arg(self.fleet.sandbox.join("user"));
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let at = addr(host, self.fleet.port.number());
        for option in [
            "StrictHostKeyChecking=yes".to_owned(),
            "UserKnownHostsFile=none".to_owned(),
            "GlobalKnownHostsFile=none".to_owned(),
            "CheckHostIP=no".to_owned(),
            // The cheapest there is: hundreds of connections are made.
            "KexAlgorithms=curve25519-sha256".to_owned(),
            format!("KnownHostsCommand={program} known-hosts %I %H %t %K %k %p"),
            format!("HostName={}", at.ip()),
            format!("HostKeyAlias={}", name(host)),
            format!("Port={}", at.port()),
        ] {
            ssh.args(["-o", &option]);
        }
        ssh.args([&name(host), "true"]);
        ssh
    }

    /// Those that are reached with this cache.
    fn reach(&self, cache: &str) -> BTreeSet<usize> {
        let cache = self.caches.join(cache);
        each(|host| {
            let finished = run(&mut self.ssh(host, &cache), LIMIT);
            if finished.code != Some(0) {
                eprintln!("{}: {}", name(host), finished.stderr);
            }
            finished.code == Some(0)
        })
    }

    /// All are, by one who has the cache of before, and by one who has none.
    #[track_caller]
    fn all_are_reached(&self, when: &str) {
        let started = Instant::now();
        assert_eq!(self.reach("warm"), all(), "{when}, with a warm cache");
        let fresh = format!("fresh{}", self.fresh.fetch_add(1, Ordering::SeqCst));
        assert_eq!(self.reach(&fresh), all(), "{when}, with a fresh cache");
        eprintln!("{when}: all reached twice in {:?}", started.elapsed());
    }
}

#[test]
fn fifty_hosts_are_reached_by_one_record_at_every_step_of_a_roll() {
    let fleet = Fleet::start();
    assert_eq!(fleet.sshd.len(), HOSTS);
    let plan = (0..HOSTS)
        .fold(Tree::plan(), |plan, host| plan.record(&format!("{}. A {}", name(host), addr(host, 22).ip())));
    let primary = Primary::Bind(Box::new(plan.start()));
    let world = World::new(&primary);
    run_ok(world.dns("publish").args(["--ttl", TTL]));
    let resolver = Forger::start(primary.addr());
    let clients = Clients {
        fleet: &fleet,
        tree: primary.tree(),
        resolver: resolver.addr(),
        caches: Sandbox::new(),
        fresh: AtomicUsize::new(0),
    };
    let signed = each(|host| {
        let mut sign = world.local("sign");
        sign.args(["--name", &name(host), "--host-key"]).arg(fleet.public(host));
        run(&mut sign, LIMIT).code == Some(0)
    });
    assert_eq!(signed, all());
    assert_eq!(
        (primary.records(CA).0.len(), primary.records(REVOKED).0.len()),
        (1, 1),
        "one record, and the sentinel"
    );
    assert!(primary.records(&name(0)).0.is_empty(), "hosts have none");

    // What it costs.
    resolver.honest();
    assert_eq!(clients.reach("warm"), all());
    let asked = resolver.asked().len();
    let names: Vec<String> = resolver.asked().iter().map(|(_, dns)| format!("{:?}", dns.name)).collect();
    let of_sets =
        names.iter().filter(|name| name.contains("_ca._ssh") || name.contains("_revoked._ssh")).count();
    eprintln!("{asked} questions for {HOSTS} hosts, {of_sets} of them for the sets");
    assert!(asked <= 7 * HOSTS && of_sets <= HOSTS, "{asked} questions, {of_sets} for the sets");
    resolver.honest();
    assert_eq!(clients.reach("warm"), all(), "before the roll, with a warm cache");

    let renewed = |range: std::ops::Range<usize>| {
        let hosts: BTreeSet<usize> = range.collect();
        let done = each(|host| {
            let mut renew = world.local("renew");
            renew.args(["--no-reload", "--host-key"]).arg(fleet.public(host));
            hosts.contains(&host) && run(&mut renew, LIMIT).code == Some(0)
        });
        assert_eq!(done, hosts);
    };
    let settle = ["--settle", "2s"];
    world.rolls(&[&["--start"], &settle[..]].concat(), 5, "caches");
    clients.all_are_reached("both keys in DNS, the old one signs");
    let told = world.rolls_until(&settle, 5, "hosts");
    assert_eq!(told["hosts"].as_array().unwrap().len(), HOSTS);
    // The first ones renew at once, while caches are as they are.
    renewed(0..HOSTS / 2);
    clients.all_are_reached("half of the hosts have certificates of the new key");
    let told = world.rolls(&settle, 5, "hosts");
    assert_eq!(told["hosts"].as_array().unwrap().len(), HOSTS / 2);
    renewed(HOSTS / 2..HOSTS);
    clients.all_are_reached("all hosts have certificates of the new key");
    world.rolls_until(&settle, 0, "done");
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
    clients.all_are_reached("the old key is withdrawn");

    let gone = 6;
    let finished = run(world.dns("revoke").args(["--host", &name(gone)]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let mut others = all();
    others.remove(&gone);
    assert_eq!(clients.reach("revoked"), others);
    // Who has a cache sees it once that is over.
    let is_refused = || run(&mut clients.ssh(gone, &clients.caches.join("warm")), LIMIT).code == Some(255);
    assert!(wait_until(Duration::from_secs(30), is_refused), "still reached with a warm cache");
    assert_eq!(clients.reach("warm"), others);
    let refused = run(&mut clients.ssh(gone, &clients.caches.join("revoked")), LIMIT);
    assert!(refused.code == Some(255) && refused.stderr.contains("revoked"), "{refused:#?}");
}
