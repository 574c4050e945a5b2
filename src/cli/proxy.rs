//! `sshanchor proxy`: an OpenSSH ProxyCommand that checks the key exchange in-line.

mod refusal;
mod target;
mod tunnel;

use std::cell::{Cell, RefCell};
use std::pin::pin;

use tokio::task::{JoinError, JoinHandle};

pub(super) use self::refusal::refuse_with;
use self::refusal::{brief, broken, note, refuse, refuse_host, unreachable, wording};
use self::target::Target;
use self::tunnel::{Tunnel, asked_to_end};
use super::bundle::BundleFile;
use super::private_file::PrivateFile;
use super::{Context, in_grace};
use crate::error::{Error, Kind};
use crate::proto::destination::Destination;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::Presented;
use crate::proto::known_hosts;
use crate::proto::policy::Seen;
use crate::proto::trail::Entry;
use crate::ssh::relay::pass::pass;
use crate::ssh::relay::server::Server;
use crate::ssh::relay::standard::{stdin, stdout};
use crate::ssh::relay::{Cause, Refusal, refuse_client, relay};
use crate::ssh::sibling::{self, Report};
use crate::verifier::{Verifier, accepted, connect_passed, now};

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
    let prepared =
        target.host().and_then(|host| Ok((host, cx.verifier_with(args.bundle.load(cx.timeout)?)?)));
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
                if let (Destination::Name(place), None) = (&target.place, &target.via) {
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
