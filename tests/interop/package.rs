//! The Debian package: what is in it, and that nothing in it starts by itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::support::namespace::with_files;
use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::{Sandbox, run, run_ok};

const LIMIT: Duration = Duration::from_secs(600);
const DOC: &str = "usr/share/doc/sshanchor";
/// What no purge may take away.
const STATE: &str = "var/lib/sshanchor/ca_key";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Sources of the package's files, where they go, and their modes, from Cargo.toml.
fn assets() -> Vec<(String, String, String)> {
    let manifest = text("Cargo.toml");
    let list = manifest.split_once("\nassets = [\n").unwrap().1.split_once("\n]").unwrap().0;
    let assets = list.lines().map(|line| {
        let words: Vec<&str> = line.split('"').collect();
        (words[1].to_owned(), words[3].to_owned(), words[5].to_owned())
    });
    assets.collect()
}

#[test]
fn the_package_has_every_unit_and_enables_none() {
    let assets = assets();
    let packed = |file: &Path| {
        let file = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        assets.iter().any(|(source, ..)| match source.split_once('*') {
            None => *source == file,
            Some((begin, end)) => file.starts_with(begin) && file.ends_with(end),
        })
    };
    for entry in fs::read_dir(root().join("contrib/systemd")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.is_dir() || packed(&path), "{}", path.display());
    }
    for (source, ..) in assets.iter().filter(|(source, ..)| !source.starts_with("target/")) {
        let folder = root().join(source);
        let there = if source.contains('*') { folder.parent().unwrap().is_dir() } else { folder.is_file() };
        assert!(there, "{source}");
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

/// cargo-deb, which tests/run installs into the target folder.
fn cargo_deb() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("tests-tools/bin");
    assert!(
        folder.join("cargo-deb").exists(),
        "no cargo-deb in {}: tests/run puts it there",
        folder.display()
    );
    folder
}

/// The package, built in `folder` as contrib/deb/build does it, of the program that is tested.
fn build(folder: &Sandbox) -> PathBuf {
    let program = folder.join("sshanchor");
    run_ok(command("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_sshanchor")));
    let out = folder.join("out");
    let mut build = Command::new(root().join("contrib/deb/build"));
    build.arg(&out).env("SSHANCHOR_BINARY", &program).env("SSHANCHOR_DEB_FLAGS", "--fast");
    build.env("DEBFULLNAME", "Ann Example").env("DEBEMAIL", "ann@sshanchor.dev");
    let path = env::var_os("PATH").unwrap_or_default();
    build.env("PATH", env::join_paths([cargo_deb()].into_iter().chain(env::split_paths(&path))).unwrap());
    // What the test runner's cargo has set would have this one build ring, and all that rests on it, anew.
    for (name, _) in env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR")
    {
        build.env_remove(name);
    }
    let built = run(&mut build, LIMIT);
    assert_eq!(built.code, Some(0), "{built:#?}");
    let packages: Vec<PathBuf> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(packages.len(), 1, "{packages:?}");
    packages.into_iter().next().unwrap()
}

/// `MODE PATH` of each file that is to be in the package.
fn wanted() -> BTreeSet<String> {
    // Another run may be making the pages anew.
    let lock = fs::File::open(root().join("target/package.lock")).unwrap();
    lock.lock().unwrap();
    let mut files =
        BTreeSet::from(["copyright", "changelog.Debian.gz"].map(|name| format!("0644 {DOC}/{name}")));
    for (source, place, mode) in assets() {
        let sources = match source.split_once('*') {
            None => vec![source],
            Some((begin, end)) => {
                let (folder, _) = begin.rsplit_once('/').unwrap();
                let entries =
                    fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
                let names = entries.map(|name| format!("{folder}/{}", name.to_str().unwrap()));
                names.filter(|name| name.starts_with(begin) && name.ends_with(end)).collect()
            }
        };
        for source in sources {
            let name = if place.ends_with('/') { source.rsplit('/').next().unwrap() } else { "" };
            let is_packed = place.starts_with("usr/share/man/") || place.ends_with("/changelog");
            files.insert(format!("0{mode} {place}{name}{}", if is_packed { ".gz" } else { "" }));
        }
    }
    files
}

/// The same of what is below `folder`, but for dpkg's own.
fn installed(folder: &Path) -> BTreeSet<String> {
    let mut find = command("find");
    find.arg(folder).args([
        "-path",
        "*/var/lib/dpkg",
        "-prune",
        "-o",
        "!",
        "-type",
        "d",
        "-printf",
        "%#m %P\n",
    ]);
    run_ok(&mut find).lines().map(str::to_owned).collect()
}

/// A root with nothing in it but what dpkg wants.
struct Root {
    folder: PathBuf,
    /// In the place of /run, so that no script finds this machine's systemd.
    run: PathBuf,
}

impl Root {
    fn new(within: &Sandbox) -> Root {
        let (folder, run) = (within.join("root"), within.join("run"));
        for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/sshanchor"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::create_dir(&run).unwrap();
        fs::write(folder.join("var/lib/dpkg/status"), "").unwrap();
        fs::write(folder.join(STATE), "a CA's key\n").unwrap();
        Root { folder, run }
    }

    /// dpkg, which has to succeed.
    fn dpkg(&self, arguments: &[&str]) -> String {
        let mut dpkg = command("dpkg");
        dpkg.arg(format!("--root={}", self.folder.display()));
        // No libc6 is there, nor a shell to run its scripts with.
        dpkg.args(["--force-depends", "--force-script-chrootless"]).args(arguments);
        run_ok(&mut with_files(&dpkg, &[(&self.run, "/run")]))
    }

