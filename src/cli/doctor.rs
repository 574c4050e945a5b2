//! `sshanchor doctor`: is this machine able to verify, and what weakens it?

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Context, host_name};
use crate::doctor::{Doctor, Group};
use crate::error::{Error, Kind};
use crate::output::Report;
use crate::proto::doctor::{Finding, Severity, gravest};
use crate::verifier::{Options, now};

/// Examine this machine: is it able to verify, and what weakens it?
///
/// Looks at the resolvers, the configuration, the clock, the trust anchors and the ssh client; with HOST also at the
/// host's proof, its known_hosts entries and ssh's configuration for it. Each finding says what to do. Nothing is changed, and no
/// connection to a host is made.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor doctor web1.example.com\n\
    Exit status: 0 all is well, 5 warnings, 1 an error: nothing, or not this host, can be verified until it is mended.")]
pub(super) struct Args {
    /// Hosts, as they would be given to ssh
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// Ask ssh with this configuration file (its -F) in place of its own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
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
    let doctor = Arc::new(Doctor::new(&options, &cx.warnings, args.ssh_config, now()));
    let hosts = doctor.hosts(names).await?;
    let mut worst = Severity::Ok;
    for group in doctor.machine(&hosts).await? {
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
            let is_said = *severity == Severity::Ok || title.ends_with(about.as_str());
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
