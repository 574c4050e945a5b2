//! Servers that hand out something else where a zone is asked for.

use std::time::Duration;

use super::super::primary::FOREIGN;
use super::super::publish_hostile::{AXFR, TRANSFERS};
use crate::support::forger::Forger;
use crate::support::wire::Dns;
use crate::support::zone::Zone;
use crate::support::{Finished, Tree, run};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_transfer_that_is_none_names_nobody() {
    let granted =
        |zone: Zone| zone.policy("update-policy { grant \"zone\" zonesub ANY; }; allow-transfer { any; };");
    let record = format!("web1.example.test. 60 IN SSHFP {FOREIGN}");
    let tree = Tree::plan().record(&record).with("example.test.", granted).start();
    let forger = Forger::start(tree.addr());
    let ask = |command: &str| -> Finished {
        let mut asked = tree.sshanchor(tree.addr());
        asked.args([command, "--json", "--timeout", "2", "--zone", "example.test", "--zone-server"]);
        run(asked.arg(forger.addr().to_string()), LIMIT)
    };
    for (lie, forge) in TRANSFERS {
        forger.rule(move |exchange| match Dns::read(&exchange.question).rtype == AXFR {
            true => forge(exchange),
            false => vec![],
        });
        for command in ["verify", "audit"] {
            let told = ask(command);
            let json = told.json();
            assert_eq!((told.code, &json["reason"]), (Some(1), &"zone-transfer".into()), "{lie}: {told:#?}");
            assert!(!json["hint"].is_null() && told.elapsed < Duration::from_secs(20), "{lie}: {told:#?}");
            assert!(!told.stderr.contains('\u{1b}') && told.stderr.len() < 4000, "{lie}: {told:#?}");
        }
    }
    // The twin.
    forger.honest();
    let told = ask("verify");
    assert!(told.stdout.contains("web1.example.test"), "{told:#?}");
}
