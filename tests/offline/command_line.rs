//! What is typed, and where it goes wrong before anything is done.

use std::process::{Command, Output, Stdio};

fn sshanchor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
    for (variable, _) in std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("SSHANCHOR_")) {
        command.env_remove(variable);
    }
    command.env("SSHANCHOR_CONFIG", "none").args(arguments).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_variable_that_is_set_to_nothing_is_none() {
    let mut command = sshanchor(&["verify", "192.0.2.1"]);
    for variable in ["SSHANCHOR_RESOLVER", "SSHANCHOR_TRUST_ANCHOR", "SSHANCHOR_STATE"] {
        command.env(variable, "");
    }
    let (status, out, err) = run(&mut command);
    assert_eq!(status, Some(4), "{err}");
    assert!(out.starts_with("192.0.2.1:22 unproven: "), "{out}");
    let (status, _, err) = run(sshanchor(&["verify", "192.0.2.1"]).env("SSHANCHOR_RESOLVER", "nobody"));
    assert_eq!(status, Some(2), "{err}");
}

#[test]
fn what_was_typed_is_sanitised_before_it_is_shown() {
    for arguments in [&["x\x1b[31m"][..], &["lookup", "--type", "\x1b[31m", "x"], &["verify", "x\x1b[31m"]] {
        let (status, out, err) = run(&mut sshanchor(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains("\\u{1b}[31m") && !err.contains('\x1b'), "{err:?}");
    }
}

#[test]
fn help_of_a_command_explains_it() {
    let (status, out, _) = run(&mut sshanchor(&["proxy", "--help"]));
    assert_eq!(status, Some(0));
    assert!(out.contains("never sees the reply"), "{out}");
}

#[test]
fn one_wrong_name_and_nobody_is_asked() {
    let (status, out, err) = run(&mut sshanchor(&["verify", "192.0.2.1", "web_1"]));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("\"web_1\" is not a host name"), "{err}");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let arguments = ["--timeout", "0.2", "sshfp", "--name", "web1.example", pipe.to_str().unwrap()];
    let (status, _, err) = run(&mut sshanchor(&arguments));
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("is it a pipe that nobody writes to?"), "{err}");
}

