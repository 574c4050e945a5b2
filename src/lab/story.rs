//! The story that `sshanchor demo` tells: a zone, two hosts, their keys published and proven, a command
//! run, and somebody else at a host's address. Every step goes the way of the command of that name.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};
use serde::Serialize;
use tokio::time::Instant;

use super::host::{ToyHost, generate_key};
use super::zone::{LabZone, Zones, write_private};
use crate::agent::reconcile::{Reconciliation, Wish};
use crate::agent::state::State;
use crate::backend::rfc2136::Rfc2136;
use crate::dns::authority::Authority;
use crate::dns::tsig::Key;
use crate::error::Error;
use crate::files::pipe;
use crate::output::Report;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::Intent;
use crate::proto::sshfp::{self, Sshfp, SshfpSet};
use crate::proto::verdict::Verdict;
use crate::ssh::client::End;
use crate::ssh::hostkeys;
use crate::ssh::identity::{Identities, Nobody};
use crate::verifier::{Opened, Options, Verifier, now};

/// The zone.
pub const ZONE: &str = "demo.example";
/// The user whom the toy hosts let in.
pub const USER: &str = "demo";
const TSIG_KEY: &str = "agent";
const TTL: u32 = 60;

/// Who takes over the second host's address in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newcomer {
    /// Somebody with a key of the same type, which nobody published.
    Impostor,
    /// Somebody with the host's own key: the twin of the refusal, for the tests.
    WithTheRightKey,
}

/// One step, as it went.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Which one: zone, host, publish, verify, run, takeover, done.
    pub step: &'static str,
    /// It went as the story has it.
    pub ok: bool,
    /// The host that it is about.
    pub host: Option<String>,
    /// That host's port.
    pub port: Option<u16>,
    /// accept, reject or unproven.
    pub verdict: Option<&'static str>,
    /// The reason's stable word where there is no accept.
    pub reason: Option<&'static str>,
    /// What happened.
    pub message: String,
}

impl Report for Step {
    fn text(&self) -> String {
        let Step { step, host, verdict, message, .. } = self;
        let host = host.as_ref().map_or_else(String::new, |host| format!("{host} "));
        let verdict = verdict.map_or_else(String::new, |verdict| format!("{verdict}: "));
        let wrong = if self.ok { "" } else { "NOT AS IT SHOULD: " };
        format!("{step:<9} {wrong}{host}{verdict}{message}")
    }
}

/// Everything that the story left standing; it goes when this is dropped.
pub struct Stage {
    /// The zone's server.
    pub zones: Zones,
    /// The hosts; at the second one's place whoever took over its address.
    pub hosts: [ToyHost; 2],
    /// Every step went as the story has it.
    pub ok: bool,
    visitor: Arc<PrivateKey>,
}

/// What a look at a host gave.
struct Judged {
    verdict: &'static str,
    reason: Option<&'static str>,
    message: String,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        let (verdict, reason) = match verdict {
            Verdict::Accept(anchored) => {
                let message = format!(
                    "its {} key is proven by the SSHFP records at {}",
                    anchored.key_type(),
                    anchored.owner()
                );
                return Judged { verdict: "accept", reason: None, message };
            }
            Verdict::Reject(reason) => ("reject", reason),
            Verdict::Unproven(reason) => ("unproven", reason),
        };
        Judged { verdict, reason: Some(reason.code()), message: reason.to_string() }
    }
}

/// Tells the story, each step to `say` as it happens; `patience` is for each of them. An error is
/// trouble that the story has no room for.
pub async fn tell(
    newcomer: Newcomer,
    patience: Duration,
    say: &mut (dyn FnMut(Step) -> Result<(), Error> + Send),
) -> Result<Stage, Error> {
    let mut teller = Teller { say, patience, ok: true };
    let visitor = generate_key(Algorithm::Ed25519).map_err(trouble)?;
    let keys = [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }];
    let [key1, key2] = keys.map(generate_key);
    let key2 = key2.map_err(trouble)?;

    let zone = LabZone::new(ZONE).records("web1 A 127.0.0.1\nweb2 A 127.0.0.1").tsig_key(TSIG_KEY);
    let zones = Zones::start(vec![zone]).await.map_err(trouble)?;
    let served = zones.address();
    teller.say(
        "zone",
        None,
        true,
        format!("{ZONE} is served on {served}, signed; its key is the trust anchor"),
    )?;
    let start = async |label: &str, key| {
        ToyHost::start(&format!("{label}.{ZONE}"), key, visitor.public_key().clone()).await.map_err(trouble)
    };
    let web1 = start("web1", key1.map_err(trouble)?).await?;
    let web2 = start("web2", key2.clone()).await?;
    for host in [&web1, &web2] {
        let (port, key) = (host.address().port(), host.host_key());
        teller.say("host", Some(host), true, format!("listens on port {port} and holds {key}"))?;
    }

    teller.verify(&zones, &web1, "unproven").await?;
    for host in [&web1, &web2] {
        teller.publish(&zones, host).await?;
    }
    for host in [&web1, &web2] {
        teller.verify(&zones, host, "accept").await?;
    }
    let visitor = Arc::new(visitor);
    teller.run(&zones, &web2, &visitor, "accept").await?;

    let other = match newcomer {
        Newcomer::Impostor => generate_key(key2.algorithm()).map_err(trouble)?,
        Newcomer::WithTheRightKey => key2,
    };
    let web2 = web2.replace(other).await.map_err(trouble)?;
    let message = format!("is taken over: somebody else answers at its address, with {}", web2.host_key());
    teller.say("takeover", Some(&web2), true, message)?;
    teller.verify(&zones, &web2, "reject").await?;
    teller.run(&zones, &web2, &visitor, "reject").await?;

    let ok = teller.ok;
    let message = match ok {
        true => "two hosts published, proven and used, and an impostor refused: all as it should be",
        false => "something above did not go as it should",
    };
    teller.say("done", None, ok, message.to_owned())?;
    Ok(Stage { zones, hosts: [web1, web2], ok, visitor })
}

