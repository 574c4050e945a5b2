//! Every host: a line of what counts, and all that is known of it behind a click.

use std::collections::HashMap;
use std::fmt::Write;

use super::super::verdict;
use super::text::{counted, moment, text, time};
use super::zones::{agreement, label};
use crate::proto::audit::{HostCertificate, HostReport, Key, Record, Severity};

/// Where in the page each host is.
pub(super) struct Places<'a>(HashMap<String, (usize, &'a HostReport)>);

impl<'a> Places<'a> {
    pub(super) fn of(hosts: &'a [HostReport]) -> Self {
        let mut places = HashMap::new();
        for (at, host) in hosts.iter().enumerate() {
            places.entry(host.place()).or_insert((at, host));
        }
        Places(places)
    }

    /// The host's name, which leads to where it is.
    pub(super) fn link(&self, page: &mut String, place: &str) -> std::fmt::Result {
        match self.0.get(place) {
            Some((at, _)) => write!(page, "<a href=\"#host-{at}\">{}</a>", text(place)),
            None => write!(page, "{}", text(place)),
        }
    }
}

/// More hosts than this are many to a browser.
const MANY: usize = 500;

/// The columns: title, and how the script sorts by it.
const COLUMNS: [(&str, &str); 6] = [
    ("Host", "text"),
    ("Verdict", "number"),
    ("Findings", "number"),
    ("DNS", "text"),
    ("Zone", "text"),
    ("Proof until (UTC)", "text"),
];

pub(super) fn section(page: &mut String, hosts: &[HostReport]) -> std::fmt::Result {
    page.push_str(
        "<section id=\"hosts\" aria-labelledby=\"hosts-title\">\n<h2 id=\"hosts-title\">Hosts</h2>\n",
    );
    if hosts.is_empty() {
        page.push_str("<p class=\"quiet\">There are none.</p>\n</section>\n");
        return Ok(());
    }
    page.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"hosts-title\">\n<table id=\"host-table\" class=\"hosts",
    );
    // Nobody waits for the layout of what is not in sight.
    if hosts.len() > MANY {
        page.push_str(" many");
    }
    page.push_str("\">\n<thead><tr>");
    for (title, kind) in COLUMNS {
        write!(page, "<th scope=\"col\" data-sort=\"{kind}\">{title}</th>")?;
    }
    page.push_str("</tr></thead>\n");
    for (at, host) in hosts.iter().enumerate() {
        row(page, at, host)?;
    }
    page.push_str("</table>\n</div>\n</section>\n");
    Ok(())
}

/// What filters hosts and findings; the script shows it.
pub(super) fn controls(page: &mut String, hosts: usize) -> std::fmt::Result {
    if hosts == 0 {
        return Ok(());
    }
    page.push_str(
        "<div class=\"controls\" role=\"search\" aria-label=\"Filter\" hidden>\n<label for=\"filter\">Filter</label>\n\
         <input id=\"filter\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\" \
         placeholder=\"name, code, version, zone\" aria-describedby=\"filter-help shown\">\n\
         <fieldset><legend class=\"unseen\">Verdict</legend>\n",
    );
    for (at, word) in ["all", "accept", "reject", "unproven", "unreachable"].into_iter().enumerate() {
        let checked = if at == 0 { " checked" } else { "" };
        writeln!(
            page,
            "<label><input type=\"radio\" name=\"verdict\" value=\"{word}\"{checked}> <span>{word}</span></label>"
        )?;
    }
    write!(
        page,
        "</fieldset>\n<output id=\"shown\" for=\"filter\">{}</output>\n\
         <p id=\"filter-help\" class=\"unseen\">Hosts and findings in which all of the words occur are shown.</p>\n</div>\n",
        counted(hosts, "host", "hosts")
    )
}

/// How grave a verdict is, for sorting.
fn rank(verdict: &str) -> u8 {
    match verdict {
        "reject" => 0,
        "unproven" => 1,
        "unreachable" => 2,
        "accept" => 4,
        _ => 3,
    }
}

fn row(page: &mut String, at: usize, host: &HostReport) -> std::fmt::Result {
    let word = verdict(host);
    let class = match word {
        "accept" | "reject" | "unproven" | "unreachable" => word,
        _ => "info",
    };
    let count = |severity| host.findings.iter().filter(|finding| finding.severity == severity).count();
    let [errors, warnings, infos] = [Severity::Error, Severity::Warning, Severity::Info].map(count);
    // The gravest decide.
    let weight = (errors * 1_000_000) + (warnings * 1000) + infos;
    write!(
        page,
        "<tbody id=\"host-{at}\" data-verdict=\"{class}\"><tr><th scope=\"row\">{}</th>\
         <td data-key=\"{}\"><span class=\"badge {class}\">{}</span>",
        text(&host.place()),
        rank(word),
        text(word),
    )?;
    if let Some(reason) = host.reason.as_deref().filter(|reason| *reason != word) {
        write!(page, " <code>{}</code>", text(reason))?;
    }
    write!(page, "</td><td data-key=\"{weight}\">")?;
    let words = [(errors, "error", "errors"), (warnings, "warning", "warnings"), (infos, "info", "infos")];
    let told = words.into_iter().filter(|(count, ..)| *count > 0);
    for (count, one, many) in told {
        write!(page, "<span class=\"badge {one}\">{}</span> ", counted(count, one, many))?;
    }
    if host.findings.is_empty() {
        page.push_str("<span class=\"quiet\">none</span>");
    }
    write!(
        page,
        "</td><td>{}</td><td>{}</td><td>{}</td></tr>\n<tr class=\"more\"><td colspan=\"6\"><details><summary>{}</summary>",
        text(&host.status),
        text(host.zone.as_deref().unwrap_or("unknown")),
        host.valid_until.map_or_else(|| "none".to_owned(), time),
        digest(host),
    )?;
    all(page, host)?;
    page.push_str("</details></td></tr></tbody>\n");
    Ok(())
}

