//! Clients that connect to one machine again and again, each in its own way; none may be refused.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::machine::Machine;
use super::world::World;
use super::{HOST, LOGIN_GRACE, SOON};
use crate::support::namespace::with_files;
use crate::support::peer::peer;
use crate::support::process::{run, wait_until};
use crate::support::sandbox::clean;
use crate::support::{Finished, Sandbox};

/// The pause between two connections of one client: two cores carry many of them.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked whether sshd was reloaded.
const LOOK: Duration = Duration::from_millis(20);
const HELLO: &str = "hello from 42\n";
/// What says that nobody was there, or that whoever was there left: sshd closes its socket when it is reloaded, with the
/// connections that it has not taken yet, and opens it again as soon as it has started itself anew.
const NOBODY: [&str; 5] = [
    "Connection refused",
    "Connection reset by",
    "Connection closed by",
    "the server closed the connection",
    "connection reset",
];
/// How long that may take on a busy machine.
const RELOAD: Duration = Duration::from_secs(2);

/// How to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// ssh with nothing but `VerifyHostKeyDNS yes`, which believes the AD bit, and wants all records of an algorithm to match.
    Stock,
    /// ssh as `config ssh` sets it up, through `proxy`.
    Proxy,
    /// ssh as `config ssh` sets it up, with `known-hosts` alone.
    KnownHosts,
    Verify,
    Exec,
    /// ssh without DNS, whose known_hosts file learns of new keys (`UpdateHostKeys`) where they are announced for long enough.
    Learns,
}

/// All that go by DNS.
pub const BY_DNS: [Way; 5] = [Way::Stock, Way::Proxy, Way::KnownHosts, Way::Verify, Way::Exec];

/// Somebody's machine, from which they connect.
#[derive(Debug)]
pub struct Client {
    home: Sandbox,
    resolv_conf: PathBuf,
    anchor: PathBuf,
    user_key: PathBuf,
    port: String,
}

impl Client {
    /// Who connects to `machine`.
    pub fn of(world: &World, machine: &Machine) -> Arc<Client> {
        let home = Sandbox::new();
        let client = Client {
            resolv_conf: world.resolv_conf(&home),
            anchor: world.tree.anchor(),
            user_key: machine.home.join("user"),
            port: machine.port().to_string(),
            home,
        };
        for mode in ["proxy", "known-hosts"] {
            let file = client.home.write(mode, "");
            let mut install = client.sshanchor();
            install.args(["config", "ssh", "--install", "*.example.test", "--mode", mode, "--ssh-config"]);
            let installed = run(install.arg(file), SOON);
            assert_eq!(installed.code, Some(0), "{installed:#?}");
        }
        Arc::new(client)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = with_files(&Command::new(program), &[(&self.resolv_conf, "/etc/resolv.conf")]);
        clean(&mut command, self.home.path());
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    fn sshanchor(&self) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_sshanchor")));
        command.env("SSHANCHOR_TRUST_ANCHOR", &self.anchor);
        command
    }

    fn ssh(&self, config: &Path, options: &[&str]) -> Command {
        let mut ssh = self.command(&peer("ssh"));
        ssh.arg("-F")
            .arg(config)
            .args(["-T", "-p", &self.port, "-o", "BatchMode=yes", "-i"])
            .arg(&self.user_key);
        for option in options {
            ssh.args(["-o", option]);
        }
        ssh.args([HOST, "echo", "hello from $((6*7))"]);
        ssh
    }

    fn known_hosts(&self) -> PathBuf {
        self.home.join("known_hosts")
    }

    /// The file of known hosts holds the machine's keys as they are now.
    pub fn knows(&self, machine: &Machine) {
        let lines = machine.public_keys().into_iter().map(|key| format!("[{HOST}]:{} {key}\n", self.port));
        self.home.write("known_hosts", &lines.collect::<String>());
    }

