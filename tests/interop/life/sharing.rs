//! Two machines at one name.

use super::clients::{BY_DNS, Clients};
use super::machine::Machine;
use super::world::World;

#[test]
fn two_machines_share_a_name_until_one_of_them_goes() {
    let world = World::new();
    // Of other types: ssh wants all records of an algorithm to match.
    let one = Machine::with(&world, &["ed25519", "rsa"]);
    let other = Machine::with(&world, &["ecdsa256"]);
    let agents = [one.agent(), other.agent()];
    let (before, others) = (one.records(), other.record("ecdsa256"));
    world.show(&[&before[0], &before[1], &others]);
    agents.iter().for_each(|agent| {
        agent.says("is proven");
        agent.says("not this machine's");
    });
    let [to_one, to_other] = [&one, &other].map(|machine| Clients::connect(&world, machine, &BY_DNS));

    // One gets another key, and the other does not notice.
    one.has_rotated(one.rotates(&["--type", "ed25519", "--wait"]));
    let after = one.record("ed25519");
    assert_ne!(after, before[0]);
    world.show(&[&after, &before[1], &others]);
    to_other.were_all_let_in();

    // The other goes, and this one does not notice.
    let [agent, others_agent] = agents;
    others_agent.ends();
    let gone = other.runs(&["withdraw"]);
    assert_eq!(gone.code, Some(0), "{gone:#?}");
    world.show(&[&after, &before[1]]);
    to_one.were_all_let_in();
    assert_eq!(agent.said("putting them back"), 0, "{}", agent.0.log());
}
