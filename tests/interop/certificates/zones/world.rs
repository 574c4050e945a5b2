//! The tree of zones that the tests are about, and what `known-hosts` says of it.

use std::os::unix::fs::PermissionsExt;

use ssh_key::PrivateKey;

use crate::interop::certificates::{LIMIT, SENTINEL, record_of};
use crate::support::certificate::{Draft, line, private};
use crate::support::forger::{Forger, ask_tcp};
use crate::support::handmade::{self, keypair};
use crate::support::sshd::keygen;
use crate::support::unbound::Unbound;
use crate::support::wire::Dns;
use crate::support::{Finished, Sandbox, Tree, Zone, run};

/// Two CAs: `zone`, which example.test. has in its set, and `other`.
pub struct Cas {
    _sandbox: Sandbox,
    pub zone: PrivateKey,
    pub other: PrivateKey,
}

impl Cas {
    fn new() -> Cas {
        let sandbox = Sandbox::new();
        let make = |name: &str| {
            keygen(&["-t", "ed25519"], &sandbox.join(name));
            private(&sandbox.join(name))
        };
        let (zone, other) = (make("zone"), make("other"));
        Cas { _sandbox: sandbox, zone, other }
    }

    fn record(ca: &PrivateKey) -> String {
        record_of(&ca.public_key().to_bytes().unwrap())
    }
}

pub struct World {
    pub cas: Cas,
    pub tree: Tree,
    pub unbound: Unbound,
    pub forger: Forger,
}

