//! Many hosts: each proven on the connection that it is used on, so many at a time.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, empty, stdin};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::one::{grace, proven};
use super::outcome::{Failure, Outcome, not_run};
use super::sinks::{Prefixed, Terminals, text};
use super::told::{heading, summary};
use super::{Args, Visit, watch};
use crate::cli::terminal::Terminal;
use crate::cli::verify::{Judged, checkable, hosts_at_once};
use crate::cli::{Context, in_grace, status};
use crate::error::{Error, Kind};
use crate::fan_out::fan_out_while;
use crate::fleet::exec::{self, Came, Control, Gathered, Groups, Input, Note, Order, Person, Trouble};
use crate::output::flow::Flow;
use crate::output::{Output, Progress, hosts};
use crate::proto::course::Halt;
use crate::proto::name::HostName;
use crate::proto::text::sanitise;
use crate::ssh::client::{Session, SessionError, Sink};
use crate::ssh::identity::Ask;
use crate::verifier::Verifier;

/// How outputs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they come, each line with its host in front.
    Lines,
    /// At the end, each text once.
    Groups,
    /// An object a host.
    Json,
}

/// What all hosts of a run share.
struct Run {
    verifier: Verifier,
    command: Vec<u8>,
    patience: Option<Duration>,
    form: Form,
    is_verbose: bool,
    /// What went well is not shown.
    is_quiet: bool,
    terminals: Terminals,
    input: Option<Input>,
    labels: Vec<String>,
    control: Arc<Control>,
    flow: Flow,
    groups: Mutex<[Groups; 2]>,
    /// Places of hosts that wrote more than is kept.
    truncated: Mutex<Vec<usize>>,
}

/// The exit status.
pub(super) async fn run(
    args: &Args,
    command: Vec<u8>,
    visits: Vec<Visit>,
    verifier: Verifier,
    cx: &Context,
) -> Result<u8, Error> {
    let io = |e: io::Error| Error::failure("io", e);
    let width = hosts_at_once(usize::from(args.fanout));
    let (flow, written) = Flow::start(Progress::new("done", visits.len())).map_err(io)?;
    let form = match (cx.out.json, args.group) {
        (true, _) => Form::Json,
        (false, true) => Form::Groups,
        (false, false) => Form::Lines,
    };
    let wants_input =
        !args.no_input && !args.hosts.reads_stdin() && (args.input || !io::stdin().is_terminal());
    let (input, filling) = match wants_input {
        true => {
            let (input, filling) = Input::new(stdin());
            (Some(input), Some(filling))
        }
        false => (None, None),
    };
    let control = Arc::new(Control::new(args.fail_fast));
    let run = Arc::new(Run {
        verifier,
        command,
        patience: args.command_timeout,
        form,
        is_verbose: cx.out.verbose > 0,
        is_quiet: args.quiet,
        terminals: Terminals::find(),
        input,
        labels: labels(&visits),
        control: Arc::clone(&control),
        flow,
        groups: Mutex::default(),
        truncated: Mutex::default(),
    });
    let filling = filling.map(tokio::spawn);
    let whole = async {
        let (failures, left) = on_all(&run, visits, width).await?;
        let ended = finish(&run, failures, left).await?;
        let labels = run.labels.clone();
        // The last way to the outputs: what was sent is written now.
        drop(run);
        match written.end().await {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::failure("io", format!("cannot write to standard output: {e}")))
            }
            _ => Ok((labels, ended)),
        }
    };
    let (labels, Ended { failures, left, truncated }) = tokio::select! {
        ended = whole => ended?,
        // Said twice: at once, and what was left is not told.
        () = watch(&control, args.deadline) => return Ok(control.halted().and_then(Halt::exit_status).unwrap_or(1)),
    };
    if let Some(reading) = filling.filter(JoinHandle::is_finished)
        && let Ok(Err(error)) = reading.await
    {
        cx.out.warn(&format!("standard input was cut short: {error}"));
    }
    if !truncated.is_empty() {
        let names = super::told::folded(&labels, &truncated, 20);
        cx.out.note(&format!(
            "sshanchor: the first MiB is kept of what {} wrote: {names}",
            hosts(truncated.len())
        ));
    }
    let halted = control.halted();
    let why = halted.map(|halt| halt.to_string()).unwrap_or_default();
    let told = summary(&labels, &failures, Some((&left, &why)));
    if !told.is_empty() {
        cx.out.note(&told.join("\n"));
    }
    let kinds = failures.iter().map(|failure| failure.kind);
    let left = (!left.is_empty()).then_some(Kind::Failure);
    let by_signal = halted.and_then(Halt::exit_status);
    Ok(by_signal.unwrap_or_else(|| status(Kind::gravest(kinds.chain(left)))))
}

