//! Which keys are to be revoked: from files, certificates, hosts and digests, each with where it comes from.

use std::path::Path;
use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};

use super::Args;
use crate::cli::ca::ca_error;
use crate::cli::ca::set::read;
use crate::cli::{Context, host_name};
use crate::error::Error;
use crate::proto::ca_keys;
use crate::proto::denial::Status;
use crate::proto::hostkey::{HostKey, KeyType, Presented};
use crate::proto::issuance::journal::Event;
use crate::proto::issuance::{Issued, RevokedKey};
use crate::proto::policy::Policy;
use crate::proto::revocation;
use crate::proto::sshfp::Sshfp;
use crate::proto::verdict::{Reason, published};
use crate::ssh::ca::{Ca, CaError};
use crate::verifier::now;

/// The port of a host's records that are good on every port.
const SSH: u16 = 22;
/// The algorithm number of a digest of which no more is known: 0 is reserved, and nothing but the digest counts.
const UNKNOWN: u8 = 0;

/// A key that is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) key: RevokedKey,
    /// Its number in SSHFP records.
    pub(super) algorithm: u8,
    /// What it was named by, for people.
    pub(super) by: String,
    /// Hosts that are known to have it.
    pub(super) hosts: Vec<String>,
}

impl Named {
    fn new(key: RevokedKey, by: String) -> Self {
        let algorithm = key.key_type.map_or(UNKNOWN, KeyType::sshfp_algorithm);
        Named { key, algorithm, by, hosts: Vec::new() }
    }

    /// Its record in the revoked set.
    pub(super) fn record(&self) -> Sshfp {
        Sshfp::sha256_of(self.algorithm, &self.key.sha256)
    }
}

/// Every key that was named, each once.
pub(super) async fn named(args: &Args, folder: Option<&Ca>, cx: &Context) -> Result<Vec<Named>, Error> {
    let mut found = Vec::new();
    for file in &args.keys {
        found.extend(of_key_file(file, cx.timeout)?);
    }
    for file in &args.certificates {
        found.extend(of_certificates(file, cx.timeout)?);
    }
    for text in &args.digests {
        found.push(of_digest(text)?);
    }
    let issued = match folder {
        None => Vec::new(),
        Some(folder) => issued(folder).map_err(ca_error)?,
    };
    for text in &args.hosts {
        let host = host_name(text)?;
        let name = host.name().to_string();
        let mut of_host: Vec<Named> = issued
            .iter()
            .filter(|issued| issued.principals.contains(&name))
            .map(|issued| Named::new(issued.key.into(), format!("a certificate for {name}")))
            .collect();
        // As DNS has it now, whatever is stored here and whatever policy asks for besides.
        let evidence = cx.verifier()?.whole_evidence(&host, SSH).await?;
        match published(&evidence, &Policy::default(), now()) {
            Ok(sets) => of_host.extend(sets.iter().flat_map(|set| {
                let usable = set.records.iter().filter(|record| record.is_usable());
                usable.filter_map(|record| of_record(record, format!("the SSHFP record of {}", set.owner)))
            })),
            Err(why) => {
                // That there are none is known; else some may be left out.
                let is_certain =
                    matches!(&why, Reason::NoProof { cause, .. } if cause.status == Status::Absent);
                let told = format!("{name} has no proven SSHFP records: {why}");
                match is_certain {
                    true => cx.out.detail(&told),
                    false => cx.out.warn(&format!("{told}; keys that stand there are not revoked by this")),
                }
            }
        }
        if of_host.is_empty() {
            let message = format!(
                "no key of {name} is known: the journal has no certificate for it, and DNS proves none"
            );
            return Err(Error::usage("no-keys", message)
                .hint("name its key: --key FILE, --certificate FILE or --sha256 DIGEST; or its CA's folder: --ca FOLDER"));
        }
        found.extend(of_host);
    }
    let mut named: Vec<Named> = Vec::new();
    for mut new in found {
        let of_key = issued.iter().filter(|issued| issued.key.sha256 == new.key.sha256);
        for issued in of_key {
            new.hosts.extend(issued.principals.iter().cloned());
            if new.key.key_type.is_none() {
                new.key.key_type = Some(issued.key.key_type);
                new.algorithm = new.key.key_type.map_or(new.algorithm, KeyType::sshfp_algorithm);
            }
        }
        new.hosts.sort();
        new.hosts.dedup();
        match named.iter_mut().find(|known| known.key.sha256 == new.key.sha256) {
            Some(known) if known.key.key_type.is_none() && new.key.key_type.is_some() => *known = new,
            Some(_) => {}
            None => named.push(new),
        }
    }
    match named.iter().find(|named| revocation::is_sentinel(&Sshfp::sha256_of(1, &named.key.sha256).rdata()))
    {
        Some(_) => Err(Error::usage("digest", "64 zeros are the set's sentinel, and no key's digest")),
        None => Ok(named),
    }
}

