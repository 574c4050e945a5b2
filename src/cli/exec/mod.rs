//! `sshanchor exec`: a command on the very connection whose host key was proven.

pub(super) mod shell;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use nix::unistd::{User, getuid};
use serde::Serialize;
use tokio::io::{AsyncRead, empty, stdin};
use tokio::time::Instant;

use self::shell::{Raw, stopped};
use super::bundle::BundleFile;
use super::target::target;
use super::terminal::Terminal;
use super::verify::{Judged, checkable};
use super::{Context, agent_socket, in_grace};
use crate::error::{Error, Kind};
use crate::fleet::Target;
use crate::ssh::client::{Denied, End, Kept, Session, SessionError, Sink};
use crate::ssh::identity::Identities;
use crate::verifier::{Opened, Verifier};

/// The status of whatever is not the command's own, as ssh has it.
const FAILED: u8 = 255;
/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Run a command on a host, on the connection that was verified.
///
/// Proves the host's key from DNSSEC, shakes hands with the host, and goes on over that very connection only
/// if the key is proven: until then no user name is sent and no agent is asked. Standard input, output and error are
/// the command's. The words of COMMAND are joined by spaces for the remote shell, as ssh does.
///
/// Keys: those named by -i (a .pub file picks a key of the agent), then those of ssh-agent (SSH_AUTH_SOCK); where none
/// is named, also ~/.ssh/id_ed25519, id_ecdsa and id_rsa. Passwords are not offered.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "sshanchor exec [OPTIONS] -H [USER@]HOST[:PORT] -- COMMAND...",
    after_help = "Example: sshanchor exec -H web1.example.com -l deploy -i ~/.ssh/deploy -- systemctl is-active nginx\n\
    Exit status: that of the command; 255 if it was not run to its end, whatever stood in the way; 2 usage."
)]
pub(super) struct Args {
    /// The host; [HOST]:PORT is understood too
    #[arg(short = 'H', long = "hosts", value_name = "[USER@]HOST[:PORT]")]
    hosts: Vec<String>,
    /// The port of a host that names none
    #[arg(short, long, default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Log in as USER [default: the one before the host, else this user's name]
    #[arg(short = 'l', long, value_name = "USER")]
    login: Option<String>,
    /// Log in with this key: a private key, or the .pub file of one that ssh-agent holds (repeatable)
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Give the command no standard input
    #[arg(short = 'n', long)]
    no_input: bool,
    #[command(flatten)]
    bundle: BundleFile,
    /// The command, for the remote shell to read
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// What is to be done on a host.
struct Job<'a> {
    user: &'a str,
    identities: &'a Identities,
    command: &'a [u8],
}

/// What came of a host. Its fields are those of `verify`, with the command's.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    judged: Judged,
    user: String,
    /// The command's exit status.
    status: Option<u32>,
    /// The signal that ended it.
    signal: Option<String>,
    /// What it wrote, if that was kept: the beginning.
    stdout: Option<String>,
    stderr: Option<String>,
    /// It wrote more.
    truncated: Option<bool>,
    #[serde(skip)]
    has_run: bool,
}

/// The exit status: the command's, or [`FAILED`].
pub(super) async fn run(args: Args, cx: &Context) -> Result<u8, Error> {
    let words: Vec<&[u8]> = args.command.iter().map(|word| word.as_bytes()).collect();
    let command = words.join(b" ".as_slice());
    if command.trim_ascii().is_empty() {
        return Err(Error::usage("command", "the command is empty")
            .hint("what to run stands after the options: sshanchor exec -H HOST -- uptime"));
    }
    if args.hosts.is_empty() {
        return Err(Error::usage("hosts", "no host was named: -H is missing")
            .hint("name it before the command: sshanchor exec -H HOST -- uptime"));
    }
    let (user, host) = one_host(&args.hosts)?;
    let (target, port) = target(host, args.port)?;
    let user = match args.login.or_else(|| user.map(str::to_owned)) {
        Some(user) => user,
        None => local_user()?,
    };
    let identities = identities(&args.identity)?;
    let verifier = match args.bundle.load().and_then(|bundle| cx.verifier_with(bundle)) {
        Ok(verifier) => verifier,
        Err(error) if error.kind == Kind::Usage => return Err(error),
        Err(error) => {
            cx.out.error(&error);
            return Ok(FAILED);
        }
    };
    let job = Job { user: &user, identities: &identities, command: &command };
    let input: Box<dyn AsyncRead + Unpin> = if args.no_input { Box::new(empty()) } else { Box::new(stdin()) };
    let tell = |note: Note<'_>| tell(cx, note);
    let mut kept = Kept::default();
    let mut outcome = match cx.out.json {
        false => on_host(&verifier, target, port, &job, input, &mut Raw::default(), &tell).await,
        true => on_host(&verifier, target, port, &job, input, &mut kept, &tell).await,
    };
    if !cx.out.json {
        if let Some(error) = outcome.error() {
            cx.out.error_text(&error);
        }
    } else {
        if outcome.has_run {
            let text = |octets: &[u8]| Some(String::from_utf8_lossy(octets).into_owned());
            (outcome.stdout, outcome.stderr) = (text(&kept.stdout), text(&kept.stderr));
            outcome.truncated = Some(kept.is_truncated);
        }
        cx.out.json_line(&outcome)?;
    }
    Ok(outcome.exit_status())
}

