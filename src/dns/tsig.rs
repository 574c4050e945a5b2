//! TSIG key files (RFC 8945): what `tsig-keygen`, Knot's `keymgr -t` and a line `alg:name:secret` hold.
//! One key a file, read strictly; a secret never shows in an error, a log or `Debug`.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use data_encoding::BASE64;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use zeroize::Zeroizing;

use crate::files::pipe;
use crate::proto::name::Name;

/// Largest key file that is read, in octets.
const MAX_FILE: u64 = 64 * 1024;

/// The HMACs that are used (RFC 8945 section 6); older and truncated ones are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`.
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl Algorithm {
    fn from_text(text: &str) -> Result<Self, TsigKeyError> {
        match text.to_ascii_lowercase().trim_end_matches('.') {
            "hmac-sha256" => Ok(Self::HmacSha256),
            "hmac-sha384" => Ok(Self::HmacSha384),
            "hmac-sha512" => Ok(Self::HmacSha512),
            "hmac-md5" | "hmac-md5.sig-alg.reg.int" | "hmac-sha1" | "hmac-sha224" => {
                Err(TsigKeyError::WeakAlgorithm(text.to_owned()))
            }
            // Anything else may be a secret in the wrong place: it is not repeated.
            hmac if hmac.starts_with("hmac-") && hmac.len() <= 20 => {
                Err(TsigKeyError::Algorithm(hmac.to_owned()))
            }
            _ => Err(TsigKeyError::Syntax("no TSIG algorithm where one should be")),
        }
    }

    pub(super) fn on_the_wire(self) -> TsigAlgorithm {
        match self {
            Self::HmacSha256 => TsigAlgorithm::HmacSha256,
            Self::HmacSha384 => TsigAlgorithm::HmacSha384,
            Self::HmacSha512 => TsigAlgorithm::HmacSha512,
        }
    }
}

/// A key that signs updates. The name is not secret, the rest is wiped when dropped.
#[derive(Clone)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
}

/// Why a file holds no usable key. None of these carries any of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TsigKeyError {
    /// Neither BIND's nor Knot's form nor one line.
    #[error("not a TSIG key: {0}")]
    Syntax(&'static str),
    /// A field that a key needs.
    #[error("the TSIG key has no {0}")]
    Missing(&'static str),
    /// A field given twice, or a second key.
    #[error("the TSIG key file holds more than one {0}")]
    Repeated(&'static str),
    /// The name is no DNS name.
    #[error("the TSIG key's name is not a DNS name")]
    Name,
    /// The secret is not base64, or empty.
    #[error("the TSIG key's secret is not base64")]
    Secret,
    /// HMAC-MD5, SHA-1 or SHA-224.
    #[error("TSIG algorithm {0} is too weak")]
    WeakAlgorithm(String),
    /// An unknown or truncated HMAC.
    #[error("unsupported TSIG algorithm {0:?}")]
    Algorithm(String),
}

/// Why a file could not be read as a key.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file is no key.
    #[error("{0}")]
    Key(#[from] TsigKeyError),
}

/// What makes a key weaker than it should be; to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weakness {
    /// Others than the owner may read or write the file; holds its mode.
    Exposed(u32),
    /// A secret of that many octets, fewer than 128 bits.
    Short(usize),
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposed(mode) => {
                write!(f, "can be read or written by others than its owner (mode {mode:04o}; want 0600)")
            }
            Self::Short(octets) => write!(f, "holds a secret of {octets} octets (want at least 16)"),
        }
    }
}

impl Key {
    /// Reads a key file; also says what is weak about it. `patience` is for one that is a pipe.
    pub fn load(path: &Path, patience: Duration) -> Result<(Self, Vec<Weakness>), LoadError> {
        let file = pipe::open(path, patience)?;
        let mut weaknesses = Vec::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = file.metadata().mode() & 0o7777;
            if mode & 0o066 != 0 {
                weaknesses.push(Weakness::Exposed(mode));
            }
        }
        // Room for the whole file beforehand, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize + 1));
        file.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(TsigKeyError::Syntax("the file is too large").into());
        }
        let key = Self::from_text(&text)?;
        if key.secret.len() < 16 {
            weaknesses.push(Weakness::Short(key.secret.len()));
        }
        Ok((key, weaknesses))
    }

    /// From the text of a key file, in any of the three forms.
    pub fn from_text(text: &str) -> Result<Self, TsigKeyError> {
        match words(text)?.as_slice() {
            [] => Err(TsigKeyError::Syntax("the file is empty")),
            ["key:", rest @ ..] => from_yaml(rest),
            ["key", rest @ ..] => from_bind(rest),
            [line] if line.contains(':') => from_line(line),
            _ => Err(TsigKeyError::Syntax(
                "want key \"NAME\" { algorithm ...; secret ...; }; or Knot's key section, or one line ALGORITHM:NAME:SECRET",
            )),
        }
    }

    fn new(name: &str, algorithm: &str, secret: &str) -> Result<Self, TsigKeyError> {
        let algorithm = Algorithm::from_text(algorithm)?;
        let name = Name::from_text(name).map_err(|_| TsigKeyError::Name)?;
        let secret = Zeroizing::new(BASE64.decode(secret.as_bytes()).map_err(|_| TsigKeyError::Secret)?);
        if name.is_root() {
            return Err(TsigKeyError::Name);
        }
        if secret.is_empty() {
            return Err(TsigKeyError::Secret);
        }
        Ok(Key { name, algorithm, secret })
    }

    /// The key's name, as the server knows it.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its HMAC.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {:?}, secret withheld)", self.name, self.algorithm)
    }
}

