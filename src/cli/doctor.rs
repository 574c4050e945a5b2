//! `sshanchor doctor`: is this machine able to verify, and to publish, and what weakens it?

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::publish::place::PlaceArgs;
use super::publish::primary::zone;
use super::{Context, host_name};
use crate::config::publishing::Publishing;
use crate::doctor::publish::Settings;
use crate::doctor::{Doctor, Group};
use crate::error::{Error, Kind};
use crate::output::Report;
use crate::proto::doctor::{Finding, Severity, gravest};
use crate::proto::name::Name;
use crate::verifier::{Options, now};

/// Examine this machine: is it able to verify, and what weakens it?
///
/// Looks at the resolvers, the configuration, the clock, the trust anchors and the ssh client; with HOST also at the
/// host's proof, its known_hosts entries and ssh's configuration for it. On a machine that publishes (a [publish] table in
/// its configuration, or --server and the like here) also at its host keys, the place of its records, what the key to it
/// may do, the zone and its servers, the agent. Each finding says what to do. Nothing is changed, and no connection to a
/// host is made; whether a key may change records is tried with an update that deletes one that is not there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor doctor web1.example.com\n          \
    sshanchor doctor --server 192.0.2.1 --key-file web1.key --name web1.example.com\n\
    Exit status: 0 all is well, 5 warnings, 1 an error: nothing, or not this host, can be verified until it is mended.")]
pub(super) struct Args {
    /// Hosts, as they would be given to ssh
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Ask ssh with this configuration file (its -F) in place of its own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// The host that is published at that place (repeatable) [default: this machine's name]
    #[arg(long = "name", value_name = "HOST", requires = "place")]
    published: Vec<String>,
    /// The zone [default: the one that the server names for the host; --zone-file and --exec need it]
    #[arg(long, value_name = "ZONE", value_parser = zone, requires = "place")]
    zone: Option<Name>,
    /// Where it is kept which records are own [default: /var/lib/sshanchor, or the user's state folder]
    #[arg(long, value_name = "DIR", env = "SSHANCHOR_STATE")]
    state: Option<PathBuf>,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    // Before anything is asked: a mistyped name is not to stop a run half way.
    let typed = |text: String| host_name(&text).map(|name| (text, name));
    let names = args.hosts.into_iter().map(typed).collect::<Result<_, _>>()?;
    let options = Options {
        resolver: cx.resolver.clone(),
        trust_anchor: cx.trust_anchor.clone(),
        timeout: cx.timeout,
        policies: cx.policies.clone(),
        ..Options::default()
    };
    let tables = match args.place.place() {
        Some(place) => vec![Publishing {
            names: args.published.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?,
            place,
            zone: args.zone,
            port: None,
            ttl: None,
            host_keys: Vec::new(),
            check_servers: Vec::new(),
            require_signed: false,
            exclusive: false,
        }],
        None => cx.publishing.clone(),
    };
    let doctor = Arc::new(Doctor::new(&options, &cx.warnings, args.ssh_config, now()));
    let hosts = doctor.hosts(names).await?;
    let mut worst = Severity::Ok;
    for group in doctor.machine(&hosts).await? {
        worst = worst.max(tell(cx, &group)?);
    }
    let (agent, rotate, resolver) = (&cx.agent, &cx.rotate, &cx.resolver);
    let settings = Settings { tables: &tables, agent, rotate, state: args.state, resolver };
    for group in doctor.publishing(&settings).await {
        worst = worst.max(tell(cx, &group)?);
    }
    for group in doctor.examine(hosts).await? {
        worst = worst.max(tell(cx, &group)?);
    }
    Ok(match worst {
        Severity::Ok | Severity::Info => None,
        Severity::Warning => Some(Kind::Pending),
        Severity::Error => Some(Kind::Failure),
    })
}

/// Prints a group, and says how grave it is.
fn tell(cx: &Context, group: &Group) -> Result<Severity, Error> {
    match cx.out.json {
        true => group.findings.iter().try_for_each(|finding| cx.out.json_line(finding))?,
        false => cx.out.result(&Shown(group))?,
    }
    Ok(gravest(&group.findings))
}

struct Shown<'a>(&'a Group);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.findings.serialize(serializer)
    }
}

impl Report for Shown<'_> {
    fn text(&self) -> String {
        let Group { title, findings } = self.0;
        let mut lines = vec![format!("{title}:")];
        for Finding { check, severity, about, message, remedy, .. } in findings {
            // What the title says already is not said again; of what is well the message is enough.
            let is_said = *severity == Severity::Ok || title.ends_with(about.as_str()) || about == check;
            let about = if is_said { String::new() } else { format!("{about}: ") };
            lines.push(format!(
                "  {:<8} {check}: {}",
                severity.to_string(),
                one_line(&format!("{about}{message}"))
            ));
            lines.extend(remedy.iter().map(|remedy| format!("           remedy: {}", one_line(remedy))));
        }
        lines.join("\n")
    }
}

/// Line ends of peers are not ours.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
