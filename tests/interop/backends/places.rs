//! The four backends as the table sees them: how they are reached, how somebody else changes their records, how they
//! fail.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::crooks::{STUBBORN, babbler, changer, dripper};
use crate::interop::primary::{Primary, private};
use crate::support::inline::InlineTree;
use crate::support::named::TsigKey;
use crate::support::pdns::PdnsTree;
use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::unbound::Unbound;
use crate::support::{Sandbox, Tree, run_ok};

pub const ZONE: &str = "example.test";

pub enum Place {
    Rfc2136(Box<Primary>),
    PowerDns(Box<PdnsTree>),
    ZoneFile(Box<InlineTree>),
    /// contrib/exec/route53, with an aws in front of named.
    Exec(Box<Tree>),
}

impl Place {
    pub fn bind() -> Place {
        Place::Rfc2136(Box::new(Primary::bind()))
    }

    pub fn knot() -> Place {
        Place::Rfc2136(Box::new(Primary::knot()))
    }

    pub fn powerdns() -> Place {
        Place::PowerDns(Box::new(PdnsTree::start()))
    }

    pub fn zone_file() -> Place {
        Place::ZoneFile(Box::new(InlineTree::bind()))
    }

    pub fn nsd() -> Place {
        Place::ZoneFile(Box::new(InlineTree::nsd()))
    }

