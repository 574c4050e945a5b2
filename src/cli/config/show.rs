//! `sshanchor config show`: each value in force and where it comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::config::publishing::{Goodbye, Log};
use crate::config::trail::Trail;
use crate::config::{Cache, Config, Source, Sourced, Typed, load, warning};
use crate::error::{Error, Kind};
use crate::output::{Output, Report};
use crate::proto::destination::Destination;
use crate::proto::duration;
use crate::proto::policy::{Setting, Value};

/// Show each value in force and where it comes from.
///
/// Shows what is in force: for a HOST its policy and which rule decided each setting; without one every rule, in
/// the order in which they are asked. The first value obtained for each setting counts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor config show db.example.com")]
pub(super) struct Args {
    /// The host whose policy to show: a name, or an address
    host: Option<String>,
}

/// One value.
#[derive(Debug, Serialize)]
struct Row {
    /// The host asked about; null for what holds for all.
    host: Option<String>,
    setting: &'static str,
    value: Option<Value>,
    source: &'static str,
    /// The option, the variable or the file.
    from: Option<String>,
    line: Option<usize>,
    /// The patterns of the rule.
    #[serde(rename = "match")]
    hosts: Option<String>,
    /// What no value means.
    #[serde(skip)]
    without: &'static str,
}

impl Row {
    fn new(setting: &'static str, value: Option<Value>, source: &Source) -> Self {
        let (from, line) = match source {
            Source::Default => (None, None),
            Source::Option(name) | Source::Environment(name) => (Some((*name).to_owned()), None),
            Source::File { path, line } => (Some(path.display().to_string()), Some(*line)),
        };
        let source = source.word();
        Row { host: None, setting, value, source, from, line, hosts: None, without: "" }
    }

    fn of(setting: &Setting, source: &Source) -> Self {
        Row::new(setting.key(), Some(setting.value()), source)
    }
}

impl Report for Row {
    fn text(&self) -> String {
        let value = self.value.as_ref().map_or_else(|| format!("({})", self.without), Value::to_string);
        let from = self.from.clone().unwrap_or_else(|| self.source.to_owned());
        let line = self.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let hosts = self.hosts.as_ref().map(|hosts| format!(", match = {hosts:?}")).unwrap_or_default();
        format!("{} = {value}  # {from}{line}{hosts}", self.setting)
    }
}

pub(super) fn run(args: Args, typed: &Typed, out: Output) -> Result<Option<Kind>, Error> {
    let host = args.host.as_deref().map(host).transpose()?;
    let config = load(typed)?;
    config.ignored.iter().for_each(|untrusted| out.warn(&warning(untrusted)));
    let rows = match &host {
        Some(host) => for_host(&config, host),
        None => all_rules(&config),
    };
    let own = own_records(&config);
    globals(&config).iter().chain(&own).chain(&rows).try_for_each(|row| out.result(row))?;
    Ok(None)
}

/// A name or an address as it is matched.
fn host(text: &str) -> Result<String, Error> {
    Destination::parse(text).map(|place| place.to_string()).map_err(|e| Error::usage("host-name", e))
}

fn globals(config: &Config) -> [Row; 4] {
    let Config { resolver, trust_anchor, cache, timeout, .. } = config;
    let path = |path: &Path| Value::Text(path.display().to_string());
    let servers: Vec<String> = resolver.value.iter().map(ToString::to_string).collect();
    let servers = (!servers.is_empty()).then_some(Value::List(servers));
    let cache_value = match &cache.value {
        Cache::Off => Value::Text("off".to_owned()),
        Cache::Folder(folder) => path(folder),
    };
    let whole = timeout.value.subsec_nanos() == 0;
    let seconds =
        if whole { duration::text(timeout.value) } else { format!("{}s", timeout.value.as_secs_f64()) };
    [
        Row { without: "the system's", ..Row::new("resolver", servers, &resolver.source) },
        Row {
            without: "the built-in root keys",
            ..Row::new("trust_anchor", trust_anchor.value.as_deref().map(path), &trust_anchor.source)
        },
        Row::new("cache", Some(cache_value), &cache.source),
        Row::new("timeout", Some(Value::Text(seconds)), &timeout.source),
    ]
}

