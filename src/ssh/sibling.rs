//! What the ProxyCommand of an ssh has seen of the handshake, told to the KnownHostsCommand of the same ssh, which is shown a
//! key and no more. Both are started by ssh itself, one beside the other: the proxy listens, as long as its ssh is there, on a
//! socket whose name is that of its parent process, and the other one asks at the name of its own. Nothing is left behind:
//! the name is in Linux's abstract room, and goes with the proxy.
//!
//! It takes the word of processes of the same user alone (SO_PEERCRED), who could as well start another program in
//! this one's place. Where nobody answers, nothing was seen.

use serde::{Deserialize, Serialize};

use crate::proto::hostkey::HostKey;
use crate::proto::policy::Seen;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// SHA-256 of the plain key that was accepted, lower-case hex.
    key_sha256: String,
    /// The handshake that showed it.
    seen: Seen,
}

impl Report {
    /// Of the handshake that showed this key.
    pub fn new(key: &HostKey, seen: Seen) -> Self {
        Report { key_sha256: digest(key), seen }
    }

    /// The handshake, if it is that which showed this key.
    pub fn of(self, key: &HostKey) -> Option<Seen> {
        (self.key_sha256 == digest(key)).then_some(self.seen)
    }
}

fn digest(key: &HostKey) -> String {
    data_encoding::HEXLOWER.encode(&key.sha256())
}

#[cfg(target_os = "linux")]
pub use self::linux::{ask, tell};

/// Elsewhere there is no such room: nobody learns of it.
#[cfg(not(target_os = "linux"))]
pub fn tell(_report: &Report) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Elsewhere there is no such room: nobody answers.
#[cfg(not(target_os = "linux"))]
pub fn ask() -> Option<Report> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, Read};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::time::Duration;

    use rustix::net::sockopt::socket_peercred;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    use rustix::process::{Pid, geteuid, getppid};
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::Report;

    /// Longest report, in octets.
    const MAX_REPORT: u64 = 4096;
    /// How long the other one may take.
    const PATIENCE: Duration = Duration::from_secs(2);

    /// Where the children of this ssh meet: a name in the abstract room.
    fn name(ssh: Pid) -> String {
        format!("sshanchor/handshake/{}/{ssh}", geteuid().as_raw())
    }

    /// Tells it to whoever asks, from now on, as long as this process and the one that started it run. To be called in a
    /// runtime.
    pub fn tell(report: &Report) -> io::Result<()> {
        let ssh = getppid().ok_or(io::ErrorKind::NotFound)?;
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name(ssh))?)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let octets = serde_json::to_vec(report)?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The number of an ssh that is gone may be another one's.
                if getppid() != Some(ssh) {
                    return;
                }
                let is_own = stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw());
                if is_own {
                    let _ = timeout(PATIENCE, stream.write_all(&octets)).await;
                }
            }
        });
        Ok(())
    }

    /// What the proxy of the ssh that has started this process tells, if there is one. Waits for it for two seconds at
    /// most, and for nobody else at all.
    pub fn ask() -> Option<Report> {
        ask_at(&name(getppid()?), PATIENCE)
    }

    fn ask_at(name: &str, patience: Duration) -> Option<Report> {
        let stream = connected(name).ok()?;
        if socket_peercred(&stream).ok()?.uid != geteuid() {
            return None;
        }
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        let mut octets = Vec::new();
        stream.take(MAX_REPORT).read_to_end(&mut octets).ok()?;
        serde_json::from_slice(&octets).ok()
    }

    /// At once or not at all. Anybody may listen there, and whose queue is full would have a connect that blocks wait for
    /// ever; a proxy's never is, for its ssh asks it a few times.
    fn connected(name: &str) -> io::Result<UnixStream> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        Ok(socket.into())
    }

    #[cfg(test)]
    mod tests {
        use std::io::Write;
        use std::os::fd::OwnedFd;
        use std::thread;
        use std::time::Instant;

        use rustix::net::{bind, listen};

        use super::*;
        use crate::proto::policy::Seen;

        /// A socket at `name` with room for one in its queue.
        fn listener(name: &str) -> UnixListener {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
            let socket: OwnedFd = socket.unwrap();
            bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
            listen(&socket, 0).unwrap();
            socket.into()
        }

        fn own_name(test: &str) -> String {
            format!("sshanchor/test/{}/{test}", std::process::id())
        }

        #[test]
        fn whoever_does_not_take_calls_is_not_waited_for() {
            let name = own_name("full");
            let _listener = listener(&name);
            let mut queued = Vec::new();
            while let Ok(stream) = connected(&name) {
                queued.push(stream);
                assert!(queued.len() < 50, "the queue has no end");
            }
            let began = Instant::now();
            assert_eq!(ask_at(&name, PATIENCE), None);
            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        }

        #[test]
        fn whoever_answers_is_heard() {
            let name = own_name("answers");
            let listener = listener(&name);
            let seen = Seen {
                kex: "mlkem768x25519-sha256".to_owned(),
                strict_client: true,
                strict_server: true,
                server_version: "SSH-2.0-OpenSSH_10.0".to_owned(),
            };
            let report = Report { key_sha256: "00".repeat(32), seen };
            let octets = serde_json::to_vec(&report).unwrap();
            let answering = thread::spawn(move || listener.accept().unwrap().0.write_all(&octets).unwrap());
            assert_eq!(ask_at(&name, PATIENCE), Some(report));
            answering.join().unwrap();
        }

        #[test]
        fn whoever_takes_the_call_and_says_nothing_is_given_up() {
            let name = own_name("silent");
            let _listener = listener(&name);
            assert_eq!(ask_at(&name, Duration::from_millis(50)), None);
        }
    }
}
