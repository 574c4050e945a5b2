//! Programs that see other files in the places of this machine's: in a mount namespace of their own, which takes root. Who is
//! not root is it in the user namespace that tests/run makes. A test that cannot look fails, and is never passed over.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::peer::command;

/// Fails where no namespace is to be had, or port 53.
#[track_caller]
pub fn needs_root() {
    static IS_ROOT: OnceLock<bool> = OnceLock::new();
    let can_mount = || {
        let mut unshare = command("unshare");
        unshare.args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null());
        unshare.status().is_ok_and(|status| status.success())
    };
    let is_root = *IS_ROOT.get_or_init(|| rustix::process::geteuid().is_root() && can_mount());
    assert!(
        is_root,
        "this test wants other files in the place of /etc/ssh or /etc/resolv.conf, and port 53, which takes root: run \
         tests/run, as root or as a user who may make user namespaces (Debian: uidmap, and a range in /etc/subuid)"
    );
}

/// `program`, with its arguments and environment, where these files or folders stand in the place of others.
#[track_caller]
pub fn with_files(program: &Command, files: &[(&Path, &str)]) -> Command {
    let mounts: Vec<String> =
        files.iter().enumerate().map(|(n, (_, place))| format!("mount --bind \"${n}\" {place}")).collect();
    let files: Vec<&Path> = files.iter().map(|(file, _)| *file).collect();
    after(program, &mounts.join(" && "), &files)
}

/// The same, once this script has mounted something, which finds `arguments` from $0 on.
#[track_caller]
pub fn after(program: &Command, script: &str, arguments: &[&Path]) -> Command {
    needs_root();
    let mut made = command("unshare");
    let more = arguments.len() - 1;
    made.args(["-m", "sh", "-c"]).arg(format!("{script} && shift {more} && exec \"$@\""));
    made.args(arguments).arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => made.env(name, value),
            None => made.env_remove(name),
        };
    }
    made
}
