//! known_hosts entries that DNSSEC makes needless: what each line says, how what it says stands to what is proven, and
//! what is left of the file. Whatever is not a plain entry about a host that can be named stays as it is, octet by octet.

use super::hostkey::{HostKey, HostKeyError};
use super::known_hosts::{Hashed, MAX_LINE, lookup_name, word};
use super::name::{HostName, HostNameError};
use super::rr::Origin;
use super::verdict::{Reason, Verdict};

/// A line with its end.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    octets: &'a [u8],
    says: Says<'a>,
}

/// What a line says.
#[derive(Debug, Clone)]
pub enum Says<'a> {
    /// Nothing: it is empty or a comment.
    Nothing,
    /// Something that is not judged.
    Kept(Keep),
    /// These names have this key.
    Entry(Entry<'a>),
}

/// Why a line is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// `@cert-authority`, `@revoked` or another marker.
    Marker,
    /// A pattern is among its names: it is about hosts that nobody can list.
    Pattern,
    /// Its key has no SSHFP record, or is malformed.
    Key(HostKeyError),
    /// It is no line that ssh understands.
    Form,
}

/// Names and their key.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Blanks.
    before: &'a str,
    names: Vec<Named<'a>>,
    /// From the blank behind the names on.
    after: &'a str,
    key: HostKey,
}

/// One of the names.
#[derive(Debug, Clone)]
pub struct Named<'a> {
    text: &'a str,
    /// Who is meant.
    pub meant: Meant,
}

/// Who is meant by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// A host and its port.
    Host(HostName, u16),
    /// Somebody: the name is hashed, and none that was tried fits.
    Hashed,
    /// An address, for which no DNS record vouches.
    Address,
    /// Something that is no host name.
    Other,
}

impl<'a> Line<'a> {
    /// What it says.
    pub fn says(&self) -> &Says<'a> {
        &self.says
    }
}

impl<'a> Entry<'a> {
    /// Its names.
    pub fn names(&self) -> &[Named<'a>] {
        &self.names
    }

    /// Its key.
    pub fn key(&self) -> &HostKey {
        &self.key
    }
}

impl Named<'_> {
    /// As it stands in the file.
    pub fn text(&self) -> &str {
        self.text
    }
}

/// The lines of a file.
pub fn lines(octets: &[u8]) -> Vec<Line<'_>> {
    octets
        .split_inclusive(|octet| *octet == b'\n')
        .map(|octets| Line { octets, says: says(octets) })
        .collect()
}

fn says(octets: &[u8]) -> Says<'_> {
    let Some(text) = std::str::from_utf8(octets).ok().filter(|text| text.len() <= MAX_LINE) else {
        return Says::Kept(Keep::Form);
    };
    let bare = text.trim_start_matches([' ', '\t']);
    if bare.trim_end_matches([' ', '\t', '\r', '\n']).is_empty() || bare.starts_with('#') {
        return Says::Nothing;
    }
    if bare.starts_with('@') {
        return Says::Kept(Keep::Marker);
    }
    let Some((hosts, key)) = word(bare) else { return Says::Kept(Keep::Form) };
    if hosts.contains(['*', '?', '!']) {
        return Says::Kept(Keep::Pattern);
    }
    let key = match HostKey::from_line(key) {
        Ok(key) => key,
        Err(HostKeyError::NotALine) => return Says::Kept(Keep::Form),
        Err(why) => return Says::Kept(Keep::Key(why)),
    };
    let names = match hosts.starts_with('|') {
        true => vec![Named { text: hosts, meant: Meant::Hashed }],
        false => hosts.split(',').map(|text| Named { text, meant: meant(text) }).collect(),
    };
    let (before, rest) = text.split_at(text.len() - bare.len());
    Says::Entry(Entry { before, names, after: rest.get(hosts.len()..).unwrap_or_default(), key })
}

/// `HOST`, or `[HOST]:PORT`.
fn meant(text: &str) -> Meant {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        None => (text, Some(22)),
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)),
    };
    match (HostName::parse(host), port) {
        (Ok(name), Some(port)) => Meant::Host(name, port),
        (Err(HostNameError::Address(_)), Some(_)) => Meant::Address,
        _ => Meant::Other,
    }
}

