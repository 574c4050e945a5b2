//! What a user sees of a refusal: what docs/clients.md shows, and the README of it, is what is on the screen.

use super::fleet::Fleet;
use super::ssh::{CLIENTS, configured};

/// The lines from `heading` to the next one.
fn section(heading: &str) -> &'static str {
    let (_, rest) = CLIENTS.split_once(heading).unwrap();
    rest.split("\n#").next().unwrap()
}

/// The blocks of a section: what is typed, and what is then to be read.
fn blocks(section: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    for line in section.lines() {
        match (line.strip_prefix("    $ "), line.strip_prefix("    ")) {
            (Some(typed), _) => blocks.push((typed, String::new())),
            (None, Some(read)) => blocks.last_mut().unwrap().1 += &format!("{read}\n"),
            (None, None) if line.is_empty() => {
                blocks.last_mut().into_iter().for_each(|(_, read)| read.push('\n'))
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Without what differs from one run to the next, and as it would be for a user who has `sshanchor` in /usr/bin
/// and needs no options.
fn normal(screen: &str, fleet: &Fleet) -> String {
    let text = screen.replace(&fleet.srv(), "/srv").replace(&format!(" {} ", fleet.port(1)), " 22 ");
    let text = text.replace(&format!("{}/sshanchor/", fleet.home()), "/usr/bin/");
    let text = cut(&text, "SHA256:", |c| c.is_ascii_alphanumeric() || "+/".contains(c));
    let text = cut(&text, "ssh-ed25519 AAAA", |c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    // The options of this run, which `config ssh` has written down.
    let text = match (text.find(" --resolver "), text.find(" known-hosts ")) {
        (Some(from), Some(to)) => text.replace(text.get(from..to).unwrap(), ""),
        _ => text,
    };
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

/// With what follows `start` cut short.
fn cut(text: &str, start: &str, belongs: impl Fn(char) -> bool) -> String {
    let (first, rest) = text.split_once(start).unwrap_or((text, ""));
    let rest = rest.split(start).filter(|part| !part.is_empty());
    rest.fold(first.to_owned(), |text, part| {
        text + start + "..." + part.trim_start_matches("...").trim_start_matches(&belongs)
    })
}

#[test]
fn the_docs_show_what_is_on_the_screen() {
    let mut fleet = configured();
    let (srv, port) = (fleet.srv(), fleet.port(1).to_string());
    let blocks = blocks(section("\n## What you see on refusal\n"));
    assert!(blocks.len() >= 4, "{blocks:?}");
    fleet.with_impostor(1, |fleet| {
        for (typed, read) in &blocks {
            let line = typed.replace("/srv", &srv).replace(" 22 ", &format!(" {port} "));
            let finished = fleet.shell(&format!("{{ {line}; }} 2>&1"));
            assert_ne!(finished.code, Some(0), "{finished:#?}");
            assert_eq!(normal(&finished.stdout, fleet), read.trim(), "$ {typed}");
        }
    });
}
