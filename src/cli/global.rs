//! The options that every command takes, and which of them were typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::seconds;
use crate::config::{Cache, Files, Source, Sourced, Typed};
use crate::dns::dns_server;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Ask this resolver instead of the system's; it need not be trusted (repeatable)
    #[arg(long, global = true, value_name = "ADDR[:PORT]", env = "SSHANCHOR_RESOLVER", value_delimiter = ',', value_parser = dns_server)]
    resolver: Vec<SocketAddr>,
    /// Trust these keys (DNSKEY or DS lines) instead of the built-in root keys
    #[arg(long, global = true, value_name = "FILE", env = "SSHANCHOR_TRUST_ANCHOR")]
    trust_anchor: Option<PathBuf>,
    /// Keep proofs in this folder from one run to the next, or nowhere (off)
    #[arg(long, global = true, value_name = "FOLDER|off", env = "SSHANCHOR_CACHE", value_parser = cache)]
    cache: Option<Cache>,
    /// Read this configuration alone, or none, instead of the user's and the system's
    #[arg(long, global = true, value_name = "FILE|none", env = "SSHANCHOR_CONFIG", value_parser = files)]
    config: Option<Files>,
    /// Give up after this many seconds; of several hosts each has its own [default: 10]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Say more about what is done, on standard error: whom it asks, what is proven, what servers show (-vv: each question)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

impl Global {
    /// Each value with its source, which `matches` knows.
    pub(super) fn typed(self, matches: &ArgMatches) -> Typed {
        fn sourced<T>(
            matches: &ArgMatches,
            (id, option, variable): (&str, &'static str, &'static str),
            value: T,
        ) -> Sourced<T> {
            let source = match matches.value_source(id) {
                Some(ValueSource::EnvVariable) => Source::Environment(variable),
                _ => Source::Option(option),
            };
            Sourced { value, source }
        }
        let resolver = Some(self.resolver).filter(|servers| !servers.is_empty());
        let of_resolver = ("resolver", "--resolver", "SSHANCHOR_RESOLVER");
        let of_anchor = ("trust_anchor", "--trust-anchor", "SSHANCHOR_TRUST_ANCHOR");
        Typed {
            files: self.config.unwrap_or_default(),
            resolver: resolver.map(|value| sourced(matches, of_resolver, value)),
            trust_anchor: self.trust_anchor.map(|value| sourced(matches, of_anchor, value)),
            cache: self.cache.map(|value| sourced(matches, ("cache", "--cache", "SSHANCHOR_CACHE"), value)),
            timeout: self.timeout.map(|value| sourced(matches, ("timeout", "--timeout", ""), value)),
        }
    }
}

fn cache(text: &str) -> Result<Cache, String> {
    Cache::read(text, |folder| Ok(folder.into()))
}

fn files(text: &str) -> Result<Files, String> {
    Files::read(text)
}