/// Finds out who is meant by hashed names, if it is one of `candidates`.
pub fn try_names(lines: &mut [Line<'_>], candidates: &[(HostName, u16)]) {
    let candidates: Vec<_> =
        candidates.iter().map(|(host, port)| (lookup_name(&host.to_string(), *port), host, *port)).collect();
    for line in lines {
        let Says::Entry(entry) = &mut line.says else { continue };
        for named in entry.names.iter_mut().filter(|named| named.meant == Meant::Hashed) {
            let Some(hashed) = named.text.strip_prefix("|1|").and_then(Hashed::parse) else { continue };
            let fits = |(name, ..): &&(String, &HostName, u16)| hashed.is(name);
            if let Some((_, host, port)) = candidates.iter().find(fits) {
                named.meant = Meant::Host((*host).clone(), *port);
            }
        }
    }
}

/// How an entry stands to what is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// DNSSEC proves the key for the host: the entry is not needed.
    Proven,
    /// It proves other keys of the key's type. The entry is stale, or somebody was in between when it was made.
    Contradicted,
    /// It proves keys of other types only. A client that asks DNS does not take this one.
    OtherTypes,
    /// It says nothing of the host, or nothing that counts.
    Unproven,
}

impl Standing {
    /// By the verdict on the key, had the host shown it, and by where the proof came from. What serves while DNS does
    /// not answer takes nothing away: then an entry is worth most.
    pub fn of(verdict: &Verdict, origin: Option<Origin>) -> Self {
        match (verdict, origin) {
            (_, Some(Origin::Grace { .. })) => Self::Unproven,
            (Verdict::Accept(_), _) => Self::Proven,
            (Verdict::Reject(Reason::KeyMismatch { .. } | Reason::Revoked { .. }), _) => Self::Contradicted,
            (Verdict::Reject(Reason::KeyTypeNotPublished { .. }), _) => Self::OtherTypes,
            (Verdict::Reject(_) | Verdict::Unproven(_), _) => Self::Unproven,
        }
    }

    /// The word for scripts.
    pub fn code(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Contradicted => "contradicted",
            Self::OtherTypes => "other-types",
            Self::Unproven => "unproven",
        }
    }
}

/// Which entries are to go.
#[derive(Debug, Clone, Copy)]
pub struct Removal {
    /// Besides those that are proven, those of keys that are not among the ones that DNSSEC proves for the host.
    pub contradicted: bool,
}

impl Removal {
    /// An entry that stands so goes.
    pub fn takes(self, standing: Standing) -> bool {
        match standing {
            Standing::Proven => true,
            Standing::Contradicted | Standing::OtherTypes => self.contradicted,
            Standing::Unproven => false,
        }
    }
}

