//! `exec` with real servers and real agents: what runs, what is refused before anybody logs in, and what
//! passes through.

mod fleet;
mod keys;
mod logins;
mod many;
mod mixed;
mod readme;
mod stage;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use self::stage::{FakeAgent, Stage};
use crate::support::dropbear::Dropbear;
use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::sshd::{KEY_TYPES, keygen, sshfp_lines};
use crate::support::{Sandbox, Tree, run, run_ok};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn the_command_s_outputs_and_status_are_its_own() {
    let stage = Stage::quiet("");
    let finished = stage.runs(&["echo out; echo err >&2; exit 7"]);
    let all = (finished.code, finished.stdout.as_str(), finished.stderr.as_str());
    assert_eq!(all, (Some(7), "out\n", "err\n"), "{finished:#?}");
    for status in [0, 1, 255] {
        assert_eq!(stage.runs(&["exit", &status.to_string()]).code, Some(status));
    }
    // Words are joined by spaces for the remote shell; octets stay what they are, and need no line end.
    let finished = stage.runs(&["printf", r"'a\033[1m  b'", "|", "cat"]);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("a\x1b[1m  b", ""), "{finished:#?}");
    assert_eq!(stage.runs(&["no-such-command"]).code, Some(127));

    let finished = stage.runs(&["kill -KILL $$"]);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("ended by signal KILL"), "{finished:#?}");
    // The server's process for this connection is the shell's parent.
    let finished = stage.runs(&["echo before; kill -KILL $PPID; sleep 60"]);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("closed the connection"), "{finished:#?}");

    let empty = run(stage.exec().args(["--", " "]), LIMIT);
    assert_eq!(empty.code, Some(2), "{empty:#?}");
}

#[test]
fn json_tells_the_verdict_and_the_command_in_one_object() {
    let mut stage = Stage::quiet("");
    let (json, code) = stage.json(&["echo out; printf '\\377' >&2; exit 3"]);
    assert_eq!(code, Some(3), "{json}");
    for (field, value) in [
        ("host", Value::from(HOST)),
        ("port", stage.sshd.port().into()),
        ("verdict", "accept".into()),
        ("reason", Value::Null),
        ("source", "dns".into()),
        ("status", 3.into()),
        ("signal", Value::Null),
        ("stdout", "out\n".into()),
        ("truncated", false.into()),
    ] {
        assert_eq!(json[field], value, "{field}: {json}");
    }
    assert_eq!(json["key"]["type"], "ssh-ed25519");
    // A login shell may have had a word of its own before.
    assert!(json["stderr"].as_str().unwrap().ends_with('\u{fffd}'), "{json}");
    let (json, code) = stage.json(&["head -c 3000000 /dev/zero | tr '\\0' x; exit 4"]);
    assert_eq!((&json["truncated"], &json["status"], code), (&Value::from(true), &Value::from(4), Some(4)));
    assert_eq!(json["stdout"].as_str().unwrap().len(), 1024 * 1024);
    let (json, code) = stage.json(&["kill -TERM $$"]);
    let told = (json["signal"].as_str(), &json["status"], json["reason"].as_str(), code);
    assert_eq!(told, (Some("TERM"), &Value::Null, Some("signal"), Some(255)), "{json}");

    let stranger = stage.sshd.sandbox.join("stranger");
    keygen(&["-t", "ed25519"], &stranger);
    let denied = run(stage.keyless().arg("-i").arg(&stranger).args(["--json", "--", "true"]), LIMIT);
    let json = denied.json();
    assert_eq!(
        (json["verdict"].as_str(), json["reason"].as_str()),
        (Some("accept"), Some("denied")),
        "{json}"
    );
    assert_eq!((&json["stdout"], denied.code), (&Value::Null, Some(255)), "{json}");

    stage.sshd.rotate_host_keys();
    let (json, code) = stage.json(&["true"]);
    assert_eq!(
        (json["verdict"].as_str(), json["reason"].as_str()),
        (Some("reject"), Some("key-mismatch")),
        "{json}"
    );
    assert_eq!((&json["status"], &json["stdout"], code), (&Value::Null, &Value::Null, Some(255)), "{json}");
}

