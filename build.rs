//! What the linker is asked for, where it and the system's loader know it: a small program is linked with it, and run.

#![allow(clippy::print_stdout, reason = "this is how cargo is told")]

use std::env::{var, var_os};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Packed, relocations take a tenth of their 24 octets, all of which are read at the start (glibc 2.36).
const PACKED: &str = "-Wl,-z,pack-relative-relocs";
/// What an agent runs, or a relay, lies together: the kernel maps 64 KiB around each function (benches/layout).
const LAYOUT: &str = "contrib/linker/layout.ld";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LAYOUT}");
    // What is made for another machine cannot be tried here; what is made to be tested has other functions.
    let is_ours = var("HOST")? == var("TARGET")? && var("CARGO_CFG_TARGET_OS")? == "linux";
    if !is_ours || var("PROFILE")? != "release" {
        return Ok(());
    }
    let layout = PathBuf::from(var("CARGO_MANIFEST_DIR")?).join(LAYOUT);
    let folder = PathBuf::from(var("OUT_DIR")?);
    std::fs::write(folder.join("trial.rs"), "fn main() {}")?;
    for argument in [PACKED.to_owned(), format!("-Wl,-T,{}", layout.display())] {
        if is_good(&argument, &folder).unwrap_or(false) {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
    Ok(())
}

/// A program that is linked so, in the way cargo has programs linked, runs.
fn is_good(argument: &str, folder: &Path) -> Result<bool, Box<dyn Error>> {
    let program = folder.join("trial");
    let mut rustc = Command::new(var_os("RUSTC").ok_or("no RUSTC")?);
    rustc.arg("--edition=2024").arg(folder.join("trial.rs")).arg("-o").arg(&program);
    rustc.arg(format!("-Clink-arg={argument}"));
    if let Some(linker) = var_os("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={}", linker.display()));
    }
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    Ok(succeeds(rustc)? && succeeds(Command::new(program))?)
}

fn succeeds(mut command: Command) -> std::io::Result<bool> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(status.success())
}
