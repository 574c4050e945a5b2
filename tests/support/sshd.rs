//! OpenSSH's server on a loopback port, as root or as anybody, and its client.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::peer::{command, peer};
use super::port::Port;
use super::process::{Process, run_ok};
use super::sandbox::Sandbox;

/// Host key types that Debian's sshd serves: name for a file, and ssh-keygen's arguments.
pub const KEY_TYPES: [(&str, &[&str]); 5] = [
    ("rsa", &["-t", "rsa", "-b", "2048"]),
    ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
    ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
    ("ed25519", &["-t", "ed25519"]),
];

/// Those that are too small to prove anything.
pub const WEAK_KEYS: [(&str, &[&str]); 2] =
    [("rsa1024", &["-t", "rsa", "-b", "1024"]), ("rsa2047", &["-t", "rsa", "-b", "2047"])];

/// A running sshd and the one key that it lets in.
#[derive(Debug)]
pub struct Sshd {
    pub process: Process,
    pub sandbox: Sandbox,
    port: Port,
    types: Vec<String>,
    extra: String,
    options: &'static [&'static str],
}

impl Sshd {
    /// An sshd with fresh host keys of `types` (of [`KEY_TYPES`] or [`WEAK_KEYS`]).
    pub fn start(types: &[&str]) -> Sshd {
        Sshd::start_with(types, "")
    }