    /// One connection.
    pub fn connects(&self, way: Way) -> Finished {
        let at = format!("{HOST}:{}", self.port);
        let mut command = match way {
            Way::Stock => self.ssh(
                Path::new("none"),
                &[
                    "VerifyHostKeyDNS=yes",
                    "StrictHostKeyChecking=yes",
                    "UserKnownHostsFile=/dev/null",
                    "GlobalKnownHostsFile=/dev/null",
                    // sshd starts itself anew when it is reloaded: for some milliseconds nobody listens.
                    "ConnectionAttempts=3",
                ],
            ),
            Way::Proxy => self.ssh(&self.home.join("proxy"), &[]),
            Way::KnownHosts => self.ssh(&self.home.join("known-hosts"), &["ConnectionAttempts=3"]),
            Way::Learns => {
                let known = format!("UserKnownHostsFile={}", self.known_hosts().display());
                let options = [
                    &known,
                    "GlobalKnownHostsFile=/dev/null",
                    "StrictHostKeyChecking=yes",
                    "UpdateHostKeys=yes",
                ];
                self.ssh(
                    Path::new("none"),
                    &[&options[..], &["VerifyHostKeyDNS=no", "ConnectionAttempts=3"]].concat(),
                )
            }
            Way::Verify | Way::Exec => self.sshanchor(),
        };
        match way {
            Way::Verify => drop(command.args(["verify", "--json", &at])),
            Way::Exec => {
                command.args(["exec", "-H", &at, "-i"]).arg(&self.user_key);
                command.args(["--", "echo", "hello from 42"]);
            }
            _ => {}
        }
        run(&mut command, SOON)
    }

    /// Whether it was the right host and the connection could be used.
    pub fn is_let_in(way: Way, finished: &Finished) -> bool {
        let is_right = match way {
            Way::Verify => finished.json()["verdict"] == "accept",
            _ => finished.stdout == HELLO,
        };
        finished.code == Some(0) && is_right
    }

    /// Each way leads there.
    #[track_caller]
    pub fn gets_in(&self) {
        for way in BY_DNS {
            let finished = self.connects(way);
            assert!(Client::is_let_in(way, &finished), "{way:?}: {finished:#?}");
        }
    }

    /// No way leads there.
    #[track_caller]
    pub fn is_kept_out(&self) {
        for way in BY_DNS {
            let finished = self.connects(way);
            assert!(!Client::is_let_in(way, &finished), "{way:?}: {finished:#?}");
            assert_ne!(finished.code, Some(0), "{way:?}: {finished:#?}");
        }
    }
}

/// What became of the connections of one client.
#[derive(Debug)]
struct Tally {
    way: Way,
    let_in: usize,
    /// Those that met nobody, and when they began and ended.
    alone: Vec<(Duration, Duration, String)>,
    /// Those that sshd gave up because they took too long, on a machine with too much to do.
    slow: usize,
    refused: Vec<String>,
}

/// Clients at work.
pub struct Clients {
    ends: Arc<AtomicBool>,
    let_in: Arc<Vec<AtomicUsize>>,
    threads: Vec<JoinHandle<Tally>>,
    /// Notes when sshd was reloaded.
    watcher: Option<JoinHandle<Vec<Duration>>>,
    began: Instant,
}

impl Clients {
    /// To `machine`, one of each of these ways.
    pub fn connect(world: &World, machine: &Machine, ways: &[Way]) -> Clients {
        Clients::of(&Client::of(world, machine), machine, ways)
    }

