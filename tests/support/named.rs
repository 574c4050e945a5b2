//! BIND as an authority, without root and without a trace outside its folder.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::ask::{ask, is_signed};
use super::peer::command;
use super::port::Port;
use super::process::Process;
use super::sandbox::Sandbox;
use super::zone::{Signing, Zone};

/// A TSIG key and what it may change in the dynamic zones.
#[derive(Debug, Clone)]
pub struct TsigKey {
    pub name: String,
    /// As BIND spells it: hmac-sha256.
    pub algorithm: String,
    /// Base64.
    pub secret: String,
    /// Owner names whose SSHFP records it may change; None for all of every dynamic zone.
    pub owners: Option<Vec<String>>,
}

impl TsigKey {
    /// A fresh key.
    pub fn new(name: &str, algorithm: &str, owners: Option<Vec<String>>) -> TsigKey {
        let secret = data_encoding::BASE64.encode(&rand::random::<[u8; 32]>());
        TsigKey { name: name.to_owned(), algorithm: algorithm.to_owned(), secret, owners }
    }

    /// The key in BIND's format.
    pub fn statement(&self) -> String {
        let TsigKey { name, algorithm, secret, .. } = self;
        format!("key \"{name}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n")
    }

    /// Its lines of an update-policy.
    pub fn grants(&self) -> String {
        let name = &self.name;
        match &self.owners {
            None => format!("    grant \"{name}\" zonesub ANY;\n"),
            Some(owners) => {
                owners.iter().map(|o| format!("    grant \"{name}\" name {o} SSHFP;\n")).collect()
            }
        }
    }
}

/// A running named.
#[derive(Debug)]
pub struct Named {
    pub process: Process,
    port: Port,
}

impl Named {
    /// Serves `zones`, whose files and keys are in `folder`.
    pub fn start(folder: &Path, zones: &[Zone], keys: &[TsigKey]) -> Named {
        let port = Port::free();
        let addr = port.addr();
        let conf = folder.join("named.conf");
        std::fs::write(&conf, configuration(folder, zones, keys, port.number())).unwrap();
        let mut named = command("named");
        named.args(["-g", "-n", "1", "-U", "1", "-c"]).arg(&conf);
        let process = Process::start("named", named, folder, || {
            let served = |zone: &&Zone| zone.signing != Signing::Elsewhere;
            zones.iter().filter(served).all(|zone| match zone.signing {
                Signing::Unsigned => ask(addr, &zone.name, RecordType::SOA).is_some(),
                // named signs a dynamic zone piece by piece; until its denials are there it fails.
                _ => is_signed(addr, &zone.name, RecordType::SOA) && denies(addr, &zone.name),
            })
        });
        Named { process, port }
    }

    /// Where it answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

/// Whether the zone has an answer for a name that it does not hold.
fn denies(addr: SocketAddr, zone: &str) -> bool {
    let absent = format!("no-such-name.{}", zone.trim_start_matches('.'));
    ask(addr, &absent, RecordType::TXT).is_some_and(|a| a.metadata.response_code != ResponseCode::ServFail)
}

fn configuration(folder: &Path, zones: &[Zone], keys: &[TsigKey], port: u16) -> String {
    let folder = folder.display();
    let mut text: String = keys.iter().map(TsigKey::statement).collect();
    write!(
        text,
        "options {{
  directory \"{folder}\"; key-directory \"{folder}\"; managed-keys-directory \"{folder}\";
  pid-file none; lock-file none; session-keyfile \"{folder}/session.key\"; geoip-directory none;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  check-names primary ignore; recursion no; notify no; dnssec-validation no; minimal-responses yes; allow-transfer {{ any; }};
}};
controls {{ }};\n"
    )
    .unwrap();
    let grants: String = keys.iter().map(TsigKey::grants).collect();
    for zone in zones.iter().filter(|zone| zone.signing != Signing::Elsewhere) {
        let (name, stem) = (&zone.name, zone.file_stem());
        if zone.signing == Signing::Dynamic {
            text += &signing_policy(zone);
            let policy = match &zone.policy {
                Some(policy) => policy.clone(),
                None => format!("update-policy {{\n{grants}  }};"),
            };
            write!(
                text,
                "zone \"{name}\" {{ type primary; file \"{stem}.db\"; key-directory \"{folder}/{stem}\";
  dnssec-policy \"{stem}\"; inline-signing no;
  {policy}\n}};\n"
            )
            .unwrap();
        } else if zone.signing == Signing::Unsigned {
            writeln!(
                text,
                "zone \"{name}\" {{ type primary; file \"{stem}.db\"; update-policy {{\n{grants}  }}; }};"
            )
            .unwrap();
        } else {
            writeln!(text, "zone \"{name}\" {{ type primary; file \"{stem}.db\"; }};").unwrap();
        }
    }
    text
}

/// Signs with the keys that lie ready, and never rolls them.
pub fn signing_policy(zone: &Zone) -> String {
    let size = if zone.algorithm.contains("RSA") { " 2048" } else { "" };
    let key = |role: &str| format!("{role} lifetime unlimited algorithm {}{size};", zone.algorithm);
    let keys = if zone.combined { key("csk") } else { format!("{} {}", key("ksk"), key("zsk")) };
    let nsec3 = if zone.nsec3 { "nsec3param iterations 0 optout no salt-length 0; " } else { "" };
    format!("dnssec-policy \"{}\" {{ keys {{ {keys} }}; dnskey-ttl 60; {nsec3}}};\n", zone.file_stem())
}

/// A second server of a zone, which takes it over when it starts and knows of no change afterwards.
#[derive(Debug)]
pub struct Secondary {
    process: Process,
    port: Port,
    sandbox: Sandbox,
    zone: String,
}

impl Secondary {
    /// Of `zone` as `primary` has it now.
    pub fn start(primary: SocketAddr, zone: &str) -> Secondary {
        let (sandbox, port) = (Sandbox::new(), Port::free());
        let folder = sandbox.path().display();
        let text = format!(
            "options {{
  directory \"{folder}\"; managed-keys-directory \"{folder}\";
  pid-file none; lock-file none; session-keyfile \"{folder}/session.key\"; geoip-directory none;
  listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; minimal-responses yes;
}};
controls {{ }};
zone \"{zone}\" {{ type secondary; file \"copy.db\"; primaries {{ {} port {}; }}; allow-notify {{ none; }}; }};\n",
            port.number(),
            primary.ip(),
            primary.port()
        );
        sandbox.write("named.conf", &text);
        let process = launch(&sandbox, &port, zone);
        Secondary { process, port, sandbox, zone: zone.to_owned() }
    }

    /// Takes the zone over anew.
    pub fn refresh(&mut self) {
        self.process.kill();
        std::fs::remove_file(self.sandbox.join("copy.db")).unwrap();
        self.process = launch(&self.sandbox, &self.port, &self.zone);
    }

    /// Where it answers.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

fn launch(sandbox: &Sandbox, port: &Port, zone: &str) -> Process {
    let mut named = command("named");
    named.args(["-g", "-n", "1", "-U", "1", "-c"]).arg(sandbox.join("named.conf"));
    let copy = sandbox.join("copy.db");
    Process::start("named", named, sandbox.path(), || {
        copy.exists() && is_signed(port.addr(), zone, RecordType::SOA)
    })
}
