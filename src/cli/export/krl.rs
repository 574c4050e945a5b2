//! `sshanchor export krl`: a proven revoked set as a list for OpenSSH's own RevokedHostKeys and RevokedKeys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::cli::publish::primary::zone as name;
use crate::cli::{Context, host_name};
use crate::error::{Error, Kind};
use crate::files::{self, Original};
use crate::output::{Report, rfc3339};
use crate::proto::denial::{Status, Unproven};
use crate::proto::krl::{self, Krl};
use crate::proto::message::Question;
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::revocation::{self, RevokedSet};
use crate::proto::rr::RrType;
use crate::proto::verdict::{hint_for, status_code};
use crate::verifier::{self, Verifier};

/// Largest list that is read to see what is to be replaced, in octets: a million keys take 36 MB.
const MAX_KRL: u64 = 256 * 1024 * 1024;
/// What the comment of a list from here begins with.
const OWN: &str = "sshanchor: ";

/// Revoked keys for OpenSSH: a KRL for RevokedHostKeys.
///
/// Proves the revoked sets, live, and writes their digests as a key revocation list. ssh then refuses these keys, the
/// certificates that hold them and those that such a CA has signed, even where it does not ask sshanchor. Nothing is
/// written unless every set is proven, its sentinel included: an outage does not replace a good list by an empty one,
/// nor does an older set that somebody replays.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor export krl --at example.com -o /etc/ssh/revoked_host_keys\n          \
    sshanchor export krl web1.example.com -o ~/.ssh/revoked_host_keys\n\
    In ssh_config: RevokedHostKeys /etc/ssh/revoked_host_keys; without the file ssh refuses every host.\n\
    Look into it: ssh-keygen -Q -l -f /etc/ssh/revoked_host_keys"
)]
pub(super) struct Args {
    /// Hosts: the set of the zone that each is in
    #[arg(value_name = "HOST", required_unless_present = "at")]
    hosts: Vec<String>,
    /// The set at _revoked._ssh.NAME (repeatable)
    #[arg(long, value_name = "NAME", value_parser = name)]
    at: Vec<Name>,
    /// The file to write, as a whole or not at all
    #[arg(short, long, visible_alias = "out", value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Done {
    format: &'static str,
    file: String,
    /// The revoked sets.
    owners: Vec<String>,
    /// Digests of the revoked keys, in hex.
    sha256: Vec<String>,
    /// That of the list: when the oldest signature over the sets began, in seconds since 1970.
    version: u64,
    /// Until when the sets are validly signed.
    valid_until: Option<String>,
}

/// The port of what stands at a host's name.
const SSH: u16 = 22;

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let (verifier, now) = (cx.verifier()?, verifier::now());
    let mut names = args.at.clone();
    for host in &args.hosts {
        let host = host_name(host)?;
        let evidence = verifier.whole_evidence(&host, SSH).await?;
        match (evidence.host_zone(now), evidence.zone_failure()) {
            (Some(zone), _) => names.push(zone.clone()),
            (None, Some(why)) => return Err(unproven(host.name(), why, &args.output)),
            (None, None) => {
                let message = format!(
                    "{host} is in no zone of its own: what stands at its name tells none, or several"
                );
                return Err(Error::usage("no-zone", message).hint("name the set: --at NAME"));
            }
        }
    }
    names.sort();
    names.dedup();
    let (mut digests, mut owners, mut origins) = (BTreeSet::new(), Vec::new(), Vec::new());
    let (mut version, mut valid_until) = (u64::MAX, u64::MAX);
    for at in &names {
        let (owner, set, signed, expires) = proven(&verifier, at, now, &args.output).await?;
        digests.extend(set.digests().copied());
        owners.push(owner.to_string());
        origins.push((owner.to_string(), signed));
        (version, valid_until) = (version.min(signed), valid_until.min(expires));
    }
    let krl = Krl { version, generated: now, comment: comment(&origins), digests };
    refuse_worse(&krl, &origins, &args.output)?;
    let io = |e: std::io::Error| Error::io(format!("{}: {e}", args.output.display()), &e);
    files::write(&args.output, &krl.octets()).map_err(io)?;
    cx.out.result(&Done {
        format: "krl",
        file: args.output.display().to_string(),
        owners,
        sha256: krl.digests.iter().map(|digest| HEXLOWER.encode(digest)).collect(),
        version,
        valid_until: rfc3339(valid_until),
    })?;
    Ok(None)
}

/// The revoked set of `at`, with its owner, when the signature over it began and when the proof ends.
async fn proven(
    verifier: &Verifier,
    at: &Name,
    now: u64,
    file: &Path,
) -> Result<(Name, RevokedSet, u64, u64), Error> {
    let owner = revocation::owner(at).map_err(|e| Error::usage("ca-name", format!("{at}: {e}")))?;
    let asked = Question::new(owner.clone(), RrType::SSHFP);
    let answer = verifier.lookups().prove_live(&asked).await.map_err(|why| {
        let error = unproven(&owner, &why, file);
        match why.status {
            Status::Absent => {
                error.hint(format!("whoever runs the CA keeps one: sshanchor ca publish --at {at} ..."))
            }
            _ => error,
        }
    })?;
    let set = RevokedSet::from_rdatas(answer.data().set().rdatas()).map_err(|e| {
        Error::new(Kind::Unproven, "no-sentinel", format!("{owner}: {e}; {} was not written", file.display()))
            .hint(format!("have it mended: sshanchor ca publish --at {at} ..."))
    })?;
    // Serial number arithmetic (RFC 4034 section 3.1.5): it has begun.
    let age = (now as u32).wrapping_sub(answer.data().rrsig().inception);
    Ok((owner, set, now.saturating_sub(u64::from(age)), answer.expires()))
}

