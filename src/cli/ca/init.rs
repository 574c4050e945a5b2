//! `sshanchor ca init`: a new CA.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::show::Shown;
use super::{CaFolder, Keys, Passphrase, ca_error, name};
use crate::cli::terminal::Terminal;
use crate::cli::{Context, sshfp};
use crate::error::{Error, Kind};
use crate::proto::duration;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::{DEFAULT_MAX_VALIDITY, DEFAULT_VALIDITY};
use crate::ssh::ca::{Ca, KeySource, NewKey};
use crate::verifier;

/// Make a CA: a key of its own, or one that is there.
///
/// Makes a CA in a folder where there is none, and nothing else: no record is published, nothing is signed. Its private
/// key is made here, with a passphrase or without; or is in a file that is there already (--key-file), and stays there;
/// or is held by ssh-agent (--agent), which a token may stand behind: then it never comes to this machine's disk.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor ca init --domain example.com --passphrase\n          \
    sshanchor ca init --domain example.com --agent --public-key token.pub\n          \
    sshanchor ca init --domain example.com --key-file /etc/ssh/ca_key\n\
    Only what is at or below a domain is ever signed. An RSA key is made by ssh-keygen -t rsa, and named by --key-file.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: CaFolder,
    /// The CA is for hosts at or below this name (repeatable)
    #[arg(long = "domain", value_name = "DOMAIN", required = true)]
    domains: Vec<String>,
    /// The type of the new key
    #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
    key_type: Type,
    /// Ask for a passphrase for the new key, at the terminal
    #[arg(long, conflicts_with = "passphrase_file")]
    passphrase: bool,
    #[command(flatten)]
    known: Passphrase,
    /// The key is held by ssh-agent (SSH_AUTH_SOCK)
    #[arg(long, requires = "public_key", conflicts_with_all = ["key_file", "passphrase", "passphrase_file", "key_type"])]
    agent: bool,
    /// The public half of the key that ssh-agent holds
    #[arg(long, value_name = "PUBFILE", requires = "agent")]
    public_key: Option<PathBuf>,
    /// The private key of a CA that is there already; it stays where it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase", "passphrase_file", "key_type"])]
    key_file: Option<PathBuf>,
    /// How long a certificate is good unless ca sign is told [default: 30d]
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    validity: Option<Duration>,
    /// How long a certificate is good at most [default: 90d]
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    max_validity: Option<Duration>,
}

const _: () = assert!(
    DEFAULT_VALIDITY.as_secs() == 30 * 86_400 && DEFAULT_MAX_VALIDITY.as_secs() == 90 * 86_400,
    "the help names the defaults"
);

/// Types of keys that are made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Type {
    Ed25519,
    #[value(name = "ecdsa-p256")]
    EcdsaP256,
    #[value(name = "ecdsa-p384")]
    EcdsaP384,
}

impl From<Type> for NewKey {
    fn from(key_type: Type) -> Self {
        match key_type {
            Type::Ed25519 => NewKey::Ed25519,
            Type::EcdsaP256 => NewKey::EcdsaP256,
            Type::EcdsaP384 => NewKey::EcdsaP384,
        }
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let mut domains = Vec::new();
    for domain in &args.domains {
        let domain = name(domain)?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    // With a longer validity than usual, the greatest one is at least as long.
    let validity = args
        .validity
        .unwrap_or_else(|| args.max_validity.map_or(DEFAULT_VALIDITY, |most| most.min(DEFAULT_VALIDITY)));
    let most = args.max_validity.unwrap_or_else(|| validity.max(DEFAULT_MAX_VALIDITY));
    let folder = args.folder.path()?;
    // Before somebody thinks of a passphrase.
    if folder.join("ca.json").symlink_metadata().is_ok() {
        return Err(ca_error(crate::ssh::ca::CaError::Exists(folder)));
    }
    let source = match (&args.public_key, &args.key_file) {
        (Some(file), _) => KeySource::Agent(one_key(file, cx).await?),
        (None, Some(file)) => KeySource::File(file.clone()),
        (None, None) => {
            KeySource::New(args.key_type.into(), new_passphrase(args.passphrase, &args.known).await?)
        }
    };
    let is_bare = matches!(source, KeySource::New(_, None));
    let keys = Keys::new(&Passphrase::default())?;
    let access = keys.access(cx);
    let ca = Ca::create(&folder, domains, (validity, most), source, access, verifier::now());
    let ca = ca.await.map_err(ca_error)?;
    cx.out.result(&Shown::new(&ca)?)?;
    if is_bare {
        cx.out.note("the private key has no passphrase: whoever can read it can sign for every host");
    }
    let ca_option = args.folder.ca.as_ref().map_or(String::new(), |ca| format!(" --ca {}", ca.display()));
    cx.out.note(&format!(
        "next: put its key into DNS, then sign each host's key:\n  \
         sshanchor ca publish{ca_option} --server PRIMARY --key-file TSIG-KEY\n  \
         sshanchor ca sign{ca_option} --name HOST --host-key ssh_host_ed25519_key.pub"
    ));
    Ok(None)
}

/// The passphrase of a new key: typed twice, or what is `known`.
pub(super) async fn new_passphrase(
    is_asked: bool,
    known: &Passphrase,
) -> Result<Option<Zeroizing<String>>, Error> {
    if !is_asked {
        return known.read();
    }
    let hint = "without a terminal: --passphrase-file FILE";
    match Terminal::new_passphrase("the CA's key").await {
        Ok(Some(passphrase)) if !passphrase.is_empty() => Ok(Some(passphrase)),
        Ok(Some(_)) => {
            Err(Error::usage("passphrase", "no passphrase was typed").hint("leave out --passphrase for none"))
        }
        Ok(None) => {
            Err(Error::usage("passphrase", "nobody is there to be asked for a passphrase").hint(hint))
        }
        Err(_) => Err(Error::usage("passphrase", "the two passphrases differ").hint("type it again")),
    }
}

/// The one key of a public key file.
pub(super) async fn one_key(file: &PathBuf, cx: &Context) -> Result<HostKey, Error> {
    let mut keys = sshfp::of_files(std::slice::from_ref(file), cx).await?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => Err(Error::usage("host-key", format!("{} holds several keys", file.display()))
            .hint("give a file for each: ssh_host_ed25519_key.pub and its like")),
    }
}
