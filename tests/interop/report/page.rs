//! The page, in a real browser.

use serde_json::{Value, json};
use sshanchor::fleet::report::html;
use sshanchor::proto::audit::Report;

use super::samples::{fleet, hostile, many};
use crate::support::Sandbox;
use crate::support::browser::Browser;

/// Shows a report, and says what the page has asked for or complained of beside itself.
struct Shown {
    browser: Browser,
    _sandbox: Sandbox,
}

impl Shown {
    fn new(report: &Report) -> Shown {
        let sandbox = Sandbox::new();
        let file = sandbox.write("audit.html", &html(report));
        let mut browser = Browser::open();
        browser.width(1280);
        browser.load(&file);
        Shown { browser, _sandbox: sandbox }
    }

    #[track_caller]
    fn is_quiet(&mut self) {
        // Whatever was under way is told before this is answered.
        self.browser.evaluate("new Promise((done) => setTimeout(done, 0))");
        let requests = self.browser.seen(&["Network.requestWillBeSent"]);
        assert_eq!(requests.len(), 1, "beside the file itself: {requests:?}");
        let complaints = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
        let complaints = self.browser.seen(&complaints);
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// How many elements there are that are shown.
    #[track_caller]
    fn count(&mut self, selector: &str) -> u64 {
        let script = format!(
            "Array.from(document.querySelectorAll({})).filter((e) => !e.closest('[hidden]')).length",
            json!(selector)
        );
        self.browser.evaluate(&script).as_u64().unwrap()
    }

    /// Types into the filter, and waits until the page has followed.
    fn filter(&mut self, words: &str) -> String {
        let script = format!(
            "(async () => {{ const input = document.getElementById('filter'); input.value = {}; \
             input.dispatchEvent(new InputEvent('input', {{ bubbles: true }})); {FOLLOWED} }})()",
            json!(words)
        );
        self.browser.evaluate(&script).as_str().unwrap().to_owned()
    }

    fn verdict(&mut self, word: &str) -> String {
        let script = format!(
            "(async () => {{ document.querySelector('input[value={word}]').click(); {FOLLOWED} }})()"
        );
        self.browser.evaluate(&script).as_str().unwrap().to_owned()
    }
}

/// The page filters before it paints next.
const FOLLOWED: &str = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); \
                        return document.getElementById('shown').value";

#[test]
fn the_page_loads_nothing_complains_of_nothing_and_counts_as_the_report_does() {
    let report = fleet();
    let mut shown = Shown::new(&report);
    shown.is_quiet();
    let counts = shown.browser.evaluate(
        "Object.fromEntries(Array.from(document.querySelectorAll('[data-count]'), (e) => [e.dataset.count, +e.textContent]))",
    );
    let summary = report.summary;
    let wanted = json!({
        "hosts": summary.hosts, "accept": summary.accept, "reject": summary.reject, "unproven": summary.unproven,
        "unreachable": summary.unreachable, "errors": summary.errors, "warnings": summary.warnings, "info": summary.infos,
    });
    assert_eq!(counts, wanted);
    assert_eq!(shown.count("#host-table > tbody"), summary.hosts as u64);
    assert_eq!(shown.count("tr[data-finding]"), report.all_findings().count() as u64);
    for (severity, count) in
        [("error", summary.errors), ("warning", summary.warnings), ("info", summary.infos)]
    {
        assert_eq!(
            shown.count(&format!("#findings .{severity} tr[data-finding]")),
            count as u64,
            "{severity}"
        );
    }
    for (verdict, count) in
        [("accept", summary.accept), ("reject", summary.reject), ("unproven", summary.unproven)]
    {
        assert_eq!(shown.count(&format!("tbody[data-verdict={verdict}]")), count as u64, "{verdict}");
    }
    // One of each landmark, one title, and headings without a gap.
    for (selector, count) in [("body > header", 1), ("main", 1), ("nav", 1), ("body > footer", 1), ("h1", 1)]
    {
        assert_eq!(shown.count(selector), count, "{selector}");
    }
    let gaps = shown.browser.evaluate(
        "(() => { let last = 0; return Array.from(document.querySelectorAll('h1,h2,h3,h4')).filter((h) => { \
         const level = +h.tagName[1], gap = level > last + 1; last = level; return gap; }).map((h) => h.textContent); })()",
    );
    assert_eq!(gaps, json!([]));
    assert_eq!(shown.count("th:not([scope])"), 0);
}

