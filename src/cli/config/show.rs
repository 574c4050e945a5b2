//! `sshanchor config show`: each value in force and where it comes from.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Cache, Config, Source, Typed, load, warning};
use crate::error::{Error, Kind};
use crate::output::{Output, Report};
use crate::proto::duration;
use crate::proto::place::Place;
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
    Place::parse(text).map(|place| place.to_string()).map_err(|e| Error::usage("host-name", e))
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

/// What `[publish]`, `[agent]` and `[rotate]` say, where a file has them; each `[publish]` is a row.
fn own_records(config: &Config) -> Vec<Row> {
    let span = |span: Duration| Some(Value::Text(duration::text(span)));
    let publishing = config.publishing.value.iter().map(|table| {
        let names: Vec<String> = table.names.iter().map(ToString::to_string).collect();
        let names = (!names.is_empty()).then_some(Value::List(names));
        Row { without: "this machine's name", ..Row::new("publish", names, &config.publishing.source) }
    });
    let mut rows: Vec<Row> = publishing.collect();
    if config.agent.source != Source::Default {
        rows.push(Row::new("agent.interval", span(config.agent.value.interval), &config.agent.source));
    }
    if config.rotate.source != Source::Default {
        let every = config.rotate.value.every.and_then(span);
        let row = Row::new("rotate.every", every, &config.rotate.source);
        rows.push(Row { without: "when somebody says so", ..row });
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
