//! What a handshake offers: the key exchanges, and the host key algorithms that it asks for.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, kex};

use super::Ask;
use crate::proto::hostkey::KeyType;
use crate::proto::policy::Kex;

/// Curve25519 first: a probe protects no secret, and hybrids cost 1.5 times as much.
pub(super) const PROBE_KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::MLKEM768X25519_SHA256,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// The hybrid first: what a session carries may be worth keeping from a later quantum computer.
pub(in crate::ssh) const SESSION_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// What is offered where policy wants nothing else: of [`crate::proto::policy::posture::POST_QUANTUM`] that which russh has.
pub(in crate::ssh) const POST_QUANTUM_KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Makes `preferred` ask for host keys by `ask` alone, and for such a key exchange.
pub fn narrow(preferred: &mut Preferred, ask: &Ask, kex: Kex) {
    if kex == Kex::PostQuantum {
        preferred.kex = Cow::Borrowed(POST_QUANTUM_KEX);
    }
    let mut wanted: Vec<Algorithm> = Vec::new();
    for algorithm in ask.types().iter().flat_map(|t| algorithms(*t)) {
        if !wanted.contains(algorithm) {
            wanted.push(algorithm.clone());
        }
    }
    let (key, certificates) = match ask {
        Ask::Keys(_) => (wanted, Vec::new()),
        Ask::Certificates(_) => (Vec::new(), wanted),
    };
    (preferred.key, preferred.host_key_certificates) = (Cow::Owned(key), Cow::Owned(certificates));
}

/// The algorithms that keys of a type sign with; never SHA-1's `ssh-rsa` (RFC 8332).
fn algorithms(key_type: KeyType) -> &'static [Algorithm] {
    match key_type {
        KeyType::Rsa => {
            &[Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }]
        }
        KeyType::EcdsaP256 => &[Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }],
        KeyType::EcdsaP384 => &[Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }],
        KeyType::EcdsaP521 => &[Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }],
        KeyType::Ed25519 => &[Algorithm::Ed25519],
    }
}
