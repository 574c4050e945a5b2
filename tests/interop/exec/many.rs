//! Many hosts: their outputs, their input, their ends.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::LIMIT;
use super::fleet::{Fleet, ended, read_until, started};
use crate::support::process::wait_until;
use crate::support::terminal::{Keys, at_a_terminal, typed_at_a_terminal};
use crate::support::{run, run_ok};

/// Hosts of most of these tests.
const COUNT: usize = 20;

/// What each host says is its own: sshd tells the address at which it was reached.
const WHO: &str = "set -- $SSH_CONNECTION; echo $3";

#[test]
fn outputs_of_many_hosts() {
    let fleet = Fleet::new(COUNT);
    // Each line has its host, and lines stay whole, however they were written.
    let finished =
        fleet.runs(&[], "for i in 1 2 3; do printf a; printf 'b%s\\n' $i; echo err$i >&2; done; printf end");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for host in 1..=COUNT {
        let of = |text: &str| {
            let prefix = format!("h{host}.example.test: ");
            text.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(&finished.stdout), ["ab1", "ab2", "ab3", "end"]);
        assert_eq!(of(&finished.stderr), ["err1", "err2", "err3"]);
    }
    assert_eq!((finished.stdout.lines().count(), finished.stderr.lines().count()), (4 * COUNT, 3 * COUNT));
    // A pipe gets the octets as they are.
    let finished = fleet.runs(&[], r"printf '\033[1mbold\r\n'");
    assert!(finished.stdout.contains("h7.example.test: \x1b[1mbold\r\n"), "{finished:#?}");

    // The same text once.
    let finished = fleet.runs(&["-b"], &format!("{WHO} | sed 's/.*[.]1$/one/; s/.*[.].*/other/'"));
    let rule = "-".repeat(15);
    let want = format!(
        "{rule}\nh[2-{COUNT}].example.test ({})\n{rule}\nother\n{rule}\nh1.example.test\n{rule}\none\n",
        COUNT - 1
    );
    assert_eq!((finished.stdout, finished.stderr.as_str(), finished.code), (want, "", Some(0)));
    let finished = fleet.runs(&["--group"], "echo err >&2; head -c 3000000 /dev/zero | tr '\\0' x");
    assert_eq!((finished.code, finished.stdout.len()), (Some(0), 2 * 16 + 26 + 1024 * 1024 + 1));
    assert!(finished.stderr.contains("h[1-20].example.test (20)") && finished.stderr.contains("first MiB"));

    // Objects, one a host.
    let finished = fleet.runs(&["--json"], &format!("{WHO}; exit 3"));
    let mut outcomes = finished.json_lines();
    assert_eq!((outcomes.len(), finished.code, finished.stderr.as_str()), (COUNT, Some(1), ""));
    outcomes.sort_by_key(|outcome| outcome["stdout"].to_string());
    outcomes.dedup_by_key(|outcome| outcome["stdout"].to_string());
    assert_eq!(outcomes.len(), COUNT, "each speaks for itself");
    assert!(outcomes.iter().all(|outcome| outcome["verdict"] == "accept" && outcome["status"] == 3));

    // A status other than 0 is a failure, and is told with its hosts.
    let finished = fleet.runs(&[], &format!("case $({WHO}) in *.5|*.6) exit 7;; *.9) kill -KILL $$;; esac"));
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    for told in [
        "h5.example.test: sshanchor: exit status 7\n",
        "sshanchor: 3 of 20 hosts failed\n",
        "  exit status 7: 2 hosts: h[5-6].example.test\n",
        "  signal: 1 host: h9.example.test\n",
    ] {
        assert!(finished.stderr.contains(told), "{told}{finished:#?}");
    }
    // One host is as ssh has it, unless it is to be one of several.
    let one = |options: &[&str]| {
        run(fleet.exec_on("h1.example.test").args(options).args(["--", "echo hi; exit 7"]), LIMIT)
    };
    assert_eq!((one(&[]).stdout.as_str(), one(&[]).code), ("hi\n", Some(7)));
    let prefixed = one(&["--prefix"]);
    assert_eq!((prefixed.stdout.as_str(), prefixed.code), ("h1.example.test: hi\n", Some(1)));
    // One window serves all: two at a time come to the same.
    assert_eq!(fleet.runs(&["--fanout", "2"], "true").code, Some(0));
}

