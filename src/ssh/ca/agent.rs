//! CA keys that ssh-agent holds, for itself or for a token.

use std::path::Path;
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode;
use russh::keys::{HashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Access, CaError};
use crate::proto::hostkey::HostKey;

/// How long somebody may look for a token, its PIN, or the button that consents.
const THINKING: Duration = Duration::from_secs(120);

/// The signature over `octets`, as it stands in certificates.
pub(super) async fn sign(key: &HostKey, octets: &[u8], access: Access<'_>) -> Result<Vec<u8>, CaError> {
    let mut agent = connect(access).await?;
    let public = PublicKey::from_bytes(key.blob()).map_err(|e| CaError::Make(e.to_string()))?;
    // Keys of other types have one signature algorithm, and the agent is not asked for another.
    let signing = agent.sign_request_signature(&public, Some(HashAlg::Sha512), octets);
    let signature = match timeout(THINKING, signing).await {
        Ok(Ok(signature)) => signature,
        Ok(Err(error)) => {
            // The one reason that can be told from others, and mended.
            look(key, access).await?;
            return Err(CaError::AgentRefuses(key.clone(), error.to_string()));
        }
        Err(_) => return Err(CaError::AgentRefuses(key.clone(), "no answer in time".to_owned())),
    };
    signature.encode_vec().map_err(|e| CaError::Sign("ssh-agent".to_owned(), e.to_string()))
}

/// The agent holds `key`.
pub(super) async fn look(key: &HostKey, access: Access<'_>) -> Result<(), CaError> {
    let mut agent = connect(access).await?;
    let held = match timeout(access.patience, agent.request_identities()).await {
        Ok(Ok(held)) => held,
        Ok(Err(error)) => return Err(CaError::NoAgent(socket(access)?.to_owned(), error.to_string())),
        Err(_) => return Err(CaError::NoAgent(socket(access)?.to_owned(), "no answer in time".to_owned())),
    };
    let is_it = |identity: &AgentIdentity| match identity {
        AgentIdentity::PublicKey { key: held, .. } => super::key::public(held).is_ok_and(|held| held == *key),
        AgentIdentity::Certificate { .. } => false,
    };
    match held.iter().any(is_it) {
        true => Ok(()),
        false => Err(CaError::NotHeld(key.clone())),
    }
}

fn socket(access: Access<'_>) -> Result<&Path, CaError> {
    access.agent.ok_or(CaError::NoSocket)
}

async fn connect(access: Access<'_>) -> Result<AgentClient<UnixStream>, CaError> {
    let socket = socket(access)?;
    let trouble = |error: String| CaError::NoAgent(socket.to_owned(), error);
    match timeout(access.patience, UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => Ok(AgentClient::connect(stream)),
        Ok(Err(error)) => Err(trouble(error.to_string())),
        Err(_) => Err(trouble("no answer in time".to_owned())),
    }
}
