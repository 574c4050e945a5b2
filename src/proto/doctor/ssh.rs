//! The configuration of the ssh client, as `ssh -G` tells it.

mod installed;

use super::{Finding, Severity};
use crate::proto::moment;
use crate::proto::ssh_config::Version;
use crate::proto::ssh_config::installed::Installed;

pub use self::installed::{by_another_name, gone, in_force, of_this_version};

/// Lines of `ssh -G` that are read; it prints some hundred.
const MAX_LINES: usize = 4096;

/// What `ssh -G HOST` prints: a keyword in any case and its value a line; some keywords come more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(Vec<(String, String)>);

impl Config {
    /// Reads the output.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().take(MAX_LINES).filter_map(|line| line.trim().split_once(' '));
        Config(
            lines.map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.trim().to_owned())).collect(),
        )
    }

    /// The first value of `keyword`, which is given in lower case; `none` is none.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == keyword).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("none"))
    }

    /// All values of `keyword`, which is given in lower case, as they stand.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == keyword).map(|(_, value)| value.as_str())
    }

    /// The host that is connected to: what HostName and canonicalisation made of the name that was typed.
    pub fn host(&self) -> Option<&str> {
        self.get("hostname")
    }

    /// The port that is connected to.
    pub fn port(&self) -> Option<u16> {
        self.get("port")?.parse().ok()
    }

    /// The files in which host keys are looked up.
    pub fn known_hosts_files(&self) -> Vec<&str> {
        let files = ["userknownhostsfile", "globalknownhostsfile"].into_iter().filter_map(|k| self.get(k));
        files
            .flat_map(str::split_ascii_whitespace)
            .filter(|file| !file.eq_ignore_ascii_case("none"))
            .collect()
    }

    fn is(&self, keyword: &str, wanted: &[&str]) -> bool {
        self.get(keyword).is_some_and(|value| wanted.iter().any(|w| value.eq_ignore_ascii_case(w)))
    }

    fn names_us(&self, keyword: &str) -> bool {
        self.get(keyword).is_some_and(|command| command.contains("sshanchor"))
    }

    /// ssh, or its way to the host, has the key proven.
    pub fn asks_us(&self) -> bool {
        self.names_us("knownhostscommand") || self.names_us("proxycommand")
    }

    /// Keys have to be in known_hosts, although sshanchor checks the connections: with StrictHostKeyChecking yes,
    /// and no KnownHostsCommand to tell ssh of them.
    pub fn wants_known_hosts(&self) -> bool {
        let strict = self.is("stricthostkeychecking", &YES);
        // The proxy may write the keys there itself.
        let told = self.get("proxycommand").is_some_and(|command| command.contains("--known-hosts-file"));
        strict && self.names_us("proxycommand") && !told && self.get("knownhostscommand").is_none()
    }

    /// The programs of this name that ssh starts by their whole path, each with the option that names it.
    pub fn programs(&self) -> Vec<(&'static str, String)> {
        let of = |(keyword, option): (&str, &'static str)| {
            let command = self.get(keyword).filter(|_| self.names_us(keyword))?;
            let program = first_word(command);
            program.starts_with('/').then_some((option, program))
        };
        [("knownhostscommand", "KnownHostsCommand"), ("proxycommand", "ProxyCommand")]
            .into_iter()
            .filter_map(of)
            .collect()
    }
}

/// The first word of a command, by the rules that ssh and shells share.
fn first_word(command: &str) -> String {
    let (mut word, mut quote) = (String::new(), None);
    let mut chars = command.trim_start().chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t', None) => break,
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) if chars.peek().is_some_and(|next| matches!(next, '"' | '\'' | '\\')) => {
                word.extend(chars.next());
            }
            _ => word.push(c),
        }
    }
    word
}

const YES: [&str; 2] = ["yes", "true"];
const NO: [&str; 3] = ["no", "false", "off"];

