//! What is configured for a host, by what is proven of it.

use super::Finding;
use crate::proto::evidence::Evidence;
use crate::proto::policy::{Mode, Policies, Policy, findings};
use crate::proto::verdict::nothing_vouches;

/// Judges at `now` (seconds since 1970) whether what is proven suffices by `policy`; nothing where no policy is
/// configured, or there is nothing that could suffice.
pub fn judge(now: u64, evidence: &Evidence, policy: &Policy) -> Option<Finding> {
    let host = evidence.host();
    if *policy == Policy::default() {
        return None;
    }
    let reason = || nothing_vouches(evidence, policy, now);
    if policy.mode == Mode::Pass {
        let finding = Finding::info("policy", host, reason().to_string());
        return Some(finding.remedy(reason().hint()).of(host));
    }
    if evidence.offer(&Policy::default(), now).is_empty() {
        return None;
    }
    let finding = match evidence.offer(policy, now).is_empty() {
        true => {
            let message = format!("what is proven does not suffice by policy: {}", reason());
            Finding::error("policy", host, message).remedy(reason().hint())
        }
        false => Finding::ok("policy", host, "what is proven suffices by policy"),
    };
    Some(finding.of(host))
}

/// Findings on the configuration: `warnings` of those that read it, and rules without effect.
pub fn configuration(warnings: &[String], policies: &Policies) -> Vec<Finding> {
    const CHECK: &str = "sshanchor config check";
    let warn = |message: String| Finding::warning("configuration", "configuration", message).remedy(CHECK);
    let mut found: Vec<Finding> = warnings.iter().cloned().map(warn).collect();
    // Whether there is a cache is not this command's to know.
    let dead = findings::findings(policies, true).len();
    if dead > 0 {
        found.push(warn(format!("{dead} of its settings have no effect, or stand against each other")));
    }
    if found.is_empty() {
        found.push(Finding::ok("configuration", "configuration", "there is nothing against it"));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Severity;
    use super::*;
    use crate::proto::chain::paper::{NOW, Paper};
    use crate::proto::hostkey::KeyType;
    use crate::proto::name::HostName;
    use crate::proto::rr::RrType;

    const HOST: &str = "host.example.test";

    /// What is found under `policy` for a host with an Ed25519 key, if that is published.
    fn found(policy: &Policy, published: bool) -> Option<Severity> {
        let mut paper = Paper::tree(&[".", "test", "example.test"]);
        if published {
            paper.publish("example.test", HOST, RrType::SSHFP, &[&[&[4, 2][..], &[7; 32]].concat()]);
        }
        let proven = |owner: &str| paper.run(owner, RrType::SSHFP).outcome;
        let host = HostName::parse(HOST).unwrap();
        let evidence = Evidence::new(host, 22, proven(HOST), proven("_22._ssh.host.example.test"));
        judge(NOW, &evidence, policy).map(|finding| finding.severity)
    }

    #[test]
    fn a_proof_suffices_or_not() {
        let lasting = |hours: u64| Policy {
            min_signature_left: Duration::from_secs(hours * 3600),
            ..Policy::default()
        };
        assert_eq!(found(&Policy::default(), true), None);
        assert_eq!(found(&lasting(1), true), Some(Severity::Ok));
        assert_eq!(found(&lasting(48), true), Some(Severity::Error));
        assert_eq!(found(&lasting(48), false), None, "that is told already");
        let only = |key_type| Policy { algorithms: vec![key_type], ..Policy::default() };
        assert_eq!(found(&only(KeyType::Ed25519), true), Some(Severity::Ok));
        assert_eq!(found(&only(KeyType::Rsa), true), Some(Severity::Error));
    }

    #[test]
    fn hosts_that_are_passed_are_told() {
        let pass = Policy { mode: Mode::Pass, ..Policy::default() };
        assert_eq!((found(&pass, true), found(&pass, false)), (Some(Severity::Info), Some(Severity::Info)));
    }

    #[test]
    fn a_configuration_that_does_not_count_is_told() {
        let severity = |warnings: &[String]| configuration(warnings, &Policies::default())[0].severity;
        assert_eq!(severity(&[]), Severity::Ok);
        assert_eq!(severity(&["it does not count".to_owned()]), Severity::Warning);
    }
}
