//! Where the records are kept: options of which exactly one names the place, and the files that go with it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;
use ureq::http::{HeaderValue, Uri};
use zeroize::Zeroizing;

use crate::backend::exec::Program;
use crate::backend::powerdns::{self, Access, Api};
use crate::backend::site::Site;
use crate::backend::zonefile;
use crate::cli::Context;
use crate::dns::authority::Authority;
use crate::dns::dns_server;
use crate::dns::tsig::{Key, LoadError, TsigKeyError};
use crate::error::Error;
use crate::ownership;
use crate::proto::template::{Template, TemplateError};
use crate::verifier;

/// Largest file with an API key, in octets.
const MAX_KEY: u64 = 4096;
/// Largest file of certificates, in octets.
const MAX_CERTIFICATES: u64 = 4 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["server", "powerdns", "zone_file", "exec"]))]
pub(super) struct Place {
    /// The zone's primary name server, which takes dynamic updates (RFC 2136)
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    server: Option<SocketAddr>,
    /// The TSIG key that signs the update: a file as tsig-keygen or keymgr -t makes it, or one line
    /// ALGORITHM:NAME:SECRET. Not needed to look only
    #[arg(long, value_name = "FILE", conflicts_with_all = ["powerdns", "zone_file", "exec"])]
    key_file: Option<PathBuf>,
    /// In place of --server, the HTTP API of PowerDNS: http://ADDR:PORT, or https://
    #[arg(long, value_name = "URL", value_parser = base, requires = "api_key_file")]
    powerdns: Option<String>,
    /// The name that PowerDNS has in its API
    #[arg(long, value_name = "ID", default_value = "localhost", conflicts_with_all = ["server", "zone_file", "exec"])]
    server_id: String,
    /// The API key of PowerDNS: a file with it in one line, which others cannot read
    #[arg(long, value_name = "FILE", requires = "powerdns")]
    api_key_file: Option<PathBuf>,
    /// Who may certify an https API: a file of certificates, in PEM [default: whom the system trusts]
    #[arg(long, value_name = "FILE", requires = "powerdns")]
    ca_file: Option<PathBuf>,
    /// In place of --server, a file that is sshanchor's alone, and that the zone file includes ($INCLUDE FILE)
    #[arg(long, value_name = "FILE", requires_all = ["reload", "zone"])]
    zone_file: Option<PathBuf>,
    /// What raises the zone's serial and has the name server load it; split into words without a shell, then %f (the
    /// file) and %z (the zone) are put in. If it fails, the file is put back
    #[arg(long, value_name = "COMMAND", requires = "zone_file", value_parser = reload)]
    reload: Option<Template>,
    /// In place of --server, a program that reads and changes the records: JSON on its standard input, see README
    #[arg(long, value_name = "COMMAND", requires = "zone", value_parser = command)]
    exec: Option<Template>,
}

/// What a place is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be looked at before the run proper, which tells what is wrong with keys.
    Read,
    /// To be looked at.
    Look,
    /// To be changed.
    Change,
}

fn base(text: &str) -> Result<String, String> {
    powerdns::base(text).map_err(|e| e.to_string())
}

fn reload(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &zonefile::GAPS)
}

fn command(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &[])
}

impl Place {
    /// The place that is named. `patience` is for one exchange, `deadline` for all of them.
    pub(super) fn site(
        &self,
        cx: &Context,
        purpose: Purpose,
        patience: Duration,
        deadline: Instant,
    ) -> Result<Site, Error> {
        if let Some(server) = self.server {
            let primary = Authority { server, patience, deadline };
            let key = if purpose == Purpose::Read { None } else { self.tsig_key(cx, purpose)? };
            return Ok(Site::Rfc2136 { primary, key, clock: verifier::now });
        }
        if let (Some(base), Some(key)) = (&self.powerdns, &self.api_key_file) {
            let roots = self.roots(base)?;
            let (key, warning) = api_key(key)?;
            if purpose != Purpose::Read {
                warning.into_iter().chain(warning_of_plain(base)).for_each(|warning| cx.out.warn(&warning));
            }
            let api = Api::new(base.clone(), &self.server_id, Some(key), roots);
            return Ok(Site::PowerDns(Access { api, patience, deadline }));
        }
        if let (Some(file), Some(reload)) = (&self.zone_file, &self.reload) {
            let file = std::path::absolute(file)
                .map_err(|e| Error::usage("zone-file", format!("{}: {e}", file.display())))?;
            let reload = Arc::new(reload.clone());
            return Ok(Site::ZoneFile(zonefile::Place { file, reload, patience, deadline }));
        }
        match &self.exec {
            Some(command) => {
                Ok(Site::Exec(Program { command: Arc::new(command.clone()), patience, deadline }))
            }
            None => Err(Error::usage("usage", "give --server, --powerdns, --zone-file or --exec")),
        }
    }