/// What there is to see, in a line.
fn digest(host: &HostReport) -> String {
    let mut parts = Vec::new();
    let proven = host.keys.iter().filter(|key| key.published).count();
    if !host.keys.is_empty() {
        parts.push(format!("{}, {proven} proven", counted(host.keys.len(), "key", "keys")));
    }
    if !host.records.is_empty() {
        parts.push(counted(host.records.len(), "record", "records"));
    }
    if !host.certificates.is_empty() {
        parts.push(counted(host.certificates.len(), "certificate", "certificates"));
    }
    if let Some(version) = &host.server_version {
        parts.push(text(version).to_string());
    }
    if parts.is_empty() {
        parts.push("no key, no record".to_owned());
    }
    parts.join(" &middot; ")
}

fn all(page: &mut String, host: &HostReport) -> std::fmt::Result {
    // A finding may say the same in the same words.
    if !host.findings.iter().any(|finding| finding.message == host.message) {
        writeln!(page, "<p>{}</p>", text(&host.message))?;
    }
    for finding in &host.findings {
        write!(
            page,
            "<div class=\"of-host\">{} <code>{}</code> {}",
            super::findings::badge(finding.severity),
            text(&finding.code),
            text(&finding.message),
        )?;
        super::findings::hint(page, finding.hint.as_deref())?;
        page.push_str("</div>\n");
    }
    page.push_str("<dl>");
    let of = |value: &Option<String>| value.as_deref().map(|value| text(value).to_string());
    fact(page, "Address", of(&host.address))?;
    fact(page, "Server", of(&host.server_version))?;
    fact(page, "Key exchange", of(&host.kex))?;
    fact(page, "Signed until", host.signed_until.map(|until| moment(until).to_string()))?;
    fact(page, "TTL", host.ttl.map(|ttl| format!("{ttl} s")))?;
    list(page, "Keys", &host.keys, key)?;
    list(page, "Certificates", &host.certificates, certificate)?;
    list(page, "Records", &host.records, record)?;
    list(page, "Name servers", &host.servers, |server| {
        let (class, word) = agreement(server);
        let serial = server.serial.map(|serial| format!(", serial {serial}")).unwrap_or_default();
        format!("{}{serial}, {}", label(server), standing(class, word))
    })?;
    page.push_str("</dl>");
    Ok(())
}

/// A fact whose value is markup already.
fn fact(page: &mut String, name: &str, value: Option<String>) -> std::fmt::Result {
    match value {
        Some(value) => write!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>"),
        None => Ok(()),
    }
}

fn list<T>(page: &mut String, name: &str, items: &[T], one: impl Fn(&T) -> String) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(page, "<div><dt>{name}</dt>")?;
    for item in items {
        write!(page, "<dd>{}</dd>", one(item))?;
    }
    page.push_str("</div>");
    Ok(())
}

/// What is as it should be needs no colour.
fn standing(class: &str, word: &str) -> String {
    match class {
        "accept" => word.to_owned(),
        _ => format!("<span class=\"badge {class}\">{word}</span>"),
    }
}

fn key(key: &Key) -> String {
    let bits = key.bits.map(|bits| format!(" {bits} bits")).unwrap_or_default();
    let seen = key.seen.iter().map(|place| text(place).to_string()).collect::<Vec<_>>().join(", ");
    let (class, word) = if key.published { ("accept", "proven") } else { ("warning", "no proven record") };
    format!(
        "{}{bits} <code>{}</code> {seen}, {}",
        text(&key.key_type),
        text(&key.sha256),
        standing(class, word)
    )
}

fn certificate(certificate: &HostCertificate) -> String {
    let (class, word) = if certificate.good { ("accept", "good") } else { ("warning", "no good") };
    let until = match certificate.valid_until {
        Some(until) => format!("until {}", moment(until)),
        None => "without an end".to_owned(),
    };
    format!(
        "serial {}, {until}, of the CA <code>{}</code>, {}",
        certificate.serial,
        text(certificate.ca_sha256.as_deref().unwrap_or("of another type")),
        standing(class, word)
    )
}

fn record(record: &Record) -> String {
    let (class, word) = if record.proven { ("accept", "proven") } else { ("warning", "not proven") };
    format!("{} SSHFP <code>{}</code> {}", text(&record.owner), text(&record.rdata), standing(class, word))
}
