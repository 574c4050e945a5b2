//! What there is to know about a fleet: gathered here, judged by [`crate::proto::audit`].
//!
//! | file | what it gathers |
//! |---|---|
//! | `host` | one host: proof, verdict, everything that its server shows |
//! | [`servers`] | what each server of its zone has; a zone's servers are found and asked for its serial number once |
//! | [`here`] | this machine: its keys on disk, its known_hosts files |
//! | [`own`] | records that this machine's state has as its own, and nobody holds |

pub mod here;
mod host;
pub mod own;
pub mod servers;

use std::collections::HashSet;
use std::sync::Arc;

use self::here::Here;
use self::own::Own;
use self::servers::Zones;
use super::{Host, Target};
use crate::error::Error;
use crate::fan_out::fan_out;
use crate::proto::audit::facts::Outcome;
use crate::proto::audit::{Judged, Report, fleet};
use crate::proto::name::HostName;
use crate::proto::verdict::Verdict;
use crate::verifier::{Verification, Verifier};

/// How `verify` says what came of a host; without a verdict there was no key to judge.
pub type Words = fn(&HostName, u16, &Verification, Option<Verdict>) -> Outcome;

/// Looks at hosts, and at what they have in common.
#[derive(Debug, Clone)]
pub struct Auditor {
    /// Proofs and handshakes.
    pub verifier: Verifier,
    /// The zones that were met; none where their servers are not to be asked.
    pub zones: Option<Arc<Zones>>,
    /// This machine.
    pub here: Arc<Here>,
    /// How a verdict is told.
    pub words: Words,
}

impl Auditor {
    /// Looks at every host, at most `width` at a time; `step` is called after each. `own`: what this machine has
    /// published.
    pub async fn run(
        &self,
        hosts: Vec<Host>,
        width: usize,
        own: Own,
        mut step: impl FnMut(),
    ) -> Result<Report, Error> {
        let now = self.verifier.lookups().now();
        let mut judged: Vec<Option<Judged>> = hosts.iter().map(|_| None).collect();
        let names = hosts.iter().filter_map(|host| match &host.target {
            Target::Host(name) => Some(name.name().clone()),
            Target::Address(..) => None,
        });
        let names: HashSet<_> = names.collect();
        let work = |host: Host| {
            let auditor = self.clone();
            // Judged at once: what was gathered of ten thousand hosts is much.
            async move { auditor.one(now, host).await }
        };
        fan_out(hosts, width, work, |at, outcome: Result<Judged, Error>| {
            if let Some(place) = judged.get_mut(at) {
                *place = Some(outcome?);
            }
            step();
            Ok::<_, Error>(())
        })
        .await?;
        let judged: Vec<Judged> = judged.into_iter().flatten().collect();
        let own = own.nobodys(&self.verifier, &names, &judged, width).await?;
        let zones = self.zones.as_ref().map(|zones| zones.facts()).unwrap_or_default();
        Ok(fleet(now, judged, &zones, &own))
    }
}
