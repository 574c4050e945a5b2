//! `sshanchor rotate` with a real sshd, a real zone, and real clients that connect meanwhile.

mod clients;
mod crashes;
mod defaults;
mod emergencies;
mod failures;
mod modes;
pub mod place;
mod state;

use place::Place;

#[test]
fn a_key_is_replaced_while_its_type_is_hidden() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let (old, other) = (place.record("ed25519"), place.record("ecdsa256"));
    assert_eq!(place.rotates(&["--status"], 0, "done")["changes"], serde_json::json!([]));
    assert_eq!(place.rotates(&["--resume"], 0, "done")["steps"], serde_json::json!([]));

    let told = place.rotates(&["--type", "ed25519"], 5, "settle");
    assert_eq!(told["steps"], serde_json::json!(["begin", "prepare", "hide"]), "{told}");
    assert_eq!(told["queue"], serde_json::json!(["ssh-ed25519"]));
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    assert_eq!((place.record("ed25519"), place.in_dns().contains(&old)), (old.clone(), true));
    assert_eq!(
        place.left_over(),
        ["00-sshanchor.conf", "host_ed25519.sshanchor-next", "host_ed25519.sshanchor-next.pub"]
    );
    assert_eq!(place.rotate(&["--type", "rsa"]).code, Some(2), "one is under way");

    let told = place.rotates_until(&["--resume"], 5, "caches");
    assert_eq!(told["steps"], serde_json::json!(["replace", "publish", "spread"]));
    assert_ne!(place.record("ed25519"), old);
    place.dns_is_as_disk();
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);

    let told = place.rotates_until(&["--resume"], 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["prove", "show", "finish"]));
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_eq!(place.left_over(), [""; 0]);
    assert_eq!(place.record("ecdsa256"), other);
    place.dns_is_as_disk();
    assert_eq!(place.verdict()["verdict"], "accept");
    place.rotates(&["--resume"], 0, "done");
}