/// Failures, and the hosts that were not begun.
async fn on_all(
    run: &Arc<Run>,
    visits: Vec<Visit>,
    width: usize,
) -> Result<(Vec<Failure>, Vec<(usize, Visit)>), Error> {
    let mut failures = Vec::new();
    let work = |(place, visit): (usize, Visit)| {
        let run = Arc::clone(run);
        async move { run.visit(place, visit).await }
    };
    let may_begin = || run.control.halted().is_none();
    let left = fan_out_while(visits.into_iter().enumerate(), width, may_begin, work, |_, failure| {
        failures.extend(failure?);
        Ok::<_, Error>(())
    })
    .await?;
    failures.sort_by_key(|failure: &Failure| failure.place);
    Ok((failures, left.map(|(_, visit)| visit).collect()))
}

/// What is to be told at the end.
struct Ended {
    failures: Vec<Failure>,
    left: Vec<usize>,
    truncated: Vec<usize>,
}

/// What was kept is shown.
async fn finish(run: &Run, failures: Vec<Failure>, left: Vec<(usize, Visit)>) -> Result<Ended, Error> {
    if let (Form::Json, Some(halt)) = (run.form, run.control.halted()) {
        for (_, Visit { host, user, .. }) in &left {
            let judged = Judged::new(&host.target, host.port, String::new());
            let line = Output::json_text(&Outcome::new(judged, user).failed(not_run(halt)))?;
            run.send(line.into_bytes()).await;
        }
    }
    let groups = std::mem::take(&mut *run.groups.lock().unwrap_or_else(PoisonError::into_inner));
    let unread = |e: io::Error| Error::failure("io", format!("cannot read what was kept of the output: {e}"));
    let [stdout, stderr] = groups;
    let told = |(places, octets): (Vec<usize>, Vec<u8>), is_terminal: bool| {
        let heading = heading(&run.labels, &places, run.terminals.bold(is_terminal));
        [heading.into_bytes(), text(octets, is_terminal)].concat()
    };
    for group in stdout.each() {
        let _ = run.flow.stdout(told(group.map_err(unread)?, run.terminals.stdout)).await;
    }
    for group in stderr.each() {
        let _ = run.flow.stderr(told(group.map_err(unread)?, run.terminals.stderr)).await;
    }
    let truncated = std::mem::take(&mut *run.truncated.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Ended { failures, left: left.into_iter().map(|(place, _)| place).collect(), truncated })
}

impl Run {
    /// One host, and what failed there; an error ends everything.
    async fn visit(&self, place: usize, visit: Visit) -> Result<Option<Failure>, Error> {
        let label = self.labels.get(place).cloned().unwrap_or_default();
        let verifier = self.verifier.clone().for_login(&visit.user);
        let outcome = match checkable(&verifier, visit.host.target.clone(), visit.host.port) {
            Err(judged) => Outcome::new(*judged, &visit.user),
            Ok(name) => match self.form {
                Form::Lines if self.is_quiet => self.held_back(place, &label, &name, &visit).await?,
                Form::Lines => {
                    let mut sink = Prefixed::new(&label, self.flow.clone(), self.terminals);
                    let came = self.came(&name, &visit, &mut sink).await;
                    self.heed(sink.end().await);
                    if let Some(Err(Trouble::Session(SessionError::Output(_)))) = came.end {
                        self.control.halt(Halt::Output);
                    }
                    Outcome::of(&name, visit.host.port, &visit.user, came)
                }
                Form::Groups | Form::Json => self.gathered(place, &name, &visit).await?,
            },
        };
        let failure = Failure::of(place, &outcome);
        match self.form {
            Form::Json if self.is_quiet && failure.is_none() => {}
            Form::Json => self.send(Output::json_text(&outcome)?.into_bytes()).await,
            Form::Lines => {
                if let Some(failure) = &failure {
                    let line = format!("{label}: sshanchor: {}\n", sanitise(failure.line()));
                    self.heed(self.flow.stderr(line.into_bytes()).await);
                }
            }
            Form::Groups => {}
        }
        self.flow.step().await;
        self.control.ended(failure.is_some());
        Ok(failure)
    }

