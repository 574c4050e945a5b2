//! Where the records are kept: options of which one names the place, and what goes with it.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::backend::{powerdns, zonefile};
use crate::config::publishing::{Provider, SERVER_ID};
use crate::dns::dns_server;
use crate::proto::template::{Template, TemplateError};

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("place").args(["server", "powerdns", "zone_file", "exec"]))]
pub(in crate::cli) struct PlaceArgs {
    /// The zone's primary name server, which takes dynamic updates (RFC 2136)
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    server: Option<SocketAddr>,
    /// The TSIG key that signs the update: a file as tsig-keygen or keymgr -t makes it, or one line
    /// ALGORITHM:NAME:SECRET. Not needed to look only
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with_all = ["powerdns", "zone_file", "exec"])]
    key_file: Option<PathBuf>,
    /// In place of --server, the HTTP API of PowerDNS: http://ADDR:PORT, or https://
    #[arg(long, value_name = "URL", value_parser = base)]
    powerdns: Option<String>,
    /// The name that PowerDNS has in its API
    #[arg(long, value_name = "ID", default_value = SERVER_ID, conflicts_with_all = ["server", "zone_file", "exec"])]
    server_id: String,
    /// The API key of PowerDNS: a file with it in one line, which others cannot read
    #[arg(long, value_name = "FILE", requires = "powerdns")]
    api_key_file: Option<PathBuf>,
    /// Who may certify an https API: a file of certificates, in PEM [default: whom the system trusts]
    #[arg(long, value_name = "FILE", requires = "powerdns")]
    ca_file: Option<PathBuf>,
    /// In place of --server, a file that is sshanchor's alone, and that the zone file includes ($INCLUDE FILE)
    #[arg(long, value_name = "FILE", requires_all = ["reload", "zone"])]
    zone_file: Option<PathBuf>,
    /// What raises the zone's serial and has the name server load it; split into words without a shell, then %f (the
    /// file) and %z (the zone) are put in. If it fails, the file is put back
    #[arg(long, value_name = "COMMAND", requires = "zone_file", value_parser = reload)]
    reload: Option<Template>,
    /// In place of --server, a program that reads and changes the records: JSON on its standard input, see docs/publish.md
    #[arg(long, value_name = "COMMAND", requires = "zone", value_parser = command)]
    exec: Option<Template>,
}

fn base(text: &str) -> Result<String, String> {
    powerdns::base(text).map_err(|e| e.to_string())
}

fn reload(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &zonefile::GAPS)
}

fn command(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &[])
}

impl PlaceArgs {
    /// The place that is named; none if none is.
    pub(in crate::cli) fn place(&self) -> Option<Provider> {
        if let Some(address) = self.server {
            return Some(Provider::Server { address, key_file: self.key_file.clone() });
        }
        if let Some(base) = self.powerdns.clone() {
            let (server_id, api_key_file) = (self.server_id.clone(), self.api_key_file.clone());
            return Some(Provider::PowerDns { base, server_id, api_key_file, ca_file: self.ca_file.clone() });
        }
        if let (Some(file), Some(reload)) = (self.zone_file.clone(), self.reload.clone()) {
            return Some(Provider::ZoneFile { file, reload });
        }
        self.exec.clone().map(Provider::Exec)
    }
}

/// A place as options, for a command that is suggested for another machine.
pub(super) fn options(place: &Provider) -> String {
    let quoted =
        |text: &str| shlex::try_quote(text).map_or_else(|_| "...".to_owned(), |text| text.into_owned());
    match place {
        Provider::Server { address, .. } => format!("--server {address} --key-file TSIG-KEY-OF-THE-HOST"),
        Provider::PowerDns { base, .. } => format!("--powerdns {} --api-key-file FILE", quoted(base)),
        Provider::ZoneFile { file, .. } => {
            format!("--zone-file {} --reload COMMAND --zone ZONE", quoted(&file.to_string_lossy()))
        }
        Provider::Exec(_) => "--exec COMMAND --zone ZONE".to_owned(),
    }
}
