//! `sshanchor ca publish`: the CA set, and the revoked set that has to stand beside it.

use std::path::PathBuf;
use std::time::Duration;

use super::set::{Which, ca_set, keys_of, note, present, revoked_set, told, zone_of};
use crate::agent::pass::Target;
use crate::cli::Context;
use crate::cli::publish::primary::{Primary, Run};
use crate::error::{Error, Kind};
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::KeyState;
use crate::proto::issuance::journal::Event;
use crate::proto::name::Name;
use crate::proto::plan::{Intent, MAX_TTL};
use crate::proto::revocation;
use crate::ssh::ca::Ca;

/// Publish CA keys, and the set of revoked keys beside them.
///
/// Publishes the public keys of a CA at _ca._ssh.NAME: the hosts at or below NAME then need no records of their own,
/// only certificates. Keys that are there stay, until ca withdraw takes them away: hosts show certificates of theirs.
/// In the same update it sees to it that _revoked._ssh.NAME exists, with its one fixed record; without a proven
/// revoked set clients accept nothing by a CA.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor ca publish --server 192.0.2.1 --key-file ca.key --dry-run\n          \
    sshanchor ca publish --ca-key /etc/step-ca/ssh_host_ca_key.pub --at example.com \\\n            --server 192.0.2.1 --key-file ca.key\n\
    Give the CA a TSIG key of its own, and hosts none that reaches these names; in BIND's zone:\n  \
    update-policy {\n    \
    grant ca name _ca._ssh.example.com SSHFP;\n    \
    grant ca name _revoked._ssh.example.com SSHFP;\n  };\n\
    Knot's acl is in contrib/knot/ca-acl.conf."
)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// A CA's public key file in place of the folder's: of ssh-keygen, step-ca, Vault; or a file with @cert-authority or
    /// cert-authority lines (repeatable)
    #[arg(long = "ca-key", value_name = "PUBFILE")]
    ca_keys: Vec<PathBuf>,
    #[command(flatten)]
    primary: Primary,
    /// The records' time to live [default: that of records already there, else 3600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_TTL)))]
    ttl: Option<u32>,
    /// Remove all other CA keys that are there
    #[arg(long)]
    prune: bool,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let folder = args.which.folder(&args.primary)?;
    let keys = keys(&args.ca_keys, folder.as_ref(), cx.timeout)?;
    let is_retired = |ca: &Ca| ca.authority().keys().iter().any(|key| key.state == KeyState::Retired);
    if args.prune && folder.as_ref().is_some_and(is_retired) {
        let message = "--prune would remove the key that the CA is rolling over from";
        let error = Error::usage("roll-under-way", message);
        return Err(error.hint("sshanchor ca roll withdraws it once no host needs it"));
    }
    let names = args.which.names(folder.as_ref(), &args.primary)?;
    let mut kinds = Vec::new();
    for at in &names {
        let kind = put(at, &keys, (args.ttl, args.prune), &args.primary, cx).await?;
        if !args.primary.looks_only() && kind.is_none() {
            let owner = ca_set(at, &keys, Intent::Withdraw)?.wish.owner;
            note(folder.as_ref(), cx, Event::other("publish", told(&owner, &keys)));
        }
        kinds.extend(kind);
    }
    Ok(Kind::gravest(kinds))
}

/// The keys of these files, else those of the folder that sign or will. `patience` is for a file that is a pipe.
pub(super) fn keys(
    files: &[PathBuf],
    folder: Option<&Ca>,
    patience: Duration,
) -> Result<Vec<HostKey>, Error> {
    match (files, folder) {
        ([], Some(folder)) => {
            let keys = folder.authority().keys().iter().filter(|key| key.state != KeyState::Retired);
            Ok(keys.map(|key| key.key.clone()).collect())
        }
        ([], None) => Err(Error::usage("no-ca", "which CA's keys?")
            .hint("make a CA: sshanchor ca init --domain example.com; or name the public key of one that is there: --ca-key FILE; or its folder: --ca FOLDER")),
        (files, _) => keys_of(files, patience),
    }
}

/// Publishes `keys` at `at`, with the revoked sets that clients ask for: the one beside it and that of the zone's apex.
/// `ttl` and `prune` are the options.
pub(super) async fn put(
    at: &Name,
    keys: &[HostKey],
    (ttl, prune): (Option<u32>, bool),
    primary: &Primary,
    cx: &Context,
) -> Result<Option<Kind>, Error> {
    let intent = match prune {
        true => Intent::Publish { ttl, prune },
        false => Intent::Add { ttl },
    };
    let ca = ca_set(at, keys, intent)?;
    let mut targets = vec![sentinel_at(at, ttl)?];
    let site = primary.site_to_read(cx, 2)?;
    let apex = zone_of(primary, &site, &ca.wish.owner).await?;
    if apex != *at && at.is_at_or_below(&apex) {
        targets.push(sentinel_at(&apex, None)?);
    }
    for target in &targets {
        let revoked = present(primary, &site, &target.wish.owner).await?;
        let is_revoked = |key: &&HostKey| revoked.iter().any(|r| r.fingerprint() == key.sha256());
        if let Some(key) = keys.iter().find(is_revoked) {
            let message = format!("the CA key {key} is revoked at {}", target.wish.owner);
            return Err(
                Error::usage("revoked", message).hint("publish the key of another CA: sshanchor ca roll")
            );
        }
    }
    targets.push(ca);
    Run { primary, batch: false, together: true }.carry_out(targets, cx).await
}

fn sentinel_at(at: &Name, ttl: Option<u32>) -> Result<Target, Error> {
    revoked_set(at, [revocation::sentinel()], Intent::Add { ttl })
}