    pub fn exec() -> Place {
        Place::Exec(Box::new(Tree::start()))
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Place::Rfc2136(_) => "rfc2136",
            Place::PowerDns(_) => "powerdns",
            Place::ZoneFile(_) => "zone-file",
            Place::Exec(_) => "exec",
        }
    }

    pub fn tree(&self) -> &Tree {
        match self {
            Place::Rfc2136(primary) => primary.tree(),
            Place::PowerDns(pdns) => &pdns.tree,
            Place::ZoneFile(inline) => &inline.tree,
            Place::Exec(tree) => tree,
        }
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.tree().sandbox
    }

    /// The name server that shows the records.
    pub fn addr(&self) -> SocketAddr {
        match self {
            Place::Rfc2136(primary) => primary.addr(),
            Place::PowerDns(pdns) => pdns.addr(),
            Place::ZoneFile(inline) => inline.addr(),
            Place::Exec(tree) => tree.addr(),
        }
    }

    /// The options that lead there.
    pub fn options(&self) -> Vec<String> {
        match self {
            Place::Rfc2136(primary) => {
                options(&["--server", &primary.addr().to_string(), "--key-file"], &primary.tsig("zone"))
            }
            Place::PowerDns(pdns) => {
                options(&["--powerdns", &pdns.url(), "--api-key-file"], &pdns.key_file())
            }
            Place::ZoneFile(inline) => {
                let reload = ["--zone", ZONE, "--reload", &inline.reload(), "--zone-file"];
                options(&reload, &inline.part())
            }
            Place::Exec(_) => vec!["--zone".into(), ZONE.into(), "--exec".into(), route53()],
        }
    }

    /// `sshanchor COMMAND` with `options` in place of its own; the aws is that of [`Place::Exec`] with this TSIG key.
    pub fn command(&self, command: &str, options: &[String], key: &str) -> Command {
        let mut sshanchor = self.sandbox().sshanchor();
        sshanchor.arg(command).args(options).args(["--check-server", &self.addr().to_string()]);
        self.equip(&mut sshanchor, key);
        sshanchor
    }

    /// Gives `command` what the program of [`Place::Exec`] finds in its environment.
    pub fn equip(&self, command: &mut Command, key: &str) {
        if let Place::Exec(tree) = self {
            let addr = tree.addr();
            let (server, port) = (addr.ip().to_string(), addr.port().to_string());
            let test = serde_json::json!({
                "server": server, "port": port, "key": tree.tsig(key), "zone": format!("{ZONE}."),
            });
            // Should a real one ever run, it is not to ask anybody for credentials.
            command.env("AWS_EC2_METADATA_DISABLED", "true");
            command.env("AWS_TEST", test.to_string());
        }
    }

    /// The same place as the table `[publish]` of a configuration has it.
    pub fn configuration(&self) -> String {
        let options = self.options();
        let line = |pair: &[String]| {
            let key = pair[0].trim_start_matches('-').replace('-', "_");
            format!("{key} = {:?}\n", pair[1])
        };
        options.chunks(2).map(line).collect()
    }

    /// Somebody else adds a record.
    pub fn add(&self, owner: &str, ttl: u32, record: &str) {
        match self {
            Place::Rfc2136(primary) => primary.update(&format!("update add {owner} {ttl} SSHFP {record}")),
            Place::Exec(tree) => tree.update(&format!("update add {owner} {ttl} SSHFP {record}")),
            Place::PowerDns(pdns) => {
                let host = owner.strip_suffix(".example.test").unwrap();
                run_ok(pdns.util().args(["add-record", ZONE, host, "SSHFP", &ttl.to_string(), record]));
            }
            Place::ZoneFile(inline) => {
                let mut text = std::fs::read_to_string(inline.part()).unwrap();
                if text.is_empty() {
                    text = format!(
                        "; sshanchor 1 zone {ZONE}: written by sshanchor alone, and included by the zone file\n"
                    );
                }
                text += &format!("{owner}.\t{ttl}\tIN\tSSHFP\t{record}\n");
                load(inline, &text);
            }
        }
    }

    /// Somebody else takes all records away.
    pub fn remove(&self, owner: &str) {
        match self {
            Place::Rfc2136(primary) => primary.update(&format!("update delete {owner} SSHFP")),
            Place::Exec(tree) => tree.update(&format!("zone {ZONE}\nupdate delete {owner} SSHFP")),
            Place::PowerDns(pdns) => {
                let host = owner.strip_suffix(".example.test").unwrap();
                run_ok(pdns.util().args(["delete-rrset", ZONE, host, "SSHFP"]));
            }
            Place::ZoneFile(inline) => {
                let text = std::fs::read_to_string(inline.part()).unwrap();
                let is_other = |line: &&str| !line.starts_with(&format!("{owner}."));
                load(
                    inline,
                    &text.lines().filter(is_other).map(|line| format!("{line}\n")).collect::<String>(),
                );
            }
        }
    }

    /// What clients ask.
    pub fn resolver(&self) -> SocketAddr {
        self.unbound().map_or_else(|| self.tree().addr(), Unbound::addr)
    }

    /// What stands at `owner`, once it is `expected`; a server that loads a file takes its time.
    pub fn shows(&self, owner: &str, expected: &[String]) -> (Vec<String>, Option<u32>) {
        let look = || crate::interop::primary::records_at(self.addr(), owner);
        wait_until(Duration::from_secs(10), || look().0 == expected);
        look()
    }

    pub fn unbound(&self) -> Option<&Unbound> {
        match self {
            Place::Rfc2136(primary) => match primary.as_ref() {
                Primary::Knot(knot) => Some(&knot.unbound),
                Primary::Bind(_) => None,
            },
            Place::PowerDns(pdns) => Some(&pdns.unbound),
            Place::ZoneFile(inline) => Some(&inline.unbound),
            Place::Exec(_) => None,
        }
    }

    /// Ends the server.
    pub fn kill(&mut self) {
        match self {
            Place::Rfc2136(primary) => match primary.as_mut() {
                Primary::Bind(tree) => tree.named.process.kill(),
                Primary::Knot(knot) => knot.knot.kill(),
            },
            Place::PowerDns(pdns) => pdns.pdns.kill(),
            Place::ZoneFile(inline) => inline.server.kill(),
            Place::Exec(tree) => tree.named.process.kill(),
        }
    }

    /// What is told once it is ended.
    pub fn down(&self) -> &'static str {
        match self {
            Place::Rfc2136(_) | Place::PowerDns(_) => "connection-refused",
            Place::ZoneFile(_) => "reload",
            Place::Exec(_) => "program",
        }
    }

    /// Options (and the TSIG key of aws) with which a change is refused, and the reason that is told.
    pub fn refused(&self) -> Vec<(Vec<String>, &'static str, &'static str)> {
        let with = |place: usize, value: String| {
            let mut options = self.options();
            options[place] = value;
            options
        };
        match self {
            Place::Rfc2136(primary) => {
                let reason = if matches!(**primary, Primary::Knot(_)) { "badkey" } else { "refused" };
                let nobody = TsigKey::new("nobody", "hmac-sha256", None).statement();
                let nobody = private(self.sandbox().write("nobody", &nobody)).display().to_string();
                vec![
                    (with(3, primary.tsig("web2").display().to_string()), "zone", reason),
                    (with(3, nobody), "zone", "badkey"),
                ]
            }
            Place::PowerDns(_) => {
                let other = private(self.sandbox().write("other.key", "not-the-key\n"));
                let mut elsewhere = self.options();
                elsewhere.extend(["--server-id".to_owned(), "elsewhere".to_owned()]);
                vec![
                    (with(3, other.display().to_string()), "zone", "api-key"),
                    (elsewhere, "zone", "no-zone"),
                ]
            }
            Place::ZoneFile(_) => {
                let exposed = self.sandbox().write("inline/exposed", "");
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o666)).unwrap();
                vec![(with(5, exposed.display().to_string()), "zone", "zone-file")]
            }
            Place::Exec(_) => vec![(self.options(), "web2", "refused")],
        }
    }

    /// Options with which something is wrong on the way there, and the reasons that may be told.
    pub fn spoilt(&self) -> Vec<(Vec<String>, &'static [&'static str])> {
        let with = |place: usize, value: String| {
            let mut options = self.options();
            options[place] = value;
            options
        };
        match self {
            Place::Rfc2136(_) => vec![(
                with(1, babbler(b"\x00\x01x").to_string()),
                &["connection-refused", "unreachable", "timeout"],
            )],
            Place::PowerDns(_) => {
                let page = |head: &str, body: &str| {
                    let text = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}");
                    with(1, format!("http://{}", babbler(text.as_bytes())))
                };
                let rrset = |ttl: &str, content: &str| {
                    page(
                        "200 OK",
                        &format!(
                            "{{\"name\":\"example.test.\",\"rrsets\":[{{\"name\":\"r1.example.test.\",\"type\":\"SSHFP\",\"ttl\":{ttl},\
                         \"records\":[{{\"content\":\"{content}\",\"disabled\":false}}]}}]}}"
                        ),
                    )
                };
                let mut all: Vec<(Vec<String>, &'static [&'static str])> = vec![
                    (page("200 OK", "no JSON"), &["malformed-answer"]),
                    (page("200 OK", "{\"name\":\"other.test.\",\"rrsets\":[]}"), &["malformed-answer"]),
                    (rrset("-1", "4 2 aa"), &["malformed-answer"]),
                    (rrset("4294967296", "4 2 aa"), &["malformed-answer"]),
                    (rrset("60", "4 2 zz"), &["malformed-answer"]),
                    (page("200 OK", &" ".repeat(2_000_000)), &["too-large"]),
                    (page("302 Found\r\nLocation: http://127.0.0.1:9/", ""), &["malformed-answer"]),
                    (page("500 Oops", "{\"error\":\"\\u001b[31moops\"}"), &["server-failure"]),
                    (
                        with(1, format!("http://{}", babbler(b"SSH-2.0-x\r\n"))),
                        &["malformed-answer", "unreachable"],
                    ),
                    (with(1, format!("https://{}", babbler(b"SSH-2.0-x\r\n"))), &["tls", "unreachable"]),
                    // It takes every change, and shows none.
                    (
                        page("200 OK", "{\"name\":\"example.test.\",\"rrsets\":[]}"),
                        &["not-converged", "timeout"],
                    ),
                    (page("200 OK\r\nContent-Length: 9999", "{"), &["unreachable"]),
                    (
                        page("200 OK\r\nTransfer-Encoding: chunked", "zz\r\n"),
                        &["malformed-answer", "unreachable"],
                    ),
                    (with(1, format!("http://{}", dripper(b"HTTP/1.1 200 OK\r\nX: "))), &["timeout"]),
                    (
                        with(1, format!("http://{}", dripper(b"HTTP/1.1 200 OK\r\n\r\n{\"name\":\""))),
                        &["timeout"],
                    ),
                    (with(1, format!("http://{}", Port::free().addr())), &["connection-refused"]),
                ];
                // Each of them is asked for this very zone: who has it is not asked first.
                all.iter_mut()
                    .for_each(|(options, _)| options.extend(["--zone".to_owned(), ZONE.to_owned()]));
                all
            }
            Place::ZoneFile(inline) => {
                let zone = inline.tree.sandbox.join("inline/example.test.zone");
                let endless = "sh -c 'while :; do sleep 0.1; done'".to_owned();
                vec![
                    (with(3, "sh -c 'echo no >&2; exit 3'".into()), &["reload"]),
                    (with(3, "/nowhere/reload".into()), &["reload"]),
                    (with(3, endless), &["reload"]),
                    (with(3, format!("sh -c {STUBBORN:?}")), &["reload"]),
                    (with(3, "yes".into()), &["reload"]),
                    (with(3, "sh -c 'kill -9 $$'".into()), &["reload"]),
                    // The operator's own file, by mistake.
                    (with(5, zone.display().to_string()), &["zone-file"]),
                    (with(5, "/nowhere/part".into()), &["zone-file"]),
                ]
            }
            Place::Exec(_) => {
                let says = |text: &str| with(3, shlex::try_join(["echo", text]).unwrap());
                vec![
                    (with(3, "false".into()), &["program"]),
                    (with(3, "/nowhere/program".into()), &["program"]),
                    (with(3, "yes".into()), &["program"]),
                    (with(3, "sh -c 'while :; do sleep 0.1; done'".into()), &["timeout"]),
                    (with(3, format!("sh -c {STUBBORN:?}")), &["timeout"]),
                    (with(3, "sh -c 'yes >&2'".into()), &["timeout"]),
                    (with(3, "sh -c 'kill -9 $$'".into()), &["program"]),
                    (says("{\"version\":1,\"compare_and_sw"), &["malformed-answer"]),
                    // It can do all and shows what is asked for, up to the change.
                    (with(3, changer("sleep 60")), &["timeout"]),
                    (with(3, changer("exit 3")), &["program"]),
                    (with(3, changer("echo")), &["malformed-answer"]),
                    (
                        with(3, changer("echo '{\"version\":1,\"outcome\":\"perhaps\"}'")),
                        &["malformed-answer"],
                    ),
                    (
                        with(
                            3,
                            changer(
                                "echo '{\"version\":1,\"outcome\":\"failed\",\"message\":\"\\u001b[31m\"}'",
                            ),
                        ),
                        &["update-failed"],
                    ),
                    (
                        with(3, changer("echo '{\"version\":1,\"outcome\":\"done\"}'")),
                        &["not-converged", "timeout"],
                    ),
                    (says(""), &["malformed-answer"]),
                    (says("{\"version\":2,\"compare_and_swap\":true,\"batch\":1}"), &["malformed-answer"]),
                    (says("{\"version\":1,\"compare_and_swap\":true,\"batch\":0}"), &["malformed-answer"]),
                    (
                        says("{\"version\":1,\"compare_and_swap\":true,\"batch\":1,\"more\":1}"),
                        &["malformed-answer"],
                    ),
                    (says("{\"version\":1,\"compare_and_swap\":true,\"batch\":1}"), &["malformed-answer"]),
                ]
            }
        }
    }
}

/// Puts `text` into the included part, and has it loaded.
fn load(inline: &InlineTree, text: &str) {
    std::fs::write(inline.part(), text).unwrap();
    let words = shlex::split(&inline.reload().replace("%z", ZONE)).unwrap();
    run_ok(Command::new(&words[0]).args(&words[1..]));
}

fn options(words: &[&str], file: &std::path::Path) -> Vec<String> {
    let words = words.iter().map(|word| (*word).to_owned());
    words.chain([file.display().to_string()]).collect()
}

/// The program, with an aws of ours by its path: whatever aws this machine has must never run.
fn route53() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let program = format!("{root}/contrib/exec/route53");
    shlex::try_join(["/usr/bin/python3", &program, "--aws", &format!("{root}/tests/interop/backends/aws")])
        .unwrap()
}
