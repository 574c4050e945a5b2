//! What is configured: the command line, the environment, the user's file, the system's file, in this order, and
//! of each value where it came from.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::ownership::{self, OpenError, Untrusted};
use crate::proto::policy::{Location, Policies};

mod environment;
mod file;
pub mod findings;
pub mod publishing;
pub mod trail;

pub use environment::from_environment;
pub use file::Mistake;
use file::{File, Whereabouts};
use publishing::{Agent, Publishing, Rotate};
use trail::Trail;

/// The system's file.
const SYSTEM: &str = "/etc/sshanchor/config.toml";
/// The name of the file in the user's folder.
const NAME: &str = "config.toml";
/// Largest file that is read, in octets.
const MAX_FILE: u64 = 1024 * 1024;
/// How long everything together may take, unless told.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// An option of this name.
    Option(&'static str),
    /// An environment variable of this name.
    Environment(&'static str),
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Where proofs are kept from one run to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cache {
    /// Nowhere.
    Off,
    /// In this folder, which may not be there yet.
    Folder(PathBuf),
}

impl Cache {
    /// From what was typed or written: `off`, or what `path` makes a folder of. `none`, which other settings know,
    /// is not taken for a folder.
    pub fn read(text: &str, path: impl FnOnce(&str) -> Result<PathBuf, String>) -> Result<Self, String> {
        match text {
            "" => Err("want a folder, or off".to_owned()),
            "off" => Ok(Self::Off),
            "none" => Err("want a folder, or off (a folder of the name none is ./none)".to_owned()),
            folder => path(folder).map(Self::Folder),
        }
    }
}

/// Which files are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Files {
    /// The user's and the system's.
    #[default]
    Usual,
    /// This one alone, which has to be there.
    This(PathBuf),
    /// None, as with ssh's `-F none`.
    None,
}

impl Files {
    /// From what was typed: a file, or `none`.
    pub fn read(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("want a file, or none".to_owned()),
            "none" => Ok(Files::None),
            file => Ok(Files::This(file.into())),
        }
    }

    /// Where they are, or would be.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Files::Usual => user_file().into_iter().chain([PathBuf::from(SYSTEM)]).collect(),
            Files::This(path) => vec![path.clone()],
            Files::None => Vec::new(),
        }
    }
}

/// What the command line and the environment say.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// Which files are read.
    pub files: Files,
    /// Resolvers.
    pub resolver: Option<Sourced<Vec<SocketAddr>>>,
    /// A file of trust anchors.
    pub trust_anchor: Option<Sourced<PathBuf>>,
    /// The cache.
    pub cache: Option<Sourced<Cache>>,
    /// For everything together.
    pub timeout: Option<Sourced<Duration>>,
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The files that were read, in their order; [`Location::file`] counts in them.
    pub files: Vec<PathBuf>,
    /// Files that are there and do not count, because somebody else may have written them.
    pub ignored: Vec<Untrusted>,
    /// Resolvers; empty means the system's.
    pub resolver: Sourced<Vec<SocketAddr>>,
    /// A file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Sourced<Option<PathBuf>>,
    /// The cache.
    pub cache: Sourced<Cache>,
    /// For everything together.
    pub timeout: Sourced<Duration>,
    /// What is asked for besides a proof, by host.
    pub policies: Policies,
    /// This machine's names, and where their records are kept; of one file alone.
    pub publishing: Sourced<Vec<Publishing>>,
    /// The agent's settings.
    pub agent: Sourced<Agent>,
    /// How host keys are replaced.
    pub rotate: Sourced<Rotate>,
    /// Where verdicts are noted: what each file says, for nobody's takes another's away. The system's counts even where
    /// other files are named.
    pub trails: Vec<Sourced<Trail>>,
    /// Of each file the lines of the keys in [agent] and [rotate], as `agent.interval`.
    lines: BTreeMap<PathBuf, BTreeMap<String, usize>>,
}

/// A file that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it; at least one.
    pub mistakes: Vec<Mistake>,
}

impl Source {
    /// A stable word for scripts; listed in docs/json.md.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Option(_) => "option",
            Self::Environment(_) => "environment",
            Self::File { .. } => "file",
        }
    }
}

impl Malformed {
    fn whole(path: &Path, message: impl std::fmt::Display) -> Self {
        Malformed { path: path.to_owned(), mistakes: vec![Mistake::whole(message)] }
    }

    /// One of its mistakes in a sentence.
    pub fn sentence(&self, mistake: &Mistake) -> String {
        let line = mistake.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let shown = mistake.shown.as_ref().map(|shown| format!(": {shown}")).unwrap_or_default();
        format!("{}{line}: {}{shown}", self.path.display(), mistake.message)
    }
}

/// Such a file is never left out: what it asks for would be left out with it.
impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        let first = malformed.mistakes.first().map(|mistake| malformed.sentence(mistake));
        let error = Error::usage("config", first.unwrap_or_default());
        match malformed.mistakes.len() {
            0 | 1 => error.hint("mend the file, or go without any: --config none"),
            _ => error.hint("this is the first of several mistakes; sshanchor config check shows them"),
        }
    }
}

/// The warning about a file that does not count.
pub fn warning(untrusted: &Untrusted) -> String {
    format!(
        "the configuration does not count: {untrusted}; look whether it was changed, then {}",
        untrusted.hint()
    )
}

/// Everything in force; a malformed file is an error.
pub fn load(typed: &Typed) -> Result<Config, Error> {
    let (config, malformed) = read(typed);
    match malformed.into_iter().next() {
        Some(malformed) => Err(malformed.into()),
        None => Ok(config),
    }
}

