//! The table of certificates: a row is a certificate that a server shows, the verdicts of `verify`, of `proxy` with
//! ssh at its end and of `known-hosts`, and ssh's own where its known_hosts names the same CAs for all hosts
//! (`@cert-authority *`). Wherever these differ there is the reason.

mod by_hand;
mod by_keygen;

use std::path::Path;
use std::sync::Mutex;
use std::thread;

use super::*;
use crate::support::certificate::{Draft, SUFFIX, blob_in, line, private, public};
use crate::support::handmade::{self, Lies, keypair, string};
use crate::support::peer::command;
use crate::support::sshd::{Sshd, keygen};
use crate::support::{Finished, Sandbox, Tree, run, run_ok};

/// Who shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// sshd with a fresh key of this type.
    Sshd(&'static str),
    /// sshd with the key that is revoked.
    Revoked,
    /// A server made by hand, which shows whatever octets and signs with the key that is in most of them: what sshd
    /// does not load.
    Hand,
}

/// How it is made.
#[derive(Clone, Copy)]
enum Made {
    /// By `ssh-keygen -s CA`, with these arguments.
    Keygen(&'static str, &'static [&'static str]),
    /// By hand, and signed by the CA of this name.
    Hand(&'static str, fn(Draft, &Cas) -> Vec<u8>),
}

struct Row {
    name: &'static str,
    server: Server,
    made: Made,
    /// As it is typed.
    asked: &'static str,
    /// Why `sshanchor` refuses; empty if it accepts.
    ours: &'static str,
    /// `verify`'s where it is another one: it has seen the signature of the exchange.
    verify: Option<&'static str>,
    /// ssh accepts.
    ssh: bool,
    /// Why ssh and `sshanchor` differ; empty if they do not.
    why: &'static str,
}

fn row(name: &'static str, server: Server, made: Made, ours: &'static str, ssh: bool) -> Row {
    Row { name, server, made, asked: HOST, ours, verify: None, ssh, why: "" }
}

impl Row {
    fn why(self, why: &'static str) -> Row {
        Row { why, ..self }
    }

    fn asked(self, asked: &'static str) -> Row {
        Row { asked, ..self }
    }

    fn verify(self, verify: &'static str) -> Row {
        Row { verify: Some(verify), ..self }
    }
}

/// The CAs' keys: files by their names.
struct Cas(Sandbox);

/// Those that are in the CA set, with ssh-keygen's arguments.
const PUBLISHED: [(&str, &[&str]); 9] = [
    ("ed25519", &["-t", "ed25519"]),
    ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
    ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
    ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
    ("rsa2048", &["-t", "rsa", "-b", "2048"]),
    ("rsa3072", &["-t", "rsa", "-b", "3072"]),
    ("rsa1024", &["-t", "rsa", "-b", "1024"]),
    ("rsa2047", &["-t", "rsa", "-b", "2047"]),
    ("revoked", &["-t", "ed25519"]),
];

impl Cas {
    fn new() -> Cas {
        let cas = Cas(Sandbox::new());
        thread::scope(|scope| {
            for (name, arguments) in PUBLISHED.into_iter().chain([("stranger", &["-t", "ed25519"][..])]) {
                let file = cas.0.join(name);
                scope.spawn(move || keygen(arguments, &file));
            }
        });
        cas
    }

    fn key(&self, name: &str) -> ssh_key::PrivateKey {
        private(&self.0.join(name))
    }

    fn public(&self, name: &str) -> Vec<u8> {
        public(&self.0.join(&format!("{name}.pub")))
    }

    /// The blob of a security key's CA (PROTOCOL.u2f).
    fn security_key() -> Vec<u8> {
        let point = ring::signature::KeyPair::public_key(&keypair(9)).as_ref().to_vec();
        [string(b"sk-ssh-ed25519@openssh.com"), string(&point), string(b"ssh:")].concat()
    }

    /// The blob of an RSA CA whose modulus has one more zero octet before it than it needs.
    fn padded(&self) -> Vec<u8> {
        let blob = self.public("rsa2048");
        let (exponent, modulus) = rsa_fields(&blob);
        [string(b"ssh-rsa"), string(exponent), string(&[&[0], modulus].concat())].concat()
    }
}

fn rsa_fields(blob: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = sshanchor::proto::wire::Reader::new(blob);
    reader.string().unwrap();
    (reader.string().unwrap(), reader.string().unwrap())
}

fn by_security_key(octets: &[u8]) -> Vec<u8> {
    let digest = |octets: &[u8]| ring::digest::digest(&ring::digest::SHA256, octets).as_ref().to_vec();
    let (flags, counter) = ([1], [0, 0, 0, 5]);
    let signed = [digest(b"ssh:"), flags.to_vec(), counter.to_vec(), digest(octets)].concat();
    let signature = keypair(9).sign(&signed);
    [string(b"sk-ssh-ed25519@openssh.com"), string(signature.as_ref()), flags.to_vec(), counter.to_vec()]
        .concat()
}

/// What a row is held against.
struct World {
    cas: Cas,
    revoked: Mutex<Option<Sshd>>,
    tree: Tree,
    known_hosts: PathBuf,
    pass: PathBuf,
}

impl World {
    fn start() -> World {
        let (cas, revoked) = (Cas::new(), Sshd::start(&["ed25519"]));
        let mut keys: Vec<Vec<u8>> = PUBLISHED.iter().map(|(name, _)| cas.public(name)).collect();
        keys.extend([Cas::security_key(), cas.padded()]);
        let plan =
            with_ca(Tree::plan(), "example.test.", &keys.iter().map(|key| &key[..]).collect::<Vec<_>>());
        let gone = [cas.public("revoked"), public(&revoked.host_key("ed25519"))];
        let plan = gone.iter().fold(plan, |plan, key| {
            plan.record(&format!("_revoked._ssh.example.test. SSHFP {}", record_of(key)))
        });
        let tree = plan.start();
        let lines: String = keys.iter().map(|key| format!("@cert-authority * {}\n", line(key))).collect();
        let known_hosts = cas.0.write("known_hosts", &lines);
        let pass = cas.0.write("pass.toml", "version = 1\n[[host]]\nmatch = \"*\"\nmode = \"pass\"\n");
        World { cas, revoked: Mutex::new(Some(revoked)), tree, known_hosts, pass }
    }

    /// ssh to whoever listens at `server`, by `sshanchor proxy` under this configuration.
    fn ssh(
        &self,
        row: &Row,
        server: SocketAddr,
        config: &Path,
        options: &[&str],
        identity: Option<&Sshd>,
    ) -> Finished {
        let mut ssh = command("ssh");
        clean(&mut ssh, self.tree.sandbox.path());
        ssh.env("SSHANCHOR_RESOLVER", self.tree.addr().to_string()).env("SSHANCHOR_CACHE", "off");
        ssh.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor()).env("SSHANCHOR_CONFIG", config);
        ssh.args(["-F", "none", "-T", "-v", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]);
        match identity {
            Some(sshd) => ssh.arg("-i").arg(sshd.sandbox.join("user")),
            None => ssh.args(["-i", "none"]),
        };
        let proxy = format!("ProxyCommand='{}' --json proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        ssh.args(["-o", &proxy, "-o", "GlobalKnownHostsFile=none", "-o", "VerifyHostKeyDNS=no"])
            .args(options);
        ssh.arg("-p").arg(server.port().to_string());
        run(ssh.args([row.asked, "echo", "hello from $((6*7))"]), LIMIT)
    }

    /// What is wrong with the row, if anything is.
    fn check(&self, row: &Row) -> Result<(), String> {
        let mut sshd = match row.server {
            Server::Sshd(name) => Some((Sshd::start(&[name]), name)),
            Server::Revoked => self.revoked.lock().unwrap().take().map(|sshd| (sshd, "ed25519")),
            Server::Hand => None,
        };
        let key = match &sshd {
            Some((sshd, name)) => public(&sshd.host_key(name)),
            None => handmade::blob(&keypair(1)),
        };
        let certificate = match row.made {
            Made::Keygen(ca, arguments) => {
                let (sshd, name) = sshd.as_ref().unwrap();
                let mut keygen = command("ssh-keygen");
                keygen.args(["-q", "-h", "-I", "test", "-s"]).arg(self.cas.0.join(ca)).args(arguments);
                run_ok(keygen.arg(sshd.host_key(name)));
                blob_in(&sshd.sandbox.join(&format!("host_{name}-cert.pub")))
            }
            Made::Hand(ca, make) => make(Draft::of(&key, HOST, &self.cas.key(ca)), &self.cas),
        };
        let server = match &mut sshd {
            Some((sshd, name)) => {
                let file = sshd.sandbox.write("shown-cert.pub", &line(&certificate));
                sshd.configure(&format!("HostCertificate {}\nRequiredRSASize 1024", file.display()));
                if sshd.process.log().contains("Could not load host certificate") {
                    return Err(format!("sshd does not load it: {name}"));
                }
                sshd.addr()
            }
            None => handmade::start_for_many(Lies {
                shown: Some(certificate.clone()),
                offered: Some("ssh-ed25519-cert-v01@openssh.com"),
                ..Lies::default()
            }),
        };
        let sshd = sshd.map(|(sshd, _)| sshd);
        let mut wrong = Vec::new();
        let mut is = |whose: &str, got: &str, wanted: &str, finished: &Finished| {
            if got != wanted {
                wrong.push(format!("{whose}: {got:?}, not {wanted:?}: {finished:#?}"));
            }
        };
        // verify
        let mut verify = self.tree.sshanchor(self.tree.addr());
        let name = row.asked.trim_end_matches('.');
        let finished = run(verify.args(["--json", "verify", &format!("{name}:{}", server.port())]), LIMIT);
        let told = finished.json_lines().pop().unwrap_or_default();
        let reason = told["reason"].as_str().unwrap_or_default();
        is("verify", reason, row.verify.unwrap_or(row.ours), &finished);
        let accepts = told["verdict"] == "accept" && finished.code == Some(0);
        is("verify", &accepts.to_string(), &reason.is_empty().to_string(), &finished);
        // The same for people, whose terminal is not to obey the certificate.
        if row.name.contains("controls") {
            let mut verify = self.tree.sshanchor(self.tree.addr());
            let shown = run(verify.args(["-v", "verify", &format!("{name}:{}", server.port())]), LIMIT);
            let all = shown.stdout + &shown.stderr;
            is(
                "verify, octets for a terminal",
                &all.contains(['\x1b', '\x07']).to_string(),
                "false",
                &finished,
            );
        }
        // known-hosts
        let shown = line(&certificate);
        let (kind, base64) = shown.split_once(' ').unwrap();
        let mut called = self.tree.sshanchor(self.tree.addr());
        let finished = run(called.args(["--json", "known-hosts", "HOSTNAME", name, kind, base64]), LIMIT);
        let (reason, marked) = (refusal(&finished), finished.stdout.starts_with("@cert-authority "));
        is("known-hosts", &reason, row.ours, &finished);
        is("known-hosts", &marked.to_string(), &row.ours.is_empty().to_string(), &finished);
        // proxy, and an ssh that believes everything
        let believing = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
        let finished = self.ssh(row, server, Path::new("none"), &believing, sshd.as_ref());
        let (reason, newkeys) = (refusal(&finished), went_on(&finished));
        is("proxy", &reason, row.ours, &finished);
        is("proxy, octets for a terminal", &finished.stderr.contains('\x1b').to_string(), "false", &finished);
        // What ssh cannot read it does not believe either.
        let wanted = row.ours.is_empty() && row.verify.is_none();
        is("ssh through proxy", &newkeys.to_string(), &wanted.to_string(), &finished);
        // ssh by itself
        let file = format!("UserKnownHostsFile={}", self.known_hosts.display());
        let strict = ["-o", "StrictHostKeyChecking=yes", "-o", &file];
        let finished = self.ssh(row, server, &self.pass, &strict, sshd.as_ref());
        is("ssh", &went_on(&finished).to_string(), &row.ssh.to_string(), &finished);
        if !finished.stderr.contains(SUFFIX) {
            wrong.push(format!("no certificate was agreed upon: {finished:#?}"));
        }
        if row.ssh && sshd.is_some() && finished.stdout != "hello from 42\n" {
            wrong.push(format!("ssh does not get in: {finished:#?}"));
        }
        if (row.ours.is_empty() == row.ssh) != row.why.is_empty() {
            wrong.push("a reason where both agree, or none where they do not".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

/// The reason in the object on standard error, among ssh's own words; empty if there is none.
fn refusal(finished: &Finished) -> String {
    let objects = finished.stderr.lines().filter(|line| line.starts_with('{'));
    let mut reasons = objects.filter_map(|line| {
        serde_json::from_str::<serde_json::Value>(line).ok()?["reason"].as_str().map(str::to_owned)
    });
    reasons.next_back().unwrap_or_default()
}

/// ssh has accepted the host's key: only then it sends its NEWKEYS.
fn went_on(finished: &Finished) -> bool {
    finished.stderr.contains("SSH2_MSG_NEWKEYS sent")
}

#[test]
fn every_certificate_is_judged_as_the_table_says() {
    let world = World::start();
    let rows: Vec<Row> = by_keygen::rows().into_iter().chain(by_hand::rows()).collect();
    let (next, failures) = (Mutex::new(rows.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(row) = { next.lock().unwrap().next() } {
                    if let Err(why) = world.check(row) {
                        failures.lock().unwrap().push(format!("=== {} ({})\n{why}", row.name, row.asked));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n\n"));
}
