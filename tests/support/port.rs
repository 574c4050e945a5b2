//! Loopback ports that no other run of these tests, and no client socket, can take meanwhile.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

/// Below the range that kernels take client ports from (32768 up), so that nothing but a server
/// that asks for this very number can get it.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A port that was free for UDP and TCP on 127.0.0.1, reserved among test runs while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the lock that other runs respect.
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    pub fn free() -> Port {
        let folder = std::env::temp_dir().join("sshanchor-test-ports");
        if fs::create_dir(&folder).is_ok() {
            // Other users' runs lock here too.
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777));
        }
        for _ in 0..500 {
            let number = rand::random_range(RANGE);
            let file = folder.join(number.to_string());
            let Ok(lock) = OpenOptions::new().create(true).append(true).open(file) else { continue };
            if lock.try_lock().is_ok() && is_free(number) {
                return Port { number, _lock: lock };
            }
        }
        panic!("no free port on 127.0.0.1 after 500 tries (locks in {})", folder.display());
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.1 and this port.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
        && UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
}