    /// systemd's links below, and what Debian's scripts remember of units.
    fn units(&self) -> Vec<String> {
        let files = installed(&self.folder).into_iter();
        files.filter(|file| file.contains("etc/systemd/") || file.contains("deb-systemd-helper")).collect()
    }
}

#[test]
fn the_package_is_built_and_checked_and_installed_and_purged() {
    let folder = Sandbox::new();
    let package = build(&folder);
    it_has_what_is_listed(&package, &folder);
    its_pages_lead_to_what_is_there(&folder.join("unpacked").join(DOC));
    lintian_finds_nothing_wrong_with_it(&package, &folder);
    it_starts_nothing_and_leaves_what_is_not_its_own(&package, &folder);
}

fn it_has_what_is_listed(package: &Path, folder: &Sandbox) {
    let control = run_ok(command("dpkg-deb").arg("--field").arg(package));
    let has = |line: &str| assert!(control.lines().any(|l| l.starts_with(line)), "{line}: {control}");
    has("Package: sshanchor");
    has(concat!("Version: ", env!("CARGO_PKG_VERSION")));
    has("Maintainer: Ann Example <ann@sshanchor.dev>");
    has("Depends: libc6 ");
    let unpacked = folder.join("unpacked");
    run_ok(command("dpkg-deb").arg("--extract").arg(package).arg(&unpacked));
    assert_eq!(installed(&unpacked), wanted());
}

/// Links of the installed pages, and the examples that they name.
fn its_pages_lead_to_what_is_there(doc: &Path) {
    let pages = ["README.md", "SECURITY.md"].map(str::to_owned).into_iter();
    let docs = fs::read_dir(doc.join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs =
        docs.map(|name| format!("docs/{}", name.to_str().unwrap())).filter(|name| name.ends_with(".md"));
    let mut followed = 0;
    for page in pages.chain(docs) {
        let text = fs::read_to_string(doc.join(&page)).unwrap();
        let folder = doc.join(&page).parent().unwrap().to_owned();
        let links = text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
        for link in links.filter(|link| !link.is_empty() && !link.starts_with("http")) {
            assert!(folder.join(link).exists(), "{page}: {link}");
            followed += 1;
        }
        let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for rest in text.split("examples/").skip(1) {
            let name = rest.split(|c| !is_of_path(c)).next().unwrap().trim_end_matches('.');
            assert!(doc.join("examples").join(name).exists(), "{page}: examples/{name}");
            followed += 1;
        }
    }
    assert!(followed > 50, "{followed}");
}

fn lintian_finds_nothing_wrong_with_it(package: &Path, folder: &Sandbox) {
    let lintian = run(command("lintian").args(["--fail-on", "error,warning"]).arg(package), LIMIT);
    assert_eq!((lintian.code, lintian.stdout.as_str()), (Some(0), ""), "{lintian:#?}");
    // It would tell.
    let spoilt = folder.join("spoilt");
    fs::create_dir_all(spoilt.join(DOC)).unwrap();
    fs::copy(root().join("SECURITY.md"), spoilt.join(DOC).join("SECURITY.md")).unwrap();
    run_ok(command("dpkg-deb").arg("--control").arg(package).arg(spoilt.join("DEBIAN")));
    fs::remove_file(spoilt.join("DEBIAN/conffiles")).unwrap();
    let again = folder.join("sshanchor_0_all.deb");
    run_ok(command("dpkg-deb").args(["--build", "-Znone"]).arg(&spoilt).arg(&again));
    let lintian = run(command("lintian").args(["--fail-on", "error,warning"]).arg(&again), LIMIT);
    assert!(lintian.code == Some(2) && lintian.stdout.contains("no-copyright-file"), "{lintian:#?}");
}

fn it_starts_nothing_and_leaves_what_is_not_its_own(package: &Path, folder: &Sandbox) {
    let (package, root) = (package.to_str().unwrap(), Root::new(folder));
    root.dpkg(&["--install", package]);
    assert_eq!(root.dpkg(&["--verify", "sshanchor"]), "", "all is as it was packed");
    assert!(!root.units().iter().any(|file| file.contains("etc/systemd/")), "{:?}", root.units());
    let mut program = Command::new(root.folder.join("usr/bin/sshanchor"));
    clean(&mut program, folder.path());
    assert!(run_ok(program.arg("--version")).contains(env!("CARGO_PKG_VERSION")));

    // What the machine's owner has set up outlasts an upgrade, and a removal as far as it is his.
    let (config, units) = (root.folder.join("etc/sshanchor/config.toml"), "sshanchor-agent.service");
    fs::write(&config, "version = 1\n# mine\n").unwrap();
    run_ok(command("systemctl").arg(format!("--root={}", root.folder.display())).args(["enable", units]));
    let link = root.folder.join("etc/systemd/system/multi-user.target.wants").join(units);
    assert!(link.is_symlink());
    root.dpkg(&["--install", package]);
    assert!(link.is_symlink(), "{:?}", root.units());
    assert!(fs::read_to_string(&config).unwrap().ends_with("# mine\n"));
    root.dpkg(&["--remove", "sshanchor"]);
    assert!(!root.folder.join("usr/bin/sshanchor").exists());
    assert!(config.exists(), "the user's own settings stay");
    // And once more, as before.
    root.dpkg(&["--install", package]);
    assert!(link.is_symlink() && config.exists(), "{:?}", root.units());
    root.dpkg(&["--purge", "sshanchor"]);
    assert_eq!(installed(&root.folder), BTreeSet::from([format!("0644 {STATE}")]), "nothing else is left");
}
