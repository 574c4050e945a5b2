//! The handshake, host keys, known_hosts files.

use std::sync::OnceLock;

use sshanchor::proto::doctor::ssh::Config;
use sshanchor::proto::evidence::Offer;
use sshanchor::proto::handshake::{Action, Gate};
use sshanchor::proto::hostkey::{HostKey, KeyType, Presented};
use sshanchor::proto::known_hosts::command::{Sought, order_lines};
use sshanchor::proto::known_hosts::{entries, lookup_name};
use sshanchor::proto::name::HostName;
use sshanchor::proto::packet::{frame, parse};
use sshanchor::proto::rr::RrType;
use sshanchor::proto::verdict::{Anchored, Verdict};
use sshanchor::proto::wire::put_string;

use super::frames;
use super::world::{HOST, KEY, question, verdict, world};

/// Frames, each of an octet that says whose it is (odd: the client's; 2 in it: the side closes) and what it sends.
/// Fed as they come, octet by octet, and in portions between.
pub fn gate(octets: &[u8]) {
    let whole = play(octets, usize::MAX);
    for portion in [1, 7, 61] {
        assert_eq!(whole, play(octets, portion), "in portions of {portion}");
    }
    assert!(whole.accepted || !whole.opaque, "through without an accept");
}

/// What came of a handshake.
#[derive(Debug, Default, PartialEq)]
struct Played {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    opaque: bool,
    accepted: bool,
    ends: Vec<String>,
}

fn play(octets: &[u8], portion: usize) -> Played {
    let (mut gate, mut played) = (Gate::new(), Played::default());
    for frame in frames(octets) {
        let Some((kind, sent)) = frame.split_first() else { continue };
        let is_client = kind & 1 == 1;
        for part in sent.chunks(portion) {
            let actions = if is_client { gate.from_client(part) } else { gate.from_server(part) };
            played.take(&mut gate, actions);
        }
        if kind & 2 != 0 {
            let actions = if is_client { gate.client_closed() } else { gate.server_closed() };
            played.take(&mut gate, actions);
        }
    }
    for version in [gate.client_version(), gate.server_version()].into_iter().flatten() {
        super::assert_printable(version);
    }
    played
}

impl Played {
    fn take(&mut self, gate: &mut Gate, actions: Vec<Action>) {
        for action in actions {
            assert!(self.ends.is_empty(), "{action:?} after the end");
            match action {
                Action::ToClient(octets) => {
                    // Until both sides are through, whole packets alone, and framed by the gate.
                    if !octets.starts_with(b"SSH-") && !self.opaque && !gate.server_is_through() {
                        let packet = parse(&octets).unwrap().unwrap();
                        assert_eq!(frame(packet.payload), octets);
                        assert!(self.accepted || !matches!(packet.message, 33), "a reply got through");
                    }
                    self.to_client.extend(octets);
                }
                Action::ToServer(octets) => self.to_server.extend(octets),
                Action::Opaque => self.opaque = true,
                Action::End(end) => {
                    super::assert_printable(&end.to_string());
                    self.ends.push(end.to_string());
                }
                Action::Decide(presented, _) => {
                    assert!(!gate.wants_server());
                    match anchored(&presented) {
                        Some(anchored) => {
                            assert_eq!(presented.key(), &HostKey::from_line(KEY).unwrap());
                            self.accepted = true;
                            let actions = gate.release(&anchored);
                            self.take(gate, actions);
                        }
                        None => {
                            self.to_client.extend(gate.farewell("no"));
                            assert!(!gate.wants_server());
                        }
                    }
                }
            }
        }
    }
}

/// The witness for the host's own key.
fn anchored(presented: &Presented) -> Option<Anchored> {
    static HOST_NAME: OnceLock<HostName> = OnceLock::new();
    let host = HOST_NAME.get_or_init(|| HostName::parse(HOST).unwrap()).clone();
    let answer = world().answers[&question(HOST, RrType::SSHFP)].clone();
    match verdict(host, Ok(answer), presented) {
        Verdict::Accept(anchored) => Some(anchored),
        Verdict::Reject(_) | Verdict::Unproven(_) => None,
    }
}

/// Octets as a key's blob, as a certificate's, and as lines.
pub fn hostkey(octets: &[u8]) {
    if let Ok(key) = HostKey::from_blob(octets) {
        assert_eq!(key.blob(), octets);
        check_key(&key);
    }
    let plain = KeyType::ALL.map(KeyType::name).into_iter().chain(["rsa-sha2-512"]);
    for algorithm in plain.flat_map(|name| [name.to_owned(), format!("{name}-cert-v01@openssh.com")]) {
        if let Ok(presented) = Presented::from_blob(octets, &algorithm) {
            check_key(presented.key());
            assert_eq!(
                KeyType::from_algorithm(algorithm.trim_end_matches("-cert-v01@openssh.com")),
                Some(presented.key().key_type())
            );
        }
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        match HostKey::from_text(text) {
            Ok(keys) => keys.iter().for_each(check_key),
            Err((line, _)) => assert!((1..=text.lines().count()).contains(&line)),
        }
    }
}

fn check_key(key: &HostKey) {
    super::assert_printable(&key.to_string());
    assert_eq!(HostKey::from_blob(key.blob()).as_ref(), Ok(key));
    let mut name = Vec::new();
    put_string(&mut name, key.key_type().name().as_bytes());
    assert!(key.blob().starts_with(&name));
    let line = format!("{} {} a comment", key.key_type(), data_encoding::BASE64.encode(key.blob()));
    assert_eq!(HostKey::from_line(&line).as_ref(), Ok(key));
    let plain = Presented::from_blob(key.blob(), key.key_type().name());
    assert!(plain.is_ok_and(|presented| presented.key() == key) || key.key_type() == KeyType::Rsa);
}

/// A host on the first line, then a known_hosts file; also what `ssh -G` prints.
pub fn known_hosts(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (host, file) = text.split_once('\n').unwrap_or((&text, ""));
    for port in [22, 2222] {
        let name = lookup_name(host, port);
        let found = entries(file, &name);
        let lines: Vec<&str> = file.lines().collect();
        for entry in &found {
            let line = lines[entry.line - 1];
            // Each line speaks for itself.
            let alone = entries(line, &name);
            assert_eq!((alone.len(), &alone[0].key, alone[0].marker), (1, &entry.key, entry.marker));
            if let Ok(key) = &entry.key {
                check_key(key);
            }
        }
        assert!(found.windows(2).all(|pair| pair[0].line < pair[1].line));
    }
    // What ssh is told of a host is about that host alone.
    if let Ok(sought) = Sought::read(host) {
        let lines =
            order_lines(&sought, &Offer { keys: KeyType::ALL.to_vec(), certificates: KeyType::ALL.to_vec() });
        let is_alone = |line: &String| matches!(entries(line, host).as_slice(), [only] if !only.shared && only.key.is_ok());
        assert!(lines.iter().all(is_alone), "{lines:?}");
    }
    let config = Config::parse(file);
    let _ = (config.host(), config.port(), config.wants_known_hosts());
    assert!(config.known_hosts_files().iter().all(|file| !file.is_empty()));
}
