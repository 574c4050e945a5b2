//! What is said at the end of a run over many hosts: who failed, folded by reason and by host.

use std::collections::BTreeMap;

use super::outcome::Failure;
use crate::error::Kind;
use crate::output::hosts;
use crate::proto::fold::fold;

/// Most words that hosts are named in; the rest is counted.
const MOST_WORDS: usize = 20;

/// These hosts in few words; `labels` are those of all.
pub(super) fn folded(labels: &[String], places: &[usize], most: usize) -> String {
    let names = places.iter().filter_map(|place| labels.get(*place)).map(String::as_str);
    let mut words = fold(names);
    let left = words.len().saturating_sub(most);
    words.truncate(most);
    let mut text = words.join(",");
    if left > 0 {
        text += &format!(" and {left} more");
    }
    text
}

/// As the node sets of clush: the hosts, however many they are. On a terminal they stand out, as no output does there: of
/// that no escape sequence is left.
pub(super) fn heading(labels: &[String], places: &[usize], stands_out: bool) -> String {
    let rule = "-".repeat(15);
    let count = if places.len() > 1 { format!(" ({})", places.len()) } else { String::new() };
    let hosts = format!("{}{count}", folded(labels, places, usize::MAX));
    let line = |text: &str| match stands_out {
        true => format!("\x1b[1m{text}\x1b[0m\n"),
        false => format!("{text}\n"),
    };
    [line(&rule), line(&hosts), line(&rule)].concat()
}

/// What failed, the gravest first; `not_run` were not begun, for the reason beside them. Nothing where nothing failed.
pub(super) fn summary(
    labels: &[String],
    failures: &[Failure],
    not_run: Option<(&[usize], &str)>,
) -> Vec<String> {
    let not_run = not_run.filter(|(places, _)| !places.is_empty());
    if failures.is_empty() && not_run.is_none() {
        return Vec::new();
    }
    let mut lines = vec![match not_run {
        None => format!("sshanchor: {} of {} failed", failures.len(), hosts(labels.len())),
        Some((places, _)) => format!(
            "sshanchor: {} of {} failed, {} not run",
            failures.len(),
            hosts(labels.len()),
            places.len()
        ),
    }];
    let rank = |kind: Kind| match kind {
        Kind::Rejected => (0, "rejected, "),
        Kind::Unproven => (1, "unproven, "),
        _ => (2, ""),
    };
    let mut alike: BTreeMap<_, Vec<&Failure>> = BTreeMap::new();
    for failure in failures {
        alike.entry((rank(failure.kind), &failure.reason)).or_default().push(failure);
    }
    for (((_, word), reason), alike) in alike {
        let places: Vec<usize> = alike.iter().map(|failure| failure.place).collect();
        let names = folded(labels, &places, MOST_WORDS);
        lines.push(format!("  {word}{reason}: {}: {names}", hosts(places.len())));
        // One of them stands for all.
        let Some(first) = alike.iter().min_by_key(|failure| failure.place) else { continue };
        lines.extend(first.message.iter().map(|message| format!("    {message}")));
        lines.extend(first.hint.iter().map(|hint| format!("    hint: {hint}")));
    }
    if let Some((places, why)) = not_run {
        lines.push(format!("  not run: {}: {}", hosts(places.len()), folded(labels, places, MOST_WORDS)));
        lines.push(format!("    {why}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        (0..10).map(|i| format!("web{i}.example.com")).collect()
    }

    fn failure(place: usize, kind: Kind, reason: &str) -> Failure {
        let message = Some(format!("web{place} is not as it should be"));
        Failure { place, kind, reason: reason.to_owned(), message, hint: Some("look at it".to_owned()) }
    }

    #[test]
    fn failures_are_told_by_reason_and_by_hosts_the_gravest_first() {
        let failures = [
            failure(7, Kind::Failure, "unreachable"),
            failure(3, Kind::Rejected, "key-mismatch"),
            failure(2, Kind::Rejected, "key-mismatch"),
            Failure { message: None, hint: None, ..failure(5, Kind::Failure, "exit status 7") },
            failure(1, Kind::Unproven, "no-record"),
        ];
        let told = summary(&labels(), &failures, Some((&[8, 9], "the time was over")));
        assert_eq!(
            told,
            [
                "sshanchor: 5 of 10 hosts failed, 2 not run",
                "  rejected, key-mismatch: 2 hosts: web[2-3].example.com",
                "    web2 is not as it should be",
                "    hint: look at it",
                "  unproven, no-record: 1 host: web1.example.com",
                "    web1 is not as it should be",
                "    hint: look at it",
                "  exit status 7: 1 host: web5.example.com",
                "  unreachable: 1 host: web7.example.com",
                "    web7 is not as it should be",
                "    hint: look at it",
                "  not run: 2 hosts: web[8-9].example.com",
                "    the time was over",
            ]
        );
        assert!(summary(&labels(), &[], Some((&[], "x"))).is_empty());
        assert!(summary(&labels(), &[], None).is_empty());
    }

    #[test]
    fn many_words_are_counted() {
        let labels: Vec<String> =
            (0..26u8).map(|i| format!("{}.example.com", char::from(b'a' + i))).collect();
        let all: Vec<usize> = (0..26).collect();
        let text = folded(&labels, &all, 20);
        assert!(text.starts_with("a.example.com,b.") && text.ends_with("t.example.com and 6 more"), "{text}");
        let plain = "---------------\na.example.com\n---------------\n";
        assert_eq!(heading(&labels[..1], &[0], false), plain);
        let bold = plain.lines().map(|line| format!("\x1b[1m{line}\x1b[0m\n")).collect::<String>();
        assert_eq!(heading(&labels[..1], &[0], true), bold);
    }
}
