//! `sshanchor verify`: evidence and a live handshake make a verdict.

use serde::Serialize;

use super::bundle::BundleFile;
use super::hosts::HostArgs;
use super::{BAD_KEY_HINT, Context, handshake_hint, in_grace};
use crate::error::{Error, Kind};
use crate::fan_out::fan_out;
use crate::fleet::{Host, Target};
use crate::output::{Progress, Report, rfc3339};
use crate::proto::hostkey::Presented;
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::proto::rr::Origin;
use crate::proto::trail::{Handshake, Key};
use crate::proto::verdict::{Anchored, Reason, Verdict};
use crate::verifier::{ProbeFailure, Verification, Verifier, now};

/// Prove hosts' keys and hold them against live handshakes.
///
/// Proves each host's keys from DNSSEC, shakes hands with the host, and compares: accept, reject or
/// unproven, a line each. Nothing is sent beyond the key exchange: no user name, no authentication.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor verify web1.example.com web2.example.com:2222\n          \
              sshanchor verify -H 'web[1-20].example.com,@fleet' -x web7.example.com --json\n\
    Exit status: 0 all accepted; of several outcomes the gravest: 3 rejected, 4 unproven, 1 unreachable.")]
pub(super) struct Args {
    /// The hosts; what -H understands is understood here too
    #[arg(value_name = "HOST[:PORT]")]
    names: Vec<String>,
    #[command(flatten)]
    hosts: HostArgs,
    /// Show only what is wrong: of hosts that are accepted nothing
    #[arg(short, long)]
    quiet: bool,
    /// How many hosts to verify at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    fanout: u16,
    #[command(flatten)]
    bundle: BundleFile,
}

/// Open files that one host takes: sockets for its lookups, and for attempts to connect.
const EACH: u64 = 12;
/// Open files beside those: standard streams, the runtime's own, and some to spare.
const OTHERS: u64 = 16;

/// What is said of one host.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) host: String,
    pub(super) port: u16,
    /// accept, reject or unproven; null where the host could not be reached.
    pub(super) verdict: Option<&'static str>,
    pub(super) reason: Option<&'static str>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) key: Option<Key>,
    /// The CA that has signed the host's certificate, where an accept rests on that.
    pub(super) ca: Option<Key>,
    pub(super) source: Option<&'static str>,
    /// How old a proof in grace is, in seconds.
    pub(super) age: Option<u64>,
    pub(super) valid_until: Option<String>,
    /// What was seen of the handshake that showed the key.
    pub(super) handshake: Option<Handshake>,
    #[serde(skip)]
    pub(super) kind: Option<Kind>,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    // Before anything is done: a mistyped name is not to stop a run half way.
    let hosts = args.hosts.places_as_typed(&args.names, cx).await?;
    let verifier = cx.verifier_with(args.bundle.load(cx.timeout)?)?;
    verdicts(hosts, args.fanout, args.quiet, &verifier, cx).await
}

/// A line for each of `hosts`, as they come, of accepts none if it is to be `quiet`; and the gravest of what was told.
pub(super) async fn verdicts(
    hosts: Vec<Host>,
    fanout: u16,
    quiet: bool,
    verifier: &Verifier,
    cx: &Context,
) -> Result<Option<Kind>, Error> {
    let width = hosts_at_once(usize::from(fanout));
    let mut kinds = Vec::new();
    let mut progress = Progress::new("verified", hosts.len());
    let work = |host: Host| {
        let verifier = verifier.clone();
        async move { judge(&verifier.for_one_host().at(host.address), host.target, host.port).await }
    };
    fan_out(hosts, width, work, |_, judged: Result<Judged, Error>| {
        let judged = judged?;
        progress.clear();
        if let Some(age) = judged.age {
            cx.out.warn(&in_grace(&judged.host, age));
        }
        if !(quiet && judged.kind.is_none()) {
            cx.out.result(&judged)?;
        }
        kinds.extend(judged.kind);
        progress.step();
        Ok::<_, Error>(())
    })
    .await?;
    Ok(Kind::gravest(kinds))
}

/// How many hosts, of `wanted`, the limit on open files has room for. It is raised as far as that goes:
/// beyond it every lookup would fail.
pub(super) fn hosts_at_once(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = wanted as u64 * EACH + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut limit = current.unwrap_or(u64::MAX);
    if limit < needed {
        let raised = needed.min(maximum.unwrap_or(u64::MAX));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() {
            limit = raised;
        }
    }
    room(limit, wanted)
}

/// How many hosts, of `wanted`, find room under this limit; one always does.
fn room(limit: u64, wanted: usize) -> usize {
    usize::try_from(limit.saturating_sub(OTHERS) / EACH).unwrap_or(wanted).min(wanted).max(1)
}

async fn judge(verifier: &Verifier, target: Target, port: u16) -> Result<Judged, Error> {
    let name = match checkable(verifier, target, port) {
        Ok(name) => name,
        Err(judged) => return Ok(*judged),
    };
    let verification = verifier.verify(&name, port).await?;
    let verdict = verifier.verdict(&verification).ok();
    verifier.note(&verification, verdict.as_ref())?;
    Ok(Judged::of(&name, port, &verification, verdict))
}

/// The host, unless nothing that could be proven would be of use.
pub(super) fn checkable(verifier: &Verifier, target: Target, port: u16) -> Result<HostName, Box<Judged>> {
    let found = of_use(verifier, target, port);
    if let Err(Judged { host, port, verdict, reason, message, .. }) = found.as_ref().map_err(Box::as_ref) {
        // Without its line it is refused all the same.
        let _ = verifier.note_unseen(host, *port, *verdict, reason.unwrap_or_default(), message);
    }
    found
}

