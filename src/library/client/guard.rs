//! A handler around another one, which hears of nothing until the host's key is accepted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handle, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure, Names, Sig};

use super::Error;
use crate::library::{Refusal, Verifier};
use crate::proto::certificate::SUFFIX;
use crate::proto::hostkey::{HostKeyError, Presented};
use crate::proto::name::HostName;
use crate::proto::policy::Seen;
use crate::proto::verdict::Anchored;
use crate::ssh::probe::is_signed_as;

/// What came of the host's key: known to the handler, and to whoever made it.
#[derive(Debug, Clone)]
pub struct Outcome(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unknown,
    /// The key is accepted; whether it is one for the algorithm that was agreed upon is known when the exchange ends.
    Accepted(Box<(Presented, Anchored)>),
    /// It is. How the key signs.
    Agreed(Box<(Presented, Anchored)>, String),
    Refused(Refusal),
}

/// A [`Handler`] that asks a [`Verifier`] for its verdict on the host's key, and hands everything that follows an accept
/// to the handler inside. That one is never asked about the key (its `check_server_key` is not called), and until the
/// accept it hears of nothing.
#[derive(Debug)]
pub struct Guarded<H> {
    verifier: Verifier,
    host: HostName,
    port: u16,
    outcome: Outcome,
    /// Until the accept, where whoever made this may take it back.
    waiting: Waiting<H>,
    inner: Option<H>,
    /// Policy asks for more than the key, which is known when the exchange ends.
    asks_for_more: bool,
}

/// Where a handler waits for the accept.
pub(super) type Waiting<H> = Arc<Mutex<Option<H>>>;

/// Puts `handler` behind the verdict on the key that `host` shows on `port`.
///
/// For those who make the connection themselves; [`connect`](super::connect) does all of it. The rest is theirs: to offer
/// what may be accepted ([`Expected::narrow`](crate::Expected::narrow)), a deadline, and [`Outcome::confirm`] before
/// anybody logs in.
pub fn guard<H: Handler>(
    verifier: &Verifier,
    host: &HostName,
    port: u16,
    handler: H,
) -> (Guarded<H>, Outcome) {
    let (guarded, outcome, _) = waiting(verifier, host, port, handler);
    (guarded, outcome)
}

/// The same, with a way to have the handler back that was never used.
pub(super) fn waiting<H: Handler>(
    verifier: &Verifier,
    host: &HostName,
    port: u16,
    handler: H,
) -> (Guarded<H>, Outcome, Waiting<H>) {
    let (outcome, waiting) = (Outcome(Arc::default()), Arc::new(Mutex::new(Some(handler))));
    let guarded = Guarded {
        verifier: verifier.clone(),
        host: host.clone(),
        port,
        outcome: outcome.clone(),
        waiting: waiting.clone(),
        inner: None,
        asks_for_more: false,
    };
    (guarded, outcome, waiting)
}

