//! A private host key and the .pub file beside it. sshd goes by the private one, and but logs that the other does not fit:
//! published from the .pub file, the record would keep every client out.

use std::io::Read;
use std::path::Path;

use russh::keys::decode_secret_key;
use zeroize::Zeroizing;

use super::HostKeysError;
use crate::files::pipe;
use crate::proto::hostkey::HostKey;

/// Longest private key that is read, in octets: RSA of 16384 bits takes 12 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// The marks of OpenSSH's own format, which every host key has unless it is older than 2014.
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// `keys`, as the .pub file has them, fit the private key at `path`. Where that cannot be read (it takes root), is not there
/// (with HostKeyAgent) or is of a form that is not known here, there is nothing to compare.
pub(super) fn check(path: &Path, keys: &[HostKey]) -> Result<(), HostKeysError> {
    let Some(text) = read(path) else { return Ok(()) };
    let is_cut = text.trim_start().starts_with(BEGIN) && !text.contains(END);
    if text.trim().is_empty() || is_cut {
        return Err(HostKeysError::Damaged(path.to_owned()));
    }
    let Ok(private) = decode_secret_key(&text, None) else { return Ok(()) };
    let line = private.public_key().to_openssh().unwrap_or_default();
    match HostKey::from_line(&line) {
        Ok(key) if !keys.contains(&key) => Err(HostKeysError::OtherKey(path.to_owned())),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Option<Zeroizing<String>> {
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
    pipe::open(path, pipe::PATIENCE).ok()?.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}
