//! `sshanchor proxy`: an OpenSSH ProxyCommand that checks the key exchange in-line.

use std::cell::RefCell;
use std::pin::pin;

use tokio::task::JoinError;

use super::bundle::BundleFile;
use super::{BAD_KEY_HINT, Context, HANDSHAKE_HINT, UNREACHABLE_HINT, address, host_name, in_grace};
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::proto::evidence::Evidence;
use crate::proto::handshake::End;
use crate::proto::hostkey::{HostKeyError, Presented};
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::ssh::pass::pass;
use crate::ssh::relay::{Cause, Refusal, refuse_client, relay};
use crate::ssh::standard::{stdin, stdout};
use crate::verifier::{Verifier, accepted, connect_passed, now};

/// Be ssh's ProxyCommand: check the key exchange in-line.
///
/// Connects standard input and output to HOST as an ssh ProxyCommand does, and holds the server's key
/// exchange reply until its host key is proven from DNSSEC. If it is not, the client gets a disconnect
/// with the reason and never sees the reply: no keys are made, no user name or password is sent.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ssh -o ProxyCommand='sshanchor proxy %h %p' -o StrictHostKeyChecking=yes web1.example.com\n\
    Use %h and %p, not %n. ssh's own checking stays as it is configured; the proxy only adds refusals."
)]
pub(super) struct Args {
    /// The host, as ssh has it: %h
    host: String,
    /// The port: %p
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    bundle: BundleFile,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    if let Some(host) = passed(&args.host, cx) {
        return Ok(relay_unjudged(&host, args.port, cx).await.err());
    }
    let prepared = host_name(&args.host).and_then(|host| Ok((host, cx.verifier_with(args.bundle.load()?)?)));
    let (host, verifier) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Some(refuse(cx, error).await)),
    };
    // The lookup runs while TCP connects and while client and server talk.
    let mut evidence = tokio::spawn({
        let (verifier, host) = (verifier.clone(), host.clone());
        async move { verifier.evidence(&host, args.port).await }
    });
    let mut connecting = pin!(verifier.connect(&host, args.port));
    let mut early = None;
    let connected = loop {
        tokio::select! {
            connected = &mut connecting => break connected,
            found = &mut evidence, if early.is_none() => {
                let found = joined(found);
                // Nobody waits for a host that could not be accepted anyway.
                if let Some(error) = hopeless(&verifier, &found) {
                    return Ok(Some(refuse(cx, error).await));
                }
                early = Some(found);
            }
        }
    };
    let server = match connected {
        Ok(server) => server,
        Err(failure) => {
            let error = Error::failure("unreachable", failure).hint(UNREACHABLE_HINT);
            return Ok(Some(refuse(cx, error).await));
        }
    };
    let refused = RefCell::new(None);
    let decide = |presented: Presented, silent: bool| {
        if !silent {
            tell_warnings(cx);
        }
        let (verifier, refused, host) = (&verifier, &refused, &host);
        async move {
            let found = match early {
                Some(found) => found,
                None => joined(evidence.await),
            };
            let settled = match found {
                Ok(evidence) => verifier.settle(evidence, &presented).await,
                Err(error) => Err(error),
            };
            let accepted = settled.and_then(|(evidence, verdict)| {
                if let Some(age) = evidence.origin().and_then(|origin| origin.age(now()))
                    && !silent
                {
                    cx.out.warn(&in_grace(&args.host, age));
                }
                accepted(verdict)
            });
            accepted.map_err(|error| {
                // Should another host have its address by now, the next connection finds it.
                verifier.forget_addresses(host);
                let text = wording(&error);
                refused.replace(Some(error));
                Refusal { text }
            })
        }
    };
    // A handshake that broke off tells its own cause.
    let error = |cause: &Cause| refused.borrow().clone().unwrap_or_else(|| broken(&host, cause));
    let tell = |cause: &Cause| cx.out.refusal(&error(cause));
    match relay(stdin(), stdout(), server, verifier.deadline(), decide, tell).await {
        Ok(relayed) => {
            if !relayed.client_is_asyncssh {
                let owner = relayed.witness.owner();
                cx.out.detail(&format!("{host}: the host key was proven by SSHFP at {owner}"));
            }
            Ok(None)
        }
        Err(relay) => Ok(Some(error(&relay.cause).kind)),
    }
}

