//! The HTTP API of PowerDNS, as far as it is needed here: bounded, without redirections and proxies, its JSON read
//! strictly where it matters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::proto::name::Name;
use crate::proto::plan::{MAX_TTL, Plan, Present};
use crate::proto::rr::RrType;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::text::cut;

/// Largest answer that is read, in octets: all records of one name, or a line about each zone of one name.
const MAX_REPLY: u64 = 1024 * 1024;
/// Largest header of an answer, in octets.
const MAX_HEADER: usize = 16 * 1024;

/// One server of the API.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    /// Without a slash at its end.
    base: Arc<str>,
    server_id: Arc<str>,
    key: Option<HeaderValue>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .field("server_id", &self.server_id)
            .finish_non_exhaustive()
    }
}

/// Why the API gave no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No answer, or none that is whole.
    #[error("{base}: {error}")]
    Transport {
        /// The API.
        base: Arc<str>,
        /// What went wrong.
        error: Box<ureq::Error>,
    },
    /// A status other than the one that is wanted.
    #[error("{base} answers {status}{}", said(.message))]
    Status {
        /// The API.
        base: Arc<str>,
        /// The status code of HTTP.
        status: u16,
        /// What it says about it; may be anything.
        message: String,
    },
    /// Not what the API sends.
    #[error("{base} sent a malformed answer about {name}: {why}")]
    Malformed {
        /// The API.
        base: Arc<str>,
        /// What was asked for.
        name: Name,
        /// What is wrong.
        why: String,
    },
    /// An alias stands where records are wanted.
    #[error("{name} is an alias (CNAME) at {base}: no records can stand beside it")]
    Alias {
        /// The API.
        base: Arc<str>,
        /// The alias.
        name: Name,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Why something is not the address of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the address of an API: it is http:// or https://, a host, a port, and /api/v1 or nothing")]
pub struct BaseError;

/// `http://ADDR:PORT` or `https://...`, with `/api/v1` or without; gives it with.
pub fn base(text: &str) -> Result<String, BaseError> {
    let uri: Uri = text.parse().map_err(|_| BaseError)?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(BaseError);
    };
    let is_plain = !authority.as_str().contains('@') && !authority.host().is_empty() && uri.query().is_none();
    match uri.path() {
        "" | "/" | "/api/v1" | "/api/v1/" if is_plain && !text.contains('#') => {
            Ok(format!("{}://{authority}/api/v1", uri.scheme_str().unwrap_or_default()))
        }
        _ => Err(BaseError),
    }
}

#[derive(Deserialize)]
struct ZoneLine {
    name: String,
}

#[derive(Deserialize)]
struct Zone {
    name: String,
    rrsets: Vec<RrSet>,
    /// It has keys that are in use, or came signed.
    dnssec: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct RrSet {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    ttl: u64,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    changetype: Option<&'static str>,
    records: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    content: String,
    disabled: bool,
}

/// What stands at one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The SSHFP records that are served.
    pub present: Present,
    /// Those that are kept and not served: they are written back as they are.
    pub disabled: SshfpSet,
    /// The name is handed on to other servers.
    pub is_cut: bool,
}

