//! Public keys of SSH CAs, as other programs keep them: a `.pub` file (ssh-keygen, step-ca, Vault), a known_hosts
//! line `@cert-authority PATTERNS KEY`, or an authorized_keys line `cert-authority KEY`.

use super::hostkey::{HostKey, HostKeyError};

/// Smallest RSA key of a CA that anybody relies on, in bits.
pub const MIN_RSA_BITS: usize = 2048;

/// Why a line holds no CA key that can be published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaKeyError {
    /// Not a key.
    #[error("{0}")]
    Key(#[from] HostKeyError),
    /// A CA on a security token.
    #[error("{0} is a security-token key: SSHFP has no number for it, so such a CA cannot be published")]
    SecurityKey(String),
    /// A certificate in the place of its CA's key.
    #[error("{0} is a certificate: give the public key of the CA that signed it")]
    Certificate(String),
    /// Whoever keeps this file does not want the key to be believed.
    #[error("the line says @revoked")]
    Revoked,
    /// Too small for clients to believe.
    #[error("an RSA key of {0} bits: clients want {MIN_RSA_BITS} of a CA, or more")]
    SmallRsa(usize),
}

/// Every CA key of a file, each once; empty lines and `#` comments are skipped. An error carries the number of its
/// line, from 1.
pub fn of_text(text: &str) -> Result<Vec<HostKey>, (usize, CaKeyError)> {
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = of_line(line).map_err(|error| (at + 1, error))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn of_line(line: &str) -> Result<HostKey, CaKeyError> {
    let key = HostKey::from_line(key_of(line)?).map_err(|error| match error {
        HostKeyError::SecurityKey(name) => CaKeyError::SecurityKey(name),
        HostKeyError::Certificate(name) => CaKeyError::Certificate(name),
        error => CaKeyError::Key(error),
    })?;
    match key.rsa_bits() {
        Some(bits) if bits < MIN_RSA_BITS => Err(CaKeyError::SmallRsa(bits)),
        _ => Ok(key),
    }
}

/// What follows the marker and the host patterns, or the options; these last only if none of them is in quotes, which
/// could hold anything.
fn key_of(line: &str) -> Result<&str, CaKeyError> {
    let (first, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim_start();
    match first {
        "@cert-authority" => Ok(rest.split_once([' ', '\t']).map_or("", |(_patterns, key)| key.trim_start())),
        "@revoked" => Err(CaKeyError::Revoked),
        options if !options.contains('"') && options.split(',').any(|option| option == "cert-authority") => {
            Ok(rest)
        }
        _ => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_ca_key_is_found_in_every_file_that_openssh_has_for_it() {
        let key = HostKey::from_line(KEY).unwrap();
        for line in [
            KEY.to_owned(),
            format!("{KEY} step-ca host"),
            format!("@cert-authority *.example.com {KEY}"),
            format!("@cert-authority\t*.example.com,web1  {KEY} Vault"),
            format!("cert-authority {KEY}"),
            format!("no-pty,cert-authority {KEY}"),
        ] {
            assert_eq!(of_text(&line).unwrap(), std::slice::from_ref(&key), "{line}");
        }
        assert_eq!(of_text(&format!("# mine\n\n{KEY}\n@cert-authority * {KEY}\n")).unwrap().len(), 1);
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |line: String| of_text(&line).unwrap_err().1;
        assert_eq!(refused(format!("@revoked * {KEY}")), CaKeyError::Revoked);
        for line in [
            format!("web1.example.com {KEY}"),
            format!("principals=\"a b\",cert-authority {KEY}"),
            "@cert-authority".to_owned(),
            format!("@cert-authority {KEY}"),
            "not a key".to_owned(),
        ] {
            assert!(matches!(refused(line.clone()), CaKeyError::Key(_)), "{line}");
        }
        assert!(matches!(refused("sk-ssh-ed25519@openssh.com AAAA".into()), CaKeyError::SecurityKey(_)));
        let certificate = "@cert-authority * ssh-ed25519-cert-v01@openssh.com AAAA";
        assert!(matches!(refused(certificate.into()), CaKeyError::Certificate(_)));
        assert_eq!(of_text(&format!("{KEY}\n\nhello world")).unwrap_err().0, 3);
    }

    #[test]
    fn a_small_rsa_key_is_no_ca() {
        use crate::proto::wire::put_string;
        let line = |octets: usize| {
            let mut modulus = vec![0x80; octets + 1];
            (modulus[0], modulus[octets]) = (0, 1);
            let mut blob = Vec::new();
            [b"ssh-rsa".as_slice(), &[1, 0, 1], &modulus].iter().for_each(|part| put_string(&mut blob, part));
            HostKey::from_blob(&blob).unwrap().line()
        };
        assert_eq!(of_text(&line(128)).unwrap_err(), (1, CaKeyError::SmallRsa(1024)));
        assert_eq!(of_text(&line(256)).unwrap().len(), 1);
    }
}
