//! Statuses for tests.

use super::{Certificate, Moment, Owner, Phase, Rotation, Server, Status, Trouble, VERSION};

/// The moment around which they are, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// All is as it should be.
pub fn well() -> Status {
    let server =
        |server: &str| Server { server: server.to_owned(), status: "current".to_owned(), detail: None };
    Status {
        version: VERSION,
        program: "0.1.0".to_owned(),
        pid: 4242,
        started: Moment(NOW - 86_400),
        phase: Phase::Idle,
        last_pass: Some(Moment(NOW - 60)),
        last_success: Some(Moment(NOW - 60)),
        next_pass: Some(Moment(NOW + 840)),
        passes: 96,
        changes: 1,
        failed_in_a_row: 0,
        failures: [("timeout".to_owned(), 2)].into(),
        error: None,
        warnings: Vec::new(),
        owners: vec![Owner {
            name: "web1.example.com".to_owned(),
            owner: "web1.example.com".to_owned(),
            zone: Some("example.com".to_owned()),
            backend: "rfc2136".to_owned(),
            server: "192.0.2.53:53".to_owned(),
            published: vec![format!("4 2 {}", "aa".repeat(32)), format!("3 2 {}", "bb".repeat(32))],
            since: Some(Moment(NOW - 864_000)),
            foreign: Vec::new(),
            ttl: Some(3600),
            vanished: 0,
            servers: vec![server("192.0.2.53:53"), server("ns2.example.com")],
            proof: Some("secure".to_owned()),
            proof_message: None,
            caches_until: None,
            signatures_expire: Some(Moment(NOW + 604_800)),
            last_success: Some(Moment(NOW - 60)),
            error: None,
        }],
        certificates: vec![Certificate {
            path: "/etc/ssh/ssh_host_ed25519_key-cert.pub".to_owned(),
            key_type: "ssh-ed25519".to_owned(),
            expires: Some(Moment(NOW + 2_592_000)),
        }],
        rotation: None,
    }
}

/// Everything is wrong that can be, in the words of hostile peers.
pub fn unwell() -> Status {
    let trouble = |reason: &str, message: &str| Trouble {
        reason: reason.to_owned(),
        message: message.to_owned(),
        hint: Some("do \x1b[31mthis".to_owned()),
        hard: reason == "clock",
        since: Moment(NOW - 7200),
    };
    let mut status = well();
    status.phase = Phase::Retrying;
    status.last_success = None;
    status.failed_in_a_row = 3;
    status.failures.insert("a \"b\" \\ \n\x1b".to_owned(), 1);
    status.error = Some(trouble("clock", "the clock is off"));
    status.warnings = vec!["a key file can be read by others".to_owned()];
    let owner = &mut status.owners[0];
    owner.error = Some(trouble("timeout", "no answer \x1b[2J from 192.0.2.53:53\nin time"));
    owner.servers[0].status = "pending".to_owned();
    owner.servers[1].status = "unreachable".to_owned();
    owner.servers[1].detail = Some("no answer".to_owned());
    owner.proof = Some("insecure".to_owned());
    owner.proof_message = Some("example.com is not signed".to_owned());
    owner.foreign = vec![format!("1 2 {}", "cc".repeat(32))];
    owner.vanished = 2;
    owner.last_success = None;
    status.certificates[0].expires = None;
    status.rotation = Some(Rotation {
        key_type: "ssh-ed25519".to_owned(),
        stage: "caches".to_owned(),
        waits_for: "caches to forget the old key".to_owned(),
        until: Some(Moment(NOW + 3600)),
        since: Moment(NOW - 600),
    });
    status
}
