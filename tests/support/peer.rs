//! Finding peers' programs. A missing one is a failure that names its package, never a skip.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Program and the Debian package that holds it.
const PACKAGES: &[(&str, &str)] = &[
    ("named", "bind9"),
    ("named-compilezone", "bind9-utils"),
    ("dnssec-keygen", "bind9-utils"),
    ("dnssec-signzone", "bind9-utils"),
    ("dnssec-dsfromkey", "bind9-utils"),
    ("delv", "bind9-dnsutils"),
    ("dig", "bind9-dnsutils"),
    ("nsupdate", "bind9-dnsutils"),
    ("unbound", "unbound"),
    ("unbound-control", "unbound"),
    ("unbound-host", "unbound-host"),
    ("knotd", "knot"),
    ("keymgr", "knot"),
    ("kjournalprint", "knot"),
    ("pdns_server", "pdns-server"),
    ("pdnsutil", "pdns-server"),
    ("rndc", "bind9-utils"),
    ("nsd", "nsd"),
    ("named-checkzone", "bind9-utils"),
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("ssh-agent", "openssh-client"),
    ("ssh-add", "openssh-client"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("dbclient", "dropbear-bin"),
    ("dropbearconvert", "dropbear-bin"),
    ("puttygen", "putty-tools"),
    ("git", "git"),
    ("scp", "openssh-client"),
    ("sftp", "openssh-client"),
    ("script", "bsdutils"),
    ("unshare", "util-linux"),
    ("python3", "python3"),
    ("plink", "putty-tools"),
    ("puttygen", "putty-tools"),
    ("bash", "bash"),
    ("id", "coreutils"),
    ("ssh-keyscan", "openssh-client"),
    ("systemd-analyze", "systemd"),
    ("promtool", "prometheus"),
    ("dash", "dash"),
    ("dpkg", "dpkg"),
    ("dpkg-deb", "dpkg"),
    ("systemctl", "systemd"),
    ("lintian", "lintian"),
    ("strip", "binutils"),
    ("find", "findutils"),
    ("chromium-headless-shell", "chromium-headless-shell"),
];

/// The program `name`, from PATH or the folders where Debian keeps servers.
pub fn peer(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
        .unwrap_or_else(|| {
            let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or("?", |(_, p)| p);
            panic!("{name} is missing: apt-get install {package} (or run tests/run, which does)")
        })
}

/// A command that starts the peer `name` with nothing of this user's environment that could steer it.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(peer(name));
    command.env("LC_ALL", "C").env("TZ", "UTC");
    for variable in ["SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY"] {
        command.env_remove(variable);
    }
    command
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