struct Teller<'a> {
    say: &'a mut (dyn FnMut(Step) -> Result<(), Error> + Send),
    patience: Duration,
    ok: bool,
}

impl Teller<'_> {
    fn say(
        &mut self,
        step: &'static str,
        host: Option<&ToyHost>,
        ok: bool,
        message: String,
    ) -> Result<(), Error> {
        let judged = Judged { verdict: "", reason: None, message };
        self.say_judged(step, host, ok, judged)
    }

    fn say_judged(
        &mut self,
        step: &'static str,
        host: Option<&ToyHost>,
        ok: bool,
        Judged { verdict, reason, message }: Judged,
    ) -> Result<(), Error> {
        self.ok &= ok;
        let (port, host) = (host.map(|h| h.address().port()), host.map(|h| h.name().to_owned()));
        let verdict = Some(verdict).filter(|word| !word.is_empty());
        (self.say)(Step { step, ok, host, port, verdict, reason, message })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Fresh for each step, as each would be a command of its own: nothing looked up earlier counts.
    fn verifier(&self, zones: &Zones) -> Result<Verifier, Error> {
        let resolver = vec![zones.address()];
        Verifier::new(&Options {
            resolver,
            trust_anchor: Some(zones.anchor_file(ZONE)),
            timeout: self.patience,
            ..Options::default()
        })
    }

    /// As `sshanchor publish` on that host, with the host's public key file and the TSIG key's file.
    async fn publish(&mut self, zones: &Zones, host: &ToyHost) -> Result<(), Error> {
        let pub_file = zones.folder().join(format!("{}.pub", host.name()));
        fs::write(&pub_file, public_line(host)).map_err(trouble)?;
        let keys = hostkeys::of_files(&[pub_file]).map_err(trouble)?;
        let (key, _) = Key::load(&zones.key_file(TSIG_KEY), pipe::PATIENCE).map_err(trouble)?;
        let primary =
            Authority { server: zones.address(), patience: self.patience, deadline: self.deadline() };
        let zone = Name::from_text(ZONE).map_err(trouble)?;
        let reconciliation = Reconciliation {
            backend: Arc::new(Rfc2136::new(primary, zone, Some(key), now)),
            state: State::at(zones.folder().join(format!("{}.state", host.name()))),
            together: false,
        };
        let owner = sshfp::owner(&host_name(host)?, None).map_err(trouble)?;
        let wanted: SshfpSet = keys.iter().map(Sshfp::of_key).collect();
        let intent = Intent::Publish { ttl: Some(TTL), prune: false };
        let outcomes =
            reconciliation.run(&[Wish { owner, wanted: wanted.clone(), intent }]).await.map_err(trouble)?;
        let mut added = SshfpSet::new();
        for outcome in outcomes {
            if let Some(error) = outcome.error {
                return Err(error);
            }
            added.extend(outcome.added);
        }
        let records: Vec<String> = added.iter().map(|record| format!("SSHFP {record}")).collect();
        let message = format!("gets {} by a signed update (RFC 2136, TSIG)", records.join(", "));
        self.say("publish", Some(host), added == wanted, message)
    }

    /// As `sshanchor verify`.
    async fn verify(&mut self, zones: &Zones, host: &ToyHost, expected: &str) -> Result<(), Error> {
        let verifier = self.verifier(zones)?;
        let verification = verifier.verify(&host_name(host)?, host.address().port()).await?;
        let judged = Judged::from(verifier.verdict(&verification).map_err(trouble)?);
        self.say_judged("verify", Some(host), judged.verdict == expected, judged)
    }

    /// A command over a connection that is used only if its own handshake was accepted.
    async fn run(
        &mut self,
        zones: &Zones,
        host: &ToyHost,
        visitor: &Arc<PrivateKey>,
        expected: &str,
    ) -> Result<(), Error> {
        let verifier = self.verifier(zones)?;
        let before = host.tally().authentications;
        let Opened { verification, verdict, session } =
            verifier.open(&host_name(host)?, host.address().port()).await?;
        let Some(mut session) = session else {
            let judged = match (verdict, verification.probed) {
                (Some(verdict), _) => Judged::from(verdict),
                (None, Some(Err(failure))) => return Err(trouble(failure)),
                (None, _) => return Err(trouble("the host showed no key")),
            };
            let seen = host.tally().authentications - before;
            let message = format!("no user name was sent; whoever it is saw {seen} authentication requests");
            let ok = judged.verdict == expected && seen == 0;
            return self.say_judged("run", Some(host), ok, Judged { message, ..judged });
        };
        let identities = Identities::of_key(visitor);
        session.log_in(USER, &identities, &Nobody, self.deadline()).await.map_err(trouble)?;
        let ran = session.exec("hostname", self.deadline()).await.map_err(trouble)?;
        session.close(self.deadline()).await;
        let said = String::from_utf8_lossy(&ran.kept.stdout).trim_end().to_owned();
        let ok = expected == "accept" && said == host.name() && ran.end == End::Status(0);
        let message = format!("\"hostname\" says {said}, over the very connection that was judged");
        self.say_judged("run", Some(host), ok, Judged { verdict: "accept", reason: None, message })
    }
}

