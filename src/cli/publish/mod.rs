//! `sshanchor publish`: this machine's SSHFP records, as they should be. What it shares with `withdraw`
//! lies beside it: the run against a primary, the proof afterwards, the result.

pub(super) mod batch;
pub(super) mod configured;
pub(super) mod place;
pub(super) mod primary;
pub(super) mod published;
mod shared;

use std::path::PathBuf;

use self::primary::{Primary, Run};
use super::sshfp;
use super::{Context, host_name};
use crate::agent::machine;
use crate::agent::orphans::Orphan;
use crate::agent::pass::Target;
use crate::agent::rotation;
use crate::backend::rfc2136;
use crate::error::{Error, Kind};
use crate::fan_out::in_parallel;
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::proto::plan::{DEFAULT_TTL, Intent, LONG_TTL, MAX_TTL};
use crate::proto::sshfp::{Sshfp, SshfpSet};

/// So many hosts are worth a thread that makes records of their keys, or writes results as text.
const HOSTS_A_THREAD: usize = 1000;

/// Publish this machine's host keys as SSHFP records.
///
/// Publishes this machine's host keys as SSHFP records: adds what is missing and removes its own records
/// whose key is gone, in one change that takes effect only if nobody was faster: a signed update (RFC 2136) as a rule. Other
/// machines' records at the same name stay. Then reads everything back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor publish --name web1.example.com --server 192.0.2.1 --key-file web1.key --dry-run\n          \
    sshanchor publish --name web1.example.com --server 192.0.2.1 --key-file web1.key\n          \
    sshanchor publish --name web1.example.com --powerdns http://127.0.0.1:8081 --api-key-file pdns.key\n          \
    sshanchor publish --name web1.example.com --zone-file example.com.inc --reload \"reload-bind %z /etc/bind/example.com.zone\" --zone example.com\n\
    Allow the key as little as possible; in BIND's zone: update-policy { grant web1 name web1.example.com SSHFP; };\n\
    What is own is kept in the state folder; use one for each view of a zone."
)]
pub(super) struct Args {
    /// The host whose keys these are [default: the names in [publish] of the configuration]
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// Many hosts: a file with a line a host, HOST PUBFILE..., or a line a key, HOST TYPE BASE64 as known_hosts has it; #
    /// begins a comment
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "host_keys"])]
    batch: Option<PathBuf>,
    /// Hosts of a batch in one update, which takes effect for all of them or for none
    #[arg(long, value_name = "N", requires_all = ["batch", "server"], default_value_t = rfc2136::BATCH as u16, value_parser = size)]
    batch_size: u16,
    #[command(flatten)]
    primary: Primary,
    #[command(flatten)]
    port: Port,
    /// A public host key file, or several; left out means this machine's own, as sshd -T lists them
    #[arg(long = "host-key", value_name = "PUBFILE", num_args = 1..)]
    host_keys: Vec<PathBuf>,
    /// The records' time to live [default: that of records already there, else 3600]
    #[arg(long, value_name = "SECONDS", value_parser = ttl)]
    ttl: Option<u32>,
    /// Remove records at this name that are not this machine's
    #[arg(long)]
    prune: bool,
    /// Publish only in a zone that is provably signed, from a trust anchor down: by --resolver, else by the system's
    #[arg(long)]
    require_signed: bool,
}

/// Which of a host's names, for `publish` and `withdraw`.
#[derive(Debug, clap::Args)]
pub(super) struct Port {
    /// For a server on another port: records at _N._ssh.HOST, good on port N alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,
}

fn ttl(text: &str) -> Result<u32, String> {
    let ttl = text.parse().ok().filter(|ttl| *ttl <= MAX_TTL);
    ttl.ok_or_else(|| format!("wants seconds, 0 to {MAX_TTL}: 3600 is an hour"))
}

fn size(text: &str) -> Result<u16, String> {
    let size = text.parse().ok().filter(|size| (1..=rfc2136::MAX_BATCH).contains(&usize::from(*size)));
    size.ok_or_else(|| format!("wants 1 to {}", rfc2136::MAX_BATCH))
}

const _: () = assert!(DEFAULT_TTL == 3600, "the help names the default");

pub(super) async fn run(mut args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    args.primary.require_signed = args.require_signed;
    args.primary.batch_size = Some(args.batch_size);
    let intent = Intent::Publish { ttl: args.ttl, prune: args.prune };
    if let Some(ttl) = args.ttl.filter(|ttl| *ttl > LONG_TTL) {
        cx.out.warn(&format!(
            "a TTL of {} days: so long may a key that is withdrawn be believed, and rotate waits: an hour or a day will do",
            ttl / 86_400
        ));
    }
    let names: Vec<HostName> = args.name.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
    if let Some(batch) = &args.batch {
        let target = |(name, keys): batch::Host| Target::host(&name, args.port.port, records(&keys), intent);
        let targets = in_parallel(batch::read(batch, cx.timeout)?, HOSTS_A_THREAD, target)?;
        let targets = targets.into_iter().collect::<Result<Vec<_>, _>>()?;
        shared::warnings(&targets).iter().for_each(|warning| cx.out.warn(warning));
        let run = Run { primary: &args.primary, batch: true, together: false };
        return run.carry_out(targets, cx).await;
    }
    let jobs = configured::jobs(&args.primary, &names, cx).await?;
    let all_of_the_configuration = names.is_empty() && !args.primary.names_a_place();
    let mut kinds = Vec::new();
    for job in jobs {
        let files = if args.host_keys.is_empty() { &job.host_keys } else { &args.host_keys };
        let mut wanted = records(&keys(files, cx).await?);
        if files.is_empty() {
            // While keys overlap, two of a type are wanted.
            wanted.extend(rotation::also_wanted(&job.primary.state()?)?);
        }
        let intent = Intent::Publish { ttl: args.ttl.or(job.ttl), prune: args.prune || job.exclusive };
        let targets = machine::targets(&job.names, args.port.port.or(job.port), &wanted, intent)?;
        let run = Run { primary: &job.primary, batch: false, together: false };
        kinds.extend(run.carry_out(targets, cx).await?);
    }
    if all_of_the_configuration {
        let lost = configured::lost(&args.primary.state()?, cx).await?;
        lost.iter().for_each(|orphan| cx.out.warn(&format!("{}: {}", orphan.message(), Orphan::HINT)));
    }
    Ok(Kind::gravest(kinds))
}

/// The records of keys.
pub(super) fn records(keys: &[HostKey]) -> SshfpSet {
    keys.iter().map(Sshfp::of_key).collect()
}

/// The keys of these files, or this machine's own.
pub(super) async fn keys(files: &[PathBuf], cx: &Context) -> Result<Vec<HostKey>, Error> {
    if !files.is_empty() {
        return sshfp::of_own_files(files, cx).await;
    }
    let found = machine::keys(&[], cx.rotate.sshd_config.as_deref()).await?;
    found.warnings.iter().for_each(|warning| cx.out.warn(warning));
    Ok(found.keys)
}
