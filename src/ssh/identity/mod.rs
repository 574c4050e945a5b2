//! Who a user is to a server: keys in files and in ssh-agent, in the order in which they are offered.
//! Nothing here is sent anywhere before a session asks for it, and a session is verified.

pub(super) mod file;
mod signer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

pub use self::file::IdentityError;
use self::file::{KeyFile, Named};
pub(super) use self::signer::Signer;

/// How many keys are offered: sshd's MaxAuthTries, after which it ends the connection.
pub const MAX_OFFERS: usize = 6;
/// Files that ssh looks for in `~/.ssh`, of the types that are still made by default.
const DEFAULTS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// Somebody who knows passphrases.
pub trait Ask: Send + Sync {
    /// The passphrase of the key in this file; none if nobody is there to be asked.
    fn passphrase<'a>(
        &'a self,
        file: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Option<Zeroizing<String>>> + Send + 'a>>;
}

/// Nobody is there.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Ask for Nobody {
    fn passphrase<'a>(
        &'a self,
        _: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Option<Zeroizing<String>>> + Send + 'a>> {
        Box::pin(std::future::ready(None))
    }
}

/// The keys of a user, for one host or for many.
#[derive(Debug)]
pub struct Identities {
    named: Vec<Named>,
    agent: Option<PathBuf>,
    /// Where default key files are looked for, if no key was named.
    folder: Option<PathBuf>,
}

/// What is offered to a server: a public key or a certificate, and who can sign for it.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) shown: AgentIdentity,
    pub(super) holder: Holder,
    /// For people: a file, or the agent's comment.
    pub(super) name: String,
}

/// Who has the private key.
#[derive(Debug, Clone)]
pub(super) enum Holder {
    Agent,
    File(Arc<KeyFile>),
}

impl Offer {
    pub(super) fn is_rsa(&self) -> bool {
        matches!(self.shown.public_key().algorithm(), Algorithm::Rsa { .. })
    }
}

impl Identities {
    /// The key files `named`, in this order, and the agent that listens at `agent`. Where none is named, those
    /// in `folder` (`~/.ssh`) that ssh would use. Named files are read here, the agent and the others when a
    /// server is to be convinced.
    pub fn new(
        named: &[PathBuf],
        agent: Option<PathBuf>,
        folder: Option<PathBuf>,
    ) -> Result<Self, IdentityError> {
        let named = named.iter().map(|path| Named::read(path)).collect::<Result<Vec<_>, _>>()?;
        let folder = folder.filter(|_| named.is_empty());
        Ok(Identities { named, agent, folder })
    }

    /// One key alone, which is at hand.
    pub fn of_key(key: &Arc<PrivateKey>) -> Self {
        Identities { named: vec![Named::of_key(key)], agent: None, folder: None }
    }

    /// What to offer: named keys, then what else the agent holds, then the default files; of each key its
    /// certificates first. `held` is what the agent holds: it signs for a key that is in a file as well, so that
    /// nobody is asked for its passphrase.
    fn offers(&self, held: &[AgentIdentity], troubles: &mut Vec<String>) -> Vec<Offer> {
        let mut offers = Vec::new();
        for named in &self.named {
            let before = offers.len();
            self.add_named(&mut offers, named, held);
            if offers.len() == before {
                let why = match self.agent {
                    Some(_) => "ssh-agent does not hold its private key",
                    None => "it is a public key, and there is no ssh-agent that could hold the private one",
                };
                let file = named.path.display();
                troubles.push(format!("{file}: {why}: name the file of the private key, or ssh-add it"));
            }
        }
        for identity in held {
            add(&mut offers, identity.clone(), Holder::Agent, &agent_name(identity));
        }
        for path in self.folder.iter().flat_map(|folder| DEFAULTS.map(|name| folder.join(name))) {
            match Named::read(&path) {
                Ok(named) => self.add_named(&mut offers, &named, &[]),
                Err(error) if error.is_absent() => {}
                Err(error) => troubles.push(error.to_string()),
            }
        }
        let left_out = offers.len().saturating_sub(MAX_OFFERS);
        if left_out > 0 {
            troubles.push(format!("{left_out} more keys were not offered: name the one to use with -i"));
            offers.truncate(MAX_OFFERS);
        }
        offers
    }

    fn add_named(&self, offers: &mut Vec<Offer>, named: &Named, held: &[AgentIdentity]) {
        let (key, name) = (named.public.key_data(), named.path.display().to_string());
        let mut of_agent: Vec<_> = held.iter().filter(|i| i.public_key().key_data() == key).collect();
        of_agent.sort_by_key(|identity| matches!(identity, AgentIdentity::PublicKey { .. }));
        let holder = match (&named.private, of_agent.is_empty()) {
            (_, false) => Holder::Agent,
            (Some(file), true) => Holder::File(Arc::clone(file)),
            (None, true) => return,
        };
        if let Some(certificate) = &named.certificate {
            add(offers, certificate.clone().into(), holder.clone(), &name);
        }
        for identity in of_agent {
            add(offers, identity.clone(), Holder::Agent, &name);
        }
        add(offers, named.public.clone().into(), holder, &name);
    }
}

/// Unless it is there already.
fn add(offers: &mut Vec<Offer>, shown: AgentIdentity, holder: Holder, name: &str) {
    let same = |a: &AgentIdentity, b: &AgentIdentity| match (a, b) {
        (AgentIdentity::PublicKey { key: a, .. }, AgentIdentity::PublicKey { key: b, .. }) => {
            a.key_data() == b.key_data()
        }
        (
            AgentIdentity::Certificate { certificate: a, .. },
            AgentIdentity::Certificate { certificate: b, .. },
        ) => a == b,
        _ => false,
    };
    let is_usable = !matches!(shown.public_key().key_data(), KeyData::Dsa(_) | KeyData::Other(_));
    if is_usable && !offers.iter().any(|offer| same(&offer.shown, &shown)) {
        offers.push(Offer { shown, holder, name: name.to_owned() });
    }
}

fn agent_name(identity: &AgentIdentity) -> String {
    let algorithm = identity.public_key().algorithm();
    match identity.comment() {
        "" => format!("the agent's {algorithm} key"),
        comment => format!("the agent's {algorithm} key {comment}"),
    }
}
