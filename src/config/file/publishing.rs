//! The tables `[publish]`, `[agent]` and `[rotate]`.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Reader, one_text, path, texts};
use crate::backend::{powerdns, zonefile};
use crate::config::publishing::{Agent, Goodbye, Log, Provider, Publishing, Rotate, SERVER_ID};
use crate::dns::dns_server;
use crate::proto::duration;
use crate::proto::hostkey::KeyType;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::MAX_TTL;
use crate::proto::policy::Value;
use crate::proto::template::Template;
use crate::proto::text::cut;

pub(super) type Item<'a> = Spanned<DeValue<'a>>;

/// How often an agent may look: less than a minute is a load for others.
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

/// What is read of a `[publish]` table before it is known which place it means.
#[derive(Default)]
struct Found {
    server: Option<SocketAddr>,
    key_file: Option<PathBuf>,
    powerdns: Option<String>,
    server_id: Option<String>,
    api_key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    zone_file: Option<PathBuf>,
    reload: Option<Template>,
    exec: Option<Template>,
}

impl Found {
    fn place(self, has_zone: bool) -> Result<Provider, String> {
        let Found { server, key_file, powerdns, server_id, api_key_file, ca_file, zone_file, reload, exec } =
            self;
        let places = [server.is_some(), powerdns.is_some(), zone_file.is_some(), exec.is_some()];
        if places.iter().filter(|is_there| **is_there).count() != 1 {
            return Err("want one place of the records: server, powerdns, zone_file or exec".to_owned());
        }
        let stray = [
            ("key_file", key_file.is_some() && server.is_none()),
            ("server_id", server_id.is_some() && powerdns.is_none()),
            ("api_key_file", api_key_file.is_some() && powerdns.is_none()),
            ("ca_file", ca_file.is_some() && powerdns.is_none()),
            ("reload", reload.is_some() && zone_file.is_none()),
        ];
        if let Some((key, _)) = stray.iter().find(|(_, is_stray)| *is_stray) {
            return Err(format!("{key} does not belong to this kind of place"));
        }
        if !has_zone && (zone_file.is_some() || exec.is_some()) {
            return Err("a zone_file and an exec want the zone: zone = \"example.com\"".to_owned());
        }
        if let Some(address) = server {
            return Ok(Provider::Server { address, key_file });
        }
        if let Some(base) = powerdns {
            let server_id = server_id.unwrap_or_else(|| SERVER_ID.to_owned());
            return Ok(Provider::PowerDns { base, server_id, api_key_file, ca_file });
        }
        match (zone_file, reload, exec) {
            (Some(file), Some(reload), _) => Ok(Provider::ZoneFile { file, reload }),
            (Some(_), None, _) => {
                Err("a zone_file wants what has the name server load it: reload = \"COMMAND\"".to_owned())
            }
            (None, _, Some(command)) => Ok(Provider::Exec(command)),
            (None, _, None) => Err("want a place of the records".to_owned()),
        }
    }
}