/// The host, if policy passes it: a name, or an address.
pub(super) fn passed(host: &str, cx: &Context) -> Option<String> {
    let name = HostName::parse(host).ok().map(|name| name.to_string()).or_else(|| address(host))?;
    (cx.policies.of(&name).mode == Mode::Pass).then_some(name)
}

/// A host that policy passes is nobody's to judge here: ssh checks it as it is configured.
async fn relay_unjudged(host: &str, port: u16, cx: &Context) -> Result<(), Kind> {
    match connect_passed(&cx.resolver, cx.timeout, host, port).await {
        Ok(server) => {
            let tell = || {
                tell_warnings(cx);
                cx.out.detail(&format!("{host} is not verified, for policy passes it (mode = \"pass\")"));
            };
            pass(stdin(), stdout(), server, tell).await;
            Ok(())
        }
        Err(failure) => {
            let error = Error::failure("unreachable", failure).hint(UNREACHABLE_HINT);
            Err(refuse(cx, error).await)
        }
    }
}

/// What is wrong with the configuration, once it is known that the client's standard error is a person's.
fn tell_warnings(cx: &Context) {
    cx.warnings.iter().for_each(|warning| cx.out.warn(warning));
}

/// Why a handshake did not come to a decision.
fn broken(host: &HostName, cause: &Cause) -> Error {
    let message = format!("{host}: {cause}");
    match cause {
        Cause::Handshake(
            End::HostKey(HostKeyError::Sha1)
            | End::ClientClosed
            | End::Client { .. }
            | End::ClientVersion(_)
            | End::ClientFrame(_)
            | End::ClientKexInit(_),
        )
        | Cause::Client(_) => Error::failure("handshake", message),
        Cause::Deadline(what) if what.starts_with("the client's") => Error::failure("handshake", message),
        Cause::Handshake(End::HostKey(_)) => {
            Error::new(Kind::Rejected, "bad-host-key", message).hint(BAD_KEY_HINT)
        }
        _ => Error::failure("handshake", message).hint(HANDSHAKE_HINT),
    }
}

fn joined(found: Result<Result<Evidence, Error>, JoinError>) -> Result<Evidence, Error> {
    found.unwrap_or_else(|e| Err(Error::failure("internal", format!("the lookup did not finish: {e}"))))
}

/// Why no key whatever could be accepted, if that is so.
fn hopeless(verifier: &Verifier, found: &Result<Evidence, Error>) -> Option<Error> {
    match found {
        Ok(evidence) if verifier.key_types(evidence).is_empty() => {
            accepted(verifier.without_key(evidence)).err()
        }
        Ok(_) => None,
        Err(error) => Some(error.clone()),
    }
}

/// Tells the client and the user why there is no connection.
async fn refuse(cx: &Context, error: Error) -> Kind {
    refuse_with(cx.out, &cx.warnings, error).await
}

/// The same where nothing more than the error is known.
pub(super) async fn refuse_with(out: Output, warnings: &[String], error: Error) -> Kind {
    let tell = || {
        warnings.iter().for_each(|warning| out.warn(warning));
        out.refusal(&error);
    };
    refuse_client(stdin(), stdout(), &wording(&error), tell).await;
    error.kind
}

/// What the client's user reads: message and hint on one line.
fn wording(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
    format!("sshanchor: {}{}", error.message, hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_host_key_is_a_reject_and_a_broken_handshake_a_failure() {
        let host = HostName::parse("web1.example").unwrap();
        let kind = |end: End| broken(&host, &end.into()).kind;
        assert_eq!(kind(End::HostKey(HostKeyError::Base64)), Kind::Rejected);
        assert_eq!(kind(End::HostKey(HostKeyError::Sha1)), Kind::Failure);
        assert_eq!(kind(End::ServerGuess), Kind::Failure);
        let hint = |what| broken(&host, &Cause::Deadline(what)).hint;
        assert_eq!((hint("the client's version"), hint("the server's group").is_some()), (None, true));
    }
}
