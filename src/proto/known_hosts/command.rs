//! OpenSSH's KnownHostsCommand (ssh_config(5)): what ssh asks, whom it means, and the lines it reads.
//!
//! ssh asks up to three times a connection, and ends it when the command does not exit with 0:
//!
//! | call | when | `%H` | `%t`, `%K` |
//! |---|---|---|---|
//! | ORDER | before the key exchange | see below | NONE |
//! | HOSTNAME | when the host has shown its key | `host` on port 22, `[host]:port` on others, or HostKeyAlias | its type, its base64 |
//! | ADDRESS | after that, with CheckHostIP | `[ip]:port` | the same |
//!
//! Measured with OpenSSH 8.5, 9.2, 9.5, 9.6 and 10.2: `%H` of ORDER is that of HOSTNAME since 9.6, and before the bare
//! host, whatever the port and HostKeyAlias. `%k` is HostKeyAlias where there is one, else the host as it was **typed**:
//! of `Host web` with `HostName web1.example.com` it is `web`, and no name to look up. `%p` is the port of the connection.
//!
//! What is accepted is therefore decided by `%H` of HOSTNAME alone, which is also the name whose line ssh looks for; `%k` and
//! `%p` only tell the port that a HostKeyAlias leaves out, and whom an ORDER of old means.

use data_encoding::BASE64;

use super::nobody::nobodys_key;
use crate::proto::certificate::Certificate;
use crate::proto::evidence::Offer;
use crate::proto::hostkey::{HostKeyError, KeyType, MAX_BLOB, Presented};
use crate::proto::name::HostName;
use crate::proto::text::cut;
use crate::proto::verdict::Anchored;

/// The port that ssh's patterns leave out.
const DEFAULT_PORT: u16 = 22;
/// Longest `%H` and `%k` that are looked at, in octets: longer names are in no DNS.
const MAX_NAME: usize = 300;
/// Octets of `%t` that are looked at: no type's name is as long.
const MAX_TYPE: usize = 80;

/// The marker of a CA's key in known_hosts (sshd(8)).
const CERT_AUTHORITY: &str = "@cert-authority";

/// What ssh asks (`%I`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Which types of host key to ask for first.
    Order,
    /// Whether the key that the host shows is known to be its own. This one decides.
    Hostname,
    /// The same by address.
    Address,
}

impl Call {
    /// From `%I`.
    pub fn read(text: &str) -> Option<Call> {
        match text {
            "ORDER" => Some(Call::Order),
            "HOSTNAME" => Some(Call::Hostname),
            "ADDRESS" => Some(Call::Address),
            _ => None,
        }
    }
}

/// Why the arguments are not what ssh would put there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// `%H` or `%k`.
    #[error("{0:?} is no name that ssh looks known_hosts up by (want: HOST or [HOST]:PORT)")]
    Name(String),
    /// `%p`.
    #[error("{0:?} is no port (want: 1 to 65535)")]
    Port(String),
    /// `%H`, `%k` and `%p` cannot be of one connection.
    #[error("{sought} is the host's name on port {DEFAULT_PORT}, and the port is {port}")]
    OtherPort {
        /// `%H`.
        sought: String,
        /// `%p`.
        port: u16,
    },
    /// `%t` and `%K` are not of one key, or out of form: ssh has read the key before, so that the arguments are mixed up.
    #[error("{0}")]
    Mixed(HostKeyError),
    /// ssh says NONE in ORDER, and never else.
    #[error("%t and %K hold no key")]
    NoKey,
    /// The host shows a key that cannot be judged.
    #[error("{0}")]
    Key(HostKeyError),
}

/// A name that ssh looks known_hosts up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought<'a> {
    text: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Sought<'a> {
    /// From `%H`, or a HostKeyAlias: `host` or `[host]:port`. Nothing in it means anything else in a known_hosts line than
    /// itself; whether it is a host's name is not looked at.
    pub fn read(text: &'a str) -> Result<Self, ArgumentError> {
        let bad = || ArgumentError::Name(cut(text, 80).into_owned());
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")) {
            Some((host, digits)) => (host, Some(port(digits).ok_or_else(bad)?)),
            None => (text, None),
        };
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b".-_:%".contains(&c);
        if text.len() > MAX_NAME || host.is_empty() || !host.bytes().all(is_plain) {
            return Err(bad());
        }
        Ok(Sought { text, host, port })
    }

    /// The host in it, as it stands there.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// As ssh has it.
    pub fn text(&self) -> &'a str {
        self.text
    }
}

