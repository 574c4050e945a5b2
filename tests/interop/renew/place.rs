//! An sshd with certificates, two CAs, and signers that are scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::peer::command;
use crate::support::process::{Finished, run, run_ok, wait_until};
use crate::support::sandbox::Sandbox;
use crate::support::sshd::{Sshd, keygen};

pub const NAME: &str = "web1.example.com";
const LIMIT: Duration = Duration::from_secs(60);

/// A host whose certificates are renewed.
pub struct Place {
    pub sshd: Sshd,
    /// CAs, scripts and the home of who renews.
    pub home: Sandbox,
    types: Vec<String>,
}

impl Place {
    /// An sshd with host keys of these types, a certificate by the first CA for each, valid as `ssh-keygen -V` has it.
    pub fn new(types: &[&str], window: &str) -> Place {
        let sshd = Sshd::start(types);
        let home = Sandbox::new();
        for ca in ["ca", "other-ca"] {
            keygen(&["-t", "ed25519"], &home.join(ca));
        }
        let mut place = Place { sshd, home, types: types.iter().map(|&name| name.to_owned()).collect() };
        for name in types {
            place.sign(name, "ca", &["-h", "-n", NAME, "-V", window]);
        }
        let lines = place.lines();
        place.sshd.configure(&lines);
        place.sshd.reads_keys_once();
        place.has_left_its_pid();
        place
    }

    /// sshd_config lines for the certificates and the pid file.
    pub fn lines(&self) -> String {
        let certificate = |name: &String| format!("HostCertificate {}\n", self.certificate(name).display());
        let lines: String = self.types.iter().map(certificate).collect();
        lines + &self.pid_file()
    }

    pub fn pid_file(&self) -> String {
        format!("PidFile {}\n", self.home.join("sshd.pid").display())
    }

    /// sshd listens first, and leaves its id then.
    pub fn has_left_its_pid(&self) {
        let id = self.sshd.process.id().to_string();
        let file = self.home.join("sshd.pid");
        let has = || fs::read_to_string(&file).is_ok_and(|text| text.trim() == id);
        assert!(wait_until(LIMIT, has));
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.sshd.sandbox.join(&format!("host_{name}-cert.pub"))
    }

    /// Writes the certificate of a host key by ssh-keygen.
    pub fn sign(&self, name: &str, ca: &str, arguments: &[&str]) {
        let mut keygen = command("ssh-keygen");
        keygen.arg("-q").arg("-s").arg(self.home.join(ca)).args(["-I", "test"]).args(arguments);
        run_ok(keygen.arg(self.sshd.host_key(name)));
    }

    /// The line in the certificate's file, without its comment.
    pub fn on_disk(&self, name: &str) -> String {
        two_words(&fs::read_to_string(self.certificate(name)).unwrap())
    }

    /// The certificates that sshd shows to OpenSSH's own scanner.
    pub fn served(&self) -> Vec<String> {
        let port = self.sshd.port().to_string();
        let mut scan = command("ssh-keyscan");
        // While sshd starts anew there are none.
        let text = run(scan.args(["-c", "-p", &port, "127.0.0.1"]), LIMIT).stdout;
        // It prints certificates without a host before them.
        text.lines().filter(|line| !line.starts_with('#')).map(two_words).collect()
    }

    /// A script in the home.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let file = self.home.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    /// The signer of contrib/, with a CA.
    pub fn signer(&self, ca: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/ca/sign-with-ssh-keygen");
        format!("{} {} %n %v", script.display(), self.home.join(ca).display())
    }

    /// `sshanchor ca renew` for this sshd.
    pub fn command(&self, signer: &str) -> Command {
        let mut command = self.home.sshanchor();
        command.args(["ca", "renew", "--sshd-config"]);
        command.arg(self.sshd.sandbox.join("sshd_config")).args(["--signer", signer]);
        command
    }

    pub fn renew(&self, arguments: &[&str]) -> Finished {
        self.renew_by(&self.signer("ca"), arguments)
    }

    pub fn renew_by(&self, signer: &str, arguments: &[&str]) -> Finished {
        run(self.command(signer).args(arguments), LIMIT)
    }

    /// Nothing but the certificate lies beside the key.
    pub fn left_over(&self) -> Vec<String> {
        let names = fs::read_dir(self.sshd.sandbox.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("before-renewal") || name.starts_with('.')).collect()
    }

    /// ssh, which believes the CA alone, logs in as to [`NAME`].
    pub fn ssh_by(&self, ca: &str) -> Finished {
        let public = fs::read_to_string(self.home.join(&format!("{ca}.pub"))).unwrap();
        let known = self.home.write("known_hosts", &format!("@cert-authority {NAME} {public}"));
        let mut ssh = self.sshd.ssh();
        // The first value counts, and /dev/null stands already: by the other file.
        let text = ssh.get_args().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let mut again = command("ssh");
        again.args(text.iter().map(|a| match a.as_str() {
            "UserKnownHostsFile=/dev/null" => format!("UserKnownHostsFile={}", known.display()),
            other => other.to_owned(),
        }));
        ssh = again;
        ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", &format!("HostKeyAlias={NAME}")]);
        run(ssh.args(["127.0.0.1", "echo", "in"]), LIMIT)
    }
}

fn two_words(line: &str) -> String {
    line.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
