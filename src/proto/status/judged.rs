//! What a status comes to: is all as it should be, and if not, what is there to look at?

use super::{Owner, Phase, Status};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The owner that it is about; none if it concerns all.
    pub owner: Option<String>,
    /// A stable word: that of the trouble, or `pending`, `unproven`, `foreign`, `vanished`.
    pub reason: String,
    /// In words.
    pub message: String,
}

impl Phase {
    /// A stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Idle => "idle",
            Self::Retrying => "retrying",
            Self::Stuck => "stuck",
        }
    }
}

impl Owner {
    /// The records are not everywhere as they should be: the place of the records could not be brought there, or a
    /// server shows something else.
    pub fn has_drifted(&self) -> bool {
        self.error.is_some() || self.servers.iter().any(|server| server.status == "pending")
    }

    /// Clients can prove the records.
    pub fn is_proven(&self) -> bool {
        self.proof.as_deref() == Some("secure") && self.proof_message.is_none()
    }
}

impl Status {
    /// Everything that is not as it should be.
    pub fn flaws(&self) -> Vec<Flaw> {
        let whole = self.error.iter().map(|trouble| Flaw {
            owner: None,
            reason: trouble.reason.clone(),
            message: trouble.message.clone(),
        });
        whole.chain(self.owners.iter().flat_map(flaws_of)).collect()
    }

    /// All is as it should be. An agent that has not looked yet does not know.
    pub fn is_well(&self) -> bool {
        self.last_pass.is_some() && self.flaws().is_empty()
    }
}

fn flaws_of(owner: &Owner) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut add = |reason: &str, message: String| {
        flaws.push(Flaw { owner: Some(owner.owner.clone()), reason: reason.to_owned(), message });
    };
    if let Some(trouble) = &owner.error {
        add(&trouble.reason, trouble.message.clone());
    }
    for server in owner.servers.iter().filter(|server| server.status != "current") {
        let why = server.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        add(&server.status, format!("{} is not in step ({}){why}", server.server, server.status));
    }
    // Caches forget by themselves.
    let is_passing = owner.is_proven() || owner.caches_until.is_some();
    if let Some(proof) = owner.proof.as_deref().filter(|_| !is_passing) {
        let why = owner.proof_message.as_deref().unwrap_or("no reason is known");
        add("unproven", format!("clients cannot prove the records ({proof}): {why}"));
    }
    if !owner.foreign.is_empty() {
        let count = owner.foreign.len();
        let what = if count == 1 { "1 record is".to_owned() } else { format!("{count} records are") };
        add("foreign", format!("{what} somebody else's: {}", owner.foreign.join(", ")));
    }
    flaws
}

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::super::samples::{NOW, unwell, well};
    use super::*;

    #[test]
    fn what_is_well_has_no_flaws_and_each_kind_of_trouble_is_one() {
        assert_eq!(well().flaws(), []);
        assert!(well().is_well());
        let status = unwell();
        assert!(!status.is_well());
        let reasons: Vec<String> = status.flaws().into_iter().map(|flaw| flaw.reason).collect();
        assert_eq!(reasons, ["clock", "timeout", "pending", "unreachable", "unproven", "foreign"]);
        assert!(!Status { last_pass: None, ..well() }.is_well(), "it has not looked yet");
    }

    #[test]
    fn what_caches_still_hold_is_no_flaw_until_they_have_to_have_forgotten() {
        let mut status = well();
        let owner = &mut status.owners[0];
        owner.proof = Some("old-records".to_owned());
        owner.proof_message = Some("the resolver still has other records".to_owned());
        assert_eq!(status.flaws().len(), 1);
        let owner = &mut status.owners[0];
        owner.caches_until = Some(Moment(NOW + 600));
        assert!(!owner.is_proven() && status.is_well());
    }

    #[test]
    fn a_server_that_is_silent_is_no_drift_and_one_that_shows_something_else_is() {
        let mut owner = well().owners.remove(0);
        assert!(!owner.has_drifted() && owner.is_proven());
        owner.servers[1].status = "unreachable".to_owned();
        assert!(!owner.has_drifted());
        owner.servers[1].status = "pending".to_owned();
        assert!(owner.has_drifted());
        owner.proof_message = Some("the resolver still has other records".to_owned());
        assert!(!owner.is_proven());
    }
}