#[test]
fn nothing_about_the_user_is_said_before_the_accept() {
    let mut stage = Stage::new(&["ed25519", "ecdsa256"]);
    let agent = FakeAgent::new(&stage.tree.sandbox);
    let exec = |stage: &Stage| {
        let mut exec = stage.exec();
        exec.env("SSH_AUTH_SOCK", &agent.socket);
        exec
    };
    let refused = |stage: &Stage, exec: &mut Command, text: &str| {
        let mark = stage.sshd.mark();
        Stage::fails(exec, text);
        if stage.sshd.process.log()[mark..].contains("Connection from") {
            stage.sshd.wait_closed(mark);
        }
        assert!(!stage.sshd.saw_userauth(mark), "{}", &stage.sshd.process.log()[mark..]);
        assert_eq!(agent.visitors(), 0, "the agent was asked");
    };
    stage.sshd.rotate_host_keys();
    refused(&stage, &mut exec(&stage), "DNSSEC proves other keys");
    for (host, text) in [
        ("web2.example.test", "web2.example.test"),
        ("127.0.0.1", "only names"),
        ("web1.plain.test", "insecure"),
    ] {
        let mut exec = stage.tree.sshanchor(stage.tree.addr());
        exec.args(["exec", "-H", &format!("{host}:{}", stage.sshd.port())]);
        exec.env("SSH_AUTH_SOCK", &agent.socket).arg("-i").arg(stage.sshd.sandbox.join("user"));
        refused(&stage, &mut exec, text);
    }
    let config =
        stage.tree.sandbox.write("pass.toml", "version = 1\n[[host]]\nmatch = \"*\"\nmode = \"pass\"\n");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&stage, exec(&stage).env("SSHANCHOR_CONFIG", &config), "pass");

    stage.tree.update(&stage.sshd.sshfp_update("web1.example.test."));
    // This agent never answers: the named key is had without it.
    let finished = run(exec(&stage).args(["--timeout", "4", "--", "true"]), LIMIT);
    assert_eq!((finished.code, agent.visitors()), (Some(0), 1), "{finished:#?}");
}

