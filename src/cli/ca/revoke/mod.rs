//! `sshanchor ca revoke`: adds keys to the revoked set, and says for how long they can still be accepted.

mod keys;
mod told;

use std::path::PathBuf;

use self::keys::{Named, all_records, named};
use self::told::Revoked;
use super::set::{Which, note, present, revoked_set, zone_of};
use crate::backend::site::Site;
use crate::cli::Context;
use crate::cli::publish::primary::{Primary, Run};
use crate::error::{Error, Kind};
use crate::proto::issuance::KeyState;
use crate::proto::issuance::journal::Event;
use crate::proto::name::Name;
use crate::proto::plan::{Intent, MAX_TTL};
use crate::proto::revocation::{self, Window};
use crate::proto::sshfp::Sshfp;
use crate::ssh::ca::Ca;
use crate::verifier;

/// Revoke keys: of hosts, in certificates, of CAs.
///
/// Adds the digests of keys to _revoked._ssh.NAME. Whatever has a revoked key is refused: its certificates, whoever
/// signed them, and the plain key where policy asks for the set. It is keys that are revoked: a certificate by the key
/// in it, never by its serial number, and a new certificate for the same key is no good either. A host that goes on
/// needs a new key. Afterwards it says for how long a client can still be shown the set of before.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor ca revoke --host web7.example.com --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca revoke --certificate ssh_host_ed25519_key-cert.pub --at example.com \\\n            --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca revoke --undo --sha256 SHA256:... --at example.com \\\n            --server 192.0.2.1 --key-file ca.key\n\
    A plain key is vouched for by its SSHFP record as well: take that away too (sshanchor withdraw)."
)]
#[group(id = "what", required = true, multiple = true, args = ["keys", "certificates", "hosts", "digests"])]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// A public key file, - for standard input (repeatable)
    #[arg(long = "key", value_name = "PUBFILE")]
    keys: Vec<PathBuf>,
    /// A certificate file: the key in it (repeatable)
    #[arg(long = "certificate", value_name = "CERTFILE")]
    certificates: Vec<PathBuf>,
    /// A host: every key that the CA's journal has certified for it, and those of its proven SSHFP records (repeatable)
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// A key's digest: 64 hex digits, or SHA256:... as ssh-keygen -l prints it (repeatable)
    #[arg(long = "sha256", value_name = "DIGEST")]
    digests: Vec<String>,
    #[command(flatten)]
    primary: Primary,
    /// The records' time to live [default: that of records already there, else 3600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_TTL)), conflicts_with = "undo")]
    ttl: Option<u32>,
    /// Take back what was revoked from here; the set and its sentinel stay
    #[arg(long)]
    undo: bool,
    /// With --undo: also what somebody else has revoked
    #[arg(long, requires = "undo")]
    prune: bool,
    /// Yes, the key of a CA that vouches now: all that it has signed is refused
    #[arg(long)]
    yes_the_ca: bool,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let folder = args.which.folder(&args.primary)?;
    let names = args.which.names(folder.as_ref(), &args.primary)?;
    let named = named(&args, folder.as_ref(), cx).await?;
    let site = args.primary.site_to_read(cx, names.len())?;
    // Before anything is changed anywhere.
    for at in &names {
        match args.undo {
            true => may_undo(&args, at, &named, &site).await?,
            false => spare_the_ca(&args, at, &named, folder.as_ref(), &site).await?,
        }
    }
    let mut kinds = Vec::new();
    for at in &names {
        kinds.extend(at_one(&args, at, &named, folder.as_ref(), cx).await?);
    }
    Ok(Kind::gravest(kinds))
}

