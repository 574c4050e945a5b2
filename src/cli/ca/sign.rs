//! `sshanchor ca sign`: host certificates.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::init::one_key;
use super::{CaFolder, Key, Keys, Passphrase, ca_error, name};
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::files::{self, Original};
use crate::output::{Report, rfc3339};
use crate::proto::certificate::SUFFIX;
use crate::proto::duration;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::{Issued, Request};
use crate::proto::moment;
use crate::ssh::hostkeys;
use crate::verifier;

/// Largest file that is looked at before a certificate takes its place, in octets.
const MAX_REPLACED: u64 = 1024 * 1024;

/// Sign host certificates.
///
/// Signs a certificate for each host key, good for exactly the names that are given: no wildcards, no critical options,
/// nothing outside the CA's domains. A certificate is written beside its key, as ssh-keygen -s does, once it stands in the
/// CA's journal. sshd shows it after a line HostCertificate in sshd_config, and a reload.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor ca sign --name web1.example.com --host-key ssh_host_ed25519_key.pub\n          \
    ssh root@web1.example.com cat /etc/ssh/ssh_host_ed25519_key.pub |\n            \
    sshanchor ca sign --name web1.example.com --host-key - >ssh_host_ed25519_key-cert.pub\n\
    Take keys from the host itself: what ssh-keyscan prints was not checked to belong to the server."
)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: CaFolder,
    /// A name of the host, as clients ask for it (repeatable)
    #[arg(long = "name", value_name = "HOST", required = true)]
    names: Vec<String>,
    /// A public host key file, or several; - is standard input, and the certificate goes to standard output
    #[arg(long = "host-key", value_name = "PUBFILE", required = true, num_args = 1..)]
    host_keys: Vec<PathBuf>,
    /// How long it is good, from now [default: as the CA was made, 30d]
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    validity: Option<Duration>,
    /// Its serial number [default: a random one]
    #[arg(long, value_name = "N")]
    serial: Option<u64>,
    /// A label for logs [default: the first name]
    #[arg(long, value_name = "TEXT")]
    key_id: Option<String>,
    /// Where to write the certificate; - is standard output [default: beside the key, KEY-cert.pub]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// A certificate that was signed.
#[derive(Debug, Serialize)]
struct Signed {
    /// Where it was written; null for standard output.
    file: Option<String>,
    #[serde(flatten)]
    issued: Told,
    #[serde(skip)]
    text: String,
}

/// A certificate, for scripts.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// As text, for it takes 64 bits.
    serial: String,
    key_id: String,
    principals: Vec<String>,
    key: Key,
    ca_sha256: String,
    valid_after: Option<String>,
    valid_before: Option<String>,
    /// As a line of a -cert.pub file.
    certificate: String,
}

impl From<&Issued> for Told {
    fn from(issued: &Issued) -> Self {
        Told {
            serial: issued.serial.to_string(),
            key_id: issued.key_id.clone(),
            principals: issued.principals.clone(),
            key: Key::from(issued.key),
            ca_sha256: data_encoding::HEXLOWER.encode(&issued.ca_sha256),
            valid_after: rfc3339(issued.valid_after),
            valid_before: rfc3339(issued.valid_before),
            certificate: issued.line(),
        }
    }
}

impl Report for Signed {
    fn text(&self) -> String {
        self.text.clone()
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let names = args.names.iter().map(|text| name(text)).collect::<Result<Vec<_>, _>>()?;
    if args.host_keys.len() > 1 {
        let one = |option: &str| {
            Error::usage("usage", format!("{option} is for one certificate, and there are several keys"))
                .hint("call ca sign for each key")
        };
        match (&args.out, args.serial) {
            (Some(out), _) if out.as_os_str() != "-" => return Err(one("--out FILE")),
            (_, Some(_)) => return Err(one("--serial")),
            _ => {}
        }
    }
    let mut wanted = Vec::new();
    for file in &args.host_keys {
        let is_stdin = file.as_os_str() == "-";
        let key = if is_stdin { from_stdin()? } else { one_key(file, cx).await? };
        let out = match &args.out {
            Some(out) if out.as_os_str() == "-" => None,
            Some(out) => Some(out.clone()),
            None if is_stdin => None,
            None => Some(beside(file)),
        };
        let (key_id, is_renewal) = (args.key_id.clone(), false);
        let (validity, serial) = (args.validity, args.serial);
        wanted.push((out, Request { key, names: names.clone(), validity, serial, key_id, is_renewal }));
    }
    for path in wanted.iter().filter_map(|(out, _)| out.as_deref()) {
        spare(path)?;
    }
    let ca = args.folder.open()?;
    // All of them, or none.
    for (_, request) in &wanted {
        ca.check(request, verifier::now()).map_err(ca_error)?;
    }
    let keys = Keys::new(&args.passphrase)?;
    let mut written = Vec::new();
    for (out, request) in wanted {
        let issued = ca.sign(&request, verifier::now(), keys.access(cx)).await.map_err(ca_error)?;
        let line = issued.line();
        let text = match &out {
            None => line,
            Some(path) => {
                files::write(path, format!("{line}\n").as_bytes()).map_err(|e| {
                    Error::failure("io", format!("{}: {e}", path.display()))
                        .hint("the certificate is signed, and stands in the journal: sshanchor ca list --json has it")
                })?;
                format!(
                    "{}: {} for {}, serial {}, good until {}",
                    path.display(),
                    issued.key,
                    issued.principals.join(", "),
                    issued.serial,
                    moment::text(issued.valid_before)
                )
            }
        };
        let file = out.map(|path| path.display().to_string());
        written.extend(file.iter().map(|file| format!("HostCertificate {file}")));
        cx.out.result(&Signed { file, issued: Told::from(&issued), text })?;
    }
    if !written.is_empty() {
        let lines = written.join("\n  ");
        cx.out.note(&format!(
            "the host shows it once it stands there, sshd_config has this line, and sshd is reloaded:\n  {lines}"
        ));
    }
    Ok(None)
}

/// Nothing but a certificate is replaced: least of all the private key, whose name is so near.
fn spare(path: &Path) -> Result<(), Error> {
    let io = |e: std::io::Error| Error::io(format!("{}: {e}", path.display()), &e);
    let Some(there) = Original::read(path, MAX_REPLACED).map_err(io)? else { return Ok(()) };
    let first = there.octets().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    match first.is_empty() || first.ends_with(SUFFIX.as_bytes()) {
        true => Ok(()),
        false => Err(Error::usage("out", format!("{} is there, and is no certificate", path.display()))
            .hint("name another file with --out, or take this one away")),
    }
}

fn from_stdin() -> Result<HostKey, Error> {
    let bad = |why: String| {
        Error::usage("host-key", format!("standard input: {why}"))
            .hint("want one line TYPE BASE64 [COMMENT], as in ssh_host_ed25519_key.pub")
    };
    let text = files::read_whole(std::io::stdin(), hostkeys::MAX_FILE).map_err(|e| bad(e.to_string()))?;
    let mut keys = HostKey::from_text(&text).map_err(|(line, e)| bad(format!("line {line}: {e}")))?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (None, _) => Err(bad("it holds no public key".into())),
        (Some(_), false) => Err(bad("it holds several keys".into())),
    }
}

/// Where ssh-keygen -s writes the certificate of a key.
fn beside(public: &Path) -> PathBuf {
    let mut name = match public.extension().is_some_and(|extension| extension == "pub") {
        true => public.with_extension("").into_os_string(),
        false => public.as_os_str().to_owned(),
    };
    name.push("-cert.pub");
    name.into()
}
