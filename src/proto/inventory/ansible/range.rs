//! Ranges of Ansible's hosts: `www[01:50].example.com`, `db-[a:f]`, `n[0:10:2]`; and the port behind a host.

use super::InventoryError;
use crate::proto::inventory::MAX_HOSTS;

/// Letters of ranges, in their order (Python's `string.ascii_letters`).
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// `HOST`, `HOST:PORT`, `[HOST]:PORT`: the host with its ranges, and the port. Anything with more colons is a host.
pub fn host_and_port(text: &str) -> (&str, Option<u16>) {
    let port = |digits: &str| digits.parse().ok().filter(|port: &u16| *port > 0);
    if let Some((host, digits)) = text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"))
        && let Some(port) = port(digits)
    {
        return (host, Some(port));
    }
    match text.rsplit_once(':') {
        Some((host, digits)) if !has_colon(host) => match port(digits) {
            Some(port) => (host, Some(port)),
            None => (text, None),
        },
        _ => (text, None),
    }
}

/// Outside of brackets.
fn has_colon(text: &str) -> bool {
    let mut depth = 0_usize;
    text.chars().any(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    })
}

/// Every host that is meant, at most `room` of them.
pub fn expand(text: &str) -> Result<Vec<String>, InventoryError> {
    let bad =
        || InventoryError::Form(format!("{text:?} is no range of hosts: want [01:50], [a:f], [0:10:2]"));
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let (inside, behind) = after.split_once(']').ok_or_else(bad)?;
        let parts = part(inside).ok_or_else(bad)?;
        if names.len().saturating_mul(parts.len()) > MAX_HOSTS {
            return Err(InventoryError::TooMany);
        }
        let each =
            |name: &String| parts.iter().map(|part| format!("{name}{before}{part}")).collect::<Vec<_>>();
        names = names.iter().flat_map(each).collect();
        rest = behind;
    }
    names.iter_mut().for_each(|name| *name += rest);
    Ok(names)
}

/// What stands in one pair of brackets; none if that is no range, or one of more than [`MAX_HOSTS`].
fn part(inside: &str) -> Option<Vec<String>> {
    let mut bounds = inside.split(':');
    let (first, last, step) = (bounds.next()?, bounds.next()?, bounds.next());
    if bounds.next().is_some() || last.is_empty() {
        return None;
    }
    let first = if first.is_empty() { "0" } else { first };
    let step = step.map_or(Some(1), |step| step.parse::<usize>().ok().filter(|step| *step > 0))?;
    let letter = |text: &str| match text.as_bytes() {
        [letter] => LETTERS.iter().position(|l| l == letter),
        _ => None,
    };
    if let (Some(from), Some(to)) = (letter(first), letter(last)) {
        let letters = LETTERS.get(from..=to).filter(|letters| !letters.is_empty())?;
        return Some(letters.iter().step_by(step).map(|l| char::from(*l).to_string()).collect());
    }
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    if width > 0 && width != last.len() {
        return None;
    }
    let number = |digits: &str| {
        let is_number = digits.len() < 19 && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let (from, to) = (number(first)?, number(last)?);
    let count = to.checked_sub(from)? / step as u64;
    if count >= MAX_HOSTS as u64 {
        return None;
    }
    Some((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}
