//! At boot and at the end: contrib/init/sshanchor and contrib/systemd/sshanchor-goodbye, in a plain POSIX shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::contrib;
use crate::interop::primary::{HOST, LIMIT, Primary, key, record};
use crate::support::peer::command as peer;
use crate::support::process::wait_until;
use crate::support::sandbox::clean;
use crate::support::{Finished, run};

/// A machine whose configuration says what is published.
struct Machine {
    primary: Primary,
    public: PathBuf,
}

impl Machine {
    fn new() -> Machine {
        let primary = Primary::bind();
        let sandbox = primary.sandbox();
        let public = sandbox.join("host_key.pub");
        fs::create_dir(sandbox.join("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sshanchor"), sandbox.join("bin/sshanchor")).unwrap();
        let addr = primary.addr();
        let config = format!(
            "version = 1\n[publish]\nname = \"{HOST}\"\nserver = \"{addr}\"\ncheck_servers = \"{addr}\"\n\
             key_file = \"{}\"\nhost_keys = \"{}\"\n",
            primary.tsig("web1").display(),
            public.display()
        );
        sandbox.write("config.toml", &config);
        Machine { primary, public }
    }

    fn join(&self, name: &str) -> PathBuf {
        self.primary.sandbox().join(name)
    }

    /// A script of contrib/, by dash, with this machine's programs before the system's.
    fn script(&self, path: &str, arguments: &[&str]) -> Command {
        let mut dash = peer("dash");
        dash.arg(contrib(path)).args(arguments);
        clean(&mut dash, self.primary.sandbox().path());
        for variable in ["RUNLEVEL", "RC_GOINGDOWN", "RC_REBOOT"] {
            dash.env_remove(variable);
        }
        dash.env("PATH", format!("{}:/usr/bin:/bin", self.join("bin").display()));
        dash.env("SSHANCHOR_CONFIG", self.join("config.toml"));
        dash
    }

    /// contrib/init/sshanchor with `settings` for /etc/default.
    fn init(&self, argument: &str, settings: &str) -> Command {
        let settings = format!("HOST_KEYS='{}'\n{settings}\n", self.public.display());
        let settings = self.primary.sandbox().write("settings", &settings);
        let mut script = self.script("init/sshanchor", &[argument]);
        script.env("SSHANCHOR_SETTINGS", settings);
        script
    }

    /// contrib/systemd/sshanchor-goodbye with a systemctl that shows `jobs`, as systemd 252 does, or fails.
    fn goodbye(&self, jobs: Option<&str>) -> Finished {
        let end = if jobs.is_some() { "" } else { "exit 1" };
        let jobs = jobs.unwrap_or_default();
        let fake = format!("#!/bin/sh\n[ \"$1\" = list-jobs ] || exit 9\ncat <<'END'\n{jobs}\nEND\n{end}\n");
        self.program("systemctl", &fake);
        run(&mut self.script("systemd/sshanchor-goodbye", &["--timeout", "20"]), LIMIT)
    }

    fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.primary.sandbox().write(&format!("bin/{name}"), text);
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn records(&self) -> Vec<String> {
        self.primary.records(HOST).0
    }

    fn published(&self) -> Vec<String> {
        if !self.public.exists() {
            key(self.primary.sandbox(), "host_key");
        }
        let published = run(&mut self.init("publish", ""), LIMIT);
        assert_eq!(published.code, Some(0), "{published:#?}");
        assert_eq!(self.records(), [record(&self.public)]);
        self.records()
    }
}

fn soon(ask: impl FnMut() -> bool) -> bool {
    wait_until(Duration::from_secs(20), ask)
}

#[test]
fn start_waits_for_host_keys_and_the_boot_does_not_wait_for_it() {
    let machine = Machine::new();
    let started = run(&mut machine.init("start", "WAIT=20\nPAUSE=1"), Duration::from_secs(5));
    assert_eq!(started.code, Some(0), "{started:#?}");
    assert!(machine.records().is_empty());
    key(machine.primary.sandbox(), "host_key");
    assert!(soon(|| machine.records() == [record(&machine.public)]), "not published");
    let again = run(&mut machine.init("restart", ""), LIMIT);
    assert!(again.code == Some(0) && again.stderr.contains("published"), "{again:#?}");
}