fn unproven(name: &Name, why: &Unproven, file: &Path) -> Error {
    let message = format!("{name} is not proven, and so {} was not written: {why}", file.display());
    Error::new(Kind::Unproven, status_code(why), message).hint(hint_for(name, why))
}

/// The comment of a list of these sets, each with the moment at which its signature began, in seconds since 1970.
fn comment(origins: &[(String, u64)]) -> String {
    let sets: Vec<String> = origins.iter().map(|(owner, signed)| format!("{owner} of {signed}")).collect();
    format!("{OWN}{}", sets.join(", "))
}

/// The sets in such a comment.
fn origins(sets: &str) -> impl Iterator<Item = (&str, u64)> {
    sets.split(", ").filter_map(|set| {
        let (owner, signed) = set.split_once(" of ")?;
        Some((owner, signed.parse().ok()?))
    })
}

/// What is in the file is not replaced by less: a list that somebody else keeps there (ssh reads one key a line too), nor
/// one of a later set; that a set is older is what a replay looks like, or a server that lags.
fn refuse_worse(krl: &Krl, new: &[(String, u64)], file: &Path) -> Result<(), Error> {
    let told = |e: std::io::Error| Error::io(format!("{}: {e}", file.display()), &e);
    let Some(original) = Original::read(file, MAX_KRL).map_err(told)? else { return Ok(()) };
    if original.octets().is_empty() {
        return Ok(());
    }
    let sets = krl::comment_of(original.octets()).and_then(|comment| comment.strip_prefix(OWN));
    let (Some(sets), Some(version)) = (sets, krl::version_of(original.octets())) else {
        let message =
            format!("{} holds something that sshanchor has not written: it was not replaced", file.display());
        return Err(
            Error::usage("not-own", message).hint("name another file: -o FILE; or take this one away")
        );
    };
    let of = |owner: &str| new.iter().find(|(new, _)| new == owner).map(|(_, signed)| *signed);
    let older = origins(sets).find_map(|(owner, before)| {
        let now = of(owner).filter(|now| *now < before)?;
        Some((now, before))
    });
    match older.or((version > krl.version).then_some((krl.version, version))) {
        Some((now, before)) => {
            let message = format!(
                "the set that was proven was signed at {}, and the one in {} at {}: it was not written",
                moment::text(now),
                file.display(),
                moment::text(before)
            );
            Err(Error::new(Kind::Unproven, "older-set", message).hint(
                "a server lags, or somebody replays: try again, or ask another resolver (--resolver); remove the file to \
                 begin anew",
            ))
        }
        None => Ok(()),
    }
}

impl Report for Done {
    fn text(&self) -> String {
        let keys = if self.sha256.len() == 1 { "key" } else { "keys" };
        format!("{}: krl of {} revoked {keys} ({})", self.file, self.sha256.len(), self.owners.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(sets: &[(&str, u64)]) -> (Krl, Vec<(String, u64)>) {
        let origins: Vec<_> = sets.iter().map(|(owner, signed)| ((*owner).to_owned(), *signed)).collect();
        let version = sets.iter().map(|(_, signed)| *signed).min().unwrap();
        (Krl { version, generated: 1, comment: comment(&origins), digests: BTreeSet::new() }, origins)
    }

    #[test]
    fn what_is_there_is_not_replaced_by_less() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("krl");
        let put = |sets: &[(&str, u64)]| {
            let (krl, origins) = list(sets);
            refuse_worse(&krl, &origins, &file).map_err(|error| error.reason)
        };
        assert_eq!(put(&[("a", 10)]), Ok(()), "none is there");
        let foreign = Krl { version: 0, generated: 0, comment: String::new(), digests: BTreeSet::new() };
        for octets in [b"ssh-ed25519 AAAA one key a line is a list too\n".to_vec(), foreign.octets()] {
            std::fs::write(&file, octets).unwrap();
            assert_eq!(put(&[("a", 10)]), Err("not-own"));
        }
        std::fs::write(&file, "").unwrap();
        assert_eq!(put(&[("a", 10)]), Ok(()));
        // The oldest of several sets hides none of the others.
        std::fs::write(&file, list(&[("a", 10), ("b", 20)]).0.octets()).unwrap();
        for (sets, wanted) in [
            ([("a", 10), ("b", 20)], Ok(())),
            ([("a", 11), ("b", 25)], Ok(())),
            ([("a", 9), ("b", 25)], Err("older-set")),
            ([("a", 10), ("b", 19)], Err("older-set")),
            ([("a", 30), ("b", 19)], Err("older-set")),
        ] {
            assert_eq!(put(&sets), wanted, "{sets:?}");
        }
    }
}
