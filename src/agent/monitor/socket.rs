//! The agent's socket: whoever connects is told the status as one JSON document, and nothing is read from them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as Client;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::{Latest, each};
use crate::agent::state::State;
use crate::error::Error;
use crate::files;
use crate::proto::status::Status;

/// The socket's name in its folder.
const NAME: &str = "agent.sock";
/// The system's folder for it.
const SYSTEM: &str = "/run/sshanchor";
/// Where systemd tells a unit its own folders, one after another (RuntimeDirectory=, systemd.exec(5)).
const RUNTIME: &str = "RUNTIME_DIRECTORY";
/// Where a session keeps its sockets (XDG Base Directory Specification).
const SESSION: &str = "XDG_RUNTIME_DIR";
/// Largest document that is read, in octets: that of thousands of names.
const MAX_DOCUMENT: u64 = 16 * 1024 * 1024;

/// A socket that listens; its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and inode of the file, which tell it from one that another agent has put there since.
    file: (u64, u64),
    listener: UnixListener,
}

/// Where an agent's socket may be, the likeliest first: where the configuration says; in the folder that systemd gave;
/// in `state`, the folder of the state, where that was named; else in the usual folders of this user.
pub fn places(configured: Option<&Path>, state: Option<&Path>) -> Vec<PathBuf> {
    if let Some(path) = configured {
        return vec![path.to_owned()];
    }
    let runtime = std::env::var_os(RUNTIME).filter(|folders| !folders.is_empty());
    let runtime = runtime.and_then(|folders| std::env::split_paths(&folders).next());
    if let Some(folder) = runtime.or_else(|| state.map(Path::to_owned)) {
        return vec![folder.join(NAME)];
    }
    let system = PathBuf::from(SYSTEM).join(NAME);
    if geteuid().is_root() {
        return vec![system];
    }
    let session = std::env::var_os(SESSION).filter(|folder| !folder.is_empty());
    let session = session.map(|folder| Path::new(&folder).join("sshanchor"));
    let own = session.or_else(|| State::default_folder().ok());
    // The system's agent may run as this user.
    own.map(|folder| folder.join(NAME)).into_iter().chain([system]).collect()
}

impl Socket {
    /// Listens at `path`, for this user and root alone. What a dead agent left there is replaced; a living one is not,
    /// nor is anything but a socket.
    pub(super) async fn bind(path: &Path) -> Result<Self, Error> {
        let told = |e: io::Error| {
            Error::failure("socket", format!("cannot listen at {}: {e}", path.display()))
                .hint("give another place: socket = \"PATH\" in [agent]")
        };
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                let message = format!("{} is there, and it is no socket", path.display());
                return Err(Error::failure("socket", message)
                    .hint("move it away, or give another place: socket = \"PATH\" in [agent]"));
            }
            Ok(_) if answers(path).await => {
                let message = format!("another agent answers at {}", path.display());
                return Err(Error::failure("agent-runs", message)
                    .hint("sshanchor agent status shows it; one agent looks after a machine"));
            }
            _ => {}
        }
        let folder = files::folder(path);
        files::make_private_folder(folder).map_err(told)?;
        // Made beside it and moved there: it never stands with another mode, nor does it ever not stand.
        let beside = tempfile::Builder::new().prefix(".sshanchor-").tempdir_in(folder).map_err(told)?;
        let made = beside.path().join(NAME);
        let listener = UnixListener::bind(&made).map_err(told)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600)).map_err(told)?;
        let metadata = fs::symlink_metadata(&made).map_err(told)?;
        fs::rename(&made, path).map_err(told)?;
        Ok(Socket { path: path.to_owned(), file: (metadata.dev(), metadata.ino()), listener })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells everybody who connects, for ever.
    pub(super) async fn serve(&self, status: Latest) {
        let accept = async || self.listener.accept().await.map(|(stream, _)| stream);
        each(accept, |mut stream: UnixStream| {
            let status = status.borrow().clone();
            async move {
                let Ok(mut document) = serde_json::to_vec(status.as_ref()) else { return };
                document.push(b'\n');
                let _ = stream.write_all(&document).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether somebody listens there. One that takes no more for now is alive.
async fn answers(path: &Path) -> bool {
    let path = path.to_owned();
    let connect = tokio::task::spawn_blocking(move || Client::connect(path).err().map(|e| e.kind()));
    match timeout(Duration::from_secs(2), connect).await {
        Ok(Ok(error)) => !matches!(error, Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)),
        _ => true,
    }
}

/// Why an agent's status could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens at any of the places.
    #[error("no agent answers at {}", shown(.0))]
    NoAgent(Vec<PathBuf>),
    /// The system said no.
    #[error("cannot ask the agent at {}: {error}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It did not answer in time.
    #[error("the agent at {} does not answer", .0.display())]
    Timeout(PathBuf),
    /// What it said is no status that this program knows.
    #[error("what answers at {} tells no status: {why}", path.display())]
    Malformed {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

/// The status of the agent that listens at the first of `paths` where one does.
pub async fn ask(paths: &[PathBuf], patience: Duration) -> Result<Status, AskError> {
    for path in paths {
        let outcome = timeout(patience, ask_at(path)).await;
        match outcome.unwrap_or_else(|_| Err(AskError::Timeout(path.clone()))) {
            Err(AskError::Io { error, .. })
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory
                ) => {}
            outcome => return outcome,
        }
    }
    Err(AskError::NoAgent(paths.to_vec()))
}

async fn ask_at(path: &Path) -> Result<Status, AskError> {
    let io = |error| AskError::Io { path: path.to_owned(), error };
    let malformed = |why: String| AskError::Malformed { path: path.to_owned(), why };
    let stream = UnixStream::connect(path).await.map_err(io)?;
    let mut document = Vec::new();
    stream.take(MAX_DOCUMENT + 1).read_to_end(&mut document).await.map_err(io)?;
    match document.len() as u64 > MAX_DOCUMENT {
        true => Err(malformed(format!("it says more than {MAX_DOCUMENT} octets"))),
        false => Status::from_json(&document).map_err(malformed),
    }
}