/// What is said on the way.
enum Note<'a> {
    /// A proof serves that is this old, in seconds.
    Grace(&'a str, u64),
    /// The server's banner.
    Banner(&'a str),
    /// The key was proven.
    Proven(&'a Session),
}

fn tell(cx: &Context, note: Note<'_>) {
    match note {
        Note::Grace(host, age) => cx.out.warn(&in_grace(host, age)),
        Note::Banner(text) => cx.out.note(text),
        Note::Proven(session) => {
            let anchored = session.anchored();
            cx.out.detail(&format!("{}: the host key is {}", anchored.host(), anchored.basis()));
        }
    }
}

/// The whole way to one host, and the command there: its outputs to `sink`, all else to `tell` or into the outcome.
async fn on_host(
    verifier: &Verifier,
    target: Target,
    port: u16,
    job: &Job<'_>,
    input: impl AsyncRead + Unpin,
    sink: &mut impl Sink,
    tell: &dyn Fn(Note<'_>),
) -> Outcome {
    let name = match checkable(verifier, target, port) {
        Ok(name) => name,
        Err(judged) => return Outcome::new(*judged, job),
    };
    let mut stop = pin!(stopped());
    let opened = tokio::select! {
        opened = verifier.open(&name, port) => opened,
        signal = &mut stop => Err(interrupted(signal)),
    };
    let Opened { verification, verdict, session } = match opened {
        Ok(opened) => opened,
        Err(error) => return Outcome::new(Judged::new(&name, port, String::new()), job).failed(error),
    };
    let mut outcome = Outcome::new(Judged::of(&name, port, &verification, verdict), job);
    if let Some(age) = outcome.judged.age {
        tell(Note::Grace(&outcome.judged.host, age));
    }
    let Some(mut session) = session else { return outcome };
    tell(Note::Proven(&session));
    let done = tokio::select! {
        done = run_command(verifier, &mut session, job, input, sink, &mut outcome.has_run, tell) => done.map_err(describe(job)),
        signal = &mut stop => Err(interrupted(signal)),
    };
    session.close(Instant::now() + FAREWELL).await;
    match done {
        Ok(end) => outcome.ended(end),
        Err(error) => outcome.failed(error),
    }
}

async fn run_command(
    verifier: &Verifier,
    session: &mut Session,
    job: &Job<'_>,
    input: impl AsyncRead + Unpin,
    sink: &mut impl Sink,
    has_run: &mut bool,
    tell: &dyn Fn(Note<'_>),
) -> Result<End, SessionError> {
    let logged_in = session.log_in(job.user, job.identities, &Terminal, verifier.deadline()).await;
    let banner = session.banner();
    if !banner.is_empty() {
        tell(Note::Banner(banner.trim_end()));
    }
    let command = session.start(job.command, logged_in?).await?;
    *has_run = true;
    session.attend(command, input, sink).await
}

impl Outcome {
    fn new(judged: Judged, job: &Job<'_>) -> Self {
        let user = job.user.to_owned();
        Outcome {
            judged,
            user,
            status: None,
            signal: None,
            stdout: None,
            stderr: None,
            truncated: None,
            has_run: false,
        }
    }

    /// The command came to its end.
    fn ended(self, end: End) -> Self {
        let host = &self.judged.host;
        match end {
            End::Status(status) => Outcome { status: Some(status), ..self },
            End::Signal { name, core_dumped } => {
                let core = if core_dumped { " (core dumped)" } else { "" };
                let message = format!("the command on {host} was ended by signal {name}{core}");
                Outcome { signal: Some(name), ..self.failed(Error::failure("signal", message)) }
            }
            End::Untold => {
                let message = format!("{host} does not say how the command ended");
                self.failed(Error::failure("no-status", message))
            }
        }
    }

    /// Something stood in the way; what was proven stays so.
    fn failed(mut self, Error { kind, reason, message, hint }: Error) -> Self {
        self.judged = Judged { kind: Some(kind), reason: Some(reason), message, hint, ..self.judged };
        self
    }

    /// What to tell a person, if the command did not end by itself.
    fn error(&self) -> Option<Error> {
        let Judged { kind, reason, message, hint, .. } = &self.judged;
        Some(Error { kind: (*kind)?, reason: (*reason)?, message: message.clone(), hint: hint.clone() })
    }

    fn exit_status(&self) -> u8 {
        self.status.map_or(FAILED, |status| u8::try_from(status).unwrap_or(FAILED))
    }
}

fn interrupted(signal: &str) -> Error {
    Error::failure("interrupted", format!("ended by {signal}"))
}

/// What went wrong on a verified connection.
fn describe<'a>(job: &'a Job<'_>) -> impl Fn(SessionError) -> Error + 'a {
    move |error| {
        let reason = match &error {
            SessionError::Connection(_) => "connection-lost",
            SessionError::Denied(_) => "denied",
            SessionError::Timeout => "timeout",
            SessionError::Output(_) => "io",
            SessionError::NoCommands => "no-commands",
        };
        let told = Error::failure(reason, &error);
        match error {
            SessionError::Denied(Denied { troubles, tried, .. }) => {
                let hint = match (troubles.is_empty(), tried.is_empty()) {
                    (false, _) => troubles.join("; "),
                    (true, true) => "name a key file with -i, or ssh-add one".to_owned(),
                    (true, false) => format!(
                        "is one of these keys in {}'s authorized_keys there? -i names another",
                        job.user
                    ),
                };
                told.hint(hint)
            }
            SessionError::Timeout => told.hint("--timeout SECONDS allows for more, until the command runs"),
            _ => told,
        }
    }
}

/// `[USER@]HOST[:PORT]`, exactly one.
fn one_host(hosts: &[String]) -> Result<(Option<&str>, &str), Error> {
    let several = || {
        Error::usage("hosts", "exec runs a command on one host, and these are several")
            .hint("this version takes no list, range or file of hosts: call it once for each, -H HOST")
    };
    let [host] = hosts else { return Err(several()) };
    if host == "-"
        || host.starts_with('@')
        || host.contains(',')
        || host.find('[').is_some_and(|at| at > 0 && !host[..at].ends_with('@'))
    {
        return Err(several());
    }
    Ok(match host.rsplit_once('@') {
        // No user is called so: it is a part of a URL.
        Some((user, _)) if user.contains("://") => (None, host),
        Some((user, host)) => (Some(user), host),
        None => (None, host),
    })
}

/// This user's name, as the system knows it.
fn local_user() -> Result<String, Error> {
    match User::from_uid(getuid()) {
        Ok(Some(user)) => Ok(user.name),
        _ => Err(Error::usage("login", "this user has no name").hint("log in as somebody: -l USER")),
    }
}

fn identities(named: &[PathBuf]) -> Result<Identities, Error> {
    let folder = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".ssh"));
    Identities::new(named, agent_socket(), folder).map_err(|error| {
        let hint = error.hint();
        Error::usage("identity", error).hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_taken_and_several_are_told_of() {
        let read =
            |host: &str| one_host(&[host.to_owned()]).map(|(u, h)| (u.map(str::to_owned), h.to_owned())).ok();
        let is = |user: Option<&str>, host: &str| Some((user.map(str::to_owned), host.to_owned()));
        assert_eq!(read("web1.example.com"), is(None, "web1.example.com"));
        assert_eq!(read("deploy@web1.example.com:2222"), is(Some("deploy"), "web1.example.com:2222"));
        assert_eq!(read("me@corp@[web1.example.com]:2222"), is(Some("me@corp"), "[web1.example.com]:2222"));
        assert_eq!(read("[::1]:22"), is(None, "[::1]:22"));
        for several in ["a,b", "web[1-20].example.com", "me@web[1-2]", "@file", "-"] {
            assert_eq!(read(several), None, "{several}");
        }
        assert_eq!(one_host(&["a".to_owned(), "b".to_owned()]).unwrap_err().kind, Kind::Usage);
    }
}
