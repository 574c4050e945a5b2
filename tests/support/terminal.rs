//! A terminal, and somebody who types into it.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::peer::command;
use super::process::wait_until;
use super::sandbox::Sandbox;

const LIMIT: Duration = Duration::from_secs(60);

/// `asking` under a terminal of its own, where each question is answered once it is shown, one after the other; what
/// the terminal showed, and the status.
pub fn at_a_terminal(asking: &Command, sandbox: &Sandbox, answers: &[(&str, &str)]) -> (String, Option<i32>) {
    let lines: Vec<String> = answers.iter().map(|(_, answer)| format!("{answer}\n")).collect();
    let typed: Vec<(&str, Keys)> =
        answers.iter().zip(&lines).map(|((question, _), line)| (*question, Keys(line))).collect();
    typed_at_a_terminal(asking, sandbox, &typed)
}

/// What is typed, key by key.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a>(pub &'a str);

/// The same with any keys for an answer.
pub fn typed_at_a_terminal(
    asking: &Command,
    sandbox: &Sandbox,
    answers: &[(&str, Keys<'_>)],
) -> (String, Option<i32>) {
    let words: Vec<String> = std::iter::once(asking.get_program())
        .chain(asking.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut script = command("script");
    script.args(["-q", "-e", "-E", "never", "-c", &words.join(" ")]).arg(sandbox.join("typescript"));
    for (name, value) in asking.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    let shown = sandbox.join("shown");
    script.stdin(Stdio::piped()).stdout(File::create(&shown).unwrap()).stderr(Stdio::null());
    let mut child = script.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for (at, (question, answer)) in answers.iter().enumerate() {
        let nth = answers[..=at].iter().filter(|(other, _)| other == question).count();
        let is_asked = || fs::read_to_string(&shown).unwrap_or_default().matches(question).count() >= nth;
        assert!(wait_until(LIMIT, is_asked), "no question {question:?}");
        input.write_all(answer.0.as_bytes()).unwrap();
    }
    let mut status = None;
    wait_until(LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    (fs::read_to_string(shown).unwrap(), status.expect("it ends").code())
}
