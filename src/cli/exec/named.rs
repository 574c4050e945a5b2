//! A stand-in for `cli::hosts` until that is here.

use super::super::Context;
use super::super::target::target;
use crate::error::Error;
use crate::fleet::Host;

#[derive(Debug, Default, clap::Args)]
pub(super) struct HostArgs {
    /// The hosts (repeatable)
    #[arg(short = 'H', long = "hosts", value_name = "[USER@]HOST[:PORT]|@FILE|-")]
    hosts: Vec<String>,
    /// The port of hosts that name none [default: 22]
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

impl HostArgs {
    pub(super) fn reads_stdin(&self) -> bool {
        self.hosts.iter().any(|text| text == "-")
    }

    pub(super) async fn hosts(&self, _cx: &Context) -> Result<Vec<Host>, Error> {
        let mut words = Vec::new();
        for text in &self.hosts {
            let content = match text.strip_prefix('@') {
                Some(file) => std::fs::read_to_string(file).map_err(|e| Error::usage("hosts-file", e))?,
                None if text == "-" => {
                    std::io::read_to_string(std::io::stdin()).map_err(|e| Error::usage("hosts-file", e))?
                }
                None => text.clone(),
            };
            for word in content.split([',', '\n']).filter(|word| !word.is_empty()) {
                match word.split_once('[').and_then(|(a, rest)| Some((a, rest.split_once(']')?))) {
                    Some((before, (range, after))) if range.contains('-') => {
                        let ends: Vec<u32> = range.split('-').filter_map(|n| n.parse().ok()).collect();
                        let [from, to] = ends[..] else { return Err(Error::usage("hosts", range)) };
                        words.extend((from..=to).map(|n| format!("{before}{n}{after}")));
                    }
                    _ => words.push(word.to_owned()),
                }
            }
        }
        if words.is_empty() {
            return Err(Error::usage("hosts", "no host was named: -H is missing")
                .hint("name it before the command: sshanchor exec -H HOST -- uptime"));
        }
        words
            .iter()
            .map(|word| {
                let (user, host) = match word.rsplit_once('@') {
                    Some((user, _)) if user.contains("://") => (None, word.as_str()),
                    Some((user, host)) => (Some(user.to_owned()), host),
                    None => (None, word.as_str()),
                };
                let (target, port) = target(host, self.port.unwrap_or(22))?;
                Ok(Host { user, ..Host::new(target, port) })
            })
            .collect()
    }
}