/// Every certificate of the journal: nothing is done on partial knowledge.
fn issued(ca: &Ca) -> Result<Vec<Issued>, CaError> {
    let mut issued = Vec::new();
    for entry in ca.journal().entries()? {
        if let Event::Sign { issued: one, .. } = entry?.event {
            issued.push(one);
        }
    }
    Ok(issued)
}

fn of_record(record: &Sshfp, by: String) -> Option<Named> {
    let sha256 = record.fingerprint().try_into().ok()?;
    // By its number alone nobody can tell the curves apart.
    let key_type = match record.algorithm() {
        1 => Some(KeyType::Rsa),
        4 => Some(KeyType::Ed25519),
        _ => None,
    };
    Some(Named { algorithm: record.algorithm(), ..Named::new(RevokedKey { key_type, sha256 }, by) })
}

fn of_key_file(file: &Path, patience: Duration) -> Result<Vec<Named>, Error> {
    let shown = file.display();
    let text = read(file, patience)?;
    let keys: Vec<HostKey> = match ca_keys::of_text(&text) {
        Ok(keys) => keys,
        // Too small a key of a CA is a key that can be revoked.
        Err((line, ca_keys::CaKeyError::Certificate(_))) => {
            let message = format!("{shown} line {line} is a certificate");
            return Err(Error::usage("host-key", message)
                .hint(format!("revoke the key in it: --certificate {shown}; to refuse all that its CA has signed, name the CA's key")));
        }
        Err((_, ca_keys::CaKeyError::SmallRsa(_))) => HostKey::from_text(&text)
            .map_err(|(line, error)| Error::usage("host-key", format!("{shown} line {line}: {error}")))?,
        Err((line, error)) => {
            return Err(Error::usage("host-key", format!("{shown} line {line}: {error}")));
        }
    };
    match keys.is_empty() {
        true => Err(Error::usage("host-key", format!("{shown} holds no public key"))),
        false => Ok(keys.iter().map(|key| Named::new(RevokedKey::from(key), shown.to_string())).collect()),
    }
}

/// The key in a certificate: `-cert.pub` files, a line each. Serial numbers revoke nothing in DNS.
fn of_certificates(file: &Path, patience: Duration) -> Result<Vec<Named>, Error> {
    let shown = file.display();
    let mut named = Vec::new();
    for (at, line) in read(file, patience)?.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: String| Error::usage("certificate", format!("{shown} line {}: {why}", at + 1));
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(wrong("not a certificate (want: TYPE BASE64 [COMMENT])".into()));
        };
        let blob =
            BASE64.decode(base64.as_bytes()).map_err(|_| wrong("its base64 does not decode".into()))?;
        match Presented::of_type(&blob, name).map_err(|e| wrong(e.to_string()))? {
            Presented::Certificate(certificate) => {
                named.push(Named::new(RevokedKey::from(certificate.key()), format!("the key in {shown}")));
            }
            Presented::Plain(_) => {
                return Err(wrong("a plain key".into()).hint(format!("name it so: --key {shown}")));
            }
        }
    }
    match named.is_empty() {
        true => Err(Error::usage("certificate", format!("{shown} holds no certificate"))),
        false => Ok(named),
    }
}

/// 64 hex digits, or `SHA256:` and base64, as ssh and ssh-keygen -l print it.
fn of_digest(text: &str) -> Result<Named, Error> {
    let octets = match text.strip_prefix("SHA256:") {
        Some(base64) => BASE64_NOPAD.decode(base64.trim_end_matches('=').as_bytes()).ok(),
        None => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
    };
    let sha256: Option<[u8; 32]> = octets.and_then(|octets| octets.try_into().ok());
    let wrong = || {
        Error::usage("digest", format!("{text:?} is no SHA-256 digest"))
            .hint("want 64 hex digits, or SHA256:... as ssh-keygen -l prints it")
    };
    let key = RevokedKey { key_type: None, sha256: sha256.ok_or_else(wrong)? };
    Ok(Named::new(key, text.to_owned()))
}

/// Every record of a digest that `ca revoke` may have written, whatever it knew of the key.
pub(super) fn all_records(named: &Named) -> impl Iterator<Item = Sshfp> {
    let numbers = KeyType::ALL.into_iter().map(KeyType::sshfp_algorithm).chain([UNKNOWN]);
    numbers.map(|algorithm| Sshfp::sha256_of(algorithm, &named.key.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_others_print_them() {
        let hex = "00".repeat(31) + "Ff";
        let named = of_digest(&hex).unwrap();
        assert_eq!((named.key.sha256[31], named.algorithm), (255, UNKNOWN));
        let base64 = format!("SHA256:{}", BASE64_NOPAD.encode(&named.key.sha256));
        assert_eq!(of_digest(&base64).unwrap().key, named.key);
        assert_eq!(of_digest(&format!("{base64}=")).unwrap().key, named.key);
        for bad in ["", "SHA256:", "SHA1:AAAA", "00", &hex[1..], &format!("{hex}00"), "MD5:00"] {
            assert!(of_digest(bad).is_err(), "{bad:?}");
        }
        assert_eq!(all_records(&named).filter(|record| *record == named.record()).count(), 1);
    }
}
