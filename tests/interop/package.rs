//! The Debian package: what is in it, and that nothing in it starts by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::{Sandbox, run, run_ok};

const LIMIT: Duration = Duration::from_secs(600);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Sources of the package's files, and where they go, from Cargo.toml.
fn assets() -> Vec<(String, String)> {
    let manifest = text("Cargo.toml");
    let list = manifest.split_once("\nassets = [\n").unwrap().1.split_once("\n]").unwrap().0;
    let assets = list.lines().map(|line| {
        let words: Vec<&str> = line.split('"').collect();
        (words[1].to_owned(), words[3].to_owned())
    });
    assets.collect()
}

#[test]
fn the_package_has_every_unit_and_enables_none() {
    let assets = assets();
    let packed = |file: &Path| {
        let file = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        assets.iter().any(|(source, _)| match source.split_once('*') {
            None => *source == file,
            Some((begin, end)) => file.starts_with(begin) && file.ends_with(end),
        })
    };
    for entry in fs::read_dir(root().join("contrib/systemd")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_dir() || packed(&path), "{}", path.display());
    }
    for (source, _) in assets.iter().filter(|(source, _)| !source.starts_with("target/")) {
        let folder = root().join(source);
        let there = if source.contains('*') { folder.parent().unwrap().is_dir() } else { folder.is_file() };
        assert!(there, "{source}");
    }
    for name in ["postinst", "prerm", "postrm"] {
        let script = root().join("contrib/deb/scripts").join(name);
        run_ok(command("dash").arg("-n").arg(&script));
        let words = fs::read_to_string(&script).unwrap();
        for line in words.lines().filter(|line| line.contains("systemctl")) {
            assert!(!line.contains("enable --now") || line.contains("disable --now"), "{line}");
            assert!(!line.contains("systemctl start") && !line.contains("preset"), "{line}");
        }
    }
    // The settings that it comes with mean nothing yet, and are none that a mistake is in.
    let (folder, config) = (Sandbox::new(), root().join("contrib/deb/config.toml"));
    run_ok(folder.sshanchor().args(["config", "check", "--config"]).arg(&config));
    let said: String = text("contrib/deb/config.toml")
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line)))
        .collect();
    let file = folder.write("config.toml", &said);
    run_ok(folder.sshanchor().args(["config", "check", "--config"]).arg(&file));
    assert!(text("CHANGELOG.md").contains(env!("CARGO_PKG_VERSION")));
}

/// Where cargo-deb is installed; elsewhere nothing is built here.
fn cargo_deb(arguments: &[&str]) -> Option<String> {
    let output = Command::new("cargo").arg("deb").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_package_is_built_and_installed_and_its_program_runs() {
    if cargo_deb(&["--version"]).is_none() {
        eprintln!("cargo-deb is not installed: no package is built (cargo install cargo-deb --locked)");
        return;
    }
    let folder = Sandbox::new();
    let program = folder.join("sshanchor");
    run_ok(command("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_sshanchor")));
    let out = folder.join("out");
    let mut build = Command::new(root().join("contrib/deb/build"));
    build.arg(&out).env("SSHANCHOR_BINARY", &program).env("SSHANCHOR_DEB_FLAGS", "--fast");
    // What the test runner's cargo has set would have this one build ring, and all that rests on it, anew.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR")
    {
        build.env_remove(name);
    }
    let built = run(&mut build, LIMIT);
    assert_eq!(built.code, Some(0), "{built:#?}");
    let package: PathBuf = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();

    let control = run_ok(command("dpkg-deb").arg("--field").arg(&package));
    assert!(control.contains("Package: sshanchor") && control.contains("libc6"), "{control}");
    let files = run_ok(command("dpkg-deb").arg("--contents").arg(&package));
    for file in [
        "./usr/bin/sshanchor",
        "./etc/sshanchor/config.toml",
        "./usr/lib/systemd/system/sshanchor-agent.service",
        "./usr/libexec/sshanchor-goodbye",
        "./usr/share/man/man1/sshanchor-ca-sign.1.gz",
        "./usr/share/bash-completion/completions/sshanchor",
        "./usr/share/doc/sshanchor/copyright",
    ] {
        assert!(files.lines().any(|line| line.ends_with(file)), "{file}: {files}");
    }
    assert!(!files.contains(".wants/"), "no unit is enabled");

    // Into a root of its own: its scripts find no systemd there, and do nothing.
    let target = folder.join("root");
    fs::create_dir_all(target.join("var/lib/dpkg/info")).unwrap();
    for file in ["status", "available"] {
        fs::write(target.join("var/lib/dpkg").join(file), "").unwrap();
    }
    fs::create_dir_all(target.join("var/lib/dpkg/updates")).unwrap();
    let dpkg = |arguments: &[&str]| {
        let mut dpkg = command("dpkg");
        dpkg.arg(format!("--root={}", target.display())).args(["--force-depends", "--force-not-root"]);
        dpkg.args(["--force-script-chrootless"]).args(arguments);
        dpkg
    };
    run_ok(dpkg(&["--install"]).arg(&package));
    let mut installed = command(target.join("usr/bin/sshanchor").to_str().unwrap());
    clean(&mut installed, folder.path());
    let version = run_ok(installed.arg("--version"));
    assert!(version.contains(env!("CARGO_PKG_VERSION")));
    fs::write(target.join("etc/sshanchor/config.toml"), "version = 1\n# mine\n").unwrap();
    run_ok(&mut dpkg(&["--remove", "sshanchor"]));
    assert!(!target.join("usr/bin/sshanchor").exists());
    assert!(target.join("etc/sshanchor/config.toml").exists(), "the user's own settings stay");
    run_ok(&mut dpkg(&["--purge", "sshanchor"]));
    assert!(!target.join("etc/sshanchor/config.toml").exists());
}
