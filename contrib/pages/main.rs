//! Writes sshanchor's completions (bash, zsh, fish) and man pages below a folder, as they lie in /usr/share:
//!
//!     cargo run --example pages -- target/pages
//!
//! For whoever makes packages: they come from the definitions that commands are read by, so that they cannot say
//! anything else.
#![allow(clippy::print_stderr)]

mod render;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: pages FOLDER");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("pages: {}: {e}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &std::path::Path) -> io::Result<()> {
    for (place, text) in render::files(&sshanchor::cli::command())? {
        let path = folder.join(place);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    Ok(())
}
