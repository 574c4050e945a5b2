//! `proxy` between real clients and real servers. The clients' own checking is off throughout, so
//! that the proxy alone stands between them and an impostor.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::ask::question;
use crate::support::dropbear::{self, Dropbear};
use crate::support::forger::{Forger, ask_tcp};
use crate::support::knot::KnotTree;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::sandbox::clean;
use crate::support::sshd::{KEY_TYPES, Sshd, keygen};
use crate::support::unbound::Unbound;
use crate::support::wire::{Dns, Rr, SSHFP};
use crate::support::{Finished, Tree, hello, run, run_ok};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(30);

/// A way to names and the truth about them.
struct Route<'a> {
    tree: &'a Tree,
    resolver: SocketAddr,
}

impl Route<'_> {
    /// `command` runs sshanchor as its child: home, resolver and anchor come from the environment.
    fn equip(&self, command: &mut Command) {
        clean(command, self.tree.sandbox.path());
        command.env("SSHANCHOR_RESOLVER", self.resolver.to_string());
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor()).env("SSHANCHOR_CACHE", "off");
    }

    /// ssh without checks of its own, through the proxy.
    fn ssh(&self, sshd: &Sshd) -> Command {
        let mut ssh = sshd.ssh();
        self.equip(&mut ssh);
        let proxy = format!("ProxyCommand='{}' proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "VerifyHostKeyDNS=no", "-o", &proxy]);
        ssh
    }

    fn runs(&self, sshd: &Sshd, host: &str) -> Finished {
        run(self.ssh(sshd).arg(host).args(hello::ASKED), LIMIT)
    }

    #[track_caller]
    fn works(&self, sshd: &Sshd, host: &str) {
        let finished = self.runs(sshd, host);
        hello::works(&finished);
    }

    /// ssh ends with 255 and shows `reason`; the server never sees the client's NEWKEYS, let alone who
    /// it is.
    #[track_caller]
    fn is_stopped(&self, sshd: &Sshd, host: &str, reason: &str) {
        let mark = sshd.mark();
        let finished = self.runs(sshd, host);
        hello::is_stopped(&finished, reason);
        if sshd.process.log()[mark..].contains("Connection from") {
            sshd.wait_closed(mark);
        }
        assert!(!sshd.saw_newkeys(mark), "{}", &sshd.process.log()[mark..]);
        assert!(!sshd.saw_userauth(mark), "{}", &sshd.process.log()[mark..]);
    }

    /// `sshanchor publish` for the host with the key that may do just that.
    fn publish(&self, sshd: &Sshd, primary: SocketAddr, key: &Path) {
        let mut command = self.tree.sshanchor(self.resolver);
        command.args(["publish", "--name", HOST, "--server", &primary.to_string(), "--key-file"]).arg(key);
        for file in sshd.host_keys() {
            command.arg("--host-key").arg(file);
        }
        command.args(["--ttl", "1", "--check-server", &primary.to_string()]);
        run_ok(&mut command);
    }
}

fn main_job(route: &Route<'_>, unbound: &Unbound, primary: SocketAddr, key: &Path) {
    let mut sshd = Sshd::start(&["ed25519", "ecdsa256", "rsa"]);
    route.is_stopped(&sshd, HOST, HOST);
    route.publish(&sshd, primary, key);
    unbound.flush();
    let mut verify = route.tree.sshanchor(route.resolver);
    let target = format!("{HOST}:{}", sshd.port());
    let verified = run(verify.args(["verify", &target, "--json"]), LIMIT);
    assert_eq!(verified.json()["verdict"], "accept", "{verified:#?}");
    route.works(&sshd, HOST);

    sshd.rotate_host_keys();
    route.is_stopped(&sshd, HOST, "DNSSEC proves other keys");

    route.publish(&sshd, primary, key);
    unbound.flush();
    route.works(&sshd, HOST);
}

#[test]
fn published_to_bind_a_host_is_reached_and_an_impostor_is_not() {
    let tree = Tree::start();
    let unbound = Unbound::validating(&tree);
    let route = Route { tree: &tree, resolver: unbound.addr() };
    main_job(&route, &unbound, tree.addr(), &tree.tsig("web1"));
}

