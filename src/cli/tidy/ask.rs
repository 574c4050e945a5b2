//! What DNS proves of the hosts in known_hosts files.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::cli::Context;
use crate::cli::bundle::BundleFile;
use crate::cli::verify::hosts_at_once;
use crate::error::Error;
use crate::fan_out::fan_out;
use crate::output::Progress;
use crate::proto::hostkey::{HostKey, Presented};
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::proto::sshfp::Sshfp;
use crate::proto::tidy::{Line, Meant, Says, Standing};
use crate::proto::verdict::{Reason, Verdict};
use crate::verifier::{Verifier, owners};

/// Records that a message shows.
const SHOWN: usize = 4;

/// Hosts and their ports, with the keys that entries have for them.
type Wanted = BTreeMap<(HostName, u16), HashSet<HostKey>>;

/// What is said of one key of one host.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) standing: Standing,
    /// A word for scripts; none where it is proven.
    pub(super) reason: Option<&'static str>,
    pub(super) message: String,
}

/// All that was asked.
#[derive(Debug, Default)]
pub(super) struct Asked(HashMap<(HostName, u16), HashMap<HostKey, Answer>>);

/// The hosts that plain entries are about; of `named` these alone.
pub(super) fn wanted<'a>(
    files: impl Iterator<Item = &'a [Line<'a>]>,
    named: Option<&[(HostName, u16)]>,
) -> Wanted {
    let named: Option<HashSet<_>> = named.map(|named| named.iter().collect());
    let mut wanted = Wanted::new();
    for line in files.flatten() {
        let Says::Entry(entry) = line.says() else { continue };
        for listed in entry.names() {
            let Meant::Host(host, port) = &listed.meant else { continue };
            let place = (host.clone(), *port);
            if named.as_ref().is_none_or(|named| named.contains(&place)) {
                wanted.entry(place).or_default().insert(entry.key().clone());
            }
        }
    }
    wanted
}

/// Looks all of them up. It is an error if nothing is answered at all: then nothing is known.
pub(super) async fn ask(
    wanted: Wanted,
    fanout: usize,
    bundle: &BundleFile,
    cx: &Context,
) -> Result<Asked, Error> {
    let mut asked = Asked::default();
    if wanted.is_empty() {
        return Ok(asked);
    }
    let width = hosts_at_once(fanout);
    let verifier = cx.verifier_with(bundle.load(cx.timeout)?)?.of_keys_alone();
    let mut progress = Progress::new("looked up", wanted.len());
    let (all, mut outages) = (wanted.len(), 0);
    let work = |((host, port), keys): ((HostName, u16), HashSet<HostKey>)| {
        let verifier = verifier.for_one_host();
        async move {
            let answers = of_host(&verifier, &host, port, keys).await;
            ((host, port), answers)
        }
    };
    fan_out(wanted, width, work, |_, (place, answers)| {
        let (answers, is_outage) = answers?;
        outages += usize::from(is_outage);
        asked.0.insert(place, answers);
        progress.step();
        // A resolver that is dead is not waited for a hundred thousand times.
        if outages == asked.0.len() && (outages == all || outages >= 2 * width) {
            let message =
                format!("no usable answer from DNS for any of {outages} hosts: nothing was changed");
            return Err(Error::failure("no-answer", message).hint("sshanchor doctor tells what is wrong"));
        }
        Ok(())
    })
    .await?;
    Ok(asked)
}

async fn of_host(
    verifier: &Verifier,
    host: &HostName,
    port: u16,
    keys: HashSet<HostKey>,
) -> Result<(HashMap<HostKey, Answer>, bool), Error> {
    let mut answers = HashMap::new();
    let mut add = |key, verdict: Verdict, origin| {
        let standing = Standing::of(&verdict, origin);
        let (reason, message) = told(host, &verdict, standing);
        answers.insert(key, Answer { standing, reason, message });
    };
    if verifier.policy(host).mode == Mode::Pass {
        for key in keys {
            add(key, Verdict::Unproven(Reason::Passed { host: host.clone() }), None);
        }
        return Ok((answers, false));
    }
    if owners(host, port).is_err() {
        // So long a name has no room for its port label, and none is asked for.
        return Ok((answers, false));
    }
    let mut evidence = verifier.evidence(host, port).await?;
    let keys: Vec<Presented> = keys.into_iter().map(Presented::Plain).collect();
    for key in &keys {
        // As if the host had shown it: what is stored never refuses, and then DNS is asked.
        (evidence, _) = verifier.settle(evidence, key, None).await?;
    }
    // All by the same, for DNS may have withdrawn what was stored.
    for key in keys {
        add(key.key().clone(), verifier.judge(&evidence, &key, None), evidence.origin());
    }
    let is_outage = evidence.is_outage();
    Ok((answers, is_outage))
}

/// The reason and the message: a host that is remembered shows nothing.
fn told(host: &HostName, verdict: &Verdict, standing: Standing) -> (Option<&'static str>, String) {
    let reason = match verdict {
        Verdict::Accept(anchored) => {
            return match standing {
                Standing::Proven => (None, anchored.basis().to_string()),
                _ => (Some("grace"), "proven before, and DNS does not answer now".to_owned()),
            };
        }
        Verdict::Reject(reason) | Verdict::Unproven(reason) => reason,
    };
    let message = match reason {
        Reason::KeyMismatch { published, .. } => format!("DNSSEC proves other keys: {}", digests(published)),
        Reason::KeyTypeNotPublished { published, .. } => {
            format!("DNSSEC proves keys of other types for {host}: {}", digests(published))
        }
        other => other.to_string(),
    };
    (Some(reason.code()), message)
}

fn digests(records: &[Sshfp]) -> String {
    let mut shown: Vec<String> = records.iter().take(SHOWN).map(Sshfp::fingerprint_text).collect();
    if records.len() > SHOWN {
        shown.push(format!("and {} more", records.len() - SHOWN));
    }
    shown.join(", ")
}

impl Asked {
    /// What is said of a key of a host; none if it was not asked for.
    pub(super) fn of(&self, host: &HostName, port: u16, key: &HostKey) -> Option<&Answer> {
        self.0.get(&(host.clone(), port))?.get(key)
    }

    /// The hosts of which an entry stands so, by name.
    pub(super) fn hosts(&self, stands: impl Fn(Standing) -> bool) -> Vec<HostName> {
        let of = |answers: &HashMap<HostKey, Answer>| answers.values().any(|answer| stands(answer.standing));
        let mut hosts: Vec<HostName> =
            self.0.iter().filter(|(_, answers)| of(answers)).map(|((host, _), _)| host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}
