use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::*;
use crate::proto::status::samples::{unwell, well};

const LONG: Duration = Duration::from_secs(20);

/// What was said.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Sink for Heard {
    fn say(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.message.to_owned());
    }
}

/// An agent's part that others follow.
struct Played {
    folder: tempfile::TempDir,
    status: watch::Sender<Arc<Status>>,
    settings: watch::Sender<Agent>,
    heard: Arc<Heard>,
}

impl Played {
    fn new(settings: impl FnOnce(&Path) -> Agent) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        Played {
            folder,
            status: watch::Sender::new(Arc::new(well())),
            settings: watch::Sender::new(settings),
            heard: Arc::default(),
        }
    }

    async fn open(&self) -> Result<Monitor, Error> {
        let settings = self.settings.borrow().clone();
        Monitor::open(&settings, Some(self.folder.path())).await
    }

    /// Serves while `work` is done.
    async fn during<T>(&self, monitor: Monitor, work: impl Future<Output = T>) -> T {
        let view = View { status: self.status.subscribe(), settings: self.settings.subscribe() };
        let state = Some(self.folder.path().to_owned());
        tokio::select! {
            () = monitor.run(view, state, Manager::none(), self.heard.clone()) => panic!("it ended"),
            outcome = timeout(LONG, work) => outcome.expect("in time"),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }
}

async fn ask(path: &Path) -> Result<Status, socket::AskError> {
    socket::ask(&[path.to_owned()], LONG).await
}

#[tokio::test]
async fn whoever_connects_is_told_the_latest_status() {
    let played = Played::new(|_| Agent::default());
    let monitor = played.open().await.unwrap();
    let mode = fs::symlink_metadata(played.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let work = async {
        assert_eq!(ask(&played.socket()).await.unwrap(), well());
        played.status.send_replace(Arc::new(unwell()));
        assert_eq!(ask(&played.socket()).await.unwrap(), unwell());
        // Whoever talks is not listened to, and spoils it for nobody else.
        let mut chatty = UnixStream::connect(played.socket()).await.unwrap();
        let _ = chatty.write_all(&[b'x'; 100]).await;
        let _ = chatty.read_to_end(&mut Vec::new()).await;
        assert_eq!(ask(&played.socket()).await.unwrap(), unwell());
    };
    played.during(monitor, work).await;
    assert!(!played.socket().exists(), "the socket goes with the agent");
    assert_eq!(fs::read_dir(played.folder.path()).unwrap().count(), 0);
    let error = ask(&played.socket()).await.unwrap_err();
    assert!(matches!(error, socket::AskError::NoAgent(_)), "{error}");
}

#[tokio::test]
async fn clients_that_read_nothing_hold_nobody_up_for_long() {
    let played = Played::new(|_| Agent::default());
    let monitor = played.open().await.unwrap();
    let mut status = well();
    status.warnings = vec!["x".repeat(4 * 1024 * 1024)];
    played.status.send_replace(Arc::new(status.clone()));
    let work = async {
        let mut slow = Vec::new();
        for _ in 0..CLIENTS + 2 {
            slow.push(UnixStream::connect(played.socket()).await.unwrap());
        }
        assert_eq!(ask(&played.socket()).await.unwrap(), status);
    };
    played.during(monitor, work).await;
}

#[tokio::test]
async fn a_living_agents_socket_stays_and_a_dead_ones_is_replaced() {
    let played = Played::new(|_| Agent::default());
    let first = played.open().await.unwrap();
    let error = played.open().await.unwrap_err();
    assert_eq!(error.reason, "agent-runs", "{error}");
    // As after kill -9: the file stays.
    let dead = played.folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    fs::rename(&dead, played.socket()).unwrap();
    let second = played.open().await.unwrap();
    // The first one does not take the second one's away.
    drop(first);
    played.during(second, async { assert_eq!(ask(&played.socket()).await.unwrap(), well()) }).await;
    fs::write(played.socket(), "a file").unwrap();
    let error = played.open().await.unwrap_err();
    assert!(error.message.ends_with("it is no socket"), "{error}");
    assert_eq!(fs::read_to_string(played.socket()).unwrap(), "a file");
}

#[tokio::test]
async fn what_answers_in_its_place_is_bounded_and_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    for said in [&b""[..], b"{}", b"\x1b[2J", &serde_json::to_vec(&well()).unwrap()[..100]] {
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(said).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(ask(&path), serve);
        assert!(matches!(outcome, Err(socket::AskError::Malformed { .. })), "{outcome:?}");
    }
    let endless = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
    };
    let (outcome, ()) = tokio::join!(ask(&path), endless);
    assert!(matches!(outcome, Err(socket::AskError::Malformed { .. })), "{outcome:?}");
    let paths = [path.clone()];
    let silent = socket::ask(&paths, Duration::from_millis(50)).await;
    assert!(matches!(silent, Err(socket::AskError::Timeout(_))), "{silent:?}");
}

