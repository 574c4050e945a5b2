//! `sshanchor proxy`: an OpenSSH ProxyCommand that checks the key exchange in-line.

mod judge;
mod refusal;
mod target;
mod tunnel;

use std::cell::Cell;
use std::pin::pin;

use tokio::task::{JoinError, JoinHandle};

use self::judge::Judge;
pub(super) use self::refusal::refuse_with;
use self::refusal::{brief, note, refuse, refuse_host, unreachable, wording};
use self::target::Target;
use self::tunnel::{Tunnel, asked_to_end};
use super::Context;
use super::bundle::BundleFile;
use super::private_file::PrivateFile;
use crate::error::{Error, Kind};
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::Presented;
use crate::proto::known_hosts;
use crate::proto::policy::Seen;
use crate::proto::trail::Entry;
use crate::ssh::relay::pass::pass;
use crate::ssh::relay::server::Server;
use crate::ssh::relay::standard::{stdin, stdout};
use crate::ssh::relay::{Cause, refuse_client, relay};
use crate::verifier::{connect_passed, now};

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
    let looked_up = match &args.identity {
        Some(alias) => alias.to_ascii_lowercase(),
        None => known_hosts::lookup_name(&args.host, args.port),
    };
    // The lookup runs while the way to the server is made and while client and server talk.
    let mut proving = tokio::spawn({
        let (verifier, host, port) = (verifier.clone(), host.clone(), target.port);
        async move { verifier.evidence(&host, port).await }
    });
    let judge = &Judge::new(cx, target, host, verifier, &args.private, looked_up);
    let (server, early) = match reach(judge, tunnel, &mut proving).await {
        Ok(reached) => reached,
        Err(error) => return Err(refuse_host(cx, target, error).await),
    };
    let voice = tunnel.voice();
    let decide = |presented: Presented, seen: Seen, silent: bool| {
        if !silent {
            tell_warnings(cx);
            voice.iter().for_each(|voice| voice.show(tunnel::show(cx.out)));
        }
        async move {
            let found = match early {
                Some(found) => found,
                None => joined(proving.await),
            };
            judge.judge(found, &presented, seen, silent).await
        }
    };
    let tell = |cause: &Cause| {
        if let Some(voice) = &voice {
            match cause {
                Cause::Program(_) => voice.show_all_but_the_last(tunnel::show(cx.out)),
                _ => voice.show(tunnel::show(cx.out)),
            }
        }
        let error = judge.error(cause);
        cx.out.refusal(&error);
        brief(&error)
    };
    let explain = async |cause: Cause| tunnel.explain(cause).await;
    match relay(stdin(), stdout(), server, judge.verifier.deadline(), decide, explain, tell).await {
        Ok(relayed) => {
            if !relayed.client_is_asyncssh {
                cx.out.detail(&format!("{host}: the host key is {}", relayed.witness.basis()));
            }
            Ok(())
        }
        Err(failed) => Err(judge.failed(&failed.cause)),
    }
}

type Proving = JoinHandle<Result<Evidence, Error>>;

/// A way to the server, and what was proven by the time. Nobody waits for a host that could not be accepted anyway.
async fn reach(
    judge: &Judge<'_>,
    tunnel: &mut Tunnel,
    proving: &mut Proving,
) -> Result<(Server, Option<Result<Evidence, Error>>), Error> {
    let target = judge.target;
    if let Some(via) = &target.via {
        let server = tunnel.start(via, target)?;
        // Once the server speaks nothing is gained by waiting.
        let early = tokio::select! {
            found = proving => Some(joined(found)),
            _ = server.readable() => None,
        };
        early.as_ref().map_or(Ok(()), |found| judge.gives_hope(found))?;
        return Ok((server.into(), early));
    }
    let mut connecting = pin!(judge.verifier.connect_to(&target.place, target.port));
    let mut early = None;
    loop {
        tokio::select! {
            connected = &mut connecting => {
                let server = connected.map_err(|failure| target.named(unreachable(failure)))?;
                return Ok((server.into(), early));
            }
            found = &mut *proving, if early.is_none() => {
                let found = joined(found);
                judge.gives_hope(&found)?;
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
