//! DNSKEY and DS data, key tags, digests, and the signature algorithms that prove something.

use std::fmt;

use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519,
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::proto::name::Name;

/// DNSKEY flag ZONE (RFC 4034 section 2.1.1): only such keys sign zone data.
const ZONE: u16 = 0x0100;
/// DNSKEY flag REVOKE (RFC 5011 section 7).
const REVOKE: u16 = 0x0080;
/// DNSKEY flag SEP (RFC 4034 section 2.1.1): a key that those above, or trust anchors, should name.
const SEP: u16 = 0x0001;

/// The algorithms whose signatures prove something; RSA/SHA-1 (5, 7) is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// 8 (RFC 5702).
    RsaSha256,
    /// 10 (RFC 5702).
    RsaSha512,
    /// 13 (RFC 6605).
    EcdsaP256Sha256,
    /// 14 (RFC 6605).
    EcdsaP384Sha384,
    /// 15 (RFC 8080).
    Ed25519,
    /// 16 (RFC 8080).
    Ed448,
}

impl Algorithm {
    /// By its number; none for those that prove nothing here.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            8 => Self::RsaSha256,
            10 => Self::RsaSha512,
            13 => Self::EcdsaP256Sha256,
            14 => Self::EcdsaP384Sha384,
            15 => Self::Ed25519,
            16 => Self::Ed448,
            _ => return None,
        })
    }

    /// Holds `signature` against `message` under the DNSKEY's public key field.
    fn verifies(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let point = || [&[4], public_key].concat();
        match self {
            Self::EcdsaP256Sha256 if public_key.len() == 64 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(message, signature).is_ok()
            }
            Self::EcdsaP384Sha384 if public_key.len() == 96 => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(message, signature).is_ok()
            }
            Self::Ed25519 if public_key.len() == 32 => {
                UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
            }
            Self::Ed448 => ed448_verifies(public_key, message, signature).unwrap_or(false),
            Self::RsaSha256 | Self::RsaSha512 => {
                // 1024 bits are still met as zone signing keys; the hash is what decides here.
                let parameters = match self {
                    Self::RsaSha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    _ => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                };
                rsa_components(public_key).is_some_and(|(e, n)| {
                    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
                })
            }
            _ => false,
        }
    }
}

/// None if the key or the signature is out of form.
fn ed448_verifies(public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = ed448_goldilocks::VerifyingKey::from_bytes(public_key.try_into().ok()?).ok()?;
    let signature = ed448_goldilocks::Signature::from_bytes(signature.try_into().ok()?);
    Some(key.verify_raw(&signature, message).is_ok())
}

/// Exponent and modulus of RFC 3110 section 2, without leading zeros.
fn rsa_components(public_key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match public_key {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => return None,
    };
    let (exponent, modulus) = rest.split_at_checked(length)?;
    let trim = |number: &'_ [u8]| number.iter().take_while(|b| **b == 0).count();
    Some((exponent.get(trim(exponent)..)?, modulus.get(trim(modulus)..)?))
}

/// A DNSKEY record (RFC 4034 section 2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dnskey {
    rdata: Box<[u8]>,
    flags: u16,
    protocol: u8,
    algorithm: u8,
    tag: u16,
}

impl Dnskey {
    /// From RDATA.
    pub fn from_rdata(rdata: &[u8]) -> Option<Self> {
        let [flags_high, flags_low, protocol, algorithm, key @ ..] = rdata else { return None };
        (!key.is_empty()).then(|| Dnskey {
            rdata: rdata.into(),
            flags: u16::from_be_bytes([*flags_high, *flags_low]),
            protocol: *protocol,
            algorithm: *algorithm,
            tag: key_tag(rdata),
        })
    }

    /// Its tag (RFC 4034 appendix B).
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// Its algorithm's number.
    pub fn algorithm(&self) -> u8 {
        self.algorithm
    }

    /// It may sign zone data: ZONE is set, REVOKE is not, the protocol is 3 (RFC 4034 section 2.1).
    pub fn is_zone_key(&self) -> bool {
        self.flags & ZONE != 0 && self.flags & REVOKE == 0 && self.protocol == 3
    }

    /// Its owner means it to be named from above (SEP).
    pub fn is_entry(&self) -> bool {
        self.flags & SEP != 0
    }

