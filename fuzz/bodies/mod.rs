//! One function for each fuzz target. It takes any octets, and its assertions are what always holds. They
//! use nothing but what `sshanchor` shows to everybody.

mod chain;
mod config;
mod dns;
mod encode;
mod ssh;
mod world;

pub use chain::{bundle, chain};
pub use config::{anchors, config, pattern, tsig};
pub use dns::{message, name, sshfp};
pub use ssh::{gate, hostkey, known_hosts};

/// Takes octets, and panics if something does not hold of them.
pub type Body = fn(&[u8]);

/// Every target by its name, which is also that of its folder in `fuzz/corpus`.
pub const ALL: [(&str, Body); 12] = [
    ("anchors", anchors),
    ("bundle", bundle),
    ("chain", chain),
    ("config", config),
    ("gate", gate),
    ("hostkey", hostkey),
    ("known_hosts", known_hosts),
    ("message", message),
    ("name", name),
    ("pattern", pattern),
    ("sshfp", sshfp),
    ("tsig", tsig),
];

/// Runs the body of this name: what a target is made of.
pub fn run(target: &str, octets: &[u8]) {
    match ALL.iter().find(|(name, _)| *name == target) {
        Some((_, body)) => body(octets),
        None => panic!("no target {target}"),
    }
}

/// Octets as frames: two octets of length, then as many, or what there is.
fn frames(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = octets.split_first_chunk::<2>()?;
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        octets = rest;
        Some(frame)
    })
}

/// A terminal takes no harm from it.
fn assert_printable(text: &str) {
    assert!(text.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{text:?}");
}
