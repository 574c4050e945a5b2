//! What lookups and verdicts go by.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::dns::anchors::{self, AnchorFileError};
use crate::dns::cache::Cache;
use crate::error::Error;
use crate::files::pipe;
use crate::log::Telling;
use crate::proto::bundle::Bundle;
use crate::proto::chain::Anchors;
use crate::proto::policy::Policies;
use crate::trail::Trail;

/// Whom to ask, whom to trust, how long to wait.
#[derive(Debug, Clone)]
pub struct Options {
    /// Resolvers; empty means the system's.
    pub resolver: Vec<SocketAddr>,
    /// A file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Option<PathBuf>,
    /// For everything together.
    pub timeout: Duration,
    /// Proofs of earlier runs.
    pub cache: Option<Cache>,
    /// Proofs that the user named.
    pub bundle: Option<Arc<Bundle>>,
    /// What is asked for besides a proof, by host.
    pub policies: Policies,
    /// Where the verdicts of sessions are noted, and those that somebody asks for.
    pub trail: Option<Arc<Trail>>,
    /// Who hears what is asked, proven and shown on the way.
    pub telling: Telling,
}

impl Default for Options {
    /// The system's resolvers, the root keys that are built in, ten seconds, nothing stored.
    fn default() -> Self {
        Options {
            resolver: Vec::new(),
            trust_anchor: None,
            timeout: Duration::from_secs(10),
            cache: None,
            bundle: None,
            policies: Policies::default(),
            trail: None,
            telling: Telling::default(),
        }
    }
}

/// The trust anchors in `file`, without one the root keys that are built in; the error ends a command. `patience` is for
/// a file that is a pipe.
pub fn trust_anchors(file: Option<&Path>, patience: Duration) -> Result<Anchors, Error> {
    anchors::load(file, patience).map_err(|e| {
        let hint = match &e {
            AnchorFileError::Content(..) => {
                "dig ZONE DNSKEY prints such lines; compare them with what the zone's owner says before you trust them"
            }
            AnchorFileError::Io(_, error) if let Some(hint) = pipe::hint(error) => hint,
            AnchorFileError::Io(..) | AnchorFileError::TooLarge(_) => {
                "want a file of DNSKEY or DS lines that this user can read; without --trust-anchor and SSHANCHOR_TRUST_ANCHOR \
                 the root keys that are built in count"
            }
        };
        Error::usage("trust-anchor", e).hint(hint)
    })
}