/// What `[publish]`, `[agent]`, `[rotate]` and `[trail]` say, where a file has them; each `[publish]` is a row. Of `[trail]`
/// every file's counts.
fn own_records(config: &Config) -> Vec<Row> {
    let span = |span: Duration| Some(Value::Text(duration::text(span)));
    let publishing = config.publishing.value.iter().map(|table| {
        let names: Vec<String> = table.names.iter().map(ToString::to_string).collect();
        let names = (!names.is_empty()).then_some(Value::List(names));
        Row { without: "this machine's name", ..Row::new("publish", names, &config.publishing.source) }
    });
    let mut rows: Vec<Row> = publishing.collect();
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Value::Text(path.display().to_string()));
    if config.agent.source != Source::Default {
        let agent = &config.agent.value;
        let of = |key, value| Row::new(key, value, &config.source_of(key, &config.agent.source));
        let log = match agent.log {
            Log::Auto => "auto",
            Log::Text => "text",
            Log::Json => "json",
            Log::Journald => "journald",
        };
        let withdraw = if agent.withdraw == Goodbye::Never { "never" } else { "poweroff" };
        let listen = agent.metrics_listen.map(|address| Value::Text(address.to_string()));
        rows.extend([
            of("agent.interval", span(agent.interval)),
            Row { without: "the usual place", ..of("agent.socket", path(&agent.socket)) },
            Row { without: "none", ..of("agent.metrics_file", path(&agent.metrics_file)) },
            Row { without: "none", ..of("agent.metrics_listen", listen) },
            of("agent.log", text(log)),
            of("agent.withdraw", text(withdraw)),
        ]);
    }
    if config.rotate.source != Source::Default {
        let rotate = &config.rotate.value;
        let of = |key, value| Row::new(key, value, &config.source_of(key, &config.rotate.source));
        let types: Vec<String> = rotate.types.iter().map(ToString::to_string).collect();
        let reload = rotate.reload.as_ref().map(|reload| Value::Text(reload.to_string()));
        rows.extend([
            Row { without: "when somebody says so", ..of("rotate.every", rotate.every.and_then(span)) },
            Row { without: "all", ..of("rotate.types", (!types.is_empty()).then_some(Value::List(types))) },
            of("rotate.announce", span(rotate.announce)),
            of("rotate.margin", span(rotate.margin)),
            of("rotate.overlap", text(if rotate.overlap { "true" } else { "false" })),
            of("rotate.dead_after", span(rotate.dead_after)),
            Row { without: "a signal to sshd", ..of("rotate.reload", reload) },
            Row { without: "the usual place", ..of("rotate.sshd_config", path(&rotate.sshd_config)) },
        ]);
    }
    for Sourced { value: Trail { file, journald, required }, source } in &config.trails {
        let of = |key, value| Row::new(key, value, source);
        let truth = |truth: bool| text(if truth { "true" } else { "false" });
        rows.extend([
            Row { without: "none", ..of("trail.file", path(file)) },
            of("trail.journald", truth(*journald)),
            of("trail.required", truth(*required)),
        ]);
    }
    rows
}

fn for_host(config: &Config, host: &str) -> Vec<Row> {
    let row = |decided: crate::proto::policy::Decided<'_>| {
        let source = decided.by.map_or(Source::Default, |(_, place)| config.source(place));
        let hosts = decided.by.map(|(rule, _)| rule.hosts.to_string());
        Row { host: Some(host.to_owned()), hosts, ..Row::of(&decided.setting, &source) }
    };
    config.policies.explain(host).into_iter().map(row).collect()
}

fn all_rules(config: &Config) -> Vec<Row> {
    let rules = config.policies.rules().iter();
    let rows = rules.flat_map(|rule| {
        rule.settings.iter().map(|(setting, place)| Row {
            hosts: Some(rule.hosts.to_string()),
            ..Row::of(setting, &config.source(*place))
        })
    });
    rows.collect()
}
