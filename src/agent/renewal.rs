//! A new host certificate in the place of the old one: written, tested, loaded, shown; or the old one again.
//!
//! At every moment the file holds a whole certificate, the old one or one that [`accept`](crate::proto::renewal::accept)
//! took, and sshd serves what it last read. Whoever ends this process at any point leaves a server that works, and the
//! next run finds by a handshake what is left to do.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::files::{self, Original, ReplaceError};
use crate::proto::certificate::Certificate;
use crate::proto::hostkey::KeyType;
use crate::proto::renewal::{self, Accepted};
use crate::run::run;
use crate::ssh::probe::{Ask, ProbeError, probe};
use crate::ssh::sshd::{SignalError, Sshd, hang_up};

/// Behind the name of the certificate's file: the one before, until the new one is proven.
pub const BEFORE: &str = ".before-renewal";
/// Most copies that runs which were killed may have left.
const MAX_COPIES: u32 = 100;
/// Largest file that is taken for a certificate, in octets.
pub const MAX_FILE: u64 = 1024 * 1024;
/// Most that a command for reloading may print, in octets.
const MAX_OUTPUT: usize = 64 * 1024;
/// How long after a handshake that showed another certificate the next one is begun: doubled each time. sshd counts
/// clients that do not log in (PerSourcePenalties), so that they are few.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How long a single handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// The server that shall show the new certificate.
#[derive(Debug)]
pub struct Server {
    /// What is tested.
    pub sshd: Sshd,
    /// How it is made to read its certificates again.
    pub reload: Reload,
    /// Where a handshake is made.
    pub address: SocketAddr,
    /// How long each step may take.
    pub patience: Duration,
}

/// How sshd is made to read its certificates again.
#[derive(Debug)]
pub enum Reload {
    /// SIGHUP to the process that left this file.
    Signal(Option<PathBuf>),
    /// A program and its arguments.
    Command(String, Vec<String>),
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// `sshd -t` refuses the configuration.
    #[error("{0}")]
    Test(#[from] crate::ssh::sshd::SshdError),
    /// The server could not be told.
    #[error("sshd was not reloaded: {0}")]
    Signal(#[from] SignalError),
    /// The command for it failed.
    #[error("sshd was not reloaded: {0}")]
    Command(String),
    /// No handshake showed the new certificate.
    #[error("{0}")]
    NotShown(Box<NotShown>),
}

/// What handshakes showed instead of the certificate.
#[derive(Debug, thiserror::Error)]
#[error("sshd at {address} does not show the new certificate within {} s: {last}{}", .patience.as_secs_f64(), unsignalled(not_told))]
pub struct NotShown {
    /// Where.
    pub address: SocketAddr,
    /// How long it was tried.
    pub patience: Duration,
    /// What came of the last one.
    pub last: Shown,
    /// Why the server was not told to reload, where it might do so by itself.
    pub not_told: Option<SignalError>,
}

/// What a handshake showed.
#[derive(Debug, thiserror::Error)]
pub enum Shown {
    /// The certificate that was looked for.
    #[error("it shows the certificate")]
    This,
    /// Another one.
    #[error("it shows another certificate")]
    Another,
    /// None about a key of this type.
    #[error("it shows no certificate of type {0}")]
    None(KeyType),
    /// Nothing.
    #[error("{0}")]
    Nothing(String),
}

/// Why the new certificate does not serve.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It could not be written; nothing was changed.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The certificate's file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A later step failed; what was done about the old one is told.
    #[error("{step}; {}: {restored}", path.display())]
    Step {
        /// The certificate's file.
        path: PathBuf,
        /// The step.
        step: Box<StepError>,
        /// What became of the old one.
        restored: Restored,
    },
}

/// What became of the old certificate.
#[derive(Debug, thiserror::Error)]
pub enum Restored {
    /// It is in its place; sshd was never told of the new one.
    #[error("the old certificate is in its place again")]
    InPlace,
    /// It is in its place, and a handshake shows it.
    #[error("the old certificate is in its place again, and served")]
    Served,
    /// It is in its place, but sshd cannot be seen to serve it.
    #[error("the old certificate is in its place again, but {0}")]
    NotServed(String),
    /// There was none before, and there is none now.
    #[error("the new certificate was removed again")]
    Removed,
    /// It could not be put back.
    #[error("the old certificate could not be put back: {0}")]
    Failed(io::Error),
}

impl Server {
    /// Puts the new certificate at `path`, and has it shown; what it replaces is there again if that fails.
    pub async fn install(&self, path: &Path, new: &Accepted) -> Result<(), InstallError> {
        let certificate = new.certificate();
        let before = Before::replace(path, certificate)
            .map_err(|error| InstallError::Write { path: path.to_owned(), error })?;
        match self.bring_into_service(certificate).await {
            Ok(()) => {
                settle(path);
                Ok(())
            }
            Err(step) => {
                let restored = self.restore(&before, certificate.key().key_type(), &step).await;
                Err(InstallError::Step { path: path.to_owned(), step: step.into(), restored })
            }
        }
    }

