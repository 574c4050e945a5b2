//! A user's home, and the program in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A home with a configuration in it.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub fn with(text: &str) -> Home {
        let home = Home::new();
        home.write(".config/sshanchor/config.toml", text);
        home
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.join(".config/sshanchor/config.toml")
    }

    /// Whatever this machine's umask is, nobody else may write it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.join(name);
        let folder = file.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(&file, text).unwrap();
        mode(folder, 0o755);
        mode(&file, 0o644);
        file
    }

    pub fn sshanchor(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        for (variable, _) in
            std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("SSHANCHOR_"))
        {
            command.env_remove(variable);
        }
        command.env("HOME", self.0.path()).env("XDG_CONFIG_HOME", self.join(".config"));
        command.env("XDG_CACHE_HOME", self.join(".cache"));
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.sshanchor(arguments))
    }
}

pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The row of `config show --json` about this setting.
    pub fn row(&self, setting: &str) -> Value {
        self.json()
            .into_iter()
            .find(|row| row["setting"] == setting)
            .unwrap_or_else(|| panic!("{}", self.out))
    }
}

pub fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}

pub fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
