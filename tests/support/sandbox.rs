//! A folder for one test, and `sshanchor` run as if it were the home of a new user.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder that goes away with the test. Its path is short, for Unix sockets.
#[derive(Debug)]
pub struct Sandbox(TempDir);

impl Sandbox {
    /// A new, empty, private folder.
    pub fn new() -> Sandbox {
        Sandbox(tempfile::Builder::new().prefix("sshanchor-").tempdir().unwrap())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file or folder inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file inside and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    /// `sshanchor` at home here.
    pub fn sshanchor(&self) -> Command {
        sshanchor(self.path())
    }
}

/// `sshanchor` with a clean environment and its home at `home`.
pub fn sshanchor(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
    clean(&mut command, home);
    command
}

/// Takes everything away from `command` that could steer `sshanchor`, and sets its home: for
/// commands that start it themselves, such as ssh.
pub fn clean(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SSHANCHOR_") {
            command.env_remove(&name);
        }
    }
    // What systemd tells those that it starts is not meant for this one.
    for name in
        ["NOTIFY_SOCKET", "WATCHDOG_USEC", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM"]
    {
        command.env_remove(name);
    }
    // Neither does what is configured on this machine.
    command.env("SSHANCHOR_CONFIG", "none");
    // As root it would be the system's.
    command.env("SSHANCHOR_STATE", home.join(".local/state/sshanchor"));
    command.env("HOME", home).env("LC_ALL", "C").env("TZ", "UTC").env("NO_COLOR", "1");
    for (variable, folder) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_RUNTIME_DIR", ".run"),
    ] {
        command.env(variable, home.join(folder));
    }
}
