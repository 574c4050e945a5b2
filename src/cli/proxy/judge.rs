//! What is made of a server's handshake: the verdict, the line in the trail, the keys that ssh finds in the private file.

use std::cell::{Cell, RefCell};

use super::refusal::{broken, note, wording};
use super::target::Target;
use crate::cli::private_file::PrivateFile;
use crate::cli::{Context, in_grace};
use crate::error::{Error, Kind};
use crate::proto::destination::Destination;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::Presented;
use crate::proto::name::HostName;
use crate::proto::policy::Seen;
use crate::proto::verdict::{Anchored, Verdict};
use crate::ssh::relay::{Cause, Refusal};
use crate::ssh::sibling::{self, Report};
use crate::verifier::{Verifier, accepted, now};

/// Judges one connection.
pub(super) struct Judge<'a> {
    cx: &'a Context,
    pub(super) target: &'a Target,
    host: &'a HostName,
    pub(super) verifier: Verifier,
    private: &'a PrivateFile,
    /// What ssh looks the host up by in known_hosts.
    looked_up: String,
    /// Why the server was not let through.
    refused: RefCell<Option<Error>>,
    /// The trail has its line.
    noted: Cell<bool>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        cx: &'a Context,
        target: &'a Target,
        host: &'a HostName,
        verifier: Verifier,
        private: &'a PrivateFile,
        looked_up: String,
    ) -> Self {
        let (refused, noted) = (RefCell::new(None), Cell::new(false));
        Judge { cx, target, host, verifier, private, looked_up, refused, noted }
    }

    /// An error where no key whatever could be accepted.
    pub(super) fn gives_hope(&self, found: &Result<Evidence, Error>) -> Result<(), Error> {
        let error = match found {
            Ok(evidence) if self.verifier.offer(evidence).is_empty() => {
                accepted(self.verifier.without_key(evidence)).err()
            }
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        let Some(error) = error else { return Ok(()) };
        if let Ok(evidence) = found {
            self.private.clear(&self.verifier, evidence, &self.looked_up);
        }
        Err(self.target.located(error))
    }

    /// Whether what the server has presented is accepted, by what was found. `silent`: nothing may be told.
    pub(super) async fn judge(
        &self,
        found: Result<Evidence, Error>,
        presented: &Presented,
        seen: Seen,
        silent: bool,
    ) -> Result<Anchored, Refusal> {
        let settled = match found {
            Ok(evidence) => self.verifier.settle(evidence, presented, Some(&seen)).await,
            Err(error) => Err(error),
        };
        let accepted = settled
            .and_then(|(evidence, verdict)| self.conclude(&evidence, verdict, presented, seen, silent));
        accepted.map_err(|error| {
            // Should another host have its address by now, the next connection finds it.
            if let (Destination::Name(place), None) = (&self.target.place, &self.target.via) {
                self.verifier.forget_addresses(place);
            }
            let error = self.target.located(error);
            let text = wording(&error);
            self.refused.replace(Some(error));
            Refusal { text }
        })
    }

    /// Writes the verdict down, and has it told to whom ssh asks besides.
    fn conclude(
        &self,
        evidence: &Evidence,
        verdict: Verdict,
        presented: &Presented,
        seen: Seen,
        silent: bool,
    ) -> Result<Anchored, Error> {
        let Judge { cx, host, verifier, private, looked_up, .. } = self;
        if let Some(age) = evidence.origin().and_then(|origin| origin.age(now()))
            && !silent
        {
            cx.out.warn(&in_grace(&host.to_string(), age));
        }
        self.noted.set(true);
        let written = verifier.note_settled(evidence, presented, Some(&seen), &verdict);
        // A refusal without its line is one all the same.
        let accepted = accepted(verdict).and_then(|witness| written.map(|()| witness));
        if let Some(trouble) = cx.trail_trouble().filter(|_| !silent) {
            cx.out.warn(&trouble);
        }
        if accepted.is_err() {
            private.clear(verifier, evidence, looked_up);
            return accepted;
        }
        private.keep(verifier, evidence, looked_up, presented.key())?;
        // ssh asks about the key as well, and shows its KnownHostsCommand nothing else.
        if cx.policies.ask_of_handshakes()
            && let Err(e) = sibling::tell(&Report::new(presented.key(), seen))
            && !silent
        {
            cx.out.detail(&format!("known-hosts is not told of the handshake: {e}"));
        }
        accepted
    }

    /// Why the connection came to nothing. A handshake that broke off tells its own cause.
    pub(super) fn error(&self, cause: &Cause) -> Error {
        let refused = self.refused.borrow().clone();
        refused.unwrap_or_else(|| self.target.located(broken(self.host, cause)))
    }

    /// It came to nothing for this cause: the trail has a line of it in any case.
    pub(super) fn failed(&self, cause: &Cause) -> Kind {
        let error = self.error(cause);
        if !self.noted.get() {
            note(self.cx, &self.target.name(), self.target.port, &error);
        }
        error.kind
    }
}
