//! This machine's sshd, asked about itself: the configuration in force, whether it could start, and made to read it
//! again.

pub mod drop_in;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::files::pipe;
use crate::run::{Ran, RunError, run};

/// Where sshd is looked for beside PATH, which often lacks these for users.
const SBIN: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];
/// Most that sshd may print, in octets; `sshd -T` prints some 5 KiB.
const MAX_OUTPUT: usize = 256 * 1024;
/// Longest pid file, in octets.
const MAX_PID_FILE: u64 = 64;

/// The sshd of this machine, and which configuration it is asked about.
#[derive(Debug, Clone)]
pub struct Sshd {
    program: PathBuf,
    config: Option<PathBuf>,
}

/// Why sshd told or did nothing.
#[derive(Debug, thiserror::Error)]
pub enum SshdError {
    /// There is no such program.
    #[error("no sshd in PATH or {}", SBIN.join(", "))]
    Missing,
    /// It could not be run to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It refused, as it does where its configuration is wrong. Printable.
    #[error("sshd {option} {why}")]
    Refused {
        /// What it was asked for.
        option: &'static str,
        /// How it ended and what it said last.
        why: String,
    },
}

/// Why a running sshd was not told to read its configuration again.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// Its configuration says `PidFile none`, or the file is not there: none runs, or something else starts it.
    #[error("sshd has left no pid file ({0})")]
    NoPidFile(String),
    /// The file is none.
    #[error("{} holds no process id", .0.display())]
    NotAPid(PathBuf),
    /// Another process has that id now.
    #[error("process {pid} of {} is {name:?}, not sshd", path.display())]
    NotSshd {
        /// The pid file.
        path: PathBuf,
        /// What it holds.
        pid: i32,
        /// Which program that is.
        name: String,
    },
    /// The system said no.
    #[error("cannot signal sshd, process {pid}: {error}")]
    Io {
        /// The process.
        pid: i32,
        /// What the system said.
        error: io::Error,
    },
}

/// What matters here of `sshd -T`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Private host keys.
    pub host_keys: Vec<PathBuf>,
    /// Certificates, whether they exist or not.
    pub host_certificates: Vec<PathBuf>,
    /// Where it listens.
    pub listens: Vec<SocketAddr>,
    /// Where it leaves its process id.
    pub pid_file: Option<PathBuf>,
    /// The host key algorithms that it offers, as far as it has keys for them.
    pub algorithms: Vec<String>,
    /// How long a client may take to log in, in seconds; 0 for as long as it likes.
    pub login_grace: u64,
}

impl Effective {
    fn parse(text: &str) -> Self {
        let mut effective = Effective::default();
        for line in text.lines() {
            let Some((keyword, value)) = line.trim().split_once(' ') else { continue };
            let path = || (value != "none").then(|| PathBuf::from(value));
            match keyword {
                "hostkey" => effective.host_keys.extend(path()),
                "hostcertificate" => effective.host_certificates.extend(path()),
                // `[::]:22 rdomain "x"`
                "listenaddress" => effective
                    .listens
                    .extend(value.split(' ').next().and_then(|a| a.parse::<SocketAddr>().ok())),
                "hostkeyalgorithms" => {
                    effective.algorithms.extend(value.split(',').map(|name| name.trim().to_owned()))
                }
                "logingracetime" => effective.login_grace = value.parse().unwrap_or_default(),
                "pidfile" => effective.pid_file = path(),
                _ => {}
            }
        }
        effective
    }

    /// Where a client on this machine reaches it: loopback, where it listens on every address.
    pub fn nearest(&self) -> Option<SocketAddr> {
        let near = |address: &SocketAddr| {
            let ip = match address.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
                other => other,
            };
            SocketAddr::new(ip, address.port())
        };
        let mut all = self.listens.iter().map(near);
        all.clone().find(|address| address.ip().is_loopback()).or_else(|| all.next())
    }
}

impl Sshd {
    /// The sshd of PATH or of where servers live, with its own configuration file or another.
    pub fn find(config: Option<&Path>) -> Result<Self, SshdError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
        let program = folders.find_map(|folder| {
            let program = folder.join("sshd");
            (program.is_absolute() && program.is_file()).then_some(program)
        });
        Ok(Sshd { program: program.ok_or(SshdError::Missing)?, config: config.map(Path::to_owned) })
    }

    /// The configuration in force (`sshd -T`). It needs to read the private host keys: root, as a rule.
    pub async fn effective(&self, patience: Duration) -> Result<Effective, SshdError> {
        self.effective_with(&[], patience).await
    }

    /// The same with these options (`Keyword=value`) in front of its configuration.
    pub async fn effective_with(
        &self,
        options: &[String],
        patience: Duration,
    ) -> Result<Effective, SshdError> {
        let ran = self.ask("-T", options, patience).await?;
        Ok(Effective::parse(&String::from_utf8_lossy(&ran.output)))
    }

    /// It could start with its configuration as it is on disk (`sshd -t`). What it complains of all the same, such as a
    /// certificate that it cannot load, is in the outcome.
    pub async fn test(&self, patience: Duration) -> Result<Ran, SshdError> {
        self.ask("-t", &[], patience).await
    }

    /// The configuration file that it is asked about; none means its own.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    async fn ask(
        &self,
        option: &'static str,
        options: &[String],
        patience: Duration,
    ) -> Result<Ran, SshdError> {
        let mut arguments = vec![OsString::from(option)];
        arguments.extend(options.iter().flat_map(|option| ["-o".into(), OsString::from(option)]));
        if let Some(config) = &self.config {
            arguments.extend([OsString::from("-f"), config.into()]);
        }
        let ran = run(self.program.as_os_str(), &arguments, b"", MAX_OUTPUT, patience).await?;
        match ran.failure() {
            Some(why) => Err(SshdError::Refused { option, why }),
            None => Ok(ran),
        }
    }
}