/// Digits alone: a sign is none.
fn port(text: &str) -> Option<u16> {
    let is_number = text.len() <= 5 && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// What may be told beside `%H`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beside<'a> {
    /// `%k`: HostKeyAlias, or what was typed.
    name: Option<&'a str>,
    /// `%p`: the port of the connection.
    port: Option<u16>,
}

impl<'a> Beside<'a> {
    /// From `%k` and `%p`.
    pub fn read(name: Option<&'a str>, port_text: Option<&str>) -> Result<Self, ArgumentError> {
        let told = |text: &str| port(text).ok_or_else(|| ArgumentError::Port(cut(text, 80).into_owned()));
        Ok(Beside { name, port: port_text.map(told).transpose()? })
    }

    /// A name other than `%H`, which ssh has from its user.
    pub fn other_name(&self, sought: &Sought<'_>) -> Option<&'a str> {
        self.name
            .filter(|name| !name.eq_ignore_ascii_case(sought.text) && !name.eq_ignore_ascii_case(sought.host))
    }
}

/// The host and port whose keys a HOSTNAME is about. Its port is the one in `%H`; where none is in it, that is port 22, or
/// HostKeyAlias (then `%k` is the same) on the port of the connection.
pub fn identity<'a>(sought: &Sought<'a>, beside: &Beside<'_>) -> Result<(&'a str, u16), ArgumentError> {
    match (sought.port, beside.port) {
        (Some(port), _) => Ok((sought.host, port)),
        (None, None) => Ok((sought.host, DEFAULT_PORT)),
        (None, Some(port)) if port != DEFAULT_PORT && beside.other_name(sought).is_some() => {
            Err(ArgumentError::OtherPort { sought: sought.text.to_owned(), port })
        }
        (None, Some(port)) => Ok((sought.host, port)),
    }
}

/// The hosts and ports that an ORDER may be about, the likeliest first: that of `%H`, and before OpenSSH 9.6 perhaps
/// HostKeyAlias instead. One label alone is rather a name of ssh_config's.
pub fn order_identities<'a>(sought: &Sought<'a>, beside: &Beside<'a>) -> Vec<(&'a str, u16)> {
    let port = beside.port.unwrap_or(DEFAULT_PORT);
    let mut found = vec![(sought.host, sought.port.unwrap_or(port))];
    if sought.port.is_none()
        && let Some(alias) = beside.other_name(sought).and_then(|name| Sought::read(name).ok())
        && alias.host.trim_end_matches('.').contains('.')
    {
        found.push((alias.host, alias.port.unwrap_or(port)));
    }
    found
}

/// The key or certificate that the host shows, from `%t` and `%K`.
pub fn presented(key_type: &str, base64: &str) -> Result<Presented, ArgumentError> {
    if key_type == "NONE" {
        return Err(ArgumentError::NoKey);
    }
    let key_type = key_type.get(..MAX_TYPE).unwrap_or(key_type);
    let decoded = match base64.len() <= MAX_BLOB.div_ceil(3) * 4 {
        true => BASE64.decode(base64.as_bytes()).map_err(|_| HostKeyError::Base64),
        false => Err(HostKeyError::Malformed(key_type.to_owned(), "too long")),
    };
    decoded.and_then(|blob| Presented::of_type(&blob, key_type)).map_err(|e| match e {
        HostKeyError::Base64 | HostKeyError::TypeMismatch { .. } => ArgumentError::Mixed(e),
        other => ArgumentError::Key(other),
    })
}

/// The line by which ssh accepts what the host shows: for what it looks for, word for word. None unless the witness is of
/// this host and this very key.
///
/// Of a certificate it is the plain key inside, if the accept rests on that: ssh first finds no CA for it, then takes the
/// certificate for that key (measured). Else it is the CA's key, and ssh holds the certificate against its own rules too.
pub fn accepting_line(sought: &Sought<'_>, presented: &Presented, witness: &Anchored) -> Option<String> {
    let key = presented.key();
    let is_of_host = HostName::parse(sought.host).is_ok_and(|host| host == *witness.host());
    let is_of_key = key.sha256() == *witness.key_sha256() && key.key_type() == witness.key_type();
    let line = || match witness.ca() {
        None => Some(format!("{} {} {}", sought.text, key.key_type(), BASE64.encode(key.blob()))),
        Some(ca) if presented.certificate().and_then(Certificate::ca) == Some(ca) => {
            Some(format!("{CERT_AUTHORITY} {} {} {}", sought.text, ca.key_type(), BASE64.encode(ca.blob())))
        }
        Some(_) => None,
    };
    (is_of_host && is_of_key).then(line).flatten()
}

