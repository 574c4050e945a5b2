//! What russh asks its client while a connection runs: it is told nothing but no.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, Names};
use tokio::sync::oneshot;

use super::probe::ProbeError;

/// What the two sides agreed upon in the first key exchange.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) kex: String,
    /// How the host key signs; of a certificate that of the key in it.
    pub(super) signs_as: String,
    pub(super) strict_kex: bool,
}

/// Longest banner that is kept, in characters of one octet.
const MAX_BANNER: usize = 16 * 1024;

/// What the server said to whoever wants in: hostile text, its beginning alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Banner(Arc<Mutex<String>>);

impl Banner {
    fn add(&self, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_BANNER.saturating_sub(kept.len());
        kept.extend(text.chars().take(room));
    }

    pub(super) fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reports the outcome of the first key exchange, and lets the server open nothing.
#[derive(Debug)]
pub(super) struct Answers {
    agreed: Option<oneshot::Sender<Agreed>>,
    banner: Banner,
}

impl Answers {
    pub(super) fn new(agreed: oneshot::Sender<Agreed>, banner: Banner) -> Self {
        Answers { agreed: Some(agreed), banner }
    }
}

/// russh accepts each kind of channel that a server opens unless it is told otherwise; dropping the reply
/// refuses it, as ssh does. This client asks for none.
macro_rules! refuse {
    ($($kind:ident($($detail:ty),*);)*) => {$(
        async fn $kind(
            &mut self,
            _: Channel<Msg>,
            $(_: $detail,)*
            _: ChannelOpenHandle,
            _: &mut Session,
        ) -> Result<(), ProbeError> {
            Ok(())
        }
    )*};
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
                signs_as: names.key.to_string(),
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

    /// What a server has to say before it lets a user in (RFC 4252 section 5.4).
    async fn auth_banner(&mut self, text: &str, _: &mut Session) -> Result<(), ProbeError> {
        self.banner.add(text);
        Ok(())
    }

    refuse! {
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_agent_forward();
        server_channel_open_session();
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_streamlocal(&str);
        server_channel_open_x11(&str, u32);
    }
}
