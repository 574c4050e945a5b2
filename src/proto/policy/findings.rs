//! What a configuration says in vain, or against itself.

use std::collections::BTreeSet;
use std::fmt;

use std::time::Duration;

use super::{Kex, Location, Mode, Policies, PortLabels, Require, Rule, Setting};
use crate::proto::duration;
use crate::proto::hostkey::KeyType;
use crate::proto::pattern::PatternList;
use crate::proto::ssh_config::Version;

/// Signatures of zones are seldom good for longer (BIND's 14 days, Knot's 14, and some that are signed by hand for 30).
const LONG_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// The first OpenSSH with mlkem768x25519-sha256.
const WITH_MLKEM: Version = Version { major: 9, minor: 9 };

/// Something that a configuration says and that has no effect, or not the one that it seems to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// Where it is written.
    pub place: Location,
    /// What decides in its stead, or stands against it.
    pub because: Option<Location>,
    /// A sentence, without either place.
    pub message: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No host is ever matched.
    NeverMatches,
    /// Another rule always comes first, or nothing is said.
    Dead,
    /// Two settings that cannot both have their effect.
    Contradiction,
    /// It leaves more hosts without a proof, or longer with an old one, than anybody is likely to mean.
    TooWide,
}

impl Finding {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match (self.kind, self.because) {
            (Kind::NeverMatches, _) => "mend the patterns, or take the rule out",
            (Kind::Dead, Some(_)) => {
                "the first value wins: put narrow rules before wide ones, or take this one out"
            }
            (Kind::Dead, None) => "give it a setting, or take it out",
            (Kind::Contradiction, Some(_)) => "decide which of the two is meant",
            (Kind::Contradiction, None) => "mend it, or take it out",
            (Kind::TooWide, _) => "narrow it to what has to be so",
        }
    }
}

/// A stable word for scripts; listed in docs/json.md.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverMatches => "never-matches",
            Self::Dead => "dead",
            Self::Contradiction => "contradiction",
            Self::TooWide => "too-wide",
        })
    }
}

/// All that one pattern beside another shows, in the order of the rules. `has_cache`: proofs are kept from
/// one run to the next.
///
/// That rules of an earlier file win over those of a later one is what the order of files is for: such
/// settings are not called dead.
pub fn findings(policies: &Policies, has_cache: bool) -> Vec<Finding> {
    let rules = policies.rules();
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let finding = |kind, place, because, message| Finding { kind, place, because, message };
        if rule.hosts.is_empty() {
            let message = format!("no host can ever match {:?}", rule.hosts.to_string());
            found.push(finding(Kind::NeverMatches, rule.place, None, message));
            continue;
        }
        if rule.settings.is_empty() {
            found.push(finding(Kind::Dead, rule.place, None, "this rule sets nothing".to_owned()));
        }
        let before = rules.get(..at).unwrap_or_default();
        for (setting, place) in &rule.settings {
            if let Some(winner) = winner(before, rule, setting.key()) {
                let message = format!("{} is always decided before, for every host here", setting.key());
                found.push(finding(Kind::Dead, *place, Some(winner), message));
            }
        }
        let covering: Vec<&Rule> =
            rules.iter().filter(|other| rule.hosts.is_covered_by(&[&other.hosts])).collect();
        found.extend(passed(rules, &covering, rule));
        found.extend(passes_everybody(before, rule));
        found.extend(vain(&covering).filter(|f| told.insert((f.place, f.because))));
        found.extend(takes_nobody(rule));
        found.extend(lasting(rule));
        found.extend(grace_beyond_age(&covering).filter(|f| told.insert((f.place, f.because))));
        if let Some((Setting::OutageGrace(span), place)) = rule.get("outage_grace")
            && !has_cache
            && !span.is_zero()
        {
            let message = "outage_grace has nothing to fall back upon but bundles, for the cache is off";
            found.push(finding(Kind::Contradiction, *place, None, message.to_owned()));
        }
    }
    found
}

