//! Records that this machine's state has as its own: those at names that it no longer has, and those whose keys nobody
//! shows. What is no longer published is none of them.

use std::collections::{BTreeSet, HashSet};

use crate::agent::orphans::orphans;
use crate::agent::state::Entries;
use crate::error::Error;
use crate::fan_out::in_order;
use crate::proto::audit::Judged;
use crate::proto::audit::facts::OwnRecords;
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::RrType;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::verifier::Verifier;

/// What this machine has published.
#[derive(Debug, Default)]
pub struct Own {
    /// By its state.
    pub entries: Entries,
    /// Where its configuration has it publish.
    pub named: BTreeSet<Name>,
    /// Records at other names than those of audited hosts count as well: this state was asked for.
    pub all: bool,
    /// SHA-256 of the keys on its disk.
    pub keys: Vec<[u8; 32]>,
}

impl Own {
    /// Those of its records that are published still, and that are at no name of its own or of keys that neither it nor an
    /// audited host holds.
    pub(super) async fn nobodys(
        self,
        verifier: &Verifier,
        audited: &HashSet<Name>,
        judged: &[Judged],
        width: usize,
    ) -> Result<Vec<OwnRecords>, Error> {
        let held: HashSet<[u8; 32]> = judged.iter().flat_map(Judged::keys).chain(self.keys.clone()).collect();
        let is_held =
            |record: &Sshfp| record.fingerprint().try_into().is_ok_and(|key: [u8; 32]| held.contains(&key));
        let mut suspects: Vec<OwnRecords> = orphans(&self.entries, &self.named)
            .into_iter()
            .map(|orphan| OwnRecords {
                message: Some(orphan.message()),
                owner: orphan.owner,
                records: orphan.records,
            })
            .collect();
        let lost: HashSet<Name> = suspects.iter().map(|own| own.owner.clone()).collect();
        let is_open = |owner: &Name| !audited.contains(owner) && !lost.contains(owner);
        let others: Vec<OwnRecords> = self
            .entries
            .iter()
            .filter(|(owner, _)| self.all && is_open(owner) && !is_set_of_ca(owner))
            .map(|(owner, entry)| {
                let records = entry.records().into_iter().filter(|record| !is_held(record)).collect();
                OwnRecords { owner: owner.clone(), records, message: None }
            })
            .collect();
        suspects.extend(others);
        suspects.retain(|own| !own.records.is_empty());
        let work = |own: OwnRecords| {
            let verifier = verifier.for_one_host();
            async move { published(&verifier, own).await }
        };
        in_order(suspects, width, work).await.map_err(Error::from)
    }
}

/// Of a CA's sets no host shows a key.
fn is_set_of_ca(owner: &Name) -> bool {
    crate::proto::revocation::domain_of(owner).is_some()
}

/// What is left of it in DNS; all, where that cannot be told.
async fn published(verifier: &Verifier, own: OwnRecords) -> OwnRecords {
    let asked = Question::new(own.owner.clone(), RrType::SSHFP);
    let outcome = verifier.lookups().prove_live(&asked).await;
    let set = match &outcome {
        Ok(answer) => Some(answer.data().set().clone()),
        Err(unproven) if unproven.is_proven() && verifier.lookups().seen(&asked).1.is_none() => None,
        Err(_) => match verifier.lookups().seen(&asked).1 {
            Some(set) => Some(set),
            None => return own,
        },
    };
    let there: SshfpSet =
        set.iter().flat_map(|set| set.rdatas()).filter_map(|rdata| Sshfp::from_rdata(rdata).ok()).collect();
    OwnRecords { records: own.records.intersection(&there).cloned().collect(), ..own }
}
