//! `sshanchor proxy`: an OpenSSH ProxyCommand that checks the key exchange in-line.

mod target;
mod tunnel;

use std::cell::{Cell, RefCell};
use std::pin::pin;

use tokio::task::{JoinError, JoinHandle};

use self::target::Target;
use self::tunnel::{Tunnel, asked_to_end};
use super::bundle::BundleFile;
use super::private_file::PrivateFile;
use super::{BAD_KEY_HINT, Context, handshake_hint, in_grace};
use crate::error::{Error, Kind};
use crate::output::{Output, can_be_read};
use crate::proto::evidence::Evidence;
use crate::proto::handshake::End;
use crate::proto::hostkey::{HostKeyError, Presented};
use crate::proto::known_hosts;
use crate::proto::name::HostName;
use crate::proto::place::Place;
use crate::proto::policy::Seen;
use crate::proto::trail::Entry;
use crate::ssh::relay::pass::pass;
use crate::ssh::relay::server::Server;
use crate::ssh::relay::standard::{stdin, stdout};
use crate::ssh::relay::{Cause, Refusal, refuse_client, relay};
use crate::ssh::sibling::{self, Report};
use crate::verifier::{ProbeFailure, Verifier, accepted, connect_passed, now};

/// Be ssh's ProxyCommand: check the key exchange in-line.
///
/// Connects standard input and output to HOST as an ssh ProxyCommand does, and holds the server's key
/// exchange reply until its host key is proven from DNSSEC. If it is not, the client gets a disconnect
/// with the reason and never sees the reply: no keys are made, no user name or password is sent.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: ssh -o ProxyCommand='sshanchor proxy %h %p' -o StrictHostKeyChecking=yes web1.example.com\n\
    Use %h and %p, not %n. ssh's own checking stays as it is configured; the proxy only adds refusals.\n\n\
    A host at another address or behind a forwarded port (HostKeyAlias: what ssh itself checks):\n  \
    ssh -p 2222 -o HostKeyAlias=web1.example.com \\\n      \
    -o ProxyCommand='sshanchor proxy --identity web1.example.com %h %p' 127.0.0.1\n\n\
    Hosts behind a jump host, in ssh_config (in place of ProxyJump; ssh itself makes % of %%):\n  \
    Host jump.example.com\n      \
    ProxyCommand sshanchor proxy %h %p\n  \
    Host *.example.com\n      \
    ProxyCommand sshanchor proxy --via 'ssh -W [%%h]:%%p jump.example.com' %h %p\n\
    The jump host finds the address; the proof is made here. The ssh of --via goes by the same\n\
    configuration: the first two lines have the jump host verified too, and not sought by itself."
)]
pub(super) struct Args {
    /// The host, as ssh has it: %h. With --identity an address will do
    host: String,
    /// The port: %p
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Whose records must prove the key, if HOST only says where to connect (ssh's HostKeyAlias)
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Connect by this command's standard input and output, such as 'ssh -W [%h]:%p JUMP'
    ///
    /// It is split into words as a shell would (quotes, backslashes), and no shell runs it. Then %h and %p become
    /// HOST and PORT, and %% a percent sign.
    #[arg(long, value_name = "COMMAND")]
    via: Option<String>,
    /// Prove the host even if policy passes it (mode = "pass"), or refuse it: for a client that checks no keys by itself
    #[arg(long)]
    no_pass: bool,
    #[command(flatten)]
    bundle: BundleFile,
    #[command(flatten)]
    private: PrivateFile,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let target = match Target::read(&args) {
        Ok(target) => target,
        Err(error) => {
            note(cx, args.identity.as_deref().unwrap_or(&args.host), args.port, &error);
            return Ok(Some(refuse(cx, error).await));
        }
    };
    let mut tunnel = Tunnel::default();
    let outcome = tokio::select! {
        // Before anything is started: what this process has started ends with it.
        biased;
        () = asked_to_end(target.via.is_some()) => {
            tunnel.stop().await;
            return Ok(Some(Kind::Failure));
        }
        outcome = serve(&args, &target, &mut tunnel, cx) => outcome,
    };
    tunnel.end().await;
    Ok(outcome.err())
}

async fn serve(args: &Args, target: &Target, tunnel: &mut Tunnel, cx: &Context) -> Result<(), Kind> {
    if !args.no_pass && target.is_passed(&cx.policies) {
        return relay_unjudged(target, tunnel, cx).await;
    }
    let prepared = target.host().and_then(|host| Ok((host, cx.verifier_with(args.bundle.load()?)?)));
    let (host, verifier) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(refuse_host(cx, target, error).await),
    };
    // What ssh looks the host up by in known_hosts.
    let looked_up = match &args.identity {
        Some(alias) => alias.to_ascii_lowercase(),
        None => known_hosts::lookup_name(&args.host, args.port),
    };
    // The lookup runs while the way to the server is made and while client and server talk.
    let mut proving = tokio::spawn({
        let (verifier, host, port) = (verifier.clone(), host.clone(), target.port);
        async move { verifier.evidence(&host, port).await }
    });
    let hopeless = |found: &Result<Evidence, Error>| match hopeless(&verifier, found) {
        Some(error) => {
            if let Ok(evidence) = found {
                args.private.clear(&verifier, evidence, &looked_up);
            }
            Err(target.located(error))
        }
        None => Ok(()),
    };
    let (server, early) = match reach(target, tunnel, &verifier, &mut proving, hopeless).await {
        Ok(reached) => reached,
        Err(error) => return Err(refuse_host(cx, target, error).await),
    };
    let voice = tunnel.voice();
    let (refused, noted) = (RefCell::new(None), Cell::new(false));
    let decide = |presented: Presented, seen: Seen, silent: bool| {
        if !silent {
            tell_warnings(cx);
            voice.iter().for_each(|voice| voice.show(tunnel::show(cx.out)));
        }
        let (verifier, refused, noted) = (&verifier, &refused, &noted);
        let (private, looked_up) = (&args.private, &looked_up);
        async move {
            let found = match early {
                Some(found) => found,
                None => joined(proving.await),
            };
            let settled = match found {
                Ok(evidence) => verifier.settle(evidence, &presented, Some(&seen)).await,
                Err(error) => Err(error),
            };
            let accepted = settled.and_then(|(evidence, verdict)| {
                if let Some(age) = evidence.origin().and_then(|origin| origin.age(now()))
                    && !silent
                {
                    cx.out.warn(&in_grace(&host.to_string(), age));
                }
                noted.set(true);
                let written = verifier.note_settled(&evidence, &presented, Some(&seen), &verdict);
                // A refusal without its line is one all the same.
                let accepted = accepted(verdict).and_then(|witness| written.map(|()| witness));
                if let Some(trouble) = cx.trail_trouble().filter(|_| !silent) {
                    cx.out.warn(&trouble);
                }
                match &accepted {
                    Ok(_) => {
                        private.keep(verifier, &evidence, looked_up, presented.key())?;
                        // ssh asks about the key as well, and shows its KnownHostsCommand nothing else.
                        if cx.policies.ask_of_handshakes()
                            && let Err(e) = sibling::tell(&Report::new(presented.key(), seen))
                            && !silent
                        {
                            cx.out.detail(&format!("known-hosts is not told of the handshake: {e}"));
                        }
                    }
                    Err(_) => private.clear(verifier, &evidence, looked_up),
                }
                accepted
            });
            accepted.map_err(|error| {
                // Should another host have its address by now, the next connection finds it.
                if let (Place::Name(place), None) = (&target.place, &target.via) {
                    verifier.forget_addresses(place);
                }
                let error = target.located(error);
                let text = wording(&error);
                refused.replace(Some(error));
                Refusal { text }
            })
        }
    };
    // A handshake that broke off tells its own cause.
    let error =
        |cause: &Cause| refused.borrow().clone().unwrap_or_else(|| target.located(broken(host, cause)));
    let tell = |cause: &Cause| {
        if let Some(voice) = &voice {
            match cause {
                Cause::Program(_) => voice.show_all_but_the_last(tunnel::show(cx.out)),
                _ => voice.show(tunnel::show(cx.out)),
            }
        }
        let error = error(cause);
        cx.out.refusal(&error);
        brief(&error)
    };
    let explain = async |cause: Cause| tunnel.explain(cause).await;
    match relay(stdin(), stdout(), server, verifier.deadline(), decide, explain, tell).await {
        Ok(relayed) => {
            if !relayed.client_is_asyncssh {
                cx.out.detail(&format!("{host}: the host key is {}", relayed.witness.basis()));
            }
            Ok(())
        }
        Err(failed) => {
            let error = error(&failed.cause);
            if !noted.get() {
                note(cx, &target.name(), target.port, &error);
            }
            Err(error.kind)
        }
    }
}

