//! A whole configuration: what its lines say, with the files that they include in their places.

use super::line::Line;

/// Most files of a configuration, and how deep they include one another (READCONF_MAX_DEPTH of OpenSSH).
pub const MAX_FILES: usize = 1024;
/// See [`MAX_FILES`].
pub const MAX_DEPTH: usize = 16;

/// What a line does that counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `Host`: what follows is for names that these patterns match.
    Host(Vec<String>),
    /// `Match`: what follows is for whatever meets all of this.
    Match(Vec<Criterion>),
    /// `Include`: the files that are meant, in their order.
    Include(Vec<Vec<Directive>>),
    /// An option that is looked at, and its words.
    Option(Keyword, Vec<String>),
    /// Something that ssh alone can tell about: a line that it would refuse, an Include by its tokens.
    Unread,
}

/// One condition of a Match line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// It begins with `!`.
    pub is_negated: bool,
    /// What is compared.
    pub of: Of,
}

/// What a Match line compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Everything is meant.
    All,
    /// The host after HostName, with a list of patterns.
    Host(String),
    /// The name that was typed.
    OriginalHost(String),
    /// Who logs in there.
    User(String),
    /// Who is here.
    LocalUser(String),
    /// `exec`, `canonical`, `final`, `tagged` and whatever else ssh alone can tell.
    Other,
}

/// The options that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are ssh's own, see ssh_config(5)")]
pub enum Keyword {
    HostName,
    HostKeyAlias,
    User,
    Port,
    IdentityFile,
    CertificateFile,
    IdentityAgent,
    IdentitiesOnly,
    CanonicalizeHostname,
    ProxyJump,
    ProxyCommand,
}

impl Keyword {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "hostname" => Self::HostName,
            "hostkeyalias" => Self::HostKeyAlias,
            "user" => Self::User,
            "port" => Self::Port,
            "identityfile" => Self::IdentityFile,
            "certificatefile" => Self::CertificateFile,
            "identityagent" => Self::IdentityAgent,
            "identitiesonly" => Self::IdentitiesOnly,
            "canonicalizehostname" => Self::CanonicalizeHostname,
            "proxyjump" => Self::ProxyJump,
            "proxycommand" => Self::ProxyCommand,
            _ => return None,
        })
    }
}

/// What `text` says, a line after the other; `include` finds the files behind the words of an Include line, or says that
/// ssh alone can (none).
pub fn read(text: &str, mut include: impl FnMut(&[String]) -> Option<Vec<Vec<Directive>>>) -> Vec<Directive> {
    let mut directives = Vec::new();
    for line in text.split('\n') {
        let Line { keyword, words } = match Line::parse(line) {
            Ok(None) => continue,
            Ok(Some(line)) => line,
            Err(_) => {
                directives.push(Directive::Unread);
                continue;
            }
        };
        let known = Keyword::parse(&keyword);
        directives.push(match (keyword.as_str(), known) {
            ("host", _) => Directive::Host(words),
            ("match", _) => Directive::Match(criteria(line, &words)),
            ("include", _) => include(&words).map_or(Directive::Unread, Directive::Include),
            // More words than one are a mistake, or another version's; but of a command.
            (_, Some(keyword)) if words.len() > 1 && keyword != Keyword::ProxyCommand => Directive::Unread,
            (_, Some(keyword)) => Directive::Option(keyword, words),
            (_, None) => continue,
        });
    }
    directives
}

fn criteria(line: &str, words: &[String]) -> Vec<Criterion> {
    let other = vec![Criterion { is_negated: false, of: Of::Other }];
    // Newer versions take `host=...` too, and quotes are counted otherwise here.
    if line.contains(['=', '"', '\'', '\\']) {
        return other;
    }
    let (mut criteria, mut words) = (Vec::new(), words.iter());
    while let Some(word) = words.next() {
        let word = word.to_ascii_lowercase();
        let (is_negated, name) = word.strip_prefix('!').map_or((false, word.as_str()), |name| (true, name));
        let mut list = |of: fn(String) -> Of| words.next().map(|list| of(list.clone()));
        let of = match name {
            "all" => Some(Of::All),
            "host" => list(Of::Host),
            "originalhost" => list(Of::OriginalHost),
            "user" => list(Of::User),
            "localuser" => list(Of::LocalUser),
            // What follows may be its argument or not.
            _ => {
                criteria.extend(other);
                return criteria;
            }
        };
        let Some(of) = of else { return other };
        criteria.push(Criterion { is_negated, of });
    }
    // `all` stands alone.
    match criteria.len() > 1 && criteria.iter().any(|criterion| criterion.of == Of::All) {
        true => other,
        false => criteria,
    }
}
