//! Rules of a configuration, in order: the first value obtained for each setting wins, as in ssh_config(5).

use std::sync::Arc;

use super::{Policy, Setting};
use crate::proto::pattern::PatternList;

/// Where something is written: the place of a file among those read, and a line, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The place of the file among those that were read, from 0.
    pub file: usize,
    /// The line, from 1.
    pub line: usize,
}

/// Settings for the hosts that a list of patterns matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is about.
    pub hosts: PatternList,
    /// Where it is written.
    pub place: Location,
    /// What it says, each setting once.
    pub settings: Vec<(Setting, Location)>,
}

/// All rules, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    rules: Arc<[Rule]>,
}

/// A setting in force and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<'a> {
    /// The setting.
    pub setting: Setting,
    /// The rule and the place of the setting in it; none where the default counts.
    pub by: Option<(&'a Rule, Location)>,
}

impl Rule {
    /// What it says about the setting of this key, and where.
    pub(super) fn get(&self, key: &str) -> Option<&(Setting, Location)> {
        self.settings.iter().find(|(setting, _)| setting.key() == key)
    }
}

impl Policies {
    /// From rules in their order.
    pub fn new(rules: Vec<Rule>) -> Self {
        Policies { rules: rules.into() }
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Some rule asks for something of handshakes.
    pub fn ask_of_handshakes(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.settings).any(|(setting, _)| setting.is_of_handshake())
    }

    /// The settings in force for `host`: a name, or an address, for which only the mode matters.
    pub fn of(&self, host: &str) -> Policy {
        let mut policy = Policy::default();
        if self.rules.is_empty() {
            return policy;
        }
        for decided in self.explain(host).into_iter().filter(|decided| decided.by.is_some()) {
            policy.set(decided.setting);
        }
        policy
    }

    /// The same with the rule that decided each, in the order of [`Setting::KEYS`].
    pub fn explain(&self, host: &str) -> Vec<Decided<'_>> {
        let matching: Vec<&Rule> = self.rules.iter().filter(|rule| rule.hosts.matches(host)).collect();
        let decide = |default: Setting| {
            let first = matching.iter().find_map(|rule| Some((*rule, rule.get(default.key())?)));
            match first {
                Some((rule, (setting, place))) => {
                    Decided { setting: setting.clone(), by: Some((rule, *place)) }
                }
                None => Decided { setting: default, by: None },
            }
        };
        Policy::default().settings().into_iter().map(decide).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::proto::policy::{Mode, PortLabels, Value};
    use std::time::Duration;

    /// Rules out of `PATTERNS: KEY=VALUE KEY=VALUE`, each on the line of its number.
    pub(in crate::proto::policy) fn rules(lines: &[&str]) -> Policies {
        let rule = |(at, line): (usize, &&str)| {
            let place = Location { file: 0, line: at + 1 };
            let (hosts, settings) = line.split_once(':').unwrap();
            let setting = |text: &str| {
                let (key, value) = text.split_once('=').unwrap();
                (Setting::read(key, &Value::Text(value.to_owned())).unwrap(), place)
            };
            let settings = settings.split_ascii_whitespace().map(setting).collect();
            Rule { hosts: PatternList::parse(hosts).unwrap(), place, settings }
        };
        Policies::new(lines.iter().enumerate().map(rule).collect())
    }

    #[test]
    fn without_rules_all_is_as_ever() {
        assert_eq!(Policies::default().of("web1.example.com"), Policy::default());
        assert!(Policies::default().explain("a").iter().all(|decided| decided.by.is_none()));
    }

    #[test]
    fn the_first_value_of_each_setting_wins() {
        let policies = rules(&[
            "db.example.com: outage_grace=1h",
            "*.example.com !old.example.com: outage_grace=2h port_labels=required",
            "*: mode=pass outage_grace=3h",
        ]);
        let of = |host: &str| {
            let policy = policies.of(host);
            (policy.outage_grace, policy.port_labels, policy.mode)
        };
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(of("DB.example.com."), (hours(1), PortLabels::Required, Mode::Pass));
        assert_eq!(of("web.example.com"), (hours(2), PortLabels::Required, Mode::Pass));
        assert_eq!(of("old.example.com"), (hours(3), PortLabels::Allowed, Mode::Pass));
        assert_eq!(of("192.0.2.1"), (hours(3), PortLabels::Allowed, Mode::Pass));
        let explained = policies.explain("db.example.com");
        let line = |key: &str| {
            let decided = explained.iter().find(|decided| decided.setting.key() == key).unwrap();
            decided.by.map(|(rule, place)| (rule.hosts.to_string(), place.line))
        };
        assert_eq!(line("outage_grace"), Some(("db.example.com".into(), 1)));
        assert_eq!(line("port_labels"), Some(("*.example.com !old.example.com".into(), 2)));
        assert_eq!(line("mode"), Some(("*".into(), 3)));
        assert_eq!(line("aliases"), None);
    }
}
