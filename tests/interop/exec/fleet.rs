//! Many hosts, each at an address of its own on loopback, served by a few real servers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

use super::LIMIT;

/// How many addresses one sshd listens at, besides its own: 16 are its limit.
const EACH: usize = 15;

/// Some servers, and the port at which all hosts are.
pub struct Servers {
    pub sshds: Vec<Sshd>,
    pub port: Port,
}

impl Servers {
    /// For so many hosts; all let the first one's user in. Bash reads no files at its second level: some take their time.
    pub fn new(hosts: usize, extra: &str) -> Servers {
        let port = Port::free();
        let count = hosts.div_ceil(EACH);
        let sshds: Vec<Sshd> = (0..count)
            .map(|at| {
                let addresses: String = (0..EACH)
                    .map(|i| format!("ListenAddress {}:{}\n", address(at * EACH + i), port.number()))
                    .collect();
                Sshd::start_with(
                    &["ed25519"],
                    &format!("{addresses}LogLevel VERBOSE\nSetEnv SHLVL=1\n{extra}"),
                )
            })
            .collect();
        for sshd in &sshds[1..] {
            fs::copy(sshds[0].sandbox.join("user.pub"), sshd.sandbox.join("authorized_keys")).unwrap();
        }
        Servers { sshds, port }
    }

    /// The one that serves the host at this place.
    pub fn of(&self, host: usize) -> &Sshd {
        &self.sshds[host / EACH]
    }

    /// Zone file lines of a host: its address, and the keys of the server there.
    pub fn records(&self, owner: &str, host: usize) -> Vec<String> {
        [vec![format!("{owner} A {}", address(host))], self.of(host).sshfp(owner)].concat()
    }

    pub fn user(&self) -> PathBuf {
        self.sshds[0].sandbox.join("user")
    }

    pub fn at(&self, host: usize) -> SocketAddr {
        format!("{}:{}", address(host), self.port.number()).parse().unwrap()
    }

    /// How many clients have asked to be let in.
    pub fn logins(&self) -> usize {
        self.sshds.iter().map(|sshd| sshd.process.log().matches("Accepted publickey").count()).sum()
    }
}

/// The address of the host at this place.
pub fn address(host: usize) -> String {
    format!("127.80.{}.{}", host / 200, host % 200 + 1)
}

/// h1 to hN.example.test, published.
pub struct Fleet {
    pub tree: Tree,
    pub servers: Servers,
    pub count: usize,
}

impl Fleet {
    pub fn new(count: usize) -> Fleet {
        Fleet::with(count, "", |plan| plan)
    }

    pub fn with(count: usize, extra: &str, more: impl FnOnce(Plan) -> Plan) -> Fleet {
        let servers = Servers::new(count, extra);
        let records = (0..count).flat_map(|i| servers.records(&format!("h{}.example.test.", i + 1), i));
        let plan = records.fold(Tree::plan(), |plan, line| plan.record(&line));
        Fleet { tree: more(plan).start(), servers, count }
    }

    /// exec on the hosts of `set`, without the command.
    pub fn exec_on(&self, set: &str) -> Command {
        let mut exec = self.tree.sshanchor(self.tree.addr());
        exec.args(["exec", "-H", set, "-p", &self.servers.port.number().to_string()]);
        // Others use this machine too.
        exec.args(["--timeout", "60"]);
        exec.env_remove("SSH_AUTH_SOCK").arg("-i").arg(self.servers.user());
        exec
    }

    /// exec on all of them.
    pub fn exec(&self) -> Command {
        self.exec_on(&format!("h[1-{}].example.test", self.count))
    }

    pub fn runs(&self, options: &[&str], command: &str) -> Finished {
        run(self.exec().args(options).args(["--", command]), LIMIT)
    }
}

/// Starts it with pipes.
pub fn started(exec: &mut Command) -> Child {
    exec.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Until what has come is enough.
pub fn read_until(from: &mut impl Read, is_enough: impl Fn(&str) -> bool) {
    let (mut all, mut portion) = (Vec::new(), [0; 4096]);
    while !is_enough(&String::from_utf8_lossy(&all)) {
        let length = from.read(&mut portion).unwrap();
        assert!(length > 0, "it ends: {}", String::from_utf8_lossy(&all));
        all.extend(&portion[..length]);
    }
}

/// Its status and the rest of both outputs.
pub fn ended(mut child: Child) -> (Option<i32>, String, String) {
    drop(child.stdin.take());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let told = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).unwrap();
        text
    });
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    let mut status = None;
    let has_ended = wait_until(LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(has_ended);
    (status.and_then(|status| status.code()), text, told.join().unwrap())
}

/// A server at `at` that takes connections and never says a word.
pub fn mute(at: SocketAddr) {
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            held.push(stream);
        }
    });
}

/// A real server at `at`, which hears nothing any more once the key exchange is over.
pub fn deaf_after_the_handshake(at: SocketAddr, server: SocketAddr) {
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect(server).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || handshake_alone(client, server));
        }
    });
}

/// The client's part: its version, and packets in clear up to NEWKEYS.
fn handshake_alone(mut client: TcpStream, mut server: TcpStream) {
    let mut octet = [0];
    loop {
        client.read_exact(&mut octet).unwrap();
        server.write_all(&octet).unwrap();
        if octet == [b'\n'] {
            break;
        }
    }
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length).unwrap();
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut packet).unwrap();
        server.write_all(&length).unwrap();
        server.write_all(&packet).unwrap();
        if packet[1] == 21 {
            break;
        }
    }
    // The rest is read and goes nowhere.
    let _ = std::io::copy(&mut client, &mut std::io::sink());
    drop(server);
}
