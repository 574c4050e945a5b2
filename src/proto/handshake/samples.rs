//! Payloads of a handshake for tests. `tests/offline/gate.rs` includes this file too, so it names
//! nothing of this crate.

/// A few lists of a KEXINIT; the rest of it is fixed.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// `kex_algorithms`.
    pub kex: &'a str,
    /// `server_host_key_algorithms`.
    pub host_key: &'a str,
    /// `encryption_algorithms`, both ways.
    pub cipher: &'a str,
    /// `mac_algorithms`, both ways.
    pub mac: &'a str,
    /// `first_kex_packet_follows`.
    pub guess: bool,
}

impl Default for Offer<'_> {
    fn default() -> Self {
        Offer {
            kex: "curve25519-sha256",
            host_key: "ssh-ed25519",
            cipher: "aes256-ctr",
            mac: "hmac-sha2-256",
            guess: false,
        }
    }
}

fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

/// A KEXINIT.
pub fn kexinit(offer: &Offer<'_>) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    let Offer { kex, host_key, cipher, mac, guess } = *offer;
    for list in [kex, host_key, cipher, cipher, mac, mac, "none", "none", "", ""] {
        payload.extend(string(list.as_bytes()));
    }
    payload.push(u8::from(guess));
    payload.extend([0; 4]);
    payload
}

/// A client's init: 30, or 32 in group exchange.
pub fn init(message: u8) -> Vec<u8> {
    [vec![message], string(&[5; 32])].concat()
}

/// A server's reply: 31, or 33 in group exchange. Its signature is nonsense.
pub fn reply(message: u8, host_key: &[u8]) -> Vec<u8> {
    let signature = [string(b"ssh-ed25519"), string(&[6; 64])].concat();
    [vec![message], string(host_key), string(&[8; 32]), string(&signature)].concat()
}

/// A server's group in group exchange.
pub fn group() -> Vec<u8> {
    let mut prime = vec![0x7f; 256];
    prime[255] = 0xff;
    [vec![31], string(&prime), string(&[2])].concat()
}

/// A client's request for a group.
pub fn group_request() -> Vec<u8> {
    [&[34][..], &2048u32.to_be_bytes(), &3072u32.to_be_bytes(), &8192u32.to_be_bytes()].concat()
}

/// A DISCONNECT.
pub fn disconnect(text: &[u8]) -> Vec<u8> {
    [vec![1, 0, 0, 0, 2], string(text), string(b"")].concat()
}

/// An ssh-ed25519 public key blob.
pub fn ed25519(octet: u8) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(&[octet; 32])].concat()
}