    /// Has sshd show the certificate that is on disk already.
    pub async fn bring_into_service(&self, certificate: &Certificate) -> Result<(), StepError> {
        self.sshd.test(self.patience).await?;
        let not_told = match self.reload().await {
            // Something else may start it for each connection, or at the next one.
            Err(StepError::Signal(error @ SignalError::NoPidFile(_))) => Some(error),
            outcome => outcome.map(|()| None)?,
        };
        let deadline = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            let last = match self.shown(certificate.key().key_type(), certificate.blob(), deadline).await {
                Shown::This => return Ok(()),
                other => other,
            };
            if Instant::now() + pause >= deadline {
                let (address, patience) = (self.address, self.patience);
                let not_shown = NotShown { address, patience, last, not_told };
                return Err(StepError::NotShown(not_shown.into()));
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// What one handshake shows, held against the certificate `blob`.
    pub async fn shows(&self, certificate: &Certificate) -> Shown {
        let deadline = Instant::now() + self.patience;
        self.shown(certificate.key().key_type(), certificate.blob(), deadline).await
    }

    async fn shown(&self, key_type: KeyType, blob: &[u8], deadline: Instant) -> Shown {
        let deadline = deadline.min(Instant::now() + HANDSHAKE);
        let stream = match timeout_at(deadline, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Shown::Nothing(format!("cannot connect: {error}")),
            Err(_) => return Shown::Nothing("cannot connect: no answer in time".into()),
        };
        match probe(stream, &Ask::Certificates(vec![key_type]), deadline).await {
            Ok(probed) => match probed.presented.certificate() {
                Some(shown) if shown.blob() == blob => Shown::This,
                Some(_) => Shown::Another,
                None => Shown::None(key_type),
            },
            Err(ProbeError::NoCommonKeyType { .. }) => Shown::None(key_type),
            Err(error) => Shown::Nothing(error.to_string()),
        }
    }

    /// Has sshd read its configuration and keys again.
    pub(super) async fn reload(&self) -> Result<(), StepError> {
        match &self.reload {
            Reload::Signal(pid_file) => Ok(hang_up(pid_file.as_deref())?),
            Reload::Command(program, arguments) => {
                let ran = run(program.as_ref(), arguments, b"", MAX_OUTPUT, self.patience).await;
                let ran = ran.map_err(|error| StepError::Command(error.to_string()))?;
                ran.failure().map_or(Ok(()), |why| Err(StepError::Command(format!("{program} {why}"))))
            }
        }
    }

    /// The old certificate again, in the file and in the server.
    async fn restore(&self, before: &Before, key_type: KeyType, failed: &StepError) -> Restored {
        if let Err(error) = before.put_back() {
            return Restored::Failed(error);
        }
        // Tested before it is told: it has read nothing new, and keeps what it has.
        if matches!(failed, StepError::Test(_)) {
            return before.copy.as_ref().map_or(Restored::Removed, |_| Restored::InPlace);
        }
        let told = self.reload().await;
        let Some((_, old)) = &before.copy else { return Restored::Removed };
        let Some(old) = old else { return Restored::InPlace };
        let deadline = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            let shown = self.shown(key_type, old, deadline).await;
            if matches!(shown, Shown::This) {
                return Restored::Served;
            }
            if Instant::now() + pause >= deadline {
                return Restored::NotServed(match told {
                    Err(error) => error.to_string(),
                    Ok(()) => format!("sshd at {}: {shown}", self.address),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Puts a certificate at `path` where no server is there to show it.
pub fn put(path: &Path, new: &Accepted) -> Result<(), InstallError> {
    Before::replace(path, new.certificate())
        .map_err(|error| InstallError::Write { path: path.to_owned(), error })?;
    settle(path);
    Ok(())
}

/// Removes what this run and those before it have kept of older certificates.
pub fn settle(path: &Path) {
    let Ok(path) = fs::canonicalize(path) else { return };
    for copy in 1..=MAX_COPIES {
        let mut name = path.clone().into_os_string();
        name.push(BEFORE);
        if copy > 1 {
            name.push(format!("-{copy}"));
        }
        if fs::remove_file(name).is_err() {
            return;
        }
    }
}

/// What was there before a certificate was written.
struct Before {
    /// Where it was written, links followed.
    path: PathBuf,
    /// The old file, and the octets of the certificate in it; none if there was none.
    copy: Option<(PathBuf, Option<Box<[u8]>>)>,
}

impl Before {
    fn replace(path: &Path, new: &Certificate) -> io::Result<Self> {
        let line = format!("{}\n", renewal::line(new));
        if let Some(old) = Original::read(path, MAX_FILE)? {
            let blob = std::str::from_utf8(old.octets()).ok().and_then(|text| renewal::read(text).ok());
            let copy = old.replace(line.as_bytes(), BEFORE).map_err(|error| match error {
                ReplaceError::Changed => io::Error::other(ReplaceError::Changed.to_string()),
                ReplaceError::Io(error) => error,
            })?;
            let copy = Some((copy, blob.map(|certificate| certificate.blob().into())));
            sync(path);
            return Ok(Before { path: fs::canonicalize(path)?, copy });
        }
        if path.symlink_metadata().is_ok() {
            return Err(io::Error::other("it is there, and no file"));
        }
        files::write(path, line.as_bytes())?;
        sync(path);
        Ok(Before { path: path.to_owned(), copy: None })
    }

    fn put_back(&self) -> io::Result<()> {
        match &self.copy {
            Some((copy, _)) => fs::rename(copy, &self.path)?,
            None => fs::remove_file(&self.path)?,
        }
        sync(&self.path);
        Ok(())
    }
}

/// The new name of a file outlives a loss of power; where the system cannot do that, a whole file is there all the same.
fn sync(path: &Path) {
    let _ = File::open(files::folder(path)).and_then(|folder| folder.sync_all());
}

fn unsignalled(not_told: &Option<SignalError>) -> String {
    not_told.as_ref().map(|error| format!(" ({error})")).unwrap_or_default()
}