/// Judges how an ssh of this version is set up for `host`; without one its defaults. `installed` is what
/// `sshanchor config ssh` wrote for it or for others.
pub fn judge(
    host: Option<&str>,
    config: &Config,
    version: Option<Version>,
    installed: Option<&Installed>,
) -> Vec<Finding> {
    let asks = match host {
        Some(host) => format!("ssh -G {host}"),
        None => "ssh's defaults".to_owned(),
    };
    let mut findings =
        vec![in_use(&asks, host, config, version, installed), strictness(&asks, config), dns(&asks, config)];
    findings.push(multiplexing(&asks, host, config));
    findings.extend(
        [
            other_command(&asks, config),
            known_hosts_files(&asks, config),
            none_file(&asks, config, version),
            localhost(&asks, config),
            alias(&asks, config),
            canonical(&asks, config),
            updates(&asks, config),
            fdpass(&asks, config),
        ]
        .into_iter()
        .flatten(),
    );
    findings
}

fn in_use(
    asks: &str,
    host: Option<&str>,
    config: &Config,
    version: Option<Version>,
    installed: Option<&Installed>,
) -> Finding {
    if config.names_us("proxycommand") && config.get("proxycommand").is_some_and(|c| c.contains("%n")) {
        let message =
            "the proxy is given %n, the name as it was typed, and ssh connects to what HostName makes of it";
        return Finding::warning("ssh-proxy", asks, message).remedy("set ProxyCommand sshanchor proxy %h %p");
    }
    if let Some(keyword) = ["proxycommand", "knownhostscommand"].into_iter().find(|k| config.names_us(k)) {
        let command = config.get(keyword).unwrap_or_default();
        let spelled = if keyword == "proxycommand" { "ProxyCommand" } else { "KnownHostsCommand" };
        return Finding::ok("ssh-proxy", asks, format!("connections are checked: {spelled} {command}"));
    }
    // What is installed is for certain hosts; another list would take its place, and leave those unchecked.
    let pattern = match (host, installed) {
        (Some(host), _) => format!("'{host}'"),
        (None, None) => "'*.example.com'".to_owned(),
        (None, Some(_)) => "PATTERN...".to_owned(),
    };
    let install = match installed {
        Some(installed) => format!("{} {pattern}", installed.again),
        None => format!("sshanchor config ssh --install {pattern}"),
    };
    if let (Some(typed), Some(name), Some(installed)) = (host, config.host(), installed)
        && !installed.hosts.matches(typed)
        && installed.hosts.matches(name)
    {
        let message = format!(
            "connections are not checked by sshanchor: {typed} leads to {name}, and ssh compares the patterns ({}) with \
             the name that is typed",
            installed.hosts
        );
        return Finding::warning("ssh-proxy", asks, message)
            .remedy(format!("type the whole name, or name this one too: {install}"));
    }
    let message = match (config.get("proxycommand"), config.get("proxyjump")) {
        (Some(command), _) => format!("connections are not checked by sshanchor: ProxyCommand is {command}"),
        (None, Some(jump)) => format!(
            "connections are not checked by sshanchor: ProxyJump is {jump}, which excludes a ProxyCommand"
        ),
        (None, None) => match (host, installed) {
            (None, Some(installed)) => {
                format!("connections to other hosts than {} are not checked by sshanchor", installed.hosts)
            }
            _ => "connections are not checked by sshanchor".to_owned(),
        },
    };
    let asks_for_keys = version.is_none_or(Version::asks_for_keys);
    Finding::info("ssh-proxy", asks, message).remedy(
        match (config.get("proxycommand"), config.get("proxyjump")) {
            // An old ssh has nothing but its proxy, and takes the first of the two that it finds.
            (Some(_), _) if !asks_for_keys => format!("if that command is not needed: {install}"),
            (None, Some(_)) if !asks_for_keys => {
                format!("if the host can be reached without the jump: {install}")
            }
            _ => install,
        },
    )
}