    /// The key as it was before its owner revoked it; none if that has not happened (RFC 5011 section 2.1).
    /// The flag is part of what tags and digests are made of.
    pub fn before_revocation(&self) -> Option<Self> {
        let [_, low, rest @ ..] = &*self.rdata else { return None };
        let high = self.flags.to_be_bytes().first().copied()?;
        (self.flags & REVOKE != 0)
            .then(|| Self::from_rdata(&[&[high, low & !(REVOKE as u8)], rest].concat()))
            .flatten()
    }

    /// Length of its modulus in bits; none of keys other than RSA.
    pub fn rsa_bits(&self) -> Option<usize> {
        // RSA/MD5, RSA/SHA-1, RSASHA1-NSEC3-SHA1, RSA/SHA-256, RSA/SHA-512.
        if !matches!(self.algorithm, 1 | 5 | 7 | 8 | 10) {
            return None;
        }
        let (_, modulus) = rsa_components(self.public_key())?;
        Some(modulus.len() * 8 - modulus.first().map_or(0, |high| high.leading_zeros() as usize))
    }

    /// The same key, whatever its flags say.
    pub fn same_key(&self, other: &Dnskey) -> bool {
        self.algorithm == other.algorithm && self.public_key() == other.public_key()
    }

    /// `signature` over `message` is good under this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Algorithm::from_number(self.algorithm)
            .is_some_and(|a| a.verifies(self.public_key(), message, signature))
    }

    fn public_key(&self) -> &[u8] {
        self.rdata.get(4..).unwrap_or_default()
    }
}

impl fmt::Debug for Dnskey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dnskey({} alg {} flags {})", self.tag, self.algorithm, self.flags)
    }
}

fn key_tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata
        .iter()
        .enumerate()
        .map(|(at, &byte)| if at % 2 == 0 { u32::from(byte) << 8 } else { u32::from(byte) })
        .sum();
    (sum + (sum >> 16)) as u16
}

/// A DS record (RFC 4034 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ds {
    /// Tag of the key it speaks of.
    pub tag: u16,
    /// Algorithm number of that key.
    pub algorithm: u8,
    /// Digest type: 2 is SHA-256, 4 is SHA-384; all others prove nothing here.
    pub digest_type: u8,
    /// The digest.
    pub digest: Box<[u8]>,
}

impl Ds {
    /// From RDATA.
    pub fn from_rdata(rdata: &[u8]) -> Option<Self> {
        let [tag_high, tag_low, algorithm, digest_type, digest @ ..] = rdata else { return None };
        Some(Ds {
            tag: u16::from_be_bytes([*tag_high, *tag_low]),
            algorithm: *algorithm,
            digest_type: *digest_type,
            digest: digest.into(),
        })
    }

    /// Both its algorithm and its digest type prove something here; a set without any such record
    /// makes an unsigned zone (RFC 4035 section 5.2).
    pub fn is_supported(&self) -> bool {
        self.digest_algorithm().is_some() && Algorithm::from_number(self.algorithm).is_some()
    }

    /// It may speak of `key`: tag and algorithm fit. Both are easily made to.
    pub fn names(&self, key: &Dnskey) -> bool {
        self.tag == key.tag && self.algorithm == key.algorithm
    }

    /// It speaks of `key` at `zone`: tag, algorithm and digest all fit.
    pub fn covers(&self, zone: &Name, key: &Dnskey) -> bool {
        self.names(key)
            && self.digest_algorithm().is_some_and(|algorithm| {
                let mut context = digest::Context::new(algorithm);
                context.update(zone.wire());
                context.update(&key.rdata);
                context.finish().as_ref() == &*self.digest
            })
    }

    fn digest_algorithm(&self) -> Option<&'static digest::Algorithm> {
        match self.digest_type {
            2 => Some(&digest::SHA256),
            4 => Some(&digest::SHA384),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, HEXUPPER};

    /// The example of RFC 6605 section 6.1.
    fn rfc6605() -> (Dnskey, Ds, Name) {
        let key = BASE64
            .decode(
                b"GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
            )
            .unwrap();
        let rdata = [&[1, 1, 3, 13], key.as_slice()].concat();
        let digest =
            HEXUPPER.decode(b"B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17").unwrap();
        let ds = Ds { tag: 55648, algorithm: 13, digest_type: 2, digest: digest.into() };
        (Dnskey::from_rdata(&rdata).unwrap(), ds, Name::from_text("example.net").unwrap())
    }

    #[test]
    fn tags_and_digests_are_those_of_the_rfc() {
        let (key, ds, zone) = rfc6605();
        assert_eq!(key.tag(), 55648);
        assert!(key.is_zone_key());
        assert!(ds.covers(&zone, &key) && ds.is_supported());
    }