/// What is as it was meant, and yet is better known beforehand: where it is written, and a sentence.
pub fn cautions(policies: &Policies) -> Vec<(Location, &'static str)> {
    let rules = policies.rules();
    let caution = |rule: &Rule| -> Option<(Location, &'static str)> {
        let (Setting::Kex(Kex::PostQuantum), place) = rule.get("kex")? else { return None };
        let covering: Vec<&Rule> =
            rules.iter().filter(|other| rule.hosts.is_covered_by(&[&other.hosts])).collect();
        // Versions that have it, or are refused anyway.
        let is_new = matches!(
            common(&covering, "min_openssh"),
            Some((Setting::MinOpenSsh(Some(least)), _)) if *least >= WITH_MLKEM
        );
        (!is_new).then_some((
            *place,
            "kex = \"post-quantum\" shuts out of verify, exec and audit every server without mlkem768x25519-sha256 (OpenSSH before \
             9.9 has sntrup761x25519-sha512 alone, which russh has not); ssh through sshanchor proxy takes both",
        ))
    };
    rules.iter().filter_map(caution).collect()
}

/// Where the setting of this key is decided for every host of `rule`: the last of the rules of the same file
/// that it takes.
fn winner(before: &[Rule], rule: &Rule, key: &str) -> Option<Location> {
    let earlier: Vec<(&PatternList, Location)> = before
        .iter()
        .filter(|earlier| earlier.place.file == rule.place.file)
        .filter_map(|earlier| Some((&earlier.hosts, earlier.get(key)?.1)))
        .collect();
    let lists: Vec<&PatternList> = earlier.iter().map(|(hosts, _)| *hosts).collect();
    if !rule.hosts.is_covered_by(&lists) {
        return None;
    }
    earlier.iter().rev().find(|(hosts, _)| hosts.meets(&rule.hosts)).map(|(_, place)| *place)
}

/// The setting of this key that every host of a rule gets from those that cover it, unless a rule for some of
/// them comes before.
fn common<'a>(covering: &[&'a Rule], key: &str) -> Option<&'a (Setting, Location)> {
    covering.iter().find_map(|rule| rule.get(key))
}

/// Settings for the verification of hosts none of which is verified.
fn passed(rules: &[Rule], covering: &[&Rule], rule: &Rule) -> Option<Finding> {
    let (Setting::Mode(Mode::Pass), because) = common(covering, "mode")? else { return None };
    let verified = |other: &&Rule| matches!(other.get("mode"), Some((Setting::Mode(Mode::Verify), _)));
    let earlier =
        rules.iter().take_while(|other| other.get("mode").is_none_or(|(_, place)| place != because));
    if earlier.filter(verified).any(|other| other.hosts.meets(&rule.hosts)) {
        return None;
    }
    let mut vain = rule.settings.iter().filter(|(setting, _)| setting.key() != "mode");
    let (_, place) = vain.clone().next()?;
    let keys: Vec<&str> = vain.by_ref().map(|(setting, _)| setting.key()).collect();
    Some(Finding {
        kind: Kind::Contradiction,
        place: *place,
        because: Some(*because),
        message: format!("{} without effect: mode = \"pass\" for every host here", keys.join(", ")),
    })
}

/// No host at all is verified, but for those that a rule before names.
fn passes_everybody(before: &[Rule], rule: &Rule) -> Option<Finding> {
    let (Setting::Mode(Mode::Pass), place) = rule.get("mode")? else { return None };
    let everybody = PatternList::parse("*").ok()?;
    let verified = |other: &Rule| matches!(other.get("mode"), Some((Setting::Mode(Mode::Verify), _)));
    let is_all = everybody.is_covered_by(&[&rule.hosts]) && !before.iter().any(verified);
    let message = "mode = \"pass\" for every host: none is verified".to_owned();
    is_all.then_some(Finding { kind: Kind::TooWide, place: *place, because: None, message })
}

/// A setting that another one for the same hosts leaves nothing to decide.
fn vain(covering: &[&Rule]) -> Option<Finding> {
    let of = |key| common(covering, key);
    let is_require = |wanted: &[Require]| {
        let require = of("require");
        require
            .filter(|(setting, _)| matches!(setting, Setting::Require(require) if wanted.contains(require)))
    };
    let finding = |(vain, place): &(Setting, Location), (by, because): &(Setting, Location)| Finding {
        kind: Kind::Contradiction,
        place: *place,
        because: Some(*because),
        message: format!("{} has no effect: {} = {}", vain.key(), by.key(), by.value()),
    };
    let ca_at = of("ca_at").filter(|(setting, _)| *setting != Setting::CaAt(None));
    if let (Some(ca_at), Some(require)) = (ca_at, is_require(&[Require::Hostkey])) {
        return Some(finding(ca_at, require));
    }
    let labels = of("port_labels").filter(|(s, _)| *s == Setting::PortLabels(PortLabels::Required));
    if let (Some(labels), Some(require)) = (labels, is_require(&[Require::Ca])) {
        return Some(finding(labels, require));
    }
    // CAs have RSA keys too.
    let algorithms = of("algorithms").filter(
        |(setting, _)| matches!(setting, Setting::Algorithms(types) if !types.contains(&KeyType::Rsa)),
    );
    match (of("min_rsa_bits"), algorithms, is_require(&[Require::Hostkey])) {
        (Some(bits), Some(algorithms), Some(_)) => Some(finding(bits, algorithms)),
        _ => None,
    }
}

