use std::collections::BTreeSet;

use super::super::samples::{fleet, hostile, many};
use super::*;
use crate::proto::audit::Report;

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn the_page_has_what_the_report_has() {
    let report = fleet();
    let page = html(&report);
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">") && page.ends_with("</html>\n"));
    assert_eq!(count(&page, "<tbody id=\"host-"), report.hosts.len());
    assert_eq!(count(&page, "<tr data-finding>"), report.all_findings().count());
    for (word, number) in [("hosts", 10), ("accept", 6), ("reject", 1), ("unproven", 2), ("unreachable", 1)] {
        assert!(page.contains(&format!("data-count=\"{word}\">{number}<")), "{word}");
    }
    for told in [
        "6 of 10 hosts are what DNSSEC proves. The others: 1 rejected, 2 unproven, 1 unreachable.",
        "3 errors and 4 warnings are to be looked at.",
        "Changes since <time datetime=\"2026-11-20T12:00:00Z\">",
        "A live key contradicts the proven records of its algorithm",
        "<b>What to do:</b> on that host: <code>sshanchor publish --name backup.example.com</code>",
        "backup.example.com:2222",
        "web0.example.com:22",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn nothing_is_loaded_and_only_what_stands_here_runs() {
    let page = html(&fleet());
    let policy =
        page.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let digest = |element: &str| {
        let inner = page.split(&format!("<{element}>")).nth(1).unwrap();
        BASE64.encode(&Sha256::digest(inner.split(&format!("</{element}>")).next().unwrap()))
    };
    assert!(policy.contains(&format!("script-src 'sha256-{}'", digest("script"))), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{}'", digest("style"))), "{policy}");
    for foreign in ["http:", "https:", "//", " src=", "url(", "@import", " style=", " onclick", "javascript:"]
    {
        let around = page.replace(SCRIPT, "");
        assert!(!around.contains(foreign), "{foreign}");
    }
    // The tags of either would end it before its end.
    assert!(!STYLE.contains('<') && !SCRIPT.contains("</"));
}

#[test]
fn hostile_text_is_text() {
    let page = html(&hostile());
    assert!(page.is_ascii() && page.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)));
    let plain = page.replace(STYLE, "").replace(SCRIPT, "");
    let is_tag = |name: &&str| !name.starts_with('/');
    let tags: BTreeSet<&str> = plain
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split([' ', '>', '\n']).next())
        .filter(is_tag)
        .collect();
    for evil in ["script", "img", "b", "!--"] {
        let expected = usize::from(evil == "script");
        if evil != "b" {
            assert_eq!(count(&plain, &format!("<{evil}")), expected, "{evil} among {tags:?}");
        }
    }
    // 100 kB in each of the texts is not 100 kB in each place.
    assert!(page.len() < 1_500_000, "{}", page.len());
}

#[test]
fn each_id_stands_once_and_each_link_leads_somewhere() {
    for page in [html(&fleet()), html(&hostile())] {
        let after = |what: &str| -> Vec<String> {
            page.split(what).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let ids = after(" id=\"");
        let known: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(known.len(), ids.len());
        for to in after("href=\"#").into_iter().chain(after("aria-labelledby=\"")) {
            assert!(known.contains(&to), "{to}");
        }
    }
}

#[test]
fn a_report_of_nothing_is_a_page_too() {
    let page = html(&Report::new(0, Vec::new(), Vec::new(), Vec::new()));
    assert!(page.contains("No host was audited.") && page.contains("1970-01-01 00:00"));
    assert!(!page.contains("id=\"host-table\"") && !page.contains("id=\"zones\""));
}

#[test]
fn a_page_of_ten_thousand_hosts_is_not_too_large() {
    let page = html(&many(10_000));
    assert_eq!(count(&page, "<tbody id=\"host-"), 10_000);
    assert!(page.len() < 40_000_000, "{}", page.len());
}
