//! A forging resolver between `sshanchor verify` and the truth. The server at the end is a real sshd:
//! the host's own, or an impostor whose key the forgery wants to see accepted.

mod delegations;
mod denials;
mod messages;
mod records;
mod signatures;

use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::ask::question;
use crate::support::forge::SigningKey;
use crate::support::forger::{Forger, ask_tcp};
use crate::support::sshd::Sshd;
use crate::support::unbound::Unbound;
use crate::support::wire::{Dns, Rr, SSHFP};
use crate::support::{Finished, Tree, run};

/// Given to sshanchor, in seconds.
const TIMEOUT: &str = "2";
/// The same with room for a busy machine.
const DEADLINE: Duration = Duration::from_secs(6);
/// The host under attack.
const HOST: &str = "web1.example.test.";

/// web1.example.test. is the honest server. The impostor owns web2.example.test., the zones
/// other.test. and sub.example.test., and the wildcard beside web1.wild.example.test.
struct World {
    forger: Forger,
    honest: Sshd,
    impostor: Sshd,
    unbound: Unbound,
    anchor: PathBuf,
    tree: Tree,
}

impl World {
    fn start() -> World {
        let honest = Sshd::start(&["ed25519", "ecdsa256"]);
        let impostor = Sshd::start(&["ed25519"]);
        let mut plan = Tree::plan()
            .record("web1.wild.example.test. A 127.0.0.1")
            .record("example.test. A 127.0.0.1")
            .record("alias.example.test. CNAME web1.other.test.");
        for owner in [HOST, "web1.wild.example.test."] {
            plan = honest.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line));
        }
        for owner in
            ["web2.example.test.", "*.wild.example.test.", "web1.other.test.", "web1.sub.example.test."]
        {
            plan = impostor.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line));
        }
        let tree = plan.start();
        let unbound = Unbound::validating(&tree);
        let forger = Forger::start(unbound.addr());
        World { forger, honest, impostor, unbound, anchor: tree.anchor(), tree }
    }

    /// The impostor's SSHFP record, as if it were of `owner`.
    fn impostors_record(&self, owner: &str) -> Rr {
        let found = self.genuine("web2.example.test.", SSHFP);
        Rr { data: found[0].data.clone(), ..Rr::new(owner, SSHFP, Vec::new()) }
    }

    /// What the resolver really answers: records and signatures.
    fn genuine(&self, name: &str, rtype: u16) -> Vec<Rr> {
        let asked = question(name, RecordType::from(rtype)).to_vec().unwrap();
        Dns::read(&ask_tcp(self.unbound.addr(), &asked).unwrap()).answer
    }

    fn key(&self, zone: &str) -> SigningKey {
        SigningKey::read(&self.tree.keys(zone).zsk)
    }

    fn ksk(&self, zone: &str) -> SigningKey {
        SigningKey::read(&self.tree.keys(zone).ksk)
    }

    /// The relay answers these questions with these records and nothing else.
    fn forge(&self, forgeries: &[(&str, u16, Vec<Rr>)]) {
        let forgeries: Vec<(String, u16, Vec<Rr>)> = forgeries
            .iter()
            .map(|(name, rtype, answer)| ((*name).to_owned(), *rtype, answer.clone()))
            .collect();
        self.forger.change(move |message| {
            if let Some((_, _, answer)) = forgeries.iter().find(|(n, t, _)| message.is_for(n, *t)) {
                *message = message.answered(answer.clone());
            }
        });
    }

    /// `sshanchor verify HOST:PORT` through the relay.
    fn verify(&self, host: &str, server: &Sshd) -> (Finished, Value) {
        let mut command = self.tree.sshanchor(self.forger.addr());
        command.env("SSHANCHOR_TRUST_ANCHOR", &self.anchor);
        let target = format!("{}:{}", host.trim_end_matches('.'), server.port());
        let finished =
            run(command.args(["verify", &target, "--json", "--timeout", TIMEOUT]), Duration::from_secs(30));
        let json = finished.json_lines().pop().unwrap_or_else(|| panic!("no JSON: {finished:#?}"));
        (finished, json)
    }

    #[track_caller]
    fn accepts(&self, host: &str, server: &Sshd) {
        let (finished, json) = self.verify(host, server);
        assert_eq!(json["verdict"], "accept", "{finished:#?}");
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert!(json["reason"].is_null(), "{json}");
    }

    /// Refused in time, and gives the reason; the relay must have been asked.
    #[track_caller]
    fn refuses(&self, host: &str, server: &Sshd) -> String {
        let (finished, json) = self.verify(host, server);
        let verdict = json["verdict"].as_str().unwrap_or_default();
        let code = match verdict {
            "reject" => 3,
            "unproven" => 4,
            _ => panic!("neither reject nor unproven: {finished:#?}"),
        };
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        assert!(finished.elapsed < DEADLINE, "too late: {finished:#?}");
        assert!(!self.forger.asked().is_empty(), "the relay was not asked: {finished:#?}");
        let reason = json["reason"].as_str().unwrap_or_default().to_owned();
        assert!(!reason.is_empty(), "{finished:#?}");
        reason
    }

    /// The untouched twin of a forgery.
    #[track_caller]
    fn honest_twin_is_accepted(&self) {
        self.forger.honest();
        self.accepts(HOST, &self.honest);
    }
}

#[test]
fn through_an_honest_relay_the_host_is_accepted_and_the_impostor_rejected() {
    let world = World::start();
    world.accepts(HOST, &world.honest);
    world.accepts("web2.example.test", &world.impostor);
    world.accepts("alias.example.test", &world.impostor);
    world.accepts("web1.wild.example.test", &world.honest);
    assert_eq!(world.refuses(HOST, &world.impostor), "key-mismatch");
}