    pub fn of(client: &Arc<Client>, machine: &Machine, ways: &[Way]) -> Clients {
        let (ends, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let let_in: Arc<Vec<AtomicUsize>> = Arc::new(ways.iter().map(|_| AtomicUsize::new(0)).collect());
        let threads = ways.iter().copied().enumerate().map(|(index, way)| {
            let (client, ends, let_in) = (Arc::clone(client), Arc::clone(&ends), Arc::clone(&let_in));
            thread::spawn(move || {
                let mut tally = Tally { way, let_in: 0, alone: Vec::new(), slow: 0, refused: Vec::new() };
                while !ends.load(Ordering::Relaxed) {
                    let at = began.elapsed();
                    let finished = client.connects(way);
                    if Client::is_let_in(way, &finished) {
                        let_in[index].fetch_add(1, Ordering::Relaxed);
                        tally.let_in += 1;
                    } else {
                        let text = format!(
                            "{way:?} begun {:.3} s, ended {:.3} s after the first: {finished:#?}",
                            at.as_secs_f64(),
                            began.elapsed().as_secs_f64()
                        );
                        let is_alone = NOBODY.iter().any(|nobody| text.contains(nobody));
                        let is_slow = finished.elapsed >= LOGIN_GRACE;
                        match () {
                            () if is_slow && (is_alone || text.contains("Broken pipe")) => tally.slow += 1,
                            () if is_alone => tally.alone.push((at, began.elapsed(), text)),
                            () => tally.refused.push(text),
                        }
                    }
                    thread::sleep(PAUSE);
                }
                tally
            })
        });
        let threads = threads.collect();
        let (sshd, done) = (machine.sshd_log(), Arc::clone(&ends));
        let watcher = thread::spawn(move || {
            let reloads = || std::fs::read_to_string(&sshd).unwrap().matches("Received SIGHUP").count();
            let (before, mut seen) = (reloads(), Vec::new());
            while !done.load(Ordering::Relaxed) {
                seen.resize(reloads() - before, began.elapsed());
                thread::sleep(LOOK);
            }
            seen
        });
        let clients = Clients { ends, let_in, threads, watcher: Some(watcher), began };
        clients.get_in(1);
        clients
    }

    /// Seconds since they began, for what else is written down.
    pub fn clock(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Waits until each of them has been let in so many times more.
    #[track_caller]
    pub fn get_in(&self, times: usize) {
        let counts = || self.let_in.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = counts();
        let have = || counts().iter().zip(&before).all(|(now, before)| *now >= before + times);
        assert!(wait_until(SOON, have), "{before:?}, then {:?}", counts());
    }

    /// Ends them: none was refused, after two more connections each. When sshd is reloaded nobody listens for some
    /// milliseconds, so each of them may have met that, once each time.
    #[track_caller]
    pub fn were_all_let_in(mut self) {
        self.get_in(2);
        let (tallies, reloads) = self.end();
        let let_in: Vec<_> = tallies.iter().map(|tally| (tally.way, tally.let_in)).collect();
        let refused: Vec<_> = tallies.iter().flat_map(|tally| &tally.refused).collect();
        let alone: Vec<_> = tallies.iter().flat_map(|tally| &tally.alone).collect();
        eprintln!(
            "in {:.1} s let in: {let_in:?}, refused: {}; too slow: {}; met nobody: {} in {} reloads",
            self.clock(),
            refused.len(),
            tallies.iter().map(|tally| tally.slow).sum::<usize>(),
            alone.len(),
            reloads.len()
        );
        assert!(refused.is_empty(), "{} refused\n{refused:#?}", refused.len());
        for (began, ended, text) in alone {
            let is_met = |reload: &&Duration| *began <= **reload + RELOAD && **reload <= *ended + RELOAD;
            assert!(reloads.iter().any(|reload| is_met(&reload)), "reloads at {reloads:?}, and {text}");
        }
        for tally in &tallies {
            assert!(tally.alone.len() <= reloads.len(), "{} reloads, and {tally:#?}", reloads.len());
        }
    }

    fn end(&mut self) -> (Vec<Tally>, Vec<Duration>) {
        self.ends.store(true, Ordering::Relaxed);
        let tallies = self.threads.drain(..).map(|thread| thread.join().unwrap()).collect();
        (tallies, self.watcher.take().map(|watcher| watcher.join().unwrap()).unwrap_or_default())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let (tallies, reloads) = self.end();
        let failed: Vec<_> = tallies
            .iter()
            .flat_map(|tally| tally.refused.iter().chain(tally.alone.iter().map(|(_, _, text)| text)))
            .collect();
        if thread::panicking() && !tallies.is_empty() {
            eprintln!("reloads at {reloads:?}; {} connections failed\n{failed:#?}", failed.len());
        }
    }
}
