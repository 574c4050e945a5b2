//! A CA of one's own, in a folder: what it is (`ca.json`), its key where that is in a file, and what it has done
//! (`journal.jsonl`). The folder is this user's alone.
//!
//! A certificate leaves in this order: signed, read anew and verified, written to the journal, synced to the disk,
//! given to the caller. So whatever is about stands in the journal.

mod agent;
mod error;
mod journal;
mod key;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::identity::Ask;
use super::identity::file::{KeyFile, Named};
use crate::files;
use crate::ownership::Folder;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::issuance::{
    self, Authority, AuthorityError, Holder, Issued, KeyDigest, Randomness, Refusal, Request,
};
use crate::proto::name::HostName;

pub use self::error::CaError;
pub use self::journal::{Entries, Journal};
pub use self::key::NewKey;

const DESCRIPTION: &str = "ca.json";
const LOCK: &str = "lock";
/// Held for as long as a roll takes steps, while others sign.
const ROLL_LOCK: &str = "roll.lock";
/// The private key in the folder; further ones get a number, so that none is ever renamed.
const KEY: &str = "ca_key";
/// Largest description that is read, in octets.
const MAX_DESCRIPTION: u64 = 1024 * 1024;
/// Most keys that a folder ever holds.
const MAX_KEYS: u32 = 10_000;

/// A CA in its folder.
#[derive(Debug)]
pub struct Ca {
    folder: PathBuf,
    authority: Authority,
    /// The current key's file, once it was needed.
    key: OnceCell<Arc<KeyFile>>,
}

/// Where a CA's key comes from.
pub enum KeySource {
    /// Made here, and kept in a file of the CA's folder, under a passphrase if there is one.
    New(NewKey, Option<Zeroizing<String>>),
    /// In a file that is there already, and stays where it is.
    File(PathBuf),
    /// Held by ssh-agent, for itself or for a token.
    Agent(HostKey),
}

/// What is needed for the use of a private key.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// Who knows passphrases.
    pub ask: &'a dyn Ask,
    /// Where ssh-agent listens.
    pub agent: Option<&'a Path>,
    /// How long an agent may take to answer a question that needs nobody's consent.
    pub patience: Duration,
}

impl Ca {
    /// The CA that is in `folder`.
    pub fn open(folder: &Path) -> Result<Self, CaError> {
        let authority = read(folder)?;
        Ok(Ca { folder: folder.to_owned(), authority, key: OnceCell::new() })
    }

