//! Child processes: servers that end with their guard, and commands that must end by themselves
//! within a limit.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to answer for the first time on a busy machine.
const START: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A running server. Dropping it kills and reaps it, and prints the end of its log if the test
/// is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs in `folder/NAME.log` and waits until `ready` says yes.
    pub fn start(name: &str, mut command: Command, folder: &Path, ready: impl FnMut() -> bool) -> Process {
        let log = folder.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stderr(out.try_clone().unwrap()).stdout(out);
        let child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let mut process = Process { name: name.to_owned(), child, log };
        process.wait_ready(ready);
        process
    }

    fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let started = Instant::now();
        while !ready() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended at its start with {status}", self.name);
            }
            assert!(started.elapsed() < START, "{} is not ready after {START:?}", self.name);
            thread::sleep(POLL);
        }
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the log holds `text`; false after `limit`.
    pub fn logs(&self, text: &str, limit: Duration) -> bool {
        wait_until(limit, || self.log().contains(text))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Waits until it has ended by itself; none after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default();
            eprintln!("--- the end of {}'s log\n{}\n---", self.name, tail.join("\n"));
        }
    }
}

/// Asks until the answer is yes; false after `limit`.
pub fn wait_until(limit: Duration, mut ask: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !ask() {
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit status; None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Finished {
    /// Each line of stdout as JSON.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {self:#?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The one JSON object on stdout.
    pub fn json(&self) -> serde_json::Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1, "one line of JSON is expected: {self:#?}");
        lines.remove(0)
    }
}

/// Runs `command` to its end, without standard input; panics, having killed it, after `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    // Files rather than pipes: a grandchild that keeps them open holds nobody up.
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let started = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let mut status = None;
    wait_until(limit, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let elapsed = started.elapsed();
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (read_back(&mut out), read_back(&mut err));
    let Some(status) = status else {
        panic!("{command:?} has not ended after {limit:?}\nstdout: {stdout}\nstderr: {stderr}");
    };
    Finished { code: status.code(), stdout, stderr, elapsed }
}

/// Runs `command`, which must succeed within a minute, and gives its stdout.
pub fn run_ok(command: &mut Command) -> String {
    let finished = run(command, Duration::from_secs(60));
    assert_eq!(finished.code, Some(0), "{command:?}: {finished:#?}");
    finished.stdout
}

fn read_back(file: &mut File) -> String {
    let mut octets = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut octets).unwrap();
    String::from_utf8_lossy(&octets).into_owned()
}
