//! Which certificates are renewed: the key of each, its file, and whether sshd knows of it.

use std::io;
use std::path::{Path, PathBuf};

use super::beside;
use crate::agent::renewal::MAX_FILE;
use crate::error::{Error, Kind};
use crate::files::pipe::{self, Bounded};
use crate::ownership;
use crate::proto::certificate::Certificate;
use crate::proto::hostkey::HostKey;
use crate::proto::renewal::{self, CertificateError};
use crate::ssh::hostkeys;
use crate::ssh::sshd::Effective;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The public half of the host key.
    pub(super) public: PathBuf,
    /// Where the certificate is, or will be.
    pub(super) certificate: PathBuf,
    /// A HostCertificate line names it; or nobody knows, as sshd is left alone.
    pub(super) is_configured: bool,
}

/// Holds other runs off while it lives.
pub(super) struct Lock {
    _held: Bounded,
}

/// The named keys; or those of the HostCertificate lines; or, where there is none yet, all host keys of sshd.
pub(super) fn targets(named: &[PathBuf], effective: Option<&Effective>) -> Result<Vec<Target>, Error> {
    let Some(effective) = effective else {
        let target = |public: &PathBuf| Target {
            public: public.clone(),
            certificate: beside(public),
            is_configured: true,
        };
        return Ok(named.iter().map(target).collect());
    };
    let publics: Vec<PathBuf> = match named {
        [] => effective.host_keys.iter().map(|key| public_of(key)).collect(),
        named => named.to_vec(),
    };
    let mut targets = Vec::new();
    let mut orphans = Vec::new();
    for certificate in &effective.host_certificates {
        match publics.iter().find(|public| belongs(certificate, public)) {
            Some(public) => targets.push(Target {
                public: public.clone(),
                certificate: certificate.clone(),
                is_configured: true,
            }),
            None => orphans.push(certificate),
        }
    }
    if named.is_empty() {
        if let Some(orphan) = orphans.first() {
            let why = format!("HostCertificate {} is about none of sshd's host keys", orphan.display());
            return Err(Error::usage("no-host-key", why)
                .hint("name it as its key is named, KEY-cert.pub; or say which keys: --host-key PUBFILE"));
        }
        if !targets.is_empty() {
            return Ok(targets);
        }
    }
    for public in publics {
        if !targets.iter().any(|target| target.public == public) {
            targets.push(Target { certificate: beside(&public), public, is_configured: false });
        }
    }
    match targets.is_empty() {
        true => {
            Err(Error::failure("no-host-keys", "sshd -T names no host key")
                .hint("name them: --host-key PUBFILE"))
        }
        false => Ok(targets),
    }
}

/// By its name, as ssh-keygen gives it, or by the key in it.
fn belongs(certificate: &Path, public: &Path) -> bool {
    if same(certificate, &beside(public)) {
        return true;
    }
    let (Ok(Some(Ok(certificate))), Ok(keys)) = (read(certificate), hostkeys::of_files(&[public.to_owned()]))
    else {
        return false;
    };
    keys.first() == Some(certificate.key())
}

fn same(one: &Path, other: &Path) -> bool {
    let plain = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one == other || plain(one) == plain(other)
}

fn public_of(key: &Path) -> PathBuf {
    let mut public = key.as_os_str().to_owned();
    public.push(".pub");
    public.into()
}

/// The certificate in a file; an error inside for a file with something else in it.
fn read(path: &Path) -> io::Result<Option<Result<Certificate, CertificateError>>> {
    match pipe::read(path, MAX_FILE, pipe::PATIENCE) {
        Ok(text) => Ok(Some(renewal::read(&text))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl Target {
    /// The host key, while no other run renews its certificate.
    pub(super) fn lock(&self) -> Result<(HostKey, Lock), Error> {
        let path = &self.public;
        let unreadable = |e: io::Error| {
            Error::failure("host-key-file", format!("cannot read {}: {e}", path.display()))
                .hint("name the public half: /etc/ssh/ssh_host_ed25519_key.pub and its like")
        };
        let file = pipe::open(path, pipe::PATIENCE).map_err(unreadable)?;
        // Who can write it could have a key of his own signed.
        ownership::check(path, file.metadata())
            .map_err(|untrusted| Error::usage("host-key-file", &untrusted).hint(untrusted.hint()))?;
        file.file().try_lock().map_err(|_| {
            Error::failure("locked", format!("another run renews the certificate of {}", path.display()))
                .hint("wait until it has ended")
        })?;
        let keys = hostkeys::of_files(std::slice::from_ref(path))?;
        match <[HostKey; 1]>::try_from(keys) {
            Ok([key]) => Ok((key, Lock { _held: file })),
            Err(_) => Err(Error::usage("host-key", format!("{} holds more than one key", path.display()))),
        }
    }

    /// The certificate that is there.
    pub(super) fn present(&self) -> Result<Option<Result<Certificate, CertificateError>>, Error> {
        read(&self.certificate).map_err(|e| {
            Error::failure("certificate-file", format!("cannot read {}: {e}", self.certificate.display()))
        })
    }

    /// sshd would never show it.
    pub(super) fn not_configured(&self) -> Error {
        let why = format!("{} is written, but sshd does not know of it", self.certificate.display());
        Error::new(Kind::Pending, "not-configured", why).hint(format!(
            "add this line to sshd_config, then run this again: HostCertificate {}",
            self.certificate.display()
        ))
    }
}
