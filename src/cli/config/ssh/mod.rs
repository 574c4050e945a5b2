//! `sshanchor config ssh`: have ssh ask sshanchor, by a file that its configuration includes.

mod paths;
mod program;
mod reach;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use self::paths::Paths;
use self::program::this_program;
use self::reach::Alias;
use crate::config::{Cache, Files, Typed, load, warning};
use crate::error::{Error, Kind};
use crate::output::{Output, Report};
use crate::ownership;
use crate::proto::ssh_config::change::{Change, Kind as ChangeKind};
use crate::proto::ssh_config::hosts::Hosts;
use crate::proto::ssh_config::installed::differences;
use crate::proto::ssh_config::quote::QuoteError;
use crate::proto::ssh_config::{Version, Wanted, Way};
use crate::ssh::config::{self, AskSshError};

/// Have ssh prove host keys by itself: write the ssh_config for it.
///
/// Prints what ssh needs in its configuration to have the keys of the hosts that PATTERNs match proven, and to take
/// none that is not. With --install it is written to ~/.ssh/sshanchor.conf, and the first line of ~/.ssh/config includes
/// it; whatever else is there stays. From then on ssh, scp, sftp, git and rsync need no option.
///
/// Patterns are those of ssh_config(5): * and ?, and ! for what is left out. They are compared with the name that ssh
/// is given: where Host web has HostName web1.example.com, name web as well. Options of this run (--resolver, --trust-anchor, --cache, --config, --timeout, --bundle) are written too.
///
/// Modes: known-hosts has ssh ask for each host's keys (KnownHostsCommand, which works with ProxyJump; the default, from
/// OpenSSH 8.5 on). proxy checks the key exchange before ssh sees it (ProxyCommand), and has ssh ask as well where it
/// can: the connection is then made by sshanchor. An ssh older than 8.5 gets proxy, and knows no other keys than those
/// that the proxy has let through, from a file of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor config ssh '*.example.com' '!old.example.com'\n         \
                  sshanchor config ssh --install '*.example.com' '!old.example.com'\n\
    Afterwards: sshanchor doctor web1.example.com tells what is in force for a host.\n\
    Exit status: 0 done, 5 --check: something would change; --install: something else takes precedence.")]