pub(super) fn take<H>(waiting: &Waiting<H>) -> Option<H> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Outcome {
    /// Why the key was not accepted, if it was not.
    pub fn refusal(&self) -> Option<Refusal> {
        match &*self.lock() {
            State::Refused(refusal) => Some(refusal.clone()),
            State::Unknown | State::Accepted(_) | State::Agreed(..) => None,
        }
    }

    /// The witness that the host at the other end of `handle` was accepted.
    ///
    /// What russh shows a handler is a key that it has parsed, and leniently. Here the very octets that went into the
    /// exchange hash are read, strictly: that they are this key and nothing else, and that the signature is of the
    /// algorithm that was agreed upon, never one with SHA-1.
    ///
    /// # Errors
    /// They are not, or the handle is of another connection: drop it.
    pub fn confirm<H: Handler>(&self, handle: &Handle<Guarded<H>>) -> Result<Anchored, Refusal> {
        let (accepted, signs_as) = match &*self.lock() {
            State::Agreed(accepted, signs_as) => (accepted.clone(), signs_as.clone()),
            State::Refused(refusal) => return Err(refusal.clone()),
            State::Unknown | State::Accepted(_) => return Err(Refusal::NoKey),
        };
        let (presented, anchored) = *accepted;
        let signed = handle.agent_session_binding().ok_or(Refusal::NoKey)?;
        let octets = Presented::from_blob(signed.host_key(), &algorithm(&presented, &signs_as))?;
        if octets != presented {
            let name = presented.key().key_type().name().to_owned();
            return Err(HostKeyError::Malformed(name, "another one was judged").into());
        }
        is_signed_as(signed, &signs_as)
            .map_err(|signed| Refusal::SignatureAlgorithm { signed, agreed: signs_as })?;
        Ok(anchored)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse<E>(&self, refusal: Refusal) -> Error<E> {
        *self.lock() = State::Refused(refusal.clone());
        Error::Refused(refusal)
    }
}

/// The host key algorithm that was agreed upon, of which russh tells how the plain key signs.
fn algorithm(presented: &Presented, signs_as: &str) -> String {
    let suffix = if presented.certificate().is_some() { SUFFIX } else { "" };
    format!("{signs_as}{suffix}")
}

/// The key is one for the algorithm that was agreed upon, which is none with SHA-1.
fn check_type(presented: &Presented, signs_as: &str) -> Result<(), HostKeyError> {
    let blob = presented.certificate().map_or(presented.key().blob(), |certificate| certificate.blob());
    Presented::from_blob(blob, &algorithm(presented, signs_as)).map(drop)
}

/// A server's version line, as far as it is printable ASCII.
fn version(line: &[u8]) -> String {
    let printable = line.iter().take_while(|octet| (b' '..=b'~').contains(octet));
    printable.map(|octet| char::from(*octet)).collect()
}

/// What is handed on once the key is accepted. Nothing else may come before, and russh's own answers to a server that
/// opens a channel would be yes: dropping the reply is no.
macro_rules! hand_on {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {$(
        async fn $name(&mut self, $($argument: $type,)* session: &mut Session) -> Result<(), Self::Error> {
            match &mut self.inner {
                Some(inner) => inner.$name($($argument,)* session).await.map_err(Error::Handler),
                None => Ok(()),
            }
        }
    )*};
}

impl<H: Handler> Handler for Guarded<H> {
    type Error = Error<H::Error>;

    /// The verdict. russh has verified by now that the server signed the exchange with this key.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let presented = Presented::try_from(key).map_err(|e| self.outcome.refuse(e.into()))?;
        let (verdict, is_all) = self.verifier.verdict_on_key(&self.host, self.port, &presented).await;
        let anchored = verdict.accepted().map_err(|refusal| self.outcome.refuse(refusal))?;
        self.asks_for_more = !is_all;
        *self.outcome.lock() = State::Accepted(Box::new((presented, anchored)));
        Ok(true)
    }

    /// The first exchange ends with what was agreed upon; no key exchange lets a server by without a verdict.
    async fn kex_done(
        &mut self,
        shared_secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.inner.is_none() {
            let state = std::mem::take(&mut *self.outcome.lock());
            let State::Accepted(mut accepted) = state else {
                return Err(self.outcome.refuse(match state {
                    State::Refused(refusal) => refusal,
                    _ => Refusal::NoKey,
                }));
            };
            let signs_as = names.key.to_string();
            check_type(&accepted.0, &signs_as).map_err(|e| self.outcome.refuse(e.into()))?;
            if self.asks_for_more {
                let seen = Seen {
                    kex: names.kex.as_ref().to_owned(),
                    strict_client: true,
                    strict_server: names.strict_kex(),
                    server_version: version(session.remote_sshid()),
                };
                let verdict = self.verifier.verdict_on(&self.host, self.port, &accepted.0, &seen).await;
                accepted.1 = verdict.accepted().map_err(|refusal| self.outcome.refuse(refusal))?;
            }
            self.inner = take(&self.waiting);
            *self.outcome.lock() = State::Agreed(accepted, signs_as);
        }
        match &mut self.inner {
            Some(inner) => inner.kex_done(shared_secret, names, session).await.map_err(Error::Handler),
            None => Err(self.outcome.refuse(Refusal::NoKey)),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        match (&mut self.inner, reason) {
            (Some(inner), DisconnectReason::ReceivedDisconnect(info)) => {
                inner.disconnected(DisconnectReason::ReceivedDisconnect(info)).await.map_err(Error::Handler)
            }
            (Some(inner), DisconnectReason::Error(error)) => inner
                .disconnected(DisconnectReason::Error(error.into_handlers()))
                .await
                .map_err(Error::Handler),
            (None, DisconnectReason::ReceivedDisconnect(_)) => Ok(()),
            (None, DisconnectReason::Error(error)) => Err(error),
        }
    }

    async fn should_accept_unknown_server_channel(&mut self, id: ChannelId, channel_type: &str) -> bool {
        match &mut self.inner {
            Some(inner) => inner.should_accept_unknown_server_channel(id, channel_type).await,
            None => false,
        }
    }

    fn adjust_window(&mut self, channel: ChannelId, window: u32) -> u32 {
        self.inner.as_mut().map_or(window, |inner| inner.adjust_window(channel, window))
    }

    hand_on! {
        auth_banner(banner: &str);
        channel_open_confirmation(id: ChannelId, max_packet_size: u32, window_size: u32);
        channel_success(channel: ChannelId);
        channel_failure(channel: ChannelId);
        channel_close(channel: ChannelId);
        channel_eof(channel: ChannelId);
        channel_open_failure(channel: ChannelId, reason: ChannelOpenFailure, description: &str, language: &str);
        server_channel_open_forwarded_tcpip(channel: Channel<Msg>, connected_address: &str, connected_port: u32, originator_address: &str, originator_port: u32, reply: ChannelOpenHandle);
        server_channel_open_forwarded_streamlocal(channel: Channel<Msg>, socket_path: &str, reply: ChannelOpenHandle);
        server_channel_open_agent_forward(channel: Channel<Msg>, reply: ChannelOpenHandle);
        server_channel_open_unknown(channel: Channel<Msg>, reply: ChannelOpenHandle);
        server_channel_open_session(channel: Channel<Msg>, reply: ChannelOpenHandle);
        server_channel_open_direct_tcpip(channel: Channel<Msg>, host_to_connect: &str, port_to_connect: u32, originator_address: &str, originator_port: u32, reply: ChannelOpenHandle);
        server_channel_open_direct_streamlocal(channel: Channel<Msg>, socket_path: &str, reply: ChannelOpenHandle);
        server_channel_open_x11(channel: Channel<Msg>, originator_address: &str, originator_port: u32, reply: ChannelOpenHandle);
        data(channel: ChannelId, data: &[u8]);
        extended_data(channel: ChannelId, ext: u32, data: &[u8]);
        xon_xoff(channel: ChannelId, client_can_do: bool);
        exit_status(channel: ChannelId, exit_status: u32);
        exit_signal(channel: ChannelId, signal_name: Sig, core_dumped: bool, error_message: &str, lang_tag: &str);
        window_adjusted(channel: ChannelId, new_size: u32);
        openssh_ext_host_keys_announced(keys: Vec<PublicKey>);
    }
}
