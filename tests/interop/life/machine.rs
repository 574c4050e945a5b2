//! A machine with host keys in its /etc/ssh, sshd, a configuration of sshanchor, and its state.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::world::World;
use super::{HOST, LOGIN_GRACE, SOON, TTL};
use crate::interop::primary::{private, record};
use crate::support::namespace::with_files;
use crate::support::peer::{command, peer};
use crate::support::port::Port;
use crate::support::process::{run, wait_until};
use crate::support::sandbox::clean;
use crate::support::sshd::{KEY_TYPES, keygen};
use crate::support::{Finished, Process, Sandbox};

pub struct Machine {
    pub sshd: Option<Process>,
    pub home: Sandbox,
    port: Port,
    types: Vec<String>,
}

impl Machine {
    /// Without host keys yet; it is to publish them at [`HOST`].
    pub fn new(world: &World) -> Machine {
        let machine = Machine { sshd: None, home: Sandbox::new(), port: Port::free(), types: Vec::new() };
        let home = &machine.home;
        fs::create_dir(home.join("ssh")).unwrap();
        fs::create_dir(home.join("ssh/sshd_config.d")).unwrap();
        keygen(&["-t", "ed25519"], &home.join("user"));
        fs::copy(home.join("user.pub"), home.join("authorized_keys")).unwrap();
        world.resolv_conf(home);
        home.write("ssh/sshd_config", &machine.sshd_config());
        machine.configure(world, "");
        machine
    }

    /// With host keys of `types`, and sshd running.
    pub fn with(world: &World, types: &[&str]) -> Machine {
        let mut machine = Machine::new(world);
        machine.makes_host_keys(types);
        machine.starts_sshd();
        machine
    }

    /// As Debian has it, but for what lets many of them live beside each other.
    fn sshd_config(&self) -> String {
        let home = self.home.path().display();
        format!(
            "Include /etc/ssh/sshd_config.d/*.conf\nListenAddress {}\nPidFile {home}/sshd.pid\nLoginGraceTime {}\n\
             AuthorizedKeysFile {home}/authorized_keys\nUsePAM no\nStrictModes no\nLogLevel VERBOSE\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\nMaxStartups 100\n",
            self.port.addr(),
            LOGIN_GRACE.as_secs()
        )
    }

    /// Its configuration, with `more` at the end.
    pub fn configure(&self, world: &World, more: &str) {
        let servers = [world.tree.addr(), world.secondary.addr()];
        let text = format!(
            "version = 1\ntrust_anchor = \"{}\"\ntimeout = \"10s\"\n\
             [publish]\nname = \"{HOST}\"\nserver = \"{}\"\nkey_file = \"{}\"\nttl = {TTL}\n\
             check_servers = [\"{}\", \"{}\"]\n[agent]\ninterval = \"1s\"\nsocket = \"{}\"\n{more}\n",
            world.tree.anchor().display(),
            servers[0],
            private(world.tree.tsig("web1")).display(),
            servers[0],
            servers[1],
            self.home.join("agent.sock").display(),
        );
        private(self.home.write("config.toml", &text));
    }

    pub fn makes_host_keys(&mut self, types: &[&str]) {
        for name in types {
            let (_, arguments) = KEY_TYPES.iter().find(|(known, _)| known == name).unwrap();
            keygen(arguments, &self.host_key(name));
            self.types.push((*name).to_owned());
        }
    }

    /// Other keys of the same types stand in their places, and sshd has started anew.
    pub fn changes_host_keys(&mut self) {
        let types = std::mem::take(&mut self.types);
        for name in &types {
            fs::remove_file(self.host_key(name)).unwrap();
        }
        self.makes_host_keys(&types.iter().map(String::as_str).collect::<Vec<_>>());
        self.sshd = None;
        fs::remove_file(self.home.join("sshd.pid")).unwrap_or_default();
        let is_free = || TcpListener::bind(self.port.addr()).is_ok();
        assert!(wait_until(SOON, is_free), "the port is not let go");
        self.starts_sshd();
    }

    /// Where the private key of this type is, as sshd looks for it.
    fn host_key(&self, name: &str) -> PathBuf {
        let family = if name.starts_with("ecdsa") { "ecdsa" } else { name };
        self.home.join(&format!("ssh/ssh_host_{family}_key"))
    }

