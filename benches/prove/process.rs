//! `lookup` of a name whose proof is in the cache, from the process's start to its exit.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::peer::command;
use crate::world::{World, name};
use crate::{median, verdict};

/// Processes of each kind; they take turns.
const RUNS: usize = 60;

/// Prints the table and whether the figures are what they should be.
pub fn compare(world: &World) -> bool {
    let cache = world.tree.sandbox.join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
    let host = name(1);
    let lookup = || {
        let mut lookup = world.tree.sshanchor(world.unbound.addr());
        lookup.env("SSHANCHOR_CACHE", &cache).args(["lookup", "--json", &host]);
        lookup
    };
    let source = || {
        let answer: serde_json::Value = serde_json::from_slice(&lookup().output().unwrap().stdout).unwrap();
        assert_eq!(answer["status"], "secure", "{answer}");
        answer["source"].as_str().unwrap().to_owned()
    };
    source();
    let source = source();
    let anchor = world.delv_anchor();
    let delv = || {
        let mut delv = command("delv");
        let port = world.unbound.addr().port().to_string();
        delv.args(["@127.0.0.1", "-p", &port, "+root=.", "-a"]).arg(&anchor).args([&host, "SSHFP"]);
        delv
    };
    let answer = String::from_utf8(delv().output().unwrap().stdout).unwrap();
    assert!(answer.contains("fully validated"), "{answer}");

    let (mut nothing, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        nothing.push(timed(&mut Command::new("/bin/true")));
        ours.push(timed(&mut lookup()));
        theirs.push(timed(&mut delv()));
    }
    let (nothing, ours, theirs) = (median(nothing), median(ours), median(theirs));
    println!(
        "lookup of a cached name (its source: {source}), median of {RUNS} processes, ms from start to exit:"
    );
    println!("     /bin/true                      {nothing:8.2}");
    println!("     sshanchor lookup               {ours:8.2}");
    println!("     delv                           {theirs:8.2}");
    let cached = source == "cache";
    if !cached {
        println!("MISS the second lookup did not come from the cache");
    }
    let start = verdict("sshanchor / true", ours / nothing, "", 5.0);
    let delv = verdict("5 * sshanchor / delv", 5.0 * ours / theirs, "", 1.0);
    cached && start && delv
}

/// Milliseconds from a process's start to its exit.
fn timed(command: &mut Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    assert!(command.status().unwrap().success(), "{command:?}");
    begun.elapsed().as_secs_f64() * 1000.0
}