#[test]
fn nothing_that_a_peer_has_sent_runs_or_is_markup() {
    let report = hostile();
    let mut shown = Shown::new(&report);
    shown.is_quiet();
    // Every event that an attribute could have hung on.
    shown.browser.evaluate(
        "for (const e of document.querySelectorAll('*')) for (const type of ['mouseover', 'focus', 'error', 'click']) \
         if (e.tagName !== 'A') e.dispatchEvent(new Event(type))",
    );
    assert_eq!(shown.browser.evaluate("typeof window.owned"), "undefined");
    assert_eq!(
        shown.count("main script, main img, main style, main b b, main iframe, main [onmouseover]"),
        0
    );
    assert_eq!(shown.browser.evaluate("document.querySelectorAll('script').length"), 1);
    assert_eq!(shown.count("#host-table > tbody"), report.hosts.len() as u64);
    let odd = "(document.documentElement.textContent.match(/[^\\n\\x20-\\x7e\\u00b7]/g) ?? []).length";
    assert_eq!(shown.browser.evaluate(odd), 0);
    // A text can be found as it is.
    assert!(shown.filter("<script>window.owned=1</script>").starts_with(|c: char| c.is_ascii_digit()));
    assert!(shown.count("#host-table > tbody") > 0);
    shown.is_quiet();
}

#[test]
fn the_policy_of_the_page_stops_what_would_get_into_it() {
    let mut shown = Shown::new(&fleet());
    let run = "(async () => { const script = document.createElement('script'); script.textContent = 'window.owned = 1'; \
               document.body.append(script); const box = document.createElement('div'); \
               box.innerHTML = '<img src=x onerror=window.owned=2>'; document.body.append(box); \
               box.style.color = 'red'; const fetched = await fetch('http://127.0.0.1:9/').then(() => 'yes', () => 'no'); \
               return [typeof window.owned, fetched]; })()";
    assert_eq!(shown.browser.evaluate(run), json!(["undefined", "no"]));
    let violations = shown.browser.seen(&["Log.entryAdded"]);
    assert!(violations.len() >= 3, "{violations:?}");
}

#[test]
fn the_filter_finds_hosts_and_findings_and_the_titles_sort() {
    let mut shown = Shown::new(&fleet());
    assert_eq!(shown.count(".controls"), 1);
    assert_eq!(shown.filter("DB1 key-mismatch"), "1 of 10 hosts, 1 of 9 findings");
    assert_eq!(shown.count("#host-table > tbody"), 1);
    assert_eq!(shown.count("#findings details.group"), 1);
    assert_eq!(shown.filter("no such thing"), "0 of 10 hosts, 0 of 9 findings");
    assert_eq!(shown.filter(""), "10 hosts, 9 findings");
    assert_eq!(shown.verdict("unproven"), "2 of 10 hosts, 9 findings");
    assert_eq!(shown.filter("backup"), "1 of 10 hosts, 1 of 9 findings");
    // A link to a host that is filtered out shows it, and opens what is known of it.
    let seen = shown.browser.evaluate(
        "(async () => { document.querySelector('#changes a[href=\"#host-6\"]').click(); \
         await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); \
         const body = document.getElementById('host-6'); \
         return [body.hidden, body.querySelector('details').open, document.getElementById('shown').value]; })()",
    );
    assert_eq!(seen, json!([false, true, "10 hosts, 9 findings"]));
    let mut order = |column: usize| -> Value {
        shown.browser.evaluate(&format!(
            "(() => {{ const head = document.querySelectorAll('#host-table thead th')[{column}]; \
             head.querySelector('button').click(); \
             return [head.getAttribute('aria-sort'), document.querySelector('#host-table tbody th').textContent]; }})()"
        ))
    };
    assert_eq!(order(0), json!(["ascending", "backup.example.com:2222"]));
    assert_eq!(order(0), json!(["descending", "web6.example.com:22"]));
    assert_eq!(order(1), json!(["ascending", "db1.example.com:22"]));
    assert_eq!(order(2), json!(["descending", "db1.example.com:22"]));
}