/// Words without comments (`#`, `//`, `/* */`) and quotes; `{`, `}` and `;` stand for themselves.
fn words(text: &str) -> Result<Vec<&str>, TsigKeyError> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.chars().next() else { return Ok(words) };
        // In YAML # alone begins a comment, and base64 may begin with slashes.
        let is_secret = words.last() == Some(&"secret:");
        let (word, after) = if first == '#' || (rest.starts_with("//") && !is_secret) {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        } else if let Some(comment) = rest.strip_prefix("/*").filter(|_| !is_secret) {
            rest = comment.split_once("*/").ok_or(TsigKeyError::Syntax("a comment does not end"))?.1;
            continue;
        } else if let Some(quoted) = rest.strip_prefix(['"', '\'']) {
            quoted.split_once(first).ok_or(TsigKeyError::Syntax("a quote does not end"))?
        } else if matches!(first, '{' | '}' | ';') {
            rest.split_at(1)
        } else {
            // A slash is part of base64, so only blanks and punctuation end a bare word.
            let end = |c: char| c.is_ascii_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '\'' | '#');
            rest.split_at(rest.find(end).unwrap_or(rest.len()))
        };
        words.push(word);
        rest = after;
    }
}

/// A field that may be given once.
fn set<'a>(field: &mut Option<&'a str>, name: &'static str, value: &'a str) -> Result<(), TsigKeyError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(TsigKeyError::Repeated(name)),
    }
}

/// `NAME { algorithm A; secret S; };` after the word `key`.
fn from_bind(words: &[&str]) -> Result<Key, TsigKeyError> {
    let [name, "{", rest @ ..] = words else {
        return Err(TsigKeyError::Syntax("want a name and { after key"));
    };
    let (mut algorithm, mut secret, mut rest) = (None, None, rest);
    loop {
        rest = match rest {
            ["algorithm", value, ";", after @ ..] => {
                set(&mut algorithm, "algorithm", value)?;
                after
            }
            ["secret", value, ";", after @ ..] => {
                set(&mut secret, "secret", value)?;
                after
            }
            ["}"] | ["}", ";"] => break,
            ["}", ";", "key", ..] => return Err(TsigKeyError::Repeated("key")),
            _ => return Err(TsigKeyError::Syntax("want algorithm ...; and secret ...; between { and };")),
        };
    }
    Key::new(
        name,
        algorithm.ok_or(TsigKeyError::Missing("algorithm"))?,
        secret.ok_or(TsigKeyError::Missing("secret"))?,
    )
}

/// `- id: NAME`, `algorithm: A`, `secret: S` after `key:`.
fn from_yaml(words: &[&str]) -> Result<Key, TsigKeyError> {
    let ["-", rest @ ..] = words else {
        return Err(TsigKeyError::Syntax("want a list item (- id: NAME) below key:"));
    };
    let (mut id, mut algorithm, mut secret) = (None, None, None);
    let mut pairs = rest.chunks_exact(2);
    for pair in &mut pairs {
        match pair {
            ["id:", value] => set(&mut id, "id", value)?,
            ["algorithm:", value] => set(&mut algorithm, "algorithm", value)?,
            ["secret:", value] => set(&mut secret, "secret", value)?,
            ["-" | "key:", _] => return Err(TsigKeyError::Repeated("key")),
            _ => return Err(TsigKeyError::Syntax("want id:, algorithm: and secret: below key:")),
        }
    }
    if !pairs.remainder().is_empty() {
        return Err(TsigKeyError::Syntax("a field without a value"));
    }
    Key::new(
        id.ok_or(TsigKeyError::Missing("id"))?,
        algorithm.ok_or(TsigKeyError::Missing("algorithm"))?,
        secret.ok_or(TsigKeyError::Missing("secret"))?,
    )
}

