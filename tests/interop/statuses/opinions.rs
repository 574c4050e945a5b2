//! What unbound and delv think of an answer, in our words.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::support::peer::command;
use crate::support::{Sandbox, run, run_ok};

/// unbound's word for each name and type. AD makes `secure`, or `absent` where there is no record of the
/// type; without AD it is `insecure`; SERVFAIL is `bogus` if it goes away with CD, and else `indeterminate`.
pub fn unbound_says(addr: SocketAddr, questions: &[(&str, &str)], sandbox: &Sandbox) -> Vec<String> {
    let checked = dig(addr, questions, "+nocdflag", sandbox);
    let unchecked = dig(addr, questions, "+cdflag", sandbox);
    let told = questions.iter().zip(checked.iter().zip(&unchecked)).map(|(&(_, rtype), (answer, cd))| {
        let has = |word: &str| answer.contains(word);
        match () {
            () if has("status: SERVFAIL") && cd.contains("status: SERVFAIL") => "indeterminate",
            () if has("status: SERVFAIL") => "bogus",
            () if !answer.lines().any(|line| line.contains("flags:") && line.contains(" ad")) => "insecure",
            () if has_data(answer, rtype) => "secure",
            () => "absent",
        }
        .to_owned()
    });
    told.collect()
}

/// A record that `rtype` asks for is among the lines of an answer: for other types neither an alias nor a
/// signature is. Types may be spelt in two ways, so they are not compared.
fn has_data(text: &str, rtype: &str) -> bool {
    let answer = text.split("AUTHORITY SECTION").next().unwrap_or_default();
    let records = answer.lines().filter(|line| !line.starts_with(';'));
    records.map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| match words[..] {
        [_, _, "IN", found, ..] => found == rtype || !["RRSIG", "CNAME", "DNAME"].contains(&found),
        _ => false,
    })
}

/// One dig for all: its answers in the order of the questions.
fn dig(addr: SocketAddr, questions: &[(&str, &str)], cd: &str, sandbox: &Sandbox) -> Vec<String> {
    let lines: String = questions.iter().map(|(name, rtype)| format!("{name} {rtype}\n")).collect();
    let file = sandbox.write(&format!("dig-{:08x}", rand::random::<u32>()), &lines);
    let mut dig = command("dig");
    dig.arg(format!("@{}", addr.ip())).args(["-p", &addr.port().to_string(), "-f"]).arg(file);
    let text = run_ok(dig.args([cd, "+dnssec", "+adflag", "+tries=1", "+time=10", "+nocmd", "+nosplit"]));
    let answers: Vec<String> = text.split(";; ->>HEADER<<-").skip(1).map(str::to_owned).collect();
    assert_eq!(answers.len(), questions.len(), "{text}");
    answers
}

/// delv's word, with `resolver` to ask for data that delv judges itself.
pub fn delv(resolver: SocketAddr, anchors: &Path, name: &str, rtype: &str) -> String {
    let mut delv = command("delv");
    delv.arg(format!("@{}", resolver.ip())).args(["-p", &resolver.port().to_string(), "+cdflag"]);
    delv.arg("-a").arg(anchors).args(["+root=.", "-q", name, "-t", rtype]);
    let finished = run(&mut delv, Duration::from_secs(30));
    let text = finished.stdout + &finished.stderr;
    let failure = text.lines().find_map(|line| line.strip_prefix(";; resolution failed: "));
    let has = |word: &str| text.lines().any(|line| line.starts_with("; ") && line.contains(word));
    match failure {
        Some("failure" | "timed out") => "indeterminate",
        Some(why) if !why.starts_with("ncache") => "bogus",
        _ if has("unsigned answer") => "insecure",
        _ if has("fully validated") && has_data(&text, rtype) => "secure",
        _ if has("fully validated") => "absent",
        _ => "indeterminate",
    }
    .to_owned()
}