#[test]
fn every_host_gets_all_of_standard_input() {
    let fleet = Fleet::new(COUNT);
    let octets: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let file = fleet.tree.sandbox.join("data");
    fs::write(&file, &octets).unwrap();
    let sum = run_ok(Command::new("sha256sum").stdin(fs::File::open(&file).unwrap()).arg(&file));
    let sum = sum.split_whitespace().next().unwrap();
    // Those that begin late, and those that read slowly, get it from what is kept.
    let mut exec = fleet.exec();
    exec.args(["--fanout", "4", "-b", "--", &format!("case $({WHO}) in *.3) sleep 1;; esac; sha256sum")]);
    let mut child = started(&mut exec);
    let mut input = child.stdin.take().unwrap();
    let writing = thread::spawn(move || input.write_all(&octets));
    let (code, out, err) = ended(child);
    writing.join().unwrap().unwrap();
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("h[1-20].example.test (20)") && out.contains(sum), "{out}");

    // What nobody reads is not waited for, and -n gives nothing.
    let mut child = started(fleet.exec().args(["--", "true"]));
    let input = child.stdin.take();
    assert_eq!(ended(child).0, Some(0));
    drop(input);
    let mut child = started(fleet.exec().args(["-n", "-b", "--", "wc -c"]));
    let input = child.stdin.take();
    let (code, out, _) = ended(child);
    assert!(code == Some(0) && out.ends_with("\n0\n"), "{out}");
    drop(input);
    // The list of hosts takes standard input for itself.
    let mut exec = fleet.exec_on("-");
    let mut child = started(exec.args(["-b", "--", "wc -c"]));
    writeln!(child.stdin.as_mut().unwrap(), "h1.example.test\nh2.example.test").unwrap();
    let (code, out, _) = ended(child);
    assert!(code == Some(0) && out.contains("h[1-2].example.test (2)") && out.ends_with("\n0\n"), "{out}");
}

#[test]
fn time_is_limited_and_failures_may_be_the_last_word() {
    let fleet = Fleet::new(COUNT);
    let slow = format!("case $({WHO}) in *.4) sleep 100;; esac; echo done");
    let finished = fleet.runs(&["--command-timeout", "15"], &slow);
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(1), COUNT - 1), "{finished:#?}");
    assert!(finished.stderr.contains("  command-timeout: 1 host: h4.example.test\n"), "{finished:#?}");
    assert_eq!(fleet.runs(&["--command-timeout", "50"], "sleep 0.1").code, Some(0));
    let one =
        run(fleet.exec_on("h1.example.test").args(["--command-timeout", "0.5", "--", "sleep 100"]), LIMIT);
    assert!(one.code == Some(255) && one.stderr.contains("--command-timeout"), "{one:#?}");

    // The time for everything: what runs ends, what has not begun does not.
    let finished = fleet.runs(&["--deadline", "4", "--fanout", "5"], "sleep 100");
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    for told in [
        "sshanchor: 5 of 20 hosts failed, 15 not run\n",
        "  deadline: 5 hosts: h[1-5].example.test\n",
        "  not run: 15 hosts: h[6-20].example.test\n",
    ] {
        assert!(finished.stderr.contains(told), "{told}{finished:#?}");
    }
    assert_eq!(fleet.runs(&["--deadline", "50"], "true").code, Some(0));

    // The first failure is the last beginning; what runs goes on to its end.
    let failing = format!("case $({WHO}) in *.3) exit 1;; *) sleep 1; echo done;; esac");
    let finished = fleet.runs(&["--fail-fast", "--fanout", "5", "--json"], &failing);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let outcomes = finished.json_lines();
    let count = |what: &dyn Fn(&serde_json::Value) -> bool| outcomes.iter().filter(|o| what(o)).count();
    let counts = [
        count(&|o| o["stdout"] == "done\n" && o["status"] == 0),
        count(&|o| o["status"] == 1),
        count(&|o| o["reason"] == "not-run" && o["verdict"].is_null()),
    ];
    assert_eq!(counts[1..].iter().chain(&counts[..1]).sum::<usize>(), COUNT, "{counts:?}");
    assert!(counts[1] == 1 && counts[0] >= 2 && counts[2] >= 1, "{counts:?}");
    let finished = fleet.runs(&["--fail-fast", "--fanout", "5"], "true");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[test]
