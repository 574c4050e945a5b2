//! A greeting that only a shell on the host can make up: it comes through ssh, or nothing was run at all.

use super::process::Finished;

/// What the shell is asked, behind the host's name.
pub const ASKED: [&str; 2] = ["echo", "hello from $((6*7))"];
/// What it says.
pub const SAID: &str = "hello from 42\n";

/// ssh got there.
#[track_caller]
pub fn works(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), SAID), "{finished:#?}");
}

/// ssh ended with a status of its own, and shows `why`.
#[track_caller]
pub fn is_stopped(finished: &Finished, why: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    assert!(finished.stderr.contains(why), "{why:?} is not on the screen: {finished:#?}");
}
