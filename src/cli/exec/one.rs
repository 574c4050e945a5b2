//! One host: its command's streams are this process's, as with ssh.

use tokio::io::{AsyncRead, empty, stdin};

use super::outcome::Outcome;
use super::shell::Raw;
use super::{Args, Visit, watch};
use crate::cli::terminal::Terminal;
use crate::cli::verify::{Judged, checkable};
use crate::cli::{Context, in_grace};
use crate::error::Error;
use crate::fleet::exec::{self, Control, Note, Order, Person};
use crate::proto::name::HostName;
use crate::proto::rr::Origin;
use crate::proto::text::sanitise;
use crate::ssh::client::{Kept, Sink};
use crate::verifier::{Verification, Verifier, now};

/// The exit status.
pub(super) async fn run(
    args: &Args,
    command: &[u8],
    visit: &Visit,
    verifier: &Verifier,
    cx: &Context,
) -> Result<u8, Error> {
    let (mut kept, mut raw) = (Kept::default(), Raw::default());
    let outcome = match cx.out.json || args.quiet {
        false => on_host(args, command, visit, verifier, &mut raw, cx).await,
        true => on_host(args, command, visit, verifier, &mut kept, cx).await,
    };
    let is_told = !args.quiet || outcome.exit_status() != 0;
    if args.quiet && is_told && !cx.out.json {
        // Whoever reads no more of it hears of the failure all the same.
        let _ = raw.stdout(&kept.stdout).await;
        let _ = raw.stderr(&kept.stderr).await;
        if kept.is_truncated {
            cx.out.note(&format!("sshanchor: the first MiB is kept of what {} wrote", visit.host.target));
        }
    }
    match cx.out.json {
        false => outcome.error().iter().for_each(|error| cx.out.error_text(error)),
        true if !is_told => {}
        true => {
            let outcome = outcome.with_outputs([&kept.stdout, &kept.stderr], kept.is_truncated);
            cx.out.json_line(&outcome)?;
            return Ok(outcome.exit_status());
        }
    }
    Ok(outcome.exit_status())
}

async fn on_host(
    args: &Args,
    command: &[u8],
    visit: &Visit,
    verifier: &Verifier,
    sink: &mut impl Sink,
    cx: &Context,
) -> Outcome {
    let Visit { host, user, identities } = visit;
    let verifier = verifier.clone().at(host.address.clone()).for_login(user);
    let name = match checkable(&verifier, host.target.clone(), host.port) {
        Ok(name) => name,
        Err(judged) => return Outcome::new(*judged, user),
    };
    let no_input = args.no_input || args.hosts.reads_stdin();
    let input: Box<dyn AsyncRead + Unpin> = if no_input { Box::new(empty()) } else { Box::new(stdin()) };
    let tell = |note: Note<'_>| match note {
        Note::Judged(verification) => {
            let age = grace(verification);
            age.iter().for_each(|age| cx.out.warn(&in_grace(&name.to_string(), *age)));
        }
        Note::Proven(session) => cx.out.detail(&proven(&name, session.anchored().basis())),
        Note::Banner(text) => cx.out.note(text.trim_end()),
    };
    let control = Control::new(false);
    let order = Order { user, identities, command, patience: args.command_timeout };
    let person = Person { ask: &Terminal, tell: &tell };
    let mut halts = control.halts();
    let came = exec::run(&verifier, (&name, host.port), order, input, sink, person, &mut halts);
    tokio::pin!(came);
    let came = tokio::select! {
        came = &mut came => came,
        // Whoever says it twice does not want the good-bye.
        () = watch(&control, args.deadline) => return Outcome::new(
            Judged::new(&name, host.port, String::new()), user
        ).failed(Error::failure("interrupted", "ended by a second signal")),
    };
    Outcome::of(&name, host.port, user, came)
}

/// How old a proof in grace is, in seconds.
pub(super) fn grace(verification: &Verification) -> Option<u64> {
    verification.evidence.origin().and_then(|origin: Origin| origin.age(now()))
}

/// What is said of an accept with `-v`.
pub(super) fn proven(name: &HostName, basis: impl std::fmt::Display) -> String {
    format!("{name}: the host key is {}", sanitise(&basis.to_string()))
}
