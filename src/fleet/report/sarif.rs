//! An audit as SARIF 2.1.0 (OASIS), with what GitHub's code scanning demands beside the standard: a physical location
//! whose URI is relative, and fingerprints under the one name that it looks at.

use std::collections::{BTreeMap, HashMap};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{New, catalogue, verdict};
use crate::error::Error;
use crate::proto::ascii_json::ascii;
use crate::proto::audit::{Finding, HostReport, Report, Severity};
use crate::proto::moment::rfc3339;
use crate::proto::text::shorten;

/// Characters of a message at most.
const MESSAGE: usize = 4096;
/// Characters of a name at most: GitHub cuts longer ones.
const NAME: usize = 255;
/// The last place to look for a path: what is about no single host.
const FLEET: &str = "fleet";

/// A log of one run, JSON in ASCII, without a final line feed. Results that an earlier audit had too are `unchanged`;
/// those that are gone are not in it, for not every reader would know them from the others.
///
/// # Errors
/// `internal` where JSON cannot be written.
pub fn sarif(report: &Report) -> Result<String, Error> {
    let mut rules: Vec<Value> = Vec::new();
    let mut indices: BTreeMap<String, usize> = BTreeMap::new();
    for (code, severity, meaning) in catalogue::all() {
        indices.insert(code.to_owned(), rules.len());
        rules.push(rule(code, severity, meaning));
    }
    for (_, Finding { code, severity, .. }) in report.all_findings() {
        if !indices.contains_key(code) {
            indices.insert(code.clone(), rules.len());
            rules.push(rule(code, *severity, "why the host is not accepted"));
        }
    }
    let (new, mut seen) = (New::of(report), HashMap::new());
    let mut results: Vec<Value> = Vec::new();
    for (host, finding) in report.all_findings() {
        let index = indices.get(&finding.code).copied().unwrap_or_default();
        results.push(result(host, finding, index, &new, &mut seen));
    }
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sshanchor",
                "version": shorten(&report.program, NAME),
                "semanticVersion": shorten(&report.program, NAME),
                "shortDescription": { "text": "SSH host identities anchored in DNSSEC: what is true of a fleet." },
                "rules": rules,
            }},
            "automationDetails": { "id": format!("sshanchor-audit/{}", rfc3339(report.time).unwrap_or_default()) },
            "invocations": [invocation(report)],
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": { "summary": report.summary },
        }],
    });
    let text = serde_json::to_string(&log);
    text.map(|text| ascii(&text)).map_err(|e| Error::failure("internal", format!("cannot write JSON: {e}")))
}

fn invocation(report: &Report) -> Value {
    let mut invocation = json!({ "executionSuccessful": true });
    if let (Some(fields), Some(time)) = (invocation.as_object_mut(), rfc3339(report.time)) {
        fields.insert("endTimeUtc".to_owned(), time.into());
    }
    invocation
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn rule(code: &str, severity: Severity, meaning: &str) -> Value {
    // GitHub's steps: low, medium, high.
    let score = match severity {
        Severity::Info => "2.0",
        Severity::Warning => "5.0",
        Severity::Error => "8.0",
    };
    let sentence = sentence(meaning);
    let help = format!(
        "{sentence}\nEach result says what was found, and what to do about it.\nTo look again: sshanchor audit -H HOST"
    );
    json!({
        "id": shorten(code, NAME),
        "name": pascal(code),
        "shortDescription": { "text": sentence },
        "fullDescription": { "text": format!("{sentence} Found by sshanchor audit.") },
        "help": {
            "text": help,
            "markdown": format!(
                "{sentence}\n\nEach result says what was found, and what to do about it.\n\nTo look again:\n\n    sshanchor audit -H HOST\n"
            ),
        },
        "defaultConfiguration": { "level": level(severity) },
        "properties": {
            "tags": ["security", "ssh", "dnssec"],
            "precision": "very-high",
            "security-severity": score,
        },
    })
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", chars.as_str())
}

/// `key-mismatch` as `KeyMismatch`.
fn pascal(code: &str) -> String {
    // GitHub takes no longer ones, an ellipsis and escapes included.
    let code: String = shorten(code, NAME).chars().take(NAME).collect();
    code.split('-')
        .map(|word| {
            let mut chars = word.chars();
            let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
            format!("{first}{}", chars.as_str())
        })
        .collect()
}

fn result(
    host: Option<&HostReport>,
    finding: &Finding,
    rule: usize,
    new: &New,
    seen: &mut HashMap<String, usize>,
) -> Value {
    let place = host.map(HostReport::place);
    let print = fingerprint(place.as_deref(), finding);
    let times = seen.entry(print.clone()).or_default();
    *times += 1;
    let said = match &finding.hint {
        Some(hint) => format!("{}.\nWhat to do: {}", plain(&finding.message), plain(hint)),
        None => plain(&finding.message),
    };
    let name = place.as_deref().unwrap_or(&finding.subject);
    let mut result = json!({
        "ruleId": shorten(&finding.code, NAME),
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": { "text": said },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(place.as_deref()) },
                // A host has no lines, and GitHub asks for some.
                "region": { "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1 },
            },
            "logicalLocations": [{
                "name": shorten(host.map_or(name, |host| &host.host), NAME),
                "fullyQualifiedName": shorten(name, NAME),
                "kind": "resource",
            }],
        }],
        "partialFingerprints": {
            // The one that GitHub looks at.
            "primaryLocationLineHash": format!("{print}:{times}"),
            "sshanchorFinding/v1": format!("{print}:{times}"),
        },
        "properties": {
            "host": host.map(|host| shorten(&host.host, NAME)),
            "port": host.map(|host| host.port),
            "verdict": host.map(|host| shorten(verdict(host), NAME)),
            "subject": shorten(&finding.subject, MESSAGE),
        },
    });
    if let (Some(is_new), Some(fields)) = (new.has(host, finding), result.as_object_mut()) {
        fields.insert("baselineState".to_owned(), if is_new { "new" } else { "unchanged" }.into());
    }
    result
}

