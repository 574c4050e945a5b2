//! BIND or NSD as the primary of example.test., which it loads from a file with an included part: BIND signs it inline,
//! for NSD the reload command does.

use std::net::SocketAddr;
use std::path::PathBuf;

use hickory_proto::rr::RecordType;

use super::ask::is_signed;
use super::named::{TsigKey, signing_policy};
use super::peer::command;
use super::port::Port;
use super::process::{Process, run_ok};
use super::tree::Tree;
use super::unbound::{Unbound, stubs_with};
use super::zone::{Signing, Zone};

const ZONE: &str = "example.test.";

/// A tree with another server in it, and an Unbound that knows whom to ask for what.
#[derive(Debug)]
pub struct InlineTree {
    pub server: Process,
    pub unbound: Unbound,
    pub tree: Tree,
    dns: Port,
    reload: String,
}

impl InlineTree {
    /// The usual tree, but example.test. is another named's.
    pub fn bind() -> InlineTree {
        let tree = InlineTree::tree();
        let dns = Port::free();
        let server = start_named(&tree, &dns);
        let reload = "reload-bind %z INLINE/example.test.zone -c INLINE/rndc.conf";
        InlineTree::with(tree, dns, server, reload)
    }

    /// The usual tree, but example.test. is NSD's.
    pub fn nsd() -> InlineTree {
        let tree = InlineTree::tree();
        let dns = Port::free();
        let server = start_nsd(&tree, &dns);
        let keys = tree.sandbox.join("example.test");
        let reload = format!(
            "reload-nsd %z INLINE/example.test.zone INLINE/example.test.signed {} -c INLINE/nsd.conf",
            keys.display()
        );
        InlineTree::with(tree, dns, server, &reload)
    }

    fn with(tree: Tree, dns: Port, server: Process, reload: &str) -> InlineTree {
        let inline = tree.sandbox.join("inline").display().to_string();
        let reload =
            format!("{}/contrib/zonefile/{reload}", env!("CARGO_MANIFEST_DIR")).replace("INLINE", &inline);
        let unbound = Unbound::start(&stubs_with(&tree, ZONE, dns.addr()), Some(&tree.anchor()));
        InlineTree { server, unbound, tree, dns, reload }
    }

    /// The tree, with the zone file and its part in a folder.
    fn tree() -> Tree {
        let mut plan = Tree::plan();
        plan.zones.retain(|zone| zone.name == ZONE || !zone.name.ends_with(".example.test."));
        let tree = plan.with(ZONE, |zone| Zone { signing: Signing::Elsewhere, ..zone }).start();
        let sandbox = &tree.sandbox;
        std::fs::create_dir(sandbox.join("inline")).unwrap();
        let part = sandbox.write("inline/part", "");
        let plain = std::fs::read_to_string(sandbox.join("example.test.db")).unwrap();
        let (soa, rest) = plain.split_once(" 1 3600 600 86400 1\n").unwrap();
        let zone =
            format!("{soa} (\n  1 ; serial\n  3600 600 86400 1 )\n{rest}\n$INCLUDE {}\n", part.display());
        sandbox.write("inline/example.test.zone", &zone);
        tree
    }

    /// Where it answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.dns.addr()
    }

    /// The included part.
    pub fn part(&self) -> PathBuf {
        self.tree.sandbox.join("inline/part")
    }

    /// The command of contrib that has it loaded.
    pub fn reload(&self) -> String {
        self.reload.clone()
    }
}

fn start_named(tree: &Tree, dns: &Port) -> Process {
    let (sandbox, control) = (&tree.sandbox, Port::free());
    let key = TsigKey::new("rndc-key", "hmac-sha256", None).statement();
    let zone = tree.zones.iter().find(|zone| zone.name == ZONE).unwrap();
    let folder = sandbox.path().display();
    let conf = sandbox.write(
            "inline/named.conf",
            &format!(
                "{key}{}options {{
  directory \"{folder}/inline\"; key-directory \"{folder}/example.test\"; managed-keys-directory \"{folder}/inline\";
  pid-file none; lock-file none; session-keyfile \"{folder}/inline/session.key\"; geoip-directory none;
  listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; minimal-responses yes;
}};
controls {{ inet 127.0.0.1 port {} allow {{ 127.0.0.1; }} keys {{ rndc-key; }}; }};
zone \"{ZONE}\" {{ type primary; file \"example.test.zone\"; dnssec-policy \"example.test\"; inline-signing yes; }};\n",
                signing_policy(zone),
                dns.number(),
                control.number()
            ),
        );
    sandbox.write(
        "inline/rndc.conf",
        &format!(
            "{key}options {{ default-key \"rndc-key\"; default-server 127.0.0.1; default-port {}; }};\n",
            control.number()
        ),
    );
    let mut named = command("named");
    named.args(["-g", "-n", "1", "-U", "1", "-c"]).arg(&conf);
    Process::start("inline-named", named, sandbox.path(), || is_signed(dns.addr(), ZONE, RecordType::SOA))
}

fn start_nsd(tree: &Tree, dns: &Port) -> Process {
    let sandbox = &tree.sandbox;
    let (folder, keys) = (sandbox.join("inline"), sandbox.join("example.test"));
    let mut signzone = command("dnssec-signzone");
    signzone.arg("-S").arg("-K").arg(&keys).arg("-d").arg(&keys).args(["-o", ZONE, "-f"]);
    run_ok(signzone.arg(folder.join("example.test.signed")).arg(folder.join("example.test.zone")));
    let (folder, port) = (folder.display(), dns.number());
    let conf = sandbox.write(
        "inline/nsd.conf",
        &format!(
            "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  chroot: \"\"
  zonesdir: \"{folder}\"
  database: \"\"
  pidfile: \"{folder}/nsd.pid\"
  xfrdfile: \"{folder}/xfrd.state\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdir: \"{folder}\"
remote-control:
  control-enable: yes
  control-interface: \"{folder}/nsd.sock\"
zone:
  name: {ZONE}
  zonefile: example.test.signed
"
        ),
    );
    let mut nsd = command("nsd");
    nsd.arg("-d").arg("-c").arg(conf);
    let control = sandbox.join("inline/nsd.sock");
    Process::start("nsd", nsd, sandbox.path(), || {
        control.exists() && is_signed(dns.addr(), ZONE, RecordType::SOA)
    })
}
