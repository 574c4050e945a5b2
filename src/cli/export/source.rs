//! Where what is exported comes from: hosts that are proven, or keys that are to be published.

use std::future::Future;
use std::path::PathBuf;

use super::outcome::{Exported, Missing, Outcome, unfit};
use crate::cli::bundle::BundleFile;
use crate::cli::publish::{self, keys, records};
use crate::cli::target::host_names;
use crate::cli::verify::hosts_at_once;
use crate::cli::{Context, host_name, in_grace};
use crate::error::Error;
use crate::fan_out::fan_out;
use crate::output::Progress;
use crate::proto::evidence::Evidence;
use crate::proto::export::{ExportError, RecordSet};
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::proto::plan::MAX_TTL;
use crate::proto::rr::Origin;
use crate::proto::sshfp;
use crate::proto::verdict::Published;
use crate::verifier::{NoKeys, Verifier, now};

/// The port of hosts that name none.
const SSH: u16 = 22;

/// How hosts are proven.
#[derive(Debug, clap::Args)]
pub(super) struct Proving {
    /// How many hosts to prove at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    fanout: u16,
    #[command(flatten)]
    bundle: BundleFile,
}

/// Hosts that are to be proven.
#[derive(Debug, clap::Args)]
pub(super) struct Hosts {
    /// The hosts; @FILE stands for the hosts in it, a line each, - for those on standard input
    #[arg(value_name = "HOST[:PORT]", required = true)]
    hosts: Vec<String>,
    /// The port of hosts that name none
    #[arg(short, long, default_value_t = SSH, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    proving: Proving,
}

/// Hosts that are to be proven, or keys that are to be published.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// Hosts whose records DNSSEC proves; @FILE stands for the hosts in it, a line each, - for those on standard input
    #[arg(value_name = "HOST[:PORT]", required_unless_present_any = ["name", "batch"], conflicts_with_all = ["name", "batch", "host_keys"])]
    hosts: Vec<String>,
    /// In place of proven hosts: records as they should be, of this machine's keys, for this host
    #[arg(long, value_name = "HOST", conflicts_with = "batch")]
    name: Option<String>,
    /// With --name: a public host key file (repeatable); left out means this machine's own, as sshd -T lists them
    #[arg(long = "host-key", value_name = "PUBFILE", requires = "name")]
    host_keys: Vec<PathBuf>,
    /// In place of proven hosts: a file with a line a host, HOST PUBFILE..., or a line a key, HOST TYPE BASE64 as known_hosts
    /// has it; # begins a comment
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
    /// Of hosts that name no port, that of their server [default: 22]; with --name and --batch: records for this port
    /// alone, at _N._ssh.HOST
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The records' time to live [default: that of proven records, else 3600 where one is wanted]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_TTL)))]
    ttl: Option<u32>,
    #[command(flatten)]
    proving: Proving,
}

/// What one host's proof gave, or why there is none.
pub(super) type Proven = Result<(Vec<HostKey>, Vec<Published>, Evidence), NoKeys>;

impl Hosts {
    /// The hosts that were named, each once.
    pub(super) fn named(&self, cx: &Context) -> Result<Vec<(HostName, u16)>, Error> {
        host_names(&self.hosts, self.port, cx.timeout)
    }

    pub(super) async fn prove<W, F>(
        &self,
        cx: &Context,
        named: Vec<(HostName, u16)>,
        work: W,
    ) -> Result<Outcome, Error>
    where
        W: Fn(Verifier, HostName, u16) -> F,
        F: Future<Output = Result<Proven, Error>> + Send + 'static,
    {
        prove(cx, named, None, &self.proving, work).await
    }
}

impl Source {
    /// From keys without a word to anybody; of hosts by `work`.
    pub(super) async fn gather<W, F>(&self, cx: &Context, work: W) -> Result<Outcome, Error>
    where
        W: Fn(Verifier, HostName, u16) -> F,
        F: Future<Output = Result<Proven, Error>> + Send + 'static,
    {
        let exported = match (&self.name, &self.batch) {
            (Some(name), _) => {
                let keys = keys(&self.host_keys, cx).await?;
                vec![self.of_keys(host_name(name)?, keys)?]
            }
            (None, Some(batch)) => {
                let hosts = publish::batch::read(batch, cx.timeout)?.into_iter();
                hosts.map(|(host, keys)| self.of_keys(host, keys)).collect::<Result<_, _>>()?
            }
            (None, None) => {
                let named = host_names(&self.hosts, self.port.unwrap_or(SSH), cx.timeout)?;
                return prove(cx, named, self.ttl, &self.proving, work).await;
            }
        };
        Ok(Outcome { exported, missing: Vec::new() })
    }