#[test]
fn it_tries_again_and_gives_up_in_the_end() {
    let machine = Machine::new();
    let none = run(&mut machine.init("publish", "WAIT=0"), LIMIT);
    assert!(none.code == Some(1) && none.stderr.contains("no host keys after 0 s"), "{none:#?}");

    // The key is still to be fetched.
    key(machine.primary.sandbox(), "host_key");
    let (tsig, away) = (machine.primary.tsig("web1"), machine.join("away"));
    fs::rename(&tsig, &away).unwrap();
    let tried = run(&mut machine.init("publish", "TRIES=2\nPAUSE=0"), LIMIT);
    assert_eq!(tried.code, Some(2), "{tried:#?}");
    assert!(tried.stderr.contains("attempt 2 of 2") && !tried.stderr.contains("attempt 3"), "{tried:#?}");
    assert!(tried.stderr.contains("TSIG key file"), "{tried:#?}");
    let started = run(&mut machine.init("start", "TRIES=50\nPAUSE=1"), Duration::from_secs(5));
    assert_eq!(started.code, Some(0));
    fs::rename(&away, &tsig).unwrap();
    assert!(soon(|| machine.records() == [record(&machine.public)]), "not published");
}

#[test]
fn stop_takes_the_records_away_when_the_machine_is_halted_and_not_at_a_reboot() {
    let machine = Machine::new();
    let there = machine.published();
    // A runlevel of the machine that runs the tests has no say.
    machine.program("runlevel", "#!/bin/sh\necho unknown\n");
    let stop = |settings: &str, variables: &[(&str, &str)]| {
        let stopped = run(machine.init("stop", settings).envs(variables.iter().copied()), LIMIT);
        assert_eq!(stopped.code, Some(0), "{stopped:#?}");
        machine.records()
    };
    let withdraw = "WITHDRAW=yes";
    assert_eq!(stop("", &[("RUNLEVEL", "0")]), there, "not asked for");
    assert_eq!(stop(withdraw, &[("RUNLEVEL", "6")]), there, "a reboot");
    assert_eq!(stop(withdraw, &[("RUNLEVEL", "2")]), there, "by hand");
    assert_eq!(stop(withdraw, &[]), there, "nobody tells");
    assert_eq!(stop(withdraw, &[("RC_GOINGDOWN", "YES"), ("RC_REBOOT", "YES")]), there, "a reboot");
    assert!(stop(withdraw, &[("RUNLEVEL", "0")]).is_empty());
    machine.published();
    assert!(stop(withdraw, &[("RC_GOINGDOWN", "YES")]).is_empty());
    machine.published();
    machine.program("runlevel", "#!/bin/sh\necho 2 0\n");
    assert!(stop(withdraw, &[]).is_empty());
    assert_eq!(run(&mut machine.init("else", ""), LIMIT).code, Some(2));
}

#[test]
fn goodbye_takes_the_records_away_when_the_machine_is_switched_off_and_not_at_a_reboot() {
    let machine = Machine::new();
    let there = machine.published();
    let others =
        "  61 sshanchor-goodbye.service stop  running\n  62 ssh.service               stop  running\n";
    let job = |unit: &str, kind: &str| format!("{others}1047 {unit:<27} {kind} waiting");
    for kept in [
        Some(job("reboot.target", "start")),
        Some(job("kexec.target", "start")),
        Some(job("soft-reboot.target", "start")),
        Some(job("poweroff.target", "stop")),
        Some(job("my-poweroff.target", "start")),
        // The last word counts, and it may not be poweroff's.
        Some(format!("{}\n{}", job("poweroff.target", "start"), job("reboot.target", "start"))),
        Some(others.to_owned()),
        Some(String::new()),
        None,
    ] {
        let finished = machine.goodbye(kept.as_deref());
        assert_eq!(finished.code, Some(0), "{kept:?}: {finished:#?}");
        assert_eq!(machine.records(), there, "{kept:?}: {finished:#?}");
    }
    for target in ["poweroff.target", "halt.target"] {
        let finished = machine.goodbye(Some(&job(target, "start")));
        assert_eq!(finished.code, Some(0), "{target}: {finished:#?}");
        assert!(machine.records().is_empty(), "{target}: {finished:#?}");
        machine.published();
    }
}

/// What is installed as a program is one, and for any POSIX shell.
#[test]
fn the_shell_scripts_of_contrib_parse_in_a_plain_shell_and_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![contrib("")];
    let mut scripts = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if is_for_sh(&path) {
                scripts += 1;
                let checked = run(peer("dash").arg("-n").arg(&path), LIMIT);
                assert_eq!(checked.code, Some(0), "{}: {checked:#?}", path.display());
                assert_ne!(
                    fs::metadata(&path).unwrap().permissions().mode() & 0o111,
                    0,
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(scripts >= 8, "{scripts}");
}

fn is_for_sh(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.starts_with("#!/bin/sh\n"))
}
