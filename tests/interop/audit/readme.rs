//! What the README shows and lists is what is printed.

use std::fs;

use super::{LIMIT, plan};
use crate::support::port::Port;
use crate::support::run;
use crate::support::sshd::{Sshd, sshfp_lines};
use crate::support::zone::Zone;

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_lists_every_code() {
    for (code, severity, means) in sshanchor::proto::audit::RULES {
        let line = format!("| {code} | {} | {means} |", severity.text());
        assert!(README.contains(&line), "{line}");
    }
}

#[test]
fn the_readme_shows_a_real_audit() {
    let port = Port::free().number();
    // Six machines: at addresses of their own, and at one port.
    let at = |n: u8| format!("ListenAddress 127.0.0.{}:{port}", n + 10);
    let one = |n: u8| Sshd::start_with(&["ed25519"], &at(n));
    let sshd =
        [one(1), one(2), Sshd::start_with(&["ed25519"], &format!("{}\n{}", at(3), at(4))), one(5), one(6)];
    let old = Sshd::start(&["ed25519"]);
    // Without the addresses that the tree's hosts have else.
    let mut plan = plan().zone(Zone::signed("example.test.").valid("now-3600", "now+2592000"));
    for (n, of) in [(1, &sshd[0]), (2, &sshd[1]), (3, &sshd[2]), (4, &sshd[2]), (5, &old), (6, &sshd[4])] {
        plan = plan.record(&format!("web{n}.example.test. A 127.0.0.{}", n + 10));
        if n != 6 {
            plan = plan
                .record(&sshfp_lines(&of.host_key("ed25519"), &format!("web{n}.example.test.")).remove(0));
        }
    }
    let tree = plan.start();
    let block = README.split("    $ sshanchor audit -H 'web[1-6].example.com'\n").nth(1).unwrap();
    let block = block.split("\n\n#").next().unwrap();
    let lines = block.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let shown: Vec<&str> = lines.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();

    let json = tree.sandbox.join("audit.json");
    let mut command = tree.sshanchor(tree.addr());
    command.args(["audit", "-H", "web[1-6].example.test", "-p", &port.to_string()]);
    command.args(["--check-server", &tree.addr().to_string(), "-o"]).arg(&json);
    let finished = run(&mut command, LIMIT);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    let text = finished.stdout.replace(&format!(":{port}"), "").replace("example.test", "example.com");
    assert_eq!(normal(&text), normal(&shown.join("\n")), "\n{text}");
    assert!(fs::read_to_string(json).unwrap().starts_with("{\"version\":1,"));
}

/// Without digests and moments, which differ from run to run.
fn normal(text: &str) -> String {
    let word = |word: &str| {
        let is_moment = word.len() >= 20 && word.contains('T') && word.starts_with("20");
        match word.split_once("SHA256:") {
            Some((before, _)) => format!("{before}SHA256:..."),
            None if is_moment => "...".to_owned(),
            None => word.to_owned(),
        }
    };
    let line = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words: Vec<String> = line.split_ascii_whitespace().map(word).collect();
        format!("{indent}{}", words.join(" "))
    };
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}
