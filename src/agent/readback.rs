//! What a zone's other servers show once the primary has taken a change. They lag, by seconds as a rule,
//! and one that is dead must not hold anybody up: whatever is not there in time is told as pending.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::dns::authority::Authority;
use crate::dns::servers::{NO_ADDRESS, Server};
use crate::fan_out::in_order;
use crate::proto::name::Name;
use crate::proto::plan::{Present, text};

/// How many questions are open at a time.
const WIDTH: usize = 64;
/// The first and the longest pause before a server that lags is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// What a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Exactly what the primary has.
    Current,
    /// Something else, up to the last moment.
    Pending,
    /// Nothing.
    Unreachable,
}

/// One server, about one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The server.
    #[serde(serialize_with = "text")]
    pub server: Arc<str>,
    /// What it shows.
    pub status: Status,
    /// Why it is not current.
    pub detail: Option<String>,
}

impl Seen {
    /// A server that shows what it should.
    pub fn current(server: impl Into<Arc<str>>) -> Self {
        Seen { server: server.into(), status: Status::Current, detail: None }
    }
}

/// What `server` shows at `owner` now: the answer of each of its addresses that gives one; why, if none does.
pub async fn glance(server: &Server, owner: &Name, like: &Authority) -> Result<Vec<Present>, String> {
    let mut answers = Vec::new();
    let mut why = NO_ADDRESS.to_owned();
    for &address in &server.addresses {
        match (Authority { server: address, ..*like }).sshfp(owner).await {
            Ok(present) => answers.push(present),
            Err(error) => why = error.to_string(),
        }
    }
    if answers.is_empty() { Err(why) } else { Ok(answers) }
}

/// Asks every server about every owner, once or, if it `waits`, until it shows what is expected or time is up. The
/// results are by owner, in the order of `expected`. One exchange may take `patience`.
pub async fn read_back(
    servers: &[Server],
    expected: &[(Name, Present)],
    waits: bool,
    patience: Duration,
    deadline: Instant,
) -> Vec<Vec<Seen>> {
    let pairs: Vec<(Server, (Name, Present))> =
        expected.iter().flat_map(|e| servers.iter().map(|s| (s.clone(), e.clone()))).collect();
    let seen = in_order(pairs, WIDTH, |(server, (owner, present))| async move {
        watch(&server, &owner, &present, waits, patience, deadline).await
    });
    let mut seen = seen.await.unwrap_or_default().into_iter();
    expected.iter().map(|_| seen.by_ref().take(servers.len()).collect()).collect()
}

async fn watch(
    server: &Server,
    owner: &Name,
    expected: &Present,
    waits: bool,
    patience: Duration,
    deadline: Instant,
) -> Seen {
    let seen =
        |status, detail: String| Seen { server: server.label.as_str().into(), status, detail: Some(detail) };
    if server.addresses.is_empty() {
        return seen(Status::Unreachable, NO_ADDRESS.to_owned());
    }
    let mut pause = PAUSE.0;
    let mut last = seen(Status::Pending, "not asked in time".to_owned());
    while Instant::now() < deadline {
        let mut answered = false;
        for &address in &server.addresses {
            match (Authority { server: address, patience, deadline }).sshfp(owner).await {
                Ok(found) if found == *expected => return Seen::current(server.label.as_str()),
                Ok(found) => {
                    answered = true;
                    last = seen(Status::Pending, describe(&found));
                }
                Err(error) if !answered => last = seen(Status::Unreachable, error.to_string()),
                Err(_) => {}
            }
        }
        // Whoever answers is asked again while there is time; whoever does not has had its chance.
        if !answered || !waits {
            return last;
        }
        sleep_until(deadline.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    last
}

fn describe(found: &Present) -> String {
    match found.ttl {
        None => "it shows no records yet".to_owned(),
        Some(ttl) => format!("it shows {} records with TTL {ttl}", found.records.len()),
    }
}
