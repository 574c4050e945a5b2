//! `sshanchor known-hosts`: OpenSSH's KnownHostsCommand.

use std::cell::Cell;
use std::ffi::OsString;

use super::bundle::BundleFile;
use super::{BAD_KEY_HINT, Context, host_name, in_grace};
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::proto::destination::Destination;
use crate::proto::hostkey::HostKeyError;
use crate::proto::known_hosts::command::{
    ArgumentError, Beside, Call, Sought, accepting_line, identity, order_identities, order_lines, presented,
};
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::proto::trail::Entry;
use crate::proto::verdict::Anchored;
use crate::ssh::sibling;
use crate::verifier::{accepted, now};

/// Be ssh's KnownHostsCommand: prove the key that a host shows.
///
/// ssh asks it which types of host key to prefer (ORDER), and whether the key that the host shows is its own (HOSTNAME).
/// HOSTNAME alone decides: unless the key is proven from DNSSEC it ends the connection, under any
/// StrictHostKeyChecking and whatever known_hosts holds. No connection to the host is made. ssh's own messages follow
/// the reason on standard error; standard output holds known_hosts lines and nothing else.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "sshanchor config ssh --install '*.example.com' writes what ssh needs. By hand, for ~/.ssh/config\n\
        (OpenSSH 8.5 or later; ssh wants the path from the root, see: command -v sshanchor):\n\n    \
        Host *.example.com\n        \
            KnownHostsCommand /usr/bin/sshanchor known-hosts %I %H %t %K %k %p\n        \
            VerifyHostKeyDNS no\n        \
            CheckHostIP no\n        \
            StrictHostKeyChecking yes\n        \
            UserKnownHostsFile none\n        \
            GlobalKnownHostsFile none\n\n\
        VerifyHostKeyDNS yes would have ssh believe a resolver's word and ask nobody else. Of several\n\
        values in ssh_config the first one counts: put these lines before others. ssh -J does not take\n\
        -o KnownHostsCommand over to the jump host, ssh_config does.\n\
        Exit status: 0 the key is proven, and printed; 3 rejected, 4 unproven, 2 usage; ORDER and\n\
        ADDRESS always 0.\n\
        With --json the reason of a refusal is an object on standard error."
)]
pub(super) struct Args {
    /// What ssh asks: %I (ORDER, HOSTNAME or ADDRESS)
    #[arg(value_name = "%I", value_parser = call)]
    call: Call,
    /// What ssh looks known_hosts up by: %H
    #[arg(value_name = "%H", allow_hyphen_values = true)]
    sought: String,
    /// The type of the key that the host shows: %t
    #[arg(value_name = "%t", allow_hyphen_values = true)]
    key_type: String,
    /// The key that the host shows: %K
    #[arg(value_name = "%K", allow_hyphen_values = true)]
    key: String,
    /// HostKeyAlias, or the host as it was typed: %k
    #[arg(value_name = "%k", allow_hyphen_values = true)]
    name: Option<String>,
    /// The port: %p. With these two, a HostKeyAlias is judged for the port of the connection, and ORDER knows of it before OpenSSH 9.6 too
    #[arg(value_name = "%p", allow_hyphen_values = true)]
    port: Option<String>,
    #[command(flatten)]
    bundle: BundleFile,
}

/// What the line in ssh_config should be.
const LINE_HINT: &str =
    "ssh_config wants this line: KnownHostsCommand /usr/bin/sshanchor known-hosts %I %H %t %K %k %p";

impl Args {
    /// Nothing is said, whatever is asked: an address is in no DNS, and to end a connection for it would end good ones.
    /// ssh then goes by the answer to HOSTNAME alone.
    pub(super) fn wants_nothing(&self) -> bool {
        self.call == Call::Address
    }

