//! What two KEXINITs agree on (RFC 4253 section 7.1), and which key exchanges the gate understands.

use super::kexinit::{KexInit, NameList};
use crate::proto::policy::Seen;
use crate::proto::text::cut;

/// The messages of a key exchange method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Init (30), reply (31) with K_S, the server's share, signature: DH (RFC 4253 section 8), ECDH
    /// (RFC 5656, RFC 8731) and every hybrid.
    Direct,
    /// Group exchange: request (34, of old 30), group (31), init (32), reply (33) (RFC 4419).
    GroupExchange,
}

/// The algorithms of this handshake, as computed from what went over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Key exchange method.
    pub kex: String,
    /// Host key algorithm.
    pub host_key: String,
    /// Ciphers: client to server, server to client.
    pub ciphers: [String; 2],
    /// The client offered the strict key exchange (OpenSSH's PROTOCOL section 1.10).
    pub strict_client: bool,
    /// The server offered it; both have to for it to be in force.
    pub strict_server: bool,
    /// The messages of `kex`.
    pub method: Method,
    /// A client's guess, if it sends one, is right: the server takes it as the init.
    pub guess_right: bool,
}

impl Negotiated {
    /// What a policy may ask of this handshake, of a server with this version line.
    pub fn seen(&self, server_version: &str) -> Seen {
        Seen {
            kex: self.kex.clone(),
            strict_client: self.strict_client,
            strict_server: self.strict_server,
            server_version: server_version.to_owned(),
        }
    }
}

/// Why two KEXINITs lead nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// Nothing in common: the client is to tell that itself, with the server's offer.
    #[error("client and server have no {0} in common")]
    Nothing(&'static str),
    /// A key exchange whose reply is not known to carry a signature by K_S.
    #[error("key exchange {0:?} is not supported in the gate")]
    Kex(String),
    /// No encryption or no integrity after the key exchange.
    #[error("{0} none was negotiated")]
    NoProtection(&'static str),
}

const ELLIPTIC_AND_HYBRID: [&str; 13] = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "curve448-sha512",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "ecdh-sha2-1.3.132.0.10",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "sntrup4591761x25519-sha512@tinyssh.org",
    "mlkem768x25519-sha256",
    "mlkem768nistp256-sha256",
    "mlkem1024nistp384-sha384",
];
const DIGESTS: [&str; 5] = ["sha1", "sha224", "sha256", "sha384", "sha512"];

/// The method of this name; `None` for what the gate does not know, gss-* and rsa* among them: no
/// key of the host signs those.
pub fn method(kex: &str) -> Option<Method> {
    if ELLIPTIC_AND_HYBRID.contains(&kex) {
        return Some(Method::Direct);
    }
    // RFC 4253, RFC 4419, RFC 8268; with @ssh.com the further digests of asyncssh and Tectia.
    let name = kex.strip_suffix("@ssh.com").unwrap_or(kex);
    let (group, digest) = name.strip_prefix("diffie-hellman-group")?.split_once('-')?;
    if let Some(digest) = digest.strip_prefix("exchange-") {
        return (group.is_empty() && DIGESTS.contains(&digest)).then_some(Method::GroupExchange);
    }
    let known = ["1", "14", "15", "16", "17", "18"].contains(&group) && DIGESTS.contains(&digest);
    known.then_some(Method::Direct)
}

/// Names in the list of key exchanges that are signs between implementations and no methods.
fn is_sign(name: &str) -> bool {
    ["ext-info-", "kex-strict-", "kexguess2@"].iter().any(|prefix| name.starts_with(prefix))
}

/// The first key exchange method of a list.
fn first_kex(kex: &NameList) -> Option<&str> {
    kex.names().find(|name| !is_sign(name))
}