fn of_use(verifier: &Verifier, target: Target, port: u16) -> Result<HostName, Box<Judged>> {
    match target {
        Target::Address(host, error) => Err(Box::new(Judged::address(&host, port, error))),
        Target::Host(name) if verifier.policy(&name).mode == Mode::Pass => {
            let verdict = Verdict::Unproven(Reason::Passed { host: name.clone() });
            Err(Box::new(Judged::verdict(&name, port, verdict, None)))
        }
        Target::Host(name) => Ok(name),
    }
}

impl Judged {
    pub(super) fn new(host: impl ToString, port: u16, message: String) -> Self {
        Judged {
            host: host.to_string(),
            port,
            verdict: None,
            reason: None,
            message,
            hint: None,
            key: None,
            ca: None,
            source: None,
            age: None,
            valid_until: None,
            handshake: None,
            kind: None,
        }
    }

    /// Of a host that was looked at; without a verdict there was no key to judge.
    pub(super) fn of(
        host: &HostName,
        port: u16,
        verification: &Verification,
        verdict: Option<Verdict>,
    ) -> Self {
        let origin = verification.evidence.origin();
        match (verdict, &verification.probed) {
            (None, Some(Err(failure))) => Judged::failure(host, port, failure),
            (None, _) => Judged::new(host, port, "the host was not looked at".to_owned()),
            (Some(verdict), probed) => {
                let presented = probed.as_ref().and_then(|probed| probed.as_ref().ok());
                Judged {
                    source: origin.map(Origin::code),
                    age: origin.and_then(|origin| origin.age(now())),
                    handshake: presented.map(|probed| (&probed.seen()).into()),
                    ..Judged::verdict(host, port, verdict, presented.map(|probed| &probed.presented))
                }
            }
        }
    }

    pub(super) fn verdict(
        host: &HostName,
        port: u16,
        verdict: Verdict,
        presented: Option<&Presented>,
    ) -> Self {
        let key = presented.map(Presented::key).map(Key::from);
        let blank = Judged { key, ..Self::new(host, port, String::new()) };
        let refused = |word, kind, reason: Reason| Judged {
            verdict: Some(word),
            reason: Some(reason.code()),
            message: reason.to_string(),
            hint: Some(reason.hint()),
            kind: Some(kind),
            ..Self::new(host, port, String::new())
        };
        match verdict {
            Verdict::Accept(anchored) => Judged {
                verdict: Some("accept"),
                message: accepted(&anchored),
                ca: anchored.ca().map(Key::from),
                valid_until: rfc3339(anchored.valid_until()),
                ..blank
            },
            Verdict::Reject(reason) => Judged { key: blank.key, ..refused("reject", Kind::Rejected, reason) },
            Verdict::Unproven(reason) => {
                Judged { key: blank.key, ..refused("unproven", Kind::Unproven, reason) }
            }
        }
    }

    fn address(host: &str, port: u16, error: Error) -> Self {
        Judged {
            verdict: Some("unproven"),
            reason: Some(error.reason),
            hint: error.hint,
            kind: Some(Kind::Unproven),
            ..Self::new(host, port, error.message)
        }
    }

    /// The handshake failed: no verdict, for there is no key to judge. A server that does not hold the
    /// key it shows, or shows something malformed, is rejected.
    pub(super) fn failure(host: &HostName, port: u16, failure: &ProbeFailure) -> Self {
        let (verdict, reason) = failure.told();
        let (kind, hint) = match failure {
            _ if verdict.is_some() => (Kind::Rejected, BAD_KEY_HINT.to_owned()),
            ProbeFailure::Unreachable(why) => (Kind::Failure, why.hint()),
            ProbeFailure::Handshake(error) => (Kind::Failure, handshake_hint::of_probe(error).to_owned()),
        };
        Judged {
            verdict,
            reason: Some(reason),
            hint: Some(hint),
            kind: Some(kind),
            ..Self::new(host, port, failure.to_string())
        }
    }
}

fn accepted(anchored: &Anchored) -> String {
    let digest = data_encoding::BASE64_NOPAD.encode(anchored.key_sha256());
    format!("{} SHA256:{digest} is {}", anchored.key_type(), anchored.basis())
}

impl Judged {
    /// Host and outcome, without the hint.
    pub(super) fn line(&self) -> String {
        let verdict = self.verdict.unwrap_or("failed");
        // As it could be typed again.
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{} {verdict}: {}", self.port, self.message)
    }
}

impl Report for Judged {
    fn text(&self) -> String {
        let mut lines = vec![self.line()];
        lines.extend(self.hint.iter().map(|hint| format!("  hint: {hint}")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::target;
    use super::*;

    #[test]
    fn an_address_can_be_typed_again_as_it_is_shown() {
        for (typed, shown) in [("[::1]:2222", "[::1]:2222 "), ("192.0.2.1", "192.0.2.1:22 ")] {
            let Ok((Target::Address(address, error), port)) = target(typed, 22) else { panic!("{typed}") };
            assert!(Judged::address(&address, port, error).text().starts_with(shown));
        }
    }

    #[test]
    fn no_more_hosts_at_once_than_open_files_allow() {
        let rooms = [0, 16, 64, 1024, u64::MAX].map(|limit| room(limit, 100));
        assert_eq!(rooms, [1, 1, 4, 84, 100]);
    }
}
