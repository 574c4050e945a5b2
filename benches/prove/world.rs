//! A signed zone with many names on a real named, behind a real validating unbound.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::support::unbound::{Unbound, stubs};
use crate::support::{Tree, Zone};

/// Names in the zone.
pub const NAMES: usize = 10_000;

/// All that is measured against.
pub struct World {
    pub unbound: Unbound,
    pub tree: Tree,
}

impl World {
    /// Makes and signs the zone, which takes some seconds, and starts the servers.
    pub fn start() -> World {
        let mut zone = Zone::signed("fleet.test.");
        zone.records.extend((0..NAMES).map(|number| {
            let mut digest = String::with_capacity(64);
            for octet in 0..32 {
                write!(digest, "{:02x}", (number >> (octet % 2 * 8)) as u8 ^ octet).unwrap();
            }
            format!("{} 3600 SSHFP 4 2 {digest}", name(number))
        }));
        let tree = Tree::plan().zone(zone).start();
        let unbound = Unbound::start_with(&stubs(&tree), Some(&tree.anchor()), ROOM);
        World { unbound, tree }
    }

    /// The root's key as delv wants it.
    pub fn delv_anchor(&self) -> PathBuf {
        let line = self.tree.keys(".").dnskey_line();
        let key = line.lines().find(|line| !line.starts_with(';')).unwrap();
        let fields: Vec<&str> =
            key.split_whitespace().skip_while(|field| *field != "DNSKEY").skip(1).collect();
        let (numbers, key) = (fields[..3].join(" "), fields[3..].concat());
        self.tree
            .sandbox
            .write("delv.key", &format!("trust-anchors {{ . static-key {numbers} \"{key}\"; }};\n"))
    }
}

/// All names fit into the caches, so that no client waits for named.
const ROOM: &str = "server:\n  msg-cache-size: 64m\n  rrset-cache-size: 128m\n";

/// The name of that number.
pub fn name(number: usize) -> String {
    format!("host{number}.fleet.test.")
}
