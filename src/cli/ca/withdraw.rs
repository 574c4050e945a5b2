//! `sshanchor ca withdraw`: takes CA keys out of the CA set.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::ca_error;
use super::set::{Which, ca_set, keys_of, note, told};
use crate::cli::Context;
use crate::cli::publish::primary::{Primary, Run};
use crate::error::{Error, Kind};
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::journal::Event;
use crate::proto::issuance::{KeyState, ledger};
use crate::proto::plan::Intent;
use crate::proto::revocation;
use crate::proto::rollover::outstanding;
use crate::ssh::ca::Ca;
use crate::verifier;

/// Take CA keys out of DNS.
///
/// Removes the CA keys that were published from here, or these alone (--ca-key); the set may become empty. Hosts that
/// show certificates of these CAs are unproven then, unless they have SSHFP records of their own. The revoked set
/// stays as it is: a key that leaks is not to be accepted again by whatever comes later. A set that was withdrawn can
/// be replayed until its signature expires: revoke the key of a CA that is no longer to be trusted (ca revoke).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor ca withdraw --ca-key old_ca.pub --at example.com \\\n            --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca withdraw --server 192.0.2.1 --key-file ca.key --dry-run"
)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Only this CA's key, from its public key file (repeatable)
    #[arg(long = "ca-key", value_name = "PUBFILE")]
    ca_keys: Vec<PathBuf>,
    #[command(flatten)]
    primary: Primary,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let folder = args.which.folder(&args.primary)?;
    let (keys, intent) = match (args.ca_keys.as_slice(), &folder) {
        ([], None) => (Vec::new(), Intent::Withdraw),
        ([], Some(folder)) => {
            let keys = folder.authority().keys().iter().map(|key| key.key.clone());
            (keys.collect(), Intent::Withdraw)
        }
        (files, _) => (keys_of(files, cx.timeout)?, Intent::Remove { foreign: true }),
    };
    spare_what_is_in_use(folder.as_ref(), &keys)?;
    let mut kinds = Vec::new();
    for at in args.which.names(folder.as_ref(), &args.primary)? {
        let target = ca_set(&at, &keys, intent)?;
        let owner = target.wish.owner.clone();
        let run = Run { primary: &args.primary, batch: false, together: false };
        let kind = run.carry_out(vec![target], cx).await?;
        if !args.primary.looks_only() && kind.is_none() {
            note(folder.as_ref(), cx, Event::other("withdraw", told(&owner, &keys)));
            let beside = revocation::owner(&at).map(|owner| owner.to_string()).unwrap_or_default();
            cx.out.note(&format!(
                "hosts that show certificates of these CAs, and have no records of their own, are accepted no more once caches \
                 let go; {beside} stays as it is"
            ));
        }
        kinds.extend(kind);
    }
    Ok(Kind::gravest(kinds))
}

/// While the CA rolls over, hosts may still show certificates of the key that it leaves.
fn spare_what_is_in_use(ca: Option<&Ca>, keys: &[HostKey]) -> Result<(), Error> {
    let Some(ca) = ca else { return Ok(()) };
    let mut retired = ca.authority().keys().iter().filter(|key| key.state == KeyState::Retired);
    let Some(retired) = retired.find(|retired| keys.contains(&retired.key)) else { return Ok(()) };
    let certificates = ledger::certificates(ca.journal().read().map_err(ca_error)?, verifier::now());
    let (old, new) = (retired.key.sha256(), ca.public_key().sha256());
    match outstanding(&certificates, &old, &new, &BTreeSet::new()).len() {
        0 => Ok(()),
        open => {
            let hosts = crate::output::hosts(open);
            let message = format!("{hosts} may still show certificates of the key {}", retired.key);
            Err(Error::usage("in-use", message).hint(
                "sshanchor ca roll withdraws it once they have others; hosts that are gone: --skip HOST; if it has \
                 leaked: --emergency",
            ))
        }
    }
}
