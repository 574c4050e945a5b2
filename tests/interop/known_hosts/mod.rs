//! `known-hosts` as the KnownHostsCommand of a real ssh. ssh's own checking is lax or strict, as the test wants it.

mod calls;
mod keys;
mod sources;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::forger::Forger;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, hello, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(30);
/// What `config ssh` would write beside the command.
const STRICT: [&str; 4] =
    ["StrictHostKeyChecking=yes", "UserKnownHostsFile=none", "GlobalKnownHostsFile=none", "CheckHostIP=no"];
/// Everything that could let an impostor through.
const LAX: [&str; 4] = [
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=none",
    "CheckHostIP=no",
];

/// A host, its zone, a resolver that counts the questions, and an ssh that asks `known-hosts`.
struct World {
    sshd: Sshd,
    tree: Tree,
    resolver: Forger,
    cache: bool,
    /// More of the command line, before %I.
    options: String,
}

fn world() -> World {
    world_of(&["ed25519"], Tree::plan())
}

/// With a server that has keys of `types`, all of them published.
fn world_of(types: &[&str], plan: Plan) -> World {
    let sshd = Sshd::start(types);
    let plan = sshd.sshfp(OWNER).iter().fold(plan, |plan, line| plan.record(line));
    world_with(sshd, plan)
}

fn world_with(sshd: Sshd, plan: Plan) -> World {
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    let world = World { sshd, tree, resolver, cache: false, options: String::new() };
    world.config("");
    world
}

