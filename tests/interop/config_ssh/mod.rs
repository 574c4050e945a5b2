//! `config ssh` and a real ssh that goes by what it wrote: what holds, and what does not.

mod accepted;
mod files;
mod forged_ad;
mod holds;
mod told;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::peer::{command, peer};
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::{Finished, Sandbox, Tree, hello, run};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(30);

/// A host, its zone, and a user with a configuration for ssh.
struct World {
    sshd: Sshd,
    tree: Tree,
}

fn world() -> World {
    let sshd = Sshd::start(&["ed25519"]);
    let zone = |plan: crate::support::tree::Plan, owner: &str| {
        sshd.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line))
    };
    let plan = zone(zone(Tree::plan(), "web1.example.test."), "web2.example.test.");
    let world = World { tree: plan.start(), sshd };
    // An address stands in for a network that has the host at its name.
    let text = "version = 1\n[[host]]\nmatch = \"127.0.0.1\"\nmode = \"pass\"\n";
    let file = world.tree.sandbox.write("config.toml", text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    world
}

impl World {
    fn sandbox(&self) -> &Sandbox {
        &self.tree.sandbox
    }

    fn config(&self) -> PathBuf {
        self.sandbox().join("ssh_config")
    }

    /// What ssh needs to get here at all, behind `lines` of the user's own.
    fn write(&self, lines: &str) {
        let text = format!("{lines}\n{}", self.tail());
        self.sandbox().write("ssh_config", &text);
    }

    fn tail(&self) -> String {
        let key = self.sshd.sandbox.join("user");
        format!(
            "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  BatchMode yes\n  Port {}\n  \
             ProxyCommand '{}' --config {} proxy 127.0.0.1 {}\n",
            key.display(),
            self.sshd.port(),
            env!("CARGO_BIN_EXE_sshanchor"),
            self.sandbox().join("config.toml").display(),
            self.sshd.port()
        )
    }

    fn equip(&self, command: &mut Command) {
        clean(command, self.sandbox().path());
        command.env("SSHANCHOR_RESOLVER", self.tree.addr().to_string()).env("SSHANCHOR_CACHE", "off");
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor());
        command.env("SSHANCHOR_CONFIG", self.sandbox().join("config.toml"));
    }

    fn sshanchor(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        self.equip(&mut command);
        command
    }

    /// `config ssh ARGUMENTS --ssh-config` this one.
    fn config_ssh(&self, arguments: &[&str]) -> Finished {
        let mut command = self.sshanchor();
        run(command.args(["config", "ssh", "--ssh-config"]).arg(self.config()).args(arguments), LIMIT)
    }

    #[track_caller]
    fn install(&self, arguments: &[&str]) -> Finished {
        let finished = self.config_ssh(&[&["--install", "*.example.test"], arguments].concat());
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished
    }

    /// As for an ssh older than 8.5, which calls itself so and is otherwise the one that is here.
    fn install_for_old_ssh(&self) {
        let folder = self.sandbox().join("old");
        if !folder.exists() {
            fs::create_dir(&folder).unwrap();
        }
        let ssh = peer("ssh");
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = -V ] && echo 'OpenSSH_8.4p1, OpenSSL 1.1.1w' >&2 && exit\nexec {} \"$@\"\n",
            ssh.display()
        );
        let script = self.sandbox().write("old/ssh", &script);
        fs::set_permissions(script, fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = self.sshanchor();
        command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        command.args(["config", "ssh", "--install", "*.example.test", "--ssh-config"]).arg(self.config());
        let finished = run(&mut command, LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    }

    /// ssh by that configuration alone. What sshanchor needs stands in there: nothing comes by the environment.
    fn ssh(&self, options: &[&str]) -> Command {
        let mut ssh = command("ssh");
        clean(&mut ssh, self.sandbox().path());
        ssh.env_remove("SSHANCHOR_CONFIG").arg("-T").arg("-F").arg(self.config()).args(options);
        ssh
    }

    fn runs(&self, options: &[&str], host: &str) -> Finished {
        run(self.ssh(options).arg(host).args(hello::ASKED), LIMIT)
    }

    #[track_caller]
    fn works(&self, options: &[&str], host: &str) {
        let finished = self.runs(options, host);
        hello::works(&finished);
    }

    /// Ends before the client says who it is.
    #[track_caller]
    fn is_stopped(&self, options: &[&str], host: &str) -> String {
        let mark = self.sshd.mark();
        let finished = self.runs(options, host);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{options:?}: {finished:#?}");
        if self.sshd.process.log()[mark..].contains("Connection from") {
            self.sshd.wait_closed(mark);
        }
        assert!(!self.sshd.saw_userauth(mark), "{}", &self.sshd.process.log()[mark..]);
        finished.stderr
    }

    /// The zone has the keys that the server has now, or those of somebody else.
    fn publish(&self, host: &str) {
        self.tree.update(&self.sshd.sshfp_update(&format!("{host}.")));
    }

    fn key(&self) -> String {
        let line = fs::read_to_string(self.sshd.host_key("ed25519")).unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

/// `line` of known_hosts for the host at the server's port.
fn entry(world: &World, key: &str) -> String {
    format!("[{HOST}]:{} {key}\n", world.sshd.port())
}
