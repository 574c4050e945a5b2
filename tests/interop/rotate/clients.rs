//! Clients that connect all the while: OpenSSH with VerifyHostKeyDNS behind a validating Unbound with a cache, and
//! `sshanchor verify`.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::place::Place;
use crate::interop::primary::{HOST, LIMIT};
use crate::support::forger::Forger;
use crate::support::namespace::with_files;
use crate::support::sandbox::clean;
use crate::support::unbound::Unbound;
use crate::support::{Finished, run};

/// What became of connections.
#[derive(Debug, Default)]
pub struct Tally {
    pub good: usize,
    /// sshd was not there, as for a moment when it starts itself anew.
    pub absent: usize,
    /// Anything else: a host key that was not believed.
    pub bad: Vec<String>,
}

impl Tally {
    fn count(&mut self, finished: &Finished, is_good: bool) {
        let said = format!("{}{}", finished.stderr, finished.stdout);
        let is_absent = [
            "Connection refused",
            "Connection reset",
            "Connection closed",
            "closed by remote",
            "closed the connection",
        ];
        if is_good {
            self.good += 1;
        } else if is_absent.iter().any(|text| said.contains(text)) {
            self.absent += 1;
        } else {
            self.bad.push(said);
        }
    }
}

/// A resolver for all of this machine's clients, and those clients.
pub struct Clients {
    pub unbound: Unbound,
    forwarder: Forger,
}

impl Clients {
    pub fn new(place: &Place) -> Clients {
        let unbound = Unbound::validating(place.primary.tree());
        // It forges nothing: port 53 is where a resolv.conf leads.
        let forwarder = Forger::start_on_port_53(unbound.addr());
        Clients { unbound, forwarder }
    }

    /// OpenSSH that goes by the AD bit, with these host key algorithms in front.
    pub fn ssh(&self, place: &Place, first: &str) -> Finished {
        let text = format!("nameserver {}\noptions trust-ad timeout:2\n", self.forwarder.addr().ip());
        let file = place.primary.sandbox().write(&format!("resolv.conf-{first}"), &text);
        let mut ssh = place.sshd.ssh();
        ssh.args([
            "-o",
            "VerifyHostKeyDNS=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "ConnectionAttempts=3",
        ]);
        ssh.args(["-o", &format!("HostKeyAlgorithms=^{first}"), HOST, "echo hello"]);
        let mut made = with_files(&ssh, &[(&file, "/etc/resolv.conf")]);
        clean(&mut made, place.primary.sandbox().path());
        run(&mut made, LIMIT)
    }

    fn verify(&self, place: &Place) -> Command {
        let mut verify = place.primary.tree().sshanchor(self.unbound.addr());
        verify.args(["verify", "--json", &format!("{HOST}:{}", place.sshd.port())]);
        verify
    }

    /// Has clients of every kind connect again and again while `work` is done.
    pub fn connect_while(&self, place: &Place, work: impl FnOnce()) -> Vec<(&'static str, Tally)> {
        let done = AtomicBool::new(false);
        let again = |name: &'static str, once: &(dyn Fn(&mut Tally) + Sync)| {
            let mut tally = Tally::default();
            while !done.load(Ordering::Relaxed) {
                once(&mut tally);
            }
            (name, tally)
        };
        let by_ssh = |first: &'static str| {
            move |tally: &mut Tally| {
                let finished = self.ssh(place, first);
                let is_good = finished.code == Some(0) && finished.stdout == "hello\n";
                tally.count(&finished, is_good);
            }
        };
        let (ed25519, ecdsa) = (by_ssh("ssh-ed25519"), by_ssh("ecdsa-sha2-nistp256"));
        let by_verify = |tally: &mut Tally| {
            let finished = run(&mut self.verify(place), LIMIT);
            let is_good = finished.code == Some(0);
            tally.count(&finished, is_good);
        };
        thread::scope(|scope| {
            let clients = [
                scope.spawn(|| again("ssh, ed25519 first", &ed25519)),
                scope.spawn(|| again("ssh, ecdsa first", &ecdsa)),
                scope.spawn(|| again("sshanchor verify", &by_verify)),
            ];
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            done.store(true, Ordering::Relaxed);
            let tallies = clients.map(|client| client.join().unwrap()).into_iter().collect();
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
            tallies
        })
    }
}

#[track_caller]
pub fn nobody_was_refused(tallies: &[(&str, Tally)], least: usize) {
    for (name, tally) in tallies {
        eprintln!("{name}: {} good, {} found no sshd, {} refused", tally.good, tally.absent, tally.bad.len());
    }
    for (name, tally) in tallies {
        assert!(tally.bad.is_empty(), "{name}: {:#?}", tally.bad);
        assert!(tally.good >= least, "{name}: {tally:?}");
    }
}

#[test]
fn no_client_is_refused_while_both_keys_are_replaced() {
    let place = Place::new(&["ed25519", "ecdsa256"], 2);
    let clients = Clients::new(&place);
    // The twin: a key that DNS does not know is refused, so that the clients do look.
    let before = clients.ssh(&place, "ssh-ed25519");
    assert_eq!(before.code, Some(0), "{before:#?}");
    let (ed25519, ecdsa) = (place.record("ed25519"), place.record("ecdsa256"));
    let tallies = clients.connect_while(&place, || {
        let finished = place.rotate(&["--wait"]);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    });
    nobody_was_refused(&tallies, 5);
    assert_ne!((place.record("ed25519"), place.record("ecdsa256")), (ed25519, ecdsa));
    place.dns_is_as_disk();
    assert_eq!(place.left_over(), [""; 0]);
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
}

#[test]
fn the_clients_of_these_tests_do_refuse_another_key() {
    let mut place = Place::new(&["ed25519", "ecdsa256"], 2);
    let clients = Clients::new(&place);
    place.sshd.rotate_host_keys();
    let refused = clients.ssh(&place, "ssh-ed25519");
    assert!(
        refused.code == Some(255) && refused.stderr.contains("Host key verification failed"),
        "{refused:#?}"
    );
    assert_eq!(run(&mut clients.verify(&place), LIMIT).code, Some(3));
}