/// Whatever file a user names: a pipe without a writer ends with what is wrong, and one with a writer is read.
#[test]
fn pipes_are_read_and_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    let at_pipe = format!("@{pipe}");
    let address = "192.0.2.1";
    for arguments in [
        &["verify", "-H", &at_pipe][..],
        &["verify", &at_pipe],
        &["verify", "-H", address, "-x", &at_pipe],
        &["exec", "-H", &at_pipe, "--", "true"],
        &["verify", "-I", pipe],
        &["audit", "--no-servers", "-H", address, "--baseline", pipe],
        &["bundle", "export", "-o", "none", &at_pipe],
        &["bundle", "inspect", pipe],
        &["verify", "-H", address, "--bundle", pipe],
        &["verify", "-H", address, "--trust-anchor", pipe],
        &["publish", "--batch", pipe, "--server", address],
        &["withdraw", "--name", "web1.example", "--server", address, "--key-file", pipe],
        &["withdraw", "--name", "web1.example", "--powerdns", "http://192.0.2.1", "--api-key-file", pipe],
        &["verify", "--zone", "example", "--zone-server", address, "--zone-key", pipe],
        &["ca", "publish", "--at", "example", "--server", address, "--ca-key", pipe],
    ] {
        let (status, out, err) = run(&mut sshanchor(&[&["--timeout", "0.2"], arguments].concat()));
        // A CA key that cannot be read always was a failure.
        let wanted = if arguments.contains(&"--ca-key") { 1 } else { 2 };
        assert_eq!((status, out.as_str()), (Some(wanted), ""), "{arguments:?}: {err}");
        assert!(
            err.contains("it did not come to its end in 0.")
                && err.contains("does anybody write to this pipe"),
            "{arguments:?}: {err}"
        );
    }
    let substituted = |line: &str| {
        let mut command = Command::new("bash");
        for (variable, _) in
            std::env::vars_os().filter(|(v, _)| v.to_string_lossy().starts_with("SSHANCHOR_"))
        {
            command.env_remove(variable);
        }
        command.env("SSHANCHOR_CONFIG", "none").env("PROGRAM", env!("CARGO_BIN_EXE_sshanchor"));
        run(command.current_dir(&folder).args(["-c", line]).stdin(Stdio::null()))
    };
    let audit = "\"$PROGRAM\" audit --no-servers --known-hosts none -H 192.0.2.1 --json";
    for (line, wanted) in [
        ("\"$PROGRAM\" verify -H @<(sleep 0.3; echo 192.0.2.1)".to_owned(), 4),
        ("\"$PROGRAM\" verify -I <(echo 192.0.2.1)".to_owned(), 4),
        ("\"$PROGRAM\" verify -I <(echo '{\"all\": {\"hosts\": {\"192.0.2.1\": null}}}')".to_owned(), 4),
        (format!("{audit} >old.json; {audit} --baseline <(cat old.json)"), 0),
    ] {
        let (status, out, err) = substituted(&line);
        assert_eq!(status, Some(wanted), "{line}: {out}{err}");
        assert!(out.contains("192.0.2.1"), "{line}: {out}{err}");
    }
    // What is wrong is in what was read; the last one is read whole, and then nobody is at that port.
    let server = "--server 127.0.0.1:1";
    for (line, wanted) in [
        ("bundle inspect <(sleep 0.3; echo no)".to_owned(), "/dev/fd/63: not a bundle"),
        ("lookup web1.example --trust-anchor <(sleep 0.3; echo no)".to_owned(), "/dev/fd/63: line 1"),
        ("lookup web1.example --trust-anchor /dev/stdin < <(echo no)".to_owned(), "/dev/stdin: line 1"),
        (
            format!("publish {server} --batch <(sleep 0.3; echo web1)"),
            "/dev/fd/63 line 1: web1 has no public",
        ),
        (format!("publish {server} --batch /dev/stdin < <(echo web1)"), "/dev/stdin line 1"),
        (format!("publish {server} --batch - < <(echo web1)"), "- line 1"),
        (format!("ca publish --at example {server} --ca-key <(sleep 0.3; echo no)"), "/dev/fd/63 line 1"),
        (
            format!(
                "withdraw --name web1.example --zone example --state state {server} \
                 --key-file <(sleep 0.3; echo hmac-sha256:key:c2VjcmV0c2VjcmV0c2VjcmV0)"
            ),
            "cannot talk to 127.0.0.1:1",
        ),
    ] {
        let (_, out, err) = substituted(&format!("\"$PROGRAM\" {line}"));
        assert!(err.contains(wanted), "{line}: {out}{err}");
    }
}

#[test]
fn names_of_absurd_length_are_cut_before_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hosts");
    let long = |length: usize| "n".repeat(length);
    for (text, status) in [
        (format!("{}\n", long(1_000_000)), 2),
        (format!("{}\n", long(1000)), 4),
        (format!("web1 ansible_host={}\n", long(100_000)), 4),
        (format!("web1 ansible_user={}\n", long(100_000)), 2),
        (format!("web1 ansible_port={}\n", long(100_000)), 2),
        (format!("[web:{}]\n", long(100_000)), 2),
        (format!("[web]\nweb1 {}\n", long(100_000)), 2),
    ] {
        std::fs::write(&file, &text).unwrap();
        let (told, out, err) = run(&mut sshanchor(&["verify", "-I", file.to_str().unwrap()]));
        assert_eq!(told, Some(status), "{out}{err}");
        assert!(out.len() + err.len() < 1500, "{out}{err}");
    }
    std::fs::write(&file, format!("{}\n", long(100_000))).unwrap();
    let (told, out, err) = run(&mut sshanchor(&["verify", "-H", &format!("@{}", file.display())]));
    assert!(told == Some(2) && out.len() + err.len() < 1500, "{out}{err}");
    // Nothing of it does harm to a terminal, and what is no longer than others stays whole.
    std::fs::write(&file, "web\u{7}1_x.example.com\n").unwrap();
    let (_, out, err) = run(&mut sshanchor(&["verify", "-I", file.to_str().unwrap()]));
    assert!(out.contains("web\\u{7}1_x.example.com:22 unproven") && !out.contains('\x07'), "{out}{err}");
}

