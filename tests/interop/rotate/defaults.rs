//! sshd as distributions ship it: an Include at the top, no HostKey line; and one that is started for each connection.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use serde_json::{Value, json};

use super::place::offered_at;
use crate::interop::primary::{HOST, LIMIT, Primary, record, sorted};
use crate::support::namespace::with_files;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::process::{Process, wait_until};
use crate::support::sshd::keygen;
use crate::support::{Finished, Sandbox, run};

/// A machine whose /etc/ssh is a folder of the test's, for programs that are started by [`Machine::inside`].
struct Machine {
    primary: Primary,
    etc: Sandbox,
    port: Port,
    _sshd: Option<Process>,
}

impl Machine {
    fn new(types: &[&str]) -> Machine {
        let mut machine = Machine::without_sshd(types);
        let _ = fs::create_dir("/run/sshd");
        let mut sshd = command("sshd");
        sshd.args(["-D", "-e"]);
        let address = machine.port.addr();
        let process = Process::start("sshd", machine.inside(&sshd), machine.etc.path(), || {
            TcpStream::connect(address).is_ok()
        });
        let pid = machine.etc.join("pid");
        assert!(wait_until(LIMIT, || pid.exists()));
        machine._sshd = Some(process);
        machine
    }

    fn without_sshd(types: &[&str]) -> Machine {
        let (primary, etc, port) = (Primary::bind(), Sandbox::new(), Port::free());
        fs::create_dir(etc.join("sshd_config.d")).unwrap();
        for name in types {
            keygen(&["-t", name], &etc.join(&format!("ssh_host_{name}_key")));
        }
        keygen(&["-t", "ed25519"], &etc.join("user"));
        fs::copy(etc.join("user.pub"), etc.join("authorized_keys")).unwrap();
        let folder = etc.path().display();
        etc.write(
            "sshd_config",
            &format!(
                "Include /etc/ssh/sshd_config.d/*.conf\nListenAddress {}\nAuthorizedKeysFile {folder}/authorized_keys\n\
                 PidFile {folder}/pid\nLoginGraceTime 2\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nUseDNS no\n\
                 MaxStartups 100\n",
                port.addr()
            ),
        );
        Machine { primary, etc, port, _sshd: None }
    }

