//! What the configuration says where the command line says nothing: `[publish]`.

use std::path::PathBuf;

use super::primary::Primary;
use crate::agent::machine;
use crate::agent::orphans::{Orphan, orphans};
use crate::agent::pass::Target;
use crate::agent::published::Role;
use crate::agent::reconcile::Wish;
use crate::agent::state::State;
use crate::cli::Context;
use crate::error::Error;
use crate::proto::name::HostName;
use crate::proto::plan::Intent;
use crate::proto::sshfp::SshfpSet;

/// Names of this machine, and where their records are kept.
#[derive(Debug)]
pub(in crate::cli) struct Job {
    pub(in crate::cli) names: Vec<HostName>,
    pub(in crate::cli) primary: Primary,
    pub(in crate::cli) port: Option<u16>,
    pub(in crate::cli) ttl: Option<u32>,
    pub(in crate::cli) host_keys: Vec<PathBuf>,
    pub(in crate::cli) exclusive: bool,
}

/// What is to be done for `asked`: at the place that the command line names; else by the tables that have these names,
/// or by all of them where no name is asked for.
pub(in crate::cli) async fn jobs(
    primary: &Primary,
    asked: &[HostName],
    cx: &Context,
) -> Result<Vec<Job>, Error> {
    if primary.names_a_place() || cx.publishing.is_empty() {
        let names = match (asked, cx.publishing.as_slice()) {
            ([], []) => return Err(Error::usage("usage", "which host?").hint("give it: --name HOST")),
            ([], [only]) => machine::names(only).await?,
            ([], _) => {
                return Err(
                    Error::usage("usage", "which of the hosts in [[publish]]?").hint("give it: --name HOST")
                );
            }
            (asked, _) => asked.to_vec(),
        };
        let primary = primary.clone();
        return Ok(vec![Job {
            names,
            primary,
            port: None,
            ttl: None,
            host_keys: Vec::new(),
            exclusive: false,
        }]);
    }
    let mut jobs = Vec::new();
    for table in &cx.publishing {
        let own = machine::names(table).await?;
        let names: Vec<HostName> = match asked {
            [] => own.clone(),
            // Another name than those in the only table is taken at that table's place all the same.
            asked if cx.publishing.len() == 1 => asked.to_vec(),
            asked => own.iter().filter(|name| asked.contains(name)).cloned().collect(),
        };
        if names.is_empty() {
            continue;
        }
        let mut primary = primary.or(table);
        primary.is_configured = names.iter().all(|name| own.contains(name));
        jobs.push(Job {
            names,
            primary,
            port: table.port,
            ttl: table.ttl,
            host_keys: table.host_keys.clone(),
            exclusive: table.exclusive,
        });
    }
    let known = |name: &&HostName| jobs.iter().any(|job| job.names.contains(name));
    match asked.iter().find(|name| !known(name)) {
        Some(unknown) => Err(Error::usage("usage", format!("no [[publish]] table names {unknown}"))
            .hint("give the place too: --server ADDR --key-file FILE")),
        None => Ok(jobs),
    }
}

/// Records of this machine at names that the configuration no longer has.
pub(in crate::cli) async fn lost(state: &State, cx: &Context) -> Result<Vec<Orphan>, Error> {
    match cx.publishing.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(orphans(&state.entries()?, &machine::owners(&cx.publishing).await?)),
    }
}

/// The same, each with where it is to be withdrawn: at the place that the command line names, else at the one among the
/// tables that it was published at; an error where that is none of them.
pub(in crate::cli) async fn goodbyes(
    primary: &Primary,
    cx: &Context,
) -> Result<Vec<Result<(Primary, Target), Error>>, Error> {
    if cx.publishing.is_empty() {
        return Err(Error::usage(
            "usage",
            "orphans are names that [publish] had, and there is no such table",
        )
        .hint("name the host: --name HOST --server ADDR --key-file FILE"));
    }
    let candidates = match primary.names_a_place() {
        true => vec![primary.clone()],
        false => cx.publishing.iter().map(|table| primary.or(table)).collect(),
    };
    let mut places = Vec::new();
    for primary in candidates {
        let site = primary.site_to_read(cx, 1)?;
        places.push((site.kind(), site.label(), primary));
    }
    let goodbye = |orphan: Orphan| {
        let known = orphan.origin.as_ref().and_then(|origin| {
            let mut fitting = places
                .iter()
                .filter(|(kind, label, _)| *kind == origin.backend.as_str() && *label == origin.server);
            Some((origin.zone.clone(), fitting.next()?.2.clone()))
        });
        let (zone, mut primary) = known.ok_or_else(|| {
            Error::usage("unknown-place", format!("{}: a place that is not named here", orphan.message()))
                .hint("name it beside --orphans, as it was: --server ADDR --key-file FILE, or the like")
        })?;
        primary.zone = Some(zone);
        let wish = Wish { owner: orphan.owner.clone(), wanted: SshfpSet::new(), intent: Intent::Withdraw };
        Ok((primary, Target { name: orphan.owner, role: Role::Host, wish }))
    };
    Ok(lost(&primary.state()?, cx).await?.into_iter().map(goodbye).collect())
}
