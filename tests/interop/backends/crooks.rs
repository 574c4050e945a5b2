//! Servers and programs that do not do as they should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A program that does not end when it is asked to.
pub const STUBBORN: &str = "trap '' TERM; while :; do sleep 0.1; done";

/// A program that shows no records, and does this about a change.
pub fn changer(change: &str) -> String {
    let script = format!(
        "read -r asked; case $asked in \
         *'\"request\":\"capabilities\"'*) echo '{{\"version\":1,\"compare_and_swap\":true,\"batch\":1}}';; \
         *'\"request\":\"read\"'*) echo '{{\"version\":1,\"ttl\":null,\"records\":[]}}';; \
         *) {change};; esac"
    );
    shlex::try_join(["sh", "-c", &script]).unwrap()
}

/// Sends this to whoever connects, and then an octet now and then.
pub fn dripper(text: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(text);
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    addr
}

/// Sends the same to whoever connects, once something has come.
pub fn babbler(text: &[u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (addr, text) = (listener.local_addr().unwrap(), text.to_vec());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&text);
        }
    });
    addr
}
