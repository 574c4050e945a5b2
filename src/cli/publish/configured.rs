//! What the configuration says where the command line says nothing: `[publish]`.

use std::path::PathBuf;

use super::primary::Primary;
use crate::agent::machine;
use crate::cli::Context;
use crate::error::Error;
use crate::proto::name::HostName;

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
            [] => own,
            // Another name than those in the only table is taken at that table's place all the same.
            asked if cx.publishing.len() == 1 => asked.to_vec(),
            asked => own.into_iter().filter(|name| asked.contains(name)).collect(),
        };
        if names.is_empty() {
            continue;
        }
        jobs.push(Job {
            names,
            primary: primary.or(table),
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
