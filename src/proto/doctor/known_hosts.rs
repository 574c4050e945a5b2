//! What ssh remembers of a host, beside what DNSSEC proves of it.

use super::Finding;
use crate::proto::hostkey::HostKey;
use crate::proto::known_hosts::{Entry, Marker};
use crate::proto::name::HostName;
use crate::proto::sshfp::Sshfp;

/// A file and what it says of a host.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The file.
    pub path: String,
    /// Its lines about the host.
    pub entries: Vec<Entry>,
}

/// Compares what is remembered of `host` under `name` (as ssh looks it up) with its proven usable records; none if
/// nothing is proven. `wanted`: ssh refuses keys that it does not remember, proven or not.
pub fn judge(
    host: &HostName,
    name: &str,
    proven: Option<&[Sshfp]>,
    files: &[Remembered],
    wanted: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fitting = 0;
    for (file, entry) in files.iter().flat_map(|file| file.entries.iter().map(move |entry| (file, entry))) {
        let about = format!("{} line {}", file.path, entry.line);
        match one(&about, name, proven, file, entry) {
            Some(finding) => findings.push(finding),
            None => fitting += 1,
        }
    }
    if fitting == 0 && wanted && proven.is_some() {
        let message =
            format!("no entry of a proven key for {name}, and ssh wants one (StrictHostKeyChecking yes)");
        findings.push(Finding::info("known-hosts-wanted", "known_hosts", message).remedy(format!(
            "connect once with ssh -o StrictHostKeyChecking=accept-new {host}: behind sshanchor proxy none but a proven key gets in"
        )));
    } else if findings.is_empty() {
        let message = match fitting {
            0 => format!("no entry for {name}"),
            1 => format!("the one entry for {name} is of a proven key"),
            _ => format!("all {fitting} entries for {name} are of proven keys"),
        };
        findings.push(Finding::ok("known-hosts", "known_hosts", message));
    }
    findings.into_iter().map(|finding| finding.of(host)).collect()
}

/// What is to be said of one entry; nothing of one that fits.
fn one(
    about: &str,
    name: &str,
    proven: Option<&[Sshfp]>,
    file: &Remembered,
    entry: &Entry,
) -> Option<Finding> {
    let key = match &entry.key {
        Ok(key) => key,
        Err(why) => {
            let message = format!("its key for {name} cannot be compared: {why}");
            return Some(Finding::info("known-hosts", about, message));
        }
    };
    let edit = || {
        if entry.shared || entry.marker != Marker::Plain {
            format!(
                "edit {} line {}: it is about other hosts as well, or has a marker",
                file.path, entry.line
            )
        } else {
            format!("ssh-keygen -R {} -f {}", shell_word(name), shell_word(&file.path))
        }
    };
    let is_proven = |key: &HostKey| proven.map(|records| records.iter().any(|record| record.matches(key)));
    match (entry.marker, is_proven(key)) {
        (Marker::CertAuthority, _) => {
            let message =
                format!("certificates of {key} are taken for {name}: ssh does not ask DNSSEC about those");
            Some(Finding::info("known-hosts-ca", about, message))
        }
        (Marker::Revoked, Some(true)) => {
            let message = format!(
                "{key} is revoked here for {name}, and DNSSEC proves it: ssh refuses what sshanchor accepts"
            );
            let remedy = format!(
                "if the key is bad, publish another: sshanchor publish --name {name} ...; else {}",
                edit()
            );
            Some(Finding::warning("known-hosts-conflict", about, message).remedy(remedy))
        }
        (Marker::Plain, Some(false)) => {
            let same_type = |record: &Sshfp| record.algorithm() == key.key_type().sshfp_algorithm();
            let (check, than) = match proven.is_some_and(|records| records.iter().any(same_type)) {
                true => ("known-hosts-conflict", "other keys of its type"),
                false => ("known-hosts-stale", "keys of other types only"),
            };
            let message = format!(
                "{key} is remembered for {name}, and DNSSEC proves {than}: ssh by itself would accept it"
            );
            Some(Finding::warning(check, about, message).remedy(edit()))
        }
        (Marker::Plain, None) => {
            let message = format!("{key} is remembered for {name}, and there is no proof to compare it with");
            Some(Finding::info("known-hosts", about, message))
        }
        (Marker::Plain, Some(true)) | (Marker::Revoked, _) => None,
    }
}