type Proving = JoinHandle<Result<Evidence, Error>>;

/// A way to the server, and what was proven by the time. Nobody waits for a host that could not be accepted anyway.
async fn reach(
    target: &Target,
    tunnel: &mut Tunnel,
    verifier: &Verifier,
    proving: &mut Proving,
    hopeless: impl Fn(&Result<Evidence, Error>) -> Result<(), Error>,
) -> Result<(Server, Option<Result<Evidence, Error>>), Error> {
    if let Some(via) = &target.via {
        let server = tunnel.start(via, target)?;
        // Once the server speaks nothing is gained by waiting.
        let early = tokio::select! {
            found = proving => Some(joined(found)),
            _ = server.readable() => None,
        };
        early.as_ref().map_or(Ok(()), hopeless)?;
        return Ok((server.into(), early));
    }
    let mut connecting = pin!(verifier.connect_to(&target.place, target.port));
    let mut early = None;
    loop {
        tokio::select! {
            connected = &mut connecting => {
                let server = connected.map_err(|failure| target.named(unreachable(failure)))?;
                return Ok((server.into(), early));
            }
            found = &mut *proving, if early.is_none() => {
                let found = joined(found);
                hopeless(&found)?;
                early = Some(found);
            }
        }
    }
}

/// A host that policy passes is nobody's to judge here: ssh checks it as it is configured.
async fn relay_unjudged(target: &Target, tunnel: &mut Tunnel, cx: &Context) -> Result<(), Kind> {
    let passed = format!("{} is not verified, for policy passes it (mode = \"pass\")", target.place);
    if let Some(trail) = &cx.trail {
        let entry = Entry::failed(&target.name(), target.port, Some("unproven"), "pass", &passed);
        if let Err(error) = trail.write(&entry, now()) {
            return Err(refuse(cx, error).await);
        }
    }
    let server = match &target.via {
        Some(via) => tunnel.start(via, target).map(Server::from),
        None => connect_passed(&cx.resolver, cx.timeout, &target.place, target.port)
            .await
            .map(Server::from)
            .map_err(|failure| target.named(unreachable(failure.into()))),
    };
    let server = match server {
        Ok(server) => server,
        Err(error) => return Err(refuse(cx, error).await),
    };
    let (voice, told) = (tunnel.voice(), Cell::new(false));
    let tell = || {
        told.set(true);
        tell_warnings(cx);
        cx.trail_trouble().iter().for_each(|trouble| cx.out.warn(trouble));
        cx.out.detail(&passed);
        voice.iter().for_each(|voice| voice.show(tunnel::show(cx.out)));
    };
    if let Err(e) = pass(stdin(), stdout(), server, tell).await {
        let place = &target.place;
        return Err(refuse(cx, Error::failure("io", format!("cannot relay to {place}: {e}"))).await);
    }
    match tunnel.failure().await {
        None => Ok(()),
        Some(error) if told.get() => {
            cx.out.refusal(&error);
            Err(error.kind)
        }
        // Most likely it ended before the client has named itself, who learns it by a packet.
        Some(error) => {
            refuse_client(stdin(), stdout(), &wording(&error), || None).await;
            Err(error.kind)
        }
    }
}

