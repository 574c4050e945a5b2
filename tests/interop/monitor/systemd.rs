//! What systemd hears of a running agent, with a socket in systemd's place.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::interop::agent::{Agent, Machine, SOON};
use crate::interop::primary::HOST;
use crate::support::Tree;

/// systemd's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn of(machine: &Machine) -> Manager {
        let socket = UnixDatagram::bind(machine.join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Manager(socket)
    }

    fn start(&self, machine: &Machine, watchdog: Option<&str>) -> Agent {
        let mut command = machine.sshanchor(&["agent"]);
        command.env("NOTIFY_SOCKET", machine.join("notify"));
        command.envs(watchdog.map(|usec| ("WATCHDOG_USEC", usec)));
        machine.run(command)
    }

    /// The datagrams up to the one that begins so.
    fn until(&self, begin: &str) -> Vec<String> {
        let (mut heard, started) = (Vec::new(), Instant::now());
        while started.elapsed() < SOON {
            let mut octets = [0; 4096];
            let Ok(length) = self.0.recv(&mut octets) else { continue };
            heard.push(String::from_utf8(octets[..length].to_vec()).unwrap());
            if heard.last().unwrap().starts_with(begin) {
                return heard;
            }
        }
        panic!("no {begin}: {heard:#?}");
    }
}

#[test]
fn it_is_ready_after_its_first_pass_reloads_and_stops() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let manager = Manager::of(&machine);
    let agent = manager.start(&machine, Some("400000"));
    let heard = manager.until("READY=1");
    assert!(heard.iter().all(|said| said == "WATCHDOG=1" || said == "READY=1"), "{heard:#?}");
    // By then the records are there.
    assert_eq!(crate::interop::primary::records_at(tree.addr(), HOST).0.len(), 1);
    let status = manager.until("STATUS=").pop().unwrap();
    assert!(status.starts_with("STATUS=all is well: 1 record at 1 name"), "{status}");
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");
    agent.signal(Signal::HUP);
    let reloading = manager.until("RELOADING=1").pop().unwrap();
    let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(usec.parse::<u64>().unwrap() > 0, "{reloading}");
    manager.until("READY=1");
    agent.signal(Signal::TERM);
    manager.until("STOPPING=1");
}

#[test]
fn a_primary_that_is_silent_does_not_hold_up_the_boot() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let configuration = machine.configuration(HOST, &tree);
    let server = format!("server = \"{}\"", tree.addr());
    machine.configure(
        &configuration.replace(&server, &format!("server = \"{}\"", silent.local_addr().unwrap())),
    );
    let manager = Manager::of(&machine);
    let _agent = manager.start(&machine, None);
    let heard = manager.until("STATUS=");
    assert_eq!(heard[0], "READY=1", "{heard:#?}");
    assert!(heard[1].contains("no answer from"), "{heard:#?}");
}
