//! The demonstration: told as it should be, told with the right key in the newcomer's hands, and as a
//! program that leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sshanchor::lab::story::{Newcomer, Stage, Step, tell};

const STORY: [&str; 13] = [
    "zone", "host", "host", "verify", "publish", "publish", "verify", "verify", "run", "takeover", "verify",
    "run", "done",
];

async fn told(newcomer: Newcomer) -> (Vec<Step>, Stage) {
    let mut steps = Vec::new();
    let mut say = |step| {
        steps.push(step);
        Ok(())
    };
    let stage = tell(newcomer, Duration::from_secs(30), &mut say).await.unwrap();
    (steps, stage)
}

fn verdicts(steps: &[Step], which: &str) -> Vec<&'static str> {
    steps.iter().filter(|step| step.step == which).filter_map(|step| step.verdict).collect()
}

#[tokio::test]
async fn the_story_ends_with_the_impostor_refused() {
    let (steps, stage) = told(Newcomer::Impostor).await;
    assert!(stage.ok && steps.iter().all(|step| step.ok), "{steps:#?}");
    assert_eq!(steps.iter().map(|step| step.step).collect::<Vec<_>>(), STORY);
    assert_eq!(verdicts(&steps, "verify"), ["unproven", "accept", "accept", "reject"]);
    assert_eq!(verdicts(&steps, "run"), ["accept", "reject"]);
    let [host, impostor] = stage.hosts;
    assert_eq!(host.tally().authentications, 0, "it was looked at, and nobody logged in");
    assert_eq!((impostor.tally().authentications, impostor.tally().commands), (0, 0));
    // It shows an ECDSA key: both ask for the other curves as well.
    assert_eq!(impostor.tally().connections, 4, "two for a look, two to run a command");
}

#[tokio::test]
async fn the_newcomer_with_the_right_key_is_accepted_by_the_same_path() {
    let (steps, stage) = told(Newcomer::WithTheRightKey).await;
    assert_eq!(verdicts(&steps, "verify"), ["unproven", "accept", "accept", "accept"]);
    assert_eq!(verdicts(&steps, "run"), ["accept", "accept"]);
    let wrong: Vec<usize> = steps.iter().enumerate().filter(|(_, s)| !s.ok).map(|(at, _)| at).collect();
    assert_eq!(wrong, [10, 11, 12], "the story says so, and does not end well");
    assert!(!stage.ok);
    assert_eq!(stage.hosts[1].tally().commands, 1);
}

#[test]
fn the_program_tells_it_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let demo = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_sshanchor"))
            .args(arguments)
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .output()
            .unwrap()
    };
    let shown = demo(&["demo"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && shown.stderr.is_empty(), "{text}");
    assert_eq!(text.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), STORY);
    assert!(text.contains("web1.demo.example accept: ") && text.contains("web2.demo.example reject: "));

    let shown = demo(&["demo", "--json"]);
    assert!(shown.status.success());
    let lines = String::from_utf8(shown.stdout).unwrap();
    let steps: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(steps.iter().map(|step| step["step"].as_str().unwrap()).collect::<Vec<_>>(), STORY);
    assert!(steps.iter().all(|step| step["ok"] == true));
    assert_eq!(steps[10]["reason"], "key-mismatch");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn what_is_kept_can_be_used_until_the_end() {
    let home = tempfile::tempdir().unwrap();
    let mut kept = Command::new(env!("CARGO_BIN_EXE_sshanchor"))
        .args(["demo", "--keep", "--json"])
        .env("TMPDIR", home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(kept.stdout.take().unwrap()).lines();
    let last = lines.map(Result::unwrap).nth(STORY.len()).unwrap();
    let keep: BTreeMap<String, serde_json::Value> = serde_json::from_str(&last).unwrap();
    let lines: Vec<&str> = keep["try"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let run = |line: &str| Command::new("sh").args(["-c", line]).output().unwrap();
    let lookup = run(lines[0]);
    assert!(lookup.status.success(), "{lookup:?}");
    assert_eq!(run(lines[1]).status.code(), Some(3), "of two hosts the impostor decides");
    // A command on both: it runs on the one, and nobody logs in to the other.
    let exec = run(lines[2]);
    let (out, err) = (String::from_utf8_lossy(&exec.stdout), String::from_utf8_lossy(&exec.stderr));
    assert_eq!(
        (exec.status.code(), out.as_ref()),
        (Some(3), "web1.demo.example: web1.demo.example\n"),
        "{err}"
    );
    assert!(err.contains("\n  rejected, key-mismatch: 1 host: web2.demo.example\n"), "{err}");
    let audit = run(lines[3]);
    let (out, err) = (String::from_utf8_lossy(&audit.stdout), String::from_utf8_lossy(&audit.stderr));
    assert_eq!((audit.status.code(), err.as_ref()), (Some(5), ""), "{out}");
    assert!(out.starts_with("2 hosts: 1 accept, 1 reject, 0 unproven, 0 unreachable; "), "{out}");
    for told in
        ["\nerror key-mismatch: web2.demo.example:", "\nwarning known-hosts-conflict: web2.demo.example:"]
    {
        assert!(out.contains(told), "{told}{out}");
    }
    let page = lines[3].split(" -o ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(std::fs::read_to_string(page).unwrap().starts_with("<!DOCTYPE html>"));
    assert!(lines[4..].len() == 2 && lines[4..].iter().all(|line| line.starts_with("ssh -F ")), "{lines:?}");
    assert!(run(&format!("kill {}", kept.id())).status.success());
    assert!(kept.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
