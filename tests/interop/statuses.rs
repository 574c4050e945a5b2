//! Statuses beside unbound's and delv's. The files of `statuses/table` say for each name what all three
//! say, and why where they differ:
//!
//! | column | |
//! |---|---|
//! | name, type | what is asked |
//! | unbound | AD and data is `secure`, AD without data `absent`, no AD `insecure`, SERVFAIL `bogus`, or `indeterminate` if it stays with CD |
//! | delv | what it makes of the data that unbound hands out with CD; `-` where it is not asked |
//! | sshanchor | our status |
//! | why | why the three are not the same |

mod opinions;
mod records;
mod zones;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use self::opinions::{delv, unbound_says};
use crate::support::knot::KnotTree;
use crate::support::run;
use crate::support::unbound::{Unbound, stubs};

/// Each part, and whether it is asked under the anchors of the islands rather than the root's alone.
const TABLE: [(&str, bool); 7] = [
    (include_str!("statuses/table/denials.txt"), false),
    (include_str!("statuses/table/cuts.txt"), false),
    (include_str!("statuses/table/chains.txt"), false),
    (include_str!("statuses/table/aliases.txt"), false),
    (include_str!("statuses/table/signatures.txt"), false),
    (include_str!("statuses/table/names.txt"), false),
    (include_str!("statuses/table/islands.txt"), true),
];
const LIMIT: Duration = Duration::from_secs(30);
/// Lookups at a time.
const WIDTH: usize = 4;

/// A line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Case {
    islands: bool,
    name: String,
    rtype: String,
    unbound: String,
    delv: String,
    sshanchor: String,
    why: String,
}

impl Case {
    /// The others' statuses, as far as they are asked, are ours.
    fn agrees(&self) -> bool {
        self.unbound == self.sshanchor && (self.delv == "-" || self.delv == self.sshanchor)
    }

    fn line(&self) -> String {
        let Case { name, rtype, unbound, delv, sshanchor, why, .. } = self;
        format!("{name:<34} {rtype:<10} {unbound:<13} {delv:<13} {sshanchor:<13} {why}").trim_end().to_owned()
    }
}

fn table() -> Vec<Case> {
    let mut cases = Vec::new();
    for (text, islands) in TABLE {
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap_or_else(|| panic!("{line}")).to_owned();
            let (name, rtype, unbound, delv, sshanchor) = (word(), word(), word(), word(), word());
            let why = words.collect::<Vec<_>>().join(" ");
            cases.push(Case { islands, name, rtype, unbound, delv, sshanchor, why });
        }
    }
    cases
}

/// The tree, and the two sets of trust anchors, each with an unbound that has it.
struct World {
    root: (std::path::PathBuf, Unbound),
    islands: (std::path::PathBuf, Unbound),
    delv_anchors: std::path::PathBuf,
    knot: KnotTree,
}

impl World {
    fn start() -> World {
        let knot = KnotTree::start_from(zones::plan());
        let tree = &knot.tree;
        let mut stubs = stubs(tree);
        stubs.retain(|(zone, _)| zone != "example.test.");
        stubs.push(("example.test.".to_owned(), knot.addr()));
        let own =
            ["island.test.", "island.plain.test.", "broken.test."].map(|zone| tree.keys(zone).dnskey_line());
        let wrong = tree.keys("csk.test.").dnskey_line().replace("csk.test.", "wrong.test.");
        let root = tree.keys(".").dnskey_line();
        let islands = tree.sandbox.write("islands.key", &format!("{root}{}{wrong}", own.concat()));
        let (_, key) = root.trim_end().split_once(" DNSKEY 257 3 13 ").unwrap();
        let delv_anchors = format!("trust-anchors {{ . static-key 257 3 13 \"{key}\"; }};\n");
        let delv_anchors = tree.sandbox.write("delv.keys", &delv_anchors);
        let start = |anchor: &Path| (anchor.to_owned(), Unbound::start(&stubs, Some(anchor)));
        World { root: start(&tree.anchor()), islands: start(&islands), delv_anchors, knot }
    }

    /// What sshanchor says now.
    fn sshanchor(&self, case: &Case) -> String {
        let (anchor, unbound) = if case.islands { &self.islands } else { &self.root };
        let mut command = self.knot.tree.sandbox.sshanchor();
        command.env("SSHANCHOR_CACHE", "off").args(["--resolver", &unbound.addr().to_string()]);
        command.arg("--trust-anchor").arg(anchor).args(["--json", "lookup", "--type", &case.rtype, "--"]);
        let finished = run(command.arg(&case.name), LIMIT);
        if finished.stdout.is_empty() {
            return "refused".into();
        }
        let json = finished.json();
        let status = json["status"].as_str().unwrap();
        assert_eq!(finished.code == Some(0), status == "secure", "{finished:#?}");
        status.to_owned()
    }
}

/// `work` on every case, in order, some at a time.
fn all<T: Send>(cases: &[Case], work: impl Fn(&Case) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match cases.get(at) {
                Some(case) => done.push((at, work(case))),
                None => return done,
            }
        }
    };
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WIDTH).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, told)| told).collect()
}

#[test]
fn every_status_is_unbounds_and_delvs_or_says_why_not() {
    let cases = table();
    assert!(cases.len() >= 60);
    let world = World::start();
    let mut found = cases.clone();
    for (islands, (_, unbound)) in [(false, &world.root), (true, &world.islands)] {
        let asked = || found.iter().filter(|case| case.islands == islands);
        let questions: Vec<(&str, &str)> = asked().map(|case| (&*case.name, &*case.rtype)).collect();
        let mut told = unbound_says(unbound.addr(), &questions, &world.knot.tree.sandbox).into_iter();
        for case in found.iter_mut().filter(|case| case.islands == islands) {
            case.unbound = told.next().unwrap();
        }
    }
    let resolver = world.root.1.addr();
    let asked = |case: &Case| case.delv != "-";
    let delvs = all(&cases, |case| match asked(case) {
        true => delv(resolver, &world.delv_anchors, &case.name, &case.rtype),
        false => "-".to_owned(),
    });
    let ours = all(&cases, |case| world.sshanchor(case));
    for ((case, delv), ours) in found.iter_mut().zip(delvs).zip(ours) {
        (case.delv, case.sshanchor) = (delv, ours);
    }
    let mut wrong = String::new();
    for (case, found) in cases.iter().zip(&found) {
        if case != found {
            wrong += &format!("  table: {}\n  found: {}\n", case.line(), found.line());
        }
        if case.agrees() != case.why.is_empty() {
            let what =
                if case.agrees() { "a reason for no difference" } else { "a difference without a reason" };
            wrong += &format!("{what}: {}\n", case.line());
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
