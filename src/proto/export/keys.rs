//! Proven keys for SSH clients: known_hosts lines, plink's `-hostkey`, Ansible's variables.

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use serde_json::{Map, Value, json};

use super::RecordSet;
use crate::proto::hostkey::HostKey;
use crate::proto::known_hosts::lookup_name;
use crate::proto::sshfp::{SHA256, Sshfp};

/// What is known of a host.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its keys.
    pub keys: Vec<HostKey>,
    /// Its records.
    pub sets: Vec<RecordSet>,
}

/// A line of a known_hosts file (sshd(8)) for a host that goes there by `name`, plain or hashed.
pub fn known_hosts_line(name: &str, key: &HostKey) -> String {
    format!("{name} {} {}", key.key_type(), BASE64.encode(key.blob()))
}

/// plink's arguments for these records: each key that has one of the digests is taken. Those that are no SHA-256 are
/// left out.
pub fn plink<'a>(records: impl IntoIterator<Item = &'a Sshfp>) -> String {
    let of_sha256 = records.into_iter().filter(|record| record.fingerprint_type() == SHA256);
    let words =
        of_sha256.map(|record| format!("-hostkey SHA256:{}", BASE64_NOPAD.encode(record.fingerprint())));
    words.collect::<Vec<_>>().join(" ")
}

/// Variables or local facts for Ansible: `hosts`, by the name that known_hosts has for each.
pub fn ansible(hosts: &[Known]) -> String {
    let by_name: Map<String, Value> = hosts.iter().map(of_host).collect();
    super::json(&json!({ "hosts": by_name }))
}

fn of_host(known: &Known) -> (String, Value) {
    let name = lookup_name(&known.host, known.port);
    let keys = known.keys.iter().map(|key| {
        json!({
            "type": key.key_type().name(),
            "key": BASE64.encode(key.blob()),
            "sha256": HEXLOWER.encode(&key.sha256()),
            "known_hosts": known_hosts_line(&name, key),
        })
    });
    let records = known.sets.iter().flat_map(|set| set.records().map(move |record| (set, record)));
    let records = records.map(|(set, record)| {
        json!({
            "owner": set.owner().to_string(),
            "ttl": set.some_ttl(),
            "record": record.to_string(),
            "algorithm": record.algorithm(),
            "fingerprint_type": record.fingerprint_type(),
            "fingerprint": HEXLOWER.encode(record.fingerprint()),
        })
    });
    let (keys, records) = (Value::from_iter(keys), Value::from_iter(records));
    (name, json!({ "host": known.host, "port": known.port, "host_keys": keys, "sshfp": records }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::set;
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";

    #[test]
    fn keys_come_in_each_form() {
        let key = HostKey::from_line(LINE).unwrap();
        assert_eq!(known_hosts_line("[web1]:2222", &key), format!("[web1]:2222 {LINE}"));
        let shown = key.to_string();
        let fingerprint = shown.split(' ').nth(1).unwrap();
        let sha1 = Sshfp::from_text(&format!("4 1 {}", "ab".repeat(20))).unwrap();
        assert_eq!(plink([&Sshfp::of_key(&key), &sha1]), format!("-hostkey {fingerprint}"));
        let known = Known {
            host: "web1.test".into(),
            port: 2222,
            keys: vec![key],
            sets: vec![set("web1.test", None, "ab")],
        };
        let value: Value = serde_json::from_str(&ansible(&[known])).unwrap();
        let host = &value["hosts"]["[web1.test]:2222"];
        assert_eq!(host["host_keys"][0]["known_hosts"], format!("[web1.test]:2222 {LINE}"));
        assert_eq!(host["sshfp"][0]["record"], format!("1 2 {}", "ab".repeat(32)));
        assert_eq!((&host["sshfp"][0]["ttl"], &host["port"]), (&json!(3600), &json!(2222)));
    }
}
