//! Two hosts of a signed zone, the machine of a user who has `sshanchor` and what is in contrib/, and an
//! impostor in place of a host.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::peer::{command, peer};
use crate::support::process::wait_until;
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::{Finished, Sandbox, Tree, Zone, run, run_ok, venv};

/// Ansible on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What sshd logs when a client has taken its key, asks for a service, and names a user.
const TOLD: [&str; 3] = ["SSH2_MSG_NEWKEYS received", "receive packet: type 5 ", "userauth-request for user"];

/// Types of the hosts' keys.
const KEYS: [&str; 2] = ["ed25519", "ecdsa256"];

/// web1.example.com and web2.example.com, whose keys are published, and a user's machine.
pub struct Fleet {
    tree: Tree,
    hosts: Vec<Sshd>,
    home: Sandbox,
}

impl Fleet {
    /// With fresh keys everywhere.
    pub fn start() -> Fleet {
        let home = Sandbox::new();
        fs::create_dir_all(home.join(".ssh")).unwrap();
        // What is done on the hosts is done in the folder `srv` of the user's own machine: it is all one.
        fs::create_dir_all(home.join("srv/data")).unwrap();
        home.write("srv/data/report", "all is well\n");
        run_ok(command("git").args(["init", "-q", "--bare"]).arg(home.join("srv/tools.git")));
        let extra = format!("SetEnv HOME={}", home.join("srv").display());
        let hosts: Vec<Sshd> = (1..=2).map(|_| Sshd::start_with(&KEYS, &extra)).collect();
        let mut plan = Tree::plan();
        plan.zones = vec![Zone::signed("."), Zone::signed("com."), Zone::signed("example.com.").hosts()];
        plan.tsig.clear();
        for (index, sshd) in hosts.iter().enumerate() {
            for line in sshd.sshfp(&format!("web{}.example.com.", index + 1)) {
                plan = plan.record(&line);
            }
            // One user key opens both.
            fs::copy(hosts[0].sandbox.join("user.pub"), sshd.sandbox.join("authorized_keys")).unwrap();
        }
        let fleet = Fleet { tree: plan.start(), hosts, home };
        fleet.furnish();
        fleet
    }

    /// The user's key, the programs, and contrib/.
    fn furnish(&self) {
        let home = &self.home;
        fs::copy(self.hosts[0].sandbox.join("user"), home.join(".ssh/id_ed25519")).unwrap();
        fs::copy(self.hosts[0].sandbox.join("user.pub"), home.join(".ssh/id_ed25519.pub")).unwrap();
        let mut convert = command("dropbearconvert");
        convert
            .args(["openssh", "dropbear"])
            .arg(home.join(".ssh/id_ed25519"))
            .arg(home.join(".ssh/id_dropbear"));
        run_ok(&mut convert);
        let mut convert = command("puttygen");
        convert.arg(home.join(".ssh/id_ed25519")).args(["-O", "private", "-o"]).arg(home.join(".ssh/id.ppk"));
        run_ok(&mut convert);
        fs::create_dir(home.join("bin")).unwrap();
        fs::create_dir(home.join("sshanchor")).unwrap();
        let (program, here) = (env!("CARGO_BIN_EXE_sshanchor"), home.join("sshanchor/sshanchor"));
        fs::hard_link(program, &here).or_else(|_| fs::copy(program, &here).map(drop)).unwrap();
        // Names are in no resolver that programs ask by themselves.
        let script = format!("#!/bin/sh\nexec nc 127.0.0.1 {}\n", self.port(1));
        fs::set_permissions(home.write("bin/to-web1", &script), executable()).unwrap();
        // These look for ~/.ssh in the user database, not in HOME.
        let config = home.join(".ssh/config");
        let ssh = home.join("bin/ssh");
        for (name, more) in [
            ("ssh", String::new()),
            ("scp", format!("-S '{}'", ssh.display())),
            ("sftp", format!("-S '{}'", ssh.display())),
        ] {
            let script = format!(
                "#!/bin/sh\nexec '{}' -F '{}' {more} \"$@\"\n",
                peer(name).display(),
                config.display()
            );
            let file = home.write(&format!("bin/{name}"), &script);
            fs::set_permissions(file, executable()).unwrap();
        }
        // Where the hosts are to be found, which DNS would tell.
        let hosts: String = (1..=2)
            .map(|i| {
                let (name, port) = (format!("web{i}.example.com"), self.port(i));
                format!("Host {name}\n    HostName 127.0.0.1\n    HostKeyAlias {name}\n    Port {port}\n")
            })
            .collect();
        let key = home.join(".ssh/id_ed25519");
        let text = format!(
            "{hosts}Host *\n    IdentityFile {}\n    IdentitiesOnly yes\n    BatchMode yes\n",
            key.display()
        );
        home.write(".ssh/config", &text);
    }

