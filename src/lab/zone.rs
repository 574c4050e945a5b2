//! Zones on loopback: signed, chained by DS records, open to updates with a TSIG key (RFC 2136,
//! RFC 8945). Not for production: every update signs the whole zone anew.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{Algorithm, DigestType, DnssecSigner, Nsec3HashAlgorithm, SigningKey};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{LowerName, Name};
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::store::sqlite::{SqliteConfig, SqliteZoneHandler, TsigKeyConfig};
use hickory_server::zone_handler::{AxfrPolicy, ZoneHandler, ZoneType};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::authority::{Authority, BACKDATED, BackDated};
use super::primary::Primary;

/// How long signatures hold from now on.
const SIGNED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// TTL of every record that does not say otherwise, in seconds.
const TTL: u32 = 60;

/// Whether and how a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// ECDSA P-256, NSEC3, valid for a week.
    Valid,
    /// The same, but every signature ran out half an hour ago.
    Expired,
    /// Not at all; a signed zone above proves that there is no DS.
    None,
}

/// A zone to serve.
#[derive(Debug, Clone)]
pub struct LabZone {
    origin: String,
    records: String,
    tsig: Vec<String>,
    signing: Signing,
}

impl LabZone {
    /// A signed zone with nothing but its SOA and NS.
    pub fn new(origin: &str) -> Self {
        let origin = format!("{}.", origin.trim_end_matches('.'));
        LabZone { origin, records: String::new(), tsig: Vec::new(), signing: Signing::Valid }
    }

    /// Adds lines as in a zone file; relative names are below the origin.
    #[must_use]
    pub fn records(mut self, lines: &str) -> Self {
        self.records.push_str(lines);
        self.records.push('\n');
        self
    }

    /// Lets a new TSIG key (hmac-sha256) of this name update the whole zone.
    #[must_use]
    pub fn tsig_key(mut self, name: &str) -> Self {
        self.tsig.push(format!("{}.", name.trim_end_matches('.')));
        self
    }

    /// Says how to sign.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// The whole zone file; `above` is the zone above it among those served, `cuts` its delegations.
    fn file(&self, above: Option<&str>, cuts: &str) -> String {
        let LabZone { origin, records, .. } = self;
        let server = format!("ns.{}", above.unwrap_or(origin)).replace("..", ".");
        let mut file = format!("$ORIGIN {origin}\n$TTL {TTL}\n");
        file.push_str(&format!("@ IN SOA {server} hostmaster.{server} 1 3600 600 86400 {TTL}\n"));
        file.push_str(&format!("@ IN NS {server}\n"));
        if above.is_none() {
            file.push_str(&format!("{server} IN A 127.0.0.1\n"));
        }
        file + records + cuts
    }
}

/// Why zones could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A socket or a file.
    #[error("cannot set up the laboratory: {0}")]
    Io(#[from] io::Error),
    /// The zone's text, keys or signatures.
    #[error("cannot serve zone {origin}: {problem}")]
    Zone {
        /// Which zone.
        origin: String,
        /// What hickory says.
        problem: String,
    },
}

/// The zones of one server on a free port of 127.0.0.1; it and its files go when this is dropped.
pub struct Zones {
    address: SocketAddr,
    anchors: Vec<(String, DNSKEY, Name)>,
    folder: TempDir,
    _server: Server<Authority>,
}