impl Stage {
    /// Lines to paste into another terminal; `program` is this program. They read and write nothing
    /// outside the stage's folder: client key, configuration and known_hosts file are there. That
    /// known_hosts file has been fooled: it holds the key of whoever took over the second host, so that
    /// the proxy alone stands in the way.
    pub fn things_to_try(&self, program: &str) -> Result<Vec<String>, Error> {
        let in_folder = |name: &str| self.zones.folder().join(name);
        let (client_key, known_hosts) = (in_folder("client_key"), in_folder("known_hosts"));
        let ssh_config = in_folder("ssh_config");
        let text = self.visitor.to_openssh(LineEnding::LF).map_err(trouble)?;
        write_private(&client_key, text.as_bytes()).map_err(trouble)?;
        let mut known = String::new();
        let mut config = String::new();
        for host in &self.hosts {
            let (name, port) = (host.name(), host.address().port());
            known.push_str(&format!("[{name}]:{port} {}", public_line(host)));
            config.push_str(&format!("Host {name}\n    Port {port}\n"));
        }
        config.push_str(&format!(
            "Host *\n    User {USER}\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    \
             IdentityAgent none\n    StrictHostKeyChecking yes\n    UserKnownHostsFile \"{}\"\n    \
             GlobalKnownHostsFile none\n    UpdateHostKeys no\n",
            client_key.display(),
            known_hosts.display()
        ));
        fs::write(&known_hosts, known).map_err(trouble)?;
        fs::write(&ssh_config, config).map_err(trouble)?;
        let anchor = self.zones.anchor_file(ZONE);
        let (program, anchor) = (quoted(program), quoted(&anchor.to_string_lossy()));
        let sshanchor = format!(
            "{program} --config none --cache off --resolver {} --trust-anchor {anchor}",
            self.zones.address()
        );
        let targets =
            self.hosts.each_ref().map(|host| format!("{}:{}", host.name(), host.address().port())).join(" ");
        let mut lines = vec![
            format!("{sshanchor} lookup web1.{ZONE} --type SSHFP"),
            format!("{sshanchor} verify {targets}"),
        ];
        let config = quoted(&ssh_config.to_string_lossy());
        let names = self.hosts.each_ref().map(ToyHost::name).join(",");
        lines.push(format!("{sshanchor} exec --ssh-config {config} -H {names} -- hostname"));
        let (known_hosts, page) = (known_hosts.to_string_lossy(), in_folder("audit.html"));
        lines.push(format!(
            "{sshanchor} audit --check-server {} --known-hosts {} -o {} {targets}",
            self.zones.address(),
            quoted(&known_hosts),
            quoted(&page.to_string_lossy())
        ));
        let proxy = quoted(&format!("ProxyCommand={sshanchor} proxy %h %p"));
        lines.extend(
            self.hosts.iter().map(|host| format!("ssh -F {config} -o {proxy} {} hostname", host.name())),
        );
        Ok(lines)
    }
}

fn public_line(host: &ToyHost) -> String {
    let key = host.host_key();
    format!("{} {} {}\n", key.key_type(), BASE64.encode(key.blob()), host.name())
}

fn host_name(host: &ToyHost) -> Result<HostName, Error> {
    HostName::parse(host.name()).map_err(trouble)
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn trouble(problem: impl ToString) -> Error {
    Error::failure("demo", problem.to_string())
        .hint("the demonstration wants nothing but loopback sockets and a folder for temporary files")
}
