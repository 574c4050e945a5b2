//! SSHFP sets as lines of a zone file, and as a script for nsupdate.

use std::net::SocketAddr;

use super::{ExportError, RecordSet};
use crate::proto::name::Name;

/// Most octets of records that go into one update: a message over TCP has room for twice as many
/// (RFC 1035 section 4.2.2).
const MAX_UPDATE: usize = 32 * 1024;
/// Octets of a record on the wire beside its owner: SHA-256, and the fixed part (RFC 1035 section 3.2.1).
const RECORD: usize = 2 + 32 + 10;

/// Lines of a zone file with absolute names; `generic`: for servers that do not know SSHFP (RFC 3597 section 5).
pub fn lines(sets: &[RecordSet], generic: bool) -> String {
    let mut text = String::new();
    for set in sets {
        let owner = match set.ttl {
            Some(ttl) => format!("{} {ttl}", set.absolute()),
            None => set.absolute(),
        };
        for record in set.records() {
            text += &if generic { record.generic_line(&owner) } else { record.line(&owner) };
            text.push('\n');
        }
    }
    text
}

/// What nsupdate is told besides the records.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The primary; none leaves it to nsupdate, which asks for the SOA record.
    pub server: Option<SocketAddr>,
    /// The zone; none leaves it to nsupdate, which asks for each update.
    pub zone: Option<Name>,
    /// Each set takes the place of what is there; else records are added to it.
    pub replace: bool,
}

/// A script for nsupdate. All that is said of an owner is in one update, which the server carries out as a whole or
/// not at all (RFC 2136 section 3.7). With a zone named, updates hold as many owners as they have room for; without,
/// one each, for owners may be in different zones.
pub fn nsupdate(sets: &[RecordSet], script: &Script) -> Result<String, ExportError> {
    let mut text = String::new();
    if let Some(server) = script.server {
        text += &format!("server {} {}\n", server.ip(), server.port());
    }
    if let Some(zone) = &script.zone {
        sets.iter().try_for_each(|set| set.relative(zone).map(|_| ()))?;
        text += &format!("zone {}\n", if zone.is_root() { ".".to_owned() } else { format!("{zone}.") });
    }
    let mut waiting = 0;
    for set in sets {
        let size = (set.records.len() + usize::from(script.replace)) * (set.owner.wire().len() + RECORD);
        if waiting > 0 && (script.zone.is_none() || waiting + size > MAX_UPDATE) {
            text += "send\n";
            waiting = 0;
        }
        waiting += size;
        let owner = set.absolute();
        if script.replace {
            text += &format!("update delete {owner} SSHFP\n");
        }
        for record in set.records() {
            text += &format!("update add {owner} {} SSHFP {record}\n", set.some_ttl());
        }
    }
    if waiting > 0 {
        text += "send\n";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{name, set};
    use super::*;

    #[test]
    fn lines_have_absolute_names_and_the_ttl_that_is_known() {
        let sets = [set("web1.test", None, "ab"), set("web2.test", Some(60), "cd")];
        let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
        assert_eq!(
            lines(&sets, false),
            format!(
                "web1.test. IN SSHFP 1 2 {ab}\nweb1.test. IN SSHFP 4 2 {ab}\n\
                 web2.test. 60 IN SSHFP 1 2 {cd}\nweb2.test. 60 IN SSHFP 4 2 {cd}\n"
            )
        );
        assert!(lines(&sets, true).starts_with(&format!("web1.test. IN TYPE44 \\# 34 01 02 {ab}\n")));
    }

    #[test]
    fn an_owner_is_never_split_between_updates() {
        let sets: Vec<_> = (0..2000).map(|i| set(&format!("web{i}.example.test"), None, "ab")).collect();
        for replace in [false, true] {
            let script = Script { zone: Some(name("example.test")), replace, server: None };
            let text = nsupdate(&sets, &script).unwrap();
            let updates: Vec<&str> = text.split("send\n").filter(|update| !update.is_empty()).collect();
            assert!((3..20).contains(&updates.len()), "{}", updates.len());
            assert!(text.ends_with("send\n"));
            let all = updates.iter().flat_map(|update| {
                let owners = update.lines().filter_map(|line| line.split(' ').nth(2));
                owners.collect::<std::collections::BTreeSet<_>>()
            });
            assert_eq!(all.count(), 2000, "each owner in one update");
            let alone = nsupdate(&sets, &Script { replace, ..Script::default() }).unwrap();
            assert_eq!(alone.matches("send\n").count(), 2000);
        }
        assert_eq!(nsupdate(&[], &Script::default()).unwrap(), "");
    }

    #[test]
    fn a_script_says_where_it_goes() {
        let script = Script {
            server: Some("[2001:db8::1]:5353".parse().unwrap()),
            zone: Some(name("test")),
            replace: true,
        };
        let text = nsupdate(&[set("web1.test", Some(60), "ab")], &script).unwrap();
        let digest = "ab".repeat(32);
        assert_eq!(
            text,
            format!(
                "server 2001:db8::1 5353\nzone test.\nupdate delete web1.test. SSHFP\n\
                 update add web1.test. 60 SSHFP 1 2 {digest}\nupdate add web1.test. 60 SSHFP 4 2 {digest}\nsend\n"
            )
        );
        let other = Script { zone: Some(name("other")), ..script };
        assert!(nsupdate(&[set("web1.test", None, "ab")], &other).is_err());
    }
}
