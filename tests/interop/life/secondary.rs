//! A second server of the zones, which follows the primary as long as it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::support::ask::{ask, exchange, is_signed};
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::{Process, Sandbox};

/// The zone that changes.
const ZONE: &str = "example.test.";
/// How often it is looked whether it is to be told that the zone has changed.
const LOOK: Duration = Duration::from_millis(200);

/// A named that holds copies of the primary's zones, and asks for changes when a NOTIFY (RFC 1996) comes, which this sends
/// in the primary's stead.
#[derive(Debug)]
pub struct Secondary {
    _process: Process,
    port: Port,
    follows: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    notifier: Option<JoinHandle<()>>,
    _sandbox: Sandbox,
}

impl Secondary {
    /// Of `zones`, as `primary` has them.
    pub fn start(primary: SocketAddr, zones: &[String]) -> Secondary {
        let (sandbox, port) = (Sandbox::new(), Port::free());
        let addr = port.addr();
        let conf = sandbox.write("named.conf", &configuration(sandbox.path(), primary, addr, zones));
        let mut named = command("named");
        named.args(["-g", "-n", "1", "-U", "1", "-c"]).arg(conf);
        let process = Process::start("named", named, sandbox.path(), || {
            zones.iter().all(|zone| is_signed(addr, zone, RecordType::SOA))
        });
        let [follows, ends] = [true, false].map(|is| Arc::new(AtomicBool::new(is)));
        let (may, done) = (Arc::clone(&follows), Arc::clone(&ends));
        let notifier = thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                if may.load(Ordering::Relaxed) && serial(primary) != serial(addr) {
                    exchange(addr, &notify());
                }
                thread::sleep(LOOK);
            }
        });
        Secondary { _process: process, port, follows, ends, notifier: Some(notifier), _sandbox: sandbox }
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// It does not hear of changes any more.
    pub fn lags(&self) {
        self.follows.store(false, Ordering::Relaxed);
        // A transfer that is under way ends.
        thread::sleep(LOOK);
    }

    /// It does again.
    pub fn follows(&self) {
        self.follows.store(true, Ordering::Relaxed);
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.notifier.take().map(JoinHandle::join);
    }
}

/// The serial number of the zone at a server; none while it does not answer.
pub fn serial(server: SocketAddr) -> Option<u32> {
    let reply = ask(server, ZONE, RecordType::SOA)?;
    reply.answers.iter().find_map(|r| if let RData::SOA(soa) = &r.data { Some(soa.serial) } else { None })
}

fn notify() -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(Name::from_ascii(ZONE).unwrap(), RecordType::SOA));
    message
}

fn configuration(folder: &Path, primary: SocketAddr, own: SocketAddr, zones: &[String]) -> String {
    let folder = folder.display();
    let mut text = format!(
        "options {{
  directory \"{folder}\"; managed-keys-directory \"{folder}\";
  pid-file none; lock-file none; session-keyfile \"{folder}/session.key\"; geoip-directory none;
  listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; minimal-responses yes;
}};
controls {{ }};\n",
        own.port()
    );
    for (index, zone) in zones.iter().enumerate() {
        text += &format!(
            "zone \"{zone}\" {{ type secondary; file \"copy-{index}.db\"; primaries {{ {} port {}; }}; \
             allow-notify {{ 127.0.0.1; }}; }};\n",
            primary.ip(),
            primary.port()
        );
    }
    text
}
