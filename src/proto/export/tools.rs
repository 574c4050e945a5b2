//! SSHFP sets as octoDNS, DNSControl and Terraform read them.

use std::cmp::Ordering;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::{ExportError, RecordSet, quoted};
use crate::proto::name::Name;
use crate::proto::sshfp::Sshfp;

/// A zone's file for octoDNS's YAML provider. Keys and digests stand in quotes: YAML would take `1` for a number, and
/// a digest such as 12e4 as well.
pub fn octodns(sets: &[RecordSet], zone: &Name) -> Result<String, ExportError> {
    let mut named = within(sets, zone)?;
    // Its loader refuses keys in another order.
    named.sort_by(|(a, _), (b, _)| natural(a, b));
    let mut text = "---\n".to_owned();
    for (name, set) in named {
        text += &format!("{}:\n  ttl: {}\n  type: SSHFP\n  values:\n", quoted(&name), set.some_ttl());
        for record in set.records() {
            text += &format!(
                "    - algorithm: {}\n      fingerprint: {}\n      fingerprint_type: {}\n",
                record.algorithm(),
                quoted(&digest(record)),
                record.fingerprint_type()
            );
        }
    }
    Ok(text)
}

/// `D_EXTEND` of a zone for DNSControl: the zone itself is defined elsewhere, before. ECMAScript 5.
pub fn dnscontrol(sets: &[RecordSet], zone: &Name) -> Result<String, ExportError> {
    let mut calls = vec![quoted(&zone.to_string()).to_string()];
    for (name, set) in within(sets, zone)? {
        let label = quoted(if name.is_empty() { "@" } else { &name }).to_string();
        for record in set.records() {
            calls.push(format!(
                "SSHFP({label}, {}, {}, {}, TTL({}))",
                record.algorithm(),
                record.fingerprint_type(),
                quoted(&digest(record)),
                set.some_ttl()
            ));
        }
    }
    Ok(format!("D_EXTEND({}\n);\n", calls.join(",\n  ")))
}

/// A `.tf.json` file with one local value, `sshfp`: by owner, its TTL and its records, whole and in their parts.
pub fn terraform(sets: &[RecordSet]) -> String {
    let of = |set: &RecordSet| {
        let records: Vec<String> = set.records().map(Sshfp::to_string).collect();
        let parts = set.records().map(|record| {
            json!({
                "algorithm": record.algorithm(),
                "type": record.fingerprint_type(),
                "fingerprint": digest(record),
            })
        });
        json!({ "ttl": set.some_ttl(), "records": records, "parts": Value::from_iter(parts) })
    };
    let by_owner: Map<String, Value> = sets.iter().map(|set| (set.owner.to_string(), of(set))).collect();
    super::json(&json!({ "locals": { "sshfp": by_owner } }))
}

fn within<'a>(sets: &'a [RecordSet], zone: &Name) -> Result<Vec<(String, &'a RecordSet)>, ExportError> {
    sets.iter().map(|set| Ok((set.relative(zone)?, set))).collect()
}

fn digest(record: &Sshfp) -> String {
    HEXLOWER.encode(record.fingerprint())
}

/// The natural order of octoDNS: web2 before web10. Texts and numbers in turn, a text first, be it empty.
fn natural(a: &str, b: &str) -> Ordering {
    let chunks = |text: &str| {
        let mut chunks: Vec<String> = Vec::new();
        for c in text.chars() {
            // The even ones are texts.
            if chunks.len() % 2 == usize::from(c.is_ascii_digit()) || chunks.is_empty() {
                if chunks.is_empty() && c.is_ascii_digit() {
                    chunks.push(String::new());
                }
                chunks.push(String::new());
            }
            if let Some(last) = chunks.last_mut() {
                last.push(c);
            }
        }
        chunks
    };
    let (a, b) = (chunks(a), chunks(b));
    let pairs = a.iter().zip(&b).enumerate().map(|(at, (a, b))| match at % 2 {
        0 => a.cmp(b),
        _ => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
    });
    pairs.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{name, set};
    use super::*;

    fn digest(pair: &str) -> String {
        pair.repeat(32)
    }

    #[test]
    fn octodns_gets_its_order_and_quotes() {
        let owners = ["web10.test", "web2.test", "test", "10.test", "9a.test", "_22._ssh.web1.test"];
        let sets: Vec<_> = owners.iter().map(|owner| set(owner, Some(60), "12")).collect();
        let text = octodns(&sets, &name("test")).unwrap();
        let keys: Vec<&str> = text.lines().filter(|line| line.starts_with('"')).collect();
        assert_eq!(keys, ["\"\":", "\"9a\":", "\"10\":", "\"_22._ssh.web1\":", "\"web2\":", "\"web10\":"]);
        let one = octodns(&sets[1..2], &name("test")).unwrap();
        let digest = digest("12");
        assert_eq!(
            one,
            format!(
                "---\n\"web2\":\n  ttl: 60\n  type: SSHFP\n  values:\n    - algorithm: 1\n      fingerprint: \"{digest}\"\n      fingerprint_type: 2\n    - algorithm: 4\n      fingerprint: \"{digest}\"\n      fingerprint_type: 2\n"
            )
        );
        assert!(octodns(&sets, &name("web2.test")).is_err());
    }

    #[test]
    fn the_natural_order_is_that_of_numbers_and_texts_in_turn() {
        // As natsort, which octoDNS uses, sorts them.
        let sorted =
            ["", "1a", "2", "10", "10a", "_22._ssh.web1", "a", "a1", "a1b", "a10", "b", "web1", "web-1"];
        for (at, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(natural(a, b), at.cmp(&other), "{a} {b}");
            }
        }
        assert_eq!(natural("a01", "a1"), Ordering::Equal);
    }

    #[test]
    fn dnscontrol_gets_calls() {
        let text = dnscontrol(&[set("test", None, "ab"), set("web1.test", Some(60), "cd")], &name("test"));
        let (ab, cd) = (digest("ab"), digest("cd"));
        assert_eq!(
            text.unwrap(),
            format!(
                "D_EXTEND(\"test\",\n  SSHFP(\"@\", 1, 2, \"{ab}\", TTL(3600)),\n  SSHFP(\"@\", 4, 2, \"{ab}\", TTL(3600)),\n  \
                 SSHFP(\"web1\", 1, 2, \"{cd}\", TTL(60)),\n  SSHFP(\"web1\", 4, 2, \"{cd}\", TTL(60))\n);\n"
            )
        );
    }

    #[test]
    fn terraform_gets_one_local_value() {
        let text = terraform(&[set("web1.test", Some(60), "ab")]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let of_host = &value["locals"]["sshfp"]["web1.test"];
        assert_eq!(
            of_host["records"],
            json!([format!("1 2 {0}", digest("ab")), format!("4 2 {0}", digest("ab"))])
        );
        assert_eq!(of_host["parts"][1], json!({"algorithm": 4, "type": 2, "fingerprint": digest("ab")}));
        assert_eq!(of_host["ttl"], 60);
        // Nothing that Terraform would take for a template.
        assert!(!text.contains('$') && !text.contains('%'));
    }
}
