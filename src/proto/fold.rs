//! Many names in few words: `web[1-3,7].example.com`, as the node sets of ClusterShell have them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Longest run of digits that counts as a number.
const MAX_DIGITS: usize = 18;

/// A part of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    /// Numbers, and how many digits each of them has at least.
    Numbers(usize, Vec<u64>),
}

/// The same names in as few words as their numbers allow for: each word stands for those that it says, and all words
/// together for every name once. Sorted.
pub fn fold<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<Vec<Part>> = names.into_iter().map(parts).collect();
    words.sort();
    words.dedup();
    let most = words.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..most {
        words = merged(words, at);
    }
    words.iter().map(|word| spelled(word)).collect()
}

fn parts(name: &str) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), name);
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (now, later) = rest.split_at(end);
        rest = later;
        let number = if is_digit && now.len() <= MAX_DIGITS { now.parse().ok() } else { None };
        parts.push(match number {
            Some(number) => Part::Numbers(now.len(), vec![number]),
            None => Part::Text(now.to_owned()),
        });
    }
    parts
}

/// Numbers, by the width that they are written in.
type Numbers = Vec<(usize, Vec<u64>)>;

/// Words that differ in the numbers at this place alone become one.
fn merged(words: Vec<Vec<Part>>, at: usize) -> Vec<Vec<Part>> {
    let mut alike: BTreeMap<(Vec<Part>, Vec<Part>), Numbers> = BTreeMap::new();
    let mut all = Vec::new();
    for word in words {
        match word.get(at) {
            Some(Part::Numbers(width, numbers)) => {
                let before = word.get(..at).unwrap_or_default().to_vec();
                let after = word.get(at + 1..).unwrap_or_default().to_vec();
                alike.entry((before, after)).or_default().push((*width, numbers.clone()));
            }
            _ => all.push(word),
        }
    }
    for ((before, after), numbers) in alike {
        for (width, mut numbers) in by_width(numbers) {
            numbers.sort_unstable();
            numbers.dedup();
            let mut word = before.clone();
            word.push(Part::Numbers(width, numbers));
            word.extend(after.iter().cloned());
            all.push(word);
        }
    }
    all.sort();
    all
}

/// 1 to 10 belong together, and so do 01 to 10, but 1 is not 01.
fn by_width(numbers: Numbers) -> Numbers {
    let mut padded: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut plain: Vec<(usize, u64)> = Vec::new();
    for (width, numbers) in numbers {
        for number in numbers {
            match width > digits(number) {
                true => padded.entry(width).or_default().push(number),
                false => plain.push((digits(number), number)),
            }
        }
    }
    let mut rest = Vec::new();
    for (width, number) in plain {
        match padded.get_mut(&width) {
            Some(numbers) => numbers.push(number),
            None => rest.push(number),
        }
    }
    let rest = (!rest.is_empty()).then_some((1, rest));
    rest.into_iter().chain(padded).collect()
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

fn spelled(word: &[Part]) -> String {
    let mut text = String::new();
    for part in word {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Numbers(width, numbers) => match numbers.as_slice() {
                [number] => drop(write!(text, "{number:0width$}")),
                numbers => drop(write!(text, "[{}]", ranges(numbers, *width))),
            },
        }
    }
    text
}

/// Of numbers in their order.
fn ranges(numbers: &[u64], width: usize) -> String {
    numbers
        .chunk_by(|a, b| a.checked_add(1) == Some(*b))
        .map(|run| match run {
            [first, .., last] => format!("{first:0width$}-{last:0width$}"),
            other => other.iter().map(|number| format!("{number:0width$}")).collect(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fold_where_all_else_is_the_same() {
        for (names, folded) in [
            (vec!["web1.example.com"], vec!["web1.example.com"]),
            (vec!["web2", "web1", "web3", "web7", "web9", "web10"], vec!["web[1-3,7,9-10]"]),
            (vec!["web1", "web1"], vec!["web1"]),
            (vec!["db1", "web1", "web2", "mail"], vec!["db1", "mail", "web[1-2]"]),
            // Padded numbers are other names.
            (vec!["n08", "n09", "n10", "n8"], vec!["n8", "n[08-10]"]),
            (vec!["n1", "n001"], vec!["n1", "n001"]),
            (vec!["n0", "n1", "n00"], vec!["n[0-1]", "n00"]),
            // Of two numbers the first one first, and both where they make a whole.
            (vec!["r1n1.x", "r1n2.x", "r2n1.x", "r2n2.x", "r3n1.x"], vec!["r[1-2]n2.x", "r[1-3]n1.x"]),
            (vec!["r1n1", "r1n2", "r2n2", "r2n1"], vec!["r[1-2]n[1-2]"]),
            (vec!["r1n1", "r2n2"], vec!["r1n1", "r2n2"]),
            (vec!["192.0.2.1", "192.0.2.2"], vec!["192.0.2.[1-2]"]),
            (
                vec!["n99999999999999999999", "n99999999999999999998"],
                vec!["n99999999999999999998", "n99999999999999999999"],
            ),
            (vec![], vec![]),
        ] {
            let (mut is, mut want) = (fold(names.iter().copied()), folded);
            is.sort();
            want.sort();
            assert_eq!(is, want, "{names:?}");
        }
    }

    #[test]
    fn ten_thousand_hosts_are_one_word() {
        let names: Vec<String> = (1..=10_000).map(|i| format!("h{i}.dc{}.example.com", i % 2)).collect();
        let folded = fold(names.iter().map(String::as_str));
        assert_eq!(folded.len(), 2, "{folded:?}");
        let names: Vec<String> = (1..=10_000).map(|i| format!("h{i}.example.com")).collect();
        assert_eq!(fold(names.iter().map(String::as_str)), ["h[1-10000].example.com"]);
    }
}