    /// The user's home.
    pub fn home(&self) -> String {
        self.home.path().display().to_string()
    }

    /// The hosts' own folder, which has a file in `data` and a git repository.
    pub fn srv(&self) -> String {
        self.home.join("srv").display().to_string()
    }

    /// The port of web1, web2.
    pub fn port(&self, host: usize) -> u16 {
        self.hosts[host - 1].port()
    }

    /// Puts an impostor in the place of web1, web2: same address, same user, other keys.
    pub fn swap(&mut self, host: usize) {
        self.hosts[host - 1].rotate_host_keys();
    }

    /// How often web1, web2 was connected to, so far.
    pub fn connections(&self, host: usize) -> usize {
        self.hosts[host - 1].process.log().matches("remote software version").count()
    }

    /// On how many connections web1, web2 was told a user's name.
    pub fn users_named(&self, host: usize) -> usize {
        self.hosts[host - 1].process.log().matches("attempt 0 failures 0").count()
    }

    /// Leaves it to the relay to find the hosts.
    pub fn find_hosts_by_name(&self) {
        let file = self.home.join(".ssh/config");
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().filter(|line| !line.contains("HostName") && !line.contains("HostKeyAlias"));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(file, text).unwrap();
    }

    /// More for the user's own configuration of ssh.
    pub fn ssh_config(&self, more: &str) {
        let file = self.home.join(".ssh/config");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}{more}\n")).unwrap();
    }

    /// Puts an impostor there, has `work` done, and puts the host back.
    pub fn with_impostor(&mut self, host: usize, work: impl FnOnce(&Fleet)) {
        let files: Vec<PathBuf> = KEYS
            .iter()
            .flat_map(|key| [format!("host_{key}"), format!("host_{key}.pub")])
            .map(|name| self.hosts[host - 1].sandbox.join(&name))
            .collect();
        let genuine: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        self.swap(host);
        work(self);
        files.iter().zip(genuine).for_each(|(file, octets)| fs::write(file, octets).unwrap());
        self.hosts[host - 1].restart();
    }

    /// Runs `line` in a shell of the user, at home.
    pub fn shell(&self, line: &str) -> Finished {
        run(&mut self.command(line), LIMIT)
    }

    /// Each line has a folder of its own to work in, with contrib/ in it.
    fn command(&self, line: &str) -> Command {
        let folder = tempfile::tempdir_in(self.home.path()).unwrap().keep();
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib"), folder.join("contrib")).unwrap();
        let mut shell = Command::new("sh");
        clean(&mut shell, self.home.path());
        for variable in ["SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY", "PYTHONPATH", "PYTHONHOME"] {
            shell.env_remove(variable);
        }
        shell.arg("-c").arg(line).current_dir(folder);
        shell.env("PATH", self.path());
        // Ansible wants UTF-8.
        shell.env("LC_ALL", "C.UTF-8").env("PYTHONDONTWRITEBYTECODE", "1");
        shell.env("SSHANCHOR_RESOLVER", self.tree.addr().to_string());
        shell.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor());
        for host in 1..=2 {
            shell.env(format!("PORT{host}"), self.port(host).to_string());
        }
        shell
    }

    /// The user's own programs, and those of this machine but for another `sshanchor`.
    fn path(&self) -> OsString {
        let venv = venv::program("python").parent().unwrap().to_owned();
        let mut folders = vec![self.home.join("bin"), venv, self.home.join("sshanchor")];
        let path = env::var_os("PATH").unwrap_or_default();
        let others = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        folders.extend(others.filter(|folder| !folder.join("sshanchor").exists()));
        env::join_paths(folders).unwrap()
    }

    /// The line does what it should, and talked to each of `hosts`.
    #[track_caller]
    pub fn works(&self, line: &str, hosts: &[usize]) -> Finished {
        let marks = self.marks();
        let finished = self.shell(line);
        assert_eq!(finished.code, Some(0), "{line}: {finished:#?}");
        for host in hosts {
            let log = self.log(*host, &marks);
            for told in TOLD {
                assert!(log.contains(told), "no {told:?}: {log}");
            }
        }
        finished
    }

    /// The line fails and says why; the impostor in the place of `host` was met, and learned nothing: the client
    /// never finished the key exchange, so that no request for a service, let alone a user's name, was sent.
    #[track_caller]
    pub fn is_stopped(&self, line: &str, host: usize, says: &str) -> Finished {
        let marks = self.marks();
        let finished = self.shell(line);
        assert_ne!(finished.code, Some(0), "{line}: {finished:#?}");
        let screen = format!("{}{}", finished.stdout, finished.stderr);
        assert!(screen.contains(says), "{says:?} is not on the screen: {finished:#?}");
        let met = |log: &str| log.matches("remote software version").count();
        assert!(wait_until(LIMIT, || met(&self.log(host, &marks)) > 0), "{}", self.log(host, &marks));
        let over = || {
            let log = self.log(host, &marks);
            let ends = ["Connection closed by", "Connection reset by", "Received disconnect"];
            ends.iter().map(|end| log.matches(end).count()).sum::<usize>() >= met(&log)
        };
        assert!(wait_until(LIMIT, over), "{}", self.log(host, &marks));
        self.nobody_named(host, &marks);
        finished
    }

    /// Without `sshanchor` on this machine the line fails too, and nobody is told anything.
    #[track_caller]
    pub fn fails_without_sshanchor(&self, line: &str, hosts: &[usize]) {
        let marks = self.marks();
        let (here, gone) = (self.home.join("sshanchor"), self.home.join("gone"));
        fs::rename(&here, &gone).unwrap();
        let finished = self.shell(line);
        fs::rename(&gone, &here).unwrap();
        assert_ne!(finished.code, Some(0), "{line}: {finished:#?}");
        hosts.iter().for_each(|&host| self.nobody_named(host, &marks));
    }

    /// All three, for a line that talks to `hosts`, each of which is an impostor once.
    #[track_caller]
    pub fn lets_only_the_proven_in(mut self, line: &str, hosts: &[usize], says: &str) {
        self.works(line, hosts);
        self.part();
        self.fails_without_sshanchor(line, hosts);
        for &host in hosts {
            self.with_impostor(host, |fleet| drop(fleet.is_stopped(line, host, says)));
            self.part();
        }
    }

    /// Ends the connections that ControlPersist keeps: they were verified once, and ask nothing.
    pub fn part(&self) {
        for folder in [".ansible/cp", ".ssh"] {
            for entry in fs::read_dir(self.home.join(folder)).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                    let mut end = command("ssh");
                    end.args(["-F", "none", "-O", "exit", "-S"]).arg(entry.path()).arg("any");
                    run(&mut end, LIMIT);
                }
            }
        }
    }

    #[track_caller]
    fn nobody_named(&self, host: usize, marks: &[usize]) {
        let log = self.log(host, marks);
        for told in TOLD {
            assert!(!log.contains(told), "{told}: {log}");
        }
    }

    fn marks(&self) -> Vec<usize> {
        self.hosts.iter().map(Sshd::mark).collect()
    }

    fn log(&self, host: usize, marks: &[usize]) -> String {
        self.hosts[host - 1].process.log()[marks[host - 1]..].to_owned()
    }
}

fn executable() -> fs::Permissions {
    fs::Permissions::from_mode(0o755)
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.part();
    }
}
