//! Dropbear's server and client.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::peer::command;
use super::port::Port;
use super::process::{Process, run_ok};
use super::sandbox::Sandbox;
use super::sshd::sshfp_lines;

/// A running dropbear; it lets nobody in unless it is said.
#[derive(Debug)]
pub struct Dropbear {
    pub process: Process,
    sandbox: Sandbox,
    port: Port,
    types: Vec<String>,
}

impl Dropbear {
    /// With a fresh Ed25519 host key.
    pub fn start() -> Dropbear {
        Dropbear::start_with(&["ed25519"])
    }

    /// With a fresh host key of each of these types, as dropbearkey names them.
    pub fn start_with(types: &[&str]) -> Dropbear {
        Self::launch(Sandbox::new(), command("dropbear"), types)
    }

    /// With an Ed25519 host key, letting in whoever holds the key of this authorized_keys line. Dropbear looks for it at home, which
    /// the user database tells: nss_wrapper puts another one in its place.
    pub fn letting_in(line: &str) -> Dropbear {
        let sandbox = Sandbox::new();
        std::fs::create_dir(sandbox.join(".ssh")).unwrap();
        sandbox.write(".ssh/authorized_keys", line);
        let id = |what: &str| run_ok(Command::new("id").arg(what)).trim().to_owned();
        let (name, user, group, home) = (id("-un"), id("-u"), id("-g"), sandbox.path().display());
        let line = format!("{name}:x:{user}:{group}::{home}:/bin/sh\n");
        let passwd = sandbox.write("passwd", &line);
        let mut dropbear = command("dropbear");
        dropbear.env("LD_PRELOAD", "libnss_wrapper.so").env("NSS_WRAPPER_PASSWD", passwd);
        dropbear.env("NSS_WRAPPER_GROUP", "/etc/group");
        Self::launch(sandbox, dropbear, &["ed25519"])
    }

    fn launch(sandbox: Sandbox, mut dropbear: Command, types: &[&str]) -> Dropbear {
        let port = Port::free();
        // In the foreground, logging to stderr, without passwords.
        dropbear.args(["-F", "-E", "-s", "-p", &port.addr().to_string()]);
        dropbear.arg("-P").arg(sandbox.join("pid"));
        for name in types {
            dropbear.arg("-r").arg(key_of(name, &sandbox.join(name)).0);
        }
        let ready = || TcpStream::connect(port.addr()).is_ok();
        let process = Process::start("dropbear", dropbear, sandbox.path(), ready);
        let types = types.iter().map(|&name| name.to_owned()).collect();
        Dropbear { process, sandbox, port, types }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// SSHFP lines of its host keys for `owner`.
    pub fn sshfp(&self, owner: &str) -> Vec<String> {
        let lines = |name: &String| sshfp_lines(&self.sandbox.join(&format!("{name}.pub")), owner);
        self.types.iter().flat_map(lines).collect()
    }
}

/// A fresh Ed25519 key in dropbear's format, and its public half in OpenSSH's.
pub fn key(file: &Path) -> (PathBuf, PathBuf) {
    key_of("ed25519", file)
}

fn key_of(name: &str, file: &Path) -> (PathBuf, PathBuf) {
    run_ok(command("dropbearkey").args(["-t", name, "-f"]).arg(file));
    let text = run_ok(command("dropbearkey").args(["-y", "-f"]).arg(file));
    let line = text.lines().find(|line| line.contains(" AAAA")).unwrap();
    let public = file.with_extension("pub");
    std::fs::write(&public, format!("{line}\n")).unwrap();
    (file.to_owned(), public)
}
