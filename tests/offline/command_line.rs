//! What is typed, and where it goes wrong before anything is done.

use std::process::{Command, Output, Stdio};

fn sshanchor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
    for (variable, _) in std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("SSHANCHOR_")) {
        command.env_remove(variable);
    }
    command.env("SSHANCHOR_CONFIG", "none").args(arguments).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_variable_that_is_set_to_nothing_is_none() {
    let mut command = sshanchor(&["verify", "192.0.2.1"]);
    for variable in ["SSHANCHOR_RESOLVER", "SSHANCHOR_TRUST_ANCHOR", "SSHANCHOR_STATE"] {
        command.env(variable, "");
    }
    let (status, out, err) = run(&mut command);
    assert_eq!(status, Some(4), "{err}");
    assert!(out.starts_with("192.0.2.1:22 unproven: "), "{out}");
    let (status, _, err) = run(sshanchor(&["verify", "192.0.2.1"]).env("SSHANCHOR_RESOLVER", "nobody"));
    assert_eq!(status, Some(2), "{err}");
}

#[test]
fn what_was_typed_is_sanitised_before_it_is_shown() {
    for arguments in [&["x\x1b[31m"][..], &["lookup", "--type", "\x1b[31m", "x"], &["verify", "x\x1b[31m"]] {
        let (status, out, err) = run(&mut sshanchor(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains("\\u{1b}[31m") && !err.contains('\x1b'), "{err:?}");
    }
}

#[test]
fn help_of_a_command_explains_it() {
    let (status, out, _) = run(&mut sshanchor(&["proxy", "--help"]));
    assert_eq!(status, Some(0));
    assert!(out.contains("never sees the reply"), "{out}");
}

#[test]
fn one_wrong_name_and_nobody_is_asked() {
    let (status, out, err) = run(&mut sshanchor(&["verify", "192.0.2.1", "web_1"]));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("\"web_1\" is not a host name"), "{err}");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let arguments = ["--timeout", "0.2", "sshfp", "--name", "web1.example", pipe.to_str().unwrap()];
    let (status, _, err) = run(&mut sshanchor(&arguments));
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("is it a pipe that nobody writes to?"), "{err}");
}
