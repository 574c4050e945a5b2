//! A CA in a folder of its own, as `sshanchor ca init` makes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::run_ok;
use super::sandbox::Sandbox;

/// A CA for example.test, unless it is told otherwise.
#[derive(Debug)]
pub struct Ca {
    pub sandbox: Sandbox,
}

impl Ca {
    /// Made by `ca init` with these arguments.
    pub fn init(arguments: &[&str]) -> Ca {
        let ca = Ca { sandbox: Sandbox::new() };
        run_ok(ca.command("init").args(["--domain", "example.test"]).args(arguments));
        ca
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.sandbox.join("ca")
    }

    /// `sshanchor ca COMMAND` on it.
    pub fn command(&self, command: &str) -> Command {
        let mut sshanchor = self.sandbox.sshanchor();
        sshanchor.args(["ca", command]).env("SSHANCHOR_CA", self.folder()).env_remove("SSH_AUTH_SOCK");
        sshanchor
    }

    /// `ca sign` of the key `public` for `name`.
    pub fn sign(&self, name: &str, public: &Path) -> Command {
        let mut sign = self.command("sign");
        sign.args(["--name", name, "--host-key"]).arg(public);
        sign
    }

    /// Its public key, as `ca show` has it.
    pub fn public_key(&self) -> String {
        let shown = run_ok(self.command("show").arg("--json"));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["keys"][0]["public_key"].as_str().unwrap().to_owned()
    }

    /// The lines of its journal.
    pub fn journal(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder().join("journal.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