    /// The same command with this machine's /etc/ssh.
    fn inside(&self, program: &Command) -> Command {
        with_files(program, &[(self.etc.path(), "/etc/ssh")])
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Finished {
        let server = self.primary.addr().to_string();
        let mut made = self.primary.tree().sshanchor(self.primary.addr());
        made.args([
            name,
            "--json",
            "--name",
            HOST,
            "--server",
            &server,
            "--check-server",
            &server,
            "--key-file",
        ]);
        made.arg(self.primary.tsig("web1")).args(arguments);
        run(&mut self.inside(&made), LIMIT)
    }

    #[track_caller]
    fn rotates(&self, arguments: &[&str], code: i32, status: &str) -> Value {
        let finished = self.run("rotate", arguments);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let told = finished.json_lines().pop().unwrap();
        assert_eq!(told["status"], status, "{finished:#?}");
        told
    }

    #[track_caller]
    fn rotates_until(&self, status: &str) {
        let is_there = || {
            sleep(Duration::from_millis(100));
            let finished = self.run("rotate", &["--resume"]);
            finished.json_lines().pop().is_some_and(|told| told["status"] == status)
        };
        assert!(wait_until(LIMIT, is_there), "{:#?}", self.run("rotate", &["--resume"]));
    }

    fn record(&self, name: &str) -> String {
        record(&self.etc.join(&format!("ssh_host_{name}_key.pub")))
    }

    fn in_dns(&self) -> Vec<String> {
        self.primary.records(HOST).0
    }

    fn offered(&self) -> Vec<String> {
        offered_at(self.port.addr())
    }

    fn left_over(&self) -> Vec<String> {
        let names =
            |folder| fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let all = names(self.etc.path().to_owned()).chain(names(self.etc.join("sshd_config.d")));
        all.filter(|name| name.contains("sshanchor")).collect()
    }
}

#[test]
fn the_next_key_is_announced_before_anything_is_hidden() {
    let machine = Machine::new(&["ed25519", "ecdsa"]);
    assert_eq!(machine.run("publish", &["--ttl", "1"]).code, Some(0));
    let old = machine.record("ed25519");
    machine.rotates(&["--type", "ed25519", "--announce", "3s"], 5, "announce");
    assert_eq!(machine.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"], "nothing is hidden");
    // A known_hosts user who knows the old key learns of the next one; and the publisher does not publish it.
    let known = machine.etc.join("known_hosts");
    let key = fs::read_to_string(machine.etc.join("ssh_host_ed25519_key.pub")).unwrap();
    fs::write(&known, format!("[127.0.0.1]:{} {key}", machine.port.number())).unwrap();
    let mut ssh = command("ssh");
    ssh.args([
        "-F",
        "none",
        "-T",
        "-o",
        "BatchMode=yes",
        "-o",
        "UpdateHostKeys=yes",
        "-o",
        "StrictHostKeyChecking=yes",
    ]);
    ssh.args([
        "-o",
        "HashKnownHosts=no",
        "-o",
        "GlobalKnownHostsFile=none",
        "-o",
        &format!("UserKnownHostsFile={}", known.display()),
    ]);
    ssh.arg("-i").arg(machine.etc.join("user")).args([
        "-p",
        &machine.port.number().to_string(),
        "127.0.0.1",
        "true",
    ]);
    let next = fs::read_to_string(machine.etc.join("ssh_host_ed25519_key.sshanchor-next.pub")).unwrap();
    let next = next.split(' ').nth(1).unwrap();
    let mut is_let_in_and_knows_next = || {
        let told = run(&mut ssh, LIMIT);
        let learned = fs::read_to_string(&known).unwrap();
        assert!(told.code == Some(0) && !told.stderr.contains("duplicate"), "{told:#?}");
        assert!(learned.contains(next), "{learned}{told:#?}");
        assert_eq!(machine.run("publish", &[]).json()["changed"], false);
    };
    is_let_in_and_knows_next();
    // Whoever connects while the type is hidden does not forget it, neither before it is in its place nor then.
    for waits in ["settle", "caches"] {
        machine.rotates_until(waits);
        assert_eq!(machine.offered(), ["ecdsa-sha2-nistp256"]);
        is_let_in_and_knows_next();
    }

    machine.rotates_until("done");
    assert_ne!(machine.record("ed25519"), old);
    assert_eq!(machine.in_dns(), sorted(&[&machine.record("ed25519"), &machine.record("ecdsa")]));
    assert_eq!((machine.offered().len(), machine.left_over()), (2, Vec::new()));
    // Whoever learned is not surprised.
    is_let_in_and_knows_next();
}

#[test]
fn the_publisher_goes_by_an_overlap() {
    let machine = Machine::new(&["ed25519"]);
    assert_eq!(machine.run("publish", &["--ttl", "1"]).code, Some(0));
    machine.rotates(&["--overlap"], 5, "caches");
    assert_eq!(machine.run("publish", &[]).json()["changed"], false);
    assert_eq!(machine.in_dns().len(), 2);
    machine.rotates_until("done");
    assert_eq!(machine.in_dns(), [machine.record("ed25519")]);
    assert_eq!(machine.run("publish", &[]).json()["changed"], false);
}

#[test]
fn a_host_with_one_type_gets_another_at_the_usual_place() {
    let machine = Machine::new(&["ed25519"]);
    assert_eq!(machine.run("publish", &["--ttl", "1"]).code, Some(0));
    let old = machine.record("ed25519");
    machine.rotates(&[], 5, "settle");
    assert_eq!(machine.offered(), ["ssh-ed25519"]);
    assert_eq!(machine.run("rotate", &["--wait"]).code, Some(0));
    assert_ne!(machine.record("ed25519"), old);
    assert_eq!(machine.in_dns(), sorted(&[&machine.record("ed25519"), &machine.record("ecdsa")]));
    assert_eq!((machine.offered().len(), machine.left_over()), (2, Vec::new()), "no drop-in stays");
}

/// Starts `sshd -i` for each connection, as systemd's ssh.socket does.
struct Inetd {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Inetd {
    fn start(machine: &Machine) -> Inetd {
        let listener = TcpListener::bind(machine.port.addr()).unwrap();
        let mut sshd = command("sshd");
        sshd.args(["-i", "-e"]);
        let mut made = machine.inside(&sshd);
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = spawn(move || {
            let mut children = Vec::new();
            for stream in listener.incoming() {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                let socket = OwnedFd::from(stream.unwrap());
                let both = socket.try_clone().unwrap();
                made.stdin(Stdio::from(socket)).stdout(Stdio::from(both)).stderr(Stdio::null());
                children.push(made.spawn().unwrap());
                // Nothing of the socket stays here.
                made.stdin(Stdio::null()).stdout(Stdio::null());
            }
            for mut child in children {
                let _ = child.kill();
                let _ = child.wait();
            }
        });
        Inetd { done, thread: Some(thread), address: machine.port.addr() }
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn an_sshd_that_is_started_for_each_connection_needs_no_signal() {
    let _ = fs::create_dir("/run/sshd");
    let machine = Machine::without_sshd(&["ed25519", "ecdsa"]);
    let _inetd = Inetd::start(&machine);
    assert_eq!(machine.run("publish", &["--ttl", "1"]).code, Some(0));
    let old = machine.record("ed25519");
    let told = machine.rotates(&["--type", "ed25519"], 5, "settle");
    assert_eq!(told["steps"], json!(["begin", "prepare", "hide"]));
    assert_eq!(machine.offered(), ["ecdsa-sha2-nistp256"]);
    machine.rotates_until("done");
    assert_ne!(machine.record("ed25519"), old);
    assert_eq!((machine.offered().len(), machine.left_over()), (2, Vec::new()));
    assert_eq!(machine.in_dns(), sorted(&[&machine.record("ed25519"), &machine.record("ecdsa")]));
}
