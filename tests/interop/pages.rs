//! Completions and man pages, as the shells and groff read them. They are made by contrib/pages out of the very
//! definitions by which commands are read, so that they need no comparing.

use std::collections::BTreeMap;
use std::time::Duration;

use sshanchor::cli::command as program;

use crate::support::peer::command;
use crate::support::{Sandbox, run, run_ok};

#[path = "../../contrib/pages/render.rs"]
mod render;

use render::Told;

const LIMIT: Duration = Duration::from_secs(60);

fn files() -> BTreeMap<String, String> {
    let files = render::files(&program()).unwrap();
    files.into_iter().map(|(place, text)| (place, String::from_utf8(text).unwrap())).collect()
}

#[test]
fn every_command_has_a_page_that_groff_finds_nothing_wrong_with() {
    let (folder, files) = (Sandbox::new(), files());
    let mut pages = 0;
    for (place, text) in files.iter().filter(|(place, _)| place.starts_with("man/")) {
        let page = folder.write("page.1", text);
        let mut groff = command("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-P-cbou"]).arg(&page);
        let shown = run(&mut groff, LIMIT);
        assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{place}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"] {
            assert!(shown.stdout.contains(section), "{place}: {section}");
        }
        assert!(!shown.stdout.contains("EXTRA"), "{place}");
        pages += 1;
    }
    fn visible(command: &clap::Command) -> usize {
        1 + command.get_subcommands().filter(|c| !c.is_hide_set()).map(visible).sum::<usize>()
    }
    assert_eq!(pages, visible(&program()));
    let verify = files.get("man/man1/sshanchor-verify.1").unwrap();
    let examples = verify.split_once(".SH EXAMPLES\n.nf\n").unwrap().1;
    assert!(examples.starts_with("sshanchor verify "), "examples stand on lines of their own: {verify}");
    assert!(!files.values().any(|text| text.contains("/tmp/")), "nothing of this machine is in them");
}

#[test]
fn what_help_ends_with_is_sorted_into_sections() {
    let told = Told::read(
        "Examples: a b\n          c \\\n            d\nA note:\n  x\nExit status: 0 yes; 1\nno.\nMore.",
    );
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told.examples, lines(&["a b", "c \\", "  d"]));
    assert_eq!(told.notes, lines(&["A note:", "  x", "More."]));
    assert_eq!(told.exit_status, lines(&["0 yes; 1", "no."]));
}

#[test]
fn shells_read_their_completions_and_bash_completes_commands_and_options() {
    let (folder, files) = (Sandbox::new(), files());
    for (shell, place) in [
        ("zsh", "zsh/vendor-completions/_sshanchor"),
        ("fish", "fish/vendor_completions.d/sshanchor.fish"),
        ("bash", "bash-completion/completions/sshanchor"),
    ] {
        let file = folder.write("completions", files.get(place).unwrap());
        let read = run(command(shell).env("HOME", folder.path()).arg("-n").arg(&file), LIMIT);
        assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{shell}");
        if shell == "bash" {
            let complete = |words: &str, last: usize| {
                let script = format!(
                    ". {}; COMP_WORDS=({words}); COMP_CWORD={last}; \
                     _sshanchor sshanchor \"${{COMP_WORDS[{last}]}}\" \"\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                    file.display()
                );
                run_ok(command("bash").args(["--norc", "-c", &script]))
            };
            assert_eq!(complete("sshanchor ver", 1), "verify\n");
            assert_eq!(complete("sshanchor verify --trust", 2), "--trust-anchor\n");
            assert!(complete("sshanchor ca ''", 2).contains("revoke"));
        }
    }
}
