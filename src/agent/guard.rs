//! Nothing is published when it must not be: what is looked at before anything is sent.

use super::pass::{Pass, Target};
use super::published::Role;
use crate::backend::site::Site;
use crate::backend::wildcard;
use crate::dns::authority::Authority;
use crate::dns::cache::Cache;
use crate::error::{Error, Kind};
use crate::proto::denial::{Status, Unproven};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::publication::{ClockError, Signing, check_clock, check_signatures};
use crate::proto::rr::{RrType, Rrsig};
use crate::proto::verdict::{hint_for, status_code};
use crate::verifier::{self, Verifier};

/// What a zone is like, and which sets must not be published in it.
#[derive(Debug, Default)]
pub struct Guard {
    /// Whether it is signed.
    pub signing: Option<Signing>,
    /// Why nothing of a set may be sent, in the order of the sets.
    pub objections: Vec<Option<Error>>,
}

/// It puts keys where clients go by them. What is revoked never waits: it only ever takes accepts away.
fn is_guarded(target: &Target) -> bool {
    target.wish.intent.publishes() && target.role != Role::Revoked
}

fn clock_error(error: ClockError) -> Error {
    let hint = error.hint();
    Error::failure("clock", error).hint(hint)
}

fn nothing_sent(mut error: Error) -> Error {
    error.message += "; nothing was sent, the records are as they were";
    error
}

impl Pass<'_> {
    /// Looks at the clock, at the zone's signatures, and at what stands above the names.
    pub(super) async fn guard(&self, zone: &Name, targets: &[Target]) -> Guard {
        let mut guard = Guard { signing: None, objections: vec![None; targets.len()] };
        if !targets.iter().any(is_guarded) {
            return guard;
        }
        match self.zone_may(zone).await {
            Ok(signing) => guard.signing = signing,
            // What goes with them waits with them.
            Err(error) => guard.objections.fill(Some(nothing_sent(error))),
        }
        if guard.objections.iter().all(Option::is_none) {
            self.look_above(zone, targets, &mut guard.objections).await;
        }
        if self.together
            && let Some(error) = guard.objections.iter().flatten().next().cloned()
        {
            guard.objections.fill(Some(error));
        }
        guard
    }

    /// Whether the zone is signed; or why nothing may be published in it now.
    async fn zone_may(&self, zone: &Name) -> Result<Option<Signing>, Error> {
        let now = verifier::now();
        check_clock(now, self.options.cache.as_ref().map_or(0, Cache::clock)).map_err(clock_error)?;
        let is_signed = match self.signatures(zone).await {
            Some(found) => {
                check_signatures(now, &found).map_err(clock_error)?;
                Some(!found.is_empty())
            }
            None => match &self.site {
                Site::PowerDns(access) => access.is_signed(zone).await,
                _ => None,
            },
        };
        let signing = is_signed.map(|is_signed| if is_signed { Signing::Signed } else { Signing::Unsigned });
        if !self.require_signed {
            return Ok(signing);
        }
        self.prove_zone(zone).await?;
        Ok(Some(Signing::Proven))
    }

    /// The signatures over the SOA record of `zone`: at its primary, else at the first server that was named for reading
    /// back. Nobody else is asked.
    async fn signatures(&self, zone: &Name) -> Option<Vec<Rrsig>> {
        let (patience, deadline) = self.site.limits();
        for server in self.site.server().iter().chain(self.check_servers) {
            let authority = Authority { server: *server, patience, deadline };
            if let Ok(found) = authority.soa_signatures(zone).await {
                return Some(found);
            }
        }
        None
    }

    /// Clients can prove what stands in `zone`: shown by its SOA record.
    async fn prove_zone(&self, zone: &Name) -> Result<(), Error> {
        let verifier = Verifier::new(self.options)?;
        let asked = Question::new(zone.clone(), RrType::SOA);
        let told = |why: String, reason| {
            let message =
                format!("zone {zone} is to be signed (--require-signed, require_signed), and {why}");
            Error::new(Kind::Unproven, reason, message)
        };
        match verifier.lookups().prove_live(&asked).await {
            Ok(answer) if answer.data().set().owner() == zone => Ok(()),
            Ok(_) => Err(told("it is an alias".into(), "no-record").hint("give the zone: --zone ZONE")),
            Err(Unproven { status: Status::Secure | Status::Absent, .. }) => {
                Err(told("it is proven that there is no such zone".into(), "no-record").hint(
                    "publish where clients ask: is this another view of the zone, or the wrong --zone?",
                ))
            }
            Err(cause) => {
                let why = match cause.status {
                    Status::Insecure => format!("clients cannot prove it: {}", cause.error),
                    status => format!("that cannot be proven ({status}): {}", cause.error),
                };
                Err(told(why, status_code(&cause)).hint(hint_for(zone, &cause)))
            }
        }
    }

    /// A name that lives off a wildcard would lose its address.
    async fn look_above(&self, zone: &Name, targets: &[Target], objections: &mut [Option<Error>]) {
        // What was published before has done its harm, or none.
        let Ok(own) = self.state.read() else { return };
        let is_new = |t: &&Target| is_guarded(t) && t.role == Role::Host && !own.contains_key(&t.wish.owner);
        let hosts: Vec<&Name> = targets.iter().filter(is_new).map(|t| &t.name).collect();
        if hosts.is_empty() {
            return;
        }
        let shadowed = wildcard::shadowed(&self.site, zone, &hosts).await;
        if shadowed.is_empty() {
            return;
        }
        for (target, objection) in targets.iter().zip(objections).filter(|(t, _)| is_new(t)) {
            let host = &target.name;
            *objection = shadowed.get(host).map(|wildcard| {
                let message = format!(
                    "{host} has its address from the wildcard {wildcard}, and would lose it to records of its own (RFC 4592)"
                );
                nothing_sent(Error::failure("wildcard", message).hint(format!(
                    "give {host} an address of its own first (A or AAAA records), then publish"
                )))
            });
        }
    }
}