pub(super) struct Args {
    /// The hosts: names, * and ?, and ! before what is left out
    #[arg(value_name = "PATTERN", required_unless_present = "remove", conflicts_with = "remove")]
    patterns: Vec<String>,
    /// How ssh asks [default: known-hosts, or proxy for an ssh older than 8.5]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Write the file and have ssh's configuration include it
    #[arg(long, group = "action")]
    install: bool,
    /// Undo --install
    #[arg(long, group = "action")]
    remove: bool,
    /// Show what --install or --remove would change, and change nothing
    #[arg(long, requires = "action")]
    dry_run: bool,
    /// The same, and exit with status 5 if something would
    #[arg(long, requires = "action", conflicts_with = "dry_run")]
    check: bool,
    /// For all users of this machine: /etc/ssh/ssh_config.d/00-sshanchor.conf
    #[arg(long)]
    system: bool,
    /// The configuration that is to include the file, which is put beside it [default: ~/.ssh/config, or
    /// /etc/ssh/ssh_config]
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Have ssh use the proofs in this file (of bundle export) before DNS is asked
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// How ssh asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// KnownHostsCommand
    KnownHosts,
    /// ProxyCommand, and KnownHostsCommand where ssh has it
    Proxy,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Printed {
    mode: &'static str,
    ssh: Option<String>,
    hosts: Vec<String>,
    text: String,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Done {
    action: &'static str,
    applied: bool,
    mode: Option<&'static str>,
    ssh: Option<String>,
    hosts: Vec<String>,
    files: Vec<FileDone>,
    /// Names that were tried.
    probes: Vec<String>,
    overruled: Vec<Overruled>,
    /// Patterns that the file was for, and these are not.
    left_out: Vec<String>,
    /// Names that no pattern matches, and that ssh's configuration leads to names that one does.
    aliases: Vec<Alias>,
}

/// A file.
#[derive(Debug, Serialize)]
struct FileDone {
    file: String,
    change: ChangeKind,
    diff: Vec<String>,
}

/// An option that something else decides.
#[derive(Debug, Serialize)]
struct Overruled {
    host: String,
    option: String,
    wanted: String,
    found: Option<String>,
}

pub(super) async fn run(args: Args, typed: &Typed, out: Output) -> Result<Option<Kind>, Error> {
    let config = load(typed)?;
    config.ignored.iter().for_each(|untrusted| out.warn(&warning(untrusted)));
    let patience = config.timeout.value;
    let place = Paths::find(args.system, args.ssh_config.as_deref(), patience);
    if args.remove {
        let place = place.await?;
        let changes = place.remove()?;
        let applied = apply(&args, &place, &changes)?;
        return tell(&args, &changes, Done { applied, ..Done::of("remove") }, out);
    }
    let hosts = Hosts::parse(&args.patterns).map_err(|e| {
        Error::usage("host-pattern", e)
            .hint("want patterns of host names, such as '*.example.com' '!db.example.com'")
    })?;
    let said = config::version(patience).await;
    let version = said.as_deref().ok().and_then(Version::parse);
    let place = match place.await {
        Ok(place) => Some(place),
        Err(error) if args.install => return Err(error),
        Err(_) => None,
    };
    let way = way(args.mode, version, &said, place.as_ref())?;
    reach::warn_of(&hosts, &config, way != Way::KnownHosts, out);
    let program = this_program()?;
    if let Ok(metadata) = program.metadata()
        && let Err(untrusted) = ownership::check(&program, &metadata)
    {
        out.warn(&format!(
            "ssh is going to run what others can change: {untrusted} (hint: {})",
            untrusted.hint()
        ));
    }
    let wanted = Wanted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        again: again(&args, typed, &hosts)?,
        hosts: hosts.clone(),
        way,
        program: text_of(&program)?,
        options: [options(typed)?, bundle(&args)?],
    };
    let text = wanted.text().map_err(bad_word)?;
    let (mode, ssh) = (wanted.way.word(), version.map(|version| version.to_string()));
    let Some(place) = place.filter(|_| args.install) else {
        return print(Printed { mode, ssh, hosts: hosts.words().to_vec(), text }, out);
    };
    if let Some(shortcoming) = place.shortcoming()? {
        out.warn(&shortcoming);
    }
    let (left_out, aliases) = reach::tell(&place, &wanted, said.is_ok(), patience, out).await?;
    let mut done = Done {
        mode: Some(mode),
        ssh,
        hosts: hosts.words().to_vec(),
        left_out,
        aliases,
        ..Done::of("install")
    };
    let changes = place.install(&text)?;
    done.applied = apply(&args, &place, &changes)?;
    // What would be in force shows when it is.
    for probe in hosts.probes().into_iter().filter(|_| done.applied && said.is_ok()) {
        match config::of_host(&probe, place.asked_with.as_deref(), patience).await {
            Ok(config) => {
                let found = differences(&wanted.options().map_err(bad_word)?, &config);
                done.overruled.extend(found.into_iter().map(|d| Overruled {
                    host: probe.clone(),
                    option: d.option,
                    wanted: d.wanted,
                    found: d.found,
                }));
                done.probes.push(probe);
            }
            Err(error) => out.warn(&format!("ssh does not say what is in force for {probe}: {error}")),
        }
    }
    tell(&args, &changes, done, out)
}

/// Makes the changes, unless they are only to be shown; whether it did.
fn apply(args: &Args, place: &Paths, changes: &[Change]) -> Result<bool, Error> {
    if args.dry_run || args.check {
        return Ok(false);
    }
    changes.iter().try_for_each(|change| place.apply(change))?;
    Ok(true)
}

fn tell(args: &Args, changes: &[Change], done: Done, out: Output) -> Result<Option<Kind>, Error> {
    let file = |change: &Change| FileDone {
        file: change.path.display().to_string(),
        change: change.kind(),
        diff: change.diff(),
    };
    let is_pending = args.check && changes.iter().any(|change| change.kind() != ChangeKind::None);
    let is_overruled = !done.overruled.is_empty();
    out.result(&Done { files: changes.iter().map(file).collect(), ..done })?;
    Ok((is_pending || is_overruled).then_some(Kind::Pending))
}

fn print(printed: Printed, out: Output) -> Result<Option<Kind>, Error> {
    // Elsewhere what is not ASCII is escaped; here that would be another file name.
    if !out.json && !printed.text.is_ascii() {
        return Err(Error::usage("ssh-config", "a file name in it is not ASCII, and cannot be printed")
            .hint("write it: --install, or print it with --json"));
    }
    out.result(&printed)?;
    Ok(None)
}

fn way(
    mode: Option<Mode>,
    version: Option<Version>,
    said: &Result<String, AskSshError>,
    place: Option<&Paths>,
) -> Result<Way, Error> {
    let with_file = || match place {
        Some(place) => Way::ProxyWithFile(place.known_hosts()),
        None => Way::ProxyWithFile("~/.ssh/sshanchor/known_hosts".to_owned()),
    };
    match (mode, version) {
        (Some(Mode::KnownHosts), Some(version)) if !version.asks_for_keys() => {
            let message = format!("ssh is OpenSSH {version}, and KnownHostsCommand came with 8.5");
            Err(Error::usage("ssh-version", message).hint("leave --mode out, or take --mode proxy"))
        }
        (_, Some(version)) if !version.asks_for_keys() => Ok(with_file()),
        (Some(Mode::Proxy), _) => Ok(Way::Proxy),
        (Some(Mode::KnownHosts), _) | (None, Some(_)) => Ok(Way::KnownHosts),
        (None, None) => {
            let why = match said {
                Ok(text) => format!("ssh is no OpenSSH: {}", text.lines().next().unwrap_or_default().trim()),
                Err(error) => error.to_string(),
            };
            Err(Error::usage("ssh-version", format!("cannot tell which options ssh has: {why}"))
                .hint("for OpenSSH 8.5 or newer say --mode known-hosts"))
        }
    }
}

/// The options of this run, whether typed or from the environment, which ssh may not have later.
fn options(typed: &Typed) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut put = |option: &str, value: String| words.extend([option.to_owned(), value]);
    for server in typed.resolver.iter().flat_map(|resolver| &resolver.value) {
        put("--resolver", server.to_string());
    }
    if let Some(file) = &typed.trust_anchor {
        put("--trust-anchor", absolute(&file.value)?);
    }
    match typed.cache.as_ref().map(|cache| &cache.value) {
        Some(Cache::Folder(folder)) => put("--cache", absolute(folder)?),
        Some(Cache::Off) => put("--cache", "off".to_owned()),
        None => {}
    }
    match &typed.files {
        Files::This(file) => put("--config", absolute(file)?),
        Files::None => put("--config", "none".to_owned()),
        Files::Usual => {}
    }
    if let Some(timeout) = &typed.timeout {
        put("--timeout", timeout.value.as_secs_f64().to_string());
    }
    Ok(words)
}