/// What is left without the names that `goes` says yes to. A line goes with the last of its names; in a line that
/// keeps some, all else stays as it was. The order of names and lines stays too.
pub fn without(lines: &[Line<'_>], goes: impl Fn(&HostName, u16, &HostKey) -> bool) -> Vec<u8> {
    let mut left = Vec::new();
    for line in lines {
        let Says::Entry(entry) = &line.says else {
            left.extend_from_slice(line.octets);
            continue;
        };
        let goes = |named: &Named<'_>| matches!(&named.meant, Meant::Host(host, port) if goes(host, *port, &entry.key));
        let stay: Vec<&str> = entry.names.iter().filter(|named| !goes(named)).map(Named::text).collect();
        if stay.len() == entry.names.len() {
            left.extend_from_slice(line.octets);
        } else if !stay.is_empty() {
            let names = stay.join(",");
            left.extend([entry.before, &names, entry.after].iter().flat_map(|part| part.bytes()));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
    // web1.example.com, by ssh-keygen -H.
    const HASHED: &str = "|1|EN9OZ9fKjB5iWgEMZGDdv4Ugoas=|Rz9hAC1jYBkeh+dvFFih6Jmnojk=";

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    /// What is left of `text` without web1.example.com on port 22.
    fn left(text: &str) -> String {
        let lines = lines(text.as_bytes());
        let left =
            without(&lines, |name, port, _| (name.to_string().as_str(), port) == ("web1.example.com", 22));
        String::from_utf8(left).unwrap()
    }

    #[test]
    fn an_entry_goes_and_all_else_stays_octet_by_octet() {
        let kept = [
            "# a comment about web1.example.com\n",
            "\n",
            " \t\r\n",
            &format!("@cert-authority web1.example.com {KEY}\n"),
            &format!("@revoked web1.example.com {KEY}\n"),
            &format!("*.example.com {KEY}\n"),
            &format!("web1.example.com,!web2.example.com {KEY}\n"),
            &format!("web1.example.co? {KEY}\n"),
            &format!("192.0.2.1 {KEY}\n"),
            &format!("[web1.example.com]:2222 {KEY}\r\n"),
            &format!("{HASHED} {KEY}\n"),
            "web1.example.com ssh-dss AAAA\n",
            "web1.example.com 1024 35 12345\n",
            "web1.example.com\n",
            &format!("web2.example.com  {KEY} a comment\t \n"),
            &format!("web3.example.com {KEY}"),
        ]
        .concat();
        assert_eq!(left(&kept), kept);
        for gone in [
            format!("web1.example.com {KEY}\n"),
            format!("  WEB1.Example.COM\t{KEY} root@web1\r\n"),
            format!("web1.example.com,web1.example.com. {KEY}\n"),
        ] {
            assert_eq!(left(&format!("{gone}{kept}")), kept, "{gone}");
            let (first, rest) = kept.split_at(kept.find("@revoked").unwrap());
            assert_eq!(left(&format!("{first}{gone}{rest}")), kept, "{gone}");
        }
        assert_eq!(left(&format!("{kept}\nweb1.example.com {KEY}")), format!("{kept}\n"), "no final newline");
    }

    #[test]
    fn of_several_names_those_that_are_proven_go() {
        for (names, stay) in [
            ("web1.example.com,192.0.2.1", "192.0.2.1"),
            ("a,web1.example.com,b", "a,b"),
            ("a,[web1.example.com]:2222,web1.example.com", "a,[web1.example.com]:2222"),
            ("web1.example.com,,_x", ",_x"),
        ] {
            let line = |names: &str| format!(" {names} \t {KEY} a comment\r\n");
            assert_eq!(left(&line(names)), line(stay), "{names}");
        }
    }

    #[test]
    fn octets_that_are_no_text_stay() {
        let mut octets = format!("web1.example.com {KEY} ").into_bytes();
        octets.extend([0xff, b'\n']);
        let read = lines(&octets);
        assert!(matches!(read[0].says(), Says::Kept(Keep::Form)));
        assert_eq!(without(&read, |_, _, _| true), octets);
        let long = format!("web1.example.com {KEY} {}\n", "x".repeat(MAX_LINE));
        assert_eq!(left(&long), long);
    }

    #[test]
    fn hashed_names_are_found_among_those_that_are_tried() {
        let text = format!("{HASHED} {KEY}\n|1|AAAA|AAAA {KEY}\n|2|x {KEY}\n");
        let mut read = lines(text.as_bytes());
        try_names(&mut read, &[(host("web1.example.com"), 2222), (host("web2.example.com"), 22)]);
        assert_eq!(without(&read, |_, _, _| true), text.as_bytes());
        try_names(&mut read, &[(host("web2.example.com"), 22), (host("web1.example.com"), 22)]);
        let left = without(&read, |name, port, _| name == &host("web1.example.com") && port == 22);
        assert_eq!(left, text.split_once('\n').unwrap().1.as_bytes());
    }

    #[test]
    fn names_mean_hosts_addresses_or_nothing() {
        assert_eq!(meant("web1"), Meant::Host(host("web1"), 22));
        assert_eq!(meant("[Web1.example.com]:2222"), Meant::Host(host("web1.example.com"), 2222));
        for address in ["192.0.2.1", "[192.0.2.1]:2222", "2001:db8::1", "[2001:db8::1]:22", "fe80::1%eth0"] {
            assert_eq!(meant(address), Meant::Address, "{address}");
        }
        for other in ["", "_ssh", "[web1]:0", "[web1]:x", "[web1]", "web1:22", "[web1]:65536", "a b", "é"] {
            assert_eq!(meant(other), Meant::Other, "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_goes_that_was_not_asked_for(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let read = lines(&octets);
            prop_assert_eq!(without(&read, |_, _, _| false), octets);
        }

        #[test]
        fn what_is_left_is_part_of_what_was(names in prop::collection::vec("[ab]\\.test|\\[a\\.test\\]:7|10\\.0\\.0\\.1|\\*", 1..5)) {
            let text = format!("# first\n{} {KEY}\nlast", names.join(","));
            let read = lines(text.as_bytes());
            let left = String::from_utf8(without(&read, |name, port, _| (name, port) == (&host("a.test"), 22))).unwrap();
            let stay: Vec<_> = names.iter().filter(|name| name.as_str() != "a.test").cloned().collect();
            let wanted = match stay.as_slice() {
                _ if names.iter().any(|name| name == "*") => text.clone(),
                [] => "# first\nlast".to_owned(),
                stay => format!("# first\n{} {KEY}\nlast", stay.join(",")),
            };
            prop_assert_eq!(left, wanted);
        }
    }
}
