//! How others follow an agent at work: its status on a socket, its metrics in a file and over HTTP, and what systemd is
//! told. None of it can hold the agent up, and nothing is taken from anybody.

mod http;
pub mod socket;
pub mod systemd;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::socket::Socket;
use self::systemd::Manager;
use super::daemon::View;
use crate::config::publishing::Agent;
use crate::error::Error;
use crate::files;
use crate::log::{Event, Level, Sink};
use crate::proto::metrics;
use crate::proto::status::{Phase, Status};

/// How many clients are served at a time, of each kind; the others wait.
const CLIENTS: usize = 8;
/// How long one client may take in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause after the system had no socket for a client.
const PAUSE: Duration = Duration::from_secs(1);

/// The latest status, for whoever serves it.
type Latest = watch::Receiver<Arc<Status>>;

/// What serves the status, ready before anything else begins.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    metrics: Option<Metrics>,
}

/// Where Prometheus asks.
#[derive(Debug)]
struct Metrics {
    address: SocketAddr,
    listener: TcpListener,
}

impl Monitor {
    /// Takes the places that the settings name. An error if another agent answers at one of them. `state` is the
    /// folder of the state, if one was named.
    pub async fn open(settings: &Agent, state: Option<&Path>) -> Result<Self, Error> {
        let path = socket_path(settings, state)?;
        let socket = Socket::bind(&path).await?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some(Metrics::open(address).await?),
            None => None,
        };
        Ok(Monitor { socket, metrics })
    }

    /// Serves for ever, and follows the settings as they change; `manager` learns what the status comes to.
    pub async fn run(self, view: View, state: Option<PathBuf>, manager: Manager, sink: Arc<dyn Sink>) {
        let View { status, mut settings } = view;
        let told = follow(status.clone(), settings.clone(), manager.clone(), sink.clone());
        let served = async {
            let Monitor { mut socket, mut metrics } = self;
            warn_of_the_world(metrics.as_ref(), sink.as_ref());
            loop {
                let by_http = async {
                    match &metrics {
                        Some(metrics) => http::serve(&metrics.listener, status.clone()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = socket.serve(status.clone()) => {}
                    () = by_http => {}
                    changed = settings.changed() => {
                        // The agent is gone, and this with it in a moment.
                        if changed.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
                let now = settings.borrow_and_update().clone();
                move_to(&now, state.as_deref(), &mut socket, &mut metrics, sink.as_ref()).await;
            }
        };
        tokio::join!(told, served, manager.keep_alive());
    }
}

/// Takes other places where the settings name such. One that cannot be had is told, and the old one stays.
async fn move_to(
    settings: &Agent,
    state: Option<&Path>,
    socket: &mut Socket,
    metrics: &mut Option<Metrics>,
    sink: &dyn Sink,
) {
    let refused = |error: &Error| say_error(sink, error);
    match socket_path(settings, state) {
        Ok(path) if path != socket.path() => match Socket::bind(&path).await {
            Ok(new) => *socket = new,
            Err(error) => refused(&error),
        },
        Ok(_) => {}
        Err(error) => refused(&error),
    }
    match (settings.metrics_listen, metrics.as_ref().map(|metrics| metrics.address)) {
        (Some(wanted), had) if had != Some(wanted) => match Metrics::open(wanted).await {
            Ok(new) => {
                *metrics = Some(new);
                warn_of_the_world(metrics.as_ref(), sink);
            }
            Err(error) => refused(&error),
        },
        (None, Some(_)) => *metrics = None,
        _ => {}
    }
}

fn socket_path(settings: &Agent, state: Option<&Path>) -> Result<PathBuf, Error> {
    let paths = socket::places(settings.socket.as_deref(), state);
    paths.into_iter().next().ok_or_else(|| {
        Error::failure("socket", "there is no folder for the agent's socket")
            .hint("give it a place: socket = \"PATH\" in [agent]")
    })
}

impl Metrics {
    async fn open(address: SocketAddr) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|e| {
            Error::failure("metrics-listen", format!("cannot serve metrics at {address}: {e}"))
                .hint("give another address: metrics_listen in [agent]")
        })?;
        Ok(Metrics { address, listener })
    }
}

/// The metrics name hosts and what is wrong with them.
fn warn_of_the_world(metrics: Option<&Metrics>, sink: &dyn Sink) {
    let Some(address) = metrics.map(|metrics| metrics.address).filter(|a| !a.ip().is_loopback()) else {
        return;
    };
    let message = format!("metrics are served at {address}: whoever reaches it can read them");
    let hint = "metrics_listen = \"127.0.0.1:9822\" serves this machine alone; else let a firewall choose";
    let fields = [("reason", "metrics-listen"), ("hint", hint)];
    sink.say(&Event { level: Level::Warning, message: &message, fields: &fields });
}

fn say_error(sink: &dyn Sink, error: &Error) {
    let mut fields = vec![("reason", error.reason)];
    fields.extend(error.hint.as_deref().map(|hint| ("hint", hint)));
    sink.say(&Event { level: Level::Error, message: &error.message, fields: &fields });
}

/// Tells systemd and the textfile collector of each change.
async fn follow(mut status: Latest, settings: watch::Receiver<Agent>, manager: Manager, sink: Arc<dyn Sink>) {
    let mut file = Textfile::default();
    let mut is_ready = false;
    loop {
        let now = status.borrow_and_update().clone();
        // A pass under way is no news: what was before it still stands.
        if !matches!(now.phase, Phase::Starting | Phase::Working) {
            if !is_ready {
                manager.ready();
                is_ready = true;
            }
            manager.status(&now.sentence());
            let path = settings.borrow().metrics_file.clone();
            file.write(path.as_deref(), &now, sink.as_ref());
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// The file for node_exporter's textfile collector.
#[derive(Debug, Default)]
struct Textfile {
    /// By file, what could not be written, which is told once.
    failed: BTreeMap<PathBuf, String>,
}

impl Textfile {
    fn write(&mut self, path: Option<&Path>, status: &Status, sink: &dyn Sink) {
        let Some(path) = path else { return };
        match files::write_own(path, metrics::text(status).as_bytes()) {
            Ok(()) => drop(self.failed.remove(path)),
            Err(error) => {
                let message = format!("cannot write the metrics to {}: {error}", path.display());
                let before = self.failed.insert(path.to_owned(), message.clone());
                if before.as_ref() != Some(&message) {
                    let error = Error::failure("metrics-file", message)
                        .hint("does the folder exist, and may this user write there?");
                    say_error(sink, &error);
                }
            }
        }
    }
}

/// Serves each client for itself, some at a time, and none for long.
async fn each<S, A, W>(accept: impl AsyncFn() -> std::io::Result<S>, answer: A)
where
    S: Send + 'static,
    A: Fn(S) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CLIENTS));
    // They end with whoever serves them.
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match accept().await {
            Ok(stream) => {
                let work = answer(stream);
                clients.spawn(async move {
                    let _ = timeout(PATIENCE, work).await;
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests;