async fn at_one(
    args: &Args,
    at: &Name,
    named: &[Named],
    folder: Option<&Ca>,
    cx: &Context,
) -> Result<Option<Kind>, Error> {
    let target = match args.undo {
        true => revoked_set(at, named.iter().flat_map(all_records), Intent::Remove { foreign: args.prune })?,
        false => {
            let records = named.iter().map(Named::record).chain([revocation::sentinel()]);
            revoked_set(at, records, Intent::Add { ttl: args.ttl })?
        }
    };
    let owner = target.wish.owner.clone();
    let site = args.primary.site_to_read(cx, 1)?;
    let apex = zone_of(&args.primary, &site, &owner).await?;
    // The signatures over the set as it is before: what can be replayed afterwards.
    let old = args.primary.signatures(&site, &apex, &owner, cx).await?;
    let was_there = !present(&args.primary, &site, &owner).await?.is_empty();
    let run = Run { primary: &args.primary, batch: false, together: false };
    let kind = run.carry_out(vec![target], cx).await?;
    let done = !args.primary.looks_only() && kind.is_none_or(|kind| kind == Kind::Unproven);
    if done {
        for named in named {
            let key = named.key;
            let told = [("owner", owner.to_string()), ("by", named.by.clone())];
            let more = told.map(|(field, value)| (field.to_owned(), value.into())).into_iter().collect();
            let event = match args.undo {
                true => Event::Unrevoke { key, more },
                false => Event::Revoke { key, more },
            };
            note(folder, cx, event);
        }
    }
    // What failed is told already.
    if args.undo || !(done || args.primary.looks_only()) {
        return Ok(kind);
    }
    let now = verifier::now();
    let policy = cx.policies.of(&at.to_string());
    let revoked = Revoked {
        owner: owner.to_string(),
        at: at.to_string(),
        is_done: done,
        was_there,
        keys: named,
        window: Window::of(now, &old, &policy),
        max_age: policy.max_signature_age,
        now,
        place: args.primary.place_options(),
    };
    cx.out.result(&revoked)?;
    if apex != *at {
        cx.out.warn(&format!(
            "for plain keys clients ask the set of the zone alone: revoke there too, with --at {apex}"
        ));
    }
    Ok(kind)
}

/// Nobody revokes by mistake the key by which every host is accepted.
async fn spare_the_ca(
    args: &Args,
    at: &Name,
    named: &[Named],
    folder: Option<&Ca>,
    site: &Site,
) -> Result<(), Error> {
    let owner = revocation::ca_owner(at).map_err(|e| Error::usage("ca-name", format!("{at}: {e}")))?;
    let set = present(&args.primary, site, &owner).await?;
    // A retired key that nobody publishes any more vouches for nobody.
    let own = folder.into_iter().flat_map(|folder| folder.authority().keys());
    let own = own.filter(|key| key.state != KeyState::Retired);
    let own: Vec<[u8; 32]> = own.map(|key| key.key.sha256()).collect();
    let vouches = |named: &&Named| {
        own.contains(&named.key.sha256) || set.iter().any(|r| r.fingerprint() == named.key.sha256)
    };
    match named.iter().find(vouches) {
        Some(ca) if !args.yes_the_ca => {
            let message = format!(
                "{} ({}) is the key of a CA that vouches for the hosts of {at}: every certificate of it would be refused",
                ca.by,
                ca.record().fingerprint_text()
            );
            Err(Error::usage("ca-key", message)
                .hint("go over to another CA first: sshanchor ca roll; if the key has leaked: --yes-the-ca"))
        }
        _ => Ok(()),
    }
}

/// There is something to take back, and it is ours.
async fn may_undo(args: &Args, at: &Name, named: &[Named], site: &Site) -> Result<(), Error> {
    let owner = revoked_set(at, [], Intent::Remove { foreign: false })?.wish.owner;
    let set = present(&args.primary, site, &owner).await?;
    let own = args.primary.own()?;
    let is_own = |record: &Sshfp| own.get(&owner).is_some_and(|own| own.contains(record));
    for key in named {
        let found: Vec<&Sshfp> = set.iter().filter(|r| r.fingerprint() == key.key.sha256).collect();
        if found.is_empty() {
            return Err(Error::usage(
                "not-revoked",
                format!("{} ({}) is not revoked at {owner}", key.record().fingerprint_text(), key.by),
            ));
        }
        if !args.prune && !found.iter().all(|record| is_own(record)) {
            let message = format!("{} was revoked at {owner}, and not from here", key.by);
            return Err(
                Error::usage("not-own", message).hint("ask who has done it, and why; then --undo --prune")
            );
        }
    }
    Ok(())
}
