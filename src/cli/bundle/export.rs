//! `sshanchor bundle export`: proofs into a file.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Context;
use crate::cli::target::host_names;
use crate::dns::bundles;
use crate::error::{Error, Kind};
use crate::fan_out::fan_out;
use crate::output::{self, Progress, Report, rfc3339};
use crate::proto::bundle::Bundle;
use crate::proto::chain::Answer;
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::rr::RrType;
use crate::proto::verdict::{Reason, hint_for, status_code};
use crate::verifier::{Verifier, now};

/// Prove hosts' keys and write the proofs to a file.
///
/// Proves the SSHFP records of each host, those for its port, the CAs that may vouch for it and what is revoked, and
/// writes what proves them to FILE. Nothing is written unless every host is proven, by keys or by a CA: an outage does
/// not replace a good file by an empty one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor bundle export web1.example.com db1.example.com:2222 @more-hosts -o fleet.bundle\n\
    Use it: sshanchor verify --bundle fleet.bundle web1.example.com"
)]
pub(super) struct Args {
    /// The hosts; @FILE stands for the hosts in it, a line each, - for those on standard input
    #[arg(value_name = "HOST[:PORT]", required = true)]
    hosts: Vec<String>,
    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write what is proven even if some hosts are not
    #[arg(long)]
    partial: bool,
    /// Put the hosts' addresses in too, to be used where no resolver answers
    #[arg(long)]
    addresses: bool,
}

/// How many hosts are proven at a time.
const WIDTH: usize = 64;
/// The port of hosts that name none.
const SSH: u16 = 22;

#[derive(Debug, Serialize)]
struct Exported {
    file: String,
    made: Option<String>,
    hosts: usize,
    entries: usize,
    /// Hosts that are not in it.
    unproven: Vec<Missing>,
    /// Until when all of it holds.
    valid_until: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Missing {
    host: String,
    port: u16,
    reason: &'static str,
    message: String,
    hint: String,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let hosts = host_names(&args.hosts, SSH, cx.timeout)?;
    let verifier = cx.verifier()?;
    let made = now();
    let mut outcomes = Vec::new();
    let mut progress = Progress::new("proven", hosts.len());
    let work = |(host, port): (HostName, u16)| {
        let verifier = verifier.for_one_host();
        async move { prove(&verifier, &host, port, args.addresses).await }
    };
    fan_out(hosts.clone(), WIDTH, work, |place, outcome: Result<_, Error>| {
        outcomes.push((place, outcome?));
        progress.step();
        Ok::<_, Error>(())
    })
    .await?;
    drop(progress);
    // In the order in which the hosts were named.
    outcomes.sort_by_key(|(place, _)| *place);
    let (mut proven, mut unproven): (Vec<Answer>, Vec<Missing>) = Default::default();
    for (_, outcome) in outcomes {
        match outcome {
            Ok(answers) => proven.extend(answers),
            Err(missing) => unproven.push(missing),
        }
    }
    for Missing { host, port, message, hint, .. } in &unproven {
        cx.out.warn(&format!("{host}:{port} is not proven: {message} (hint: {hint})"));
    }
    if !unproven.is_empty() && (!args.partial || proven.is_empty()) {
        let message = format!(
            "{} of {} hosts are not proven, and {} was not written",
            unproven.len(),
            hosts.len(),
            args.output.display()
        );
        return Err(Error::new(Kind::Unproven, "not-proven", message)
            .hint("mend these hosts' records, or write the others with --partial"));
    }
    let bundle = Bundle::new(proven.iter().flat_map(|answer| answer.entries(made)), made);
    if args.output.as_os_str() == "-" {
        cx.out.line(bundle.to_text().trim_end())?;
    } else {
        bundles::save(&bundle, &args.output).map_err(|e| Error::failure("io", e))?;
        cx.out.result(&Exported {
            file: args.output.display().to_string(),
            made: rfc3339(made),
            hosts: hosts.len() - unproven.len(),
            entries: bundle.entries().len(),
            valid_until: proven.iter().map(Answer::expires).min().and_then(rfc3339),
            unproven: unproven.clone(),
        })?;
    }
    Ok((!unproven.is_empty()).then_some(Kind::Unproven))
}

/// The answers that prove a host's keys, at its own name or for its port, or the CAs that may vouch for it; or why
/// there are none.
async fn prove(
    verifier: &Verifier,
    host: &HostName,
    port: u16,
    addresses: bool,
) -> Result<Result<Vec<Answer>, Missing>, Error> {
    let evidence = verifier.whole_evidence(host, port).await?;
    if let Some(cause) = evidence.key_failure() {
        let missing =
            |reason, message, hint| Ok(Err(Missing { host: host.to_string(), port, reason, message, hint }));
        match evidence.sufficient_ca_sets(&verifier.policy(host), now()) {
            Ok(sets) if sets.is_empty() => {
                return missing(status_code(cause), cause.to_string(), hint_for(host.name(), cause));
            }
            Ok(_) => {}
            Err((owner, gap)) => {
                let reason = Reason::RevocationUnproven { host: host.clone(), owner, gap: Box::new(gap) };
                return missing(reason.code(), reason.to_string(), reason.hint());
            }
        }
    }
    let mut answers: Vec<Answer> = evidence.proofs().cloned().collect();
    if addresses {
        let of = |rtype| Question::new(host.name().clone(), rtype);
        let (v6, v4) = (of(RrType::AAAA), of(RrType::A));
        let lookups = verifier.lookups();
        let (v6, v4) = tokio::join!(lookups.prove_live(&v6), lookups.prove_live(&v4));
        answers.extend([v6, v4].into_iter().flatten());
    }
    Ok(Ok(answers))
}

impl Report for Exported {
    fn text(&self) -> String {
        let until = self.valid_until.as_deref().unwrap_or("an unknown time");
        let hosts = output::hosts(self.hosts);
        format!("{}: {hosts}, {} entries, all of it good until {until}", self.file, self.entries)
    }
}