/// Makes the sshd that left `pid_file` read its configuration and its keys again, which it does by starting itself anew;
/// sessions stay.
pub fn hang_up(pid_file: Option<&Path>) -> Result<(), SignalError> {
    let Some(path) = pid_file else { return Err(SignalError::NoPidFile("PidFile none".into())) };
    let text = pipe::read(path, MAX_PID_FILE, pipe::PATIENCE)
        .map_err(|error| SignalError::NoPidFile(format!("{}: {error}", path.display())))?;
    // No group of processes, nor the first of all, is meant.
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
    let (pid, id) = pid
        .and_then(|pid| Some((pid, Pid::from_raw(pid)?)))
        .ok_or_else(|| SignalError::NotAPid(path.to_owned()))?;
    // It may have ended long ago, and its id be another's.
    let name = name_of(pid).map_err(|error| SignalError::Io { pid, error })?;
    if name != "sshd" {
        return Err(SignalError::NotSshd { path: path.to_owned(), pid, name });
    }
    kill_process(id, Signal::HUP).map_err(|error| SignalError::Io { pid, error: error.into() })
}

/// Which program a process runs: by /proc, else by ps.
fn name_of(pid: i32) -> io::Result<String> {
    let name = match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Err(_) if !Path::new("/proc/self/comm").exists() => {
            let ps =
                std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output()?;
            String::from_utf8_lossy(&ps.stdout).into_owned()
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        name => name?,
    };
    let program = Path::new(name.trim()).file_name().unwrap_or(OsStr::new("no process"));
    Ok(program.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_prints_is_read() {
        let text = "port 22\nlistenaddress 192.0.2.1:22\nlistenaddress [::]:2222 rdomain \"x\"\npidfile /run/sshd.pid\n\
                    hostkey /etc/ssh/a key\nhostkey /etc/ssh/b\nhostcertificate /etc/ssh/b-cert.pub\nhostkeyagent none\n\
                    hostkeyalgorithms ssh-ed25519,rsa-sha2-512\nlogingracetime 120\n";
        let effective = Effective::parse(text);
        assert_eq!(effective.host_keys, [PathBuf::from("/etc/ssh/a key"), "/etc/ssh/b".into()]);
        assert_eq!(effective.host_certificates, [PathBuf::from("/etc/ssh/b-cert.pub")]);
        assert_eq!(effective.pid_file, Some("/run/sshd.pid".into()));
        assert_eq!((effective.algorithms.len(), effective.login_grace), (2, 120));
        assert_eq!(effective.nearest(), Some("[::1]:2222".parse().unwrap()));
        for (listens, near) in [
            ("listenaddress 0.0.0.0:22", "127.0.0.1:22"),
            ("listenaddress [2001:db8::1]:22\nlistenaddress 127.0.0.1:23", "127.0.0.1:23"),
            ("listenaddress 192.0.2.1:22", "192.0.2.1:22"),
        ] {
            assert_eq!(Effective::parse(listens).nearest(), Some(near.parse().unwrap()), "{listens}");
        }
        assert_eq!(Effective::parse("pidfile none").pid_file, None);
        assert_eq!(Effective::default().nearest(), None);
    }

    #[test]
    fn only_sshd_is_signalled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sshd.pid");
        assert!(matches!(hang_up(None), Err(SignalError::NoPidFile(_))));
        assert!(matches!(hang_up(Some(&file)), Err(SignalError::NoPidFile(_))));
        for bad in ["", "x", "0", "-1", "1", "-7", "99999999999999"] {
            fs::write(&file, bad).unwrap();
            assert!(matches!(hang_up(Some(&file)), Err(SignalError::NotAPid(_))), "{bad}");
        }
        // This very process, and one that is none.
        for other in [std::process::id().to_string(), i32::MAX.to_string()] {
            fs::write(&file, format!("{other}\n")).unwrap();
            assert!(matches!(hang_up(Some(&file)), Err(SignalError::NotSshd { .. })), "{other}");
        }
    }
}