    /// The host and port that the trail is told, whatever is wrong with them.
    fn meant(&self) -> (String, u16) {
        let read = self.arguments().and_then(|(sought, beside)| {
            let (host, port) = identity(&sought, &beside)?;
            Ok((host.to_owned(), port))
        });
        read.unwrap_or_else(|_| (self.sought.clone(), 0))
    }

    fn arguments(&self) -> Result<(Sought<'_>, Beside<'_>), ArgumentError> {
        Ok((Sought::read(&self.sought)?, Beside::read(self.name.as_deref(), self.port.as_deref())?))
    }
}

/// By the words of the command line, which may be one that cannot be understood: it is one of ssh's questions on which
/// nothing hangs. Other than 0 ends the connection in each of the three, but it is only HOSTNAME that may.
pub(super) fn decides_nothing(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<OsString> = arguments.skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    has("known-hosts") && (has("ORDER") || has("ADDRESS")) && !has("HOSTNAME")
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let outcome = match args.call {
        Call::Address => Ok(()),
        Call::Order => order(&args, cx).await,
        Call::Hostname => {
            cx.warnings.iter().for_each(|warning| cx.out.warn(warning));
            let noted = Cell::new(false);
            let decided = decide(&args, cx, &noted).await;
            if let (Err(error), false, Some(trail)) = (&decided, noted.get(), &cx.trail) {
                let (host, port) = args.meant();
                // Without its line it is refused all the same.
                let _ = trail.failure(&host, port, error, now());
            }
            decided
        }
    };
    Ok(outcome.err().and_then(|error| refuse(&args, cx.out, &error)))
}

/// Tells why the connection ends, where it does: ssh has the command's standard error where its own is. What is wrong
/// in ORDER comes up again in HOSTNAME.
pub(super) fn refuse(args: &Args, out: Output, error: &Error) -> Option<Kind> {
    if args.call != Call::Hostname {
        out.detail(&format!("no order of host key types is asked for: {error}"));
        return None;
    }
    out.refusal(error);
    Some(error.kind)
}

/// The host, if policy passes it: a name, or an address.
fn passed(host: &str, cx: &Context) -> Option<Destination> {
    let place = Destination::parse(host).ok()?;
    (cx.policies.of(&place.to_string()).mode == Mode::Pass).then_some(place)
}

/// Has ssh ask for the types of key that are proven. What is found out is kept for HOSTNAME.
async fn order(args: &Args, cx: &Context) -> Result<(), Error> {
    let (sought, beside) = args.arguments().map_err(mixed_up)?;
    if passed(sought.host(), cx).is_some() {
        return Ok(());
    }
    // HOSTNAME has all of the time, and must not keep the user waiting for twice that.
    let cx = Context { timeout: cx.timeout / 2, ..cx.clone() };
    let verifier = cx.verifier_with(args.bundle.load(cx.timeout)?)?;
    for (host, port) in order_identities(&sought, &beside) {
        let Ok(host) = HostName::parse(host) else { continue };
        let offer = verifier.offer(&verifier.evidence(&host, port).await?);
        if !offer.is_empty() {
            return cx.out.line(&order_lines(&sought, &offer).join("\n"));
        }
    }
    Ok(())
}

