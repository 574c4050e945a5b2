//! Host certificates made octet by octet (OpenSSH's PROTOCOL.certkeys), so that any field of one can be wrong, and the
//! CA's signature over it still right.

use std::path::Path;

use signature::Signer;
use ssh_key::{PrivateKey, PublicKey, Signature};

use super::handmade::string;

/// What the types of certificates end in.
pub const SUFFIX: &str = "-cert-v01@openssh.com";

/// The fields, as they are to stand there.
#[derive(Clone)]
pub struct Draft {
    pub type_name: String,
    pub nonce: Vec<u8>,
    /// The fields of the plain key behind its type.
    pub key: Vec<u8>,
    pub serial: u64,
    /// 1 for a user, 2 for a host.
    pub kind: u32,
    pub key_id: Vec<u8>,
    pub principals: Vec<Vec<u8>>,
    pub after: u64,
    pub before: u64,
    pub critical: Vec<u8>,
    pub extensions: Vec<u8>,
    pub reserved: Vec<u8>,
    /// The CA's key, as it is to stand there.
    pub ca: Vec<u8>,
}

impl Draft {
    /// A good one for `name`, an hour old and good for another, about the key with this blob.
    pub fn of(key: &[u8], name: &str, ca: &PrivateKey) -> Draft {
        let length = usize::from(key[3]);
        let now = u64::from(super::forge::now());
        Draft {
            type_name: format!("{}{SUFFIX}", std::str::from_utf8(&key[4..4 + length]).unwrap()),
            nonce: vec![7; 32],
            key: key[4 + length..].to_vec(),
            serial: 1,
            kind: 2,
            key_id: b"test".to_vec(),
            principals: vec![name.as_bytes().to_vec()],
            after: now - 3600,
            before: now + 3600,
            critical: Vec::new(),
            extensions: Vec::new(),
            reserved: Vec::new(),
            ca: ca.public_key().to_bytes().unwrap(),
        }
    }

    /// All that the CA signs.
    pub fn unsigned(&self) -> Vec<u8> {
        let principals: Vec<u8> = self.principals.iter().flat_map(|name| string(name)).collect();
        [
            string(self.type_name.as_bytes()),
            string(&self.nonce),
            self.key.clone(),
            self.serial.to_be_bytes().to_vec(),
            self.kind.to_be_bytes().to_vec(),
            string(&self.key_id),
            string(&principals),
            self.after.to_be_bytes().to_vec(),
            self.before.to_be_bytes().to_vec(),
            string(&self.critical),
            string(&self.extensions),
            string(&self.reserved),
            string(&self.ca),
        ]
        .concat()
    }

    /// The certificate, with a right signature.
    pub fn signed(&self, ca: &PrivateKey) -> Vec<u8> {
        let signature = sign(ca, &self.unsigned());
        self.with_signature(&signature)
    }

    /// The certificate with this signature.
    pub fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        [self.unsigned(), string(signature)].concat()
    }
}

/// A signature as SSH has it.
pub fn sign(key: &PrivateKey, octets: &[u8]) -> Vec<u8> {
    let signature: Signature = key.try_sign(octets).unwrap();
    [string(signature.algorithm().as_str().as_bytes()), string(signature.as_bytes())].concat()
}

/// An option with a text, as those in `critical` and `extensions` are.
pub fn option(name: &str, value: &str) -> Vec<u8> {
    let value = if value.is_empty() { Vec::new() } else { string(value.as_bytes()) };
    [string(name.as_bytes()), string(&value)].concat()
}

/// The blob in a file as ssh-keygen writes it, a key's or a certificate's.
pub fn blob_in(file: &Path) -> Vec<u8> {
    let line = std::fs::read_to_string(file).unwrap();
    data_encoding::BASE64.decode(line.split(' ').nth(1).unwrap().as_bytes()).unwrap()
}

/// A line that says `blob` is of the type that it begins with.
pub fn line(blob: &[u8]) -> String {
    let length = usize::from(blob[3]);
    let name = std::str::from_utf8(&blob[4..4 + length]).unwrap();
    format!("{name} {}", data_encoding::BASE64.encode(blob))
}

/// A private key as ssh-keygen wrote it.
pub fn private(file: &Path) -> PrivateKey {
    PrivateKey::read_openssh_file(file).unwrap()
}

/// The blob of a public key as ssh-keygen wrote it.
pub fn public(file: &Path) -> Vec<u8> {
    PublicKey::read_openssh_file(file).unwrap().to_bytes().unwrap()
}

/// The RDATA of a SHA-256 SSHFP record of the key with this blob, and of this number.
pub fn sshfp(algorithm: u8, blob: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, blob);
    format!("{algorithm} 2 {}", data_encoding::HEXLOWER.encode(digest.as_ref()))
}
