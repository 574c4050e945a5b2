//! Python clients of pinned versions, in a virtual environment that tests/run makes in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program `name` of the environment, `python` among them.
pub fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let venv = target.join("tests-venv");
    let wanted = include_str!("../requirements.txt");
    // Written once all is there.
    let made = fs::read_to_string(venv.join("made-from")).unwrap_or_default();
    let program = venv.join("bin").join(name);
    assert!(
        made == wanted && program.exists(),
        "{} is missing, or not of these versions: tests/run makes it",
        program.display()
    );
    program
}

/// A command that starts it with nothing of this user's environment that could steer it.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if ["PYTHON", "ANSIBLE_", "PIP_", "SSH_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&variable);
        }
    }
    command
}
