//! `sshanchor audit`: what is true of a fleet, and what is not as it should be.

mod forms;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use self::forms::{Format, Written, written};
use self::table::Table;
use super::hosts::HostArgs;
use super::publish::primary::zone;
use super::verify::{Judged, hosts_at_once};
use super::{Context, host_name};
use crate::agent::machine;
use crate::agent::state::State;
use crate::dns::dns_server;
use crate::dns::resolver::Resolver;
use crate::error::{Error, Kind};
use crate::files::pipe;
use crate::fleet::audit::Auditor;
use crate::fleet::audit::here::Here;
use crate::fleet::audit::own::Own;
use crate::fleet::audit::servers::{Named, Zones};
use crate::fleet::{Host, Target};
use crate::output::{Output, Progress};
use crate::proto::audit::facts::Outcome;
use crate::proto::audit::{Report, Severity, compare};
use crate::proto::name::HostName;
use crate::ssh::known_hosts;
use crate::verifier::Options;

/// Largest earlier audit that is read, in octets: some hundred thousand hosts.
const MAX_BASELINE: u64 = 1024 * 1024 * 1024;

/// Look at a whole fleet: what DNS proves, what each host shows, and what does not fit.
///
/// For each host: its proof, what every authoritative server of its zone has, every key and certificate that its server
/// shows (by handshakes, one after the other; no user name is sent), the keys on disk where this machine is the host,
/// what known_hosts remembers. These are compared, with each other and across the fleet. Each finding has a code, a
/// severity and a hint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor audit -H 'web[1-20].example.com'\n          \
    sshanchor audit -H @fleet --json >audit.json\n          \
    sshanchor audit -H @fleet --baseline audit.json --fail-on warning\n          \
    sshanchor audit -H @fleet -o audit.json -o audit.txt\n\
    Exit status: 0 no finding at or above --fail-on; 5 findings; with --baseline only new ones count. 1 the audit failed.")]
pub(super) struct Args {
    /// The hosts; what -H understands is understood here too
    #[arg(value_name = "HOST[:PORT]")]
    names: Vec<String>,
    #[command(flatten)]
    hosts: HostArgs,
    /// How many hosts to look at at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    fanout: u16,
    /// The form of what is printed [default: table; with --json, json]
    #[arg(long, value_enum, value_name = "FORM", help_heading = "Results")]
    format: Option<Format>,
    /// Write the audit to a file as well (repeatable); its ending says in which form, or FORM= before it
    #[arg(short, long, value_name = "[FORM=]FILE", value_parser = written, help_heading = "Results")]
    output: Vec<Written>,
    /// Print only findings that count for the exit status, and where there are none nothing (of a table)
    #[arg(short, long, help_heading = "Results")]
    quiet: bool,
    /// Exit with 5 where there is a finding that is so grave, or graver
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Error, help_heading = "Results")]
    fail_on: FailOn,
    /// Tell what changed since this earlier audit (as --json prints it): new findings in full, older ones as a count (-v: in
    /// full too). --fail-on counts new findings alone
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    baseline: Option<PathBuf>,
    /// Ask this name server in place of those that the NS records of a zone name (repeatable); with ZONE= for that zone
    /// alone
    #[arg(long = "check-server", value_name = "[ZONE=]ADDR[:PORT]", value_parser = named, help_heading = "What is compared")]
    check_servers: Vec<Named>,
    /// Do not ask the zones' own servers
    #[arg(long, conflicts_with = "check_servers", help_heading = "What is compared")]
    no_servers: bool,
    /// This machine is that host: its keys on disk are compared too (repeatable) [default: the names in [publish], and
    /// this machine's host name]
    #[arg(long, value_name = "HOST", help_heading = "What is compared")]
    local: Vec<String>,
    /// The public half of a key of --local (repeatable) [default: those that sshd -T names]
    #[arg(long = "host-key", value_name = "PUBFILE", requires = "local", help_heading = "What is compared")]
    host_keys: Vec<PathBuf>,
    /// A known_hosts file to compare with, or none (repeatable) [default: this user's and the system's]
    #[arg(long, value_name = "FILE|none", help_heading = "What is compared")]
    known_hosts: Vec<PathBuf>,
    /// What this machine has published: own records whose keys nobody shows are found [default: where [publish] is
    /// configured, the records at names that it no longer has]
    #[arg(long, value_name = "DIR", env = "SSHANCHOR_STATE", help_heading = "What is compared")]
    state: Option<PathBuf>,
}

