use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::*;
use crate::backend::ApplyError;
use crate::error::Kind;
use crate::proto::sshfp::{Sshfp, SshfpSet};

type Change = Box<dyn FnOnce(&mut BTreeMap<Name, Present>) + Send>;

/// A server that keeps its promises, with somebody else at work between read and update.
#[derive(Default)]
struct Server {
    records: Mutex<BTreeMap<Name, Present>>,
    /// What somebody else does right before each update.
    meanwhile: Mutex<Vec<Change>>,
    refused: BTreeSet<Name>,
    deaf: bool,
    /// Takes records where they are never seen, as in a zone above the one that answers.
    occluded: bool,
    updates: Mutex<usize>,
    /// Nothing is heard of this update, by its number: true if it was done.
    cut: Option<(usize, bool)>,
    can: Capabilities,
    /// Somebody on the way says that nothing stands there.
    lied_about: bool,
    /// At this read, counted down, somebody else has put x in the place of what stood there.
    overwritten_at: Mutex<usize>,
    /// What is published has to stand in it already.
    noted: Option<State>,
}

impl Backend for Server {
    fn capabilities(&self) -> Capabilities {
        self.can.clone()
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        let mut left = self.overwritten_at.lock().unwrap();
        if *left == 1 {
            self.records.lock().unwrap().insert(owner.clone(), Present::new(300, set("x")));
        }
        *left = left.saturating_sub(1);
        drop(left);
        if self.lied_about {
            return Ok(Present::absent());
        }
        Ok(self.records.lock().unwrap().get(owner).cloned().unwrap_or_default())
    }

    fn fitting(&self, plans: &[Plan]) -> usize {
        // The state of many owners takes its time to be read.
        let fits = if self.noted.is_some() { 100 } else { 3 };
        plans.len().min(fits).min(self.can.batch)
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        *self.updates.lock().unwrap() += 1;
        if let Some(noted) = self.noted.as_ref().map(|state| state.read().unwrap()) {
            let is_noted = |plan: &Plan| noted.get(&plan.owner).is_some_and(|own| plan.add.is_subset(own));
            assert!(plans.iter().all(is_noted), "sent before it was noted: {plans:?}");
        }
        if self.occluded {
            let lost = ApplyError::LostRace(Error::failure("lost-race", "YXRRSET"));
            return if *self.updates.lock().unwrap() == 1 { Ok(()) } else { Err(lost) };
        }
        let mut records = self.records.lock().unwrap();
        let cut = self.cut.filter(|(at, _)| at == &*self.updates.lock().unwrap());
        let unknown = Err(ApplyError::Unknown(Error::failure("connection-closed", "closed")));
        if let Some((_, false)) = cut {
            return unknown;
        }
        if let Some(change) = self.meanwhile.lock().unwrap().pop() {
            change(&mut records);
        }
        let stands = |plan: &Plan| records.get(&plan.owner).cloned().unwrap_or_default() == plan.present;
        if plans.iter().any(|plan| self.refused.contains(&plan.owner)) {
            return Err(ApplyError::Refused(Error::failure("refused", "REFUSED")));
        }
        if !plans.iter().all(stands) {
            return Err(ApplyError::LostRace(Error::failure("lost-race", "NXRRSET")));
        }
        for plan in plans.iter().filter(|_| !self.deaf) {
            records.insert(plan.owner.clone(), Present::new(plan.ttl, plan.outcome()));
        }
        if cut.is_some() { unknown } else { Ok(()) }
    }
}

fn name(at: usize) -> Name {
    Name::from_text(&format!("web{at}.example")).unwrap()
}

fn set(letters: &str) -> SshfpSet {
    letters.bytes().map(|b| Sshfp::from_rdata(&[4, 2, b]).unwrap()).collect()
}

fn wish(at: usize, letters: &str) -> Wish {
    Wish { owner: name(at), wanted: set(letters), intent: Intent::Publish { ttl: None, prune: false } }
}

fn publisher(server: &Arc<Server>, folder: &tempfile::TempDir) -> Reconciliation<Server> {
    Reconciliation { backend: server.clone(), state: State::at(folder.path()), together: false }
}

