//! A program that sees another time than everybody else, by libfaketime.

use std::path::PathBuf;
use std::process::Command;

/// `command`, whose wall clock is off by `offset`, as libfaketime spells it: `-2d`, `+10m`. How long things take stays as it
/// is.
pub fn shift(command: &mut Command, offset: &str) {
    command.env("LD_PRELOAD", library()).env("FAKETIME", offset);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
}

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut places = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    places.find(|place| place.exists()).expect("libfaketime is missing: run tests/run once")
}