/// From which severity on a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Hosts that cannot be verified, or are not what DNS says.
    Error,
    /// What weakens verification, or will break it, too.
    Warning,
    /// Everything.
    Info,
    /// Nothing.
    Never,
}

impl FailOn {
    fn counts(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Info => true,
            Self::Never => false,
        }
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let format = match (args.format, cx.out.json) {
        (Some(format), true) if format != Format::Json => {
            return Err(Error::usage("format", "--json and another --format").hint("leave one of them out"));
        }
        (Some(format), _) => format,
        (None, true) => Format::Json,
        (None, false) => Format::Table,
    };
    // Before anything is done: what was mistyped is not to waste an audit.
    let hosts = args.hosts.places(&args.names, cx).await?;
    let earlier = args.baseline.as_deref().map(|path| baseline(path, cx.timeout)).transpose()?;
    let here = here(&args, cx, &hosts).await?;
    let own = own(&args, cx).await?;
    let resolver = match cx.resolver.is_empty() {
        false => Resolver::new(cx.resolver.clone()).ok(),
        true => Resolver::system().ok(),
    };
    let zones = Zones::new(resolver, args.check_servers, cx.timeout);
    // What is true now: neither a cache nor another run has a say.
    let verifier = crate::verifier::Verifier::new(&Options { cache: None, ..cx.options() })?;
    let zones = (!args.no_servers).then(|| Arc::new(zones));
    let auditor = Auditor { verifier, zones, here: Arc::new(here), words };
    let mut progress = Progress::new("audited", hosts.len());
    let width = hosts_at_once(usize::from(args.fanout));
    let mut report = auditor.run(hosts, width, own, || progress.step()).await?;
    drop(progress);
    if let Some(earlier) = &earlier {
        report.changes = Some(compare(earlier, &report));
    }
    for file in &args.output {
        file.write(&report)?;
    }
    match format {
        Format::Table if args.quiet && !has_failed(&report, args.fail_on) => {}
        Format::Table => {
            let quiet = args.quiet.then_some(args.fail_on);
            cx.out.result(&Table { report: &report, verbose: cx.out.verbose > 0, quiet })?;
        }
        format => Output::whole(&forms::text(format, &report)?)?,
    }
    Ok(has_failed(&report, args.fail_on).then_some(Kind::Pending))
}

fn has_failed(report: &Report, fail_on: FailOn) -> bool {
    match &report.changes {
        Some(changes) => changes.new.iter().any(|change| fail_on.counts(change.finding.severity)),
        None => report.all_findings().any(|(_, finding)| fail_on.counts(finding.severity)),
    }
}

/// What `verify` says of a host.
fn words(
    host: &HostName,
    port: u16,
    verification: &crate::verifier::Verification,
    verdict: Option<crate::proto::verdict::Verdict>,
) -> Outcome {
    let Judged { verdict, reason, message, hint, .. } = Judged::of(host, port, verification, verdict);
    Outcome { verdict, reason, key: None, message, hint }
}

/// `[ZONE=]ADDR[:PORT]`.
fn named(text: &str) -> Result<Named, String> {
    let (of, server) = match text.split_once('=') {
        Some((of, server)) => (Some(zone(of)?), server),
        None => (None, text),
    };
    Ok(Named { zone: of, server: server_addr(server)? })
}

fn server_addr(text: &str) -> Result<SocketAddr, String> {
    dns_server(text)
}

/// `patience` is for one that is a pipe.
fn baseline(path: &Path, patience: Duration) -> Result<Report, Error> {
    let shown = path.display();
    let text = pipe::read(path, MAX_BASELINE, patience).map_err(|e| {
        Error::usage("baseline", format!("cannot read {shown}: {e}"))
            .hint(pipe::hint(&e).unwrap_or("sshanchor audit ... -o FILE.json writes one"))
    })?;
    compare::read(&text).map_err(|e| {
        Error::usage("baseline", format!("{shown}: {e}"))
            .hint("want an audit as sshanchor audit --json prints it: sshanchor audit ... -o FILE.json")
    })
}

