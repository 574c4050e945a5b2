//! `sshanchor demo`: the whole of it on loopback, with nothing installed.

use super::Context;
use crate::error::{Error, Kind};

/// Show the whole story on loopback, with nothing installed: try this first.
///
/// Shows the whole story on this machine's loopback: a signed zone and two toy SSH hosts, their keys
/// published and proven, a command run over a verified connection, and an impostor refused.
/// Nothing is installed, no file outside a temporary folder is touched, no privileges are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 if everything went as it should, 1 otherwise.")]
pub(super) struct Args {
    /// Leave the zone and the hosts up until Ctrl-C, and print commands to try on them
    #[arg(long)]
    keep: bool,
}

#[cfg(feature = "lab")]
pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    use crate::lab::story::{Newcomer, tell};

    let out = cx.out;
    let stage = tell(Newcomer::Impostor, cx.timeout, &mut |step| out.result(&step)).await?;
    if args.keep {
        let program =
            std::env::current_exe().map_or_else(|_| "sshanchor".into(), |path| path.display().to_string());
        let lines = stage.things_to_try(&program)?;
        out.result(&Kept { step: "keep", try_these: &lines })?;
        until_told_to_end().await.map_err(|e| Error::failure("io", e))?;
    }
    Ok((!stage.ok).then_some(Kind::Failure))
}

/// Ctrl-C, or the terminal closes, or somebody ends the process: the folder is removed in any case.
#[cfg(feature = "lab")]
async fn until_told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut end, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = end.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

#[cfg(not(feature = "lab"))]
pub(super) async fn run(_args: Args, _cx: &Context) -> Result<Option<Kind>, Error> {
    Err(Error::usage("no-lab", "this sshanchor was built without its laboratory")
        .hint("build one with it: cargo build --release (the feature \"lab\" is on by default)"))
}

#[cfg(feature = "lab")]
#[derive(serde::Serialize)]
struct Kept<'a> {
    step: &'static str,
    #[serde(rename = "try")]
    try_these: &'a [String],
}

#[cfg(feature = "lab")]
impl crate::output::Report for Kept<'_> {
    fn text(&self) -> String {
        let mut lines =
            vec!["".to_owned(), "Everything stays up until Ctrl-C. In another terminal, try:".to_owned()];
        lines.extend(self.try_these.iter().map(|line| format!("  {line}")));
        lines.push(
            "exec runs where the key is proven, and says why not elsewhere; audit.html is a page for a browser. The last line\n\
             meets the impostor, whose key is even in ssh's known_hosts file: the proxy alone refuses it."
                .to_owned(),
        );
        lines.join("\n")
    }
}
