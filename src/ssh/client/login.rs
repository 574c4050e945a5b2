//! A user's way in: public keys, one after the other (RFC 4252 section 7). Nothing else is offered, for
//! nobody is there to be asked for a password.

use russh::client::AuthResult;
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::{MethodKind, MethodSet};
use tokio::time::Instant;

use super::super::identity::{Ask, Identities, Offer, Signer};
use super::super::probe::ProbeError;
use super::{Session, SessionError, within};

/// The server does not let a user in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", denial(user, tried), takes(methods))]
pub struct Denied {
    /// Who wants in.
    pub user: String,
    /// The keys that were offered.
    pub tried: Vec<String>,
    /// The methods that the server would go on with, of those that are known here.
    pub methods: Vec<&'static str>,
    /// What was in the way of other keys.
    pub troubles: Vec<String>,
}

fn denial(user: &str, keys: &[String]) -> String {
    match keys {
        [] => format!("the server wants a key of {user}, and there is none to offer"),
        keys => format!("the server does not let {user} in with {}", keys.join(", ")),
    }
}

fn takes(methods: &[&str]) -> String {
    match methods {
        [] => String::new(),
        methods => format!(" (it would take: {})", methods.join(", ")),
    }
}

impl Session {
    /// Lets `user` in with one of `identities`. Only here is the agent asked for its keys, and `ask` for the
    /// passphrase of a key that the server takes. Gives the deadline, later by the time that took.
    pub async fn log_in(
        &mut self,
        user: &str,
        identities: &Identities,
        ask: &dyn Ask,
        deadline: Instant,
    ) -> Result<Instant, SessionError> {
        let mut signer = identities.signer(ask, self.handle.agent_session_binding(), deadline).await;
        let offers = signer.offers().await;
        let mut denied =
            Denied { user: user.to_owned(), tried: Vec::new(), methods: Vec::new(), troubles: Vec::new() };
        if offers.is_empty() {
            // Tells the methods; a server that asks for nothing lets in.
            let result = within(deadline, self.handle.authenticate_none(user)).await?;
            if self.is_in(result, &mut denied).await? {
                return Ok(signer.deadline);
            }
        }
        for offer in offers {
            match self.offer(user, &offer, &mut signer).await? {
                None => {}
                Some(result) => {
                    denied.tried.push(offer.name.clone());
                    match self.is_in(result, &mut denied).await {
                        Ok(true) => return Ok(signer.deadline),
                        Ok(false) => {}
                        // As sshd does after MaxAuthTries.
                        Err(SessionError::Connection(why @ ProbeError::Disconnected(_))) => {
                            denied.troubles.push(why.to_string());
                            break;
                        }
                        Err(error) => return Err(error),
                    }
                    if !denied.methods.contains(&<&str>::from(&MethodKind::PublicKey)) {
                        break;
                    }
                }
            }
        }
        denied.troubles.append(&mut signer.troubles);
        Err(denied.into())
    }

    /// One key; none if it was not to be had after all.
    async fn offer(
        &mut self,
        user: &str,
        offer: &Offer,
        signer: &mut Signer<'_>,
    ) -> Result<Option<AuthResult>, SessionError> {
        let hash = match offer.is_rsa() {
            false => None,
            true => match within(signer.deadline, self.handle.best_supported_rsa_hash()).await? {
                Some(None) => {
                    signer
                        .troubles
                        .push(format!("{}: the server takes RSA keys with SHA-1 alone", offer.name));
                    return Ok(None);
                }
                Some(hash) => hash,
                // RFC 8332: servers that do not tell may well take it.
                None => Some(HashAlg::Sha512),
            },
        };
        signer.holder = offer.holder.clone();
        let patience = signer.patience(offer);
        let handle = &mut self.handle;
        let asking = async {
            match &offer.shown {
                AgentIdentity::PublicKey { key, .. } => {
                    handle.authenticate_publickey_with(user, key.clone(), hash, signer).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    handle.authenticate_certificate_with(user, certificate.clone(), hash, signer).await
                }
            }
        };
        match tokio::time::timeout_at(patience, asking).await {
            Err(_) => Err(SessionError::Timeout),
            Ok(Ok(result)) => Ok(Some(result)),
            // The signer has told why there is no signature.
            Ok(Err(_)) => Ok(None),
        }
    }

    /// Whether the server lets in; what it would take else.
    async fn is_in(&mut self, result: AuthResult, denied: &mut Denied) -> Result<bool, SessionError> {
        let AuthResult::Failure { remaining_methods, .. } = result else { return Ok(true) };
        // russh says the same of a connection that ended.
        if remaining_methods.is_empty() {
            return match self.lost().await {
                // The server has nothing more to offer, and russh ends the connection.
                ProbeError::Protocol(_) => {
                    denied.methods.clear();
                    Ok(false)
                }
                why => Err(why.into()),
            };
        }
        denied.methods = names(&remaining_methods);
        Ok(false)
    }
}

fn names(methods: &MethodSet) -> Vec<&'static str> {
    methods.iter().map(<&str>::from).collect()
}
