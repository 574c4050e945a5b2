//! A program that reaches the server, such as `ssh -W`: its standard input and output are one socket, its standard
//! error is held back until it may be shown, and it ends when the connection does.
//!
//! It stays in this process's group: it may have to ask its user for a passphrase, and only the foreground group may
//! read from the terminal. It has this process's environment.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::ssh::probe::printable;

/// How long a program may take to end by itself once its socket is closed, and again when it is asked to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines that are held back: the last ones.
const MAX_HELD: usize = 20;
/// Longest line that is kept of standard error, in characters; the rest of it is dropped.
const MAX_LINE: usize = 1000;

/// What ssh says behind the reason that it was given.
const NO_REASON: &str = "Disconnected from ";

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    voice: Voice,
    listening: Option<JoinHandle<()>>,
}

/// What a program says on standard error.
#[derive(Debug, Clone, Default)]
pub struct Voice(Arc<Mutex<Said>>);

type Show = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct Said {
    held: VecDeque<String>,
    /// The last line that may be a reason, shown or not.
    last: Option<String>,
    show: Option<Show>,
}

impl Said {
    fn show(&mut self, show: impl Fn(&str) + Send + 'static) {
        self.held.drain(..).for_each(|line| show(&line));
        self.show = Some(Box::new(show));
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Said").field("held", &self.held).field("last", &self.last).finish_non_exhaustive()
    }
}