    /// With what it wrote, which is kept with the others' where it is to be grouped.
    async fn gathered(&self, place: usize, name: &HostName, visit: &Visit) -> Result<Outcome, Error> {
        let mut sink = Gathered::default();
        let came = self.came(name, visit, &mut sink).await;
        let outcome = Outcome::of(name, visit.host.port, &visit.user, came);
        let is_truncated = sink.is_truncated;
        let kept = |e: io::Error| Error::failure("io", format!("cannot keep what {name} wrote: {e}"));
        let [stdout, stderr] = sink.read().map_err(kept)?;
        if self.form == Form::Json {
            return Ok(outcome.with_outputs([&stdout, &stderr], is_truncated));
        }
        if self.is_quiet && Failure::of(place, &outcome).is_none() {
            return Ok(outcome);
        }
        if is_truncated {
            self.truncated.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
        let [out, err] = &mut *self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        out.add(place, stdout).map_err(kept)?;
        err.add(place, stderr).map_err(kept)?;
        Ok(outcome)
    }

    /// With what it wrote shown if it failed, and only then.
    async fn held_back(
        &self,
        place: usize,
        label: &str,
        name: &HostName,
        visit: &Visit,
    ) -> Result<Outcome, Error> {
        let mut sink = Gathered::default();
        let came = self.came(name, visit, &mut sink).await;
        let outcome = Outcome::of(name, visit.host.port, &visit.user, came);
        if Failure::of(place, &outcome).is_none() {
            return Ok(outcome);
        }
        if sink.is_truncated {
            self.truncated.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
        let kept = |e: io::Error| Error::failure("io", format!("cannot keep what {name} wrote: {e}"));
        let [stdout, stderr] = sink.read().map_err(kept)?;
        let mut lines = Prefixed::new(label, self.flow.clone(), self.terminals);
        self.heed(lines.stdout(&stdout).await);
        self.heed(lines.stderr(&stderr).await);
        self.heed(lines.end().await);
        Ok(outcome)
    }

    async fn came(&self, name: &HostName, visit: &Visit, sink: &mut impl Sink) -> Came {
        let Visit { host, user, identities } = visit;
        let verifier = self.verifier.for_one_host().at(host.address.clone()).for_login(user);
        let input: Box<dyn AsyncRead + Unpin + Send> = match &self.input {
            Some(input) => Box::new(input.reader()),
            None => Box::new(empty()),
        };
        let told: Mutex<Vec<String>> = Mutex::default();
        let tell = |note: Note<'_>| {
            let line = match note {
                Note::Judged(verification) => grace(verification)
                    .map(|age| format!("sshanchor: warning: {}", in_grace(&name.to_string(), age))),
                Note::Proven(session) => self.is_verbose.then(|| accepted(name, session)),
                Note::Banner(text) => {
                    self.is_verbose.then(|| format!("sshanchor: {name} says: {}", sanitise(text.trim_end())))
                }
            };
            told.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
        };
        let order = Order { user, identities, command: &self.command, patience: self.patience };
        let ask = Aside(&self.flow);
        let person = Person { ask: &ask, tell: &tell };
        let mut halts = self.control.halts();
        let came = exec::run(&verifier, (name, host.port), order, input, sink, person, &mut halts).await;
        for line in told.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let _ = self.flow.stderr(format!("{line}\n").into_bytes()).await;
        }
        came
    }

    async fn send(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        self.heed(self.flow.stdout(line).await);
    }

    /// Results that nobody takes any more are the last.
    fn heed(&self, sent: io::Result<()>) {
        if sent.is_err() {
            self.control.halt(Halt::Output);
        }
    }
}

fn accepted(name: &HostName, session: &Session) -> String {
    format!("sshanchor: {}", proven(name, session.anchored().basis()))
}

/// The person at the terminal, while nothing else is written there.
struct Aside<'a>(&'a Flow);

impl Ask for Aside<'_> {
    fn passphrase<'a>(
        &'a self,
        file: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Option<Zeroizing<String>>> + Send + 'a>> {
        Box::pin(async move { self.0.aside(Terminal.passphrase(file)).await })
    }
}

/// What each host is called: by its name, with its port where that is several hosts, and with the user where that is.
fn labels(visits: &[Visit]) -> Vec<String> {
    let name = |visit: &Visit| visit.host.target.to_string();
    let with_port = |visit: &Visit| match name(visit) {
        name if name.contains(':') => format!("[{name}]:{}", visit.host.port),
        name => format!("{name}:{}", visit.host.port),
    };
    let with_user = |visit: &Visit| format!("{}@{}", visit.user, with_port(visit));
    let mut labels: Vec<String> = visits.iter().map(name).collect();
    let longer: [&dyn Fn(&Visit) -> String; 2] = [&with_port, &with_user];
    for longer in longer {
        let mut named: HashMap<String, usize> = HashMap::new();
        labels.iter().for_each(|label| *named.entry(label.clone()).or_default() += 1);
        for (label, visit) in labels.iter_mut().zip(visits) {
            if named.get(label.as_str()).is_some_and(|count| *count > 1) {
                *label = longer(visit);
            }
        }
    }
    labels.iter().map(|label| sanitise(label)).collect()
}
