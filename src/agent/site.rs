//! From where the records are kept, as it was configured, to the [`Site`]: the files with the keys are read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;
use ureq::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use crate::backend::exec::Program;
use crate::backend::powerdns::{Access, Api};
use crate::backend::rfc2136::{BATCH, Transferred};
use crate::backend::site::Site;
use crate::backend::zonefile;
use crate::config::publishing::Provider;
use crate::dns::authority::Authority;
use crate::dns::tsig::{Key, LoadError, TsigKeyError, Weakness};
use crate::error::Error;
use crate::files::pipe;
use crate::ownership;
use crate::verifier;

/// Largest file with an API key, in octets.
const MAX_KEY: u64 = 4096;
/// Largest file of certificates, in octets.
const MAX_CERTIFICATES: u64 = 4 * 1024 * 1024;
/// Where systemd keeps a unit's credentials, and what ours are called (LoadCredential=, systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const TSIG_CREDENTIAL: &str = "sshanchor.tsig";
const API_CREDENTIAL: &str = "sshanchor.powerdns";

/// What a place is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be looked at before the run proper, which tells what is wrong with keys.
    Read,
    /// To be looked at.
    Look,
    /// To be changed.
    Change,
}

/// A place that is ready, and what there is to be said of its files.
#[derive(Debug)]
pub struct Ready {
    /// The place.
    pub site: Site,
    /// Weaknesses of key files and the like.
    pub warnings: Vec<String>,
}

/// Reads the keys that `place` takes. `patience` is for one exchange, `deadline` for all of them.
pub fn open(
    place: &Provider,
    purpose: Purpose,
    patience: Duration,
    deadline: Instant,
) -> Result<Ready, Error> {
    let mut warnings = Vec::new();
    let site = match place {
        Provider::Server { address, key_file } => {
            let primary = Authority { server: *address, patience, deadline };
            let key = match purpose {
                Purpose::Read => None,
                _ => tsig_key(key_file.as_deref(), purpose, patience, &mut warnings)?,
            };
            Site::Rfc2136 {
                primary,
                key,
                clock: verifier::now,
                batch: BATCH,
                transferred: Transferred::default(),
            }
        }
        Provider::PowerDns { base, server_id, api_key_file, ca_file } => {
            let roots = roots(base, ca_file.as_deref(), patience)?;
            let path = api_key_file.clone().or_else(|| credential(API_CREDENTIAL)).ok_or_else(|| {
                Error::usage("no-key", "the API of PowerDNS needs its key")
                    .hint("give its file: --api-key-file FILE (in a configuration: api_key_file)")
            })?;
            let key = api_key(&path, patience, &mut warnings)?;
            warnings.extend(warning_of_plain(base));
            Site::PowerDns(Access {
                api: Api::new(base.clone(), server_id, Some(key), roots),
                patience,
                deadline,
            })
        }
        Provider::ZoneFile { file, reload } => {
            let file = std::path::absolute(file)
                .map_err(|e| Error::usage("zone-file", format!("{}: {e}", file.display())))?;
            Site::ZoneFile(zonefile::Access { file, reload: Arc::new(reload.clone()), patience, deadline })
        }
        Provider::Exec(command) => {
            Site::Exec(Program { command: Arc::new(command.clone()), patience, deadline })
        }
    };
    if purpose == Purpose::Read {
        warnings.clear();
    }
    Ok(Ready { site, warnings })
}

/// The file of a credential that systemd has given to this unit.
fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty())?;
    let path = Path::new(&folder).join(name);
    path.is_file().then_some(path)
}

/// Whether a file is such a credential: its folder, which systemd makes, lets nobody else in.
fn is_credential(path: &Path) -> bool {
    std::env::var_os(CREDENTIALS)
        .is_some_and(|folder| !folder.is_empty() && path.parent() == Some(Path::new(&folder)))
}

