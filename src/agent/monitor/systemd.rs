//! What systemd is told of the agent (sd_notify(3)): datagrams to the socket of NOTIFY_SOCKET. Own code of a few lines,
//! for the libraries wait where systemd does not read, and nothing may hold the agent up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep};

use crate::proto::text::shorten;

const SOCKET: &str = "NOTIFY_SOCKET";
/// How long a silence systemd bears, in microseconds, and whose.
const WATCHDOG: (&str, &str) = ("WATCHDOG_USEC", "WATCHDOG_PID");
/// Longest status, in octets.
const MAX_STATUS: usize = 256;

/// The service manager; one that is not there is told nothing.
#[derive(Debug, Clone)]
pub struct Manager {
    address: Option<Arc<SocketAddr>>,
    /// How long a silence it bears; none means any.
    watchdog: Option<Duration>,
    /// Until when the agent has promised to be heard of.
    promise: Arc<Mutex<Instant>>,
}

impl Manager {
    /// As the environment has it.
    pub fn from_environment() -> Self {
        let address = std::env::var_os(SOCKET).and_then(|socket| address(&socket));
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_meant = number(WATCHDOG.1).is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number(WATCHDOG.0).filter(|span| *span > 0 && is_meant).map(Duration::from_micros);
        Manager { address: address.map(Arc::new), watchdog, ..Manager::none() }
    }

    /// Nobody.
    pub fn none() -> Self {
        Manager { address: None, watchdog: None, promise: Arc::new(Mutex::new(Instant::now())) }
    }

    /// The agent has made its first pass, or has read its configuration again.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// What it does, in words.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", shorten(text, MAX_STATUS)));
    }

    /// It reads its configuration again, and says [`Self::ready`] once it has.
    pub fn reloading(&self) {
        // By this systemd tells an answer to its own signal from others (Type=notify-reload, systemd.service(5)).
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The agent promises to call this again within `span`; while it keeps to that, it is alive.
    pub fn promise(&self, span: Duration) {
        if let Ok(mut promise) = self.promise.lock() {
            *promise = Instant::now() + span;
        }
    }

    /// Tells the watchdog, where there is one, that the agent is alive, as long as it keeps its promise. Where there is
    /// none this waits for ever, without a timer.
    pub async fn keep_alive(&self) {
        let Some(span) = self.watchdog.filter(|_| self.address.is_some()) else {
            return std::future::pending().await;
        };
        loop {
            let is_kept = self.promise.lock().is_ok_and(|promise| Instant::now() <= *promise);
            if is_kept {
                self.tell("WATCHDOG=1");
            }
            sleep(span / 2).await;
        }
    }

    fn tell(&self, state: &str) {
        let Some(address) = &self.address else { return };
        let told = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(state.as_bytes(), address)
        });
        // Whoever does not listen does not want to know.
        let _ = told;
    }
}

/// A path, or a name in the abstract namespace behind an @ (sd_notify(3)).
fn address(socket: &OsStr) -> Option<SocketAddr> {
    match socket.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(socket).ok(),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(watchdog: Option<Duration>) -> (tempfile::TempDir, UnixDatagram, Manager) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = Some(Arc::new(address(path.as_os_str()).unwrap()));
        (folder, socket, Manager { address, watchdog, ..Manager::none() })
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut octets = [0; 1024];
        let length = socket.recv(&mut octets).unwrap();
        String::from_utf8(octets[..length].to_vec()).unwrap()
    }

    #[test]
    fn systemd_hears_one_line_a_state() {
        let (_folder, socket, manager) = listening(None);
        manager.ready();
        manager.status("evil\nSTOPPING=1 \x1b\u{e9}");
        manager.reloading();
        manager.stopping();
        assert_eq!(heard(&socket), "READY=1");
        assert_eq!(heard(&socket), "STATUS=evil\\nSTOPPING=1 \\u{1b}\\u{e9}");
        let reloading = heard(&socket);
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0);
        assert_eq!(heard(&socket), "STOPPING=1");
        Manager::none().ready();
    }

    #[test]
    fn names_without_a_file_are_understood_and_others_are_none() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("sshanchor-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = address(OsStr::new(&format!("@{name}"))).map(Arc::new);
        Manager { address, ..Manager::none() }.ready();
        assert_eq!(heard(&socket), "READY=1");
        for none in ["", "relative", "vsock:2:1234"] {
            assert!(super::address(OsStr::new(none)).is_none(), "{none}");
        }
    }

    #[test]
    fn one_that_does_not_read_holds_nobody_up() {
        let (_folder, _socket, manager) = listening(None);
        (0..10_000).for_each(|_| manager.ready());
    }

    #[tokio::test]
    async fn the_watchdog_hears_of_an_agent_that_keeps_its_promise_and_of_no_other() {
        let (_folder, socket, manager) = listening(Some(Duration::from_millis(20)));
        socket.set_nonblocking(true).unwrap();
        let socket = tokio::net::UnixDatagram::from_std(socket).unwrap();
        let heard = async || {
            let mut octets = [0; 64];
            for _ in 0..3 {
                let length = socket.recv(&mut octets).await.unwrap();
                assert_eq!(&octets[..length], b"WATCHDOG=1");
            }
        };
        manager.promise(Duration::from_secs(60));
        tokio::select! {
            () = manager.keep_alive() => panic!("it never ends"),
            () = heard() => {}
        }
        manager.promise(Duration::ZERO);
        while socket.try_recv(&mut [0; 64]).is_ok() {}
        let silence = tokio::time::timeout(Duration::from_millis(100), manager.keep_alive());
        assert!(silence.await.is_err());
        assert!(socket.try_recv(&mut [0; 64]).is_err(), "the promise is broken");
        manager.promise(Duration::from_secs(60));
        tokio::select! {
            () = manager.keep_alive() => panic!("it never ends"),
            () = heard() => {}
        }
    }
}
