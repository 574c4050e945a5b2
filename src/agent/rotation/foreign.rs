//! Records of others at this machine's names, which speak against a key of their algorithm: OpenSSH with VerifyHostKeyDNS
//! wants all records of an algorithm to match.

use super::records::Set;
use crate::agent::state::{Own, State};
use crate::error::Error;
use crate::proto::hostkey::KeyType;
use crate::proto::sshfp::Sshfp;

/// Records that this machine has not published, and that it leaves where they are.
#[derive(Debug)]
pub(super) struct Foreign(Vec<(String, Sshfp)>);

impl Foreign {
    /// Those among what the primaries have.
    pub(super) fn of(sets: &[Set], state: &State) -> Result<Self, Error> {
        let own: Own = state.read()?;
        let mut found = Vec::new();
        for set in sets.iter().filter(|set| !set.is_exclusive) {
            let own = own.get(&set.owner);
            let is_foreign = |record: &&Sshfp| !own.is_some_and(|own| own.contains(record));
            let foreign = set.present.records.iter().filter(is_foreign);
            found.extend(foreign.map(|record| (set.owner.to_string(), record.clone())));
        }
        Ok(Foreign(found))
    }

    fn against(&self, key_type: KeyType) -> Option<&(String, Sshfp)> {
        self.0.iter().find(|(_, record)| record.algorithm() == key_type.sshfp_algorithm())
    }

    /// The types that a new key would be refused for.
    pub(super) fn types(&self) -> Vec<KeyType> {
        KeyType::ALL.into_iter().filter(|key_type| self.against(*key_type).is_some()).collect()
    }

    /// A key of a type that the host does not have may be published, and be the only one that is offered for a while.
    pub(super) fn allow(
        &self,
        key_type: KeyType,
        has: &[KeyType],
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let Some((owner, record)) = self.against(key_type) else { return Ok(()) };
        // The host's own type is no better off: nobody can be relying on all records that match.
        if has.iter().any(|has| self.against(*has).is_some()) {
            warnings.push(format!(
                "{owner} has records of others for every type, such as {record}: OpenSSH with VerifyHostKeyDNS refuses this host, \
                 now and meanwhile"
            ));
            return Ok(());
        }
        let message = format!(
            "sshd has keys of one type only, and {owner} has records of others for each type that could serve meanwhile, such \
             as {record}: OpenSSH with VerifyHostKeyDNS would refuse the host"
        );
        Err(Error::usage("foreign-records", message).hint(
            "if nobody uses them, take them away: sshanchor publish --prune; or, where no client goes by VerifyHostKeyDNS: \
             --overlap",
        ))
    }
}
