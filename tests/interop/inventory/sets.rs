//! Host sets against ClusterShell's `nodeset`.

use std::process::Command;

/// What `nodeset -e` says; none is a refusal.
fn nodeset(set: &str) -> Option<String> {
    let output =
        Command::new("nodeset").args(["-e", "-S,", set]).output().expect("tests/run installs clustershell");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn the_table_of_host_sets_is_what_clustershell_says() {
    let table = include_str!("../../../src/proto/inventory/hostset/clustershell.txt");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (what, rest) = line.split_once(' ').unwrap();
        let fields: Vec<&str> = rest.split(" => ").collect();
        let theirs = match what {
            "both" => Some(fields[1]),
            "none" => None,
            _ => Some(fields[2]).filter(|theirs| *theirs != "-"),
        };
        // `a b` is two words of a command line to it.
        assert_eq!(nodeset(fields[0]).as_deref(), theirs, "{line}");
    }
}
