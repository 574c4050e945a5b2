//! A file that was written earlier, and whether ssh does what it says.

use crate::proto::doctor::ssh::Config;
use crate::proto::pattern::PatternList;

/// The first line begins so, and goes on with the version.
pub(super) const HEAD: &str = "# sshanchor ";
/// The second line begins so, and goes on with a command.
pub(super) const AGAIN: &str = "# Do not edit; made by: ";

/// What stands in a file of `sshanchor config ssh`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The version that wrote it.
    pub version: String,
    /// The command that wrote it.
    pub again: String,
    /// For whom it is.
    pub hosts: PatternList,
    /// Its options, in their order.
    pub options: Vec<(String, String)>,
}

/// An option that has another value in force than it should.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The option.
    pub option: String,
    /// As it was written.
    pub wanted: String,
    /// As it is in force; none is no value, or `none`.
    pub found: Option<String>,
}

impl Installed {
    /// Reads a file; none if this program did not write it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (version, _) = lines.next()?.strip_prefix(HEAD)?.split_once(": ")?;
        let again = lines.next()?.strip_prefix(AGAIN)?;
        // Each name stands there without a final dot and with one, which counts for nothing here.
        let mut words = Vec::new();
        for word in lines.next()?.strip_prefix("Match host ")?.split(',') {
            let word = word.strip_suffix('.').unwrap_or(word);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let hosts = PatternList::parse(&words.join(" ")).ok()?;
        let option = |line: &str| line.trim().split_once(' ').map(|(k, v)| (k.to_owned(), v.to_owned()));
        Some(Installed {
            version: version.to_owned(),
            again: again.to_owned(),
            hosts,
            options: lines.filter_map(option).collect(),
        })
    }
}

/// What of `options` is not in force by `config`, which is ssh's for one of the hosts.
pub fn differences<K: AsRef<str>>(options: &[(K, String)], config: &Config) -> Vec<Difference> {
    let differs = |(option, wanted): &(K, String)| {
        let option = option.as_ref();
        let found = config.get(&option.to_ascii_lowercase());
        (!is_in_force(wanted, found)).then(|| Difference {
            option: option.to_owned(),
            wanted: wanted.clone(),
            found: found.map(str::to_owned),
        })
    };
    options.iter().filter_map(differs).collect()
}

/// `ssh -G` prints yes as `true` and no as `false` for some options, and file names without quotes and with the home
/// put in.
fn is_in_force(wanted: &str, found: Option<&str>) -> bool {
    let bare = wanted.trim_matches('"');
    match (bare, found) {
        ("none", None) => true,
        ("yes", Some(found)) => ["yes", "true"].contains(&found),
        ("no", Some(found)) => ["no", "false"].contains(&found),
        // Of an option that a newer ssh no longer knows nothing is printed.
        ("no", None) => true,
        (_, Some(found)) if found == wanted || found == bare => true,
        (_, Some(found)) => bare.strip_prefix('~').is_some_and(|rest| found.ends_with(rest)),
        (_, None) => false,
    }
}
