//! The way to the authorities: what one resolver hands out of the data that proofs are made of.

mod reply;

use std::net::SocketAddr;

pub use reply::Reply;

use super::{Finding, Severity};
use crate::proto::message::{NOERROR, NXDOMAIN, Question, rcode_name};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// UDP payload size that is offered (EDNS), in octets: what is longer has to come over TCP.
pub const UDP_PAYLOAD: usize = 1232;
/// Response codes of servers that do not know EDNS: FORMERR, NOTIMP, BADVERS (RFC 6891 section 7).
const NO_EDNS: [u16; 3] = [1, 4, 16];
const REFUSED: u16 = 5;

/// What came back: a reply, or nothing for this reason.
pub type Outcome = Result<Reply, String>;

/// One question and what came of it. It was asked with EDNS, DO and CD.
#[derive(Debug, Clone)]
pub struct Probe {
    /// What was asked.
    pub question: Question,
    /// Over UDP.
    pub udp: Outcome,
    /// Over TCP: where UDP was cut short, or the server answers no other way; and of the zone's keys always.
    pub tcp: Option<Outcome>,
}

impl Probe {
    /// The answer over UDP was cut short.
    pub fn is_cut(&self) -> bool {
        self.udp.as_ref().is_ok_and(|reply| reply.response.truncated)
    }

    /// What came over UDP or, where nothing did, over TCP.
    fn first(&self) -> &Outcome {
        match (&self.udp, &self.tcp) {
            (Err(_), Some(tcp)) => tcp,
            (udp, _) => udp,
        }
    }

    /// The whole reply, over UDP or, where that was cut short or did not come, over TCP.
    fn whole(&self) -> Option<&Reply> {
        let reply = if self.is_cut() { self.tcp.as_ref()? } else { self.first() };
        reply.as_ref().ok()
    }

    /// The set that was asked for.
    fn set(&self) -> Option<RrSet> {
        let sets = RrSet::collect(&self.whole()?.response.answer);
        sets.into_iter().find(|set| set.owner() == &self.question.name && set.rtype() == self.question.rtype)
    }

    fn is_signed(&self) -> bool {
        self.set().is_some_and(|set| !set.signatures().is_empty())
    }

    /// The reply brings signed NSEC or NSEC3 records.
    fn is_denied(&self) -> bool {
        let sets = self.whole().map(|reply| RrSet::collect(&reply.response.authority)).unwrap_or_default();
        sets.iter()
            .any(|set| matches!(set.rtype(), RrType::NSEC | RrType::NSEC3) && !set.signatures().is_empty())
    }
}

/// All that one resolver was asked.
#[derive(Debug, Clone)]
pub struct Path {
    /// The resolver.
    pub server: SocketAddr,
    /// The keys of the zone that has the trust anchor.
    pub keys: Probe,
    /// Its SOA.
    pub soa: Probe,
    /// The DS set of a name right below.
    pub ds: Option<Probe>,
    /// A name that cannot exist.
    pub denial: Probe,
    /// The SOA without CD, if there was trouble with it.
    pub without_cd: Option<Outcome>,
    /// The SOA without EDNS, if there was trouble with it.
    pub without_edns: Option<Outcome>,
}

impl Path {
    /// Not all is well, so it is worth asking again without CD and without EDNS.
    pub fn is_in_trouble(&self) -> bool {
        self.probes().any(|probe| match &probe.udp {
            Ok(reply) => !is_answer(reply) || !reply.edns,
            Err(_) => true,
        })
    }

    /// Nothing came over UDP, and something did over TCP: proofs are made that way.
    pub fn is_by_tcp(&self) -> bool {
        self.probes().all(|probe| probe.udp.is_err()) && self.keys.tcp.as_ref().is_some_and(Result::is_ok)
    }

    fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.needed().chain([&self.denial])
    }

    /// What no proof does without; denials only tell failures apart.
    fn needed(&self) -> impl Iterator<Item = &Probe> {
        [&self.keys, &self.soa].into_iter().chain(&self.ds)
    }
}

/// What lookups make of a resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It serves.
    Serves,
    /// The next one is asked in its place.
    PassedOver,
    /// Its answers are taken, and prove nothing.
    Spoils,
}

/// Findings on each of the resolvers, in the order in which they are asked. What is wrong with one of them is
/// an error only if no other one serves in its place.
pub fn judge(paths: &[Path]) -> Vec<Vec<Finding>> {
    let judged: Vec<(Use, Vec<Finding>)> = paths.iter().map(one).collect();
    let serving = judged.iter().position(|(of_use, _)| *of_use == Use::Serves);
    let soften = |(place, (of_use, mut findings)): (usize, (Use, Vec<Finding>))| {
        let stands_in = match (serving, of_use) {
            (Some(_), Use::PassedOver) => true,
            (Some(serving), Use::Spoils) => serving < place,
            _ => false,
        };
        for finding in findings.iter_mut().filter(|f| stands_in && f.severity == Severity::Error) {
            finding.severity = Severity::Warning;
        }
        findings
    };
    judged.into_iter().enumerate().map(soften).collect()
}