#[test]
fn published_to_knot_a_host_is_reached_and_an_impostor_is_not() {
    let knot = KnotTree::start();
    let route = Route { tree: &knot.tree, resolver: knot.unbound.addr() };
    main_job(&route, &knot.unbound, knot.addr(), &knot.tsig_yaml("web1"));
}

#[test]
fn every_host_key_type_passes_and_its_impostor_does_not() {
    let tree = Tree::start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    for (name, _) in KEY_TYPES {
        let mut sshd = Sshd::start(&[name]);
        tree.update(&sshd.sshfp_update("web1.example.test."));
        route.works(&sshd, HOST);
        sshd.rotate_host_keys();
        route.is_stopped(&sshd, HOST, "DNSSEC proves other keys");
    }
}

#[test]
fn unknown_unsigned_and_unanswered_hosts_are_refused() {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = sshd.sshfp("web1.plain.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    route.is_stopped(&sshd, "web2.example.test", "web2.example.test");
    route.is_stopped(&sshd, "web1.plain.test", "insecure");
    route.is_stopped(&sshd, "web1.broken.test", "web1.broken.test");
    route.is_stopped(&sshd, "127.0.0.1", "sshanchor");
    let nobody = Port::free();
    let route = Route { tree: &tree, resolver: nobody.addr() };
    route.is_stopped(&sshd, HOST, "sshanchor");
}

#[test]
fn a_forging_resolver_gets_no_impostor_through() {
    let tree = Tree::start();
    let (host, impostor) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    tree.update(&host.sshfp_update("web1.example.test."));
    tree.update(&impostor.sshfp_update("web2.example.test."));
    let forger = Forger::start(tree.addr());
    let route = Route { tree: &tree, resolver: forger.addr() };
    route.works(&host, HOST);
    let asked = question("web2.example.test.", RecordType::SSHFP).to_vec().unwrap();
    let theirs = Dns::read(&ask_tcp(tree.addr(), &asked).unwrap()).answer;
    forger.change(move |message| {
        if message.is_for("web1.example.test.", SSHFP) {
            let owner = message.name.clone();
            let renamed = theirs.iter().map(|rr| Rr { name: owner.clone(), ..rr.clone() });
            *message = message.answered(renamed.collect());
        }
    });
    route.is_stopped(&impostor, HOST, "bogus");
    forger.rule(|_| Vec::new());
    route.is_stopped(&impostor, HOST, "sshanchor");
    forger.honest();
    route.is_stopped(&impostor, HOST, "DNSSEC proves other keys");
    route.works(&host, HOST);
}

#[test]
fn data_and_exit_status_pass_unchanged() {
    let tree = Tree::start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    let sshd = Sshd::start(&["ed25519"]);
    tree.update(&sshd.sshfp_update("web1.example.test."));
    let finished = run(route.ssh(&sshd).args([HOST, "exit 7"]), LIMIT);
    assert_eq!(finished.code, Some(7), "{finished:#?}");
    // Both ways, more than any buffer holds, while the keys change a hundred times; judged, and passed.
    let pass = tree.sandbox.write("pass.toml", "version = 1\n[[host]]\nmatch = \"*\"\nmode = \"pass\"\n");
    let file = tree.sandbox.join("data");
    run_ok(Command::new("sh").args(["-c", "head -c 120000000 /dev/urandom > \"$0\""]).arg(&file));
    for config in [Path::new("none"), &pass] {
        let back = tree.sandbox.join("back");
        let mut shell = Command::new("sh");
        let ssh = route.ssh(&sshd);
        shell.args(["-c", "\"$@\" < \"$IN\" > \"$OUT\"", "sh"]).arg(ssh.get_program()).args(ssh.get_args());
        shell.args([
            "-o",
            "RekeyLimit=1M",
            "-o",
            "KexAlgorithms=curve25519-sha256",
            "-c",
            "aes128-gcm@openssh.com",
        ]);
        shell.args([HOST, "cat"]).env("IN", &file).env("OUT", &back);
        route.equip(&mut shell);
        let finished = run(shell.env("SSHANCHOR_CONFIG", config), Duration::from_secs(120));
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        run_ok(Command::new("cmp").arg(&file).arg(&back));
    }
}

#[test]
fn the_reason_is_seen_with_controlpersist_too() {
    let tree = Tree::start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    let mut sshd = Sshd::start(&["ed25519"]);
    tree.update(&sshd.sshfp_update("web1.example.test."));
    sshd.rotate_host_keys();
    let mut ssh = route.ssh(&sshd);
    // ssh sends the stderr of its ProxyCommand nowhere then: the packet must say it.
    let socket = format!("ControlPath={}", tree.sandbox.join("c").display());
    ssh.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=5", "-o", &socket, HOST, "true"]);
    let finished = run(&mut ssh, LIMIT);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
}

#[test]
fn a_host_certificate_counts_by_the_plain_key_inside_it() {
    let tree = Tree::start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    let mut sshd = Sshd::start(&["ed25519"]);
    let ca = sshd.sandbox.join("ca");
    keygen(&["-t", "ed25519"], &ca);
    let mut sign = command("ssh-keygen");
    run_ok(
        sign.arg("-q")
            .arg("-s")
            .arg(&ca)
            .args(["-I", "web1", "-h", "-n", HOST])
            .arg(sshd.host_key("ed25519")),
    );
    let certificate = sshd.sandbox.join("host_ed25519-cert.pub");
    sshd.configure(&format!("HostCertificate {}", certificate.display()));
    tree.update(&sshd.sshfp_update("web1.example.test."));
    let mark = sshd.mark();
    route.works(&sshd, HOST);
    assert!(sshd.process.log()[mark..].contains("kex: host key algorithm: ssh-ed25519-cert-v01@openssh.com"));
    // The CA is nobody's in DNS: with another key inside, its certificate vouches for nothing.
    tree.update(
        "update delete web1.example.test. SSHFP\nupdate add web1.example.test. 60 SSHFP 4 2 \
        0000000000000000000000000000000000000000000000000000000000000001",
    );
    route.is_stopped(&sshd, HOST, "DNSSEC proves other keys");
}

#[test]
fn dbclient_goes_through_the_proxy_and_is_stopped_by_it() {
    let tree = Tree::start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    let mut sshd = Sshd::start(&["ed25519"]);
    tree.update(&sshd.sshfp_update("web1.example.test."));
    let (id, public) = dropbear::key(&tree.sandbox.join("id"));
    std::fs::copy(public, sshd.sandbox.join("authorized_keys")).unwrap();
    let dbclient = |sshd: &Sshd| {
        let mut dbclient = command("dbclient");
        route.equip(&mut dbclient);
        let port = sshd.port().to_string();
        let proxy = format!("'{}' proxy {HOST} {port}", env!("CARGO_BIN_EXE_sshanchor"));
        // -y -y: accepts any host key.
        dbclient.args(["-y", "-y", "-T", "-i"]).arg(&id).args(["-p", &port, "-J", &proxy, HOST]);
        dbclient.arg("echo hello");
        run(&mut dbclient, LIMIT)
    };
    let finished = dbclient(&sshd);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello\n"), "{finished:#?}");
    sshd.rotate_host_keys();
    let mark = sshd.mark();
    let finished = dbclient(&sshd);
    assert_ne!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
    sshd.wait_closed(mark);
    assert!(!sshd.saw_newkeys(mark) && !sshd.saw_userauth(mark));
}

#[test]
fn dropbear_as_the_server_passes() {
    let dropbear = Dropbear::start();
    let plan = dropbear.sshfp("web1.example.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    let route = Route { tree: &tree, resolver: tree.addr() };
    // Nobody's key is let in: to be asked for one at all shows that the handshake went through.
    let mut ssh = command("ssh");
    route.equip(&mut ssh);
    let proxy = format!("ProxyCommand='{}' proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", &proxy]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-p", &dropbear.port().to_string(), HOST, "true"]);
    let finished = run(&mut ssh, LIMIT);
    assert!(finished.stderr.contains("Permission denied"), "{finished:#?}");
}
