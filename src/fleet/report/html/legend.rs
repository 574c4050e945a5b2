//! What the words of the page mean.

/// A word and its meaning.
type Words = &'static [(&'static str, &'static str)];

const VERDICTS: Words = &[
    (
        "accept",
        "The key that the host shows is proven: by DNSSEC signatures that were checked here, from a trust anchor down.",
    ),
    (
        "reject",
        "A proof speaks against the host: its key is another than is published, is revoked, or is not allowed.",
    ),
    (
        "unproven",
        "Nothing vouches for the host: there is no record, the zone is not signed, or data is missing or does not hold.",
    ),
    ("unreachable", "The host showed no key, so that there was nothing to compare."),
];

const SEVERITIES: Words = &[
    ("error", "The host cannot be verified, or is not what DNS says."),
    ("warning", "It weakens verification, or will break it."),
    ("info", "Worth knowing; nothing has to be done."),
];

const STATUSES: Words = &[
    ("secure", "Every signature holds, from the trust anchor down to the records."),
    ("insecure", "The zone is proven to be unsigned: what it says can be forged."),
    ("bogus", "A signature that must be there is missing, or does not hold."),
    ("absent", "The zone proves that there is no such record."),
    ("indeterminate", "There was no answer that tells."),
];

pub(super) fn section(page: &mut String) {
    page.push_str("<section id=\"legend\" aria-labelledby=\"legend-title\">\n<h2 id=\"legend-title\">What the words mean</h2>\n<div class=\"words\">\n");
    for (title, words) in [("Verdicts", VERDICTS), ("Severities", SEVERITIES), ("DNS", STATUSES)] {
        page.push_str(&format!("<div>\n<h3>{title}</h3>\n<dl>\n"));
        for (word, meaning) in words {
            page.push_str(&format!("<dt>{word}</dt><dd>{meaning}</dd>\n"));
        }
        page.push_str("</dl>\n</div>\n");
    }
    page.push_str("</div>\n</section>\n");
}