fn a_signal_ends_everything_cleanly_and_a_second_one_at_once() {
    let fleet = Fleet::new(COUNT);
    let kill =
        |signal: &str, id: u32| run_ok(Command::new("kill").args([&format!("-{signal}"), &id.to_string()]));
    let mark = fleet.tree.sandbox.join("got");
    // sshd passes signals on to the commands of other users than root, and says so where it does not.
    let passed_on = |signal: &str| {
        let logs = fleet.servers.sshds.iter().map(|sshd| sshd.process.log());
        fs::read_to_string(&mark).unwrap_or_default().matches(signal).count()
            + logs.map(|log| log.matches("session signalling requires").count()).sum::<usize>()
    };
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let before = passed_on(signal);
        let trap = format!(
            "trap 'echo {signal} >>{}; exit' {signal}; while echo there 2>/dev/null; do sleep 0.1; done",
            mark.display()
        );
        let mut child = started(fleet.exec().args(["--fanout", "5", "--", &trap]));
        let here = |text: &str| (1..=5).all(|host| text.contains(&format!("h{host}.example.test: there")));
        read_until(child.stdout.as_mut().unwrap(), here);
        kill(signal, child.id());
        let (code, _, err) = ended(child);
        assert_eq!(code, Some(status), "{err}");
        assert!(err.contains("sshanchor: 5 of 20 hosts failed, 15 not run\n"), "{err}");
        assert!(
            err.contains(&format!("  not run: 15 hosts: h[6-20].example.test\n    ended by SIG{signal}\n")),
            "{err}"
        );
        assert!(wait_until(LIMIT, || passed_on(signal) == before + 5), "the commands are sent SIG{signal}");
    }

    // Nobody reads what it writes, and so it cannot end cleanly: the second signal does not wait for that.
    let mut child = started(fleet.exec().args(["--", "yes"]));
    read_until(child.stdout.as_mut().unwrap(), |text| text.contains('y'));
    kill("INT", child.id());
    let began = Instant::now();
    assert!(wait_until(LIMIT, || {
        kill_if_there(child.id());
        child.try_wait().unwrap().is_some()
    }));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(child.wait().unwrap().code(), Some(130));

    // Who takes the output goes away: nothing more begins, and it ends by itself.
    let mut child = started(fleet.exec().args(["--fanout", "5", "--", "yes"]));
    read_until(child.stdout.as_mut().unwrap(), |text| text.contains('y'));
    drop(child.stdout.take());
    let mut told = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{told}");
    assert!(told.contains("15 not run") && !told.contains("panicked"), "{told}");
}

fn kill_if_there(id: u32) {
    let _ = Command::new("kill").args(["-INT", &id.to_string()]).stderr(std::process::Stdio::null()).status();
}

#[test]
fn a_terminal_shows_progress_and_nothing_that_could_harm_it() {
    let fleet = Fleet::new(COUNT);
    let sandbox = &fleet.tree.sandbox;
    // Standard input is a terminal, and is not read unless that is asked for.
    let mut exec = fleet.exec();
    exec.args(["--", "cat; printf \"\\033[31mred\\tx\\n\""]);
    let (shown, code) = at_a_terminal(&exec, sandbox, &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("h3.example.test: \\u{1b}[31mred\tx") && !shown.contains('\x1b'), "{shown}");
    assert!(shown.contains("done 20 of 20"), "{shown}");
    let mut exec = fleet.exec_on("h[1-2].example.test");
    exec.args(["--input", "--", "head -n 1"]);
    let (shown, code) = at_a_terminal(&exec, sandbox, &[("done 0 of 2", "typed")]);
    let lines = shown.matches(": typed").count();
    assert_eq!((code, lines), (Some(0), 2), "{shown}");

    // Headings stand out, as no output can: not even one that has learnt how they look.
    let mut exec = fleet.exec_on("h[1-2].example.test");
    exec.env_remove("NO_COLOR").env("TERM", "xterm");
    exec.args(["-b", "--", r"printf '\033[1m---------------\033[0m\nh9\n'"]);
    let (shown, code) = at_a_terminal(&exec, sandbox, &[]);
    let bold = |text: &str| format!("\x1b[1m{text}\x1b[0m");
    assert_eq!((code, shown.matches('\x1b').count()), (Some(0), 6), "{shown:?}");
    assert!(shown.contains(&bold("h[1-2].example.test (2)")), "{shown:?}");
    let (shown, _) = at_a_terminal(exec.env("NO_COLOR", "1"), sandbox, &[]);
    assert!(shown.contains("h[1-2].example.test (2)") && !shown.contains('\x1b'), "{shown:?}");

    // Ctrl-C at the keyboard.
    let mut exec = fleet.exec();
    exec.args(["--fanout", "5", "--", "echo there; sleep 100"]);
    let (shown, code) = typed_at_a_terminal(&exec, sandbox, &[("h4.example.test: there", Keys("\x03"))]);
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("15 not run"), "{shown}");
}

