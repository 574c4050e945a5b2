//! What `sshanchor doctor` finds: judgements on what was gathered, data in, findings out.
//!
//! | file | judges |
//! |---|---|
//! | [`path`] | what a resolver hands out |
//! | [`clock`] | the clock, by the signatures that are really there |
//! | [`anchors`] | the trust anchors, by the keys that their zones really have |
//! | [`chain`] | the proof for one host: lifetimes, digests, keys |
//! | [`revocation`] | the CA sets above a host and the revoked sets beside them |
//! | [`ca`] | the CAs that may vouch for a host |
//! | [`policy`] | the proof by what is configured, and the configuration |
//! | [`ssh`] | the configuration of the ssh client |
//! | [`publish`] | whether this machine can publish, and what its records come to |
//! | [`known_hosts`] | what ssh remembers of a host, beside what is proven |

pub mod anchors;
pub mod ca;
pub mod chain;
pub mod clock;
pub mod known_hosts;
pub mod path;
pub mod policy;
pub mod publish;
pub mod revocation;
pub mod ssh;

use std::fmt;

use super::name::HostName;

/// How grave a finding is. Unlike an audit's ([`crate::proto::audit::Severity`]), which tells what is wrong alone, one may
/// say that all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// It weakens verification, or will break it.
    Warning,
    /// Nothing, or not this host, can be verified until it is mended.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What was checked: a stable word, listed in docs/json.md.
    pub check: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The host that it is about; none if it concerns all.
    pub host: Option<String>,
    /// What it is about: a resolver, a zone, a file, an option. May hold peers' octets.
    pub about: String,
    /// What was found. May hold peers' octets.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The moment that the finding is about, if there is one, in seconds since 1970; RFC 3339 in JSON.
    #[serde(serialize_with = "moment", skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

fn moment<S: serde::Serializer>(until: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&until.and_then(super::moment::rfc3339), serializer)
}

impl Finding {
    /// A finding that concerns all hosts, without a remedy yet.
    pub fn new(
        severity: Severity,
        check: &'static str,
        about: impl fmt::Display,
        message: impl Into<String>,
    ) -> Self {
        let (about, message) = (about.to_string(), message.into());
        Finding { check, severity, host: None, about, message, remedy: None, until: None }
    }

    /// As it should be.
    pub fn ok(check: &'static str, about: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, check, about, message)
    }

    /// Worth knowing.
    pub fn info(check: &'static str, about: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, check, about, message)
    }

    /// It weakens verification, or will break it.
    pub fn warning(check: &'static str, about: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, check, about, message)
    }

    /// Nothing, or not this host, can be verified.
    pub fn error(check: &'static str, about: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, check, about, message)
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With the moment that it is about, in seconds since 1970.
    #[must_use]
    pub fn until(mut self, until: u64) -> Self {
        self.until = Some(until);
        self
    }

    /// About this host alone.
    #[must_use]
    pub fn of(mut self, host: &HostName) -> Self {
        self.host = Some(host.to_string());
        self
    }
}

/// The gravest of all findings.
pub fn gravest<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Severity {
    findings.into_iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The severity of the one finding of `check`.
    #[track_caller]
    pub(super) fn severity(findings: &[Finding], check: &str) -> Severity {
        let found: Vec<&Finding> = findings.iter().filter(|finding| finding.check == check).collect();
        assert_eq!(found.len(), 1, "{check}: {findings:#?}");
        found[0].severity
    }

    #[test]
    fn the_gravest_finding_decides() {
        assert_eq!(gravest(&[]), Severity::Ok);
        let all = [Finding::info("a", "x", ""), Finding::error("b", "x", ""), Finding::warning("c", "x", "")];
        assert_eq!(gravest(&all), Severity::Error);
        assert_eq!(gravest(&all[..1]), Severity::Info);
    }
}
