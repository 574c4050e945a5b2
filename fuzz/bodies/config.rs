//! Files that steer: trust anchors, configuration, host patterns, TSIG keys.

use std::io::Write;

use sshanchor::config::{Files, Typed, load, read};
use sshanchor::dns::tsig;
use sshanchor::proto::chain::{Anchor, Anchors};
use sshanchor::proto::duration;
use sshanchor::proto::name::{HostName, Name};
use sshanchor::proto::pattern::PatternList;
use sshanchor::proto::policy::Setting;

/// Octets as a file of trust anchors.
pub fn anchors(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(anchors) = Anchors::from_text(text) else { return };
    let zones = anchors.zones();
    assert!(!zones.is_empty());
    assert!(zones.iter().all(|zone| anchors.has(zone) && anchors.closest(zone) == Some(*zone)));
    for zone in &zones {
        assert!(anchors.of(zone).count() > 0);
        for anchor in anchors.of(zone) {
            if let Anchor::Key(key) = anchor {
                assert!(key.is_zone_key() && anchors.trusts(zone, key));
                assert!(anchor.tag() == key.tag() && key.algorithm() > 0);
            }
        }
        let below = zone.child(b"below").ok();
        assert!(below.is_none_or(|below| anchors.closest(&below).is_some()));
    }
    if !anchors.has(&Name::root()) {
        assert_eq!(anchors.closest(&Name::root()), None);
    }
    // Comments, blank lines and an editor's mark mean nothing.
    let text = text.trim_start_matches('\u{feff}');
    assert_eq!(Anchors::from_text(&format!("\n; a comment\n{text}\n")).as_ref(), Ok(&anchors));
}

/// Octets as a configuration file, and as a span of time.
pub fn config(octets: &[u8]) {
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(span) = duration::parse(text)
    {
        assert_eq!(duration::parse(&duration::text(span)), Ok(span));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::File::create(&path).unwrap().write_all(octets).unwrap();
    let typed = Typed { files: Files::This(path), ..Typed::default() };
    let (config, malformed) = read(&typed);
    assert_eq!(load(&typed).is_ok(), malformed.is_empty());
    for file in &malformed {
        assert!(!file.mistakes.is_empty() && file.mistakes.len() <= 21, "{}", file.mistakes.len());
        for mistake in &file.mistakes {
            assert!(mistake.line.is_none_or(|line| line >= 1));
            assert!(!file.sentence(mistake).is_empty());
        }
    }
    for host in ["web1.example.com", "192.0.2.1", "a"] {
        let policy = config.policies.of(host);
        let explained: Vec<Setting> =
            config.policies.explain(host).into_iter().map(|decided| decided.setting).collect();
        assert_eq!(policy.settings().to_vec(), explained);
        assert!(!policy.algorithms.is_empty());
        for setting in explained {
            assert_eq!(Setting::read(setting.key(), &setting.value()), Ok(setting));
        }
    }
}

/// Two lists of patterns and a host, a line each.
pub fn pattern(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.lines();
    let mut list = || PatternList::parse(lines.next().unwrap_or_default()).ok();
    let lists: Vec<PatternList> = [list(), list()].into_iter().flatten().collect();
    let host = lines.next().unwrap_or("web1.example.com");
    for list in &lists {
        let shown = list.to_string();
        super::assert_printable(&shown);
        assert_eq!(PatternList::parse(&shown).as_ref(), Ok(list), "{shown}");
        assert_eq!(list.matches(host), list.matches(&host.to_ascii_uppercase()));
    }
    let [left, right] = lists.as_slice() else { return };
    assert_eq!(left.meets(right), right.meets(left));
    let (in_left, in_right) = (left.matches(host), right.matches(host));
    if right.is_covered_by(&[left]) && in_right {
        assert!(in_left || HostName::parse(host).is_err());
    }
    if in_left && HostName::parse(host).is_ok() {
        assert!(!left.is_empty());
        assert!(!in_right || left.meets(right));
    }
}

/// Octets as a TSIG key file.
pub fn tsig(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match tsig::Key::from_text(text) {
        Ok(key) => {
            assert!(!key.name().is_root());
            assert!(format!("{key:?}").ends_with("secret withheld)"));
        }
        // Whatever is in the wrong place may be a secret.
        Err(error) => assert!(error.to_string().len() < 200, "{error}"),
    }
}