impl Zones {
    /// Signs and serves. Where one of the zones is above another, the upper one delegates to the
    /// lower: with DS records if that is signed. Wants a tokio runtime.
    pub async fn start(zones: Vec<LabZone>) -> Result<Zones, ZoneError> {
        let owner_alone = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("sshanchor-lab-").permissions(owner_alone).tempdir()?;
        let mut prepared = Vec::with_capacity(zones.len());
        for zone in zones {
            let name = Name::from_ascii(&zone.origin).map_err(|e| problem(&zone, e))?;
            let key = match zone.signing {
                Signing::None => None,
                Signing::Valid | Signing::Expired => Some(signing_key().map_err(|e| problem(&zone, e))?),
            };
            prepared.push(Prepared { zone, name, key });
        }
        let mut handlers: Vec<(LowerName, Arc<dyn ZoneHandler>)> = Vec::new();
        let mut anchors = Vec::new();
        for (at, here) in prepared.iter().enumerate() {
            let handler = here.load(at, &prepared, folder.path()).await?;
            handlers.push((LowerName::from(&here.name), Arc::new(handler)));
            if let Some((_, dnskey)) = &here.key {
                anchors.push((here.zone.origin.clone(), dnskey.clone(), here.name.clone()));
            }
        }
        let (address, server) = Authority::new(&handlers).serve().await?;
        let zones = Zones { address, anchors, folder, _server: server };
        for (origin, ..) in &zones.anchors {
            fs::write(zones.anchor_file(origin), zones.dnskey_line(origin).unwrap_or_default())?;
        }
        Ok(zones)
    }

    /// Where the server listens, over UDP and TCP; it answers as an authority does, whether
    /// recursion is wanted or not, and so stands in for a resolver.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The private folder of this laboratory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The trust anchor of a signed zone as a DNSKEY record on a line.
    pub fn dnskey_line(&self, origin: &str) -> Option<String> {
        let (origin, key, _) = self.anchor(origin)?;
        Some(format!("{origin} {TTL} IN DNSKEY {key}\n"))
    }

    /// The trust anchor of a signed zone as a DS record (SHA-256) on a line.
    pub fn ds_line(&self, origin: &str) -> Option<String> {
        let (origin, key, name) = self.anchor(origin)?;
        Some(format!("{origin} {TTL} IN DS {}\n", ds(name, key).ok()?))
    }

    /// The file with [`Zones::dnskey_line`], for `--trust-anchor`.
    pub fn anchor_file(&self, origin: &str) -> PathBuf {
        self.folder.path().join(format!("{}.anchor", file_stem(origin)))
    }

    /// The file of a TSIG key in BIND's form, for `--key-file`; readable by its owner alone.
    pub fn key_file(&self, name: &str) -> PathBuf {
        key_file(self.folder.path(), name)
    }

    fn anchor(&self, origin: &str) -> Option<&(String, DNSKEY, Name)> {
        let wanted = origin.trim_end_matches('.');
        self.anchors.iter().find(|(origin, ..)| origin.trim_end_matches('.') == wanted)
    }
}

type ZoneKey = (Box<[u8]>, DNSKEY);

/// A zone with its key, before it is served.
struct Prepared {
    zone: LabZone,
    name: Name,
    key: Option<ZoneKey>,
}

