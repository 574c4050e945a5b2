//! One published host, and `exec` on it.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::{HOST, LIMIT};
use crate::support::sshd::Sshd;
use crate::support::{Finished, Sandbox, Tree, run};

/// A published host.
pub struct Stage {
    pub tree: Tree,
    pub sshd: Sshd,
}

impl Stage {
    pub fn new(types: &[&str]) -> Stage {
        Stage::with(types, "")
    }

    /// Whose sshd does not write its debugging to the command's standard error.
    pub fn quiet(extra: &str) -> Stage {
        Stage::with(&["ed25519"], &format!("LogLevel VERBOSE\n{extra}"))
    }

    pub fn with(types: &[&str], extra: &str) -> Stage {
        let sshd = Sshd::start_with(types, extra);
        let tree = sshd.sshfp("web1.example.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
        Stage { tree: tree.start(), sshd }
    }

    /// exec on the host, without keys.
    pub fn keyless(&self) -> Command {
        let mut exec = self.tree.sshanchor(self.tree.addr());
        exec.args(["exec", "-H", HOST, "-p", &self.sshd.port().to_string()]).env_remove("SSH_AUTH_SOCK");
        exec
    }

    /// exec on the host with the key that is let in.
    pub fn exec(&self) -> Command {
        let mut exec = self.keyless();
        exec.arg("-i").arg(self.sshd.sandbox.join("user"));
        exec
    }

    pub fn runs(&self, words: &[&str]) -> Finished {
        run(self.exec().arg("--").args(words), LIMIT)
    }

    pub fn json(&self, words: &[&str]) -> (Value, Option<i32>) {
        let finished = run(self.exec().args(["--json", "--"]).args(words), LIMIT);
        (finished.json(), finished.code)
    }

    /// The good case after a bad one: `exec` as it was set up runs a command now.
    #[track_caller]
    pub fn works(exec: &mut Command) {
        let finished = run(exec.args(["--", "echo", "hello"]), LIMIT);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello\n"), "{finished:#?}");
    }

    /// No outcome but 255, with `text` on standard error and nothing on standard output.
    #[track_caller]
    pub fn fails(exec: &mut Command, text: &str) {
        let finished = run(exec.args(["--", "echo", "hello"]), LIMIT);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
        assert!(finished.stderr.contains(text), "{text:?} is not told: {finished:#?}");
    }
}

/// Where an agent would be: it counts who comes.
pub struct FakeAgent {
    pub socket: PathBuf,
    listener: UnixListener,
}

impl FakeAgent {
    pub fn new(sandbox: &Sandbox) -> FakeAgent {
        let socket = sandbox.join("fake-agent");
        let listener = UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        FakeAgent { socket, listener }
    }

    pub fn visitors(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
}