fn strictness(asks: &str, config: &Config) -> Finding {
    let check = "ssh-strict";
    if config.is("stricthostkeychecking", &NO) {
        let message = "StrictHostKeyChecking is off: ssh takes any key wherever sshanchor is not asked, as with -J on the command line";
        return Finding::warning(check, asks, message).remedy("set StrictHostKeyChecking yes");
    }
    if config.is("stricthostkeychecking", &["accept-new"]) {
        let message = "StrictHostKeyChecking is accept-new: the first key that a host shows is taken";
        return match config.names_us("proxycommand") {
            true => Finding::info(check, asks, format!("{message}, which the proxy has proven before")),
            false => Finding::warning(check, asks, message)
                .remedy("set StrictHostKeyChecking yes, and put sshanchor proxy before it"),
        };
    }
    match config.get("stricthostkeychecking") {
        Some(value) if YES.contains(&value) => Finding::ok(check, asks, "StrictHostKeyChecking is yes"),
        _ => Finding::ok(check, asks, "StrictHostKeyChecking asks about keys that it does not know"),
    }
}

fn dns(asks: &str, config: &Config) -> Finding {
    let believed = match config.get("verifyhostkeydns") {
        Some(value) if YES.contains(&value) => "takes a key",
        Some("ask") => "calls a key matching",
        _ => {
            return Finding::ok(
                "ssh-verify-host-key-dns",
                asks,
                "VerifyHostKeyDNS is off: ssh believes no AD bit",
            );
        }
    };
    let message = format!(
        "VerifyHostKeyDNS {believed} on the word of the resolver (AD bit), which anybody on the way can forge; with yes, KnownHostsCommand is then never asked"
    );
    Finding::warning("ssh-verify-host-key-dns", asks, message)
        .remedy("set VerifyHostKeyDNS no: sshanchor proves the records itself")
}

/// Sessions over a shared connection ask nobody: a refusal comes only once that has ended.
fn multiplexing(asks: &str, host: Option<&str>, config: &Config) -> Finding {
    let check = "ssh-multiplexing";
    let Some(path) = config.get("controlpath") else {
        return Finding::ok(check, asks, "connections are not shared (no ControlPath)");
    };
    if config.get("controlmaster").is_none() || config.is("controlmaster", &NO) {
        let message =
            format!("sessions join a shared connection at {path} if one is open, and are not checked then");
        return Finding::info(check, asks, message).remedy("set ControlPath none, where that is not meant");
    }
    let lasts = match config.get("controlpersist") {
        Some(value) if YES.contains(&value) || value == "0" => "until it is told to end".to_owned(),
        Some(value) => match value.parse() {
            Ok(seconds) => format!("for {} after the last session", moment::span(seconds)),
            Err(_) => "as long as its first session".to_owned(),
        },
        None => "as long as its first session".to_owned(),
    };
    let severity = if lasts.starts_with("as long") { Severity::Info } else { Severity::Warning };
    let message = format!(
        "sessions share a connection (ControlMaster), which lasts {lasts}: a withdrawn or refused key has no effect before"
    );
    let target = host.unwrap_or("HOST");
    Finding::new(severity, check, asks, message).remedy(format!(
        "to end it now: ssh -O exit {target}; for good: ControlPersist no, or ControlMaster no"
    ))
}

fn alias(asks: &str, config: &Config) -> Option<Finding> {
    let alias = config.get("hostkeyalias")?;
    let message = format!(
        "HostKeyAlias is {alias}: ssh remembers keys under that name, and sshanchor proves those of {}",
        config.host().unwrap_or("the host's own")
    );
    Some(Finding::info("ssh-host-key-alias", asks, message))
}

fn canonical(asks: &str, config: &Config) -> Option<Finding> {
    let value = config.get("canonicalizehostname").filter(|value| !NO.contains(value))?;
    let message =
        format!("CanonicalizeHostname is {value}: unproven DNS answers choose the name that is then proven");
    Some(
        Finding::info("ssh-canonicalize", asks, message)
            .remedy("use whole names, and set CanonicalizeHostname no"),
    )
}

