//! The result of `ca renew` for one certificate.

use std::net::SocketAddr;

use serde::Serialize;

use super::target::Target;
use crate::cli::ca::Key;
use crate::error::{self, Error, Kind};
use crate::output::{Report, rfc3339};
use crate::proto::certificate::{Certificate, FOREVER};
use crate::proto::hostkey::HostKey;
use crate::proto::renewal::{Why, due_at};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    /// Not due.
    Current,
    /// Not due, and sshd was made to read it.
    Reloaded,
    /// Due; nothing was changed.
    Due,
    /// A new one, which sshd shows.
    Renewed,
    /// A new one, which sshd was not asked about.
    Written,
    /// The error says what came of it.
    Failed,
}

#[derive(Debug, Serialize)]
pub(super) struct Renewed {
    /// The file of the certificate.
    file: String,
    pub(super) status: Status,
    /// Why it is, or was, due.
    why: Option<String>,
    /// The host key.
    key: Option<Key>,
    /// The CA key that signed it.
    ca: Option<Key>,
    /// As text, for it takes 64 bits.
    serial: Option<String>,
    key_id: Option<String>,
    principals: Vec<String>,
    valid_after: Option<String>,
    /// Null if it has no end.
    valid_before: Option<String>,
    /// When it will be due; null if never.
    due_at: Option<String>,
    /// Where a handshake showed it.
    served_at: Option<SocketAddr>,
    #[serde(flatten, serialize_with = "error::fields")]
    pub(super) error: Option<Error>,
}

impl Renewed {
    /// Nothing is known yet.
    pub(super) fn new(target: &Target) -> Self {
        Renewed {
            file: target.certificate.display().to_string(),
            status: Status::Current,
            why: None,
            key: None,
            ca: None,
            serial: None,
            key_id: None,
            principals: Vec::new(),
            valid_after: None,
            valid_before: None,
            due_at: None,
            served_at: None,
            error: None,
        }
    }

    pub(super) fn key(&mut self, key: &HostKey) {
        self.key = Some(key.into());
    }

    /// What is in the file now.
    pub(super) fn certificate(&mut self, certificate: &Certificate) {
        let (after, before) = (certificate.valid_after(), certificate.valid_before());
        self.ca = certificate.ca().map(Key::from);
        self.serial = Some(certificate.serial().to_string());
        self.key_id = Some(certificate.key_id().to_owned());
        self.principals = certificate.principals().to_vec();
        self.valid_after = rfc3339(after);
        self.valid_before = (before != FOREVER).then(|| rfc3339(before)).flatten();
        self.due_at = due_at(after, before, 0).and_then(rfc3339);
    }

    pub(super) fn due(&mut self, why: &Why) {
        self.status = Status::Due;
        self.why = Some(why.to_string());
    }

    pub(super) fn served(&mut self, status: Status, at: SocketAddr) {
        self.status = status;
        self.served_at = Some(at);
    }

    /// Its part in the exit status.
    pub(super) fn kind(&self, check: bool) -> Option<Kind> {
        match &self.error {
            Some(error) => Some(error.kind),
            None => (check && self.status == Status::Due).then_some(Kind::Pending),
        }
    }
}

impl Report for Renewed {
    fn text(&self) -> String {
        let until = match &self.valid_before {
            Some(moment) => format!("good until {moment}"),
            None => "good for ever".to_owned(),
        };
        let due = self.due_at.as_ref().map(|moment| format!(", due at {moment}")).unwrap_or_default();
        let names = self.principals.join(", ");
        let shown = self.served_at.map(|at| format!(", shown by sshd at {at}")).unwrap_or_default();
        let why = self.why.as_deref().unwrap_or_default();
        let file = &self.file;
        match self.status {
            Status::Current => format!("{file}: {until}{due}{shown} ({names})"),
            Status::Reloaded => format!("{file}: sshd reloaded, {until}{due}{shown} ({names})"),
            Status::Due => format!("{file}: due: {why}"),
            Status::Renewed => format!("{file}: renewed, {until}{due}{shown} ({names}); it was due: {why}"),
            Status::Written => format!("{file}: written, {until}{due} ({names}); {why}"),
            Status::Failed if why.is_empty() => format!("{file}: failed"),
            Status::Failed => format!("{file}: due, and not renewed: {why}"),
        }
    }
}