/// What both agree on: the client's order decides.
pub fn negotiate(client: &KexInit, server: &KexInit) -> Result<Negotiated, Disagreement> {
    use Disagreement::Nothing;
    let kex = client.kex.names().filter(|name| !is_sign(name)).find(|name| server.kex.has(name));
    let kex = kex.ok_or(Nothing("key exchange"))?;
    let host_key = client.host_key.first_in_common(&server.host_key).ok_or(Nothing("host key algorithm"))?;
    let [up, down] = [&client.ciphers, &server.ciphers];
    let mut ciphers = [const { String::new() }; 2];
    for ((chosen, up), down) in ciphers.iter_mut().zip(up).zip(down) {
        *chosen = up.first_in_common(down).ok_or(Nothing("cipher"))?.to_owned();
    }
    let method = method(kex).ok_or_else(|| Disagreement::Kex(cut(kex, 64).into_owned()))?;
    if ciphers.iter().any(|cipher| cipher == "none") {
        return Err(Disagreement::NoProtection("cipher"));
    }
    // Nothing in common is fine here: ciphers with integrity of their own ignore the MAC.
    if client.macs.iter().zip(&server.macs).any(|(up, down)| up.first_in_common(down) == Some("none")) {
        return Err(Disagreement::NoProtection("MAC"));
    }
    Ok(Negotiated {
        kex: kex.to_owned(),
        host_key: host_key.to_owned(),
        ciphers,
        strict_client: client.kex.has("kex-strict-c-v00@openssh.com"),
        strict_server: server.kex.has("kex-strict-s-v00@openssh.com"),
        method,
        guess_right: guess_right(client, server, kex, host_key),
    })
}