/// The lines by which ssh asks for what may be accepted before all else; their keys are nobody's. A CA of any type has it
/// ask for certificates first. ssh does not go by the order of the lines: where its own first choice is among the types,
/// by its own order alone.
pub fn order_lines(sought: &Sought<'_>, offer: &Offer) -> Vec<String> {
    let line = |t: &KeyType| format!("{} {t} {}", sought.text, nobodys_key(*t));
    let ca = offer.certificates.first().map(|t| format!("{CERT_AUTHORITY} {}", line(t)));
    ca.into_iter().chain(offer.keys.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::hostkey::HostKey;
    use crate::proto::known_hosts::{entries, lookup_name};

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn beside<'a>(name: &'a str, port: &str) -> Beside<'a> {
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        Beside::read(given(name), Some(port).filter(|text| !text.is_empty())).unwrap()
    }

    /// `%H`, `%k` and `%p` -> host and port, or none.
    fn of_hostname<'a>(sought: &'a str, name: &str, port: &str) -> Option<(&'a str, u16)> {
        identity(&Sought::read(sought).unwrap(), &beside(name, port)).ok()
    }

    #[test]
    fn hostname_means_what_ssh_looks_for() {
        let host = "web1.example.com";
        for (sought, name, port, wanted) in [
            // As measured: default port, other port, typed in upper case with a final dot.
            (host, host, "22", Some((host, 22))),
            ("[web1.example.com]:2222", host, "2222", Some((host, 2222))),
            ("web1.example.com.", "WEB1.Example.com.", "22", Some(("web1.example.com.", 22))),
            // HostKeyAlias, on the default port and on another one.
            ("alias.example.com", "alias.example.com", "22", Some(("alias.example.com", 22))),
            ("alias.example.com", "alias.example.com", "2222", Some(("alias.example.com", 2222))),
            // A name of ssh_config's is never looked up.
            (host, "web", "22", Some((host, 22))),
            ("[web1.example.com]:2222", "web", "2222", Some((host, 2222))),
            // A HostKeyAlias in ssh's own form: what is looked for counts, not the connection.
            ("[x.example.com]:99", "[x.example.com]:99", "2222", Some(("x.example.com", 99))),
            // Without %k and %p.
            (host, "", "", Some((host, 22))),
            (host, host, "", Some((host, 22))),
            ("[web1.example.com]:2222", "", "", Some((host, 2222))),
            // Never seen: the line would be that of port 22.
            (host, "web", "2222", None),
            ("::1", "::1", "22", Some(("::1", 22))),
            ("[fe80::1%eth0]:2222", "fe80::1%eth0", "2222", Some(("fe80::1%eth0", 2222))),
        ] {
            assert_eq!(of_hostname(sought, name, port), wanted, "{sought} {name} {port}");
        }
    }

    #[test]
    fn order_means_the_same_in_every_version() {
        let of = |sought: &'static str, name: &'static str, port| {
            order_identities(&Sought::read(sought).unwrap(), &beside(name, port))
        };
        let (host, alias) = ("web1.example.com", "alias.example.com");
        // Before 9.6, then since.
        assert_eq!(of(host, host, "2222"), [(host, 2222)]);
        assert_eq!(of("[web1.example.com]:2222", host, "2222"), [(host, 2222)]);
        assert_eq!(of(host, alias, "2222"), [(host, 2222), (alias, 2222)]);
        assert_eq!(of(alias, alias, "2222"), [(alias, 2222)]);
        assert_eq!(of("10.0.0.1", "[x.example.com]:99", "22"), [("10.0.0.1", 22), ("x.example.com", 99)]);
        // A name of ssh_config's.
        assert_eq!(of(host, "web", "22"), [(host, 22)]);
        assert_eq!(of(host, "no name", "22"), [(host, 22)]);
        assert_eq!(of(host, "", ""), [(host, 22)]);
    }

    #[test]
    fn what_would_mean_more_in_a_line_is_no_name() {
        for bad in [
            "",
            "*",
            "web?",
            "!web",
            "a,b",
            "a b",
            "|1|x|y",
            "@revoked",
            "#web",
            "a\nb",
            "a\x1b[31m",
            "w\u{e9}b",
            "[web]",
            "[web]:",
            "[web]:0",
            "[web]:+22",
            "[web]:65536",
            "[]:22",
            "[[web]:22",
            "web]:22",
            &"a".repeat(301),
        ] {
            assert!(matches!(Sought::read(bad), Err(ArgumentError::Name(_))), "{bad:?}");
        }
        for bad in ["", "0", "65536", "+22", "-1", "22 ", "ssh", "000022"] {
            assert!(matches!(Beside::read(None, Some(bad)), Err(ArgumentError::Port(_))), "{bad:?}");
        }
    }

    #[test]
    fn keys_out_of_form_are_told_from_arguments_mixed_up() {
        assert_eq!(presented("ssh-ed25519", ED25519).unwrap().key().key_type(), KeyType::Ed25519);
        let long = "A".repeat(200_000);
        for (key_type, base64) in
            [("NONE", "NONE"), (ED25519, "ssh-ed25519"), ("ssh-rsa", ED25519), ("ssh-ed25519", "!"), ("", "")]
        {
            let refused = presented(key_type, base64);
            assert!(
                !matches!(refused, Ok(_) | Err(ArgumentError::Key(HostKeyError::Certificate(_)))),
                "{key_type}"
            );
        }
        assert!(matches!(presented("ssh-rsa", ED25519), Err(ArgumentError::Mixed(_))));
        assert!(matches!(presented("ssh-ed25519", &long), Err(ArgumentError::Key(_))));
        assert!(presented(&long, ED25519).unwrap_err().to_string().len() < 200);
        assert!(presented("ssh-ed25519", &ED25519[..40]).is_err());
    }

    #[test]
    fn a_line_needs_the_witness_of_this_host_and_key() {
        let key = HostKey::from_line(&format!("ssh-ed25519 {ED25519}")).unwrap();
        let witness = Anchored::for_tests("web1.example.com", 22, &key);
        let presented = Presented::Plain(key);
        let line = |sought| accepting_line(&Sought::read(sought).unwrap(), &presented, &witness);
        for sought in ["web1.example.com", "[web1.example.com]:2222", "WEB1.example.com."] {
            let line = line(sought).unwrap();
            assert_eq!(line, format!("{sought} ssh-ed25519 {ED25519}"));
            assert_eq!(entries(&line, sought).len(), 1);
        }
        assert_eq!(line("web2.example.com"), None);
        let other = HostKey::from_line(&format!("ssh-ed25519 {}", nobodys_key(KeyType::Ed25519))).unwrap();
        assert_eq!(
            accepting_line(&Sought::read("web1.example.com").unwrap(), &Presented::Plain(other), &witness),
            None
        );
    }

    fn keys(types: &[KeyType]) -> Offer {
        Offer { keys: types.to_vec(), certificates: Vec::new() }
    }

    #[test]
    fn order_has_a_line_a_type() {
        let lines =
            order_lines(&Sought::read("[web1]:2222").unwrap(), &keys(&[KeyType::Ed25519, KeyType::Rsa]));
        let found = entries(&lines.join("\n"), &lookup_name("web1", 2222));
        let types: Vec<_> = found.into_iter().map(|entry| entry.key.unwrap().key_type()).collect();
        assert_eq!(types, [KeyType::Ed25519, KeyType::Rsa]);
    }

    proptest! {
        #[test]
        fn any_arguments_are_read(
            texts in proptest::array::uniform4("[-a-zA-Z0-9.:%*!|@#, \\[\\]\u{1b}é]{0,40}"),
            port in "[0-9+]{0,6}",
        ) {
            let [sought, name, key_type, base64] = &texts;
            let _ = presented(key_type, base64);
            let (Ok(sought), Ok(beside)) = (Sought::read(sought), Beside::read(Some(name), Some(&port))) else {
                return Ok(());
            };
            // What is accepted is the host that ssh's line is for, never another name.
            if let Ok((host, _)) = identity(&sought, &beside) {
                prop_assert!(sought.text().contains(host));
            }
            prop_assert!(!order_identities(&sought, &beside).is_empty());
            for line in order_lines(&sought, &keys(&KeyType::ALL)) {
                let found = entries(&line, sought.text());
                prop_assert!(found.len() == 1 && !found[0].shared, "{line}");
            }
        }
    }
}