    #[test]
    fn a_ds_covers_only_the_very_key() {
        let (key, ds, zone) = rfc6605();
        assert!(!ds.covers(&Name::from_text("example.org").unwrap(), &key));
        assert!(!Ds { tag: 1, ..ds.clone() }.covers(&zone, &key));
        assert!(!Ds { algorithm: 8, ..ds.clone() }.covers(&zone, &key));
        let sha1 = Ds { digest_type: 1, ..ds.clone() };
        assert!(!sha1.covers(&zone, &key) && !sha1.is_supported());
        assert!(!Ds { algorithm: 7, ..ds }.is_supported());
    }

    #[test]
    fn revoked_and_non_zone_keys_sign_nothing() {
        let (key, ..) = rfc6605();
        for (flags, protocol, good) in [
            (0x0101u16, 3, true),
            (0x0100, 3, true),
            (0x0181, 3, false),
            (0x0001, 3, false),
            (0x0101, 1, false),
        ] {
            let mut rdata = key.rdata.to_vec();
            rdata[..2].copy_from_slice(&flags.to_be_bytes());
            rdata[2] = protocol;
            assert_eq!(Dnskey::from_rdata(&rdata).unwrap().is_zone_key(), good);
        }
    }

    /// The first example of RFC 8080 section 6.2.
    #[test]
    fn ed448_is_that_of_rfc_8080() {
        let base64 = |text: &[u8]| BASE64.decode(text).unwrap();
        let key = base64(b"3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA");
        let key = Dnskey::from_rdata(&[&[1, 1, 3, 16], key.as_slice()].concat()).unwrap();
        let digest =
            HEXUPPER.decode(b"6CCF18D5BC5D7FC2FCEB1D59D17321402F2AA8D368048DB93DD811F5CB2B19C7").unwrap();
        let ds = Ds { tag: 9713, algorithm: 16, digest_type: 2, digest: digest.into() };
        let zone = Name::from_text("example.com").unwrap();
        assert!(ds.covers(&zone, &key) && ds.is_supported());
        // RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com., over MX 10 mail.example.com.
        let mx = [&[0, 10][..], b"\x04mail", zone.wire()].concat();
        let data = [
            &[0, 15, 16, 2, 0, 0, 0x0e, 0x10][..],
            &1_440_021_600u32.to_be_bytes(),
            &1_438_207_200u32.to_be_bytes(),
            &9713u16.to_be_bytes(),
            zone.wire(),
            zone.wire(),
            &[0, 15, 0, 1, 0, 0, 0x0e, 0x10, 0, mx.len() as u8],
            &mx,
        ]
        .concat();
        let signature = base64(
            b"3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA",
        );
        assert!(key.verifies(&data, &signature));
        for at in [0, 56, 57, 113] {
            let mut flipped = signature.clone();
            flipped[at] ^= 1;
            assert!(!key.verifies(&data, &flipped), "{at}");
        }
        assert!(!key.verifies(&data[1..], &signature));
    }

    #[test]
    fn a_revoked_key_is_known_by_what_it_was() {
        let (key, ds, zone) = rfc6605();
        assert!(key.is_entry() && key.before_revocation().is_none());
        let mut rdata = key.rdata.to_vec();
        rdata[1] |= 0x80;
        let revoked = Dnskey::from_rdata(&rdata).unwrap();
        assert!(!ds.covers(&zone, &revoked) && revoked.before_revocation() == Some(key));
    }

    #[test]
    fn the_length_of_rsa_keys_is_that_of_their_modulus() {
        let bits = |algorithm: u8, high: u8| {
            let rdata = [&[1, 0, 3, algorithm, 1, 3, 0, high][..], &[0; 127]].concat();
            Dnskey::from_rdata(&rdata).unwrap().rsa_bits()
        };
        assert_eq!((bits(8, 0x80), bits(10, 0x01), bits(13, 0x80)), (Some(1024), Some(1017), None));
    }

    #[test]
    fn rsa_keys_come_in_two_layouts() {
        assert_eq!(rsa_components(&[1, 3, 0, 9, 9]), Some((&[3][..], &[9, 9][..])));
        assert_eq!(rsa_components(&[0, 0, 2, 1, 3, 9]), Some((&[1, 3][..], &[9][..])));
        assert_eq!(rsa_components(&[5, 3]), None);
        assert_eq!(rsa_components(&[]), None);
    }
}
