//! OpenSSH's ssh-agent on a socket of its own.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::peer::command;
use super::process::{Process, run_ok};
use super::sandbox::Sandbox;

/// A running agent, empty at first.
#[derive(Debug)]
pub struct Agent {
    _process: Process,
    sandbox: Sandbox,
}

impl Agent {
    pub fn start() -> Agent {
        let sandbox = Sandbox::new();
        let socket = sandbox.join("agent");
        let mut agent = command("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket);
        // Its socket has its name before it listens: to be there is not enough.
        let listens = || UnixStream::connect(&socket).is_ok();
        let process = Process::start("ssh-agent", agent, sandbox.path(), listens);
        Agent { _process: process, sandbox }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.sandbox.join("agent")
    }

    /// Gives it a key, and the certificate beside it.
    pub fn add(&self, file: &Path) {
        run_ok(command("ssh-add").arg("-q").arg(file).env("SSH_AUTH_SOCK", self.socket()));
    }

    /// Gives it a key that is in no file.
    pub fn add_text(&self, key: &str) {
        let mut add = command("ssh-add");
        add.args(["-q", "-"]).env("SSH_AUTH_SOCK", self.socket());
        let mut child = add.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Gives it a key that is good for `host` alone, as `known_hosts` knows it.
    pub fn add_for(&self, file: &Path, host: &str, known_hosts: &Path) {
        let mut add = command("ssh-add");
        add.args(["-q", "-h", host, "-H"]).arg(known_hosts).arg(file);
        run_ok(add.env("SSH_AUTH_SOCK", self.socket()));
    }

    /// Takes all keys away.
    pub fn remove_all(&self) {
        run_ok(command("ssh-add").args(["-q", "-D"]).env("SSH_AUTH_SOCK", self.socket()));
    }
}
