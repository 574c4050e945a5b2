//! What the file holds: a first line that says whose it is, then one record a line. Nothing else is read, and nothing
//! else written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::proto::name::Name;
use crate::proto::plan::{MAX_TTL, Plan, Present};
use crate::proto::sshfp::Sshfp;

/// The records of a file, by owner.
pub type Records = BTreeMap<Name, Present>;

/// The first line: whoever opens the file is told, and a file without it is not ours.
fn heading(zone: &Name) -> String {
    format!("; sshanchor 1 zone {zone}: written by sshanchor alone, and included by the zone file")
}

/// The records of `text`; an empty one has none. The error says on which line what is wrong.
pub fn parse(text: &str, zone: &Name) -> Result<Records, String> {
    let mut records = Records::new();
    let mut lines = text.lines().enumerate();
    match lines.next() {
        None => return Ok(records),
        Some((_, first)) if first == heading(zone) => {}
        Some(_) => return Err(format!("line 1 is not \"{}\"", heading(zone))),
    }
    if !text.ends_with('\n') {
        return Err("the last line is not complete".to_owned());
    }
    for (at, line) in lines {
        let wrong = || format!("line {} is not one that sshanchor writes", at + 1);
        let mut fields = line.split('\t');
        let (Some(owner), Some(ttl), Some("IN"), Some("SSHFP"), Some(record), None) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(wrong());
        };
        let owner =
            owner.strip_suffix('.').and_then(|owner| Name::from_text(owner).ok()).ok_or_else(wrong)?;
        let ttl = ttl.parse::<u32>().ok().filter(|ttl| *ttl <= MAX_TTL).ok_or_else(wrong)?;
        let record = Sshfp::from_text(record).map_err(|_| wrong())?;
        if !owner.is_at_or_below(zone) {
            return Err(format!("line {}: {owner} does not lie in zone {zone}", at + 1));
        }
        let set = records.entry(owner.clone()).or_default();
        if set.ttl.is_some_and(|other| other != ttl) {
            return Err(format!("line {}: another TTL of {owner} than before", at + 1));
        }
        *set = Present::new(ttl, std::mem::take(&mut set.records).into_iter().chain([record]));
    }
    Ok(records)
}

/// The text that [`parse`] reads.
pub fn write(records: &Records, zone: &Name) -> String {
    let mut text = heading(zone) + "\n";
    for (owner, set) in records {
        for (record, ttl) in set.records.iter().zip(std::iter::repeat(set.ttl.unwrap_or_default())) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{owner}.\t{ttl}\tIN\tSSHFP\t{record}");
        }
    }
    text
}

/// The records once `plans` are in effect; the first owner whose records are not those that its plan was made for.
pub fn after(mut records: Records, plans: &[Plan]) -> Result<Records, Name> {
    for plan in plans {
        let present = records.remove(&plan.owner).unwrap_or_default();
        if present != plan.present {
            return Err(plan.owner.clone());
        }
        let set = Present::new(plan.ttl, plan.outcome());
        if !set.records.is_empty() {
            records.insert(plan.owner.clone(), set);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::plan::Intent;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn set(ttl: u32, letters: &str) -> Present {
        let record = |b| Sshfp::from_rdata(&[&[4, 2], [b; 32].as_slice()].concat()).unwrap();
        Present::new(ttl, letters.bytes().map(record))
    }

    fn sample() -> Records {
        [(name("_22._ssh.a.example"), set(60, "ab")), (name("b.example"), set(0, "c"))].into()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for records in [Records::new(), sample()] {
            assert_eq!(parse(&write(&records, &name("example")), &name("example")), Ok(records));
        }
        assert_eq!(parse("", &name("example")), Ok(Records::new()), "a new file");
    }

    #[test]
    fn a_file_with_anything_else_is_not_ours() {
        let good = write(&sample(), &name("example"));
        let line = good.lines().nth(1).unwrap();
        assert!(parse(&good, &name("other")).is_err(), "that of another zone");
        for bad in [
            "\n".to_owned(),
            "$ORIGIN example.\n".to_owned(),
            good.replacen("; sshanchor 1", "; sshanchor 2", 1),
            format!("{good}; a comment\n"),
            format!("{good}\n"),
            format!("{good}www.example.\t60\tIN\tA\t192.0.2.1\n"),
            format!("{good}{}\n", line.replace("\t60\t", "\t61\t")),
            format!("{good}{}\n", line.replace('\t', " ")),
            format!("{good}{}\n", line.replace(".example.", ".example")),
            format!("{good}{}\n", line.replace(".example.", ".elsewhere.")),
            good.trim_end().to_owned(),
        ] {
            assert!(parse(&bad, &name("example")).is_err(), "{bad}");
        }
    }

    #[test]
    fn plans_hold_only_for_what_they_were_made_for() {
        let plan = |present: Present, letters| {
            let wanted = set(300, letters).records;
            Plan::new(
                &name("b.example"),
                &present,
                &wanted,
                &[].into(),
                Intent::Publish { ttl: None, prune: true },
            )
        };
        let after_it = after(sample(), &[plan(set(0, "c"), "d").unwrap()]).unwrap();
        assert_eq!(after_it[&name("b.example")], set(0, "d"));
        assert_eq!(after(sample(), &[plan(set(0, "x"), "d").unwrap()]), Err(name("b.example")));
        assert_eq!(after(sample(), &[plan(set(1, "c"), "d").unwrap()]), Err(name("b.example")));
    }
}
