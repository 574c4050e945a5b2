//! `sshanchor agent` as a daemon beside real servers: what it makes of what happens to keys, records, servers and
//! itself.

mod goodbye;
mod life;
mod rotation;
mod steering;
mod trouble;

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::primary::{key, private};
use crate::support::process::wait_until;
use crate::support::{Process, Sandbox, Tree};

/// How long something may take that takes seconds.
pub const SOON: Duration = Duration::from_secs(40);

/// A machine with an agent: its keys, its configuration, its state.
pub struct Machine {
    sandbox: Sandbox,
    runs: Cell<u32>,
}

impl Machine {
    /// Without keys and configuration yet.
    pub fn new() -> Machine {
        let machine = Machine { sandbox: Sandbox::new(), runs: Cell::new(0) };
        fs::create_dir(machine.join("ssh")).unwrap();
        machine
    }

    /// With a key `a`, and configured to publish it at `name` through `tree`.
    pub fn at(name: &str, tree: &Tree) -> Machine {
        let machine = Machine::new();
        machine.new_key();
        machine.configure(&machine.configuration(name, tree));
        machine
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.sandbox.join(name)
    }

    /// The public half of its host key.
    pub fn key(&self) -> PathBuf {
        self.join("ssh/host.pub")
    }

    /// Gives it a new host key, in place of the old one, as ssh-keygen and an administrator would.
    pub fn new_key(&self) -> PathBuf {
        let name = format!("new-{:08x}", rand::random::<u32>());
        let public = key(&self.sandbox, &name);
        fs::rename(self.join(&name), self.join("ssh/host")).unwrap();
        fs::rename(public, self.key()).unwrap();
        self.key()
    }

    /// What it takes to publish its key at `name`: looks every second.
    pub fn configuration(&self, name: &str, tree: &Tree) -> String {
        let (addr, host) = (tree.addr(), name.split('.').next().unwrap());
        let tsig = private(tree.tsig(host));
        format!(
            "version = 1\nresolver = \"{addr}\"\ntrust_anchor = \"{}\"\ntimeout = \"4s\"\n\
             [publish]\nname = \"{name}\"\nserver = \"{addr}\"\nkey_file = \"{}\"\nhost_keys = \"{}\"\ncheck_servers = \
             \"{addr}\"\n[agent]\ninterval = \"1s\"\n",
            tree.anchor().display(),
            tsig.display(),
            self.key().display(),
        )
    }

    pub fn configure(&self, text: &str) {
        private(self.sandbox.write("config.toml", text));
    }

    /// `sshanchor ARGUMENTS` on this machine.
    pub fn sshanchor(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.sshanchor();
        command.env_remove("SSHANCHOR_CONFIG").env("SSHANCHOR_STATE", self.join("state"));
        command.arg("--config").arg(self.join("config.toml")).args(arguments);
        command
    }

    /// Its agent, started.
    pub fn start(&self) -> Agent {
        self.start_with(&[])
    }

    pub fn start_with(&self, arguments: &[&str]) -> Agent {
        let mut command = self.sshanchor(&["-v", "agent"]);
        command.args(arguments);
        self.run(command)
    }

    /// An agent that this command is.
    pub fn run(&self, command: Command) -> Agent {
        let run = self.runs.replace(self.runs.get() + 1);
        Agent(Process::start(&format!("agent-{run}"), command, self.sandbox.path(), || true))
    }

    /// What it has kept on disk.
    pub fn memory(&self) -> Value {
        serde_json::from_slice(&fs::read(self.join("state/agent.json")).unwrap()).unwrap()
    }
}

/// A running agent.
pub struct Agent(pub Process);

impl Agent {
    /// Waits until it says `text`.
    pub fn says(&self, text: &str) {
        assert!(self.0.logs(text, SOON), "it did not say {text:?}:\n{}", self.0.log());
    }

    /// How often it has said `text`.
    pub fn said(&self, text: &str) -> usize {
        self.0.log().matches(text).count()
    }

    /// Waits until it has said `text` more often than now.
    pub fn says_again(&self, text: &str) {
        let before = self.said(text);
        assert!(wait_until(SOON, || self.said(text) > before), "no more {text:?}:\n{}", self.0.log());
    }

    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Tells it to end by `signal`, and says how long it took; it has to end well.
    pub fn ends(&mut self, signal: Signal) -> Duration {
        let begun = std::time::Instant::now();
        self.signal(signal);
        assert_eq!(self.0.wait(SOON).and_then(|status| status.code()), Some(0), "{}", self.0.log());
        begun.elapsed()
    }

    /// How often it was woken: all of its threads.
    pub fn wakeups(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        tasks
            .map(|task| {
                let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
                let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
                line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
            })
            .sum()
    }
}

/// Waits until `server` shows exactly these records at `owner`.
pub fn shows(server: SocketAddr, owner: &str, records: &[&str]) {
    let wanted = super::primary::sorted(records);
    let shown = || super::primary::records_at(server, owner).0;
    assert!(wait_until(SOON, || shown() == wanted), "{owner}: {:?}, and not {wanted:?}", shown());
}

/// The record of the key in `public`.
pub fn record(public: &Path) -> String {
    super::primary::record(public)
}
