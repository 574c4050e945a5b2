//! `sshanchor tidy`: known_hosts entries that DNSSEC makes needless, found and removed.

mod ask;
mod file;
mod told;

use std::path::PathBuf;

use self::ask::{ask, wanted};
use self::file::KnownHosts;
use self::told::Told;
use super::Context;
use super::bundle::BundleFile;
use super::target::host_names;
use crate::error::{Error, Kind};
use crate::fan_out::in_order;
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::proto::tidy::{Removal, try_names, without};
use crate::ssh::config::{self, AskSshError, NOBODY};
use crate::ssh::known_hosts::{default_files, expand};

/// Find known_hosts entries that DNSSEC makes needless, and remove them.
///
/// Looks up every host in the user's known_hosts files (of HOST... these alone), and says of each entry whether DNSSEC
/// proves its key (it is not needed any more), contradicts it (it is stale, or somebody was in between), or says
/// nothing. Hosts are not contacted. With --write, proven entries are removed; the file as it was stays beside it.
/// Of a line with several names those that are proven go. Kept as they are: @cert-authority and @revoked, patterns,
/// addresses, hashed names that are not among HOST..., keys without SSHFP, comments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor tidy\n          \
    sshanchor tidy --write\n          \
    sshanchor tidy --file /etc/ssh/ssh_known_hosts @fleet          (finds hashed names too)\n\
    Where ssh does not ask sshanchor for a host's keys it would take the host for new without its entry: --write refuses\n\
    that (--force). See: sshanchor config ssh\n\
    Exit status: 0 nothing to do, or done; 5 entries could go (--write), or contradict DNSSEC (look at them; --contradicted).")]
pub(super) struct Args {
    /// These hosts alone; hashed entries are theirs if they fit. @FILE stands for the hosts in it, a line each, - for those
    /// on standard input
    #[arg(value_name = "HOST[:PORT]")]
    hosts: Vec<String>,
    /// Look at this file (repeatable) [default: the user's, as ssh -G tells them]
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Remove what is proven; the file as it was stays beside it, as FILE.sshanchor-TIME
    #[arg(long)]
    write: bool,
    /// Remove also entries of keys that are not among those that DNSSEC proves for the host
    #[arg(long)]
    contradicted: bool,
    /// Remove entries even of hosts for which ssh asks nobody else: it takes those for new then
    #[arg(long)]
    force: bool,
    /// How many hosts to look up at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    fanout: u16,
    /// Ask ssh with this configuration file (its -F) in place of its own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    #[command(flatten)]
    bundle: BundleFile,
}

/// The port of hosts that name none.
const SSH: u16 = 22;
/// How many times ssh is asked about its configuration at the same time.
const SSH_AT_ONCE: usize = 8;

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let named = match args.hosts.is_empty() {
        true => None,
        false => Some(host_names(&args.hosts, SSH, cx.timeout)?),
    };
    let files = args.open(cx).await?;
    if files.is_empty() {
        cx.out.note("no known_hosts file is there: nothing to tidy");
    }
    let mut read: Vec<_> = files.iter().map(|file| (file, file.lines())).collect();
    // Without hosts, hashed names may still be among those that stand there in plain.
    let candidates = match &named {
        Some(named) => named.clone(),
        None => wanted(read.iter().map(|(_, lines)| lines.as_slice()), None).into_keys().collect(),
    };
    read.iter_mut().for_each(|(_, lines)| try_names(lines, &candidates));
    let wanted = wanted(read.iter().map(|(_, lines)| lines.as_slice()), named.as_deref());
    let asked = ask(wanted, usize::from(args.fanout), &args.bundle, cx).await?;

    let removal = Removal { contradicted: args.contradicted };
    let goes = |host: &HostName, port: u16, key: &HostKey| {
        asked.of(host, port, key).is_some_and(|answer| removal.takes(answer.standing))
    };
    let going = asked.hosts(|standing| removal.takes(standing));
    if !args.force {
        args.refuse_if_ssh_asks_nobody(cx, going).await?;
    }
    let mut kinds = Vec::new();
    for (file, lines) in &read {
        let left = without(lines, goes);
        let backup = match args.write && left != file.octets() {
            false => None,
            true => Some(file.replace(&left)?),
        };
        let mut told = Told::new(&file.shown, &asked, removal, backup);
        told.entries(cx, lines)?;
        kinds.extend(told.summary(cx)?);
    }
    Ok(Kind::gravest(kinds))
}

impl Args {
    /// The files that were named, each of which has to be there; else those of ssh that are.
    async fn open(&self, cx: &Context) -> Result<Vec<KnownHosts>, Error> {
        if !self.files.is_empty() {
            let open = |path: &PathBuf| {
                KnownHosts::open(path)?.ok_or_else(|| {
                    Error::usage("known-hosts-file", format!("{} is no file", path.display()))
                        .hint("give known_hosts files: --file ~/.ssh/known_hosts")
                })
            };
            return file::each_once(self.files.iter().map(open));
        }
        let config = config::of_host(NOBODY, self.ssh_config.as_deref(), cx.timeout / 3).await;
        if let Err(why) = &config
            && !matches!(why, AskSshError::Missing)
        {
            cx.out
                .warn(&format!("ssh does not tell its known_hosts files, and those in ~/.ssh count: {why}"));
        }
        let of_ssh = config.as_ref().ok().and_then(|config| config.get("userknownhostsfile"));
        let of_ssh: Vec<PathBuf> =
            of_ssh.into_iter().flat_map(str::split_ascii_whitespace).map(expand).collect();
        // The user's come first, then those of the system, which are not this user's to change.
        const OF_THE_USER: usize = 2;
        let paths = match of_ssh.is_empty() {
            true => default_files().into_iter().take(OF_THE_USER).collect(),
            false => of_ssh,
        };
        file::each_once(paths.iter().filter_map(|path| KnownHosts::open(path).transpose()))
    }

    /// A host without an entry is new to ssh, which takes whatever key it shows or asks a person, unless it is told the key.
    /// Before entries go that is an error, else a warning.
    async fn refuse_if_ssh_asks_nobody(&self, cx: &Context, going: Vec<HostName>) -> Result<(), Error> {
        let ask = |host: HostName| {
            let (file, patience) = (self.ssh_config.clone(), cx.timeout / 3);
            async move {
                let asked = config::of_host(&host.to_string(), file.as_deref(), patience).await;
                let is_told = match &asked {
                    Ok(config) => config.asks_us(),
                    // Without ssh nobody takes a host for new.
                    Err(why) => matches!(why, AskSshError::Missing),
                };
                (host, is_told)
            }
        };
        let asked = in_order(going, SSH_AT_ONCE, ask).await?;
        let alone: Vec<String> =
            asked.into_iter().filter(|(_, is_told)| !is_told).map(|(host, _)| host.to_string()).collect();
        let (Some(first), others) = (alone.first(), alone.len().saturating_sub(1)) else { return Ok(()) };
        let hosts = match others {
            0 => first.clone(),
            1 => format!("{first} and another host"),
            others => format!("{first} and {others} other hosts"),
        };
        let message =
            format!("ssh does not ask sshanchor about {hosts}: without an entry it takes a host for new");
        let hint = format!("first: sshanchor config ssh --install '{first}', or a pattern for all");
        if self.write {
            let hint = format!("{hint}; or name the hosts that are to go, or give --force");
            return Err(Error::usage("ssh-config", format!("{message}; nothing was removed")).hint(hint));
        }
        cx.out.warn(&format!(
            "{message} (hint: before entries are removed: {})",
            hint.trim_start_matches("first: ")
        ));
        Ok(())
    }
}
