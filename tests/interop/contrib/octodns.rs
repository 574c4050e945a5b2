//! contrib/exec/octodns with the real octoDNS, its provider for dynamic updates, and BIND behind that.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::contrib;
use crate::interop::primary::{FOREIGN, HOST, LIMIT, Primary, key, record, sorted};
use crate::support::{Finished, run, venv};

struct OctoDns {
    primary: Primary,
}

impl OctoDns {
    fn new() -> OctoDns {
        let primary = Primary::bind();
        let (addr, sandbox) = (primary.addr(), primary.sandbox());
        let providers: String = ["zone", "web2"]
            .map(|name| {
                format!(
                    "  {name}:\n    class: octodns_bind.Rfc2136Provider\n    host: {}\n    port: {}\n    key_name: {name}\n\
                     \x20   key_secret: env/TSIG_{name}\n    key_algorithm: hmac-sha256\n",
                    addr.ip(),
                    addr.port()
                )
            })
            .concat();
        sandbox.write("octodns.yaml", &format!("providers:\n{providers}zones: {{}}\n"));
        OctoDns { primary }
    }

    /// Python, the program, and its options for this provider.
    fn words(&self, provider: &str) -> Vec<String> {
        let python = venv::program("python").display().to_string();
        let config = self.primary.sandbox().join("octodns.yaml").display().to_string();
        let program = contrib("exec/octodns").display().to_string();
        [&python, &program, "--config", &config, "--provider", provider].map(str::to_owned).to_vec()
    }

    fn with_secrets(&self, command: &mut Command) {
        for tsig in &self.primary.tree().tsig {
            command.env(format!("TSIG_{}", tsig.name), &tsig.secret);
        }
    }

    fn run(&self, command: &str, provider: &str, keys: &[&Path], more: &[&str]) -> (Finished, Value) {
        let (sandbox, addr) = (self.primary.sandbox(), self.primary.addr().to_string());
        let words = self.words(provider);
        let program = shlex::try_join(words.iter().map(String::as_str)).unwrap();
        let mut sshanchor = sandbox.sshanchor();
        sshanchor.args([command, "--json", "--name", HOST, "--zone", "example.test", "--exec", &program]);
        sshanchor.args(["--check-server", &addr, "--timeout", "50", "--state"]).arg(sandbox.join("state"));
        keys.iter().for_each(|key| {
            sshanchor.arg("--host-key").arg(key);
        });
        self.with_secrets(&mut sshanchor);
        let finished = run(sshanchor.args(more), LIMIT);
        let json = finished.json();
        (finished, json)
    }

    /// One request, straight to the program.
    fn ask(&self, request: &Value) -> Value {
        let words = self.words("zone");
        let mut program = Command::new(&words[0]);
        program.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        self.with_secrets(&mut program);
        let mut child = program.spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    }
}

#[test]
fn publishes_replaces_leaves_others_and_withdraws() {
    let octo = OctoDns::new();
    let [first, second] = ["first", "second"].map(|name| key(octo.primary.sandbox(), name));
    octo.primary.update(&format!("update add {HOST} 300 SSHFP {FOREIGN}"));
    let (published, json) = octo.run("publish", "zone", &[&first], &[]);
    assert_eq!((published.code, &json["backend"]), (Some(0), &"exec".into()), "{published:#?}");
    assert_eq!(octo.primary.records(HOST), (sorted(&[FOREIGN, &record(&first)]), Some(300)));
    let (again, json) = octo.run("publish", "zone", &[&first], &[]);
    assert_eq!((again.code, &json["changed"]), (Some(0), &false.into()), "{again:#?}");
    let (replaced, _) = octo.run("publish", "zone", &[&second], &["--ttl", "120", "--prune"]);
    assert_eq!(replaced.code, Some(0), "{replaced:#?}");
    assert_eq!(octo.primary.records(HOST), (vec![record(&second)], Some(120)));

    // Who may not is told so.
    let (refused, json) = octo.run("publish", "web2", &[&first], &[]);
    assert_eq!((refused.code, &json["reason"]), (Some(1), &"refused".into()), "{refused:#?}");
    assert_eq!(octo.primary.records(HOST).0, [record(&second)]);

    let (withdrawn, _) = octo.run("withdraw", "zone", &[], &[]);
    assert_eq!(withdrawn.code, Some(0), "{withdrawn:#?}");
    assert!(octo.primary.records(HOST).0.is_empty());
}

#[test]
fn what_has_changed_meanwhile_is_a_lost_race() {
    let octo = OctoDns::new();
    let serial = octo.primary.serial();
    let apply = |present: Value| {
        let plan = json!({
            "owner": HOST, "ttl": 60, "records": [FOREIGN], "add": [FOREIGN], "remove": [], "keep": [],
            "foreign": [], "present": present,
        });
        octo.ask(&json!({"version": 1, "request": "apply", "zone": "example.test", "plans": [plan]}))
    };
    let lost = apply(json!({"ttl": 60, "records": ["4 2 00"]}));
    assert_eq!(lost, json!({"version": 1, "outcome": "lost-race"}));
    assert_eq!(octo.primary.serial(), serial);
    let done = apply(json!({"ttl": null, "records": []}));
    assert_eq!(done, json!({"version": 1, "outcome": "done"}));
    assert_eq!(octo.primary.records(HOST), (vec![FOREIGN.to_owned()], Some(60)));
}
