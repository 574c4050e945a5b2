//! Programs that are run to their end: bounded in what they say, and in how long they take.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::proto::text::shorten;

/// Longest line of standard error that is told, in characters.
const MAX_LINE: usize = 300;
/// Most that is kept of standard error, in octets: its end. The rest is read and dropped.
const MAX_ERRORS: usize = 8 * 1024;
/// How long the output of an ended program is waited for, which a child of it may hold open.
const AFTER: Duration = Duration::from_millis(500);

/// What a program did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed: hostile.
    pub output: Vec<u8>,
    /// The end of what it said on standard error: hostile.
    pub errors: Vec<u8>,
}

/// Why a program gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started, or not be talked to.
    #[error("cannot run {program}: {error}")]
    Io {
        /// The program; printable.
        program: String,
        /// What the system said.
        error: io::Error,
    },
    /// It did not end, and was ended.
    #[error("{program} did not end in {} s{said}", .patience.as_secs_f64())]
    Timeout {
        /// The program; printable.
        program: String,
        /// How long it was given.
        patience: Duration,
        /// What it said last, behind a colon.
        said: String,
    },
    /// It printed on and on, and was ended.
    #[error("{program} printed more than {limit} octets")]
    TooLong {
        /// The program; printable.
        program: String,
        /// Most that is read.
        limit: usize,
    },
}

impl Ran {
    /// How it failed, and what it said last; none if it succeeded. Printable.
    pub fn failure(&self) -> Option<String> {
        use std::os::unix::process::ExitStatusExt;
        let how = match (self.status.code(), self.status.signal()) {
            (Some(0), _) => return None,
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        Some(how + &last_line(&self.errors))
    }

    /// The last line of standard error behind a colon, if it said anything. Printable.
    pub fn said(&self) -> String {
        last_line(&self.errors)
    }
}

/// Runs `program`, found by PATH, with `input` on its standard input, and reads what it prints, at most `limit` octets.
/// It keeps this process's environment and group, for it may have to ask for a passphrase at the terminal.
pub async fn run(
    program: &OsStr,
    arguments: &[impl AsRef<OsStr>],
    input: &[u8],
    limit: usize,
    patience: Duration,
) -> Result<Ran, RunError> {
    let name = shorten(&program.to_string_lossy(), MAX_LINE).into_owned();
    let told = |error| RunError::Io { program: name.clone(), error };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().map_err(told)?;
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let ended = {
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(told(io::ErrorKind::BrokenPipe.into()));
        };
        let say = async {
            // One that does not read what it is told may know it already.
            let _ = stdin.write_all(input).await;
            drop(stdin);
            Ok::<(), ()>(())
        };
        let read = async {
            let all = read_up_to(stdout, &mut output, limit);
            tokio::join!(say, all, read_end(stderr, &mut errors)).1
        };
        let mut read = std::pin::pin!(read);
        let work = async {
            tokio::select! {
                // Too much is a reason not to wait for the end.
                whole = &mut read => match whole {
                    Ok(()) => child.wait().await.map(|status| (status, Ok(()))).map_err(Stopped::Io),
                    Err(stopped) => Err(stopped),
                },
                status = child.wait() => {
                    let status = status.map_err(Stopped::Io)?;
                    Ok((status, timeout(AFTER, &mut read).await.unwrap_or(Ok(()))))
                }
            }
        };
        timeout(patience, work).await
    };
    let stopped = match ended {
        Ok(Ok((status, Ok(())))) => return Ok(Ran { status, output, errors }),
        Ok(Ok((_, Err(stopped))) | Err(stopped)) => stopped,
        Err(_) => Stopped::Timeout,
    };
    end(child).await;
    Err(match stopped {
        Stopped::Io(error) => told(error),
        Stopped::TooLong => RunError::TooLong { program: name, limit },
        Stopped::Timeout => RunError::Timeout { program: name, patience, said: last_line(&errors) },
    })
}

enum Stopped {
    Io(io::Error),
    TooLong,
    Timeout,
}

/// Asks it to end, and ends it if it does not.
async fn end(mut child: Child) {
    let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    // It has not been reaped: nobody else has its id.
    if let Some(id) = id
        && kill_process(id, Signal::TERM).is_ok()
        && timeout(AFTER, child.wait()).await.is_ok()
    {
        return;
    }
    let _ = child.kill().await;
}

async fn read_up_to(from: impl AsyncRead + Unpin, into: &mut Vec<u8>, limit: usize) -> Result<(), Stopped> {
    let mut from = from.take(limit as u64 + 1);
    from.read_to_end(into).await.map_err(Stopped::Io)?;
    if into.len() > limit { Err(Stopped::TooLong) } else { Ok(()) }
}

/// Reads to the end and keeps the end, for a program that cannot write would wait.
async fn read_end(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>) {
    let mut portion = [0; 1024];
    loop {
        match from.read(&mut portion).await {
            Ok(0) | Err(_) => return,
            Ok(length) => into.extend_from_slice(portion.get(..length).unwrap_or_default()),
        }
        let surplus = into.len().saturating_sub(MAX_ERRORS);
        into.drain(..surplus);
    }
}

fn last_line(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map_or(String::new(), |line| format!(": {}", shorten(line, MAX_LINE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, limit: usize, patience: u64) -> Result<Ran, RunError> {
        let patience = Duration::from_millis(patience);
        run(OsStr::new("sh"), &["-c", script], b"in\n", limit, patience).await
    }

    #[tokio::test]
    async fn what_it_is_told_and_what_it_says_are_kept_apart() {
        let ran = sh("cat; echo one >&2; printf '\\033two\\n\\n' >&2", 100, 10_000).await.unwrap();
        assert_eq!((ran.output.as_slice(), ran.said().as_str()), (&b"in\n"[..], ": \\u{1b}two"));
        assert_eq!(ran.failure(), None);
        let ran = sh("echo why >&2; exit 7", 100, 10_000).await.unwrap();
        assert_eq!(ran.failure().unwrap(), "ended with status 7: why");
        assert_eq!(sh("kill -9 $$", 100, 10_000).await.unwrap().failure().unwrap(), "was ended by signal 9");
    }

    #[tokio::test]
    async fn its_output_is_bounded_and_its_errors_are_drained() {
        assert!(matches!(sh("yes", 1000, 10_000).await, Err(RunError::TooLong { limit: 1000, .. })));
        assert_eq!(sh("printf 12345", 5, 10_000).await.unwrap().output, b"12345");
        let ran = sh("head -c 1000000 /dev/zero >&2; printf '\\nend\\n' >&2", 5, 10_000).await.unwrap();
        assert!(ran.said().ends_with("end") && ran.errors.len() <= MAX_ERRORS, "{}", ran.said());
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended_and_one_that_leaves_a_child_is_not_waited_for() {
        let hung = sh("trap '' TERM; echo stuck >&2; while :; do sleep 0.1; done", 5, 300).await.unwrap_err();
        assert_eq!(hung.to_string(), "sh did not end in 0.3 s: stuck");
        let started = std::time::Instant::now();
        let ran = sh("sleep 20 & echo up", 5, 10_000).await.unwrap();
        assert!(ran.failure().is_none() && ran.output == b"up\n");
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(matches!(
            run(OsStr::new("/nowhere"), &[""; 0], b"", 5, AFTER).await,
            Err(RunError::Io { .. })
        ));
    }
}
