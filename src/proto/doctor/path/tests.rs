//! Each way in which a resolver falls short, beside one that serves.

use super::super::tests::severity;
use super::*;
use crate::proto::chain::paper::{Zone, question, record};
use crate::proto::message::Response;
use crate::proto::rr::Record;

fn server(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 53))
}

fn reply(rcode: u16, answer: Vec<Record>, authority: Vec<Record>) -> Reply {
    let response = Response { rcode, answer, authority, ..Response::default() };
    Reply { response, edns: true, checking_disabled: true, octets: 400 }
}

fn probe(question: Question, reply: Reply) -> Probe {
    Probe { question, udp: Ok(reply), tcp: None }
}

/// A resolver that does all that is wanted of it.
fn good(last: u8) -> Path {
    let root = Zone::new(".");
    let test = Zone::new("test");
    let keys = reply(NOERROR, root.keys_and(&[]), Vec::new());
    let soa = reply(NOERROR, root.sign(".", RrType::SOA, &[&[0; 22]]), Vec::new());
    let nsec = root.sign("test", RrType::NSEC, &[b"\0\0\x01\x02"]);
    Path {
        server: server(last),
        keys: Probe { tcp: Some(Ok(keys.clone())), ..probe(question(".", RrType::DNSKEY), keys) },
        soa: probe(question(".", RrType::SOA), soa),
        ds: Some(probe(question("test", RrType::DS), reply(NOERROR, root.ds(&test), Vec::new()))),
        denial: probe(question("nowhere", RrType::TXT), reply(NXDOMAIN, Vec::new(), nsec)),
        without_cd: None,
        without_edns: None,
    }
}

fn each(path: &mut Path, change: impl Fn(&mut Probe)) {
    change(&mut path.keys);
    change(&mut path.soa);
    path.ds.iter_mut().for_each(&change);
    change(&mut path.denial);
}

fn no_signatures(probe: &mut Probe) {
    for outcome in [Some(&mut probe.udp), probe.tcp.as_mut()].into_iter().flatten().flatten() {
        outcome.response.answer.retain(|r| r.rtype != RrType::RRSIG);
        outcome.response.authority.retain(|r| !matches!(r.rtype, RrType::RRSIG | RrType::NSEC));
    }
}

/// A resolver that falls short in the way of `change`.
fn bad(change: impl FnOnce(&mut Path)) -> Path {
    let mut path = good(1);
    change(&mut path);
    path
}

/// The check that found an error in the only resolver there is.
#[track_caller]
fn error(change: impl FnOnce(&mut Path)) -> Finding {
    let findings = judge(&[bad(change)]).remove(0);
    let errors: Vec<&Finding> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
    assert!(!errors.is_empty(), "{findings:#?}");
    assert!(errors[0].remedy.is_some(), "{errors:#?}");
    errors[0].clone()
}

fn silent(path: &mut Path) {
    each(path, |probe| probe.udp = Err("no answer in time".to_owned()));
    path.keys.tcp = Some(Err("no answer in time".to_owned()));
}

fn refuses(rcode: u16) -> impl Fn(&mut Path) {
    move |path| each(path, |probe| probe.udp = Ok(reply(rcode, Vec::new(), Vec::new())))
}

fn served() -> Option<Outcome> {
    Some(Ok(reply(NOERROR, vec![record(".", RrType::SOA, &[0; 22])], Vec::new())))
}