/// Everything that can be read, and the files that cannot.
pub fn read(typed: &Typed) -> (Config, Vec<Malformed>) {
    let (usual, paths) = (typed.files == Files::Usual, typed.files.paths());
    let home = directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
    let (mut files, mut ignored, mut malformed) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let octets = match octets_of(&path) {
            Ok(octets) => octets,
            Err(e) if usual && e.is_absent() => continue,
            // No file that somebody else could have written, but none that anybody could read.
            Err(OpenError::Untrusted(kind @ Untrusted::Kind { .. })) => {
                malformed.push(Malformed::whole(&path, kind));
                continue;
            }
            Err(OpenError::Untrusted(untrusted)) => {
                ignored.push(untrusted);
                continue;
            }
            Err(OpenError::Io(e)) => {
                malformed.push(Malformed::whole(&path, format!("cannot be read: {e}")));
                continue;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        match file::parse(&octets, Whereabouts { index: files.len(), folder, home: home.as_deref() }) {
            Ok(file) => files.push((path, file)),
            Err(mistakes) => malformed.push(Malformed { path, mistakes }),
        }
    }
    let mut config = merge(typed, files, ignored);
    if !usual {
        config.trails.extend(trail_of(Path::new(SYSTEM), home.as_deref()));
    }
    (config, malformed)
}

/// What a file says of the trail, of which nothing else counts: none that is not there or cannot be read.
fn trail_of(path: &Path, home: Option<&Path>) -> Option<Sourced<Trail>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let octets = octets_of(path).ok()?;
    let (value, line) = file::parse(octets, Whereabouts { index: 0, folder, home }).ok()?.trail?;
    Some(Sourced { value, source: Source::File { path: path.to_owned(), line } })
}

/// The user's own file; none for a user without a home.
fn user_file() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "sshanchor").map(|folders| folders.config_dir().join(NAME))
}

/// The cache of this user; none for a user without a home, and no home is made for it.
fn user_cache() -> Cache {
    let folders = directories::ProjectDirs::from("", "", "sshanchor");
    let folder = folders.map(|folders| folders.cache_dir().to_owned());
    // HOME/.cache/sshanchor
    match folder.filter(|folder| folder.ancestors().nth(2).is_some_and(Path::is_dir)) {
        Some(folder) => Cache::Folder(folder),
        None => Cache::Off,
    }
}

fn octets_of(path: &Path) -> Result<Vec<u8>, OpenError> {
    let mut octets = Vec::new();
    let length = ownership::open(path)?.take(MAX_FILE + 1).read_to_end(&mut octets)?;
    if length as u64 > MAX_FILE {
        let message = format!("larger than {MAX_FILE} octets");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
    }
    Ok(octets)
}

fn default<T>(value: T) -> Sourced<T> {
    Sourced { value, source: Source::Default }
}

fn merge(typed: &Typed, files: Vec<(PathBuf, File)>, ignored: Vec<Untrusted>) -> Config {
    /// The typed value, else that of the first file that has one.
    fn first<T: Clone>(
        typed: &Option<Sourced<T>>,
        files: &[(PathBuf, File)],
        get: impl Fn(&File) -> Option<&(T, usize)>,
    ) -> Option<Sourced<T>> {
        let in_file = |(path, file): &(PathBuf, File)| {
            let (value, line) = get(file)?.clone();
            Some(Sourced { value, source: Source::File { path: path.clone(), line } })
        };
        typed.clone().or_else(|| files.iter().find_map(in_file))
    }
    let trust_anchor = first(&typed.trust_anchor, &files, |file| file.trust_anchor.as_ref());
    let trust_anchor = trust_anchor.map(|path| Sourced { value: Some(path.value), source: path.source });
    let trail = |(path, file): &(PathBuf, File)| {
        let (value, line) = file.trail.clone()?;
        Some(Sourced { value, source: Source::File { path: path.clone(), line } })
    };
    Config {
        lines: files.iter().map(|(path, file)| (path.clone(), file.lines.clone())).collect(),
        trails: files.iter().filter_map(trail).collect(),
        ignored,
        resolver: first(&typed.resolver, &files, |file| file.resolver.as_ref())
            .unwrap_or(default(Vec::new())),
        trust_anchor: trust_anchor.unwrap_or(default(None)),
        cache: first(&typed.cache, &files, |file| file.cache.as_ref())
            .unwrap_or_else(|| default(user_cache())),
        timeout: first(&typed.timeout, &files, |file| file.timeout.as_ref()).unwrap_or(default(TIMEOUT)),
        publishing: first(&None, &files, |file| file.publishing.as_ref()).unwrap_or(default(Vec::new())),
        agent: first(&None, &files, |file| file.agent.as_ref()).unwrap_or_else(|| default(Agent::default())),
        rotate: first(&None, &files, |file| file.rotate.as_ref())
            .unwrap_or_else(|| default(Rotate::default())),
        policies: Policies::new(files.iter().flat_map(|(_, file)| file.rules.clone()).collect()),
        files: files.into_iter().map(|(path, _)| path).collect(),
    }
}

impl Config {
    /// Where this key of a table that stands at `table` is decided, as `agent.interval`: the default counts where the
    /// table does not have it.
    pub fn source_of(&self, key: &str, table: &Source) -> Source {
        match table {
            Source::File { path, .. } => match self.lines.get(path).and_then(|lines| lines.get(key)) {
                Some(line) => Source::File { path: path.clone(), line: *line },
                None => Source::Default,
            },
            _ => Source::Default,
        }
    }

    /// A place as a source.
    pub fn source(&self, place: Location) -> Source {
        match self.files.get(place.file) {
            Some(path) => Source::File { path: path.clone(), line: place.line },
            None => Source::Default,
        }
    }
}

#[cfg(test)]
mod tests;