/// What is wrong with the configuration, once it is known that the client's standard error is a person's.
fn tell_warnings(cx: &Context) {
    cx.warnings.iter().for_each(|warning| cx.out.warn(warning));
}

/// Why there is no connection.
fn unreachable(failure: ProbeFailure) -> Error {
    let hint = match &failure {
        ProbeFailure::Unreachable(why) => why.hint(),
        ProbeFailure::Handshake(error) => handshake_hint::of_probe(error).to_owned(),
    };
    Error::failure("unreachable", failure).hint(hint)
}

/// Why a handshake did not come to a decision.
fn broken(host: &HostName, cause: &Cause) -> Error {
    let message = format!("{host}: {cause}");
    match cause {
        Cause::Program(_) => tunnel::broken(message),
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
        _ => Error::failure("handshake", message).hint(handshake_hint::of_relay(cause)),
    }
}

fn joined(found: Result<Result<Evidence, Error>, JoinError>) -> Result<Evidence, Error> {
    found.unwrap_or_else(|e| Err(Error::failure("internal", format!("the lookup did not finish: {e}"))))
}

/// Why no key whatever could be accepted, if that is so.
fn hopeless(verifier: &Verifier, found: &Result<Evidence, Error>) -> Option<Error> {
    match found {
        Ok(evidence) if verifier.offer(evidence).is_empty() => accepted(verifier.without_key(evidence)).err(),
        Ok(_) => None,
        Err(error) => Some(error.clone()),
    }
}

/// Notes in the trail that there was no verdict by a key; without its line a refusal is one all the same.
fn note(cx: &Context, host: &str, port: u16, error: &Error) {
    if let Some(trail) = &cx.trail {
        let _ = trail.failure(host, port, error, now());
    }
}

/// The same, and tells why.
async fn refuse_host(cx: &Context, target: &Target, error: Error) -> Kind {
    note(cx, &target.name(), target.port, &error);
    refuse(cx, error).await
}

/// Tells the client and the user why there is no connection.
async fn refuse(cx: &Context, error: Error) -> Kind {
    let warnings: Vec<String> = cx.warnings.iter().cloned().chain(cx.trail_trouble()).collect();
    refuse_with(cx.out, &warnings, error).await
}

/// The same where nothing more than the error is known.
pub(super) async fn refuse_with(out: Output, warnings: &[String], error: Error) -> Kind {
    let tell = || {
        warnings.iter().for_each(|warning| out.warn(warning));
        out.refusal(&error);
        brief(&error)
    };
    refuse_client(stdin(), stdout(), &wording(&error), tell).await;
    error.kind
}

/// What is left to be told by packet to a user who can read standard error: no hint twice.
fn brief(error: &Error) -> Option<String> {
    can_be_read().then(|| format!("sshanchor: {}", error.message))
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
