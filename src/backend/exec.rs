//! A program that holds the records, or knows who does: JSON on its standard input, one reply on its standard output.
//! It is started anew for each request, without a shell, and has to end in time.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::backend::{ApplyError, Backend, Capabilities, check_zone, lost_race, too_many};
use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{MAX_TTL, Plan, Present, texts};
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::template::Template;
use crate::proto::text::cut;
use crate::run;

/// The version of requests and replies.
const VERSION: u32 = 1;
/// Longest reply, in octets.
const MAX_REPLY: usize = 1024 * 1024;
/// Most owners in one request, whatever the program says.
const MOST: usize = 1000;
/// How many programs run at a time.
const READS: usize = 4;
/// Longest pause between two changes that a program may ask for.
const LONGEST_PACE: Duration = Duration::from_secs(60);

/// A program, and how long it may take.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program and its arguments.
    pub command: Arc<Template>,
    /// How long one request may take.
    pub patience: Duration,
    /// When all of them have to be over.
    pub deadline: Instant,
}

/// One zone, by its program.
#[derive(Debug)]
pub struct Exec {
    program: Program,
    zone: Name,
    capabilities: Capabilities,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Can {
    version: u32,
    compare_and_swap: bool,
    batch: usize,
    min_ttl: Option<u32>,
    max_ttl: Option<u32>,
    pace_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stands {
    version: u32,
    ttl: Option<u32>,
    records: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    version: u32,
    outcome: Verdict,
    message: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Done,
    LostRace,
    Refused,
    Failed,
}

/// A plan, and the records that it leaves: a program that replaces whole sets needs no more.
#[derive(Serialize)]
struct Change<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(serialize_with = "texts")]
    records: SshfpSet,
}

impl Program {
    /// The zone `zone`, once the program has said what it can do.
    pub async fn open(&self, zone: Name) -> Result<Exec, Error> {
        let asked = json!({ "version": VERSION, "request": "capabilities", "zone": zone.to_string() });
        let can: Can = self.ask(&asked).await?;
        self.check_version(can.version)?;
        let capabilities = Capabilities {
            compare_and_swap: can.compare_and_swap,
            vouches: false,
            min_ttl: can.min_ttl.unwrap_or(0),
            max_ttl: can.max_ttl.unwrap_or(MAX_TTL),
            batch: can.batch.min(MOST),
            reads: READS,
            changes: 1,
            pace: Duration::from_millis(can.pace_ms.unwrap_or(0)),
        };
        let whole = capabilities.batch > 0
            && capabilities.min_ttl <= capabilities.max_ttl
            && capabilities.max_ttl <= MAX_TTL
            && capabilities.pace <= LONGEST_PACE;
        match whole {
            true => Ok(Exec { program: self.clone(), zone, capabilities }),
            false => Err(self.malformed("its capabilities make no sense")),
        }
    }

    /// As it was given.
    pub fn name(&self) -> &str {
        self.command.program()
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, request: &serde_json::Value) -> Result<T, Error> {
        let patience = self.patience.min(self.deadline.saturating_duration_since(Instant::now()));
        let arguments = self.command.arguments(|_| String::new());
        let input = format!("{request}\n");
        let ran = run::run(self.name().as_ref(), &arguments, input.as_bytes(), MAX_REPLY, patience).await;
        let ran = ran.map_err(|e| {
            let reason = if matches!(e, run::RunError::Timeout { .. }) { "timeout" } else { "program" };
            Error::failure(reason, e)
                .hint("see the program's own messages; try it by hand with a request on its standard input")
        })?;
        if let Some(failure) = ran.failure() {
            return Err(Error::failure("program", format!("{} {failure}", self.name()))
                .hint("see the program's own messages"));
        }
        serde_json::from_slice(&ran.output).map_err(|e| self.malformed(&format!("{e}{}", ran.said())))
    }

    fn malformed(&self, why: &str) -> Error {
        let message = format!("{} sent a malformed answer: {why}", self.name());
        Error::failure("malformed-answer", message)
            .hint("docs/publish.md, \"A program of your own\", has requests and replies")
    }

    fn check_version(&self, version: u32) -> Result<(), Error> {
        match version {
            VERSION => Ok(()),
            other => Err(self.malformed(&format!("version {other}, and {VERSION} was asked for"))),
        }
    }
}

impl Backend for Exec {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        let (zone, name) = (self.zone.to_string(), owner.to_string());
        let asked = json!({ "version": VERSION, "request": "read", "zone": zone, "owner": name });
        let found: Stands = self.program.ask(&asked).await?;
        self.program.check_version(found.version)?;
        let records =
            found.records.iter().map(|record| Sshfp::from_text(record)).collect::<Result<Vec<_>, _>>();
        let records = records.map_err(|e| self.program.malformed(&e.to_string()))?;
        match (found.ttl, records.is_empty()) {
            (_, true) => Ok(Present::absent()),
            (Some(ttl), false) if ttl <= MAX_TTL => Ok(Present::new(ttl, records)),
            _ => Err(self.program.malformed("the records have no TTL")),
        }
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let failed = ApplyError::Failed;
        check_zone(plans, &self.zone)?;
        if plans.len() > self.capabilities.batch {
            return Err(too_many(plans, self.program.name()));
        }
        let changes: Vec<_> = plans.iter().map(|plan| Change { plan, records: plan.outcome() }).collect();
        let zone = self.zone.to_string();
        let asked = json!({ "version": VERSION, "request": "apply", "zone": zone, "plans": changes });
        let done: Done = self.program.ask(&asked).await.map_err(failed)?;
        self.program.check_version(done.version).map_err(failed)?;
        let told = |reason| {
            let said = cut(done.message.as_deref().unwrap_or("without a reason"), 300);
            let message = format!("{} says {reason}: {said}", self.program.name());
            Error::failure(reason, message).hint("see the program's own messages")
        };
        match (done.outcome, plans.first()) {
            (Verdict::Done, _) => Ok(()),
            (Verdict::LostRace, Some(plan)) => Err(lost_race(&plan.owner, self.program.name())),
            (Verdict::Refused, _) => Err(ApplyError::Refused(told("refused"))),
            _ => Err(failed(told("update-failed"))),
        }
    }
}