#[test]
fn octets_pass_unchanged_both_ways_through_rekeying() {
    let plain = Stage::new(&["ed25519"]);
    let rekeying = Stage::with(&["ed25519"], "RekeyLimit 1M");
    for (stage, size) in [(&plain, 100_000_000u32), (&rekeying, 20_000_000)] {
        let octets: Vec<u8> = (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let (file, back) = (stage.tree.sandbox.join("data"), stage.tree.sandbox.join("back"));
        fs::write(&file, &octets).unwrap();
        let mark = stage.sshd.mark();
        let mut exec = stage.exec();
        exec.args(["--", "cat"]).stdin(File::open(&file).unwrap()).stdout(File::create(&back).unwrap());
        assert_eq!(wait(exec.spawn().unwrap()), Some(0));
        assert!(fs::read(&back).unwrap() == octets, "the octets differ");
        let rekeyed = stage.sshd.process.log()[mark..].matches("SSH2_MSG_KEXINIT sent").count() > 3;
        assert_eq!(rekeyed, std::ptr::eq(stage, &rekeying));
    }
    let digest = run_ok(plain.exec().args(["-n", "--", "cat", "|", "wc", "-c"]));
    assert_eq!(digest.trim(), "0", "no input is an end at once");
}

fn wait(mut child: Child) -> Option<i32> {
    let mut status = None;
    let ended = wait_until(LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert!(ended, "it has not ended after {LIMIT:?}");
    status.and_then(|status| status.code())
}

/// KiB that a process has in memory, now (VmRSS) or at the most (VmHWM); 0 once it has ended.
fn memory(id: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    line.map_or(0, |line| line.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
fn a_slow_reader_slows_the_command_and_fills_no_memory() {
    let stage = Stage::new(&["ed25519"]);
    let mut exec = stage.exec();
    exec.args(["--", "head -c 200000000 /dev/zero"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = exec.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0]).unwrap();
    // Nobody reads, until nothing more comes.
    let (mut before, mut calm) = (0, 0);
    assert!(wait_until(LIMIT, || {
        std::thread::sleep(Duration::from_millis(10));
        let now = memory(child.id(), "VmRSS");
        calm = if now == before { calm + 1 } else { 0 };
        before = now;
        calm > 20
    }));
    let mut rest = 0;
    let mut portion = vec![0; 1 << 20];
    let mut most = 0;
    loop {
        let length = output.read(&mut portion).unwrap();
        if length == 0 {
            break;
        }
        rest += length;
        most = most.max(memory(child.id(), "VmHWM"));
    }
    assert_eq!((rest, wait(child)), (199_999_999, Some(0)));
    assert!((1..80_000).contains(&most), "{most} KiB");
}

#[test]
fn closed_outputs_and_signals_end_it() {
    let stage = Stage::new(&["ed25519"]);
    let mut exec = stage.exec();
    exec.args(["--", "yes"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = exec.spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 100]).unwrap();
    let mut told = child.stderr.take().unwrap();
    assert_eq!(wait(child), Some(255));
    let mut text = String::new();
    told.read_to_string(&mut text).unwrap();
    assert!(text.contains("cannot write the command's output") && !text.contains("panicked"), "{text}");

    for signal in ["INT", "TERM"] {
        let mark = stage.sshd.mark();
        let mut exec = stage.exec();
        exec.args(["--", "echo there; cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = exec.stderr(Stdio::null()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        run_ok(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]));
        assert_eq!(wait(child), Some(255));
        stage.sshd.wait_closed(mark);
        assert!(stage.sshd.process.log()[mark..].contains("Received disconnect"), "a good-bye is said");
    }
}

#[test]
fn every_host_key_type_is_met_with_what_is_published() {
    for (name, _) in KEY_TYPES {
        let mut stage = Stage::new(&[name]);
        Stage::works(&mut stage.exec());
        let mark = stage.sshd.mark();
        stage.sshd.rotate_host_keys();
        Stage::fails(&mut stage.exec(), "DNSSEC proves other keys");
        assert!(!stage.sshd.saw_userauth(mark));
    }
    // Of several ECDSA keys the published one is asked for, also where another one comes first; and only
    // published types are.
    let stage = Stage::new(&["ed25519", "ecdsa256", "ecdsa521"]);
    let line = sshfp_lines(&stage.sshd.host_key("ecdsa521"), "web1.example.test.").remove(0);
    let data = line.split_once(" IN ").unwrap().1;
    stage
        .tree
        .update(&format!("update delete web1.example.test. SSHFP\nupdate add web1.example.test. 60 {data}"));
    let (json, _) = stage.json(&["true"]);
    assert_eq!((json["verdict"].as_str(), json["status"].as_i64()), (Some("accept"), Some(0)), "{json}");
    assert_eq!(json["key"]["type"], "ecdsa-sha2-nistp521");
}

#[test]
fn a_stored_proof_accepts_and_never_refuses() {
    let mut stage = Stage::new(&["ed25519"]);
    let cache = stage.tree.sandbox.join("cache");
    let json = |stage: &Stage| {
        let mut exec = stage.exec();
        run(exec.env("SSHANCHOR_CACHE", &cache).args(["--json", "--", "true"]), LIMIT).json()
    };
    assert_eq!(json(&stage)["source"], "dns");
    let second = json(&stage);
    assert_eq!((&second["source"], &second["status"]), (&"cache".into(), &0.into()), "{second}");
    stage.sshd.rotate_host_keys();
    assert_eq!(json(&stage)["verdict"], "reject");
    stage.tree.update(&stage.sshd.sshfp_update("web1.example.test."));
    let moved = json(&stage);
    assert_eq!((&moved["verdict"], &moved["source"]), (&"accept".into(), &"dns".into()), "{moved}");
}

#[test]
fn a_bundle_serves_without_dns() {
    let mut stage = Stage::new(&["ed25519"]);
    let bundle = stage.tree.sandbox.join("bundle");
    let mut export = stage.tree.sshanchor(stage.tree.addr());
    let host = format!("{HOST}:{}", stage.sshd.port());
    run_ok(export.args(["bundle", "export", &host, "--addresses", "-o"]).arg(&bundle));
    let nobody = Port::free();
    let exec = |stage: &Stage| {
        let mut exec = stage.exec();
        exec.env("SSHANCHOR_RESOLVER", nobody.addr().to_string());
        exec
    };
    Stage::fails(&mut exec(&stage), "");
    let json = run(exec(&stage).arg("--bundle").arg(&bundle).args(["--json", "--", "true"]), LIMIT).json();
    assert_eq!((&json["source"], &json["status"]), (&"bundle".into(), &0.into()), "{json}");
    stage.sshd.rotate_host_keys();
    Stage::fails(exec(&stage).arg("--bundle").arg(&bundle), "DNSSEC proves other keys");
}

#[test]
fn a_banner_is_shown_without_its_escapes() {
    let folder = Sandbox::new();
    let banner = folder.write("banner", "Hello\x1b[31m you\nsecond line\n");
    let stage = Stage::quiet(&format!("Banner {}", banner.display()));
    let finished = stage.runs(&["true"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.stderr, "Hello\\u{1b}[31m you\nsecond line\n");
}

#[test]
fn dropbear_as_the_server_runs_commands_and_takes_much_data() {
    let keys = Sandbox::new();
    let user = keys.join("user");
    keygen(&["-t", "ed25519"], &user);
    let dropbear = Dropbear::letting_in(&fs::read_to_string(keys.join("user.pub")).unwrap());
    let plan = dropbear.sshfp("web1.example.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    let exec = || {
        let mut exec = tree.sshanchor(tree.addr());
        exec.args(["exec", "-H", HOST, "-p", &dropbear.port().to_string(), "-i"]).arg(&user);
        exec.env_remove("SSH_AUTH_SOCK");
        exec
    };
    let finished = run(exec().args(["--", "echo out; echo err >&2; exit 7"]), LIMIT);
    let all = (finished.code, finished.stdout.as_str(), finished.stderr.as_str());
    assert_eq!(all, (Some(7), "out\n", "err\n"), "{finished:#?}");
    let octets: Vec<u8> = (0..30_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (file, back) = (keys.join("data"), keys.join("back"));
    fs::write(&file, &octets).unwrap();
    let mut cat = exec();
    cat.args(["--", "cat"]).stdin(File::open(&file).unwrap()).stdout(File::create(&back).unwrap());
    assert_eq!(wait(cat.spawn().unwrap()), Some(0));
    assert!(fs::read(&back).unwrap() == octets, "the octets differ");
}
