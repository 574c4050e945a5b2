//! `sshanchor sshfp`: records for public key files, as `ssh-keygen -r` prints them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Context, host_name};
use crate::error::{Error, Kind};
use crate::files;
use crate::output::Report;
use crate::proto::hostkey::HostKey;
use crate::proto::sshfp::Sshfp;
use crate::ssh::hostkeys::{self, HostKeysError};

/// Print SSHFP records for public key files.
///
/// Prints SSHFP records for public host keys, SHA-256 only, in the form of ssh-keygen -r: lines for a
/// zone file. Needs neither network nor privileges.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor sshfp --name web1.example.com /etc/ssh/ssh_host_*_key.pub\n          \
    sudo sshd -T | sshanchor sshfp --name web1.example.com -\n\
    Take keys from the host itself: what ssh-keyscan prints was not checked to belong to the server."
)]
pub(super) struct Args {
    /// The host whose keys these are
    #[arg(long, value_name = "HOST")]
    name: String,
    /// Generic form for servers that do not know SSHFP (RFC 3597)
    #[arg(short = 'g', long)]
    generic: bool,
    /// Public key files; - is standard input: public key lines, or the output of sshd -T
    #[arg(value_name = "PUBFILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Record {
    name: String,
    /// The key's type.
    #[serde(rename = "type")]
    key_type: &'static str,
    /// Presentation form of the RDATA.
    record: String,
    /// The whole line.
    line: String,
}

impl Report for Record {
    fn text(&self) -> String {
        self.line.clone()
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    // Checked strictly, printed as typed: that is what ssh-keygen -r does.
    host_name(&args.name)?;
    let mut keys: Vec<HostKey> = Vec::new();
    for file in &args.files {
        let found = match file.as_os_str() == "-" {
            true => from_stdin(cx)?,
            false => of_files(std::slice::from_ref(file), cx).await?,
        };
        for key in found {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    for key in &keys {
        let record = Sshfp::of_key(key);
        let line = if args.generic { record.generic_line(&args.name) } else { record.line(&args.name) };
        let (name, key_type) = (args.name.clone(), key.key_type().name());
        cx.out.result(&Record { name, key_type, record: record.to_string(), line })?;
    }
    Ok(None)
}

fn from_stdin(cx: &Context) -> Result<Vec<HostKey>, Error> {
    let text = files::read_whole(std::io::stdin(), hostkeys::MAX_FILE)
        .map_err(|e| Error::failure("io", format!("cannot read standard input: {e}")))?;
    let found = hostkeys::of_text(&text, Path::new("standard input"))?;
    found.skipped.iter().for_each(|skipped| cx.out.warn(&skipped.to_string()));
    Ok(found.keys)
}

/// How the keys of files are read.
type Read = fn(&[PathBuf]) -> Result<Vec<HostKey>, HostKeysError>;

/// The keys of these public key files. A pipe that nobody writes to is waited for no longer than --timeout.
pub(super) async fn of_files(files: &[PathBuf], cx: &Context) -> Result<Vec<HostKey>, Error> {
    in_time(hostkeys::of_files, files, cx).await
}

/// The same of a server's own: they have to fit the private keys beside them.
pub(super) async fn of_own_files(files: &[PathBuf], cx: &Context) -> Result<Vec<HostKey>, Error> {
    in_time(hostkeys::of_own_files, files, cx).await
}

async fn in_time(read: Read, files: &[PathBuf], cx: &Context) -> Result<Vec<HostKey>, Error> {
    let paths = files.to_vec();
    let reading = tokio::task::spawn_blocking(move || read(&paths));
    match tokio::time::timeout(cx.timeout, reading).await {
        Ok(Ok(found)) => Ok(found?),
        Ok(Err(e)) => Err(Error::failure("internal", format!("reading did not finish: {e}"))),
        Err(_) => {
            let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
            let why =
                format!("cannot read {}: nothing came in {} s", names.join(", "), cx.timeout.as_secs_f64());
            Err(Error::failure("host-key-file", why).hint("is it a pipe that nobody writes to?"))
        }
    }
}