/// Versions of which no server is.
fn takes_nobody(rule: &Rule) -> Option<Finding> {
    let (Setting::ServerVersions(Some(versions)), place) = rule.get("server_versions")? else { return None };
    let message = "server_versions takes no server at all: what it names it takes away again".to_owned();
    versions.is_impossible().then_some(Finding {
        kind: Kind::Contradiction,
        place: *place,
        because: None,
        message,
    })
}

/// A grace for longer than signatures are usually good for.
fn lasting(rule: &Rule) -> Option<Finding> {
    let (Setting::OutageGrace(grace), place) = rule.get("outage_grace")? else { return None };
    (*grace > LONG_GRACE).then(|| Finding {
        kind: Kind::TooWide,
        place: *place,
        because: None,
        message: format!(
            "outage_grace = {:?}: signatures are seldom good for so long, and a key that is withdrawn meanwhile is accepted",
            duration::text(*grace)
        ),
    })
}

/// A grace that a limit on the age of signatures ends before its time.
fn grace_beyond_age(covering: &[&Rule]) -> Option<Finding> {
    let (Setting::OutageGrace(grace), place) = common(covering, "outage_grace")? else { return None };
    let (Setting::MaxSignatureAge(Some(age)), because) = common(covering, "max_signature_age")? else {
        return None;
    };
    (grace > age).then(|| Finding {
        kind: Kind::Contradiction,
        place: *place,
        because: Some(*because),
        message: format!(
            "outage_grace = {:?} cannot last: max_signature_age = {:?} ends it",
            duration::text(*grace),
            duration::text(*age)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::rules;
    use super::*;

    /// Kind, line, and the line of what stands against it.
    fn found(lines: &[&str]) -> Vec<(String, usize, Option<usize>)> {
        let findings = findings(&rules(lines), true).into_iter();
        findings.map(|f| (f.kind.to_string(), f.place.line, f.because.map(|place| place.line))).collect()
    }

    #[track_caller]
    fn expect(lines: &[&str], kind: &str, line: usize, because: impl Into<Option<usize>>) {
        assert_eq!(found(lines), [(kind.to_owned(), line, because.into())], "{lines:?}");
    }

    #[test]
    fn a_sensible_configuration_has_none() {
        let lines = [
            "old.example.com 10.*: mode=pass",
            "db.example.com: port_labels=required outage_grace=1h",
            "*.example.com !db.example.com: outage_grace=6h max_signature_age=7d",
            "*: outage_grace=2h max_signature_age=14d mode=verify",
        ];
        assert_eq!(found(&lines), []);
    }

    #[test]
    fn a_kex_that_shuts_old_servers_out_is_told_beforehand() {
        let cautions = |lines: &[&str]| -> Vec<usize> {
            let rules = rules(lines);
            assert_eq!(findings(&rules, true), []);
            cautions(&rules).into_iter().map(|(place, _)| place.line).collect()
        };
        assert_eq!(cautions(&["a.example: kex=any", "*: kex=post-quantum"]), [2]);
        assert_eq!(cautions(&["*: kex=post-quantum min_openssh=9.6"]), [1]);
        assert_eq!(cautions(&["*: kex=post-quantum min_openssh=9.9"]), [0; 0]);
        assert_eq!(cautions(&["a.example: kex=post-quantum", "*: min_openssh=10.0"]), [0; 0]);
        assert_eq!(cautions(&["*: kex=any"]), [0; 0]);
    }

    #[test]
    fn what_never_matches_or_sets_nothing_is_found() {
        expect(&["!a.example: mode=pass"], "never-matches", 1, None);
        expect(&["web_1.example: mode=pass"], "never-matches", 1, None);
        expect(&["a.example:"], "dead", 1, None);
    }

    #[test]
    fn settings_that_are_decided_before_are_dead() {
        expect(&["*.example: outage_grace=1h", "a.example: outage_grace=2h"], "dead", 2, 1);
        expect(
            &[
                "a.example: outage_grace=1h",
                "b.example: outage_grace=1h",
                "a.example b.example: outage_grace=2h",
            ],
            "dead",
            3,
            2,
        );
        assert_eq!(found(&["*.example: outage_grace=1h", "a.example: aliases=same-zone"]), []);
        assert_eq!(found(&["*.example !a.example: outage_grace=1h", "a.example: outage_grace=2h"]), []);
        assert_eq!(found(&["a.example: outage_grace=1h", "*.example: outage_grace=2h"]), []);
    }

    #[test]
    fn the_files_of_the_user_may_say_otherwise_than_the_systems() {
        let policies = rules(&["*: outage_grace=1h", "a.example: outage_grace=2h"]);
        let mut apart = policies.rules().to_vec();
        apart[1].place.file = 1;
        assert_eq!(findings(&policies, true).len(), 1);
        assert_eq!(findings(&Policies::new(apart), true), []);
    }

    #[test]
    fn settings_for_hosts_that_are_passed_contradict() {
        expect(&["*.example: mode=pass aliases=same-zone"], "contradiction", 1, 1);
        expect(&["*.example: mode=pass", "a.example: max_signature_age=1d"], "contradiction", 2, 1);
        expect(&["a.example: max_signature_age=1d", "*.example: mode=pass"], "contradiction", 1, 2);
        // Of these hosts one is verified, or not all are passed.
        assert_eq!(found(&["a.example: mode=verify", "*.example: mode=pass aliases=same-zone"]), []);
        assert_eq!(found(&["a.example: mode=pass", "*: max_signature_age=1d"]), []);
    }

    #[test]
    fn a_grace_that_ends_before_its_time_contradicts() {
        expect(&["*: outage_grace=2d max_signature_age=1d"], "contradiction", 1, 1);
        expect(&["a.example: outage_grace=2d", "*: max_signature_age=1d"], "contradiction", 1, 2);
        assert_eq!(found(&["*: outage_grace=1d max_signature_age=1d"]), []);
        assert_eq!(found(&["a.example: outage_grace=2d", "b.example: max_signature_age=1d"]), []);
    }

    #[test]
    fn a_rule_that_passes_everybody_is_too_wide() {
        expect(&["*: mode=pass"], "too-wide", 1, None);
        expect(&["*: outage_grace=31d"], "too-wide", 1, None);
        // Others are verified by name, or left out.
        assert_eq!(found(&["*.example.com: mode=verify", "*: mode=pass"]), []);
        assert_eq!(found(&["* !*.example.com: mode=pass"]), []);
        assert_eq!(found(&["*: outage_grace=30d"]), []);
    }

    #[test]
    fn a_setting_that_another_one_leaves_nothing_to_decide_contradicts() {
        expect(&["*: require=hostkey ca_at=example.com"], "contradiction", 1, 1);
        expect(&["a.example: ca_at=example", "*: require=hostkey"], "contradiction", 1, 2);
        expect(&["*: require=ca port_labels=required"], "contradiction", 1, 1);
        expect(&["*: require=hostkey min_rsa_bits=3072 algorithms=ssh-ed25519"], "contradiction", 1, 1);
        expect(&["*: server_versions=OpenSSH_9.*,!OpenSSH_*"], "contradiction", 1, None);
        expect(&["*: server_versions=!*"], "contradiction", 1, None);
        for good in [
            "*: require=either ca_at=example.com",
            "*: require=hostkey ca_at=any",
            "*: require=both port_labels=required",
            "*: min_rsa_bits=3072 algorithms=ssh-ed25519",
            "*: require=hostkey min_rsa_bits=3072 algorithms=ssh-ed25519,ssh-rsa",
            "*: server_versions=OpenSSH_9.*,!OpenSSH_9.2*",
            "*: kex=post-quantum strict_kex=required min_openssh=9.9",
        ] {
            assert_eq!(found(&[good]), [], "{good}");
        }
    }

    #[test]
    fn a_grace_without_a_cache_contradicts() {
        let policies = rules(&["*: outage_grace=2d"]);
        assert_eq!((findings(&policies, true).len(), findings(&policies, false).len()), (0, 1));
        assert_eq!(findings(&rules(&["*: outage_grace=0s"]), false), []);
    }
}