#[test]
fn a_resolver_that_serves_is_well_in_all() {
    let findings = judge(&[good(1)]).remove(0);
    assert_eq!(super::super::gravest(&findings), Severity::Ok, "{findings:#?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    let all = ["udp", "answers", "edns", "dnssec", "ds", "denials", "cd", "tcp", "size"];
    assert_eq!(checks, all.map(|word| format!("resolver-{word}")));
    assert!(!good(1).is_in_trouble());
}

#[test]
fn silence_is_told_by_what_still_comes() {
    let unreachable = error(silent);
    assert!(unreachable.check == "resolver-udp" && unreachable.message.contains("cannot be reached"));
    assert!(bad(silent).is_in_trouble());
    let by_tcp = |change: &dyn Fn(&mut Path)| {
        let mut path = good(1);
        each(&mut path, |probe| {
            let reply = std::mem::replace(&mut probe.udp, Err("no answer in time".to_owned()));
            probe.tcp = Some(reply);
        });
        change(&mut path);
        judge(&[path]).remove(0)
    };
    // What comes that way is judged as it would be over UDP.
    let found = by_tcp(&|_| {});
    let told: Vec<_> = found.iter().filter(|finding| finding.severity != Severity::Ok).collect();
    assert_eq!((told.len(), told[0].check, told[0].severity), (1, "resolver-udp", Severity::Warning));
    assert!(told[0].message.contains("over TCP, and not over UDP") && told[0].remedy.is_some());
    let size = found.iter().find(|finding| finding.check == "resolver-size");
    assert!(size.is_some_and(|size| size.message.contains("over TCP")), "{found:#?}");
    for (change, check) in [
        (&(|path: &mut Path| each(path, no_signatures)) as &dyn Fn(&mut Path), "resolver-dnssec"),
        (&|path| path.soa.tcp = Some(Err("refused".to_owned())), "resolver-answers"),
        (&|path| path.keys.tcp = Some(Err("refused".to_owned())), "resolver-udp"),
    ] {
        let found = by_tcp(change);
        assert!(
            found.iter().any(|f| f.check == check && f.severity == Severity::Error),
            "{check}: {found:#?}"
        );
    }
    let edns = error(|path| {
        silent(path);
        path.without_edns = served();
    });
    assert_eq!(edns.check, "resolver-edns");
    let cd = error(|path| {
        silent(path);
        path.without_cd = served();
    });
    assert_eq!(cd.check, "resolver-cd");
}

#[test]
fn refusals_are_told_by_their_code_and_by_what_is_answered() {
    let servfail = error(refuses(2));
    assert!(servfail.check == "resolver-answers" && servfail.message.contains("SERVFAIL"));
    assert!(error(refuses(5)).message.contains("REFUSED"));
    for rcode in NO_EDNS {
        let edns = error(|path| {
            refuses(rcode)(path);
            path.without_edns = served();
        });
        assert_eq!(edns.check, "resolver-edns");
        assert_eq!(error(refuses(rcode)).check, "resolver-answers", "it answers nothing");
    }
    let cd = error(|path| {
        refuses(2)(path);
        path.without_cd = served();
    });
    assert_eq!(cd.check, "resolver-cd");
    let one = error(|path| path.soa.udp = Err("no answer in time".to_owned()));
    assert!(one.check == "resolver-answers" && one.message.contains(". SOA"), "{one:?}");
    let no_denial = judge(&[bad(|path| path.denial.udp = Err("no answer in time".to_owned()))]).remove(0);
    assert_eq!(super::super::gravest(&no_denial), Severity::Warning);
    assert_eq!(severity(&no_denial, "resolver-denials"), Severity::Warning);
}

#[test]
fn stripped_data_is_told() {
    let strips = error(|path| each(path, no_signatures));
    assert!(strips.check == "resolver-dnssec" && strips.message.contains("strips"), "{strips:?}");
    assert_eq!(error(|path| no_signatures(&mut path.keys)).check, "resolver-dnssec");
    assert_eq!(error(|path| no_signatures(&mut path.soa)).check, "resolver-dnssec");
    let no_keys = error(|path| path.keys.udp = Ok(reply(NOERROR, Vec::new(), Vec::new())));
    assert!(no_keys.message.contains("has no DNSKEY for ."), "{no_keys:?}");
    let edns = error(|path| {
        each(path, no_signatures);
        each(path, |probe| probe.udp.as_mut().unwrap().edns = false);
    });
    assert_eq!(edns.check, "resolver-edns");
    assert_eq!(error(|path| path.ds.iter_mut().for_each(no_signatures)).check, "resolver-ds");
    let denials = judge(&[bad(|path| no_signatures(&mut path.denial))]).remove(0);
    assert_eq!(severity(&denials, "resolver-denials"), Severity::Warning);
}

#[test]
fn a_proof_that_there_is_no_ds_is_as_good_as_one() {
    let denied = bad(|path| {
        let denial = path.denial.udp.clone();
        path.ds.as_mut().unwrap().udp = denial;
    });
    assert_eq!(severity(&judge(&[denied]).remove(0), "resolver-ds"), Severity::Ok);
}

#[test]
fn signatures_count_for_more_than_the_opt_record() {
    let path = bad(|path| each(path, |probe| probe.udp.as_mut().unwrap().edns = false));
    assert_eq!(severity(&judge(&[path]).remove(0), "resolver-edns"), Severity::Info);
    let path = bad(|path| each(path, |probe| probe.udp.as_mut().unwrap().checking_disabled = false));
    assert_eq!(severity(&judge(&[path]).remove(0), "resolver-cd"), Severity::Info);
}

#[test]
fn tcp_matters_as_far_as_it_is_needed() {
    let blocked = |path: &mut Path| path.keys.tcp = Some(Err("connection refused".to_owned()));
    let spare = judge(&[bad(blocked)]).remove(0);
    assert_eq!(severity(&spare, "resolver-tcp"), Severity::Warning);
    assert_eq!(severity(&spare, "resolver-size"), Severity::Ok);
    let cut = |path: &mut Path| path.keys.udp.as_mut().unwrap().response.truncated = true;
    let needed = judge(&[bad(|path| {
        blocked(path);
        cut(path);
    })])
    .remove(0);
    for check in ["resolver-tcp", "resolver-size", "resolver-dnssec"] {
        assert_eq!(severity(&needed, check), Severity::Error, "{check}");
    }
    let open = judge(&[bad(cut)]).remove(0);
    assert_eq!(super::super::gravest(&open), Severity::Ok, "{open:#?}");
    let long = judge(&[bad(|path| path.keys.udp.as_mut().unwrap().octets = 1233)]).remove(0);
    assert_eq!(severity(&long, "resolver-size"), Severity::Warning);
}

#[test]
fn where_another_serves_what_is_wrong_with_one_is_no_error() {
    let gravest =
        |paths: &[Path]| -> Vec<Severity> { judge(paths).iter().map(super::super::gravest).collect() };
    use Severity::{Error, Ok, Warning};
    let strips = || bad(|path| each(path, no_signatures));
    assert_eq!(gravest(&[bad(silent), good(2)]), [Warning, Ok]);
    assert_eq!(gravest(&[good(2), bad(refuses(2))]), [Ok, Warning]);
    assert_eq!(gravest(&[bad(silent), bad(silent)]), [Error, Error]);
    // What strips is taken for an answer, so it matters who is asked first.
    assert_eq!(gravest(&[good(2), strips()]), [Ok, Warning]);
    assert_eq!(gravest(&[strips(), good(2)]), [Error, Ok]);
}
