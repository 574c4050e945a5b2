//! Renewing a host certificate: whether it is due, and whether what a signer returned may take its place.

mod certificate;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Display;

use super::certificate::{Certificate, FOREVER, Fault};
use super::hostkey::HostKey;
use super::moment;
use super::name::HostName;

pub use certificate::{CertificateError, line, read};

/// What a host's certificate shall be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The key that sshd holds.
    pub key: HostKey,
    /// The names that it shall be good for: these and no others.
    pub principals: BTreeSet<HostName>,
    /// SHA-256 of the CA keys that may sign it. None: they are not known here.
    pub authorities: Option<BTreeSet<[u8; 32]>>,
}

/// Why a certificate is not what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It vouches for a key that sshd does not hold.
    #[error("it is about another key ({0})")]
    Key(HostKey),
    /// Signed by a CA that clients shall not trust, or not any more.
    #[error("it is signed by another CA ({0})")]
    Authority(HostKey),
    /// It is good for other names.
    #[error("its principals are {}, wanted are {}", names(present), names(wanted))]
    Principals {
        /// Those that it has, each once.
        present: BTreeSet<String>,
        /// Those that it shall have.
        wanted: BTreeSet<HostName>,
    },
    /// Clients would refuse it, whoever signed it.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// Whether a certificate is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It serves on.
    NotDue {
        /// When it will be due, in seconds since 1970; none if it has no end.
        until: Option<u64>,
    },
    /// It is to be renewed now.
    Due(Why),
}

/// Why a certificate is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// There is none yet.
    #[error("there is no certificate yet")]
    Absent,
    /// The file holds something else.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(CertificateError),
    /// It is not what is wanted, or its time has passed.
    #[error("{0}")]
    Unfit(Unfit),
    /// No more than a third of its life is left.
    #[error("{} of its life are left, no more than a third", moment::span(*.left))]
    Late {
        /// Seconds.
        left: u64,
    },
    /// Somebody wants it.
    #[error("it was asked for")]
    Asked,
}

/// Why a new certificate was not taken. It is not written anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none.
    #[error("{0}")]
    Malformed(#[from] CertificateError),
    /// It is not what was wanted.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// It would be renewed by the next run again.
    #[error("it would be due again at once: it is valid from {} to {}", moment::text(*.valid_after), moment::text(*.valid_before))]
    DueAtOnce {
        /// Seconds since 1970.
        valid_after: u64,
        /// Seconds since 1970.
        valid_before: u64,
    },
    /// The present one lasts as long.
    #[error("it ends at {}, no later than the present one", moment::text(*.valid_before))]
    NotLater {
        /// Seconds since 1970.
        valid_before: u64,
    },
}

/// A new certificate that may be installed: [`accept`] alone makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted(Certificate);

impl Accepted {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }
}

/// When a certificate with this window is due, `jitter` seconds early: once no more than a third of its life is left.
/// Jitter, which spreads the load of many hosts, is at most another third. None for one without end.
pub fn due_at(valid_after: u64, valid_before: u64, jitter: u64) -> Option<u64> {
    let third = valid_before.saturating_sub(valid_after) / 3;
    (valid_before != FOREVER).then(|| valid_before - third - jitter.min(third))
}

/// Whether the certificate at hand (an error: none that can be read; none: no file) is to be renewed at `now`, in
/// seconds since 1970. `jitter` as in [`due_at`].
pub fn judge(
    present: Option<&Result<Certificate, CertificateError>>,
    wanted: &Wanted,
    now: u64,
    jitter: u64,
) -> Judgement {
    let certificate = match present {
        None => return Judgement::Due(Why::Absent),
        Some(Err(error)) => return Judgement::Due(Why::Unreadable(error.clone())),
        Some(Ok(certificate)) => certificate,
    };
    if let Err(unfit) = fits(certificate, wanted, now) {
        return Judgement::Due(Why::Unfit(unfit));
    }
    match due_at(certificate.valid_after(), certificate.valid_before(), jitter) {
        Some(due) if now >= due => {
            Judgement::Due(Why::Late { left: certificate.valid_before().saturating_sub(now) })
        }
        until => Judgement::NotDue { until },
    }
}

/// Takes what a signer returned, if it is all that is wanted at `now`. One that replaces another because of `why`, time,
/// has to last longer.
pub fn accept(
    new: Result<Certificate, CertificateError>,
    present: Option<&Certificate>,
    why: &Why,
    wanted: &Wanted,
    now: u64,
) -> Result<Accepted, Refusal> {
    let new = new?;
    fits(&new, wanted, now)?;
    let (valid_after, valid_before) = (new.valid_after(), new.valid_before());
    if due_at(valid_after, valid_before, 0).is_some_and(|due| now >= due) {
        return Err(Refusal::DueAtOnce { valid_after, valid_before });
    }
    if matches!(why, Why::Late { .. }) && present.is_some_and(|old| valid_before <= old.valid_before()) {
        return Err(Refusal::NotLater { valid_before });
    }
    Ok(Accepted(new))
}

fn fits(certificate: &Certificate, wanted: &Wanted, now: u64) -> Result<(), Unfit> {
    if certificate.key() != &wanted.key {
        return Err(Unfit::Key(certificate.key().clone()));
    }
    if let (Some(known), Some(ca)) = (&wanted.authorities, certificate.ca())
        && !known.contains(&ca.sha256())
    {
        return Err(Unfit::Authority(ca.clone()));
    }
    let present: BTreeSet<String> = certificate.principals().iter().cloned().collect();
    let is_wanted = present.len() == wanted.principals.len()
        && wanted.principals.iter().all(|name| present.contains(&name.to_string()));
    match wanted.principals.first() {
        // Good for each of its names, for their difference ends here; nothing wanted is not everything wanted.
        Some(host) if is_wanted => Ok(certificate.check(host, now)?),
        _ => Err(Unfit::Principals { present, wanted: wanted.principals.clone() }),
    }
}

fn names(names: &BTreeSet<impl Display>) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
