//! libssh, through Python: Debian has no program of its own for it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::peer::command;
use super::port::Port;
use super::process::Process;
use super::sandbox::Sandbox;
use super::sshd::{keygen, sshfp_lines};

const PROGRAM: &str = include_str!("libssh.py");

/// A client that asks for nothing but the key exchange, and to be let in. PORT is for the known_hosts file alone.
pub fn client(host: &str, port: u16, kex: &str, keys: &str, proxy: &str) -> Command {
    let mut python = command("python3");
    python.args(["-c", PROGRAM, "client", host, &port.to_string(), kex, keys, proxy]);
    python
}

/// A running server with a host key of each type; it lets nobody in.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    sandbox: Sandbox,
    port: Port,
}

impl Server {
    /// With fresh host keys.
    pub fn start() -> Server {
        let (sandbox, port) = (Sandbox::new(), Port::free());
        let mut python = command("python3");
        python.args(["-c", PROGRAM, "server", &port.number().to_string()]);
        for name in KEYS {
            keygen(&["-t", name], &sandbox.join(name));
            python.arg(sandbox.join(name));
        }
        let ready = || TcpStream::connect(port.addr()).is_ok();
        let process = Process::start("libssh", python, sandbox.path(), ready);
        Server { process, sandbox, port }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// SSHFP lines of its host keys for `owner`.
    pub fn sshfp(&self, owner: &str) -> Vec<String> {
        let public = |name: &str| -> PathBuf { Path::new(&self.sandbox.join(name)).with_extension("pub") };
        KEYS.iter().flat_map(|name| sshfp_lines(&public(name), owner)).collect()
    }
}

const KEYS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];
