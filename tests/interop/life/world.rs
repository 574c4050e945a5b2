//! DNS as it is in earnest: a primary that signs, a secondary, a recursor that validates.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::secondary::{Secondary, serial};
use super::{HOST, SOON, TTL};
use crate::interop::primary::{records_at, sorted};
use crate::support::namespace::needs_root;
use crate::support::process::wait_until;
use crate::support::unbound::Unbound;
use crate::support::{Sandbox, Tree};

/// The zones that a machine's name hangs on.
const ZONES: [&str; 3] = [".", "test.", "example.test."];

pub struct World {
    _resolver: Unbound,
    pub secondary: Secondary,
    pub tree: Tree,
    resolver_ip: Ipv4Addr,
}

impl World {
    pub fn new() -> World {
        needs_root();
        let mut plan = Tree::plan();
        plan.zones.retain(|zone| ZONES.contains(&zone.name.as_str()));
        let tree = plan.start();
        let zones = ZONES.map(str::to_owned);
        let secondary = Secondary::start(tree.addr(), &zones);
        let resolver_ip = own_address();
        let mut more = format!("server:\n  interface: {resolver_ip}@53\n");
        for zone in &zones {
            let [one, other] =
                [tree.addr(), secondary.addr()].map(|addr| format!("{}@{}", addr.ip(), addr.port()));
            more += &format!("stub-zone:\n  name: \"{zone}\"\n  stub-addr: {one}\n  stub-addr: {other}\n");
        }
        let resolver = Unbound::start_with(&[], Some(&tree.anchor()), &more);
        World { _resolver: resolver, secondary, tree, resolver_ip }
    }

    /// A resolv.conf in `home` by which glibc asks the recursor, and believes its AD bit.
    pub fn resolv_conf(&self, home: &Sandbox) -> PathBuf {
        let text = format!("nameserver {}\noptions trust-ad edns0\n", self.resolver_ip);
        home.write("resolv.conf", &text)
    }

    /// Both servers show these records, and no others, at [`HOST`].
    #[track_caller]
    pub fn show(&self, records: &[&str]) {
        let wanted = sorted(records);
        for server in [self.tree.addr(), self.secondary.addr()] {
            let shown = || records_at(server, HOST).0;
            assert!(wait_until(SOON, || shown() == wanted), "{server}: {:?}, and not {wanted:?}", shown());
        }
    }

    /// The zone's serial number at the primary.
    pub fn serial(&self) -> Option<u32> {
        serial(self.tree.addr())
    }

    /// Waits until what the recursor was told before, and clients of it, is forgotten.
    pub fn is_in_caches_no_more(&self) {
        thread::sleep(Duration::from_secs(u64::from(TTL) + 1));
    }

    /// nsupdate's `lines`, by somebody who may change all.
    pub fn update(&self, lines: &str) {
        self.tree.update(&format!("zone example.test\n{lines}"));
    }
}

/// A loopback address for a recursor at port 53: of this process and this call.
fn own_address() -> Ipv4Addr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() + CALLS.fetch_add(257, Ordering::Relaxed);
    let [_, _, a, b] = number.to_be_bytes();
    Ipv4Addr::new(127, 54, a, b.clamp(1, 254))
}