#[test]
fn options_of_others_are_told_with_their_names_here() {
    for (arguments, hint) in [
        (&["exec", "-w", "web[1-3]", "--", "uptime"][..], "-H names the hosts"),
        (&["verify", "-w", "web[1-3]"], "-H names the hosts"),
        (&["exec", "-H", "web1", "-f", "64", "--", "uptime"], "--fanout N"),
        (&["audit", "--forks=64", "web1"], "--fanout N"),
        (&["exec", "-H", "web1", "-u", "deploy", "--", "uptime"], "-l USER"),
        (&["verify", "-u", "deploy", "web1"], "nobody logs in here"),
        (&["exec", "-J", "gate", "-H", "web1", "--", "uptime"], "connected to directly"),
        (&["exec", "--jump", "gate", "-H", "web1", "--", "uptime"], "connected to directly"),
        (&["verify", "-i", "hosts.ini"], "-I FILE"),
    ] {
        let (status, out, err) = run(&mut sshanchor(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains("  hint: ") && err.contains(hint) && !err.contains("tip: to pass"), "{err}");
    }
    // Of others nothing is known but what clap says; behind -- they are the command's.
    let (status, _, err) = run(&mut sshanchor(&["exec", "-H", "web1", "--wherever", "--", "uptime"]));
    assert!(status == Some(2) && !err.contains("  hint: "), "{err}");
    let (_, _, err) = run(&mut sshanchor(&["exec", "-H", "web_1", "--", "w", "-w", "-f"]));
    assert!(err.contains("\"web_1\" is not a host name"), "{err}");
}

#[test]
fn variables_do_not_stand_in_the_usage_as_if_they_had_to_be_typed() {
    let (status, _, err) = run(sshanchor(&["lookup"]).env("SSHANCHOR_RESOLVER", "192.0.2.53"));
    assert_eq!(status, Some(2));
    assert!(err.contains("<NAME>") && !err.contains("--resolver") && !err.contains("--config"), "{err}");
    // A variable that is wrong is told of.
    let (status, _, err) = run(sshanchor(&["verify", "x"]).env("SSHANCHOR_RESOLVER", "nobody"));
    assert_eq!(status, Some(2));
    assert!(err.contains("'nobody' for '--resolver"), "{err}");
}

#[test]
fn exec_tells_where_the_host_stands() {
    for arguments in [&["exec", "web1.example.com", "--", "uptime"][..], &["exec", "--", "uptime"]] {
        let (status, out, err) = run(&mut sshanchor(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains("-H is missing") && err.contains("exec -H HOST -- uptime"), "{err}");
    }
    let (status, _, err) =
        run(&mut sshanchor(&["exec", "-H", "ssh://me@web1.example.com:22", "--", "uptime"]));
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("not a URL"), "{err}");
}

#[test]
fn what_is_mistyped_is_told_with_what_to_type() {
    for (arguments, hint) in [
        (&["verify", "web1.example.com", "2222"][..], "HOST:PORT"),
        (&["doctor", "root@web1.example.com"], "hint: no user is asked for here: web1.example.com"),
        (&["doctor", "web1.example.com:22"], "hint: without the port: web1.example.com"),
        (&["config", "ssh", "web1.example.com:22"], "names alone, whatever the port"),
        (&["export", "sshfp", "--name", "a.example", "--host-key", "Cargo.toml"], "not a public key line"),
    ] {
        let (status, out, err) = run(&mut sshanchor(arguments));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(hint), "{arguments:?}: {err}");
    }
}