impl Api {
    /// The API at `base` (see [`base()`]), whose server is called `server_id`. `roots` are the certificates, in DER,
    /// that an https API may be certified by.
    pub fn new(base: String, server_id: &str, key: Option<HeaderValue>, roots: Vec<Vec<u8>>) -> Self {
        let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The API key goes to this server and to nobody else.
            .proxy(None)
            .max_response_header_size(MAX_HEADER)
            .build()
            .new_agent();
        Api { agent, base: base.into(), server_id: server_id.into(), key }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// There is a key to show.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The closest zone at or above `owner` that the server has.
    pub fn zone_of(&self, owner: &Name, patience: Duration) -> Result<Option<Name>, ApiError> {
        let mut name = owner.clone();
        loop {
            let found: Vec<ZoneLine> =
                self.get(&format!("zones?zone={}", quoted(&absolute(&name))), &name, patience)?;
            if found.iter().any(|zone| is_name(&zone.name, &name)) {
                return Ok(Some(name));
            }
            match name.parent().filter(|parent| !parent.is_root()) {
                Some(parent) => name = parent,
                None => return Ok(None),
            }
        }
    }

    /// What stands at `owner` in `zone`.
    pub fn standing(&self, zone: &Name, owner: &Name, patience: Duration) -> Result<Standing, ApiError> {
        let malformed =
            |why: String| ApiError::Malformed { base: self.base.clone(), name: owner.clone(), why };
        let mut standing = Standing { is_cut: false, ..Standing::default() };
        let mut seen = false;
        for set in self.sets(zone, owner, patience)? {
            match set.rtype.as_str() {
                "CNAME" => return Err(ApiError::Alias { base: self.base.clone(), name: owner.clone() }),
                "NS" => standing.is_cut = owner != zone,
                "SSHFP" if seen => return Err(malformed("two sets of SSHFP records".into())),
                "SSHFP" => {
                    seen = true;
                    let ttl = u32::try_from(set.ttl).ok().filter(|ttl| *ttl <= MAX_TTL);
                    let ttl = ttl.ok_or_else(|| malformed(format!("a TTL of {}", set.ttl)))?;
                    let (mut there, mut disabled) = (Vec::new(), Vec::new());
                    for record in &set.records {
                        let sshfp =
                            Sshfp::from_text(&record.content).map_err(|e| malformed(e.to_string()))?;
                        if record.disabled { &mut disabled } else { &mut there }.push(sshfp);
                    }
                    (standing.present, standing.disabled) =
                        (Present::new(ttl, there), disabled.into_iter().collect());
                }
                _ => {}
            }
        }
        Ok(standing)
    }

    /// Any record stands at `owner`, served or not.
    pub fn has_records(&self, zone: &Name, owner: &Name, patience: Duration) -> Result<bool, ApiError> {
        Ok(self.sets(zone, owner, patience)?.iter().any(|set| !set.records.is_empty()))
    }

    /// `zone` is signed there; none where the server does not say.
    pub fn is_signed(&self, zone: &Name, patience: Duration) -> Result<Option<bool>, ApiError> {
        Ok(self.zone(zone, zone, patience)?.dnssec)
    }

    /// The names of the servers of `zone`.
    pub fn name_servers(&self, zone: &Name, patience: Duration) -> Result<Vec<Name>, ApiError> {
        let sets = self.sets(zone, zone, patience)?;
        let records =
            sets.iter().filter(|set| set.rtype == RrType::NS.to_string()).flat_map(|set| &set.records);
        Ok(records.filter(|r| !r.disabled).filter_map(|r| Name::from_text(&r.content).ok()).collect())
    }

    /// Puts the outcome of each plan in the place of what stands there, in one transaction of the server. `kept` are
    /// the records that are not served, in the order of the plans.
    pub fn replace(
        &self,
        zone: &Name,
        plans: &[(&Plan, SshfpSet)],
        patience: Duration,
    ) -> Result<(), ApiError> {
        let rrsets: Vec<RrSet> = (plans.iter())
            .map(|(plan, disabled)| {
                let served = plan.outcome();
                let record = |r: &Sshfp, disabled| Record { content: r.to_string(), disabled };
                let hidden = disabled.difference(&served).map(|r| record(r, true));
                let records: Vec<Record> = served.iter().map(|r| record(r, false)).chain(hidden).collect();
                let changetype = Some(if records.is_empty() { "DELETE" } else { "REPLACE" });
                let name = absolute(&plan.owner);
                RrSet { name, rtype: "SSHFP".into(), ttl: plan.ttl.into(), changetype, records }
            })
            .collect();
        let body = serde_json::json!({ "rrsets": rrsets }).to_string();
        let url = self.url(&format!("zones/{}", zone_id(zone)));
        let mut request = self.agent.patch(&url).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        let request = request.config().timeout_global(Some(patience)).build();
        let (status, text) = self.finish(request.send(body))?;
        match status {
            204 | 200 => Ok(()),
            _ => Err(self.status(status, &text)),
        }
    }

    fn sets(&self, zone: &Name, owner: &Name, patience: Duration) -> Result<Vec<RrSet>, ApiError> {
        let found = self.zone(zone, owner, patience)?;
        // A server that does not know the filter sends the whole zone.
        Ok(found.rrsets.into_iter().filter(|set| is_name(&set.name, owner)).collect())
    }

    fn zone(&self, zone: &Name, owner: &Name, patience: Duration) -> Result<Zone, ApiError> {
        let path = format!("zones/{}?rrset_name={}", zone_id(zone), quoted(&absolute(owner)));
        let found: Zone = self.get(&path, owner, patience)?;
        if !is_name(&found.name, zone) {
            let why = format!("it is about zone {:?}", found.name);
            return Err(ApiError::Malformed { base: self.base.clone(), name: owner.clone(), why });
        }
        Ok(found)
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        name: &Name,
        patience: Duration,
    ) -> Result<T, ApiError> {
        let mut request = self.agent.get(self.url(path));
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        let (status, text) = self.finish(request.config().timeout_global(Some(patience)).build().call())?;
        if status != 200 {
            return Err(self.status(status, &text));
        }
        serde_json::from_slice(&text).map_err(|e| ApiError::Malformed {
            base: self.base.clone(),
            name: name.clone(),
            why: e.to_string(),
        })
    }

    fn finish(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Vec<u8>), ApiError> {
        let told = |error| ApiError::Transport { base: self.base.clone(), error: Box::new(error) };
        let mut response = response.map_err(told)?;
        let body = response.body_mut().with_config().limit(MAX_REPLY).read_to_vec().map_err(told)?;
        Ok((response.status().as_u16(), body))
    }

    fn status(&self, status: u16, text: &[u8]) -> ApiError {
        #[derive(Deserialize)]
        struct Complaint {
            error: String,
        }
        const LONGEST: usize = 300;
        let message = serde_json::from_slice::<Complaint>(text).map(|c| c.error).unwrap_or_default();
        ApiError::Status { base: self.base.clone(), status, message: cut(&message, LONGEST).into_owned() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/servers/{}/{path}", self.base, quoted(&self.server_id))
    }
}

/// With the final dot, as the API wants names.
fn absolute(name: &Name) -> String {
    if name.is_root() { ".".to_owned() } else { format!("{name}.") }
}

fn is_name(text: &str, name: &Name) -> bool {
    Name::from_text(text).is_ok_and(|found| found == *name)
}

/// A zone's id in the API: its name, with `=XX` for what is not a letter, a digit, a dot or a hyphen.
fn zone_id(zone: &Name) -> String {
    match zone.is_root() {
        true => "=2E".to_owned(),
        false => escaped(&absolute(zone), '=', ".-"),
    }
}

/// For a part of a URL.
fn quoted(text: &str) -> String {
    escaped(text, '%', "._-~")
}

fn escaped(text: &str, mark: char, plain: &str) -> String {
    let one = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || plain.contains(c) => c.to_string(),
        _ => format!("{mark}{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests;