impl Reader<'_> {
    /// One `[publish]`, or several `[[publish]]`.
    pub(super) fn publishing(&mut self, value: &Item<'_>) -> Vec<Publishing> {
        match value.get_ref() {
            DeValue::Table(table) => self.one_publishing(table, value.span().start).into_iter().collect(),
            DeValue::Array(tables) => tables
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::Table(table) => self.one_publishing(table, item.span().start),
                    _ => {
                        self.mistake(item.span().start, "want a table [[publish]]");
                        None
                    }
                })
                .collect(),
            _ => {
                self.mistake(value.span().start, "want a table [publish]");
                Vec::new()
            }
        }
    }

    fn one_publishing(&mut self, table: &DeTable<'_>, begin: usize) -> Option<Publishing> {
        const KEYS: &str = "name, server, key_file, powerdns, server_id, api_key_file, ca_file, zone_file, reload, exec, \
                            zone, port, ttl, host_keys, check_servers, require_signed, exclusive";
        let mistakes = self.mistakes.len();
        let mut found = Found::default();
        let (mut names, mut host_keys, mut check_servers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut zone, mut port, mut ttl, mut require_signed, mut exclusive) =
            (None, None, None, false, false);
        for (key, value) in table.iter() {
            let (at, here) = (key.span().start, self.at);
            let file = |value| one_text(value).and_then(|text| path(&text, here));
            match key.get_ref().as_ref() {
                "name" => {
                    names = self.right(list(value, |t| said(HostName::parse(t))), at).unwrap_or_default()
                }
                "server" => found.server = self.right(text(value, |t| said(dns_server(t))), at),
                "key_file" => found.key_file = self.right(file(value), at),
                "powerdns" => found.powerdns = self.right(text(value, |t| said(powerdns::base(t))), at),
                "server_id" => found.server_id = self.right(one_text(value), at),
                "api_key_file" => found.api_key_file = self.right(file(value), at),
                "ca_file" => found.ca_file = self.right(file(value), at),
                "zone_file" => found.zone_file = self.right(file(value), at),
                "reload" => {
                    let command = text(value, |t| said(Template::parse(t, &zonefile::GAPS)));
                    found.reload = self.right(command, at);
                }
                "exec" => found.exec = self.right(text(value, |t| said(Template::parse(t, &[]))), at),
                "zone" => zone = self.right(text(value, |t| said(Name::from_text(t))), at),
                "port" => port = self.right(number(value, 1, u32::from(u16::MAX)), at),
                "ttl" => ttl = self.right(number(value, 0, MAX_TTL), at),
                "host_keys" => {
                    host_keys = self.right(list(value, |t| path(t, here)), at).unwrap_or_default();
                }
                "check_servers" => {
                    let servers = list(value, |t| said(dns_server(t)));
                    check_servers = self.right(servers, at).unwrap_or_default();
                }
                "require_signed" => require_signed = self.right(truth(value), at).unwrap_or_default(),
                "exclusive" => exclusive = self.right(truth(value), at).unwrap_or_default(),
                other => self.unknown(other, "publish", KEYS, at),
            }
        }
        if self.mistakes.len() > mistakes {
            return None;
        }
        let place = found.place(zone.is_some());
        let place = self.right(place, begin)?;
        let port = port.and_then(|port| u16::try_from(port).ok());
        Some(Publishing {
            names,
            place,
            zone,
            port,
            ttl,
            host_keys,
            check_servers,
            require_signed,
            exclusive,
        })
    }

    /// `[agent]`.
    pub(super) fn agent(&mut self, value: &Item<'_>) -> Option<Agent> {
        const KEYS: &str = "interval, socket, metrics_file, metrics_listen, log, withdraw";
        let table = self.table(value, "agent")?;
        let mut agent = Agent::default();
        for (key, value) in table.iter() {
            let (at, here) = (key.span().start, self.at);
            let file = |value| one_text(value).and_then(|text| path(&text, here));
            match key.get_ref().as_ref() {
                "interval" => {
                    let interval = span(value).and_then(|span| match INTERVALS.contains(&span) {
                        true => Ok(span),
                        false => Err("want a span of time from 1s to 7d".to_owned()),
                    });
                    agent.interval = self.right(interval, at).unwrap_or(agent.interval);
                }
                "socket" => agent.socket = self.right(file(value), at),
                "metrics_file" => agent.metrics_file = self.right(file(value), at),
                "metrics_listen" => {
                    let address = text(value, |t| {
                        t.parse().map_err(|_| "want an address with a port (127.0.0.1:9822)".to_owned())
                    });
                    agent.metrics_listen = self.right(address, at);
                }
                "log" => {
                    let words = [
                        ("auto", Log::Auto),
                        ("text", Log::Text),
                        ("json", Log::Json),
                        ("journald", Log::Journald),
                    ];
                    agent.log = self.right(word(value, &words), at).unwrap_or_default();
                }
                "withdraw" => {
                    let words = [("never", Goodbye::Never), ("poweroff", Goodbye::Poweroff)];
                    agent.withdraw = self.right(word(value, &words), at).unwrap_or_default();
                }
                other => self.unknown(other, "agent", KEYS, at),
            }
        }
        Some(agent)
    }

    /// `[rotate]`.
    pub(super) fn rotate(&mut self, value: &Item<'_>) -> Option<Rotate> {
        const KEYS: &str = "every, types, announce, margin, overlap, dead_after, reload, sshd_config";
        let table = self.table(value, "rotate")?;
        let mut rotate = Rotate::default();
        for (key, value) in table.iter() {
            let (at, here) = (key.span().start, self.at);
            match key.get_ref().as_ref() {
                "every" => rotate.every = self.right(span(value), at).filter(|span| !span.is_zero()),
                "types" => {
                    let wanted = || "want ed25519, ecdsa or rsa".to_owned();
                    let types = list(value, |t| KeyType::family(t).ok_or_else(wanted));
                    rotate.types = self.right(types, at).unwrap_or_default().concat();
                }
                "announce" => rotate.announce = self.right(span(value), at).unwrap_or_default(),
                "margin" => rotate.margin = self.right(span(value), at).unwrap_or_default(),
                "overlap" => rotate.overlap = self.right(truth(value), at).unwrap_or_default(),
                "dead_after" => {
                    rotate.dead_after = self.right(span(value), at).unwrap_or(rotate.dead_after);
                }
                "reload" => rotate.reload = self.right(text(value, |t| said(Template::parse(t, &[]))), at),
                "sshd_config" => {
                    rotate.sshd_config = self.right(one_text(value).and_then(|t| path(&t, here)), at);
                }
                other => self.unknown(other, "rotate", KEYS, at),
            }
        }
        Some(rotate)
    }

    pub(super) fn table<'a, 'b>(&mut self, value: &'a Item<'b>, name: &str) -> Option<&'a DeTable<'b>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.mistake(value.span().start, format!("want a table [{name}]"));
                None
            }
        }
    }

    pub(super) fn unknown(&mut self, key: &str, table: &str, keys: &str, at: usize) {
        let key: String = cut(key, 40).into_owned();
        self.mistake(at, format!("there is no key {key:?} in [{table}] (there are: {keys})"));
    }
}

fn said<T, E: Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|e| e.to_string())
}

fn text<T>(value: &Item<'_>, read: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    one_text(value).and_then(|text| read(&text))
}

fn list<T>(value: &Item<'_>, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let read = |text: &String| read(text).map_err(|e| format!("{text:?}: {e}"));
    match texts(value)? {
        Value::Text(text) => Ok(vec![read(&text)?]),
        Value::List(texts) => texts.iter().map(read).collect(),
        Value::Number(number) => Ok(vec![read(&number.to_string())?]),
    }
}

fn word<T: Copy>(value: &Item<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let text = one_text(value)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("want {}", words.join(" or "))
    })
}

pub(super) fn truth(value: &Item<'_>) -> Result<bool, String> {
    value.get_ref().as_bool().ok_or_else(|| "want true or false".to_owned())
}

fn number(value: &Item<'_>, least: u32, most: u32) -> Result<u32, String> {
    let read = value.get_ref().as_integer().filter(|n| n.radix() == 10).and_then(|n| n.as_str().parse().ok());
    read.filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("want a number from {least} to {most}"))
}

fn span(value: &Item<'_>) -> Result<Duration, String> {
    one_text(value).and_then(|text| said(duration::parse(&text)))
}
