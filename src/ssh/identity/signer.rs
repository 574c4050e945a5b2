//! Signatures by ssh-agent or by a key in a file, once a server has said that it takes the key.

use std::sync::Arc;
use std::time::Duration;

use russh::SendError;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey, ssh_key};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::{AgentSocket, Ask, Holder, Identities, Offer};

/// How long somebody may look for a passphrase: sshd's LoginGraceTime.
const THINKING: Duration = Duration::from_secs(120);

/// Signs for one server.
pub(in super::super) struct Signer<'a> {
    identities: &'a Identities,
    ask: &'a dyn Ask,
    agent: Option<AgentClient<UnixStream>>,
    /// When to give up; later by the time that somebody took to be asked.
    pub(in super::super) deadline: Instant,
    /// Who signs for the key that is being offered.
    pub(in super::super) holder: Holder,
    /// What was in the way of keys.
    pub(in super::super) troubles: Vec<String>,
}

/// There is no signature.
#[derive(Debug)]
pub(in super::super) struct NotSigned;

impl From<SendError> for NotSigned {
    fn from(_: SendError) -> Self {
        NotSigned
    }
}

impl Identities {
    /// For the server of `binding`: an agent is told whose server it signs for, as ssh does, so that keys that are
    /// bound to hosts stay there.
    pub(in super::super) async fn signer<'a>(
        &'a self,
        ask: &'a dyn Ask,
        binding: Option<&AgentSessionBinding>,
        deadline: Instant,
    ) -> Signer<'a> {
        let mut troubles = Vec::new();
        // A silent agent is not to take all the time: there may be files.
        let patience = deadline - deadline.saturating_duration_since(Instant::now()) / 2;
        let agent = match &self.agent {
            None => None,
            Some(socket) => match timeout_at(patience, connect(socket, binding)).await {
                Ok(Ok(agent)) => Some(agent),
                Ok(Err(error)) => {
                    troubles.push(format!("no ssh-agent at {}: {error}", socket.path.display()));
                    None
                }
                Err(_) => {
                    troubles.push(format!("ssh-agent at {} did not answer in time", socket.path.display()));
                    None
                }
            },
        };
        Signer { identities: self, ask, agent, deadline, holder: Holder::Agent, troubles }
    }
}

async fn connect(
    socket: &AgentSocket,
    binding: Option<&AgentSessionBinding>,
) -> std::io::Result<AgentClient<UnixStream>> {
    // Until it has taken the connection, which its first answer shows: its queue is for more than these.
    let _permit = socket.connects.acquire().await.map_err(std::io::Error::other)?;
    let mut agent = AgentClient::connect(UnixStream::connect(&socket.path).await?);
    if let Some(binding) = binding {
        // An agent that does not know how has no keys that are bound.
        let _ = agent.bind_session(binding, false).await;
    }
    Ok(agent)
}

impl Signer<'_> {
    /// What to offer to the server, in this order.
    pub(in super::super) async fn offers(&mut self) -> Vec<Offer> {
        let held = match &mut self.agent {
            None => Vec::new(),
            Some(agent) => match timeout_at(self.deadline, agent.request_identities()).await {
                Ok(Ok(held)) => held,
                Ok(Err(error)) => {
                    self.troubles.push(format!("ssh-agent does not tell its keys: {error}"));
                    Vec::new()
                }
                Err(_) => {
                    self.troubles.push("ssh-agent did not tell its keys in time".to_owned());
                    Vec::new()
                }
            },
        };
        self.identities.offers(&held, &mut self.troubles)
    }

    /// How long to wait for the outcome of `offer`.
    pub(in super::super) fn patience(&self, offer: &Offer) -> Instant {
        match &offer.holder {
            Holder::File(file) if file.is_locked() => self.deadline + THINKING,
            _ => self.deadline,
        }
    }

    async fn sign(
        &mut self,
        shown: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        match (&self.holder, &mut self.agent) {
            (Holder::File(file), _) => {
                let before = Instant::now();
                let key = file.unlock(self.ask).await;
                self.deadline += before.elapsed();
                let key = key?;
                signed(&key, hash, to_sign).map_err(|error| format!("{}: {error}", file.path.display()))
            }
            (Holder::Agent, Some(agent)) => {
                let refused = |error| format!("ssh-agent does not sign: {error}");
                // As ssh: an agent signs for the key; who asks adds the certificate.
                let plain = AgentIdentity::from(shown.public_key().into_owned());
                match agent.sign_request(shown, hash, to_sign.clone()).await {
                    Err(_) if matches!(shown, AgentIdentity::Certificate { .. }) => {
                        agent.sign_request(&plain, hash, to_sign).await.map_err(refused)
                    }
                    outcome => outcome.map_err(refused),
                }
            }
            (Holder::Agent, None) => Err("there is no ssh-agent".to_owned()),
        }
    }
}

impl russh::Signer for Signer<'_> {
    type Error = NotSigned;

    async fn auth_sign(
        &mut self,
        shown: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, NotSigned> {
        self.sign(shown, hash, to_sign).await.map_err(|trouble| {
            self.troubles.push(trouble);
            NotSigned
        })
    }
}

/// What was to be signed, with its signature (RFC 4252 section 7).
fn signed(key: &Arc<PrivateKey>, hash: Option<HashAlg>, mut data: Vec<u8>) -> ssh_key::Result<Vec<u8>> {
    let signature: ssh_key::Signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(&data)?,
        pair => pair.try_sign(&data)?,
    };
    signature.encode_vec()?.encode(&mut data)?;
    Ok(data)
}