/// What a server says to these octets, up to the end of the connection.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may have heard enough before it has heard all.
    let _ = stream.write_all(request).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn prometheus_gets_the_metrics_and_nothing_else_is_served() {
    let played =
        Played::new(|_| Agent { metrics_listen: Some("127.0.0.1:0".parse().unwrap()), ..Agent::default() });
    let monitor = played.open().await.unwrap();
    let address = monitor.metrics.as_ref().unwrap().listener.local_addr().unwrap();
    let work = async {
        let get = exchange(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, body) = get.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert_eq!(body, metrics::text(&well()));
        let alone = exchange(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(alone, format!("{head}\r\n\r\n"));
        let post = exchange(address, b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await;
        assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nAllow: GET, HEAD\r\n"), "{post}");
        let other = exchange(address, b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
        let huge = [b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'a'; 9000]].concat();
        assert!(exchange(address, &huge).await.starts_with("HTTP/1.1 431 "));
        let tls = exchange(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
        assert!(tls.starts_with("HTTP/1.1 400 "), "{tls}");
        // As many as are served at a time say nothing, or no end of it; the next one is served all the same.
        let mut slow = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
            slow.push(stream);
        }
        let get = exchange(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(get.starts_with("HTTP/1.1 200 OK"), "{get}");
    };
    played.during(monitor, work).await;
    assert_eq!(*played.heard.0.lock().unwrap(), Vec::<String>::new(), "a loopback address is no news");
}

#[tokio::test]
async fn the_textfile_is_whole_and_a_failure_is_told_once() {
    let played = Played::new(|folder| Agent {
        metrics_file: Some(folder.join("none/sshanchor.prom")),
        ..Agent::default()
    });
    let monitor = played.open().await.unwrap();
    let file = played.folder.path().join("none/sshanchor.prom");
    let written = async |status: Status| {
        played.status.send_replace(Arc::new(status.clone()));
        let want = metrics::text(&status);
        while fs::read_to_string(&file).ok().as_ref() != Some(&want) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let said = || played.heard.0.lock().unwrap().clone();
    let work = async {
        while said().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        played.status.send_replace(Arc::new(unwell()));
        played.settings.send_replace(Agent { metrics_file: Some(file.clone()), ..Agent::default() });
        fs::create_dir(file.parent().unwrap()).unwrap();
        written(well()).await;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        // What was there before a pass stands while it goes on.
        let working = Status { phase: Phase::Working, passes: 1000, ..well() };
        played.status.send_replace(Arc::new(working));
        written(unwell()).await;
        let files: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
    };
    played.during(monitor, work).await;
    let said = said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("cannot write the metrics to "), "{said:?}");
}

#[tokio::test]
async fn other_places_are_taken_when_the_settings_change_and_what_cannot_be_had_is_told() {
    let played = Played::new(|_| Agent::default());
    let monitor = played.open().await.unwrap();
    let other = played.folder.path().join("other.sock");
    let work = async {
        assert!(ask(&played.socket()).await.is_ok());
        played.settings.send_replace(Agent { socket: Some(other.clone()), ..Agent::default() });
        while ask(&other).await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(!played.socket().exists());
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        played.settings.send_replace(Agent {
            socket: Some(other.clone()),
            metrics_listen: Some(taken.local_addr().unwrap()),
            ..Agent::default()
        });
        while played.heard.0.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(ask(&other).await.is_ok(), "what is there stays");
    };
    played.during(monitor, work).await;
    assert!(played.heard.0.lock().unwrap()[0].starts_with("cannot serve metrics at 127.0.0.1:"));
}
