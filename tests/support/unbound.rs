//! Unbound as the recursor between client and authorities.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hickory_proto::rr::RecordType;

use super::ask::ask;
use super::peer::command;
use super::port::Port;
use super::process::{Process, run_ok};
use super::sandbox::Sandbox;
use super::tree::Tree;

/// A running Unbound; its folder goes away with it.
#[derive(Debug)]
pub struct Unbound {
    pub process: Process,
    port: Port,
    conf: PathBuf,
    _sandbox: Sandbox,
}

impl Unbound {
    /// Validates with the tree's root key, and asks named for every zone of it.
    pub fn validating(tree: &Tree) -> Unbound {
        Unbound::start(&stubs(tree), Some(&tree.anchor()))
    }

    /// Resolves without validating.
    pub fn plain(tree: &Tree) -> Unbound {
        Unbound::start(&stubs(tree), None)
    }

    /// Asks each zone's own server (`stubs`), validating with `anchor` if there is one.
    pub fn start(stubs: &[(String, SocketAddr)], anchor: Option<&Path>) -> Unbound {
        Unbound::start_with(stubs, anchor, "")
    }

    /// The same with `more` at the end of its configuration.
    pub fn start_with(stubs: &[(String, SocketAddr)], anchor: Option<&Path>, more: &str) -> Unbound {
        let sandbox = Sandbox::new();
        let port = Port::free();
        let text = configuration(&sandbox, port.number(), stubs, anchor) + more;
        let conf = sandbox.write("unbound.conf", &text);
        let mut unbound = command("unbound");
        unbound.arg("-d").arg("-c").arg(&conf);
        let process = Process::start("unbound", unbound, sandbox.path(), || {
            ask(port.addr(), ".", RecordType::SOA).is_some_and(|answer| !answer.answers.is_empty())
        });
        Unbound { process, port, conf, _sandbox: sandbox }
    }

    /// Where it answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its configuration, for unbound-host.
    pub fn conf(&self) -> &Path {
        &self.conf
    }

    /// Forgets all that it has cached.
    pub fn flush(&self) {
        let mut control = command("unbound-control");
        run_ok(control.arg("-c").arg(&self.conf).args(["flush_zone", "."]));
    }
}

/// Each zone of `tree` and who serves it.
pub fn stubs(tree: &Tree) -> Vec<(String, SocketAddr)> {
    tree.zones.iter().map(|zone| (zone.name.clone(), tree.addr())).collect()
}

/// The same, but `zone` is served at `addr`.
pub fn stubs_with(tree: &Tree, zone: &str, addr: SocketAddr) -> Vec<(String, SocketAddr)> {
    let mut stubs = stubs(tree);
    stubs.retain(|(name, _)| name != zone);
    stubs.push((zone.to_owned(), addr));
    stubs
}

fn configuration(
    sandbox: &Sandbox,
    port: u16,
    stubs: &[(String, SocketAddr)],
    anchor: Option<&Path>,
) -> String {
    let folder = sandbox.path().display();
    let modules = if anchor.is_some() { "validator iterator" } else { "iterator" };
    // Client ports stay above those that test servers bind.
    let mut text = format!(
        "server:
  interface: 127.0.0.1
  port: {port}
  do-ip6: no
  do-daemonize: no
  username: \"\"
  chroot: \"\"
  directory: \"{folder}\"
  pidfile: \"\"
  use-syslog: no
  logfile: \"\"
  verbosity: 1
  val-log-level: 2
  num-threads: 1
  outgoing-port-avoid: \"0-32767\"
  do-not-query-localhost: no
  local-zone: \"test.\" nodefault
  module-config: \"{modules}\"
  trust-anchor-signaling: no
remote-control:
  control-enable: yes
  control-interface: \"{folder}/control\"
  control-use-cert: no
"
    );
    if let Some(anchor) = anchor {
        writeln!(text, "server:\n  trust-anchor-file: \"{}\"", anchor.display()).unwrap();
    }
    for (zone, addr) in stubs {
        write!(text, "stub-zone:\n  name: \"{zone}\"\n  stub-addr: {}@{}\n", addr.ip(), addr.port()).unwrap();
    }
    text
}
