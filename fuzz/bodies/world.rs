//! What the bodies know to be true: zones on paper, their honest replies as octets, and what those prove.

use std::collections::HashMap;
use std::sync::OnceLock;

// What the paper takes from the module above it, as within the crate.
use sshanchor::proto::chain::{Anchors, Answer, Budget, ChainError, Dnskey, Halt, Material, Prover};
use sshanchor::proto::denial::{Unproven, classify};
use sshanchor::proto::evidence::Evidence;
use sshanchor::proto::hostkey::{HostKey, Presented};
use sshanchor::proto::message::{NOERROR, Question, Response};
use sshanchor::proto::name::HostName;
use sshanchor::proto::policy::Policy;
use sshanchor::proto::rr::RrType;
use sshanchor::proto::sshfp::Sshfp;
use sshanchor::proto::verdict::{Verdict, decide};

use super::{dns, encode};

#[allow(dead_code)]
#[path = "../../src/proto/chain/paper.rs"]
mod paper;

pub(super) use paper::{NOW, question};
use paper::{Paper, Zone, name, record};

/// The key of the host, by ssh-keygen.
pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
/// A key that nobody published.
pub const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPdqRW2Fwi+rRKIwIClJ/mO0HES+v31p+wRQW28B7OkN";
/// The host.
pub const HOST: &str = "host.example.test";
/// Its SSHFP set and aliases to it: what proves.
pub const PROVEN: [&str; 4] = [HOST, "_2222._ssh.host.example.test", "www.other.test", "host.old.other.test"];
/// Names at which nothing proves: denied, below an unsigned zone, expanded from a wildcard, at an alias that leads
/// nowhere and at one that leads to itself.
pub const UNPROVEN: [&str; 5] =
    ["gone.example.test", "host.plain.test", "any.wild.example.test", "lost.other.test", "loop.other.test"];
/// No lookup asks more questions.
const MAX_QUESTIONS: usize = 48;

/// The world.
pub struct World {
    pub anchors: Anchors,
    /// Every honest reply.
    pub replies: HashMap<Question, Vec<u8>>,
    /// What is proven, by what was asked.
    pub answers: HashMap<Question, Answer>,
    /// Has proven the honest zones.
    warm: Prover,
}

/// The one world there is.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let paper = paper();
        let replies: HashMap<Question, Vec<u8>> =
            paper.replies().iter().map(|(q, response)| (q.clone(), encode::reply(7, q, response))).collect();
        let warm = Prover::new(paper.anchors.clone(), NOW);
        let mut world = World { anchors: paper.anchors, replies, answers: HashMap::new(), warm };
        let mut prover = Prover::new(world.anchors.clone(), NOW);
        for host in PROVEN {
            let asked = question(host, RrType::SSHFP);
            let answer = world.look_up_by(&mut prover, &asked, &HashMap::new()).expect(host);
            assert_eq!(judge(&asked, Ok(answer.clone()), KEY), host != PROVEN[1]);
            world.answers.insert(asked, answer);
        }
        world.warm = prover;
        for host in UNPROVEN {
            assert!(world.look_up(&question(host, RrType::SSHFP), &HashMap::new()).is_err(), "{host}");
        }
        world
    })
}

fn paper() -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    let key = Sshfp::of_key(&HostKey::from_line(KEY).unwrap()).rdata();
    let sha1 = [&[4, 1][..], &[9; 20]].concat();
    paper.publish("example.test", HOST, RrType::SSHFP, &[&sha1, &key]);
    let elsewhere = [&[4, 2][..], &[7; 32]].concat();
    paper.publish("example.test", PROVEN[1], RrType::SSHFP, &[&elsewhere]);
    let alias = |paper: &mut Paper, at: &str, to: &str| {
        let records = paper.zone("other.test").sign(at, RrType::CNAME, &[name(to).wire()]);
        paper.put(at, RrType::SSHFP, records);
    };
    alias(&mut paper, "www.other.test", HOST);
    alias(&mut paper, "lost.other.test", "gone.example.test");
    alias(&mut paper, "loop.other.test", "loop.other.test");
    let mut moved =
        paper.zone("other.test").sign("old.other.test", RrType::DNAME, &[name("example.test").wire()]);
    moved.push(record("host.old.other.test", RrType::CNAME, name(HOST).wire()));
    paper.put("host.old.other.test", RrType::SSHFP, moved);
    let soa = |zone: &Zone| {
        let rdata = [zone.name.wire(), zone.name.wire(), &[0; 20]].concat();
        zone.sign(&zone.name.to_string(), RrType::SOA, &[&rdata])
    };
    // Types: RRSIG and NSEC. Next to the apex comes the host, and `gone` lies between.
    let nsec = |next: &str, types: &[u8]| [name(next).wire(), &[0, types.len() as u8], types].concat();
    let (own, bare): (&[u8], &[u8]) = (&[0x22, 0, 0, 0, 0, 3, 0x80], &[0, 0, 0, 0, 0, 3]);
    let zone = paper.zone("example.test");
    let mut authority = soa(zone);
    authority.extend(zone.sign("example.test", RrType::NSEC, &[&nsec(HOST, own)]));
    paper.deny("gone.example.test", RrType::SSHFP, 3, authority);
    paper.put("host.plain.test", RrType::SSHFP, vec![record("host.plain.test", RrType::SSHFP, &key)]);
    let zone = paper.zone("test");
    let mut authority = soa(zone);
    authority.extend(zone.sign("plain.test", RrType::NSEC, &[&nsec("zoo.test", &[0x20, 0, 0, 0, 0, 3])]));
    paper.deny("plain.test", RrType::DS, NOERROR, authority);
    let zone = paper.zone("example.test");
    let labels = |rrsig: &mut sshanchor::proto::rr::Rrsig| rrsig.labels = 3;
    let expanded = zone.sign_as("any.wild.example.test", RrType::SSHFP, &[&key], labels);
    let between = zone.sign("*.wild.example.test", RrType::NSEC, &[&nsec("example.test", bare)]);
    paper.put_beside("any.wild.example.test", RrType::SSHFP, expanded, between);
    paper
}