    /// The same with more lines of sshd_config.
    pub fn start_with(types: &[&str], extra: &str) -> Sshd {
        let sandbox = Sandbox::new();
        for name in types {
            host_key(&sandbox, name);
        }
        keygen(&["-t", "ed25519"], &sandbox.join("user"));
        fs::copy(sandbox.join("user.pub"), sandbox.join("authorized_keys")).unwrap();
        let port = Port::free();
        let types: Vec<String> = types.iter().map(|&name| name.to_owned()).collect();
        let process = launch(&sandbox, &port, &types, extra, &[]);
        Sshd { process, sandbox, port, types, extra: extra.to_owned(), options: &[] }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The public half of its host key of type `name`.
    pub fn host_key(&self, name: &str) -> PathBuf {
        self.sandbox.join(&format!("host_{name}.pub"))
    }

    /// The public halves of all its host keys.
    pub fn host_keys(&self) -> Vec<PathBuf> {
        self.types.iter().map(|name| self.host_key(name)).collect()
    }

    /// SSHFP lines of its host keys for `owner`, SHA-256 alone, as OpenSSH sees them.
    pub fn sshfp(&self, owner: &str) -> Vec<String> {
        self.host_keys().iter().flat_map(|file| sshfp_lines(file, owner)).collect()
    }

    /// nsupdate's lines that make these keys the SSHFP set of `owner`.
    pub fn sshfp_update(&self, owner: &str) -> String {
        let adds = self.sshfp(owner).into_iter().map(|line| {
            let data = line.split_once(" IN ").unwrap().1;
            format!("\nupdate add {owner} 60 {data}")
        });
        format!("update delete {owner} SSHFP{}", adds.collect::<String>())
    }

    /// Replaces every host key by a fresh one of its type and starts again on the same port: what
    /// an impostor at this address looks like.
    pub fn rotate_host_keys(&mut self) {
        for name in &self.types {
            fs::remove_file(self.sandbox.join(&format!("host_{name}"))).unwrap();
            host_key(&self.sandbox, name);
        }
        self.restart();
    }

    /// Starts again with more lines of sshd_config.
    pub fn configure(&mut self, extra: &str) {
        self.extra = extra.to_owned();
        self.restart();
    }

    /// Starts again as one that reads its keys and certificates once, at its start, as OpenSSH 9.8 and later do; those
    /// before start anew for each client.
    pub fn reads_keys_once(&mut self) {
        self.options = &["-r"];
        self.restart();
    }

    /// The other way round.
    pub fn reads_keys_for_each_client(&mut self) {
        self.options = &[];
        self.restart();
    }

    /// Ends it and starts it again; the log goes on.
    pub fn restart(&mut self) {
        self.process.kill();
        // A child that it has just made for a client may still hold the socket: the next one could not bind it, and would
        // seem to be there all the same.
        let is_free = || TcpListener::bind(self.port.addr()).is_ok();
        assert!(super::process::wait_until(Duration::from_secs(20), is_free), "the port is not let go");
        self.process = launch(&self.sandbox, &self.port, &self.types, &self.extra, self.options);
    }

    /// ssh to this server's user as `host`, believing no configuration file and asking nobody. How
    /// the host is judged is the caller's to say; HOST and COMMAND are the last arguments.
    pub fn ssh(&self) -> Command {
        let mut ssh = command("ssh");
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
        ssh.arg(self.sandbox.join("user")).arg("-p").arg(self.port().to_string());
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"]);
        ssh
    }

    /// Whether some client has finished the key exchange, since the log was `mark` octets long.
    pub fn saw_newkeys(&self, mark: usize) -> bool {
        self.process.log()[mark..].contains("SSH2_MSG_NEWKEYS received")
    }

    /// Whether some client has begun to authenticate, since the log was `mark` octets long.
    pub fn saw_userauth(&self, mark: usize) -> bool {
        self.process.log()[mark..].contains("userauth-request")
    }

    /// The length of the log by now.
    pub fn mark(&self) -> usize {
        self.process.log().len()
    }

    /// Waits until the server is done with a client, so that its log since `mark` is whole.
    pub fn wait_closed(&self, mark: usize) {
        let closed = || {
            let log = &self.process.log()[mark..];
            ["Connection closed by", "Connection reset by", "Received disconnect", "Disconnected from"]
                .iter()
                .any(|end| log.contains(end))
        };
        assert!(
            super::process::wait_until(Duration::from_secs(5), closed),
            "{}",
            &self.process.log()[mark..]
        );
    }
}

/// The SHA-256 SSHFP lines that ssh-keygen prints for a public key.
pub fn sshfp_lines(public: &Path, owner: &str) -> Vec<String> {
    let text = run_ok(command("ssh-keygen").args(["-r", owner, "-f"]).arg(public));
    text.lines().filter(|line| line.split(' ').nth(4) == Some("2")).map(str::to_owned).collect()
}

/// A fresh key pair without a passphrase.
pub fn keygen(arguments: &[&str], file: &Path) {
    run_ok(command("ssh-keygen").args(["-q", "-N", "", "-C", "test", "-f"]).arg(file).args(arguments));
}

fn host_key(sandbox: &Sandbox, name: &str) {
    let (_, arguments) = KEY_TYPES.iter().chain(&WEAK_KEYS).find(|(n, _)| *n == name).unwrap();
    keygen(arguments, &sandbox.join(&format!("host_{name}")));
}

fn launch(sandbox: &Sandbox, port: &Port, types: &[String], extra: &str, options: &[&str]) -> Process {
    // Started by root, sshd wants its empty folder, which Debian makes at boot.
    let _ = fs::create_dir("/run/sshd");
    let folder = sandbox.path().display();
    let keys: String = types.iter().map(|name| format!("HostKey {folder}/host_{name}\n")).collect();
    let conf = format!(
        "ListenAddress {}\n{keys}AuthorizedKeysFile {folder}/authorized_keys\n{extra}\n\
         UsePAM no\nStrictModes no\nPidFile none\nLogLevel DEBUG3\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\n\
         MaxStartups 100\nSubsystem sftp internal-sftp\n",
        port.addr()
    );
    let conf = sandbox.write("sshd_config", &conf);
    // sshd starts itself again for each client, by the path it was started by: absolute.
    let mut sshd = command("sshd");
    sshd.args(options).args(["-D", "-e", "-f"]).arg(conf);
    debug_assert!(peer("sshd").is_absolute());
    Process::start("sshd", sshd, sandbox.path(), || TcpStream::connect(port.addr()).is_ok())
}