/// Prints the line that has ssh accept the key; the error ends the connection. `noted` tells whether the trail has it.
async fn decide(args: &Args, cx: &Context, noted: &Cell<bool>) -> Result<(), Error> {
    let (sought, beside) = args.arguments().map_err(mixed_up)?;
    if let Some(host) = passed(sought.host(), cx) {
        let passed = format!("{host} is not verified, for policy passes it (mode = \"pass\")");
        if let Some(trail) = &cx.trail {
            let port = identity(&sought, &beside).map_or(0, |(_, port)| port);
            trail.write(&Entry::failed(&host.to_string(), port, Some("unproven"), "pass", &passed), now())?;
        }
        cx.out.detail(&passed);
        return Ok(());
    }
    let (host, port) = identity(&sought, &beside).map_err(mixed_up)?;
    let host = host_name(host).map_err(|e| named_otherwise(e, &sought, &beside))?;
    let presented = presented(&args.key_type, &args.key).map_err(|e| bad_key(&host, e))?;
    let verifier = cx.verifier_with(args.bundle.load(cx.timeout)?)?;
    let evidence = verifier.evidence(&host, port).await?;
    // ssh shows the key alone. Where it has connected by the proxy, that has seen how.
    let posture = verifier.policy(&host).posture;
    let seen = posture.asks().then(sibling::ask).flatten().and_then(|report| report.of(presented.key()));
    let (evidence, verdict) = verifier.settle(evidence, &presented, seen.as_ref()).await?;
    noted.set(true);
    let written = verifier.note_settled(&evidence, &presented, seen.as_ref(), &verdict);
    let witness: Anchored = accepted(verdict).map_err(|e| named_otherwise(e, &sought, &beside))?;
    written?;
    let line = accepting_line(&sought, &presented, &witness)
        .ok_or_else(|| Error::failure("internal", format!("{host}: the verdict is about another key")))?;
    if let Some(age) = evidence.origin().and_then(|origin| origin.age(now())) {
        cx.out.warn(&in_grace(&host.to_string(), age));
    }
    cx.out.detail(&format!("{host}: the host key is {}", witness.basis()));
    cx.out.line(&line)
}

fn mixed_up(error: ArgumentError) -> Error {
    Error::usage("usage", error).hint(LINE_HINT)
}

/// Why the key cannot be judged, or what is wrong with the arguments.
fn bad_key(host: &HostName, error: ArgumentError) -> Error {
    let hint = match &error {
        ArgumentError::Key(HostKeyError::Unsupported(_) | HostKeyError::SecurityKey(_)) => {
            "no record can vouch for a key of this type: have the host hold, publish and offer an Ed25519, ECDSA or RSA key"
        }
        ArgumentError::Key(_) => BAD_KEY_HINT,
        _ => return mixed_up(error),
    };
    Error::new(Kind::Rejected, "bad-host-key", format!("{host}: {error}")).hint(hint)
}

/// ssh may look for another name than the one that its user has in mind, and can be told to.
fn named_otherwise(error: Error, sought: &Sought<'_>, beside: &Beside<'_>) -> Error {
    let host = sought.host().trim_end_matches('.');
    if error.kind != Kind::Unproven {
        return error;
    }
    match beside.other_name(sought).filter(|name| name.contains('.') && HostName::parse(name).is_ok()) {
        Some(name) if error.reason == "address" => {
            error.hint(format!("have ssh look for the name instead, in its configuration: HostKeyAlias {name}"))
        }
        None if !host.contains('.') && error.reason == "no-record" => error.hint(format!(
            "{host} is looked up as it stands: type the whole name, or have ssh complete it (ssh_config: CanonicalizeHostname yes, CanonicalDomains example.com)"
        )),
        _ => error,
    }
}

fn call(text: &str) -> Result<Call, String> {
    Call::read(text).ok_or_else(|| "want ORDER, HOSTNAME or ADDRESS: ssh puts it in for %I".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_out_of_form_ends_a_connection_where_the_key_is_judged() {
        let is_harmless = |line: &str| decides_nothing(line.split(' ').map(OsString::from));
        assert!(is_harmless("sshanchor known-hosts ORDER web1 NONE"));
        assert!(is_harmless("sshanchor --resolver x known-hosts ADDRESS [::1]:22 t K web1 22"));
        for line in [
            "sshanchor known-hosts HOSTNAME web1 t K",
            "sshanchor known-hosts HOSTNAME ORDER t K ORDER 22",
            "sshanchor known-hosts --bundle ORDER HOSTNAME web1 t K",
            "sshanchor known-hosts %I web1 t K",
            "sshanchor verify ORDER",
        ] {
            assert!(!is_harmless(line), "{line}");
        }
    }
}