/// What tells findings apart from one audit to the next, as a hash: host and port, code, subject.
fn fingerprint(place: Option<&str>, finding: &Finding) -> String {
    let mut hash = Sha256::new();
    for part in [place.unwrap_or_default(), &finding.code, &finding.subject] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hex = HEXLOWER.encode(&hash.finalize());
    hex.get(..32).unwrap_or(&hex).to_owned()
}

/// Plain text of a message (3.11.5, 3.11.6 of the standard): no placeholder, no link, no markup.
fn plain(text: &str) -> String {
    shorten(text, MESSAGE).replace('{', "{{").replace('}', "}}").replace("](", "] (")
}

/// A relative reference (RFC 3986 section 4.2) to what stands for the host.
fn uri(place: Option<&str>) -> String {
    let Some(place) = place else { return FLEET.to_owned() };
    let mut uri = "hosts/".to_owned();
    for byte in place.bytes().take(NAME) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                uri.push(char::from(byte))
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::samples::{fleet, hostile};
    use super::*;

    fn run(report: &Report) -> Value {
        let text = sarif(report).unwrap();
        assert!(text.is_ascii());
        serde_json::from_str::<Value>(&text).unwrap()["runs"][0].take()
    }

    fn prints(run: &Value) -> Vec<String> {
        let print = |result: &Value| {
            result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned()
        };
        run["results"].as_array().unwrap().iter().map(print).collect()
    }

    #[test]
    fn each_finding_is_a_result_of_a_rule_at_a_host() {
        let report = fleet();
        let run = run(&report);
        let (rules, results) = (&run["tool"]["driver"]["rules"], run["results"].as_array().unwrap());
        assert_eq!(results.len(), report.all_findings().count());
        for result in results {
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            assert!(rule["help"]["text"].as_str().is_some_and(|text| text.len() > 20), "{rule}");
        }
        let mismatch = results.iter().find(|result| result["ruleId"] == "key-mismatch").unwrap();
        assert_eq!(mismatch["level"], "error");
        assert_eq!(mismatch["baselineState"], "new");
        let location = &mismatch["locations"][0];
        assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "db1.example.com:22");
        assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], "hosts/db1.example.com:22");
        assert!(mismatch["message"]["text"].as_str().unwrap().contains(".\nWhat to do: "));
    }

    #[test]
    fn fingerprints_stay_from_run_to_run_and_tell_findings_apart() {
        let mut report = fleet();
        let first = prints(&run(&report));
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        // Later, in another order, in other words: the same findings.
        report.time += 86_400;
        report.program = "9.9.9".to_owned();
        report.hosts.reverse();
        for host in &mut report.hosts {
            for finding in &mut host.findings {
                finding.message.push_str(" still");
            }
        }
        let later = prints(&run(&report));
        assert_eq!(first.iter().collect::<HashSet<_>>(), later.iter().collect::<HashSet<_>>());
        report.hosts[0].port = 2222;
        report.hosts.extend(report.hosts.clone());
        let twice = prints(&run(&report));
        assert_eq!(twice.iter().collect::<HashSet<_>>().len(), twice.len());
    }

    #[test]
    fn no_text_of_a_peer_is_a_link_or_a_placeholder() {
        assert_eq!(plain("[x](https://evil.example) {0}"), "[x] (https://evil.example) {{0}}");
        let run = run(&hostile());
        for result in run["results"].as_array().unwrap() {
            let said = result["message"]["text"].as_str().unwrap();
            assert!(
                !said.contains("](") && !said.replace("{{", "").replace("}}", "").contains(['{', '}']),
                "{said}"
            );
        }
        let text = sarif(&hostile()).unwrap();
        assert!(text.len() < 1_000_000 && !text.contains("\"\\u202e"), "{}", text.len());
    }

    #[test]
    fn a_place_is_a_path() {
        assert_eq!(uri(Some("web1.example.com:22")), "hosts/web1.example.com:22");
        assert_eq!(uri(Some("[2001:db8::1]:22")), "hosts/%5B2001:db8::1%5D:22");
        assert_eq!(uri(Some("../a?b#c")), "hosts/..%2Fa%3Fb%23c");
        assert_eq!(uri(None), "fleet");
    }
}