fn shown(server: &Server, at: usize) -> SshfpSet {
    server.records.lock().unwrap().get(&name(at)).map(|p| p.records.clone()).unwrap_or_default()
}

#[tokio::test]
async fn publish_swap_and_withdraw() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    let run = publisher(&server, &folder);
    let first = run.run(&[wish(1, "ab")]).await.unwrap();
    assert!(first[0].changed && first[0].error.is_none() && first[0].added == set("ab"));
    let again = run.run(&[wish(1, "ab")]).await.unwrap();
    assert!(!again[0].changed && *server.updates.lock().unwrap() == 1, "no update without a change");
    server.records.lock().unwrap().get_mut(&name(1)).unwrap().records.extend(set("x"));
    let swap = run.run(&[wish(1, "bc")]).await.unwrap();
    assert_eq!((&swap[0].added, &swap[0].removed), (&set("c"), &set("a")));
    assert_eq!(swap[0].plan.as_ref().unwrap().foreign, set("x"));
    assert_eq!(run.state.read().unwrap()[&name(1)], set("bc"));
    run.run(&[Wish { intent: Intent::Withdraw, ..wish(1, "") }]).await.unwrap();
    assert_eq!(shown(&server, 1), set("x"));
    assert!(run.state.read().unwrap().is_empty());
}

#[tokio::test]
async fn where_not_even_one_owner_fits_it_is_sent_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let can = Capabilities { batch: 0, ..Capabilities::default() };
    let server = Arc::new(Server { can, ..Server::default() });
    let outcomes = publisher(&server, &folder).run(&[wish(1, "a"), wish(2, "b")]).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.changed && outcome.error.is_none()), "{outcomes:?}");
    assert_eq!((shown(&server, 2), *server.updates.lock().unwrap()), (set("b"), 2));
}

#[tokio::test]
async fn of_many_each_is_noted_before_it_is_sent() {
    const ALL: usize = 1200;
    let folder = tempfile::tempdir().unwrap();
    let can = Capabilities { changes: 4, ..Capabilities::default() };
    let server = Server { can, noted: Some(State::at(folder.path())), ..Server::default() };
    let server = Arc::new(server);
    let run = publisher(&server, &folder);
    for letters in ["a", "b"] {
        let wishes: Vec<Wish> = (0..ALL).map(|at| wish(at, letters)).collect();
        let outcomes = run.run(&wishes).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.changed && outcome.error.is_none()), "{outcomes:?}");
        let own = run.state.read().unwrap();
        assert_eq!((own.len(), &own[&name(ALL - 1)]), (ALL, &set(letters)));
        assert_eq!((shown(&server, 0), shown(&server, ALL - 1)), (set(letters), set(letters)));
    }
    // Where nothing is to be sent all is noted too.
    let elsewhere = tempfile::tempdir().unwrap();
    let wishes: Vec<Wish> = (0..ALL).map(|at| wish(at, "b")).collect();
    let run = publisher(&server, &elsewhere);
    assert!(run.run(&wishes).await.unwrap().iter().all(|outcome| !outcome.changed));
    assert_eq!(run.state.read().unwrap().len(), ALL);
}

#[tokio::test]
async fn a_lost_race_is_planned_anew() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    server.meanwhile.lock().unwrap().push(Box::new(|records| {
        records.insert(name(1), Present::new(300, set("x")));
    }));
    let outcome = publisher(&server, &folder).run(&[wish(1, "a")]).await.unwrap();
    assert!(outcome[0].error.is_none() && outcome[0].changed, "{outcome:?}");
    assert_eq!(shown(&server, 1), set("ax"), "both are there");
    assert_eq!(*server.updates.lock().unwrap(), 2);
}