fn one(path: &Path) -> (Use, Vec<Finding>) {
    let server = path.server;
    let over_udp = match path.probes().all(|probe| probe.udp.is_err()) {
        false => Finding::ok("resolver-udp", server, "answers over UDP"),
        true => match silence(path) {
            finding if finding.severity == Severity::Error => return (Use::PassedOver, vec![finding]),
            finding => finding,
        },
    };
    let mut findings = vec![over_udp];
    if let Some(refusal) = refusal(path) {
        findings.push(refusal);
        return (Use::PassedOver, findings);
    }
    let answered =
        Finding::ok("resolver-answers", server, "answers what proofs ask for, with EDNS, DO and CD");
    findings.push(answered);
    findings.push(edns(path));
    findings.extend([signatures(path)].into_iter().chain(delegation(path)).chain([denial(path), cd(path)]));
    findings.extend([tcp(path), size(path)]);
    let spoils = findings.iter().any(|finding| finding.severity == Severity::Error);
    (if spoils { Use::Spoils } else { Use::Serves }, findings)
}

fn is_answer(reply: &Reply) -> bool {
    matches!(reply.response.rcode, NOERROR | NXDOMAIN)
}

fn answers(outcome: &Option<Outcome>) -> bool {
    matches!(outcome, Some(Ok(reply)) if is_answer(reply))
}

fn another(server: SocketAddr) -> String {
    format!(
        "put a resolver that serves in the place of {server} in /etc/resolv.conf, or name one: --resolver ADDR"
    )
}

/// Nothing came over UDP: why.
fn silence(path: &Path) -> Finding {
    let server = path.server;
    let why = path.keys.udp.as_ref().err().cloned().unwrap_or_default();
    if answers(&path.without_edns) {
        return no_edns(server, "leaves questions with EDNS unanswered, and answers those without");
    }
    if answers(&path.without_cd) {
        return no_cd(server, "leaves questions with CD unanswered, and answers those without");
    }
    if path.is_by_tcp() {
        let message = format!("answers over TCP, and not over UDP, for which each run waits first: {why}");
        return Finding::warning("resolver-udp", server, message).remedy(format!(
            "let UDP to port {} of {} and back through the firewall",
            server.port(),
            server.ip()
        ));
    }
    Finding::error("resolver-udp", server, format!("cannot be reached: {why}")).remedy(format!(
        "check the network and the firewall (dig @{} -p {} . SOA); {}",
        server.ip(),
        server.port(),
        another(server)
    ))
}

fn no_edns(server: SocketAddr, message: &str) -> Finding {
    Finding::error("resolver-edns", server, format!("{message}: no DNSSEC data can come this way"))
        .remedy(format!("update it, or mend what is before it (often a home router); {}", another(server)))
}

fn no_cd(server: SocketAddr, message: &str) -> Finding {
    Finding::error("resolver-cd", server, message).remedy(another(server))
}

/// A question that was not answered as one should be.
fn refusal(path: &Path) -> Option<Finding> {
    let server = path.server;
    let failed = path.needed().find(|probe| !probe.first().as_ref().is_ok_and(is_answer))?;
    let Question { name, rtype } = &failed.question;
    let dig = format!("dig @{} -p {} {name} {rtype} +dnssec +cd shows it", server.ip(), server.port());
    let reply = match failed.first() {
        Err(why) => {
            let message = format!("gives no answer for {name} {rtype}: {why}");
            return Some(Finding::error("resolver-answers", server, message).remedy(dig));
        }
        Ok(reply) => reply,
    };
    let (rcode, said) = (reply.response.rcode, rcode_name(reply.response.rcode));
    if NO_EDNS.contains(&rcode) && answers(&path.without_edns) {
        return Some(no_edns(server, &format!("answers {said} to questions with EDNS")));
    }
    if answers(&path.without_cd) {
        return Some(no_cd(
            server,
            &format!("answers {said} to questions with CD, and answers those without"),
        ));
    }
    let why = match rcode {
        REFUSED => "does it serve this machine's network?",
        _ => "can it reach the authorities?",
    };
    let message = format!("answers {said} for {name} {rtype}");
    Some(
        Finding::error("resolver-answers", server, message)
            .remedy(format!("{why} {dig}; {}", another(server))),
    )
}

/// Whoever hands out signatures has understood the question, whether the reply says so or not.
fn edns(path: &Path) -> Finding {
    let seen = path.probes().any(|probe| probe.first().as_ref().is_ok_and(|reply| reply.edns));
    match (seen, path.keys.is_signed()) {
        (true, _) => Finding::ok("resolver-edns", path.server, "speaks EDNS"),
        (false, true) => {
            Finding::info("resolver-edns", path.server, "hands out DNSSEC data, though its replies lack EDNS")
        }
        (false, false) => no_edns(path.server, "answers without EDNS"),
    }
}