impl Prepared {
    async fn load(&self, at: usize, all: &[Prepared], folder: &Path) -> Result<Primary, ZoneError> {
        let zone = &self.zone;
        let above = nearest_above(self, all).map(|p| p.zone.origin.as_str());
        let mut cuts = String::new();
        for below in all.iter().filter(|p| nearest_above(p, all).is_some_and(|a| a.name == self.name)) {
            cuts.push_str(&format!("{} IN NS ns.{}\n", below.zone.origin, zone.origin).replace("..", "."));
            if let Some((_, key)) = &below.key {
                let ds = ds(&below.name, key).map_err(|e| problem(zone, e))?;
                cuts.push_str(&format!("{} IN DS {ds}\n", below.zone.origin));
            }
        }
        let zone_path = folder.join(format!("{at}.zone"));
        fs::write(&zone_path, zone.file(above, &cuts))?;
        let mut tsig_keys = Vec::new();
        for (number, name) in zone.tsig.iter().enumerate() {
            let secret = Zeroizing::new(rand::random::<[u8; 32]>());
            let raw = folder.join(format!("{at}-{number}.secret"));
            write_private(&raw, &*secret)?;
            let encoded = Zeroizing::new(BASE64.encode(&*secret));
            let text = Zeroizing::new(format!(
                "key \"{name}\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{}\";\n}};\n",
                *encoded
            ));
            write_private(&key_file(folder, name), text.as_bytes())?;
            tsig_keys.push(TsigKeyConfig {
                name: name.clone(),
                key_file: raw,
                algorithm: TsigAlgorithm::HmacSha256,
                fudge: 300,
            });
        }
        let config = SqliteConfig {
            zone_path,
            // SQLite's name for a database that is no file: nothing here outlives the process.
            journal_path: PathBuf::from(":memory:"),
            allow_update: !zone.tsig.is_empty(),
            tsig_keys,
        };
        let denial = self.key.as_ref().map(|_| NxProofKind::Nsec3 {
            algorithm: Nsec3HashAlgorithm::SHA1,
            salt: Arc::new([]),
            iterations: 0,
            opt_out: false,
        });
        let handler = SqliteZoneHandler::<BackDated>::try_from_config(
            self.name.clone(),
            ZoneType::Primary,
            AxfrPolicy::AllowAll,
            self.key.is_some(),
            None,
            &config,
            denial,
        )
        .await
        .map_err(|e| problem(zone, e))?;
        for read in &config.tsig_keys {
            fs::remove_file(&read.key_file)?;
        }
        let primary = Primary::new(handler);
        if let Some(key) = &self.key {
            let signer = self.signer(key).map_err(|e| problem(zone, e))?;
            primary.sign_with(signer).await.map_err(|e| problem(zone, e))?;
        }
        Ok(primary)
    }

    fn signer(&self, (pkcs8, dnskey): &ZoneKey) -> Result<DnssecSigner, hickory_proto::dnssec::DnsSecError> {
        let lifetime = match self.zone.signing {
            Signing::Expired => BACKDATED / 2,
            Signing::Valid | Signing::None => BACKDATED + SIGNED_FOR,
        };
        let key = EcdsaSigningKey::from_pkcs8(&(&**pkcs8).into(), Algorithm::ECDSAP256SHA256)?;
        Ok(DnssecSigner::new(dnskey.clone(), Box::new(key), self.name.clone(), lifetime))
    }
}

fn nearest_above<'a>(of: &Prepared, all: &'a [Prepared]) -> Option<&'a Prepared> {
    all.iter().filter(|p| p.name != of.name && p.name.zone_of(&of.name)).max_by_key(|p| p.name.num_labels())
}

fn signing_key() -> Result<ZoneKey, hickory_proto::dnssec::DnsSecError> {
    let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256)?;
    let key = EcdsaSigningKey::from_pkcs8(&pkcs8, Algorithm::ECDSAP256SHA256)?;
    Ok((pkcs8.secret_pkcs8_der().into(), DNSKEY::from_key(&key.to_public_key()?)))
}

/// The data of a DS record (RFC 4034 section 5.3).
fn ds(owner: &Name, key: &DNSKEY) -> Result<String, hickory_proto::ProtoError> {
    let digest = key.to_digest(owner, DigestType::SHA256)?;
    let (tag, algorithm) = (key.calculate_key_tag()?, u8::from(Algorithm::ECDSAP256SHA256));
    Ok(format!("{tag} {algorithm} 2 {}", data_encoding::HEXLOWER.encode(digest.as_ref())))
}

fn problem(zone: &LabZone, problem: impl ToString) -> ZoneError {
    ZoneError::Zone { origin: zone.origin.clone(), problem: problem.to_string() }
}

fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.key", file_stem(name)))
}

fn file_stem(name: &str) -> String {
    match name.trim_end_matches('.') {
        "" => "root".into(),
        name => name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-', "_"),
    }
}

/// Writes a new file that its owner alone may read.
pub(crate) fn write_private(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(octets)
}