fn tsig_key(
    file: Option<&Path>,
    purpose: Purpose,
    patience: Duration,
    warnings: &mut Vec<String>,
) -> Result<Option<Key>, Error> {
    let Some(path) = file.map(Path::to_owned).or_else(|| credential(TSIG_CREDENTIAL)) else {
        let error = Error::usage("no-key", "an update needs a TSIG key");
        return match purpose {
            Purpose::Change => Err(error.hint("give its file: --key-file FILE, or key_file in [publish]")),
            _ => Ok(None),
        };
    };
    let path = path.as_path();
    let (key, weaknesses) = Key::load(path, patience).map_err(|error| {
        let told = Error::usage("key-file", format!("TSIG key file {}: {error}", path.display()));
        match error {
            // Somebody gave the key itself: it is not repeated.
            LoadError::Io(_) if path.to_str().is_some_and(|text| Key::from_text(text).is_ok()) => {
                let message =
                    "--key-file wants a file, and not the key itself: others can read a command line";
                Error::usage("key-file", message).hint("put it into a file of mode 0600, and make a new key")
            }
            LoadError::Key(TsigKeyError::WeakAlgorithm(_) | TsigKeyError::Algorithm(_)) => {
                told.hint("make a key with hmac-sha256, -384 or -512: tsig-keygen -a hmac-sha256 NAME")
            }
            LoadError::Key(TsigKeyError::Repeated("key")) => told
                .hint("leave the one in it that the primary has for this machine, or give a file of its own"),
            LoadError::Key(_) => {
                told.hint("make a key file with tsig-keygen -a hmac-sha256 NAME, or keymgr -t NAME")
            }
            LoadError::Io(_) if !path.exists() => told.hint(format!(
                "make one, and have the primary know it: (umask 077; tsig-keygen -a hmac-sha256 NAME >{})",
                path.display()
            )),
            LoadError::Io(error) => unreadable(told, path, &error),
        }
    })?;
    // A unit's user may read its credential by an access list, which shows as a right of the group.
    let is_fine = |weakness: &Weakness| matches!(weakness, Weakness::Exposed(0o440)) && is_credential(path);
    for weakness in weaknesses.into_iter().filter(|weakness| !is_fine(weakness)) {
        warnings.push(format!("TSIG key file {} {weakness}", path.display()));
    }
    Ok(Some(key))
}

/// Who may certify the API: DER.
fn roots(base: &str, file: Option<&Path>, patience: Duration) -> Result<Vec<Vec<u8>>, Error> {
    if let Some(path) = file {
        let wrong = |e: &dyn std::fmt::Display| {
            Error::usage("ca-file", format!("certificates {}: {e}", path.display()))
                .hint("give certificates in PEM: -----BEGIN CERTIFICATE-----")
        };
        let mut pem = Vec::new();
        let file = pipe::open(path, patience);
        let read = file.and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem));
        read.map_err(|e| unreadable(wrong(&e), path, &e))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let found: Vec<Vec<u8>> = found.map_err(|e| wrong(&e))?.iter().map(|der| der.to_vec()).collect();
        return if found.is_empty() { Err(wrong(&"it holds none")) } else { Ok(found) };
    }
    if !base.starts_with("https://") {
        return Ok(Vec::new());
    }
    let found = rustls_native_certs::load_native_certs().certs;
    Ok(found.iter().map(|der| der.to_vec()).collect())
}

/// Whoever reads the API key on its way can change every zone of the server.
fn warning_of_plain(base: &str) -> Option<String> {
    let uri: Option<Uri> = base.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    (base.starts_with("http://") && !is_here).then(|| {
        format!(
            "the API key goes to {host} unencrypted, and whoever reads it can change every zone there: use https"
        )
    })
}

/// With what to do about a file that cannot be read, if that is known: it goes before what the file should hold.
fn unreadable(told: Error, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        _ if path.is_dir() => Some("give the file itself, not its folder"),
        io::ErrorKind::PermissionDenied => {
            Some("run this as the user to whom it belongs, as a rule root (sudo)")
        }
        _ => pipe::hint(error),
    };
    match hint {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// The API key in a file that nobody else can read.
fn api_key(path: &Path, patience: Duration, warnings: &mut Vec<String>) -> Result<HeaderValue, Error> {
    use std::os::unix::fs::MetadataExt;
    let wrong = |why: &dyn std::fmt::Display| {
        Error::usage("api-key-file", format!("API key file {}: {why}", path.display()))
    };
    let form = "want a file of mode 0600 with the api-key of pdns.conf in one line";
    let unread = |e: io::Error| unreadable(wrong(&e).hint(form), path, &e);
    let file = pipe::open(path, patience).map_err(unread)?;
    let metadata = file.metadata();
    ownership::check(path, metadata).map_err(|e| wrong(&e).hint(e.hint()))?;
    if metadata.mode() & 0o007 != 0 {
        return Err(wrong(&format!("everybody can read it (mode {:04o})", metadata.mode() & 0o7777))
            .hint(format!("chmod 0600 {}, and make a new key", path.display())));
    }
    if metadata.mode() & 0o040 != 0 && !(metadata.mode() & 0o7777 == 0o440 && is_credential(path)) {
        warnings.push(format!("API key file {} can be read by its group", path.display()));
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY as usize + 1));
    file.take(MAX_KEY + 1).read_to_string(&mut text).map_err(unread)?;
    let key = text.trim();
    if key.is_empty() || text.len() as u64 > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong(&"it does not hold one key, in one line"));
    }
    let mut key = HeaderValue::from_str(key).map_err(|_| wrong(&"it does not hold a key"))?;
    key.set_sensitive(true);
    Ok(key)
}
