//! A host whose keys are published in a signed zone, with a TTL of a second or so, and an sshd that can be reloaded.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::interop::primary::{HOST, LIMIT, Primary, record, sorted};
use crate::support::process::{run_ok, wait_until};
use crate::support::sshd::Sshd;
use crate::support::{Finished, run};

pub struct Place {
    pub primary: Primary,
    pub sshd: Sshd,
    types: Vec<String>,
    /// What stands in the place of the primary, and in front of it.
    pub relay: Option<SocketAddr>,
    /// Behind those of the zone's NS records, for none of them is on port 53.
    pub check_servers: Vec<String>,
}

impl Place {
    /// With host keys of `types`, published with this TTL.
    pub fn new(types: &[&str], ttl: u32) -> Place {
        Place::with(types, ttl, "")
    }

    /// The same with more lines of sshd_config.
    pub fn with(types: &[&str], ttl: u32, extra: &str) -> Place {
        let (primary, mut sshd) = (Primary::bind(), Sshd::start(types));
        fs::create_dir(sshd.sandbox.join("d")).unwrap();
        let folder = sshd.sandbox.path().display();
        sshd.configure(&format!(
            "Include {folder}/d/*.conf\nPidFile {folder}/pid\nLoginGraceTime 2\n{extra}"
        ));
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        let check_servers = vec![primary.addr().to_string()];
        let place = Place { primary, sshd, types, relay: None, check_servers };
        place.has_left_its_pid();
        place.publish(&["--ttl", &ttl.to_string()]);
        place
    }

    pub fn has_left_its_pid(&self) {
        let pid = || fs::read_to_string(self.sshd.sandbox.join("pid")).is_ok_and(|text| text.ends_with('\n'));
        assert!(wait_until(Duration::from_secs(10), pid));
    }

    pub fn publish(&self, more: &[&str]) {
        let mut publish = self.command("publish");
        for key in self.sshd.host_keys() {
            publish.arg("--host-key").arg(key);
        }
        run_ok(publish.args(more));
    }

    /// `sshanchor COMMAND` for this host at this primary.
    pub fn command(&self, name: &str) -> Command {
        let mut made = self.primary.tree().sshanchor(self.primary.addr());
        let server = self.relay.unwrap_or(self.primary.addr()).to_string();
        made.args([name, "--name", HOST, "--server", &server, "--key-file"]);
        made.arg(self.primary.tsig("web1")).arg("--state").arg(self.primary.sandbox().join("state"));
        for server in &self.check_servers {
            made.args(["--check-server", server]);
        }
        made
    }

    /// `rotate --json` with these arguments.
    pub fn rotate_command(&self, arguments: &[&str]) -> Command {
        let mut made = self.command("rotate");
        made.arg("--json").arg("--sshd-config").arg(self.sshd.sandbox.join("sshd_config")).args(arguments);
        made
    }

    pub fn rotate(&self, arguments: &[&str]) -> Finished {
        run(&mut self.rotate_command(arguments), LIMIT)
    }

    /// The same, and its last line.
    #[track_caller]
    pub fn rotates(&self, arguments: &[&str], code: i32, status: &str) -> Value {
        let finished = self.rotate(arguments);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let told = finished.json_lines().pop().unwrap();
        assert_eq!(told["status"], status, "{finished:#?}");
        told
    }

    /// Again and again, until it is there.
    #[track_caller]
    pub fn rotates_until(&self, arguments: &[&str], code: i32, status: &str) -> Value {
        let mut last = self.rotate(arguments);
        wait_until(Duration::from_secs(60), || {
            let is_there = last.json_lines().pop().is_some_and(|told| told["status"] == status);
            if !is_there {
                sleep(Duration::from_millis(100));
                last = self.rotate(arguments);
            }
            is_there
        });
        assert_eq!(last.code, Some(code), "{last:#?}");
        last.json_lines().pop().unwrap()
    }

    /// The record of the key on disk.
    pub fn record(&self, name: &str) -> String {
        record(&self.sshd.host_key(name))
    }

    pub fn in_dns(&self) -> Vec<String> {
        self.primary.records(HOST).0
    }

    /// DNS holds the records of sshd's keys, and nothing else.
    #[track_caller]
    pub fn dns_is_as_disk(&self) {
        let records: Vec<String> = self.types.iter().map(|name| self.record(name)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        assert_eq!(self.in_dns(), sorted(&records));
    }

    /// Files of sshd's folder whose names hold `sshanchor`, and the drop-in.
    pub fn left_over(&self) -> Vec<String> {
        let names = |folder: PathBuf| {
            let entries =
                fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            entries.filter(|name| name.contains("sshanchor")).collect::<Vec<_>>()
        };
        let mut left = names(self.sshd.sandbox.path().to_owned());
        left.extend(names(self.sshd.sandbox.join("d")));
        left.sort();
        left
    }

    /// The types that sshd offers to a client, as ssh-keyscan finds them.
    pub fn offered(&self) -> Vec<String> {
        offered_at(self.sshd.addr())
    }

    /// Each key that sshd shows now is the only one of its algorithm in DNS, as OpenSSH wants it.
    #[track_caller]
    pub fn every_client_accepts(&self, at: &str) {
        let mut scan = crate::support::peer::command("ssh-keyscan");
        let port = self.sshd.port().to_string();
        let found = run(scan.args(["-D", "-p", &port, "-t", "rsa,ecdsa,ed25519", "127.0.0.1"]), LIMIT).stdout;
        let in_dns = self.in_dns();
        let shown: Vec<&str> = found
            .lines()
            .filter(|line| line.split(' ').nth(4) == Some("2"))
            .filter_map(|line| Some(line.split_once(" SSHFP ")?.1))
            .collect();
        assert!(!shown.is_empty(), "{at}: {found}");
        for record in shown {
            let algorithm = &record[..2];
            let of_algorithm: Vec<&String> =
                in_dns.iter().filter(|other| other.starts_with(algorithm)).collect();
            assert_eq!(of_algorithm, [record], "{at}");
        }
    }

    /// The verdict of `sshanchor verify`, each of the types asked for by itself.
    pub fn verdict(&self) -> Value {
        let mut verify = self.primary.tree().sshanchor(self.primary.addr());
        verify.args(["verify", "--json", &format!("{HOST}:{}", self.sshd.port())]);
        run(&mut verify, LIMIT).json()
    }
}

/// The types that the sshd there offers to a client, as ssh-keyscan finds them.
pub fn offered_at(address: std::net::SocketAddr) -> Vec<String> {
    let mut scan = crate::support::peer::command("ssh-keyscan");
    let port = address.port().to_string();
    let found = run(scan.args(["-p", &port, "-t", "rsa,ecdsa,ed25519", "127.0.0.1"]), LIMIT).stdout;
    let mut types: Vec<String> =
        found.lines().filter_map(|line| Some(line.split(' ').nth(1)?.to_owned())).collect();
    types.sort();
    types
}