#[test]
fn verify_takes_hosts_from_a_file_and_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet");
    std::fs::write(&file, "# the fleet\n192.0.2.1\n\n192.0.2.2:2222\n").unwrap();
    let (status, out, err) = run(&mut sshanchor(&["verify", &format!("@{}", file.display())]));
    assert_eq!(status, Some(4), "{err}");
    let mut hosts: Vec<&str> =
        out.lines().filter_map(|line| line.split_once(" unproven: ")).map(|l| l.0).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["192.0.2.1:22", "192.0.2.2:2222"], "{out}");
    let input = std::fs::File::open(&file).unwrap();
    let (status, from_input, err) = run(sshanchor(&["verify", "-"]).stdin(input));
    assert_eq!((status, from_input.lines().count()), (Some(4), out.lines().count()), "{err}");
    let (status, out, err) = run(&mut sshanchor(&["verify", "@/nonexistent"]));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("cannot read /nonexistent"), "{err}");
}

#[test]
fn verify_takes_host_sets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fleet");
    let verified = |arguments: &[&str]| {
        let (status, out, err) = run(&mut sshanchor(&[&["verify", "--fanout", "1"], arguments].concat()));
        assert_eq!(status, Some(4), "{err}");
        let hosts = out.lines().filter_map(|line| line.split_once(" unproven: ")).map(|l| l.0.to_owned());
        hosts.collect::<Vec<_>>()
    };
    let file = format!("@{}", file.display());
    assert_eq!(
        verified(&["192.0.2.9", "-H", "[::1]:2222", "-p", "23"]),
        ["192.0.2.9:23", "[::1]:2222"],
        "a host of its own and a set"
    );
    assert_eq!(
        verified(&["-H", "192.0.2.[1-4],192.0.2.2", "-x", "192.0.2.1,192.0.2.[3-4]"]),
        ["192.0.2.2:22"]
    );
    std::fs::write(&file[1..], "192.0.2.[1-3] # three\n192.0.2.1,me@192.0.2.8:2222\n").unwrap();
    assert_eq!(
        verified(&["-H", &file, "-x", "192.0.2.2"]),
        ["192.0.2.1:22", "192.0.2.3:22", "192.0.2.8:2222"]
    );
    std::fs::write(&file[1..], "192.0.2.1\nweb1 web2\n").unwrap();
    let (status, out, err) = run(&mut sshanchor(&["verify", "-H", &file]));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("line 2: ") && err.contains("a host a line"), "{err}");
    for (set, told) in [
        ("web[1-20", "bracket"),
        ("web[01-100]", "as many digits"),
        ("web1 web2", "commas stand between names"),
        ("web[1-9]!web2", "-x HOSTS"),
        ("web{1..3}", "and for web{1..3} web[1-3]"),
        ("web[1-2000000]", "more than 1000000 hosts"),
        ("web_[1-2]", "\"web_1\" is not a host name"),
    ] {
        let (status, out, err) = run(&mut sshanchor(&["verify", "-H", set]));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{set}: {err}");
        assert!(err.contains(told), "{set}: {err}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("host.pub");
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHdTtohLtm/qfgOsE+gPiwetvCEpJJhmxoNf5FMJ737c\n";
    std::fs::write(&key, line).unwrap();
    let output = folder.path().join("none/records");
    let (key, output) = (key.to_str().unwrap(), output.to_str().unwrap());
    let arguments = ["export", "sshfp", "--name", "web1.example.com", "--host-key", key, "-o", output];
    let (status, out, err) = run(&mut sshanchor(&arguments));
    assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("No such file or directory"), "{err}");
}
