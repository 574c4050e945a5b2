//! The hosts that let everybody in, and on which every command ends well and at once: by russh, as a server.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{self, Auth, ChannelOpenHandle, Config, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Error, SshId};
use tokio::net::TcpStream;

/// One connection to the host whose key this is the seed of. Errors are the client's going away.
pub async fn serve(stream: TcpStream, seed: &[u8; 32]) {
    let config = Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-simulated")),
        auth_rejection_time: Duration::ZERO,
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(seed))],
        nodelay: true,
        ..Config::default()
    };
    if let Ok(session) = server::run_stream(Arc::new(config), stream, Guest).await {
        let _ = session.await;
    }
}

struct Guest;

impl server::Handler for Guest {
    type Error = Error;

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, Error> {
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        session.channel_success(channel)?;
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