#[tokio::test]
async fn whether_it_was_done_the_next_look_tells() {
    for (was_done, updates) in [(true, 2), (false, 3)] {
        let server = Arc::new(Server { cut: Some((2, was_done)), ..Server::default() });
        let folder = tempfile::tempdir().unwrap();
        let wishes: Vec<Wish> = (0..6).map(|at| wish(at, "a")).collect();
        let seen = Mutex::new(0);
        let watch = |news| *seen.lock().unwrap() += news;
        let outcomes = publisher(&server, &folder).run_watched(&wishes, &watch).await.unwrap();
        assert!(
            outcomes.iter().all(|o| o.error.is_none() && o.changed && o.added == set("a")),
            "{outcomes:?}"
        );
        assert_eq!((*server.updates.lock().unwrap(), *seen.lock().unwrap()), (updates, 6));
    }
}

#[tokio::test]
async fn a_race_that_is_always_lost_ends() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    for letter in 0..ROUNDS as u8 {
        let change: Change = Box::new(move |records| {
            let record = Sshfp::from_rdata(&[4, 2, letter]).unwrap();
            records.insert(name(1), Present::new(300, [record]));
        });
        server.meanwhile.lock().unwrap().push(change);
    }
    let outcome = publisher(&server, &folder).run(&[wish(1, "a")]).await.unwrap();
    let error = outcome[0].error.clone().unwrap();
    assert_eq!((error.reason, error.kind), ("lost-race", Kind::Failure));
    assert!(error.message.ends_with("have changed meanwhile"), "{error}");
    assert!(error.hint.is_none(), "that of the backend stands");
    assert_eq!(*server.updates.lock().unwrap(), ROUNDS as usize);
}

#[tokio::test]
async fn a_server_that_acknowledges_and_does_nothing_is_found_out() {
    let server = Arc::new(Server { deaf: true, ..Server::default() });
    let folder = tempfile::tempdir().unwrap();
    let outcome = publisher(&server, &folder).run(&[wish(1, "a")]).await.unwrap();
    assert_eq!(outcome[0].error.as_ref().unwrap().reason, "not-converged");
}

#[tokio::test]
async fn what_was_acknowledged_and_is_not_seen_is_not_as_it_was() {
    let server = Arc::new(Server { occluded: true, ..Server::default() });
    let folder = tempfile::tempdir().unwrap();
    let outcome = publisher(&server, &folder).run(&[wish(1, "a")]).await.unwrap();
    let error = outcome[0].error.as_ref().unwrap();
    assert!(error.message.contains("an update before was acknowledged"), "{error}");
    assert!(error.hint.as_ref().unwrap().contains("shows no records"), "{error:?}");
}

#[tokio::test]
async fn one_refusal_does_not_hold_up_the_others() {
    let server = Arc::new(Server { refused: [name(4)].into(), ..Server::default() });
    let folder = tempfile::tempdir().unwrap();
    let wishes: Vec<Wish> = (0..10).map(|at| wish(at, "a")).collect();
    let run = publisher(&server, &folder);
    let outcomes = run.run(&wishes).await.unwrap();
    let failed: Vec<usize> = (0..10).filter(|at| outcomes[*at].error.is_some()).collect();
    assert_eq!(failed, [4]);
    let message = &outcomes[4].error.as_ref().unwrap().message;
    assert_eq!(message, "REFUSED; the records at web4.example are as they were");
    assert!((0..10).all(|at| shown(&server, at).is_empty() == (at == 4)));
    // What was meant to be published stays known as own: the update might have got there.
    assert_eq!(run.state.read().unwrap()[&name(4)], set("a"));
}

#[tokio::test]
async fn a_crash_between_update_and_state_does_no_harm() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    let run = publisher(&server, &folder);
    run.run(&[wish(1, "a")]).await.unwrap();
    // The swap to b reached the server and the state holds the intent alone.
    run.state.update(|own| own.set(&name(1), &set("ab"))).unwrap();
    server.records.lock().unwrap().insert(name(1), Present::new(300, set("b")));
    // By now the key is c: b is known as own and goes.
    let outcome = run.run(&[wish(1, "c")]).await.unwrap();
    assert_eq!((&outcome[0].removed, shown(&server, 1)), (&set("b"), set("c")));
}

