//! `sshanchor-audit.service`: what it runs, with the words that its comment says to put in.

use std::process::Command;
use std::time::Duration;

use crate::support::sshd::Sshd;
use crate::support::{Finished, Sandbox, Tree, run};

use super::contrib;

const LIMIT: Duration = Duration::from_secs(90);
const HOST: &str = "web1.example.test";

/// The words of ExecStart behind the program's name, with these for `$HOSTS` and `$OPTIONS`, which systemd splits.
fn words(hosts: &str, options: &str) -> Vec<String> {
    let unit = std::fs::read_to_string(contrib("systemd/sshanchor-audit.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/env sshanchor ")).unwrap();
    let words = line.split(' ').flat_map(|word| match word {
        "$HOSTS" => hosts.split_whitespace().collect(),
        "$OPTIONS" => options.split_whitespace().collect(),
        word => vec![word],
    });
    words.map(str::to_owned).collect()
}

fn audit(tree: &Tree, folder: &Sandbox, hosts: &str, options: &str) -> Finished {
    let mut command: Command = tree.sshanchor(tree.addr());
    command.current_dir(folder.path()).args(words(hosts, options));
    run(&mut command, LIMIT)
}

#[test]
fn the_audit_unit_leaves_reports_and_fails_while_something_is_wrong() {
    let sshd = Sshd::start(&["ed25519"]);
    let (other, folder) = (Sshd::start(&["ed25519"]), Sandbox::new());
    let plan = sshd.sshfp(&format!("{HOST}.")).iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    let server = format!("--check-server {}", tree.addr());
    let fleet = |sshd: &Sshd| folder.write("fleet", &format!("# all\n{HOST}:{}\n", sshd.port()));
    for (sshd, code) in [(&other, 5), (&sshd, 0)] {
        let hosts = format!("-H @{}", fleet(sshd).display());
        let metrics = folder.join("sshanchor-audit.prom");
        let done = audit(&tree, &folder, &hosts, &format!("{server} -o {}", metrics.display()));
        assert_eq!(done.code, Some(code), "{done:#?}");
        let page = std::fs::read_to_string(folder.join("audit.html")).unwrap();
        assert!(page.contains(HOST), "{page}");
        let text = std::fs::read_to_string(folder.join("audit.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let has_errors = report.to_string().contains(r#""severity":"error""#);
        assert_eq!(has_errors, code == 5, "{report:#}");
        assert!(std::fs::read_to_string(metrics).unwrap().contains("sshanchor_audit_timestamp_seconds"));
    }
    // An earlier audit of the same folder: nothing is new.
    fleet(&other);
    let hosts = format!("-H @{}", folder.join("fleet").display());
    assert_eq!(audit(&tree, &folder, &hosts, &server).code, Some(5));
    let again = audit(&tree, &folder, &hosts, &format!("{server} --baseline audit.json"));
    assert_eq!(again.code, Some(0), "{again:#?}");
    // As it is installed: nobody has said which hosts.
    let none = audit(&tree, &folder, "", "");
    assert!(none.code == Some(2) && none.stderr.contains("hint: "), "{none:#?}");
}