/// Texts whose colour is too close to what is behind them (WCAG 2, 1.4.3: 4.5 to 1), and how many were looked at.
const CONTRAST: &str = r#"
(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { rgb, a } = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return rgb;
      if (a !== 0) throw new Error('half transparent');
    }
    return [255, 255, 255];
  };
  let seen = 0;
  const bad = [];
  for (const details of document.querySelectorAll('details')) details.open = true;
  for (const element of document.querySelectorAll('body *')) {
    const own = Array.from(element.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || ['SCRIPT', 'STYLE'].includes(element.tagName) || !element.checkVisibility()) continue;
    seen += 1;
    const [a, b] = [parse(getComputedStyle(element).color).rgb, behind(element)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(element.className + ' ' + element.textContent.slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return { seen, bad, page: getComputedStyle(document.body).backgroundColor };
})()
"#;

#[test]
fn light_and_dark_have_contrast() {
    let mut shown = Shown::new(&fleet());
    let mut pages = Vec::new();
    for scheme in ["light", "dark"] {
        shown.browser.prefer(scheme);
        let told = shown.browser.evaluate(CONTRAST);
        assert_eq!(told["bad"], json!([]), "{scheme}");
        assert!(told["seen"].as_u64().unwrap() > 200, "{told}");
        pages.push(told["page"].clone());
    }
    assert_ne!(pages[0], pages[1]);
}

#[test]
fn a_telephone_shows_all_of_it_without_scrolling_sideways() {
    for report in [fleet(), hostile()] {
        let mut shown = Shown::new(&report);
        for width in [360, 800, 1280] {
            shown.browser.width(width);
            let told = shown.browser.evaluate(
                "for (const details of document.querySelectorAll('details')) details.open = true; \
                 document.documentElement.scrollWidth",
            );
            assert!(told.as_u64().unwrap() <= u64::from(width), "{told} at {width}");
        }
    }
}

#[test]
fn a_print_has_the_findings_and_not_the_controls() {
    let mut shown = Shown::new(&many(300));
    shown.browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    let told = shown.browser.evaluate(
        // What was closed is laid out with one of the next frames.
        "(async () => { const seen = (e) => e.checkVisibility({ contentVisibilityAuto: true }) && e.getClientRects().length > 0; \
         const closed = Array.from(document.querySelectorAll('#findings details:not([open]) tr[data-finding]')); \
         for (let frames = 0; frames < 300 && !closed.every(seen); frames += 1) await new Promise(requestAnimationFrame); \
         return [closed.length > 10, closed.every(seen), seen(document.querySelector('.controls')), \
         seen(document.querySelector('nav'))]; })()",
    );
    assert_eq!(told, json!([true, true, false, false]));
}

#[test]
fn ten_thousand_hosts_are_usable() {
    let report = many(10_000);
    let mut shown = Shown::new(&report);
    shown.is_quiet();
    assert_eq!(shown.count("#host-table > tbody"), 10_000);
    let shows = shown.filter("node4242.example.com");
    assert!(shows.starts_with("1 of 10,000 hosts, 0 of "), "{shows}");
    assert_eq!(shown.count("#host-table > tbody"), 1);
    assert!(shown.verdict("all").starts_with("1 of 10,000 hosts"));
    shown.filter("");
    assert!(shown.verdict("reject").starts_with("100 of 10,000 hosts"), "of each hundred one is rejected");
    shown.browser.evaluate("document.querySelectorAll('#host-table thead button')[1].click()");
    let counters = shown.browser.call("Memory.getDOMCounters", json!({}));
    assert!(counters["nodes"].as_u64().unwrap() < 3_000_000, "{counters}");
    let heap = shown.browser.call("Runtime.getHeapUsage", json!({}));
    assert!(heap["usedSize"].as_f64().unwrap() < 512e6, "{heap}");
}
