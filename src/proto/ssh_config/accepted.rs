//! The private known_hosts file that `sshanchor proxy` keeps for an ssh without KnownHostsCommand: the keys that it
//! has let through.

use data_encoding::BASE64;

use crate::proto::hostkey::HostKey;
use crate::proto::known_hosts::{Entry, entries};

/// Most lines that are kept; the oldest go first. ssh reads its line a moment after it was written.
pub const MAX_LINES: usize = 4096;

/// `text` is a file of this program's: lines of one name and its key, and nothing that somebody would miss. A user's own
/// known_hosts has comments, lists, patterns, markers or hashed names.
pub fn is_own(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || b".-[]:".contains(&c));
    let is_own = |line: &str| {
        let mut words = line.splitn(2, ' ');
        words.next().is_some_and(is_name)
            && words.next().is_some_and(|key| key.split(' ').count() == 2 && HostKey::from_line(key).is_ok())
    };
    text.lines().filter(|line| !line.trim().is_empty()).all(is_own)
}

/// `text` with the keys of `name` (see [`crate::proto::known_hosts::lookup_name`]) that `holds` still, and `key` if
/// there is one.
pub fn with(text: &str, name: &str, key: Option<&HostKey>, holds: impl Fn(&HostKey) -> bool) -> String {
    let is_kept = |entry: &Entry| entry.key.as_ref().is_ok_and(|known| Some(known) != key && holds(known));
    let gone: Vec<usize> = entries(text, name).iter().filter(|e| !is_kept(e)).map(|e| e.line).collect();
    let stay = text.lines().enumerate().filter(|(at, _)| !gone.contains(&(at + 1))).map(|(_, line)| line);
    let mut lines: Vec<String> = stay.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    lines.extend(key.map(|key| format!("{name} {} {}", key.key_type().name(), BASE64.encode(key.blob()))));
    let surplus = lines.len().saturating_sub(MAX_LINES);
    lines.iter().skip(surplus).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::known_hosts::lookup_name;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdqRW2Fwi+rRKIwIClJ/mO0HES+v31p+wRQW28B7OkN";

    #[test]
    fn the_keys_of_a_host_are_those_that_hold() {
        let (web1, web2) = (lookup_name("web1.example", 22), lookup_name("web1.example", 2222));
        let (key, other) = (HostKey::from_line(ED25519).unwrap(), HostKey::from_line(OTHER).unwrap());
        let text = with("", &web1, Some(&key), |_| false);
        assert_eq!(text, format!("web1.example {ED25519}\n"));
        let text = with(&text, &web2, Some(&other), |_| false);
        assert_eq!(text, format!("web1.example {ED25519}\n[web1.example]:2222 {OTHER}\n"));
        assert_eq!(with(&text, &web1, Some(&key), |_| true).lines().count(), 2, "not twice");
        // Both are proven, as in a rotation; then the old one no longer is.
        let both = with(&text, &web1, Some(&other), |_| true);
        assert_eq!(both.lines().filter(|line| line.starts_with("web1.example ")).count(), 2);
        let new = with(&both, &web1, Some(&other), |known| *known != key);
        assert_eq!(new, format!("[web1.example]:2222 {OTHER}\nweb1.example {OTHER}\n"));
        // A refusal takes away what is not proven, and touches nobody else.
        assert_eq!(with(&new, &web1, None, |_| false), format!("[web1.example]:2222 {OTHER}\n"));
    }

    #[test]
    fn somebody_elses_file_is_told_from_ones_own() {
        let own = format!("web1.example {ED25519}\n[web1.example]:2222 {OTHER}\n\nweb1.example. {OTHER}\n");
        assert!(is_own("") && is_own(&own));
        for line in [
            "# mine".to_owned(),
            format!("@revoked * {OTHER}"),
            format!("@cert-authority web1.example {OTHER}"),
            format!("*.example {OTHER}"),
            format!("web1.example,192.0.2.1 {OTHER}"),
            format!("|1|EN9OZ9fKjB5iWgEMZGDdv4Ugoas=|Rz9hAC1jYBkeh+dvFFih6Jmnojk= {OTHER}"),
            format!("web1.example {OTHER} me@home"),
            "web1.example".to_owned(),
            "web1.example ssh-dss AAAA".to_owned(),
        ] {
            assert!(!is_own(&format!("{own}{line}\n")), "{line}");
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let text: String = (0..MAX_LINES).map(|at| format!("host{at} {OTHER}\n")).collect();
        let key = HostKey::from_line(ED25519).unwrap();
        let text = with(&text, "new", Some(&key), |_| false);
        assert_eq!(text.lines().count(), MAX_LINES);
        assert!(text.starts_with("host1 ") && text.ends_with(&format!("new {ED25519}\n")));
    }
}