#[test]
fn a_dry_run_judges_and_runs_nothing() {
    let mut fleet = Fleet::new(COUNT);
    let before = fleet.servers.logins();
    let dry = |fleet: &Fleet| run(fleet.exec().args(["--dry-run", "--json", "--", "echo", "hello"]), LIMIT);
    let finished = dry(&fleet);
    assert_eq!((finished.code, finished.json_lines().len()), (Some(0), COUNT), "{finished:#?}");
    assert!(finished.json_lines().iter().all(|line| line["verdict"] == "accept"));
    fleet.servers.sshds[0].rotate_host_keys();
    let finished = dry(&fleet);
    let rejected = finished.json_lines().iter().filter(|line| line["verdict"] == "reject").count();
    assert_eq!((finished.code, rejected), (Some(3), 15), "{finished:#?}");
    assert_eq!(fleet.servers.logins(), before);
    for sshd in &fleet.servers.sshds {
        assert!(!sshd.process.log().contains("Accepted"), "nobody logs in");
    }
    // And without a command; and what is wrong is told before anything is done.
    assert_eq!(run(fleet.exec().arg("--dry-run"), LIMIT).code, Some(3));
    let real = fleet.runs(&[], "true");
    assert_eq!(real.code, Some(3), "{real:#?}");
    for (options, text) in [
        (&["-i", "no-such-file"][..], "no-such-file"),
        (&["-b", "--json"], "--group"),
        (&["-n", "--input"], "--input"),
        (&["--fanout", "0"], "--fanout"),
        (&["--deadline", "soon"], "--deadline"),
    ] {
        let finished = fleet.runs(options, "true");
        assert!(finished.code == Some(2) && finished.stderr.contains(text), "{finished:#?}");
    }
    let logins = fleet.servers.logins();
    let none = run(&mut fleet.exec(), LIMIT);
    assert_eq!((none.code, fleet.servers.logins()), (Some(2), logins), "{none:#?}");
}

#[test]
fn quiet_shows_what_went_wrong_and_nothing_else() {
    let mut fleet = Fleet::new(4);
    let command = format!("echo out; echo err >&2; case $({WHO}) in *.2) exit 7;; esac");
    let finished = fleet.runs(&["-q"], &command);
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (Some(1), "h2.example.test: out\n"),
        "{finished:#?}"
    );
    assert!(finished.stderr.starts_with("h2.example.test: err\nh2.example.test: sshanchor: exit status 7\n"));
    assert!(finished.stderr.contains("1 of 4 hosts failed"), "{finished:#?}");
    let silent = |options: &[&str]| {
        let finished = fleet.runs(options, "echo out; echo err >&2");
        assert_eq!(
            (finished.code, finished.stdout, finished.stderr),
            (Some(0), String::new(), String::new())
        );
    };
    silent(&["-q"]);
    silent(&["-q", "-b"]);
    silent(&["-q", "--json"]);
    silent(&["-q", "--dry-run"]);
    let grouped = fleet.runs(&["-q", "-b"], &command);
    assert!(grouped.stdout.contains("h2.example.test\n") && !grouped.stdout.contains('['), "{grouped:#?}");
    let objects = fleet.runs(&["-q", "--json"], &command);
    assert_eq!((objects.json_lines().len(), &objects.json()["host"]), (1, &"h2.example.test".into()));
    // One host's output is its command's, if that fails.
    let one = |host: &str| run(fleet.exec_on(host).args(["-q", "--", &command]), LIMIT);
    assert_eq!((one("h1.example.test").stdout.as_str(), one("h1.example.test").stderr.as_str()), ("", ""));
    let failed = one("h2.example.test");
    assert_eq!((failed.code, failed.stdout.as_str(), failed.stderr.as_str()), (Some(7), "out\n", "err\n"));
    // verify has the same.
    let port = fleet.servers.port.number().to_string();
    let verify = |fleet: &Fleet| {
        let mut verify = fleet.tree.sshanchor(fleet.tree.addr());
        run(verify.args(["verify", "--timeout", "60", "-q", "-H", "h[1-4].example.test", "-p", &port]), LIMIT)
    };
    let finished = verify(&fleet);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
    fleet.servers.sshds[0].rotate_host_keys();
    let finished = verify(&fleet);
    assert_eq!((finished.code, finished.stdout.matches(" reject: ").count()), (Some(3), 4), "{finished:#?}");
}