/// The tree of the table below.
pub fn world() -> World {
    let cas = Cas::new();
    let (zone, other) = (Cas::record(&cas.zone), Cas::record(&cas.other));
    let sets = |at: &str, ca: &str| {
        [format!("_ca._ssh.{at} SSHFP {ca}"), format!("_revoked._ssh.{at} SSHFP {SENTINEL}")]
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(sets("example.test.", &zone));
    // What the host's own name holds.
    lines.extend([
        "six.example.test. AAAA ::1".into(),
        "alias.example.test. CNAME web1.other.test.".into(),
        format!("keys.example.test. SSHFP {}", "4 2 ".to_owned() + &"ab".repeat(32)),
        "dn.example.test. DNAME other.test.".into(),
        "sub.example.test. A 127.0.0.1".into(),
        "*.wild.example.test. A 127.0.0.1".into(),
        "*.example.test. A 127.0.0.1".into(),
        "*.example.test. AAAA ::1".into(),
        format!("*.example.test. SSHFP {zone}"),
    ]);
    // Narrow sets.
    lines.extend(sets("lab.example.test.", &other));
    lines.push("web.lab.example.test. A 127.0.0.1".into());
    lines.push(format!("_ca._ssh.bare.example.test. SSHFP {other}"));
    lines.push("web.bare.example.test. A 127.0.0.1".into());
    // At the host's own name.
    lines.extend(sets("web2.example.test.", &other));
    // A host that is its zone's apex.
    lines.extend(sets("apex.test.", &other));
    lines.push("apex.test. A 127.0.0.1".into());
    // Aliases of children.
    let child =
        |name: &str| [format!("web1.{name}. A 127.0.0.1"), format!("_revoked._ssh.{name}. SSHFP {SENTINEL}")];
    for name in ["alias.test", "hop.test", "odd.test", "dname.test", "unrevoked.test", "circle.test"] {
        lines.extend(child(name));
    }
    lines.extend([
        "_ca._ssh.alias.test. CNAME _ca._ssh.example.test.".into(),
        "web1.bald.test. A 127.0.0.1".into(),
        "_ca._ssh.bald.test. CNAME _ca._ssh.example.test.".into(),
        "_ca._ssh.hop.test. CNAME _ca._ssh.hop.other.test.".into(),
        "_ca._ssh.hop.other.test. CNAME _ca._ssh.example.test.".into(),
        "_ca._ssh.odd.test. CNAME cas.example.test.".into(),
        format!("cas.example.test. SSHFP {zone}"),
        "_ssh.dname.test. DNAME _ssh.example.test.".into(),
        "_ca._ssh.unrevoked.test. CNAME _ca._ssh.none.example.test.".into(),
        format!("_ca._ssh.none.example.test. SSHFP {zone}"),
        // Within its own zone a CNAME may go by any way that keeps to such names.
        "_ca._ssh.circle.test. CNAME _ca._ssh.deep.circle.test.".into(),
        "_ca._ssh.deep.circle.test. CNAME _ca._ssh.example.test.".into(),
    ]);
    // Zones of their own.
    for name in ["deleg.test.", "nods.test."] {
        lines.push(format!("web1.{name} A 127.0.0.1"));
        lines.extend(sets(name, &other));
    }
    lines.push("web1.cut.test. A 127.0.0.1".into());
    lines.push(format!("_revoked._ssh.cut.test. SSHFP {SENTINEL}"));
    lines.push(format!("_ca._ssh.cut.test. SSHFP {other}"));
    // The wildcard below _ssh.
    lines.push("web1.star.test. A 127.0.0.1".into());
    lines.push(format!("*._ssh.star.test. SSHFP {other}"));
    lines.push(format!("_revoked._ssh.star.test. SSHFP {SENTINEL}"));
    // Sets without a sentinel, or not revoked at all.
    lines.extend([
        "web1.nosentinel.test. A 127.0.0.1".into(),
        format!("_ca._ssh.nosentinel.test. SSHFP {other}"),
    ]);
    lines.push(format!("_revoked._ssh.nosentinel.test. SSHFP 4 2 {}", "cd".repeat(32)));
    lines.extend([
        "web1.norevoked.test. A 127.0.0.1".into(),
        format!("_ca._ssh.norevoked.test. SSHFP {other}"),
    ]);
    // Signed ten days ago.
    lines.push("web1.old.test. A 127.0.0.1".into());
    lines.extend(sets("old.test.", &other));

    let mut plan = Tree::plan();
    for name in [
        "alias.test.",
        "bald.test.",
        "hop.test.",
        "odd.test.",
        "dname.test.",
        "unrevoked.test.",
        "circle.test.",
        "apex.test.",
        "deleg.test.",
        "nods.test.",
        "cut.test.",
        "star.test.",
        "nosentinel.test.",
        "norevoked.test.",
        "_ssh.deleg.test.",
        "_ca._ssh.cut.test.",
    ] {
        plan = plan.zone(Zone::signed(name).combined());
    }
    plan = plan.zone(Zone::signed("_ssh.nods.test.").combined().parent(crate::support::zone::Parent::NoDs));
    plan = plan.zone(Zone::signed("old.test.").combined().valid("now-864000", "now+86400"));
    let tree = lines.iter().fold(plan, |plan, line| plan.record(line)).start();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    World { cas, tree, unbound, forger }
}

impl World {
    /// What `known-hosts` says of a good certificate of `ca` for `host`: the reason of its refusal, or nothing.
    pub fn judge(&self, host: &str, ca: &PrivateKey, rule: &str) -> (String, Finished) {
        let key = handmade::blob(&keypair(1));
        let certificate = line(&Draft::of(&key, host, ca).signed(ca));
        let (kind, base64) = certificate.split_once(' ').unwrap();
        let text = format!("version = 1\n[[host]]\nmatch = \"*\"\n{rule}\n");
        let name = format!("config-{:08x}.toml", rand::random::<u32>());
        let file = self.tree.sandbox.write(&name, &text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = self.tree.sshanchor(self.forger.addr());
        command.env("SSHANCHOR_CONFIG", file).args(["--json", "--timeout", "4"]);
        let finished = run(command.args(["known-hosts", "HOSTNAME", host, kind, base64]), LIMIT);
        let reason = finished.stderr.lines().find_map(|line| {
            let told = serde_json::from_str::<serde_json::Value>(line).ok()?;
            told["reason"].as_str().map(str::to_owned)
        });
        match (finished.code, reason) {
            (Some(0), None) => {
                assert!(finished.stdout.starts_with("@cert-authority "), "{finished:#?}");
                (String::new(), finished)
            }
            (Some(3 | 4), Some(reason)) => {
                assert_eq!(finished.stdout, "", "{finished:#?}");
                (reason, finished)
            }
            _ => panic!("neither accepted nor refused: {finished:#?}"),
        }
    }

    #[track_caller]
    pub fn is(&self, host: &str, ca: &PrivateKey, rule: &str, wanted: &str) -> Finished {
        let (reason, finished) = self.judge(host, ca, rule);
        assert_eq!(reason, wanted, "{host} ({rule}): {finished:#?}");
        finished
    }

    /// What the resolver really answers.
    pub fn genuine(&self, name: &str, rtype: u16) -> Dns {
        let asked =
            crate::support::ask::question(name, hickory_proto::rr::RecordType::from(rtype)).to_vec().unwrap();
        Dns::read(&ask_tcp(self.unbound.addr(), &asked).unwrap())
    }
}