/// RFC 4253 section 7: a guess is right if both list the same method and host key algorithm first.
/// Where both show dropbear's `kexguess2`, it is enough that the client's first ones were chosen.
fn guess_right(client: &KexInit, server: &KexInit, kex: &str, host_key: &str) -> bool {
    const SIGN: &str = "kexguess2@matt.ucc.asn.au";
    if client.kex.has(SIGN) && server.kex.has(SIGN) {
        first_kex(&client.kex) == Some(kex) && client.host_key.names().next() == Some(host_key)
    } else {
        first_kex(&client.kex) == first_kex(&server.kex)
            && client.host_key.names().next() == server.host_key.names().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::samples::{Offer, kexinit};

    fn agree(client: Offer<'_>, server: Offer<'_>) -> Result<Negotiated, Disagreement> {
        let read = |offer: &Offer<'_>| KexInit::parse(&kexinit(offer)).unwrap();
        negotiate(&read(&client), &read(&server))
    }

    fn kex(client: &str, server: &str) -> Result<Negotiated, Disagreement> {
        agree(Offer { kex: client, ..Offer::default() }, Offer { kex: server, ..Offer::default() })
    }

    #[test]
    fn every_known_kex_has_its_method() {
        for name in ELLIPTIC_AND_HYBRID {
            assert_eq!(method(name), Some(Method::Direct), "{name}");
        }
        for name in [
            "diffie-hellman-group1-sha1",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group14-sha256",
            "diffie-hellman-group15-sha512",
            "diffie-hellman-group16-sha512",
            "diffie-hellman-group17-sha512",
            "diffie-hellman-group18-sha512",
            "diffie-hellman-group16-sha384@ssh.com",
        ] {
            assert_eq!(method(name), Some(Method::Direct), "{name}");
        }
        for name in ["sha1", "sha256", "sha224@ssh.com"] {
            let name = format!("diffie-hellman-group-exchange-{name}");
            assert_eq!(method(&name), Some(Method::GroupExchange), "{name}");
        }
    }

    #[test]
    fn unknown_gss_and_rsa_kexes_are_refused() {
        for name in [
            "gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==",
            "gss-curve25519-sha256-toWM5Slw5Ew8Mqkay+al2g==",
            "rsa2048-sha256",
            "rsa1024-sha1",
            "diffie-hellman-group2-sha1",
            "diffie-hellman-group-exchange-md5",
            "diffie-hellman-groupx-exchange-sha256",
            "diffie-hellman-group14-exchange-sha256",
            "curve25519-sha256@example.com",
            "none",
        ] {
            assert_eq!(kex(name, name), Err(Disagreement::Kex(name.into())), "{name}");
        }
    }

    #[test]
    fn the_clients_order_decides_and_signs_are_skipped() {
        let signs = "ext-info-c,kexguess2@matt.ucc.asn.au,kex-strict-c-v00@openssh.com";
        let both = format!("{signs},curve25519-sha256,ecdh-sha2-nistp256");
        let server = "ecdh-sha2-nistp256,curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com,\
                      kexguess2@matt.ucc.asn.au";
        assert_eq!(kex(&both, server).unwrap().kex, "curve25519-sha256");
        let client = Offer { host_key: "rsa-sha2-512,ssh-ed25519", ..Offer::default() };
        let server = Offer { host_key: "ssh-ed25519,rsa-sha2-512", ..Offer::default() };
        assert_eq!(agree(client, server).unwrap().host_key, "rsa-sha2-512");
    }

    #[test]
    fn nothing_in_common_says_in_what() {
        assert_eq!(kex("a", "b"), Err(Disagreement::Nothing("key exchange")));
        let signs = "ext-info-c,kex-strict-c-v00@openssh.com";
        assert_eq!(kex(signs, signs), Err(Disagreement::Nothing("key exchange")));
        let other = Offer { host_key: "ssh-dss", ..Offer::default() };
        assert_eq!(agree(other, Offer::default()), Err(Disagreement::Nothing("host key algorithm")));
        let other = Offer { cipher: "3des-cbc", ..Offer::default() };
        assert_eq!(agree(other, Offer::default()), Err(Disagreement::Nothing("cipher")));
    }

    #[test]
    fn cipher_and_mac_none_are_refused_where_chosen() {
        let none = || Offer { cipher: "none,aes256-ctr", ..Offer::default() };
        assert_eq!(agree(none(), none()), Err(Disagreement::NoProtection("cipher")));
        let none = || Offer { mac: "none", ..Offer::default() };
        assert_eq!(agree(none(), none()), Err(Disagreement::NoProtection("MAC")));
        let last = || Offer { cipher: "aes256-ctr,none", mac: "hmac-sha2-256,none", ..Offer::default() };
        assert!(agree(last(), last()).is_ok());
    }

    #[test]
    fn strict_needs_both() {
        let (c, s) = ("curve25519-sha256,kex-strict-c-v00@openssh.com", "curve25519-sha256");
        let strict = |client: &str, server: &str| {
            let negotiated = kex(client, server).unwrap();
            (negotiated.strict_client, negotiated.strict_server)
        };
        assert_eq!(strict(c, s), (true, false));
        assert_eq!(strict(c, &format!("{s},kex-strict-s-v00@openssh.com")), (true, true));
        // Each has its own sign.
        assert_eq!(strict(s, &format!("{s},kex-strict-c-v00@openssh.com")), (false, false));
    }

    #[test]
    fn a_guess_is_right_by_rfc_4253_or_by_kexguess2() {
        let (a, b) = ("curve25519-sha256", "ecdh-sha2-nistp256");
        assert!(kex(a, a).unwrap().guess_right);
        assert!(kex(&format!("ext-info-c,{a},{b}"), a).unwrap().guess_right);
        assert!(!kex(&format!("{a},{b}"), &format!("{b},{a}")).unwrap().guess_right);
        let sign = "kexguess2@matt.ucc.asn.au";
        let (ours, theirs) = (format!("{a},{b},{sign}"), format!("{b},{a},{sign}"));
        assert!(kex(&ours, &theirs).unwrap().guess_right);
        assert!(!kex(&ours, &format!("{b},{sign}")).unwrap().guess_right);
        let client = Offer { kex: a, host_key: "rsa-sha2-512,ssh-ed25519", ..Offer::default() };
        let server = Offer { kex: a, host_key: "ssh-ed25519,rsa-sha2-512", ..Offer::default() };
        assert!(!agree(client, server).unwrap().guess_right);
    }
}
