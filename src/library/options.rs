//! What a [`Verifier`](super::Verifier) goes by.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Files, Typed};
use crate::dns::bundles;
use crate::dns::cache::Cache;
use crate::error::Error;
use crate::log::Telling;
use crate::verifier;

/// Whom to ask, whom to trust, how long to wait, what to ask for besides a proof.
///
/// [`Options::new`] reads nothing: neither files nor the environment. [`Options::from_config`] goes by what is
/// configured on this machine, as the commands of `sshanchor` do.
///
/// ```
/// use std::time::Duration;
///
/// let options = sshanchor::Options::new()
///     .resolver(["192.0.2.53:53".parse()?])
///     .timeout(Duration::from_secs(5));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    inner: verifier::Options,
    warnings: Vec<String>,
}

impl Options {
    /// The system's resolvers, the root zone's keys that are built in, ten seconds for each verdict, no policy beyond a
    /// proof, and proofs kept in memory for as long as their TTLs say.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is in force on this machine: this user's `config.toml` and the system's (or the one that
    /// `SSHANCHOR_CONFIG` names), the policies in them, and `SSHANCHOR_RESOLVER`, `SSHANCHOR_TRUST_ANCHOR` and
    /// `SSHANCHOR_CACHE`. It is read once.
    ///
    /// # Errors
    /// A file or a variable that is there and cannot be used: what it asks for is never left out. That a file or
    /// the cache does not count, because somebody else may have written it, is among [`Options::warnings`].
    pub fn from_config() -> Result<Self, Error> {
        Self::read(&config::from_environment()?)
    }

    /// The same by this file alone.
    ///
    /// # Errors
    /// As [`Options::from_config`], and where the file is not there.
    pub fn from_config_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::read(&Typed { files: Files::This(path.into()), ..config::from_environment()? })
    }

    fn read(typed: &Typed) -> Result<Self, Error> {
        let config = config::load(typed)?;
        let mut warnings: Vec<String> = config.ignored.iter().map(config::warning).collect();
        let cache = match &config.cache.value {
            config::Cache::Off => None,
            // Whatever is wrong with it costs time and nothing else.
            config::Cache::Folder(folder) => match Cache::open(folder) {
                Ok(cache) => Some(cache),
                Err(e) => {
                    warnings.push(format!("{e} (hint: {})", e.hint()));
                    None
                }
            },
        };
        let inner = verifier::Options {
            trail: None,
            resolver: config.resolver.value,
            trust_anchor: config.trust_anchor.value,
            timeout: config.timeout.value,
            cache,
            bundle: None,
            policies: config.policies,
            telling: Telling::default(),
        };
        Ok(Options { inner, warnings })
    }

    /// What is wrong with the configuration and yet no error: sentences for a log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// These resolvers, in this order; none: the system's, as they are at the moment of each verdict. What they
    /// say is proven here, and so they need not be trusted.
    #[must_use]
    pub fn resolver(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.inner.resolver = servers.into_iter().collect();
        self
    }

    /// The keys in this file (DNSKEY or DS lines) in place of the root zone's. It is read when the verifier is made.
    #[must_use]
    pub fn trust_anchor(mut self, file: impl Into<PathBuf>) -> Self {
        self.inner.trust_anchor = Some(file.into());
        self
    }

    /// How long a verdict, or a connection with its verdict, may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.inner.timeout = timeout;
        self
    }

    /// Keeps proofs in this folder, for all processes of this user that name it, and not in memory alone. The folder is
    /// made if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or somebody else could have written into it.
    pub fn cache(mut self, folder: impl AsRef<Path>) -> Result<Self, Error> {
        let cache = Cache::open(folder.as_ref()).map_err(|e| Error::usage("cache", &e).hint(e.hint()))?;
        self.inner.cache = Some(cache);
        Ok(self)
    }

    /// Uses the proofs in this file, which `sshanchor bundle export` has written, before DNS is asked: up to the end of
    /// their signatures, and each is proven anew.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn bundle(mut self, file: impl AsRef<Path>) -> Result<Self, Error> {
        let bundle =
            bundles::load(file.as_ref(), self.inner.timeout).map_err(|e| Error::usage("bundle", e))?;
        self.inner.bundle = Some(Arc::new(bundle));
        Ok(self)
    }

    /// For a process that lives long: proofs are kept in memory where they are not on disk.
    pub(super) fn lasting(&self) -> verifier::Options {
        let cache = self.inner.cache.clone().unwrap_or_else(Cache::in_memory);
        verifier::Options { cache: Some(cache), ..self.inner.clone() }
    }
}
