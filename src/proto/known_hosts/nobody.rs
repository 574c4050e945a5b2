//! Keys that nobody holds, one of each type: they tell ssh which types of host key to ask for.
//!
//! ssh looks at the types alone, and forgets the keys before a server shows its own. Even so, nobody can show these:
//!
//! * ECDSA: a point whose x coordinate is a hash and whose y is the even one; nobody knows its logarithm.
//! * Ed25519: a hash that decodes to no point of the curve, so that no signature by it verifies.
//! * RSA: the modulus of the RSA-2048 challenge, whose factors were destroyed and have not been found.

use crate::proto::hostkey::KeyType;

/// The base64 of a well-formed public key of this type without a private half.
pub(super) fn nobodys_key(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Rsa => concat!(
            "AAAAB3NzaC1yc2EAAAADAQABAAABAQDHlwzu3MOwdUSQIBp6phPNc5EQgceQ9fGocm9GNVC7W3/w244eoRiexy+T0WUAEb1yGu6s",
            "wqzeMqBBB/BkjCgTox9bC3dl/4tEtLb/yTOEtkbrCcfPXoWS1A6jPIADnzW08UoEtR97/Xgb5NFnMWS6jrmRwsTXMLu+NfWSve9S",
            "Svfo2u/SbGb8AsR5r4nWTTc/RCcJQ53mbOuVXz6jfVFZ9hNYCfhTNLXLGBOt3IDNBWCfEKxqla1lhyyQlSW9rTK8cpWSZCkg8kxh",
            "3Fs8O3kj5WsWpNnTc9hyHySj/A8bMTH1VhUXKGa8zDD5UFTIJOczpetoF/e8FjmdSMY2HMfl"
        ),
        KeyType::EcdsaP256 => concat!(
            "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBDCdlvO2DNwYtKSFIOQ9W9mQ9spwLvucF9w9DJBnxxl+B8JG",
            "0v26bKGmHUgOUakMLwKKLHjd01bLqEEvSDoNi0Y="
        ),
        KeyType::EcdsaP384 => concat!(
            "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBI951x2VAgXOMK512+w2MZSC3NCUDyaUHGDlsqBRZl4VFgdc",
            "uKGrhO6GtyaAxduUBapLcUOMzGSBfXXjskyEYePc7tf6RJxgayT91F0cataFrIVpw+cwW7wIXwdjwO+Adg=="
        ),
        KeyType::EcdsaP521 => concat!(
            "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAxTZ5z4thocjAcF+ZZ3Kri72MqYImH1lSyPoZT2FSQgvo2",
            "qICSGXOv5hVg2kEwMiImzFCIcIAlIKIu8s7K08jJhQD6CHswW2KEwbth8RAZ3+E1xnTdUR2apCObFEmAGRlwAjpMfl+8UUyhAFAt",
            "HurdO1akDdWJCUNoSsqizxWfzN+Fjg=="
        ),
        KeyType::Ed25519 => "AAAAC3NzaC1lZDI1NTE5AAAAIKMzf2oj0zZ5KtYs1vqhdjGQ25pYc2JqyGaG6FUa/7c3",
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::proto::hostkey::HostKey;

    fn blob(key_type: KeyType) -> Vec<u8> {
        BASE64.decode(nobodys_key(key_type).as_bytes()).unwrap()
    }

    /// SHA-256 of a text and a counter, over and over, until there are `length` octets; `attempt` is the first that
    /// gives what is wanted.
    fn hashed(key_type: KeyType, attempt: u32, length: usize) -> Vec<u8> {
        let text = format!("sshanchor: nobody's {key_type} key, try {attempt}");
        let block = |counter: u8| Sha256::digest([text.as_bytes(), &[counter]].concat());
        (0..).flat_map(|counter| block(counter).to_vec()).take(length).collect()
    }

    #[test]
    fn each_is_a_well_formed_key_of_its_type() {
        for key_type in KeyType::ALL {
            assert_eq!(HostKey::from_blob(&blob(key_type)).unwrap().key_type(), key_type);
        }
    }

    #[test]
    fn nobody_could_choose_them() {
        for (key_type, attempt, length) in
            [(KeyType::EcdsaP256, 0, 32), (KeyType::EcdsaP384, 2, 48), (KeyType::EcdsaP521, 3, 66)]
        {
            let (mut x, blob) = (hashed(key_type, attempt, length), blob(key_type));
            if key_type == KeyType::EcdsaP521 {
                x[0] &= 1;
            }
            assert_eq!(blob[blob.len() - 2 * length..blob.len() - length], x, "{key_type}");
            assert_eq!(blob.last().unwrap() & 1, 0, "the even one of both points, {key_type}");
        }
        assert!(blob(KeyType::Ed25519).ends_with(&hashed(KeyType::Ed25519, 2, 32)));
        let rsa = blob(KeyType::Rsa);
        // The challenge's 617 digits begin and end so.
        let modulus = &rsa[rsa.len() - 256..];
        let (mut digits, mut number) = (Vec::new(), modulus.to_vec());
        while number.iter().any(|octet| *octet != 0) {
            let mut rest = 0;
            for octet in &mut number {
                let value = rest * 256 + u32::from(*octet);
                (*octet, rest) = ((value / 10) as u8, value % 10);
            }
            digits.push(char::from_digit(rest, 10).unwrap());
        }
        let decimal: String = digits.iter().rev().collect();
        assert!(decimal.starts_with("25195908475657893494") && decimal.ends_with("10397122822120720357"));
        let sum: u32 = digits.iter().filter_map(|digit| digit.to_digit(10)).sum();
        assert_eq!((decimal.len(), sum), (617, 2738), "as published with the challenge");
    }
}