fn signatures(path: &Path) -> Finding {
    let (server, zone) = (path.server, &path.keys.question.name);
    let message = match (path.keys.set(), path.soa.set()) {
        _ if path.keys.whole().is_none() => format!("{zone} DNSKEY does not come whole"),
        (None, _) => format!("has no DNSKEY for {zone}"),
        (Some(keys), _) if keys.signatures().is_empty() => strips(zone, RrType::DNSKEY),
        (Some(_), None) => format!("has no SOA for {zone}"),
        (Some(_), Some(soa)) if soa.signatures().is_empty() => strips(zone, RrType::SOA),
        _ => return Finding::ok("resolver-dnssec", server, format!("hands out the RRSIGs of {zone}")),
    };
    Finding::error("resolver-dnssec", server, message).remedy(format!(
        "switch on DNSSEC data in it (dnsmasq: proxy-dnssec), or mend what is before it; {}",
        another(server)
    ))
}

fn strips(zone: &Name, rtype: RrType) -> String {
    format!("hands out {zone} {rtype} without RRSIG: it, or something before it, strips DNSSEC data")
}

fn delegation(path: &Path) -> Option<Finding> {
    let probe = path.ds.as_ref()?;
    let (server, child) = (path.server, &probe.question.name);
    Some(if probe.is_signed() || probe.is_denied() {
        Finding::ok("resolver-ds", server, format!("hands out what {child} DS is, or that there is none"))
    } else {
        Finding::error(
            "resolver-ds",
            server,
            format!("hands out neither a signed {child} DS nor a proof that there is none"),
        )
        .remedy(another(server))
    })
}

fn denial(path: &Path) -> Finding {
    let (server, name) = (path.server, &path.denial.question.name);
    if path.denial.is_denied() {
        return Finding::ok("resolver-denials", server, "hands out proofs that a name does not exist");
    }
    let message = format!(
        "hands out no signed NSEC or NSEC3 for {name}: what is absent cannot be told from what was taken away"
    );
    Finding::warning("resolver-denials", server, message).remedy(another(server))
}

fn cd(path: &Path) -> Finding {
    let server = path.server;
    if path.probes().any(|probe| probe.first().as_ref().is_ok_and(|reply| reply.checking_disabled)) {
        return Finding::ok("resolver-cd", server, "heeds CD");
    }
    let message = "does not say that it heeds CD: of what it calls bogus it may hand out a bare SERVFAIL, and no reason can be told";
    Finding::info("resolver-cd", server, message)
}

fn tcp(path: &Path) -> Finding {
    let server = path.server;
    let cut: Vec<String> =
        path.probes().filter(|p| p.is_cut()).map(|p| p.question.name.to_string()).collect();
    let over_tcp = path.keys.tcp.as_ref();
    match over_tcp {
        Some(Ok(_)) => Finding::ok("resolver-tcp", server, "answers over TCP"),
        Some(Err(why)) => {
            let severity = if cut.is_empty() { Severity::Warning } else { Severity::Error };
            let message = format!(
                "does not answer over TCP ({why}): what is longer than {UDP_PAYLOAD} octets cannot come"
            );
            let ports = format!("let TCP to port {} of {} through the firewall", server.port(), server.ip());
            Finding::new(severity, "resolver-tcp", server, message).remedy(ports)
        }
        None => Finding::info("resolver-tcp", server, "was not asked over TCP"),
    }
}

fn size(path: &Path) -> Finding {
    let server = path.server;
    let replies = |tcp: bool| {
        let outcomes = path.probes().filter_map(move |p| if tcp { p.tcp.as_ref() } else { Some(&p.udp) });
        outcomes.filter_map(|outcome| outcome.as_ref().ok()).map(|reply| reply.octets).max().unwrap_or(0)
    };
    let (udp, tcp) = (replies(false), replies(true));
    let lost = path.probes().find(|probe| probe.is_cut() && probe.whole().is_none());
    match lost {
        _ if udp > UDP_PAYLOAD => {
            let message =
                format!("sends {udp} octets over UDP where {UDP_PAYLOAD} were allowed: fragments get lost");
            Finding::warning("resolver-size", server, message)
                .remedy("set its limit for EDNS to 1232 (unbound: max-udp-size; BIND: max-udp-size)")
        }
        Some(probe) => {
            let Question { name, rtype } = &probe.question;
            let message = format!("cuts {name} {rtype} short over UDP, and does not give the whole over TCP");
            Finding::error("resolver-size", server, message).remedy(another(server))
        }
        None if path.probes().any(Probe::is_cut) => {
            let message =
                format!("what does not fit into {UDP_PAYLOAD} octets comes over TCP (up to {tcp} octets)");
            Finding::ok("resolver-size", server, message)
        }
        None if path.is_by_tcp() => {
            Finding::ok("resolver-size", server, format!("all answers come over TCP (up to {tcp} octets)"))
        }
        None => {
            let message = format!("all answers fit into {UDP_PAYLOAD} octets (the largest is of {udp})");
            Finding::ok("resolver-size", server, message)
        }
    }
}

#[cfg(test)]
mod tests;