impl Program {
    /// Starts `program`, found by PATH, with one more environment variable, and gives the other end of its socket.
    pub fn start(
        program: &str,
        arguments: &[String],
        (variable, value): (&str, &str),
    ) -> io::Result<(UnixStream, Self)> {
        let (near, far) = StdUnixStream::pair()?;
        near.set_nonblocking(true)?;
        let far = OwnedFd::from(far);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env(variable, value)
            .stdin(Stdio::from(far.try_clone()?))
            .stdout(Stdio::from(far));
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        // This process has no other end than its own: the program's exit closes the last one.
        drop(command);
        let voice = Voice::default();
        let listening = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, voice.clone())));
        let name = printable(program, MAX_LINE);
        let program = Program { name, child, status: None, voice, listening };
        Ok((UnixStream::from_std(near)?, program))
    }

    /// Its standard error.
    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// Why it no longer serves: to be asked once its socket is closed, or has told the end. Printable.
    pub async fn last_words(&mut self) -> String {
        let status = timeout(PATIENCE, self.child.wait()).await;
        // What it said last may be on the way still.
        if let (Ok(_), Some(listening)) = (&status, &mut self.listening)
            && timeout(PATIENCE, listening).await.is_ok()
        {
            self.listening = None;
        }
        let ended = match status {
            Ok(Ok(status)) => {
                self.status = Some(status);
                ended(status)
            }
            Ok(Err(_)) | Err(_) => "closed the connection".to_owned(),
        };
        format!("the --via command ({}) {ended}{}", self.name, self.voice.last())
    }

    /// It is known to have ended, and not well.
    pub fn has_failed(&self) -> bool {
        self.status.is_some_and(|status| !status.success())
    }

    /// What is known of it while it runs. Printable.
    pub fn so_far(&self) -> String {
        format!("the --via command ({}) is still running{}", self.name, self.voice.last())
    }

    /// Ends it and reaps it: by its closed socket, by SIGTERM, by SIGKILL. Its status, if it was the first that did,
    /// or it had ended before.
    pub async fn end(mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.wait().await;
        }
        let by_itself = self.status;
        self.stop().await;
        by_itself
    }

    /// The same at once, its socket closed or not.
    pub async fn stop(mut self) {
        if self.status.is_some() {
            return;
        }
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // It has not been reaped: nobody else has its id.
        if let Some(id) = id
            && kill_process(id, Signal::TERM).is_ok()
            && self.wait().await.is_some()
        {
            return;
        }
        let _ = self.child.kill().await;
    }

    async fn wait(&mut self) -> Option<ExitStatus> {
        timeout(PATIENCE, self.child.wait()).await.ok()?.ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Voice {
    /// Shows what was held back, and what comes from now on, line by line. What comes through is printable.
    pub fn show(&self, show: impl Fn(&str) + Send + 'static) {
        self.lock().show(show);
    }

    /// The same but for the last line, if it is held back, and what is behind it: somebody else tells it.
    pub fn show_all_but_the_last(&self, show: impl Fn(&str) + Send + 'static) {
        let said = &mut *self.lock();
        let last = said.held.iter().rposition(|line| Some(line) == said.last.as_ref());
        last.map(|last| said.held.drain(last..));
        said.show(show);
    }

    /// The last line, to be put behind something else.
    fn last(&self) -> String {
        self.lock().last.as_ref().map(|line| format!(": {line}")).unwrap_or_default()
    }

    fn say(&self, octets: &[u8]) {
        let line = printable(String::from_utf8_lossy(octets).trim(), MAX_LINE);
        if line.is_empty() {
            return;
        }
        let said = &mut *self.lock();
        if !line.starts_with(NO_REASON) {
            said.last = Some(line.clone());
        }
        match &said.show {
            Some(show) => show(&line),
            None => {
                said.held.push_back(line);
                if said.held.len() > MAX_HELD {
                    said.held.pop_front();
                }
            }
        }
    }

    /// A panic elsewhere leaves lines, and nothing rests on them.
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads to the end, for a program that cannot write would wait. Of each line only its beginning is kept.
async fn listen(mut stderr: ChildStderr, voice: Voice) {
    let (mut portion, mut line) = ([0; 1024], Vec::new());
    loop {
        let heard = read(&mut stderr, &mut portion).await;
        for &octet in heard {
            match octet {
                b'\n' | b'\r' => voice.say(&std::mem::take(&mut line)),
                _ if line.len() < MAX_LINE => line.push(octet),
                _ => {}
            }
        }
        if heard.is_empty() {
            return voice.say(&line);
        }
    }
}

async fn read<'a>(from: &mut (impl AsyncRead + Unpin), portion: &'a mut [u8]) -> &'a [u8] {
    let length = from.read(portion).await.unwrap_or(0);
    portion.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn sh(script: &str) -> (UnixStream, Program) {
        Program::start("sh", &["-c".to_owned(), script.to_owned()], ("BACK", "back")).unwrap()
    }

    #[tokio::test]
    async fn its_socket_is_its_input_and_its_output() {
        let (mut socket, program) = sh("read line; echo \"$line $BACK\"; exec cat");
        socket.write_all(b"there\nand\n").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut heard = String::new();
        socket.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "there back\nand\n");
        drop(socket);
        assert!(program.end().await.unwrap().success());
    }

    #[tokio::test]
    async fn why_it_ended_is_told_with_what_it_said_last() {
        let (socket, mut program) = sh("printf 'one\\n\\033[31mtwo\\007\\r\\n\\n' >&2; exit 7");
        drop(socket);
        let words = program.last_words().await;
        assert_eq!(words, "the --via command (sh) ended with status 7: \\u{1b}[31mtwo\\u{7}");
        let (shown, at) = std::sync::mpsc::channel();
        program.voice().show_all_but_the_last(move |line| shown.send(line.to_owned()).unwrap());
        assert_eq!(at.try_iter().collect::<Vec<_>>(), ["one"]);
        assert_eq!(program.end().await.unwrap().code(), Some(7));
        let (_socket, mut program) = sh("kill -9 $$");
        assert_eq!(program.last_words().await, "the --via command (sh) was ended by signal 9");
        assert!(Program::start("/nowhere/at/all", &[], ("A", "x")).is_err());
    }

    #[tokio::test]
    async fn what_it_says_is_bounded_and_shown_when_it_may_be() {
        let (socket, program) = sh(
            "i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done; head -c 100000 /dev/zero | tr '\\0' a >&2; \
             echo >&2; echo ready; read go; echo after >&2",
        );
        let mut socket = tokio::io::BufReader::new(socket);
        tokio::io::AsyncBufReadExt::read_line(&mut socket, &mut String::new()).await.unwrap();
        let (shown, at) = std::sync::mpsc::channel();
        program.voice().show(move |line| shown.send(line.to_owned()).unwrap());
        socket.write_all(b"go\n").await.unwrap();
        let mut program = program;
        assert!(program.last_words().await.ends_with("status 0: after"));
        let mut lines: Vec<String> = at.try_iter().collect();
        assert_eq!(lines.pop().as_deref(), Some("after"));
        assert_eq!(lines.pop().unwrap(), "a".repeat(MAX_LINE));
        assert!(lines.len() < 100, "{lines:?}");
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended() {
        for script in ["exec sleep 1000", "trap '' TERM HUP; echo up; while :; do sleep 1; done"] {
            let (mut socket, program) = sh(script);
            if script.contains("up") {
                socket.read_exact(&mut [0; 3]).await.unwrap();
            }
            let id = program.child.id().unwrap();
            drop(socket);
            assert_eq!(program.end().await, None);
            assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "it is there, or its zombie is");
        }
    }
}