    /// The same as options, for a command that is suggested for another machine.
    pub(super) fn options(&self) -> String {
        if let Some(server) = self.server {
            return format!("--server {server} --key-file TSIG-KEY-OF-THE-HOST");
        }
        let quoted =
            |text: &str| shlex::try_quote(text).map_or_else(|_| "...".to_owned(), |text| text.into_owned());
        match (&self.powerdns, &self.zone_file) {
            (Some(base), _) => format!("--powerdns {} --api-key-file FILE", quoted(base)),
            (_, Some(file)) => {
                format!("--zone-file {} --reload COMMAND --zone ZONE", quoted(&file.to_string_lossy()))
            }
            _ => "--exec COMMAND --zone ZONE".to_owned(),
        }
    }

    fn tsig_key(&self, cx: &Context, purpose: Purpose) -> Result<Option<Key>, Error> {
        let Some(path) = &self.key_file else {
            let error = Error::usage("no-key", "an update needs a TSIG key");
            return if purpose == Purpose::Look {
                Ok(None)
            } else {
                Err(error.hint("give its file: --key-file FILE"))
            };
        };
        let (key, weaknesses) = Key::load(path).map_err(|error| {
            let told = Error::usage("key-file", format!("TSIG key file {}: {error}", path.display()));
            match error {
                // Somebody gave the key itself: it is not repeated.
                LoadError::Io(_) if path.to_str().is_some_and(|text| Key::from_text(text).is_ok()) => {
                    let message =
                        "--key-file wants a file, and not the key itself: others can read a command line";
                    Error::usage("key-file", message)
                        .hint("put it into a file of mode 0600, and make a new key")
                }
                LoadError::Key(TsigKeyError::WeakAlgorithm(_) | TsigKeyError::Algorithm(_)) => {
                    told.hint("make a key with hmac-sha256, -384 or -512: tsig-keygen -a hmac-sha256 NAME")
                }
                LoadError::Key(_) => {
                    told.hint("make a key file with tsig-keygen -a hmac-sha256 NAME, or keymgr -t NAME")
                }
                LoadError::Io(_) if !path.exists() => told.hint(format!(
                    "make one, and have the primary know it: tsig-keygen -a hmac-sha256 NAME >{}",
                    path.display()
                )),
                LoadError::Io(_) => told,
            }
        })?;
        for weakness in weaknesses {
            cx.out.warn(&format!("TSIG key file {} {weakness}", path.display()));
        }
        Ok(Some(key))
    }

    /// Who may certify the API: DER.
    fn roots(&self, base: &str) -> Result<Vec<Vec<u8>>, Error> {
        if let Some(path) = &self.ca_file {
            let wrong = |e: &dyn std::fmt::Display| {
                Error::usage("ca-file", format!("certificates {}: {e}", path.display()))
                    .hint("give certificates in PEM: -----BEGIN CERTIFICATE-----")
            };
            let mut pem = Vec::new();
            let file = std::fs::File::open(path).map_err(|e| wrong(&e))?;
            file.take(MAX_CERTIFICATES).read_to_end(&mut pem).map_err(|e| wrong(&e))?;
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

/// The API key in a file that nobody else can read, and what there is to be said of the file.
fn api_key(path: &Path) -> Result<(HeaderValue, Option<String>), Error> {
    use std::os::unix::fs::MetadataExt;
    let wrong = |why: &dyn std::fmt::Display| {
        Error::usage("api-key-file", format!("API key file {}: {why}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|e| wrong(&e))?;
    let metadata = file.metadata().map_err(|e| wrong(&e))?;
    ownership::check(path, &metadata).map_err(|e| wrong(&e).hint(e.hint()))?;
    if metadata.mode() & 0o007 != 0 {
        return Err(wrong(&format!("everybody can read it (mode {:04o})", metadata.mode() & 0o7777))
            .hint(format!("chmod 0600 {}, and make a new key", path.display())));
    }
    let is_shared = metadata.mode() & 0o040 != 0;
    let warning = is_shared.then(|| format!("API key file {} can be read by its group", path.display()));
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY as usize + 1));
    file.take(MAX_KEY + 1).read_to_string(&mut text).map_err(|e| wrong(&e))?;
    let key = text.trim();
    if key.is_empty() || text.len() as u64 > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong(&"it does not hold one key, in one line"));
    }
    let mut key = HeaderValue::from_str(key).map_err(|_| wrong(&"it does not hold a key"))?;
    key.set_sensitive(true);
    Ok((key, warning))
}
