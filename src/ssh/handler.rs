//! What russh asks its client while a connection runs: it is told nothing but no.

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, Names};
use tokio::sync::oneshot;

use super::probe::ProbeError;

/// What the two sides agreed upon in the first key exchange.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) kex: String,
    pub(super) key_algorithm: String,
    pub(super) strict_kex: bool,
}

/// Reports the outcome of the first key exchange, and lets the server open nothing.
#[derive(Debug)]
pub(super) struct Answers {
    agreed: Option<oneshot::Sender<Agreed>>,
}

impl Answers {
    pub(super) fn new(agreed: oneshot::Sender<Agreed>) -> Self {
        Answers { agreed: Some(agreed) }
    }
}

impl Handler for Answers {
    type Error = ProbeError;

    /// Not the verdict: russh has no raw key here. The caller of `probe::exchange` judges the raw
    /// octets, and nothing but the end of the exchange has been sent until it did.
    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, ProbeError> {
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), ProbeError> {
        if let Some(agreed) = self.agreed.take() {
            let _ = agreed.send(Agreed {
                kex: names.kex.as_ref().to_owned(),
                key_algorithm: names.key.to_string(),
                strict_kex: names.strict_kex(),
            });
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<ProbeError>) -> Result<(), ProbeError> {
        Err(match reason {
            DisconnectReason::ReceivedDisconnect(info) => ProbeError::disconnected(&info.message),
            DisconnectReason::Error(error) => error,
        })
    }

    // russh accepts channels that a server opens unless it is told otherwise; this client asks for none.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ProbeError> {
        Err(unasked())
    }
}

fn unasked() -> ProbeError {
    ProbeError::Protocol("the server opened a channel that nobody asked for".into())
}