/// As a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::tests::severity;
    use super::*;
    use crate::proto::known_hosts::{entries, lookup_name};

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdqRW2Fwi+rRKIwIClJ/mO0HES+v31p+wRQW28B7OkN";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPCD+fq+NhGll+fopvWCY8RVAgJAw2i2joZcGDgz+6nQJlIl+GcCkqQeK8tlIpgypDQ9AZ8G/X4WyjQZnS7HGCk=";
    const HOST: &str = "web1.example.test";

    fn found_at(port: u16, text: &str, proven: Option<&[Sshfp]>) -> Vec<Finding> {
        let name = lookup_name(HOST, port);
        let file = Remembered { path: "/home/me/.ssh/known_hosts".to_owned(), entries: entries(text, &name) };
        judge(&HostName::parse(HOST).unwrap(), &name, proven, &[file], false)
    }

    /// What is found where ED25519 is proven.
    fn found(text: &str) -> Vec<Finding> {
        found_at(22, text, Some(&[Sshfp::of_key(&HostKey::from_line(ED25519).unwrap())]))
    }

    #[test]
    fn entries_of_proven_keys_are_well() {
        for text in [
            String::new(),
            format!("{HOST} {ED25519}"),
            format!("{HOST} {ED25519}\n*.test {ED25519}"),
            format!("other {OTHER}"),
        ] {
            let findings = found(&text);
            assert_eq!(severity(&findings, "known-hosts"), Severity::Ok, "{text}: {findings:#?}");
            assert_eq!(findings[0].host.as_deref(), Some(HOST));
        }
    }

    #[test]
    fn another_key_is_in_conflict_and_another_type_stale() {
        let findings = found(&format!("{HOST} {OTHER}\n{HOST} {ECDSA}\n{HOST} {ED25519}"));
        assert_eq!(severity(&findings, "known-hosts-conflict"), Severity::Warning);
        assert_eq!(severity(&findings, "known-hosts-stale"), Severity::Warning);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].about.ends_with("known_hosts line 1"), "{findings:?}");
        let remedy = "ssh-keygen -R web1.example.test -f /home/me/.ssh/known_hosts";
        assert_eq!(findings[0].remedy.as_deref(), Some(remedy));
    }

    #[test]
    fn a_port_of_its_own_is_looked_up_as_such() {
        let proven = [Sshfp::of_key(&HostKey::from_line(ED25519).unwrap())];
        let at = |hosts: &str| found_at(2222, &format!("{hosts} {OTHER}"), Some(&proven));
        assert_eq!(severity(&at(HOST), "known-hosts"), Severity::Ok);
        let findings = at(&format!("[{HOST}]:2222"));
        assert_eq!(severity(&findings, "known-hosts-conflict"), Severity::Warning);
        assert!(
            findings[0].remedy.as_ref().unwrap().starts_with("ssh-keygen -R '[web1.example.test]:2222' ")
        );
    }

    #[test]
    fn lines_about_several_hosts_are_not_to_be_removed_whole() {
        for hosts in ["*.example.test", "web1.example.test,web2.example.test"] {
            let findings = found(&format!("{hosts} {OTHER}"));
            assert!(findings[0].remedy.as_ref().unwrap().starts_with("edit "), "{findings:?}");
        }
    }

    #[test]
    fn markers_are_heeded() {
        let findings = found(&format!("@cert-authority *.test {OTHER}"));
        assert_eq!(severity(&findings, "known-hosts-ca"), Severity::Info);
        let findings = found(&format!("@revoked * {ED25519}"));
        assert_eq!(severity(&findings, "known-hosts-conflict"), Severity::Warning);
        assert_eq!(severity(&found(&format!("@revoked * {OTHER}")), "known-hosts"), Severity::Ok);
    }

    #[test]
    fn what_cannot_be_compared_is_told_without_alarm() {
        assert_eq!(severity(&found(&format!("{HOST} ssh-dss AAAA")), "known-hosts"), Severity::Info);
        let findings = found_at(22, &format!("{HOST} {OTHER}"), None);
        assert_eq!(severity(&findings, "known-hosts"), Severity::Info);
    }

    #[test]
    fn an_entry_that_ssh_wants_is_told_of() {
        let (name, host) = (lookup_name(HOST, 22), HostName::parse(HOST).unwrap());
        let proven = [Sshfp::of_key(&HostKey::from_line(ED25519).unwrap())];
        let with = |text: &str, proven| {
            let file = Remembered { path: "known_hosts".to_owned(), entries: entries(text, &name) };
            judge(&host, &name, proven, &[file], true)
        };
        assert_eq!(severity(&with("", Some(&proven)), "known-hosts-wanted"), Severity::Info);
        assert_eq!(severity(&with("", None), "known-hosts"), Severity::Ok);
        let entry = format!("{HOST} {ED25519}");
        assert_eq!(severity(&with(&entry, Some(&proven)), "known-hosts"), Severity::Ok);
    }

    #[test]
    fn remedies_can_be_typed() {
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("/home/me/.ssh/known_hosts"), "/home/me/.ssh/known_hosts");
    }
}