fn bundle(args: &Args) -> Result<Vec<String>, Error> {
    Ok(match &args.bundle {
        Some(file) => vec!["--bundle".to_owned(), absolute(file)?],
        None => Vec::new(),
    })
}

/// The command line of this run, to be typed again.
fn again(args: &Args, typed: &Typed, hosts: &Hosts) -> Result<Vec<String>, Error> {
    let mut words = vec!["sshanchor".to_owned()];
    words.extend(options(typed)?);
    words.extend(["config", "ssh", "--install"].map(str::to_owned));
    words.extend(bundle(args)?);
    if let Some(mode) = args.mode.and_then(|mode| mode.to_possible_value()) {
        words.extend(["--mode".to_owned(), mode.get_name().to_owned()]);
    }
    words.extend(args.system.then(|| "--system".to_owned()));
    if let Some(file) = &args.ssh_config {
        words.extend(["--ssh-config".to_owned(), absolute(file)?]);
    }
    words.extend(hosts.words().iter().cloned());
    Ok(words)
}

/// ssh starts its commands in whatever folder it is in itself.
fn absolute(path: &Path) -> Result<String, Error> {
    let path = std::path::absolute(path)
        .map_err(|e| Error::usage("ssh-config", format!("no path for {}: {e}", path.display())))?;
    text_of(&path)
}

fn text_of(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage("ssh-config", format!("{} is no UTF-8, and cannot be written for ssh", path.display()))
    })
}

fn bad_word(error: QuoteError) -> Error {
    Error::usage("ssh-config", error).hint("give the file another name, or a link to it")
}

impl Done {
    fn of(action: &'static str) -> Self {
        let (mode, ssh, hosts, files) = (None, None, Vec::new(), Vec::new());
        let (probes, overruled, left_out, aliases) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Done { action, applied: false, mode, ssh, hosts, files, probes, overruled, left_out, aliases }
    }
}

impl Report for Printed {
    fn text(&self) -> String {
        self.text.trim_end().to_owned()
    }
}

impl Report for Done {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for FileDone { file, change, diff } in &self.files {
            let verb = match (change, self.applied) {
                (ChangeKind::None, _) => "stays as it is",
                (ChangeKind::Create, true) => "was made",
                (ChangeKind::Create, false) => "would be made",
                (ChangeKind::Change, true) => "was changed",
                (ChangeKind::Change, false) => "would be changed",
                (ChangeKind::Remove, true) => "was removed",
                (ChangeKind::Remove, false) => "would be removed",
            };
            lines.push(format!("{file} {verb}"));
            lines.extend(diff.iter().filter(|_| !self.applied).map(|line| format!("  {line}")));
        }
        for Overruled { host, option, wanted, found } in &self.overruled {
            let found = found.as_deref().unwrap_or("none");
            lines.push(format!("NOT in force for {host}: {option} is {found}, and not {wanted}"));
        }
        if !self.overruled.is_empty() {
            lines.push(
                "  what ssh reads first counts: the command line, ~/.ssh/config, /etc/ssh/ssh_config"
                    .to_owned(),
            );
        } else if !self.probes.is_empty() {
            lines.push(format!("in force, as ssh -G {} shows", self.probes.join(", ssh -G ")));
        }
        lines.join("\n")
    }
}
