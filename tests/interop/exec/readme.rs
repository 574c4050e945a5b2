//! What the README shows of a run is what is printed.

use super::LIMIT;
use super::fleet::{Servers, address};
use crate::support::zone::Zone;
use crate::support::{Tree, run, run_ok};

const README: &str = include_str!("../../../README.md");
/// As the README has it.
const RELEASE: &str = "6.18.44";

/// What the README shows below a line that is typed, up to the next one.
fn shown(typed: &str) -> Vec<&'static str> {
    let block = README.split_once(&format!("    $ {typed}\n")).unwrap().1;
    let lines = block.lines().map_while(|line| line.strip_prefix("    "));
    lines.take_while(|line| !line.starts_with("$ ")).collect()
}

/// Without digests, which differ from run to run.
fn normal(line: &str) -> String {
    let cut = |word: &str| match word.split_once("SHA256:") {
        Some((before, digest)) => {
            let comma = if digest.ends_with(',') { "," } else { "" };
            format!("{before}SHA256:...{comma}")
        }
        None => word.to_owned(),
    };
    line.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_readme_shows_a_real_run() {
    // The last server's key is published for web4, at whose address another one answers.
    let servers = Servers::new(16, "");
    let port = servers.port.number();
    // Without the addresses that the tree's hosts have else.
    let mut plan = Tree::plan().zone(Zone::signed("example.test."));
    for host in 1..=8 {
        let owner = format!("web{host}.example.test.");
        let at = if host == 8 { 100 } else { host };
        plan = plan.record(&format!("{owner} A {}", address(at)));
        let keys = match host {
            4 => servers.of(15).sshfp(&owner),
            6 => Vec::new(),
            _ => servers.of(0).sshfp(&owner),
        };
        plan = keys.iter().fold(plan, |plan, line| plan.record(line));
    }
    let tree = plan.start();
    let release = run_ok(std::process::Command::new("uname").arg("-r")).trim().to_owned();
    let exec = |arguments: &[&str]| {
        let mut exec = tree.sshanchor(tree.addr());
        exec.arg("exec").args(["-p", &port.to_string(), "-i"]).arg(servers.user());
        run(exec.env_remove("SSH_AUTH_SOCK").args(arguments), LIMIT)
    };
    let as_shown = |text: &str| -> Vec<String> {
        let text = text.replace(&release, RELEASE).replace("example.test", "example.com");
        let text = text.replace(&address(100), "192.0.2.8").replace(&format!("port {port}"), "port 22");
        text.lines().map(normal).collect()
    };

    let finished = exec(&["-H", "web[1-3,5,7].example.test", "--", "uname -r; date -u +%T"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let is_time = |text: &str| text.len() == 8 && text.split(':').all(|part| part.parse::<u8>().is_ok());
    let printed = as_shown(&finished.stdout);
    assert_eq!(printed.len(), 10);
    let recorded = shown("sshanchor exec -H 'web[1-3,5,7].example.com' -- 'uname -r; date -u +%T'");
    let recorded = recorded.into_iter().filter(|line| *line != "...").map(str::to_owned);
    for line in printed.into_iter().chain(recorded) {
        let (host, text) = line.split_once(": ").unwrap();
        assert!(["1", "2", "3", "5", "7"].iter().any(|n| host == format!("web{n}.example.com")), "{line}");
        assert!(text == RELEASE || is_time(text), "{line}");
    }

    let finished = exec(&["-b", "-H", "web[1-8].example.test", "--", "uname -r"]);
    let printed = as_shown(&format!("{}{}", finished.stdout, finished.stderr));
    let recorded = shown("sshanchor exec -b -H 'web[1-8].example.com' -- uname -r");
    assert_eq!(printed, recorded, "\n{}{}", finished.stdout, finished.stderr);
    assert_eq!(shown("echo $?"), [finished.code.unwrap().to_string()]);
}
