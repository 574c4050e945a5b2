//! What the README shows, and docs/json.md lists, is what is printed; and the picture in the README.

use std::env;
use std::fs;
use std::path::Path;

use super::{LIMIT, plan};
use crate::support::browser::Browser;
use crate::support::port::Port;
use crate::support::run;
use crate::support::sshd::{Sshd, sshfp_lines};
use crate::support::zone::Zone;

const README: &str = include_str!("../../../README.md");
const JSON: &str = include_str!("../../../docs/json.md");

#[test]
fn the_docs_list_every_code() {
    for (code, severity, means) in sshanchor::proto::audit::RULES {
        let line = format!("| {code} | {} | {means} |", severity.text());
        assert!(JSON.contains(&line), "{line}");
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
    let mut plan = plan().zone(Zone::signed("example.test.").valid("now-3600", "now+2592600"));
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

    let (json, page) = (tree.sandbox.join("audit.json"), tree.sandbox.join("audit.html"));
    let mut command = tree.sshanchor(tree.addr());
    command.args(["audit", "-H", "web[1-6].example.test", "-p", &port.to_string()]);
    command.args(["--check-server", &tree.addr().to_string(), "-o"]).arg(&json);
    command.arg("-o").arg(&page);
    let finished = run(&mut command, LIMIT);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    let server = tree.addr().to_string();
    let as_elsewhere = |text: &str| {
        let text = text.replace(&server, "192.0.2.53:53").replace(&format!(":{port}"), "");
        text.replace("example.test", "example.com").replace("127.0.0.1", "192.0.2.1")
    };
    let text = as_elsewhere(&finished.stdout);
    assert_eq!(normal(&text), normal(&shown.join("\n")), "\n{text}");
    assert!(fs::read_to_string(json).unwrap().starts_with("{\"version\":1,"));
    // The picture of it, where somebody wants it made again.
    let html = as_elsewhere(&fs::read_to_string(page).unwrap());
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("web5.example.com"), "{html}");
    if let Some(file) = env::var_os("SSHANCHOR_PICTURE") {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        fs::write(file, picture(&tree.sandbox.write("shown.html", &html))).unwrap();
    }
}

/// How wide it is.
const WIDTH: u32 = 1100;

/// The page as a browser shows it in the light, as PNG: down to what the words mean.
fn picture(page: &Path) -> Vec<u8> {
    let mut browser = Browser::open();
    browser.prefer("light");
    browser.width(WIDTH);
    browser.load(page);
    // So that it is not too high: warnings are closed, as by a click.
    let script = "for (const group of document.querySelectorAll('details.group.warning')) group.open = false; \
                  document.getElementById('legend').getBoundingClientRect().top";
    let height = browser.evaluate(script);
    browser.picture(WIDTH, height.as_f64().unwrap() as u32)
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