/// `ALGORITHM:NAME:SECRET`, as `dig -y` and `kdig -y` take it.
fn from_line(line: &str) -> Result<Key, TsigKeyError> {
    match line.split(':').collect::<Vec<_>>().as_slice() {
        [algorithm, name, secret] => Key::new(name, algorithm, secret),
        _ => Err(TsigKeyError::Syntax("want ALGORITHM:NAME:SECRET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Za//w+7tbsjoUehWXX84BhD7SmRz3LLb8t9q4c1+/2Q=";

    #[test]
    fn a_secret_may_begin_with_slashes() {
        for secret in ["//8=", "//++", "/w=="] {
            let key = |text: String| Key::from_text(&text).map(|key| key.secret().to_vec());
            let expected = key(format!("hmac-sha256:web1.key:{secret}")).unwrap();
            let yaml = format!("key:\n  - id: web1.key\n    algorithm: hmac-sha256\n    secret: {secret}\n");
            assert_eq!(key(yaml).unwrap(), expected, "{secret}");
            let bind = format!("key web1.key {{ algorithm hmac-sha256; secret \"{secret}\"; }}; // end");
            assert_eq!(key(bind).unwrap(), expected, "{secret}");
        }
    }

    #[test]
    fn the_three_forms_give_one_key() {
        let forms = [
            format!("key \"web1.key\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n"),
            format!(
                "// made by hand\nkey web1.key. {{ # here\n secret {SECRET}; /* and\n here */ algorithm HMAC-SHA256; }};"
            ),
            format!(
                "# hmac-sha256:web1.key:{SECRET}\nkey:\n  - id: web1.key\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
            ),
            format!("key:\n- secret: '{SECRET}'\n  id: \"WEB1.key.\"\n  algorithm: hmac-sha256 # strong\n"),
            format!("hmac-sha256:web1.key:{SECRET}\n"),
        ];
        for form in forms {
            let key = Key::from_text(&form).unwrap();
            assert_eq!(key.name().to_string(), "web1.key", "{form}");
            assert_eq!(key.algorithm(), Algorithm::HmacSha256);
            assert_eq!(BASE64.encode(key.secret()), SECRET);
        }
        let strong = format!("hmac-sha512:k:{SECRET}");
        assert_eq!(Key::from_text(&strong).unwrap().algorithm(), Algorithm::HmacSha512);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        use TsigKeyError::*;
        let bind = |body: &str| Key::from_text(&format!("key \"k\" {{ {body} }};")).unwrap_err();
        let (algorithm, secret) = ("algorithm hmac-sha256;", format!("secret \"{SECRET}\";"));
        assert_eq!(bind(algorithm), Missing("secret"));
        assert_eq!(bind(&secret), Missing("algorithm"));
        assert_eq!(bind(&format!("{algorithm}{algorithm}{secret}")), Repeated("algorithm"));
        assert_eq!(
            bind(&format!("{algorithm}{secret} }}; key \"l\" {{ {algorithm}{secret}")),
            Repeated("key")
        );
        assert_eq!(bind(&format!("{algorithm} secret \"%%%\";")), Secret);
        assert_eq!(bind(&format!("{algorithm} secret \"\";")), Secret);
        assert!(matches!(bind(&format!("{algorithm}{secret} colour blue;")), Syntax(_)));
        for weak in ["hmac-md5", "HMAC-SHA1", "hmac-sha224", "hmac-md5.sig-alg.reg.int"] {
            assert!(matches!(bind(&format!("algorithm {weak}; {secret}")), WeakAlgorithm(_)), "{weak}");
        }
        assert!(matches!(bind(&format!("algorithm hmac-sha256-128; {secret}")), Algorithm(_)));
        for text in ["", "# nothing", "zone \"x\" {};", "key", "key \"k", "key: id: k", "/* open", "a b:c:d"]
        {
            assert!(matches!(Key::from_text(text), Err(Syntax(_))), "{text:?}");
        }
        assert_eq!(Key::from_text(&format!("hmac-sha256:a..b:{SECRET}")).unwrap_err(), Name);
        let two = format!("key:\n- id: a\n  algorithm: hmac-sha256\n  secret: {SECRET}\n- id: b\n");
        assert!(matches!(Key::from_text(&two), Err(Repeated(_))));
        // Two files of keymgr's, one behind the other.
        let one = format!("key:\n- id: a\n  algorithm: hmac-sha256\n  secret: {SECRET}\n");
        assert_eq!(Key::from_text(&format!("{one}{one}")).unwrap_err(), Repeated("key"));
    }

    #[test]
    fn secrets_do_not_show() {
        let key = Key::from_text(&format!("hmac-sha256:k:{SECRET}")).unwrap();
        assert!(!format!("{key:?}").contains(SECRET));
        // The fields swapped by mistake: the error must not repeat the secret.
        for text in [format!("hmac-sha256:{SECRET}:k"), format!("{SECRET}:k:hmac-sha256")] {
            assert!(!Key::from_text(&text).unwrap_err().to_string().contains("tbsjo"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_told_of() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, format!("hmac-sha256:k:{SECRET}")).unwrap();
        let weaknesses = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Key::load(&path, Duration::ZERO).unwrap().1
        };
        assert_eq!(weaknesses(0o640), [Weakness::Exposed(0o640)]);
        assert_eq!(weaknesses(0o604), [Weakness::Exposed(0o604)]);
        assert_eq!(weaknesses(0o620), [Weakness::Exposed(0o620)]);
        assert_eq!(weaknesses(0o600), []);
        std::fs::write(&path, "hmac-sha256:k:c2hvcnQ=").unwrap();
        assert_eq!(Key::load(&path, Duration::ZERO).unwrap().1, [Weakness::Short(5)]);
        assert!(matches!(Key::load(&folder.path().join("none"), Duration::ZERO), Err(LoadError::Io(_))));
    }
}
