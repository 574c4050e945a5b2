//! The host's keys, which are published, and others.

use std::sync::OnceLock;
use std::time::Duration;

use data_encoding::HEXLOWER;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, PublicKey};
use sshanchor::lab::host::generate_key;
use sshanchor::proto::hostkey::HostKey;

use super::samples;

const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// Parts of every reply: the key, the share, the signature.
pub const IN_REPLIES: [&[u8]; 3] = [&[9; 32], &[8; 32], &[6; 64]];

pub fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

/// A key of the host's, plain or as a certificate, for a host key algorithm. RSA's number and the points are made up:
/// nobody here computes with them.
pub fn of(algorithm: &str) -> Vec<u8> {
    match algorithm.strip_suffix(CERTIFICATE) {
        Some(_) => certificate().to_vec(),
        None => plain(algorithm, 9),
    }
}

/// A plain key blob; `seed` makes it another.
pub fn plain(algorithm: &str, seed: u8) -> Vec<u8> {
    let ecdsa = |curve: &str, length: usize| {
        let point = [vec![4], vec![seed; length - 1]].concat();
        [string(algorithm.as_bytes()), string(curve.as_bytes()), string(&point)].concat()
    };
    match algorithm {
        "ssh-ed25519" => samples::ed25519(seed),
        "ecdsa-sha2-nistp256" => ecdsa("nistp256", 65),
        "ecdsa-sha2-nistp384" => ecdsa("nistp384", 97),
        "ecdsa-sha2-nistp521" => ecdsa("nistp521", 133),
        "ssh-rsa" | "rsa-sha2-256" | "rsa-sha2-512" => rsa(&[1, 0, 1], &modulus(256, seed)),
        other => panic!("no key of type {other}"),
    }
}

/// A positive, odd number of so many octets, with its sign octet.
pub fn modulus(length: usize, seed: u8) -> Vec<u8> {
    [vec![0, 0x80], vec![seed | 1; length - 1]].concat()
}

pub fn rsa(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    [string(b"ssh-rsa"), string(exponent), string(modulus)].concat()
}

/// A certificate about the host's Ed25519 key, by a CA that nobody published.
pub fn certificate() -> &'static [u8] {
    static CERT: OnceLock<Vec<u8>> = OnceLock::new();
    CERT.get_or_init(|| {
        let ca = generate_key(Algorithm::Ed25519).unwrap();
        let public = PublicKey::from_bytes(&samples::ed25519(9)).unwrap();
        let hour = Duration::from_secs(3600);
        let now = std::time::SystemTime::now();
        let mut builder =
            Builder::new_with_random_nonce(&mut rand::rng(), public, unix(now - hour), unix(now + hour))
                .unwrap();
        builder.cert_type(CertType::Host).unwrap().valid_principal(super::HOST).unwrap();
        builder.sign(&ca).unwrap().to_bytes().unwrap()
    })
}

fn unix(time: std::time::SystemTime) -> u64 {
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// What the signature of a host key algorithm calls itself.
pub fn signs_as(algorithm: &str) -> &str {
    algorithm.strip_suffix(CERTIFICATE).unwrap_or(algorithm)
}

/// A reply with a signature of this name.
pub fn reply(number: u8, key: &[u8], signs_as: &str) -> Vec<u8> {
    let signature = [string(signs_as.as_bytes()), string(&[6; 64])].concat();
    [vec![number], string(key), string(&[8; 32]), string(&signature)].concat()
}

/// The host's plain keys.
pub fn all() -> Vec<Vec<u8>> {
    let types =
        ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
    types.map(|name| plain(name, 9)).to_vec()
}

/// Their SSHFP records.
pub fn published() -> Vec<String> {
    let record = |blob: Vec<u8>| {
        let key = HostKey::from_blob(&blob).unwrap();
        format!("{} 2 {}", key.key_type().sshfp_algorithm(), HEXLOWER.encode(&key.sha256()))
    };
    all().into_iter().map(record).collect()
}
