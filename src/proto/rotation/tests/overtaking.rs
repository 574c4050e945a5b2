//! Keys that turn out to have leaked while a change is under way.

use super::*;

#[test]
fn more_keys_that_leak_join_the_change_that_is_under_way() {
    let more = || {
        let key_type = KeyType::EcdsaP256;
        vec![Change { key_type, path: "/m".into(), old: Some([3; 32]), new: None }]
    };
    let others = BTreeSet::new();
    let keys = |[a, b]: [Digest; 2]| [Some(a), Some(b)];
    let at = |round: &Round, disk: [Digest; 2], shown: &[Digest], drop_in| {
        let (disk, sights) = (keys(disk), both(shown));
        decide(&Facts {
            now: NOW + 50,
            round: Some(round),
            disk: &disk,
            is_half: false,
            tells_next: false,
            others: &others,
            is_exposed: false,
            has_drop_in: drop_in,
            sights: &sights,
            settle: 10,
            margin: 0,
            dead_after: 1000,
        })
    };
    let (first, second) = ([3; 32], [4; 32]);
    // Wherever it is: planned, an emergency, on its way back.
    let late = Round { touched: Some(NOW), hidden: Some(NOW), replaced: Some(NOW), ..round(Mode::Hide) };
    let spread = Round { spread: Some(NOW), mode: Mode::Compromised, ..late.clone() };
    let mut back = late.clone();
    back.abort(NOW).unwrap();
    let overlap = Round { replaced: Some(NOW), shown: Some(NOW), ..round(Mode::Overlap) };
    for (mut round, on_disk) in [(late.clone(), NEW), (spread, NEW), (back.clone(), OLD), (overlap, NEW)] {
        round.overtake(more(), false);
        assert_eq!(round.mode, Mode::Compromised);
        assert_eq!(at(&round, [on_disk, first], &[NEW, first], true), Step::Prepare, "{round:?}");
        round.changes[1].new = Some(second);
        assert_eq!(at(&round, [on_disk, first], &[NEW, first], true), Step::Replace);
        round.begin(&Step::Replace, NOW + 50);
        assert_eq!(at(&round, [NEW, first], &[NEW, first], true), Step::Replace);
        assert_eq!(at(&round, [NEW, second], &[NEW, first], true), Step::Show, "nothing is waited for");
        round.mark(&Step::Show, NOW + 50);
        assert_eq!(at(&round, [NEW, second], &[NEW, first], false), Step::Publish);
        assert_eq!(at(&round, [NEW, second], &[NEW, second], false), Step::Finish);
        assert_eq!(round.leaving(), BTreeSet::from([OLD, first]));
    }
    // Where a third one serves, both are hidden.
    let mut round = late.clone();
    round.overtake(more(), true);
    round.changes[1].new = Some(second);
    assert_eq!(at(&round, [NEW, first], &[NEW, first], true), Step::Hide);
    // Without more: forward, and from an overlap without the old key.
    back.shown = Some(NOW);
    back.overtake(Vec::new(), true);
    assert_eq!(next_of(&back, NOW, OLD, &both(&[OLD, OTHER])), Step::Hide, "nobody goes back to it");
    let mut overlap = Round { replaced: Some(NOW), shown: Some(NOW), ..super::round(Mode::Overlap) };
    overlap.overtake(Vec::new(), true);
    assert_eq!(next_of(&overlap, NOW, NEW, &both(&[OLD, NEW, OTHER])), Step::Publish, "at once");
    assert!(!late.is_over() && Round { shown: Some(NOW), ..late }.is_over());
}
