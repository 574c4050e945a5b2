//! BIND as the primary of example.test., which it loads from a file with an included part, and signs inline.

use std::net::SocketAddr;
use std::path::PathBuf;

use hickory_proto::rr::RecordType;

use super::ask::is_signed;
use super::named::{TsigKey, signing_policy};
use super::peer::command;
use super::port::Port;
use super::process::Process;
use super::tree::Tree;
use super::unbound::{Unbound, stubs_with};
use super::zone::{Signing, Zone};

const ZONE: &str = "example.test.";

/// A tree with another named in it, and an Unbound that knows whom to ask for what.
#[derive(Debug)]
pub struct InlineTree {
    pub named: Process,
    pub unbound: Unbound,
    pub tree: Tree,
    dns: Port,
}

impl InlineTree {
    /// The usual tree, but example.test. is the other named's.
    pub fn start() -> InlineTree {
        let mut plan = Tree::plan();
        plan.zones.retain(|zone| zone.name == ZONE || !zone.name.ends_with(".example.test."));
        let tree = plan.with(ZONE, |zone| Zone { signing: Signing::Elsewhere, ..zone }).start();
        let (dns, control) = (Port::free(), Port::free());
        let sandbox = &tree.sandbox;
        std::fs::create_dir(sandbox.join("inline")).unwrap();
        let part = sandbox.write("inline/part", "");
        let plain = std::fs::read_to_string(sandbox.join("example.test.db")).unwrap();
        let (soa, rest) = plain.split_once(" 1 3600 600 86400 1\n").unwrap();
        let zone =
            format!("{soa} (\n  1 ; serial\n  3600 600 86400 1 )\n{rest}\n$INCLUDE {}\n", part.display());
        sandbox.write("inline/example.test.zone", &zone);
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
        let named = Process::start("inline-named", named, sandbox.path(), || {
            is_signed(dns.addr(), ZONE, RecordType::SOA)
        });
        let unbound = Unbound::start(&stubs_with(&tree, ZONE, dns.addr()), Some(&tree.anchor()));
        InlineTree { named, unbound, tree, dns }
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
        let inline = self.tree.sandbox.join("inline");
        format!(
            "{}/contrib/zonefile/reload-bind %z {inline}/example.test.zone -c {inline}/rndc.conf",
            env!("CARGO_MANIFEST_DIR"),
            inline = inline.display()
        )
    }
}