impl World {
    /// The lookup of `asked` where these replies come first, and honest ones to all that they leave open. Zones that
    /// no forged reply is about are not proven once more.
    pub fn look_up(
        &self,
        asked: &Question,
        forged: &HashMap<Question, Response>,
    ) -> Result<Answer, Unproven> {
        let mut prover = Prover::new(self.anchors.clone(), NOW);
        if forged.keys().all(|question| !matches!(question.rtype, RrType::DNSKEY | RrType::DS)) {
            prover.adopt(&self.warm);
        }
        self.look_up_by(&mut prover, asked, forged)
    }

    fn look_up_by(
        &self,
        prover: &mut Prover,
        asked: &Question,
        forged: &HashMap<Question, Response>,
    ) -> Result<Answer, Unproven> {
        let (mut material, mut budget, mut failure) = (Material::default(), Budget::default(), None);
        let mut questions = Vec::new();
        let outcome = loop {
            let step: Result<Unproven, Halt> = match &failure {
                None => match prover.answer(asked, &material, &mut budget) {
                    Ok(answer) => break Ok(answer),
                    Err(Halt::Failed(error)) => {
                        failure = Some(error);
                        continue;
                    }
                    Err(need) => Err(need),
                },
                Some(error) => classify(prover, asked, error, &material, &mut budget),
            };
            let needs = match step {
                Ok(unproven) => break Err(unproven),
                Err(Halt::Need(needs)) => needs,
                Err(Halt::Failed(error)) => panic!("no classification: {error}"),
            };
            assert!(!needs.is_empty());
            for need in needs {
                assert!(!questions.contains(&need), "asked twice: {need:?}");
                match (forged.get(&need), self.replies.get(&need)) {
                    _ if questions.len() >= MAX_QUESTIONS => material.fail(&need, "too many".to_owned()),
                    (Some(response), _) => material.add(&need, response),
                    (None, Some(octets)) => {
                        let (id, _) = dns::asked(octets).unwrap();
                        material.add(&need, &Response::read(octets, id, &need).unwrap());
                    }
                    (None, None) => material.fail(&need, "nobody answers".to_owned()),
                }
                questions.push(need);
            }
        };
        assert!(budget.tried() <= sshanchor::proto::chain::MAX_TRIED, "{}", budget.tried());
        assert!(budget.hashed() <= sshanchor::proto::chain::MAX_HASHED, "{}", budget.hashed());
        outcome
    }

    /// `outcome` says of `asked` what is true, or nothing: the proof is the honest one, if there is one.
    pub fn check(&self, asked: &Question, outcome: &Result<Answer, Unproven>) {
        use sshanchor::proto::denial::Status;
        match (outcome, self.answers.get(asked)) {
            (Ok(answer), Some(truth)) => {
                let rdatas = |answer: &Answer| {
                    let links = answer.aliases().iter().chain([answer.data()]);
                    let shown = |set: &sshanchor::proto::rr::RrSet| (set.owner().clone(), set.presentation());
                    links.map(|link| shown(link.set())).collect::<Vec<_>>()
                };
                assert_eq!((rdatas(answer), answer.expires()), (rdatas(truth), truth.expires()));
                assert!(answer.valid_until() <= answer.expires());
                assert!(answer.newest_inception(NOW) <= NOW);
            }
            (Ok(answer), None) => panic!("{asked:?} is proven: {answer:?}"),
            // Its zone says that it is there, and says nothing else.
            (Err(unproven), Some(_)) => {
                let harmless = matches!(unproven.status, Status::Bogus | Status::Indeterminate);
                assert!(harmless, "{asked:?}: {unproven:?}");
            }
            (Err(_), None) => {}
        }
        assert!(!judge(asked, outcome.clone(), OTHER), "the key of nobody is accepted");
        let accepted = judge(asked, outcome.clone(), KEY);
        assert!(!accepted || outcome.is_ok() && asked.name != name(PROVEN[1]));
    }
}

/// The verdict on a key at port 22 of the host that was `asked` for.
pub fn judge(asked: &Question, outcome: Result<Answer, Unproven>, key: &str) -> bool {
    let Ok(host) = HostName::parse(&asked.name.to_string()) else { return false };
    let presented = Presented::Plain(HostKey::from_line(key).unwrap());
    matches!(verdict(host, outcome, &presented), Verdict::Accept(_))
}

/// The verdict on a key at port 22 of this host.
pub fn verdict(host: HostName, outcome: Result<Answer, Unproven>, presented: &Presented) -> Verdict {
    let at_port = Question::new(host.port_label(22).unwrap(), RrType::SSHFP);
    let evidence = Evidence::new(host, 22, outcome, Err(Unproven::unanswered(at_port, "not asked")));
    decide(&evidence, presented, None, &Policy::default(), NOW)
}