fn updates(asks: &str, config: &Config) -> Option<Finding> {
    let value = config.get("updatehostkeys").filter(|value| !NO.contains(value))?;
    let value = if YES.contains(&value) { "yes" } else { value };
    let message =
        format!("UpdateHostKeys is {value}: further keys of a server get into known_hosts without a proof");
    Some(Finding::info("ssh-update-host-keys", asks, message).remedy("set UpdateHostKeys no"))
}

fn fdpass(asks: &str, config: &Config) -> Option<Finding> {
    (config.is("proxyusefdpass", &YES) && config.names_us("proxycommand")).then(|| {
        let message =
            "ProxyUseFdpass is yes: ssh waits for the proxy to hand over the connection, which it does not";
        Finding::error("ssh-proxy-fdpass", asks, message).remedy("set ProxyUseFdpass no")
    })
}

/// Somebody else tells ssh of keys.
fn other_command(asks: &str, config: &Config) -> Option<Finding> {
    let command = config.get("knownhostscommand").filter(|_| !config.names_us("knownhostscommand"))?;
    let message = format!("ssh takes keys from another program: KnownHostsCommand {command}");
    let finding = Finding::info("ssh-known-hosts-command", asks, message);
    Some(
        finding
            .remedy("if they are to be proven: sshanchor config ssh --install HOST, which puts itself first"),
    )
}

/// What stands in known_hosts counts beside what the command says; only its veto keeps it from deciding.
fn known_hosts_files(asks: &str, config: &Config) -> Option<Finding> {
    let files: Vec<&str> =
        config.known_hosts_files().into_iter().filter(|file| *file != "/dev/null").collect();
    (config.names_us("knownhostscommand") && !files.is_empty()).then(|| {
        let message = format!(
            "keys in {} count beside the proven ones: only that sshanchor ends the connection keeps them out",
            files.join(" ")
        );
        Finding::info("ssh-known-hosts-files", asks, message)
            .remedy("set UserKnownHostsFile none and GlobalKnownHostsFile none, as sshanchor config ssh does")
    })
}

/// Before 8.5 `none` is a file of that name, wherever ssh is started.
fn none_file(asks: &str, config: &Config, version: Option<Version>) -> Option<Finding> {
    let version = version.filter(|version| !version.asks_for_keys())?;
    let is_none =
        |keyword: &str| config.0.iter().any(|(k, v)| k == keyword && v.eq_ignore_ascii_case("none"));
    ["userknownhostsfile", "globalknownhostsfile"].into_iter().any(is_none).then(|| {
        let message = format!(
            "OpenSSH {version} takes none for a file of that name in the current folder: whoever can write there says which keys are good"
        );
        Finding::warning("ssh-none-file", asks, message).remedy("set it to /dev/null")
    })
}

/// ssh asks nobody about a host at a loopback address, wherever it has that address from.
fn localhost(asks: &str, config: &Config) -> Option<Finding> {
    config.is("nohostauthenticationforlocalhost", &YES).then(|| {
        let message = "NoHostAuthenticationForLocalhost is yes: ssh takes any key from a loopback address";
        let finding = match config.names_us("proxycommand") {
            true => {
                Finding::info("ssh-localhost", asks, format!("{message}, which the proxy has proven before"))
            }
            false => Finding::warning("ssh-localhost", asks, message),
        };
        finding.remedy("set NoHostAuthenticationForLocalhost no")
    })
}

/// What `ssh -V` said: the client's version. KnownHostsCommand came with 8.5.
pub fn version(text: &str) -> Finding {
    let line = text.lines().next().unwrap_or_default().trim();
    match Version::parse(line) {
        Some(version) if !version.asks_for_keys() => Finding::info(
            "ssh-client",
            "ssh",
            format!(
                "{line}: older than 8.5, so it has no KnownHostsCommand; sshanchor config ssh takes the proxy, which works"
            ),
        ),
        Some(_) => Finding::ok("ssh-client", "ssh", line),
        None => Finding::info("ssh-client", "ssh", format!("a client other than OpenSSH: {line}")),
    }
}

#[cfg(test)]
mod tests;
