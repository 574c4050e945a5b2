//! What a test wants of one zone: names, keys, signatures. Nothing is started here.

use std::path::{Path, PathBuf};

use super::peer::command;
use super::process::run_ok;

/// Who signs a zone, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// dnssec-signzone, once, for these times (its -s and -e): good for a day by default.
    Static { start: String, end: String },
    /// named itself, as records change through RFC 2136.
    Dynamic,
    /// Nobody; it takes updates.
    Unsigned,
    /// Another server, which serves it too; the parent only delegates.
    Elsewhere,
}

/// What the parent says of a zone's keys.
#[derive(Debug, Clone, Copy)]
pub enum Parent {
    /// A DS of its key signing key.
    Ds,
    /// A DS that fits none of its keys: the zone is bogus.
    WrongDs,
    /// A DS of its key signing key with SHA-1 alone.
    Sha1Ds,
    /// No DS: the zone is insecure, or an island.
    NoDs,
    /// These lines.
    Says(fn(&Keys) -> String),
}

/// One zone of a [`super::Tree`].
#[derive(Debug, Clone)]
pub struct Zone {
    pub name: String,
    pub signing: Signing,
    pub parent: Parent,
    /// As dnssec-keygen's -a wants it.
    pub algorithm: String,
    /// One key for everything rather than a KSK and a ZSK.
    pub combined: bool,
    pub nsec3: bool,
    /// NSEC3 skips unsigned delegations.
    pub opt_out: bool,
    /// Further iterations of the NSEC3 hash; dnssec-signzone makes 150 at most.
    pub iterations: u16,
    /// One more key each, with these arguments of dnssec-keygen; without -a it is of the zone's algorithm.
    pub more_keys: Vec<&'static [&'static str]>,
    /// Changes the signed zone file, which holds a record a line.
    pub edit: Option<fn(&str, &Keys) -> String>,
    /// Lines of a zone file; owners are absolute.
    pub records: Vec<String>,
    /// Who may change what, in the words of its server (an update-policy of BIND, acls of Knot), in place of what the
    /// TSIG keys say.
    pub policy: Option<String>,
}

impl Zone {
    /// A zone signed by dnssec-signzone with P-256 keys, its DS at its parent.
    pub fn signed(name: &str) -> Zone {
        Zone {
            name: name.to_owned(),
            signing: Signing::Static { start: "now-3600".into(), end: "now+86400".into() },
            parent: Parent::Ds,
            algorithm: "ECDSAP256SHA256".into(),
            combined: false,
            nsec3: false,
            opt_out: false,
            iterations: 0,
            more_keys: Vec::new(),
            edit: None,
            records: Vec::new(),
            policy: None,
        }
    }

    /// A zone that named signs while it changes.
    pub fn dynamic(name: &str) -> Zone {
        Zone { signing: Signing::Dynamic, ..Zone::signed(name) }
    }

    /// A zone without signatures, properly delegated.
    pub fn unsigned(name: &str) -> Zone {
        Zone { signing: Signing::Unsigned, parent: Parent::NoDs, ..Zone::signed(name) }
    }

    /// With keys of another algorithm.
    pub fn algorithm(self, algorithm: &str) -> Zone {
        Zone { algorithm: algorithm.to_owned(), ..self }
    }

    /// With one key in place of KSK and ZSK.
    pub fn combined(self) -> Zone {
        Zone { combined: true, ..self }
    }

    /// With NSEC3 in place of NSEC.
    pub fn nsec3(self) -> Zone {
        Zone { nsec3: true, ..self }
    }

    /// With NSEC3 that skips unsigned delegations.
    pub fn opt_out(self) -> Zone {
        Zone { nsec3: true, opt_out: true, ..self }
    }

    /// With NSEC3 of so many iterations.
    pub fn iterations(self, iterations: u16) -> Zone {
        Zone { nsec3: true, iterations, ..self }
    }