    fn of_keys(&self, host: HostName, keys: Vec<HostKey>) -> Result<Exported, Error> {
        let owner = sshfp::owner(&host, self.port).map_err(|e| {
            Error::usage("host-name", format!("{host} leaves no room for its port label: {e}"))
        })?;
        let set = RecordSet::new(owner, self.ttl, records(&keys)).map_err(unfit)?;
        let port = self.port.unwrap_or(SSH);
        Ok(Exported { host, port, keys, sets: vec![set], origin: None, valid_until: None })
    }
}

async fn prove<W, F>(
    cx: &Context,
    hosts: Vec<(HostName, u16)>,
    ttl: Option<u32>,
    proving: &Proving,
    work: W,
) -> Result<Outcome, Error>
where
    W: Fn(Verifier, HostName, u16) -> F,
    F: Future<Output = Result<Proven, Error>> + Send + 'static,
{
    let width = hosts_at_once(usize::from(proving.fanout));
    let verifier = cx.verifier_with(proving.bundle.load(cx.timeout)?)?;
    let mut progress = Progress::new("proven", hosts.len());
    let mut done: Vec<(usize, Proven)> = Vec::new();
    let each = |(host, port): (HostName, u16)| work(verifier.for_one_host(), host, port);
    fan_out(hosts.clone(), width, each, |place, proven| {
        done.push((place, proven?));
        progress.step();
        Ok::<_, Error>(())
    })
    .await?;
    drop(progress);
    done.sort_by_key(|(place, _)| *place);
    let mut outcome = Outcome::default();
    for ((host, port), (_, proven)) in hosts.into_iter().zip(done) {
        let (keys, published, evidence) = match proven {
            Ok(proven) => proven,
            Err(why) => {
                outcome.missing.push(Missing::new(&host, port, why));
                continue;
            }
        };
        let origin = evidence.origin();
        if let Some(age) = origin.and_then(|origin: Origin| origin.age(now())) {
            cx.out.warn(&in_grace(&host.to_string(), age));
        }
        match sets(published, ttl) {
            Err(why) => outcome.missing.push(Missing::unfit(&host, port, &why)),
            Ok(sets) => {
                let valid_until = evidence.valid_until();
                outcome.exported.push(Exported { host, port, keys, sets, origin, valid_until });
            }
        }
    }
    Ok(outcome)
}

fn sets(published: Vec<Published>, ttl: Option<u32>) -> Result<Vec<RecordSet>, ExportError> {
    let set = |set: Published| RecordSet::new(set.owner, ttl.or(Some(set.ttl)), set.records);
    published.into_iter().map(set).collect()
}

/// The proven records of a host; nothing is sent to it.
pub(super) async fn of_dns(verifier: Verifier, host: HostName, port: u16) -> Result<Proven, Error> {
    let proven = verifier.proven_records(&host, port).await?;
    Ok(proven.map(|(sets, evidence)| (Vec::new(), sets, evidence)))
}

/// The proven keys of a host, each after a handshake, and the records that prove them.
pub(super) async fn of_handshakes(verifier: Verifier, host: HostName, port: u16) -> Result<Proven, Error> {
    let proven = match verifier.proven_keys(&host, port).await? {
        Ok(proven) => proven,
        Err(why) => return Ok(Err(why)),
    };
    let keys = proven.keys.into_iter().map(|(key, _)| key).collect();
    match verifier.published(&proven.evidence) {
        Ok(sets) => Ok(Ok((keys, sets, proven.evidence))),
        // A CA has sufficed so far, and what is stored says nothing of the host's own records.
        Err(_) if proven.evidence.is_stored() => {
            let published = verifier.proven_records(&host, port).await?;
            Ok(published.map(|(sets, evidence)| (keys, sets, evidence)))
        }
        Err(reason) => Ok(Err(reason.into())),
    }
}
