//! New keys.

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

use crate::proto::hostkey::KeyType;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The library refused.
    #[error("{0}")]
    Key(String),
    /// Such keys are not made here.
    #[error("keys of type {0} are made by ssh-keygen")]
    Elsewhere(KeyType),
}

/// Random numbers, seeded by the system.
pub fn random() -> Result<StdRng, MakeError> {
    StdRng::try_from_rng(&mut SysRng).map_err(|e| MakeError::Random(e.to_string()))
}

/// A fresh key; RSA keys are left to ssh-keygen.
pub fn generate(key_type: KeyType, comment: &str) -> Result<PrivateKey, MakeError> {
    let algorithm = match key_type {
        KeyType::Ed25519 => Algorithm::Ed25519,
        KeyType::EcdsaP256 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        KeyType::EcdsaP384 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        KeyType::EcdsaP521 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        KeyType::Rsa => return Err(MakeError::Elsewhere(key_type)),
    };
    let made = PrivateKey::random(&mut random()?, algorithm).map_err(|e| MakeError::Key(e.to_string()));
    made.map(|mut key| {
        key.set_comment(comment);
        key
    })
}