    /// With one more key, made with these arguments of dnssec-keygen.
    pub fn key(mut self, arguments: &'static [&'static str]) -> Zone {
        self.more_keys.push(arguments);
        self
    }

    /// With its signed file changed.
    pub fn edit(self, edit: fn(&str, &Keys) -> String) -> Zone {
        Zone { edit: Some(edit), ..self }
    }

    /// With another word about it at its parent.
    pub fn parent(self, parent: Parent) -> Zone {
        Zone { parent, ..self }
    }

    /// With signatures for `start` to `end`, in dnssec-signzone's spelling.
    pub fn valid(self, start: &str, end: &str) -> Zone {
        Zone { signing: Signing::Static { start: start.into(), end: end.into() }, ..self }
    }

    /// With these rules about who may change what.
    pub fn policy(self, text: &str) -> Zone {
        Zone { policy: Some(text.to_owned()), ..self }
    }

    /// With `line` in its zone file.
    pub fn record(mut self, line: &str) -> Zone {
        self.records.push(line.to_owned());
        self
    }

    /// With A records for web1 to web9 at 127.0.0.1.
    pub fn hosts(mut self) -> Zone {
        let name = &self.name;
        self.records.extend((1..=9).map(|i| format!("web{i}.{name} A 127.0.0.1")));
        self
    }

    /// Whether `owner` is at or below its apex.
    pub fn holds(&self, owner: &str) -> bool {
        self.name == "." || owner == self.name || owner.ends_with(&format!(".{}", self.name))
    }

    /// Its name without the last dot, and `root` for the root: for file names.
    pub fn file_stem(&self) -> &str {
        if self.name == "." { "root" } else { self.name.trim_end_matches('.') }
    }
}

/// The files of one zone's keys, without extension: `.key` and `.private` are beside each other.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key that the parent's DS names; the only one of a combined zone.
    pub ksk: PathBuf,
    /// The key that signs everything else; the same for a combined zone.
    pub zsk: PathBuf,
    /// Those that the zone has besides.
    pub more: Vec<PathBuf>,
}

impl Keys {
    /// Makes the keys of `zone` in `folder`, which only that zone uses.
    pub fn generate(zone: &Zone, folder: &Path) -> Keys {
        let ksk = generate(zone, folder, &["-f", "KSK"]);
        let zsk = if zone.combined { ksk.clone() } else { generate(zone, folder, &[]) };
        let more = zone.more_keys.iter().map(|arguments| generate(zone, folder, arguments)).collect();
        Keys { ksk, zsk, more }
    }

    /// The KSK's DNSKEY line, with the comments that dnssec-keygen writes.
    pub fn dnskey_line(&self) -> String {
        std::fs::read_to_string(key_file(&self.ksk)).unwrap()
    }

    /// The KSK's DS line (SHA-256).
    pub fn ds_line(&self) -> String {
        self.ds("-2")
    }

    /// The KSK's DS line with the digest that this option of dnssec-dsfromkey names.
    pub fn ds(&self, digest: &str) -> String {
        ds_of(&self.ksk, digest)
    }

    /// The files, each once.
    pub fn files(&self) -> Vec<&PathBuf> {
        if self.ksk == self.zsk { vec![&self.ksk] } else { vec![&self.ksk, &self.zsk] }
    }
}

/// The public half. BIND's base names hold dots, so an extension cannot just be set.
fn key_file(base: &Path) -> PathBuf {
    PathBuf::from(format!("{}.key", base.display()))
}

/// The DS line of a key with the digest that this option of dnssec-dsfromkey names.
pub fn ds_of(key: &Path, digest: &str) -> String {
    run_ok(command("dnssec-dsfromkey").arg(digest).arg(key_file(key)))
}

fn generate(zone: &Zone, folder: &Path, arguments: &[&str]) -> PathBuf {
    let mut keygen = command("dnssec-keygen");
    keygen.args(["-q", "-L", "60", "-K"]).arg(folder);
    let algorithm = match arguments.iter().position(|argument| *argument == "-a") {
        Some(at) => arguments[at + 1],
        None => {
            keygen.args(["-a", &zone.algorithm]);
            &zone.algorithm
        }
    };
    if algorithm.contains("RSA") {
        keygen.args(["-b", "2048"]);
    }
    folder.join(run_ok(keygen.args(arguments).arg(&zone.name)).trim())
}