#[tokio::test]
async fn a_plan_alone_changes_nothing() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    let run = publisher(&server, &folder);
    let outcome = run.plan(&[wish(1, "a")]).await.unwrap();
    assert_eq!(outcome[0].plan.as_ref().unwrap().add, set("a"));
    assert!(shown(&server, 1).is_empty() && run.state.read().unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_that_is_refused_altogether_is_not_tried_for_ever() {
    let server = Arc::new(Server { refused: (0..1000).map(name).collect(), ..Server::default() });
    let folder = tempfile::tempdir().unwrap();
    let wishes: Vec<Wish> = (0..1000).map(|at| wish(at, "a")).collect();
    let outcomes = publisher(&server, &folder).run(&wishes).await.unwrap();
    assert!(outcomes.iter().all(|o| o.error.as_ref().is_some_and(|e| e.reason == "refused")));
    assert!(*server.updates.lock().unwrap() < 500);
}

/// A CA's set and the set that has to stand beside it: `add` at the second owner.
fn pair() -> [Wish; 2] {
    [wish(1, "a"), Wish { intent: Intent::Add { ttl: None }, ..wish(2, "s") }]
}

#[tokio::test]
async fn what_goes_together_comes_together_or_not_at_all() {
    fn together(server: &Arc<Server>, folder: &tempfile::TempDir) -> Reconciliation<Server> {
        Reconciliation { together: true, ..publisher(server, folder) }
    }
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    let outcomes = together(&server, &folder).run(&pair()).await.unwrap();
    assert!(outcomes.iter().all(|o| o.changed && o.error.is_none()), "{outcomes:?}");
    assert_eq!(*server.updates.lock().unwrap(), 1);
    // A swap at one of them leaves the other alone, and holds it to what was read.
    let swap = [wish(1, "b"), pair()[1].clone()];
    server.meanwhile.lock().unwrap().push(Box::new(|records| drop(records.remove(&name(2)))));
    let outcomes = together(&server, &folder).run(&swap).await.unwrap();
    assert!(outcomes.iter().all(|o| o.changed && o.error.is_none()), "{outcomes:?}");
    assert_eq!((shown(&server, 1), shown(&server, 2)), (set("b"), set("s")), "what was taken away is back");
    assert_eq!(*server.updates.lock().unwrap(), 3, "a lost race, and both in one update");
    let outcomes = together(&server, &folder).run(&[wish(1, "c"), pair()[1].clone()]).await.unwrap();
    assert_eq!(outcomes.iter().map(|o| o.changed).collect::<Vec<_>>(), [true, false]);

    // Where one is refused, so is the other; its twin, not together, gets there.
    for owner in [1, 2] {
        let refuses = || Arc::new(Server { refused: [name(owner)].into(), ..Server::default() });
        let (server, folder) = (refuses(), tempfile::tempdir().unwrap());
        let outcomes = together(&server, &folder).run(&pair()).await.unwrap();
        assert!(outcomes.iter().all(|o| o.error.is_some() && !o.changed), "{outcomes:?}");
        assert!(server.records.lock().unwrap().is_empty());
        let (server, folder) = (refuses(), tempfile::tempdir().unwrap());
        publisher(&server, &folder).run(&pair()).await.unwrap();
        assert_eq!(server.records.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_added_is_own_beside_what_was() {
    let (server, folder) = (Arc::new(Server::default()), tempfile::tempdir().unwrap());
    let run = publisher(&server, &folder);
    let with = |letters: &str, intent| [Wish { intent, ..wish(1, letters) }];
    run.run(&with("a", Intent::Add { ttl: None })).await.unwrap();
    server.records.lock().unwrap().get_mut(&name(1)).unwrap().records.extend(set("x"));
    run.run(&with("b", Intent::Add { ttl: None })).await.unwrap();
    assert_eq!((shown(&server, 1), &run.state.read().unwrap()[&name(1)]), (set("abx"), &set("ab")));
    let outcomes = run.run(&with("bx", Intent::Remove { foreign: false })).await.unwrap();
    assert_eq!(outcomes[0].removed, set("b"));
    assert_eq!((shown(&server, 1), &run.state.read().unwrap()[&name(1)]), (set("ax"), &set("a")));
}

#[tokio::test]
async fn without_compare_and_swap_what_is_undone_a_little_later_is_done_again() {
    let blind = Capabilities { compare_and_swap: false, ..Capabilities::default() };
    for (can, after) in [(blind, "ax"), (Capabilities::default(), "a")] {
        // Read, change, read: as it should be. Then the other one, who had read before, replaces the whole set.
        let server = Arc::new(Server { can, overwritten_at: Mutex::new(3), ..Server::default() });
        let folder = tempfile::tempdir().unwrap();
        let outcome = publisher(&server, &folder).run(&[wish(1, "a")]).await.unwrap();
        assert!(outcome[0].error.is_none() && outcome[0].changed, "{outcome:?}");
        assert_eq!(shown(&server, 1), set(after));
    }
}

#[tokio::test]
async fn a_ttl_is_one_that_the_backend_takes() {
    let can = Capabilities { min_ttl: 60, max_ttl: 600, ..Capabilities::default() };
    let server = Arc::new(Server { can, ..Server::default() });
    let folder = tempfile::tempdir().unwrap();
    let run = publisher(&server, &folder);
    let publish = |at, ttl| Wish { intent: Intent::Publish { ttl, prune: false }, ..wish(at, "a") };
    let wishes = [publish(1, None), publish(2, Some(601)), publish(3, Some(59)), publish(4, Some(60))];
    let outcomes = run.run(&wishes).await.unwrap();
    let reasons: Vec<_> = outcomes.iter().map(|o| o.error.as_ref().map(|e| e.reason)).collect();
    assert_eq!(reasons, [None, Some("ttl"), Some("ttl"), None]);
    let ttl = |at| server.records.lock().unwrap().get(&name(at)).and_then(|set| set.ttl);
    assert_eq!([ttl(1), ttl(2), ttl(3), ttl(4)], [Some(600), None, None, Some(60)]);
}

#[tokio::test]
async fn changes_are_paced_and_of_the_size_that_is_taken() {
    let pace = Duration::from_millis(60);
    let server = Arc::new(Server {
        can: Capabilities { pace, batch: 1, ..Capabilities::default() },
        ..Server::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let wishes: Vec<Wish> = (0..4).map(|at| wish(at, "a")).collect();
    let outcomes = publisher(&server, &folder).run(&wishes).await.unwrap();
    assert!(outcomes.iter().all(|o| o.error.is_none()) && *server.updates.lock().unwrap() == 4);
    assert!(started.elapsed() >= 3 * pace);
}

#[tokio::test]
async fn what_is_own_is_not_forgotten_on_anybodys_word() {
    let can = Capabilities { vouches: true, ..Capabilities::default() };
    let folder = tempfile::tempdir().unwrap();
    let honest = Arc::new(Server { can: can.clone(), ..Server::default() });
    publisher(&honest, &folder).run(&[wish(1, "ab")]).await.unwrap();
    let records = Mutex::new(honest.records.lock().unwrap().clone());
    let lied_to = Arc::new(Server { can, lied_about: true, records, ..Server::default() });
    let withdraw = Wish { intent: Intent::Withdraw, ..wish(1, "") };
    let run = publisher(&lied_to, &folder);
    let told = run.run(std::slice::from_ref(&withdraw)).await.unwrap();
    assert_eq!(told[0].error.as_ref().unwrap().reason, "lost-race", "{told:?}");
    assert_eq!(run.state.read().unwrap()[&name(1)], set("ab"));
    let run = publisher(&honest, &folder);
    let told = run.run(std::slice::from_ref(&withdraw)).await.unwrap();
    assert!(told[0].changed && told[0].error.is_none() && run.state.read().unwrap().is_empty(), "{told:?}");
    // Where nothing stands, the server's word is enough.
    publisher(&honest, &folder).run(&[wish(2, "a")]).await.unwrap();
    honest.records.lock().unwrap().remove(&name(2));
    let withdraw = Wish { intent: Intent::Withdraw, ..wish(2, "") };
    let told = run.run(&[withdraw]).await.unwrap();
    assert!(!told[0].changed && told[0].error.is_none() && run.state.read().unwrap().is_empty(), "{told:?}");
}
