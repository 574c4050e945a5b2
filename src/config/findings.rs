//! What the tables of a configuration say in vain, or against themselves. Of rules for hosts see
//! [`crate::proto::policy::findings`].

use std::collections::BTreeMap;

use super::publishing::{Agent, Publishing, Rotate};
use super::{Config, Source};
use crate::proto::duration;
use crate::proto::policy::findings::Kind;

/// Something of a table that has no effect, or not the one that it seems to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// Where it is written.
    pub source: Source,
    /// A sentence.
    pub message: String,
    /// What to do next.
    pub hint: &'static str,
}

/// All that one table beside another shows.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut found = publishing(config);
    let says = |source: &Source| *source != Source::Default;
    let dead = |source: &Source, what: &str| Finding {
        kind: Kind::Dead,
        source: source.clone(),
        message: format!("[{what}] has no effect: no [publish] says what is published, and where"),
        hint: "add [publish], or take it out",
    };
    let is_empty = config.publishing.value.is_empty();
    if is_empty && says(&config.agent.source) {
        found.push(dead(&config.agent.source, "agent"));
    }
    if is_empty && says(&config.rotate.source) {
        found.push(dead(&config.rotate.source, "rotate"));
    }
    found.extend(rotating(config));
    for trail in &config.trails {
        let source = trail.source.clone();
        let finding = |kind, message: &str, hint| Finding {
            kind,
            source: source.clone(),
            message: message.to_owned(),
            hint,
        };
        match &trail.value.file {
            None if !trail.value.journald => {
                let hint = "give it a place, or take it out";
                found.push(finding(
                    Kind::Dead,
                    "[trail] names no place: neither file nor journald = true",
                    hint,
                ));
            }
            Some(file) if file.parent().is_none_or(|folder| !folder.is_dir()) => {
                let message = format!("[trail] cannot be written: {} has no folder", file.display());
                found.push(finding(Kind::Contradiction, &message, "make the folder, or name another file"));
            }
            _ => {}
        }
    }
    found
}

fn publishing(config: &Config) -> Vec<Finding> {
    let source = &config.publishing.source;
    let finding = |message| Finding {
        kind: Kind::Contradiction,
        source: source.clone(),
        message,
        hint: "decide which of the two is meant",
    };
    let mut found = Vec::new();
    let mut seen: BTreeMap<(String, Option<u16>), usize> = BTreeMap::new();
    for Publishing { names, zone, port, .. } in &config.publishing.value {
        for name in names {
            *seen.entry((name.to_string(), *port)).or_default() += 1;
            if let Some(zone) = zone.as_ref().filter(|zone| !name.name().is_at_or_below(zone)) {
                found.push(finding(format!("[publish] name = \"{name}\" is not in zone = \"{zone}\"")));
            }
        }
        // Left out it is this machine's own name, once.
        if names.is_empty() {
            *seen.entry((String::new(), *port)).or_default() += 1;
        }
    }
    for ((name, _), _) in seen.iter().filter(|(_, count)| **count > 1) {
        let name = if name.is_empty() { "this machine's own name" } else { name };
        found.push(finding(format!("two [[publish]] tables are for the same records, those of {name}")));
    }
    found
}

fn rotating(config: &Config) -> Vec<Finding> {
    let Agent { interval, .. } = config.agent.value;
    let Rotate { every, announce, margin, dead_after, .. } = &config.rotate.value;
    let finding = |key, message| Finding {
        kind: Kind::Contradiction,
        source: config.source_of(key, &config.rotate.source),
        message,
        hint: "decide which of the two is meant",
    };
    let mut found = Vec::new();
    if let Some(every) = every.filter(|every| *every <= *announce + *margin) {
        found.push(finding(
            "rotate.every",
            format!(
                "rotate.every = {:?} is over before a rotation is: announce and margin alone take {:?}",
                duration::text(every),
                duration::text(*announce + *margin)
            ),
        ));
    }
    if config.rotate.source != Source::Default && *dead_after < interval {
        found.push(finding(
            "rotate.dead_after",
            format!(
                "rotate.dead_after = {:?} is shorter than agent.interval = {:?}: a server is given up between two looks",
                duration::text(*dead_after),
                duration::text(interval)
            ),
        ));
    }
    found
}