    /// Makes a CA in `folder`, where there is none, for hosts at or below `domains`; `validity` is how long a
    /// certificate is good unless it is told, and at most. `now` in seconds since 1970.
    pub async fn create(
        folder: &Path,
        domains: Vec<HostName>,
        validity: (Duration, Duration),
        source: KeySource,
        access: Access<'_>,
        now: u64,
    ) -> Result<Self, CaError> {
        files::make_private_folder(folder).map_err(CaError::io(folder))?;
        let _lock = lock(folder)?;
        let path = folder.join(DESCRIPTION);
        if path.symlink_metadata().is_ok() {
            return Err(CaError::Exists(folder.to_owned()));
        }
        let comment = format!("CA of {}", domains.first().map_or(String::new(), |d| d.name().to_string()));
        let (key, holder, new) = obtain(folder, source, &comment, access).await?;
        let names = domains.iter().map(|domain| domain.name().to_string()).collect();
        let authority = Authority::new(domains, key.clone(), holder)
            .and_then(|authority| authority.with_validity(validity.0, validity.1))
            .map_err(|e| CaError::Description(path.clone(), e))?;
        keep(folder, new)?;
        let journal = Journal::new(folder);
        let event = Event::Init { ca: KeyDigest::from(&key), domains: names };
        journal.append_locked(&Entry { time: now, event })?;
        write(folder, &authority)?;
        Ok(Ca { folder: folder.to_owned(), authority, key: OnceCell::new() })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The key that signs.
    pub fn public_key(&self) -> &HostKey {
        &self.authority.current().key
    }

    /// What it has done.
    pub fn journal(&self) -> Journal {
        Journal::new(&self.folder)
    }

    /// Changes what it is, under the lock, from what the folder says by now.
    pub fn update(
        &mut self,
        change: impl FnOnce(Authority) -> Result<Authority, AuthorityError>,
    ) -> Result<(), CaError> {
        let _lock = lock(&self.folder)?;
        let changed = change(read(&self.folder)?)
            .map_err(|e| CaError::Description(self.folder.join(DESCRIPTION), e))?;
        write(&self.folder, &changed)?;
        self.authority = changed;
        self.key = OnceCell::new();
        Ok(())
    }

    /// One more key, which is to sign once it is promoted ([`Authority::promoted`]). Gives its public half.
    pub async fn add_next(&mut self, source: KeySource, access: Access<'_>) -> Result<HostKey, CaError> {
        let _lock = lock(&self.folder)?;
        let authority = read(&self.folder)?;
        let domain = authority.domains().first().map_or(String::new(), |d| d.name().to_string());
        let (key, holder, new) = obtain(&self.folder, source, &format!("CA of {domain}"), access).await?;
        let authority = authority
            .with_next(key.clone(), holder)
            .map_err(|e| CaError::Description(self.folder.join(DESCRIPTION), e))?;
        keep(&self.folder, new)?;
        write(&self.folder, &authority)?;
        self.authority = authority;
        Ok(key)
    }

    /// Nobody else rolls the CA over until what is returned is dropped.
    pub fn lock_roll(&self) -> Result<File, CaError> {
        lock_named(&self.folder, ROLL_LOCK)
    }

    /// The private half of `key`, which is one of the CA's, is at hand: in its file, or with the agent.
    pub async fn look_for(&self, key: &HostKey, access: Access<'_>) -> Result<(), CaError> {
        match self.authority.keys().iter().find(|own| own.key == *key).map(|own| &own.holder) {
            Some(Holder::Agent) => agent::look(key, access).await,
            Some(Holder::File(path)) => key::file(&self.folder.join(path), key).map(|_| ()),
            None => Err(CaError::OtherKey(self.folder.clone(), key.clone())),
        }
    }

    /// Nothing that can be told beforehand stands against this request.
    pub fn check(&self, request: &Request, now: u64) -> Result<(), CaError> {
        let _ = issuance::draft(&self.authority, request, &random()?, now)?;
        Ok(())
    }

    /// Signs a certificate, and writes it to the journal; `now` in seconds since 1970. A passphrase is asked for once,
    /// however many certificates are signed.
    pub async fn sign(&self, request: &Request, now: u64, access: Access<'_>) -> Result<Issued, CaError> {
        let draft = issuance::draft(&self.authority, request, &random()?, now)?;
        let octets = draft.to_sign()?;
        let signature = match &self.authority.current().holder {
            Holder::Agent => agent::sign(self.public_key(), &octets, access).await?,
            Holder::File(path) => {
                let path = self.folder.join(path);
                let open = || async { key::file(&path, self.public_key()) };
                let file = self.key.get_or_try_init(open).await?;
                // Nobody types a passphrase for a key that ssh-add was given.
                match file.is_locked() && agent::look(self.public_key(), access).await.is_ok() {
                    true => agent::sign(self.public_key(), &octets, access).await?,
                    false => key::sign(file, &path, &octets, access.ask).await?,
                }
            }
        };
        let issued = draft.signed(&signature)?;

        // Somebody may have taken time to be asked: others were not to wait for that.
        let _lock = lock(&self.folder)?;
        if read(&self.folder)?.current().key != *self.public_key() {
            return Err(CaError::RolledOver(self.public_key().clone()));
        }
        let journal = self.journal();
        let mut revoked = BTreeSet::new();
        for entry in journal.entries()? {
            let event = entry?.event;
            match event.revokes() {
                Some((digest, true)) => drop(revoked.insert(digest)),
                Some((digest, false)) => drop(revoked.remove(&digest)),
                None => {}
            }
            if matches!(&event, Event::Sign { issued: other, .. } if other.serial == issued.serial) {
                return Err(Refusal::SerialTaken(issued.serial).into());
            }
        }
        if revoked.contains(&issued.key.sha256) {
            return Err(Refusal::Revoked(issued.key).into());
        }
        if revoked.contains(&issued.ca_sha256) {
            return Err(Refusal::RevokedCa(draft.ca().clone()).into());
        }
        let event = Event::Sign { issued: issued.clone(), is_renewal: request.is_renewal };
        journal.append_locked(&Entry { time: now, event })?;
        Ok(issued)
    }
}

/// A key of `source`, who holds it, and the text of a new key file.
async fn obtain(
    folder: &Path,
    source: KeySource,
    comment: &str,
    access: Access<'_>,
) -> Result<(HostKey, Holder, Option<NewFile>), CaError> {
    match source {
        KeySource::New(kind, passphrase) => {
            let (key, text) = key::generate(kind, passphrase.as_ref(), comment)?;
            let name = free_name(folder)?;
            let new = NewFile { name: name.clone(), text, public: format!("{} {comment}\n", key.line()) };
            Ok((key, Holder::File(name.into()), Some(new)))
        }
        KeySource::File(path) => {
            let path = fs::canonicalize(&path).map_err(CaError::io(&path))?;
            let named = Named::read(&path)?;
            if named.private.is_none() {
                return Err(CaError::PublicFile(path));
            }
            let key = key::public(&named.public).map_err(|e| CaError::Key(path.clone(), e))?;
            Ok((key, Holder::File(path), None))
        }
        KeySource::Agent(key) => {
            agent::look(&key, access).await?;
            Ok((key, Holder::Agent, None))
        }
    }
}

/// A key file that is yet to be written.
struct NewFile {
    name: String,
    text: Zeroizing<String>,
    public: String,
}

/// Writes a new key file and its public half; nothing is ever overwritten.
fn keep(folder: &Path, new: Option<NewFile>) -> Result<(), CaError> {
    let Some(new) = new else { return Ok(()) };
    let public = format!("{}.pub", new.name);
    for (name, octets, mode) in
        [(&new.name, new.text.as_bytes(), 0o600), (&public, new.public.as_bytes(), 0o644)]
    {
        let path = folder.join(name);
        let io = CaError::io(&path);
        let file = files::staged(folder, octets, mode, None).map_err(&io)?;
        file.persist_noclobber(&path).map_err(|e| io(e.error))?;
    }
    sync(folder)
}

fn free_name(folder: &Path) -> Result<String, CaError> {
    let is_free = |name: &String| {
        [name.clone(), format!("{name}.pub")].iter().all(|name| folder.join(name).symlink_metadata().is_err())
    };
    let mut names = (1..=MAX_KEYS).map(|at| if at == 1 { KEY.to_owned() } else { format!("{KEY}-{at}") });
    names.find(is_free).ok_or_else(|| CaError::io(folder)(io::ErrorKind::AlreadyExists.into()))
}

fn read(folder: &Path) -> Result<Authority, CaError> {
    let path = folder.join(DESCRIPTION);
    let file = Folder::open(folder).and_then(|folder| folder.file(Path::new(DESCRIPTION)));
    let file = file.map_err(|e| match e.is_absent() {
        true => CaError::Absent(folder.to_owned()),
        false => CaError::open(&path)(e),
    })?;
    let mut text = String::new();
    file.take(MAX_DESCRIPTION).read_to_string(&mut text).map_err(CaError::io(&path))?;
    Authority::parse(&text).map_err(|e| CaError::Description(path, e))
}

fn write(folder: &Path, authority: &Authority) -> Result<(), CaError> {
    let path = folder.join(DESCRIPTION);
    let text = authority.text().map_err(|e| CaError::Description(path.clone(), e))?;
    let io = CaError::io(&path);
    let file = files::staged(folder, text.as_bytes(), 0o600, None).map_err(&io)?;
    file.persist(&path).map_err(|e| io(e.error))?;
    sync(folder)
}

/// A rename lasts only once the folder is written.
fn sync(folder: &Path) -> Result<(), CaError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CaError::io(folder))
}

fn lock(folder: &Path) -> Result<File, CaError> {
    lock_named(folder, LOCK)
}

fn lock_named(folder: &Path, name: &str) -> Result<File, CaError> {
    let path = folder.join(name);
    Folder::open(folder).map_err(CaError::open(folder))?;
    files::lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => CaError::Locked(path.clone()),
        _ => CaError::io(&path)(error),
    })
}

/// Of the system, for one certificate.
fn random() -> Result<Randomness, CaError> {
    let mut nonce = [0; 32];
    let serial = SysRng.try_next_u64().map_err(|e| CaError::Random(e.to_string()))?;
    SysRng.try_fill_bytes(&mut nonce).map_err(|e| CaError::Random(e.to_string()))?;
    Ok(Randomness { serial, nonce })
}