    pub fn starts_sshd(&mut self) {
        let _ = fs::create_dir("/run/sshd");
        let mut sshd = self.command(&peer("sshd"));
        sshd.args(["-D", "-e"]);
        let addr = self.port.addr();
        self.sshd = Some(Process::start("sshd", sshd, self.home.path(), || TcpStream::connect(addr).is_ok()));
        let pid = || fs::read_to_string(self.home.join("sshd.pid")).is_ok_and(|text| text.ends_with('\n'));
        assert!(wait_until(SOON, pid));
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// `program` on this machine.
    fn command(&self, program: &Path) -> Command {
        let (ssh, resolv) = (self.home.join("ssh"), self.home.join("resolv.conf"));
        let mut command =
            with_files(&Command::new(program), &[(&ssh, "/etc/ssh"), (&resolv, "/etc/resolv.conf")]);
        clean(&mut command, self.home.path());
        command
    }

    /// `sshanchor ARGUMENTS` on this machine, by its configuration.
    pub fn sshanchor(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_sshanchor")));
        command.env_remove("SSHANCHOR_CONFIG").env("SSHANCHOR_STATE", self.home.join("state"));
        command.arg("--config").arg(self.home.join("config.toml")).args(arguments);
        command
    }

    pub fn runs(&self, arguments: &[&str]) -> Finished {
        run(&mut self.sshanchor(arguments), SOON)
    }

    /// Its agent, started.
    pub fn agent(&self) -> Agent {
        Agent(Process::start("agent", self.sshanchor(&["-v", "agent"]), self.home.path(), || true))
    }

    /// `rotate ARGUMENTS`, started.
    pub fn rotates(&self, arguments: &[&str]) -> Process {
        let command = self.sshanchor(&[&["rotate", "--json"], arguments].concat());
        Process::start("rotate", command, self.home.path(), || true)
    }

    /// Its public keys as known_hosts has them.
    pub fn public_keys(&self) -> Vec<String> {
        let read = |name: &String| {
            let text = fs::read_to_string(self.host_key(name).with_extension("pub")).unwrap();
            text.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        self.types.iter().map(read).collect()
    }

    /// Where its sshd tells what it does.
    pub fn sshd_log(&self) -> PathBuf {
        self.home.join("sshd.log")
    }

    /// Waits until sshd offers keys of these types, and no others.
    #[track_caller]
    pub fn offers(&self, types: &[&str]) {
        assert!(wait_until(SOON, || self.offered() == types), "{:?}, and not {types:?}", self.offered());
    }

    /// The types that sshd offers to a client, as ssh-keyscan finds them.
    fn offered(&self) -> Vec<String> {
        let port = self.port().to_string();
        let mut scan = command("ssh-keyscan");
        let found = run(scan.args(["-p", &port, "-t", "rsa,ecdsa,ed25519", "127.0.0.1"]), SOON).stdout;
        let mut types: Vec<String> =
            found.lines().filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).collect();
        types.sort();
        types
    }

    /// The record of its key of this type, as it is on disk.
    pub fn record(&self, name: &str) -> String {
        record(&self.host_key(name).with_extension("pub"))
    }

    /// Those of all its keys.
    pub fn records(&self) -> Vec<String> {
        self.types.iter().map(|name| self.record(name)).collect()
    }

    /// Waits until `rotate` has ended well.
    #[track_caller]
    pub fn has_rotated(&self, mut rotate: Process) {
        let status = rotate.wait(2 * SOON);
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", rotate.log());
        assert_eq!(last_line(&rotate.log())["status"], "done", "{}", rotate.log());
        self.is_tidy();
    }

    /// Nothing of a rotation is left.
    #[track_caller]
    pub fn is_tidy(&self) {
        let names = |folder: &str| {
            let entries = fs::read_dir(self.home.join(folder)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let left: Vec<_> = names("ssh").into_iter().filter(|name| name.contains("sshanchor")).collect();
        assert_eq!((left, names("ssh/sshd_config.d")), (Vec::<String>::new(), Vec::new()));
        for name in &self.types {
            let mode = fs::metadata(self.host_key(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

/// A running agent.
pub struct Agent(pub Process);

impl Agent {
    /// Waits until it says `text`.
    #[track_caller]
    pub fn says(&self, text: &str) {
        assert!(self.0.logs(text, SOON), "it did not say {text:?}:\n{}", self.0.log());
    }

    /// How often it has said `text`.
    pub fn said(&self, text: &str) -> usize {
        self.0.log().matches(text).count()
    }

    /// Waits until it has said `text` more often than now.
    #[track_caller]
    pub fn says_again(&self, text: &str) {
        let before = self.said(text);
        assert!(wait_until(SOON, || self.said(text) > before), "no more {text:?}:\n{}", self.0.log());
    }

    /// Ends it as systemd does.
    #[track_caller]
    pub fn ends(mut self) {
        self.0.signal(Signal::TERM);
        assert_eq!(self.0.wait(SOON).and_then(|status| status.code()), Some(0), "{}", self.0.log());
    }
}

/// The last line of a command that printed JSON.
pub fn last_line(text: &str) -> Value {
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}