impl World {
    /// From now on this is configured too. Addresses pass, so that `proxy` can stand in for a network that has the host
    /// at whatever name and port.
    fn config(&self, more: &str) {
        let text = format!("version = 1\n[[host]]\nmatch = \"127.0.0.1\"\nmode = \"pass\"\n{more}\n");
        let file = self.tree.sandbox.write("config.toml", &text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn equip(&self, command: &mut Command, resolver: SocketAddr) {
        clean(command, self.tree.sandbox.path());
        let cache = if self.cache { self.tree.sandbox.join("cache") } else { PathBuf::from("off") };
        command.env("SSHANCHOR_CONFIG", self.tree.sandbox.join("config.toml")).env("SSHANCHOR_CACHE", cache);
        command
            .env("SSHANCHOR_RESOLVER", resolver.to_string())
            .env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor());
    }

    fn ssh_by(&self, resolver: SocketAddr, options: &[&str]) -> Command {
        let mut ssh = command("ssh");
        self.equip(&mut ssh, resolver);
        let program = env!("CARGO_BIN_EXE_sshanchor");
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
        ssh.arg(self.sshd.sandbox.join("user"));
        for option in options {
            ssh.args(["-o", option]);
        }
        let asks = format!("KnownHostsCommand={program} {} known-hosts %I %H %t %K %k %p", self.options);
        ssh.args([
            "-o",
            &asks,
            "-o",
            &format!("ProxyCommand={program} proxy 127.0.0.1 {}", self.sshd.port()),
        ]);
        ssh
    }

    /// ssh with these options (and whatever of `STRICT` or `LAX`) to the server, by whatever name and port.
    fn ssh(&self, options: &[&str]) -> Command {
        self.ssh_by(self.resolver.addr(), options)
    }

    fn runs(&self, options: &[&[&str]], host: &str) -> Finished {
        run(self.ssh(&options.concat()).arg(host).args(hello::ASKED), LIMIT)
    }

    #[track_caller]
    fn works(&self, options: &[&[&str]], host: &str) -> Finished {
        let finished = self.runs(options, host);
        hello::works(&finished);
        finished
    }

    /// ssh ends with 255 and shows `reason`; the server never sees the client's NEWKEYS, let alone who it is.
    #[track_caller]
    fn is_stopped(&self, options: &[&[&str]], host: &str, reason: &str) -> Finished {
        let mark = self.sshd.mark();
        let finished = self.runs(options, host);
        hello::is_stopped(&finished, reason);
        self.sshd.wait_closed(mark);
        assert!(!self.sshd.saw_newkeys(mark), "{}", &self.sshd.process.log()[mark..]);
        assert!(!self.sshd.saw_userauth(mark), "{}", &self.sshd.process.log()[mark..]);
        finished
    }

    /// `sshanchor known-hosts` as ssh would call it.
    fn call_by(&self, resolver: SocketAddr, arguments: &[&str]) -> Finished {
        let mut command = self.tree.sandbox.sshanchor();
        self.equip(&mut command, resolver);
        run(command.args(self.options.split_whitespace()).arg("known-hosts").args(arguments), LIMIT)
    }

    fn call(&self, arguments: &[&str]) -> Finished {
        self.call_by(self.resolver.addr(), arguments)
    }

    /// `%t` and `%K` of the server's key.
    fn key(&self, name: &str) -> (String, String) {
        let line = std::fs::read_to_string(self.sshd.host_key(name)).unwrap();
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }
}

/// An address where nobody answers.
fn nobody() -> Port {
    Port::free()
}

#[test]
fn the_proven_key_is_accepted_by_whatever_name_ssh_has_for_the_host() {
    let world = world();
    let port = "Port=2222";
    let alias = format!("HostKeyAlias={HOST}");
    for (options, host) in [
        (&[][..], HOST),
        (&[port], HOST),
        (&[], "WEB1.Example.test."),
        (&[port], "WEB1.Example.test."),
        (&[&alias], "10.0.0.1"),
        (&[&alias, port], "somewhere.test"),
        // What is typed is a name of ssh_config's.
        (&["HostName=web1.example.test"], "web"),
        (&["HostName=web1.example.test", port], "web"),
        (&["HostName=10.0.0.1", &alias, port], "web"),
        (
            &["CanonicalizeHostname=always", "CanonicalDomains=example.test", "HostName=web1.example.test"],
            "web1",
        ),
    ] {
        world.works(&[options, &STRICT], host);
    }
    assert!(!world.sshd.process.log().contains("Failed"), "{}", world.sshd.process.log());
}

#[test]
fn another_key_ends_the_connection_under_any_checking_and_whatever_known_hosts_holds() {
    let mut world = world();
    world.works(&[&LAX], HOST);
    world.sshd.rotate_host_keys();
    let finished = world.is_stopped(&[&LAX], HOST, "DNSSEC proves other keys");
    assert!(finished.stderr.contains("hint: do not connect"), "{finished:#?}");
    // The impostor's key, or its CA, in a file that ssh believes.
    let (key_type, key) = world.key("ed25519");
    let lines = format!("{HOST},[{HOST}]:2222 {key_type} {key}\n@cert-authority * {key_type} {key}\n");
    let file = format!("UserKnownHostsFile={}", world.tree.sandbox.write("known_hosts", &lines).display());
    for checking in ["no", "accept-new", "ask", "yes"] {
        let checking = format!("StrictHostKeyChecking={checking}");
        for port in ["Port=22", "Port=2222"] {
            world.is_stopped(&[&[&file, &checking, port]], HOST, "DNSSEC proves other keys");
        }
    }
    // So it would have been, but for the command.
    let mut alone = command("ssh");
    alone.args(world.ssh(&[&file, "KnownHostsCommand=none", "StrictHostKeyChecking=yes"]).get_args());
    world.equip(&mut alone, world.resolver.addr());
    assert_eq!(run(alone.args([HOST, "true"]), LIMIT).code, Some(0));
}

#[test]
fn what_nothing_vouches_for_is_refused_with_the_reason() {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = sshd.sshfp("web1.plain.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let world = world_with(sshd, plan);
    for (host, reason) in [
        ("web1.plain.test", "insecure"),
        ("web1.broken.test", "bogus"),
        ("web9.example.test", "sshanchor publish --name web9.example.test"),
        ("127.0.0.2", "is an address"),
        ("web1", "CanonicalizeHostname"),
    ] {
        for checking in [&STRICT, &LAX] {
            world.is_stopped(&[checking], host, reason);
        }
    }
    // The name that was typed would do.
    let finished = world.is_stopped(&[&LAX, &["HostName=127.0.0.2"]], HOST, "is an address");
    assert!(finished.stderr.contains(&format!("HostKeyAlias {HOST}")), "{finished:#?}");
    world.tree.update(&world.sshd.sshfp_update("web9.example.test."));
    world.works(&[&STRICT], "web9.example.test");
    let nobody = nobody();
    let mut ssh = world.ssh_by(nobody.addr(), &LAX);
    let finished = run(ssh.args(["web9.example.test", "true"]), LIMIT);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("check that the resolver can be reached"), "{finished:#?}");
    assert!(!world.sshd.process.log().contains("Permission denied"));
}

#[test]
fn keys_for_one_port_are_good_on_that_port_alone() {
    let sshd = Sshd::start(&["ed25519"]);
    let records = sshd.sshfp("_2222._ssh.web1.example.test.");
    let world = world_with(sshd, records.iter().fold(Tree::plan(), |plan, line| plan.record(line)));
    let alias = format!("HostKeyAlias={HOST}");
    world.works(&[&STRICT, &["Port=2222"]], HOST);
    world.works(&[&STRICT, &["Port=2222", &alias]], "somewhere.test");
    for options in [&["Port=22"][..], &["Port=2223"], &["Port=22", &alias], &["Port=2223", &alias]] {
        world.is_stopped(&[&LAX, options], HOST, "nothing vouches for web1.example.test");
    }
}
