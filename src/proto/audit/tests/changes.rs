use super::super::compare::{BaselineError, compare, read};
use super::super::{Change, Finding, HostReport};
use super::*;

fn finding(code: &str, severity: Severity) -> Finding {
    Finding { code: code.into(), severity, subject: "s".into(), message: "now".into(), hint: None }
}

/// An audit of these hosts with these findings.
fn audit(hosts: &[(&str, &[(&str, Severity)])], of_fleet: &[&str]) -> Report {
    let host = |(name, findings): &(&str, &[(&str, Severity)])| -> HostReport {
        let mut host = judged(&web1(&[], &[])).report().clone();
        host.host = (*name).to_owned();
        host.findings = findings.iter().map(|(code, severity)| finding(code, *severity)).collect();
        host
    };
    let of_fleet = of_fleet.iter().map(|code| finding(code, Severity::Warning)).collect();
    Report::new(NOW, hosts.iter().map(host).collect(), vec![], of_fleet)
}

fn told(changes: &[Change]) -> Vec<String> {
    let one = |change: &Change| format!("{} {}", change.host.as_deref().unwrap_or("-"), change.finding.code);
    changes.iter().map(one).collect()
}

#[test]
fn what_is_new_and_what_is_gone_is_told_of_hosts_that_stay() {
    use Severity::{Error, Info, Warning};
    let old = audit(&[("a", &[("x", Warning), ("y", Info)]), ("gone", &[("x", Error)])], &["zone", "lost"]);
    let mut new =
        audit(&[("a", &[("x", Warning), ("z", Info)]), ("new", &[("x", Error)])], &["zone", "more"]);
    // Another sentence is no other finding.
    new.hosts[0].findings[0].message = "otherwise".into();
    let changes = compare(&old, &new);
    assert_eq!(told(&changes.new), ["- more", "a:22 z", "new:22 x"]);
    assert_eq!(told(&changes.gone), ["- lost", "a:22 y"]);
    assert_eq!(
        (changes.hosts_new, changes.hosts_gone),
        (vec!["new:22".to_owned()], vec!["gone:22".to_owned()])
    );
    let same = compare(&old, &old);
    assert_eq!((same.new, same.gone, same.since), (vec![], vec![], NOW));
}

#[test]
fn what_has_become_graver_is_new_and_what_is_less_so_is_not() {
    let with = |severity| audit(&[("a", &[("x", severity)])], &[]);
    let graver = compare(&with(Severity::Warning), &with(Severity::Error));
    assert_eq!((told(&graver.new), told(&graver.gone)), (vec!["a:22 x".to_owned()], vec![]));
    assert_eq!(compare(&with(Severity::Error), &with(Severity::Warning)).new, []);
}

#[test]
fn only_an_audit_is_read_as_one() {
    let text = serde_json::to_string(&audit(&[("a", &[])], &[])).unwrap();
    assert!(read(&text).is_ok());
    assert!(matches!(
        read(&text.replacen("\"version\":1", "\"version\":2", 1)),
        Err(BaselineError::Version(2))
    ));
    // Fields may be added.
    assert!(read(&text.replacen("{", "{\"more\":[1],", 1)).is_ok());
    for bad in ["", "{}", "[]", "{\"version\":1}", &text[..text.len() - 1], &text.replacen("Z\"", "\"", 1)] {
        assert!(matches!(read(bad), Err(BaselineError::Form(_))), "{bad}");
    }
}
