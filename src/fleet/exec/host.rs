//! The whole way to one host: the verified connection, the login, the command, its end.

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout};

use super::control::Halts;
use crate::error::Error;
use crate::proto::course::{Halt, Signal};
use crate::proto::name::HostName;
use crate::proto::verdict::Verdict;
use crate::ssh::client::{End, Session, SessionError, Sink};
use crate::ssh::identity::{Ask, Identities};
use crate::verifier::{Opened, Verification, Verifier};

/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is to be done on a host.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Who logs in.
    pub user: &'a str,
    /// With what.
    pub identities: &'a Identities,
    /// For the user's shell to read.
    pub command: &'a [u8],
    /// How long the command may take once it runs; none: for ever.
    pub patience: Option<Duration>,
}

/// What is said on the way.
#[derive(Debug)]
pub enum Note<'a> {
    /// The key was judged; before anything is said about the user.
    Judged(&'a Verification),
    /// It was accepted, and this is the session.
    Proven(&'a Session),
    /// What the server says to whoever wants in: hostile text.
    Banner(&'a str),
}

/// Who is asked for passphrases, and told what happens on the way.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// Asked.
    pub ask: &'a dyn Ask,
    /// Told.
    pub tell: &'a (dyn Fn(Note<'_>) + Send + Sync),
}

/// What came of one host.
#[derive(Debug)]
pub struct Came {
    /// What is proven, what the host showed, and the verdict on it; none if it did not come to that.
    pub seen: Option<(Verification, Option<Verdict>)>,
    /// The server has started the command.
    pub has_run: bool,
    /// How the command ended, or what was in the way; none if the host was not accepted, which `seen` tells of.
    pub end: Option<Result<End, Trouble>>,
}

/// What was in the way of a command, or of its end.
#[derive(Debug)]
pub enum Trouble {
    /// No verdict could be sought.
    Verifier(Error),
    /// Something on the verified connection.
    Session(SessionError),
    /// The command took longer than this.
    TooLong(Duration),
    /// The run is over.
    Halted(Halt),
}

/// Has `order` done on the host, on the connection whose key is accepted. Ends early by what `halts` says: a command that
/// runs then is sent a signal before the connection ends. Outputs go to `sink`.
pub async fn run(
    verifier: &Verifier,
    (name, port): (&HostName, u16),
    order: Order<'_>,
    input: impl AsyncRead + Unpin,
    sink: &mut impl Sink,
    person: Person<'_>,
    halts: &mut Halts,
) -> Came {
    let nowhere = |trouble| Came { seen: None, has_run: false, end: Some(Err(trouble)) };
    let opened = tokio::select! {
        opened = verifier.open(name, port) => opened,
        halt = halts.heard() => return nowhere(Trouble::Halted(halt)),
    };
    let Opened { verification, verdict, session } = match opened {
        Ok(opened) => opened,
        Err(error) => return nowhere(Trouble::Verifier(error)),
    };
    (person.tell)(Note::Judged(&verification));
    let seen = Some((verification, verdict));
    let Some(mut session) = session else { return Came { seen, has_run: false, end: None } };
    (person.tell)(Note::Proven(&session));
    let (has_run, end) = run_command(verifier, &mut session, order, input, sink, person, halts).await;
    session.close(Instant::now() + FAREWELL).await;
    Came { seen, has_run, end: Some(end) }
}

/// Whether the command was started, and how it ended.
async fn run_command(
    verifier: &Verifier,
    session: &mut Session,
    order: Order<'_>,
    input: impl AsyncRead + Unpin,
    sink: &mut impl Sink,
    person: Person<'_>,
    halts: &mut Halts,
) -> (bool, Result<End, Trouble>) {
    let starting = async {
        let logged_in = session.log_in(order.user, order.identities, person.ask, verifier.deadline()).await;
        let banner = session.banner();
        if !banner.is_empty() {
            (person.tell)(Note::Banner(&banner));
        }
        session.start(order.command, logged_in?).await
    };
    let mut command = tokio::select! {
        started = starting => match started {
            Ok(command) => command,
            Err(error) => return (false, Err(Trouble::Session(error))),
        },
        halt = halts.heard() => return (false, Err(Trouble::Halted(halt))),
    };
    let patience = order.patience.unwrap_or(Duration::MAX);
    let trouble = tokio::select! {
        ended = timeout(patience, session.attend(&mut command, input, sink)) => match ended {
            Ok(ended) => return (true, ended.map_err(Trouble::Session)),
            Err(_) => Trouble::TooLong(patience),
        },
        halt = halts.heard() => Trouble::Halted(halt),
    };
    let signal = match trouble {
        Trouble::Halted(Halt::Signal(signal)) => signal,
        _ => Signal::Terminate,
    };
    command.signal(signal).await;
    (true, Err(trouble))
}