/// This machine, as far as it is among the hosts.
async fn here(args: &Args, cx: &Context, hosts: &[Host]) -> Result<Here, Error> {
    let mut here = Here::default();
    let audited =
        |name: &HostName| hosts.iter().any(|host| matches!(&host.target, Target::Host(n) if n == name));
    let sshd_config = cx.rotate.sshd_config.as_deref();
    if args.local.is_empty() {
        for table in &cx.publishing {
            let mut names = machine::names(table).await?;
            names.retain(audited);
            if !names.is_empty() {
                let found = machine::keys(&table.host_keys, sshd_config).await?;
                here.add_keys(names, found.keys);
            }
        }
        if let Some(name) = own_name().filter(|name| cx.publishing.is_empty() && audited(name)) {
            match machine::keys(&[], sshd_config).await {
                Ok(found) => here.add_keys(vec![name], found.keys),
                Err(error) => cx.out.warn(&format!("the keys on disk take no part: {error}")),
            }
        }
    } else {
        let names: Vec<HostName> = args.local.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
        if let Some(other) = names.iter().find(|name| !audited(name)) {
            return Err(Error::usage(
                "local",
                format!("--local {other} is none of the hosts that are audited"),
            )
            .hint(format!("-H {other} makes it one")));
        }
        let found = machine::keys(&args.host_keys, sshd_config).await?;
        found.warnings.iter().for_each(|warning| cx.out.detail(warning));
        here.add_keys(names, found.keys);
    }
    let none = Path::new("none");
    let files = match args.known_hosts.as_slice() {
        [] => known_hosts::default_files(),
        files => files.iter().filter(|file| *file != none).cloned().collect(),
    };
    for file in args.known_hosts.iter().filter(|file| *file != none) {
        if !file.exists() {
            return Err(Error::usage("known-hosts", format!("{}: there is no such file", file.display()))
                .hint("--known-hosts none leaves known_hosts out"));
        }
    }
    here.read_known_hosts(&files, hosts.len()).iter().for_each(|warning| cx.out.warn(warning));
    Ok(here)
}

/// This machine's name, where that is a whole one.
fn own_name() -> Option<HostName> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok().filter(|name| name.contains('.'))?;
    HostName::parse(name).ok()
}

/// What this machine has published, where that is asked for, or configured.
async fn own(args: &Args, cx: &Context) -> Result<Own, Error> {
    if args.state.is_none() && cx.publishing.is_empty() {
        return Ok(Own::default());
    }
    let folder = args.state.clone().map_or_else(State::default_folder, Ok)?;
    let entries = match State::at(folder).entries() {
        Ok(entries) => entries,
        Err(error) if args.state.is_none() => {
            cx.out.warn(&format!("{error}: own records take no part"));
            return Ok(Own::default());
        }
        Err(error) => return Err(error.into()),
    };
    let named = machine::owners(&cx.publishing).await?;
    // Without a configuration nobody says which names this machine has.
    let mut keys = Vec::new();
    let files = cx.publishing.iter().map(|table| table.host_keys.as_slice());
    let files: Vec<&[PathBuf]> = if cx.publishing.is_empty() { vec![&[]] } else { files.collect() };
    for files in files {
        let found = machine::keys(files, cx.rotate.sshd_config.as_deref()).await;
        keys.extend(found.into_iter().flat_map(|found| found.keys).map(|key| key.sha256()));
    }
    let entries = if cx.publishing.is_empty() { unconfigured(entries) } else { entries };
    Ok(Own { entries, named, all: args.state.is_some(), keys })
}

/// The same as if no configuration had named them: which names it has now is not known here.
fn unconfigured(entries: crate::agent::state::Entries) -> crate::agent::state::Entries {
    let forget = |entry| crate::agent::state::Entry { configured: false, ..entry };
    entries.into_iter().map(|(owner, entry)| (owner, forget(entry))).collect()
}
