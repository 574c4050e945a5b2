//! CA keys in files: made, read, used.

use std::path::Path;
use std::sync::Arc;

use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{HashAlg, PublicKey};
use zeroize::Zeroizing;

use super::CaError;
use crate::proto::hostkey::{HostKey, HostKeyError, KeyType};
use crate::ssh::identity::Ask;
use crate::ssh::identity::file::{KeyFile, Named};
use crate::ssh::keygen;

/// The types of keys that are made here. RSA keys are left to ssh-keygen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKey {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ecdsa-sha2-nistp256`.
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`.
    EcdsaP384,
}

/// A fresh key, and its private half in OpenSSH's format.
pub(super) fn generate(
    kind: NewKey,
    passphrase: Option<&Zeroizing<String>>,
    comment: &str,
) -> Result<(HostKey, Zeroizing<String>), CaError> {
    let key_type = match kind {
        NewKey::Ed25519 => KeyType::Ed25519,
        NewKey::EcdsaP256 => KeyType::EcdsaP256,
        NewKey::EcdsaP384 => KeyType::EcdsaP384,
    };
    let made = |e: ssh_key::Error| CaError::Make(e.to_string());
    let mut key = keygen::generate(key_type, comment)?;
    let public = public(key.public_key()).map_err(|e| CaError::Make(e.to_string()))?;
    if let Some(passphrase) = passphrase {
        key = key.encrypt(&mut keygen::random()?, passphrase.as_bytes()).map_err(made)?;
    }
    Ok((public, key.to_openssh(LineEnding::LF).map_err(made)?))
}

/// A public key, read as strictly as anybody's.
pub(super) fn public(key: &PublicKey) -> Result<HostKey, HostKeyError> {
    HostKey::from_line(&key.to_openssh().map_err(|_| HostKeyError::NotALine)?)
}

/// The private key at `path`, if it is that of `wanted`.
pub(super) fn file(path: &Path, wanted: &HostKey) -> Result<Arc<KeyFile>, CaError> {
    let named = Named::read(path)?;
    match public(&named.public) {
        Ok(key) if key == *wanted => {}
        _ => return Err(CaError::OtherKey(path.to_owned(), wanted.clone())),
    }
    named.private.ok_or_else(|| CaError::PublicFile(path.to_owned()))
}

/// The signature over `octets`, as it stands in certificates.
pub(super) async fn sign(
    file: &KeyFile,
    path: &Path,
    octets: &[u8],
    ask: &dyn Ask,
) -> Result<Vec<u8>, CaError> {
    let key = file.unlock(ask).await.map_err(CaError::Passphrase)?;
    let signature: Result<ssh_key::Signature, _> = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, Some(HashAlg::Sha512)).try_sign(octets),
        pair => pair.try_sign(octets),
    };
    let refused = |e: &dyn std::fmt::Display| CaError::Sign(path.display().to_string(), e.to_string());
    signature.map_err(|e| refused(&e))?.encode_vec().map_err(|e| refused(&e))
}
