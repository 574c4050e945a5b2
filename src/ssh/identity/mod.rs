//! Who a user is to a server: keys in files and in ssh-agent, in the order in which they are offered.
//! Nothing here is sent anywhere before a session asks for it, and a session is verified.

pub(super) mod file;
mod signer;

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PrivateKey};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use self::file::IdentityError;
use self::file::{KeyFile, Named};
pub(super) use self::signer::Signer;

/// How many keys are offered: sshd's MaxAuthTries, after which it ends the connection.
pub const MAX_OFFERS: usize = 6;
/// How many connections to an agent are made at the same time: its queue is short, and an overflow is an error.
const AGENT_CONNECTS: usize = 16;
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
    named: Vec<Arc<Named>>,
    agent: Option<Arc<AgentSocket>>,
    /// Where default key files are looked for, if no key was named.
    folder: Option<Arc<Defaults>>,
    /// For keys in files, beside those that stand next to them.
    certificates: Vec<Certificate>,
    /// What else the agent holds is not offered.
    named_only: bool,
    /// What is wrong with files that need not be there.
    troubles: Vec<String>,
}

/// Which keys are to be tried.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Files that somebody named for this run: one that is no key is an error.
    pub named: &'a [PathBuf],
    /// Files behind them that are tried if they are there, as ssh does with those of its configuration.
    pub configured: &'a [PathBuf],
    /// The default files as well.
    pub has_defaults: bool,
    /// Files of certificates for these keys, beside those that stand next to them.
    pub certificates: &'a [PathBuf],
    /// Where an agent listens.
    pub agent: Option<&'a Path>,
    /// Of what the agent holds, the keys in those files alone.
    pub named_only: bool,
}

/// Where the agent listens.
#[derive(Debug)]
pub(super) struct AgentSocket {
    path: PathBuf,
    connects: Semaphore,
}

/// The default key files of a folder, read when they are first wanted.
#[derive(Debug)]
struct Defaults {
    folder: PathBuf,
    files: OnceLock<(Vec<Named>, Vec<String>)>,
}

/// Where the keys of many hosts' users are: each file is read once, and its passphrase asked for once, however many
/// hosts it is for.
#[derive(Debug)]
pub struct Keyring {
    named: HashMap<PathBuf, Arc<Named>>,
    agents: HashMap<PathBuf, Arc<AgentSocket>>,
    defaults: Option<Arc<Defaults>>,
}

impl Keyring {
    /// With the default key files in `folder` (`~/.ssh`).
    pub fn new(folder: Option<PathBuf>) -> Self {
        let defaults = folder.map(|folder| Defaults { folder, files: OnceLock::new() });
        Keyring { named: HashMap::new(), agents: HashMap::new(), defaults: defaults.map(Arc::new) }
    }

    /// The keys for a host. Files that were named are read here, the agent and the default files when a server is to be
    /// convinced.
    pub fn identities(&mut self, wanted: Wanted<'_>) -> Result<Identities, IdentityError> {
        let mut troubles = Vec::new();
        let mut named = wanted.named.iter().map(|path| self.file(path)).collect::<Result<Vec<_>, _>>()?;
        for path in wanted.configured {
            match self.file(path) {
                Ok(file) => named.push(file),
                Err(error) if error.is_absent() => {}
                Err(error) => troubles.push(error.to_string()),
            }
        }
        let mut certificates = Vec::new();
        for path in wanted.certificates {
            match file::certificate_in(path) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => troubles.push(error.to_string()),
            }
        }
        let agent = wanted.agent.map(|path| {
            let socket = AgentSocket { path: path.to_owned(), connects: Semaphore::new(AGENT_CONNECTS) };
            Arc::clone(self.agents.entry(path.to_owned()).or_insert_with(|| Arc::new(socket)))
        });
        let folder = self.defaults.clone().filter(|_| wanted.has_defaults);
        Ok(Identities { named, agent, folder, certificates, named_only: wanted.named_only, troubles })
    }

    fn file(&mut self, path: &Path) -> Result<Arc<Named>, IdentityError> {
        if let Some(file) = self.named.get(path) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(Named::read(path)?);
        self.named.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

impl Defaults {
    /// The keys, and what is in the way of others.
    fn files(&self) -> &(Vec<Named>, Vec<String>) {
        self.files.get_or_init(|| {
            let (mut files, mut troubles) = (Vec::new(), Vec::new());
            for path in DEFAULTS.map(|name| self.folder.join(name)) {
                match Named::read(&path) {
                    Ok(named) => files.push(named),
                    Err(error) if error.is_absent() => {}
                    Err(error) => troubles.push(error.to_string()),
                }
            }
            (files, troubles)
        })
    }
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
        Keyring::new(folder).identities(Wanted {
            named,
            configured: &[],
            has_defaults: named.is_empty(),
            certificates: &[],
            agent: agent.as_deref(),
            named_only: false,
        })
    }

    /// One key alone, which is at hand.
    pub fn of_key(key: &Arc<PrivateKey>) -> Self {
        Identities {
            named: vec![Arc::new(Named::of_key(key))],
            agent: None,
            folder: None,
            certificates: Vec::new(),
            named_only: false,
            troubles: Vec::new(),
        }
    }

    /// What to offer: named keys, then what else the agent holds, then the default files; of each key its
    /// certificates first. `held` is what the agent holds: it signs for a key that is in a file as well, so that
    /// nobody is asked for its passphrase.
    fn offers(&self, held: &[AgentIdentity], troubles: &mut Vec<String>) -> Vec<Offer> {
        let mut offers = Vec::new();
        troubles.extend_from_slice(&self.troubles);
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
        for identity in held.iter().filter(|_| !self.named_only) {
            add(&mut offers, identity.clone(), Holder::Agent, &agent_name(identity));
        }
        if let Some(defaults) = &self.folder {
            let (files, missed) = defaults.files();
            files.iter().for_each(|named| self.add_named(&mut offers, named, &[]));
            troubles.extend_from_slice(missed);
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
        let further = self.certificates.iter().filter(|certificate| certificate.public_key() == key);
        for certificate in named.certificate.iter().chain(further) {
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
