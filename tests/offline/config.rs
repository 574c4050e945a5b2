//! The configuration file as the program sees it: which files count, what they may say, what is shown of it.

mod home;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use self::home::{Home, Ran, mode, ran};

const SIMPLE: &str = "version = 1\nresolver = \"192.0.2.1\"\ntimeout = \"3s\"\n[[host]]\nmatch = \"a.example\"\nmode = \"pass\"\n";

#[test]
fn options_come_before_variables_before_files_before_defaults() {
    let home = Home::with(SIMPLE);
    let row = |command: &mut Command| {
        let row = ran(command).row("resolver");
        (row["value"].to_string(), row["source"].as_str().unwrap().to_owned(), row["from"].clone())
    };
    let show = ["config", "show", "--json"];
    let file = Value::from(home.config().to_str().unwrap());
    assert_eq!(row(&mut home.sshanchor(&show)), ("[\"192.0.2.1:53\"]".into(), "file".into(), file));
    let mut by_variable = home.sshanchor(&show);
    by_variable.env("SSHANCHOR_RESOLVER", "192.0.2.2");
    assert_eq!(
        row(&mut by_variable),
        ("[\"192.0.2.2:53\"]".into(), "environment".into(), "SSHANCHOR_RESOLVER".into())
    );
    by_variable.args(["--resolver", "192.0.2.3"]);
    assert_eq!(row(&mut by_variable), ("[\"192.0.2.3:53\"]".into(), "option".into(), "--resolver".into()));
    let none = ran(home.sshanchor(&show).args(["--config", "none"]));
    assert_eq!(
        (none.row("resolver")["value"].clone(), none.row("timeout")["value"].clone()),
        (Value::Null, "10s".into())
    );
    assert_eq!(none.row("resolver")["source"], "default");
}

#[test]
fn the_file_that_is_named_takes_the_place_of_the_others() {
    let home = Home::with(SIMPLE);
    let other = home.write(
        "other/file.toml",
        "version = 1\ntimeout = \"4s\"\ntrust_anchor = \"near\"\ncache = \"~/far\"\n",
    );
    let shown = home.run(&["--config", other.to_str().unwrap(), "config", "show", "--json"]);
    assert_eq!(shown.row("resolver")["value"], Value::Null, "{}", shown.out);
    assert_eq!(
        (shown.row("timeout")["value"].as_str(), shown.row("timeout")["line"].as_u64()),
        (Some("4s"), Some(2))
    );
    // Paths go out from the folder of the file, or from home.
    assert_eq!(shown.row("trust_anchor")["value"], home.join("other/near").to_str().unwrap());
    assert_eq!(shown.row("cache")["value"], home.join("far").to_str().unwrap());
    let by_variable =
        ran(home.sshanchor(&["config", "show", "--json"]).env("SSHANCHOR_CONFIG", "other/file.toml"));
    assert_eq!(by_variable.row("timeout")["value"], "4s");
    let empty = ran(home.sshanchor(&["config", "show", "--json"]).env("SSHANCHOR_CONFIG", ""));
    assert_eq!(empty.row("timeout")["value"], "3s", "a variable that is set to nothing is none");
    let missing = home.run(&["--config", "nothing.toml", "config", "show"]);
    assert_eq!(missing.status, Some(2), "{}", missing.err);
    assert!(missing.err.contains("nothing.toml: cannot be read"), "{}", missing.err);
}

#[test]
fn the_first_value_counts_and_show_says_which_line_decided() {
    let home = Home::with(
        "version = 1\n[[host]]\nmatch = \"db.example\"\noutage_grace = \"1h\"\n\n[[host]]\nmatch = \"*.example\"\n\
         outage_grace = \"2h\"\nport_labels = \"required\"\n",
    );
    let shown = home.run(&["config", "show", "DB.example.", "--json"]);
    let row = |key: &str| {
        let row = shown.row(key);
        (row["value"].clone(), row["line"].as_u64(), row["match"].clone())
    };
    assert_eq!(row("outage_grace"), ("1h".into(), Some(4), "db.example".into()));
    assert_eq!(row("port_labels"), ("required".into(), Some(9), "*.example".into()));
    assert_eq!(row("aliases"), ("any".into(), None, Value::Null));
    assert_eq!(shown.row("aliases")["host"], "db.example");
    let text = home.run(&["config", "show", "db.example"]);
    let line =
        format!("outage_grace = \"1h\"  # {} line 4, match = \"db.example\"\n", home.config().display());
    assert!(text.out.contains(&line), "{}", text.out);
    // Without a host: every rule in its order.
    let all = home.run(&["config", "show", "--json"]).json();
    let rules: Vec<u64> =
        all.iter().filter(|row| row["match"].is_string()).filter_map(|row| row["line"].as_u64()).collect();
    assert_eq!(rules, [4, 8, 9]);
    assert_eq!(home.run(&["config", "show", "a_b"]).status, Some(2));
}

#[test]
fn a_malformed_file_stops_every_command_and_shows_the_line() {
    let home = Home::with("version = 1\n[[host]]\nmatch = \"*\"\n  out_grace = \"6h\"\x1b[31m\n");
    for arguments in [
        &["verify", "192.0.2.1"][..],
        &["lookup", "a.example"],
        &["config", "show"],
        &["sshfp", "--name", "a", "x"],
    ] {
        let ran = home.run(arguments);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("config.toml line 4: ") && !ran.err.contains('\x1b'), "{}", ran.err);
    }
    let home = Home::with("version = 1\n[[host]]\nmatch = \"*\"\n  out_grace = \"6h\"\ncolour = 1");
    let ran = home.run(&["verify", "192.0.2.1", "--json"]);
    assert_eq!(ran.status, Some(2));
    let told = &ran.json()[0];
    assert_eq!(told["reason"], "config");
    let want = "config.toml line 4: there is no setting \"out_grace\"";
    assert!(told["error"].as_str().unwrap().contains(want), "{told}");
    assert!(told["error"].as_str().unwrap().ends_with(": out_grace = \"6h\""), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("first of several mistakes"), "{told}");
    // Without that file the command does what it does.
    assert_eq!(home.run(&["verify", "192.0.2.1", "--config", "none"]).status, Some(4));
}

#[test]
fn check_tells_all_mistakes() {
    let home = Home::with("version = 1\na = 1\n[[host]]\nmatch = \"*\"\nca_at = \"*.a\"\nmode = \"no\"\n");
    let checked = home.run(&["config", "check", "--json"]);
    assert_eq!(checked.status, Some(2), "{}", checked.err);
    let json = checked.json();
    let lines: Vec<Option<u64>> = json.iter().map(|found| found["line"].as_u64()).collect();
    assert_eq!(lines, [Some(2), Some(5), Some(6), None]);
    assert!(json[..3].iter().all(|found| found["finding"] == "malformed"), "{}", checked.out);
    assert!(json[1]["message"].as_str().unwrap().contains("ca_at"), "{}", json[1]);
    assert_eq!(json[3]["findings"], 3);
}

#[test]
fn check_tells_what_is_in_vain() {
    let sound = Home::with(SIMPLE).run(&["config", "check", "--json"]);
    assert_eq!((sound.status, sound.json()[0]["findings"].as_u64()), (Some(0), Some(0)), "{}", sound.out);
    let home = Home::with(
        "version = 1\ncache = \"off\"\n[[host]]\nmatch = \"*.example\"\nmode = \"pass\"\n[[host]]\nmatch = \"a.example\"\n\
         port_labels = \"required\"\nmode = \"verify\"\n[[host]]\nmatch = \"!b\"\nmode = \"pass\"\n[[host]]\nmatch = \"c\"\n\
         outage_grace = \"1h\"\n",
    );
    let checked = home.run(&["config", "check", "--json"]);
    assert_eq!(checked.status, Some(5), "{}", checked.err);
    let found: Vec<(String, u64)> = checked
        .json()
        .iter()
        .filter_map(|found| Some((found["finding"].as_str()?.to_owned(), found["line"].as_u64()?)))
        .collect();
    let want = [("dead", 9), ("contradiction", 8), ("never-matches", 10), ("contradiction", 15)];
    assert_eq!(found, want.map(|(kind, line)| (kind.to_owned(), line)), "{}", checked.out);
    let text = home.run(&["config", "check"]);
    assert!(
        text.out.contains("line 9: dead: mode is always decided before, for every host here (line 5)"),
        "{}",
        text.out
    );
    assert!(text.out.ends_with("4 findings\n"), "{}", text.out);
    // With a cache the last of them is none.
    let cached =
        ran(home.sshanchor(&["config", "check", "--json"]).env("SSHANCHOR_CACHE", home.join("cache")));
    assert_eq!(cached.json().len(), 4, "three, and how it ended");
}

#[test]
fn a_file_that_others_may_have_written_does_not_count() {
    let home = Home::with(SIMPLE);
    let (file, folder) = (home.config(), home.join(".config/sshanchor"));
    let timeout = || {
        let shown = home.run(&["config", "show", "--json"]);
        assert_eq!(shown.status, Some(0), "{}", shown.err);
        (shown.row("timeout")["value"].as_str().unwrap().to_owned(), shown.err)
    };
    assert_eq!(timeout(), ("3s".into(), String::new()));
    for (path, bad, good) in [(&file, 0o646, 0o644), (&file, 0o664, 0o644), (&folder, 0o777, 0o755)] {
        mode(path, bad);
        let (value, err) = timeout();
        assert_eq!(value, "10s");
        assert!(err.contains("warning") && err.contains(&format!("chmod go-w {}", path.display())), "{err}");
        let checked = home.run(&["config", "check", "--json"]);
        assert_eq!((checked.status, checked.json()[0]["finding"].as_str()), (Some(5), Some("ignored")));
        mode(path, good);
        assert_eq!(timeout().0, "3s");
    }
    let elsewhere = home.write("elsewhere.toml", SIMPLE);
    fs::remove_file(&file).unwrap();
    symlink(&elsewhere, &file).unwrap();
    let (value, err) = timeout();
    assert!(value == "10s" && err.contains("symbolic link"), "{err}");
    fs::remove_file(&file).unwrap();
    assert_eq!(timeout(), ("10s".into(), String::new()), "no file at all is nothing to warn of");
}

#[test]
fn a_file_without_end_or_without_text_is_an_error() {
    let home = Home::with(&format!("version = 1\n#{}\n", "x".repeat(1024 * 1024)));
    let ran = home.run(&["config", "show"]);
    assert!(ran.status == Some(2) && ran.err.contains("larger than"), "{}", ran.err);
    fs::write(home.config(), b"version = 1\n# \xff\n").unwrap();
    assert_eq!(home.run(&["config", "show"]).status, Some(2));
    let folder = home.run(&["--config", ".config", "config", "show"]);
    assert!(folder.status == Some(2) && folder.err.contains("not a plain file"), "{}", folder.err);
}

#[test]
fn a_host_that_is_passed_is_unproven_and_nobody_is_asked() {
    let home = Home::with(SIMPLE);
    let ran = home.run(&["verify", "a.example", "--json"]);
    assert_eq!(ran.status, Some(4), "{}", ran.err);
    let judged = &ran.json()[0];
    assert_eq!((judged["verdict"].as_str(), judged["reason"].as_str()), (Some("unproven"), Some("pass")));
    assert!(judged["hint"].as_str().unwrap().contains("config show a.example"), "{judged}");
}

/// What `proxy` says to a client that names itself like this.
fn proxied(home: &Home, client: &str) -> Ran {
    let mut command = home.sshanchor(&["proxy", "192.0.2.1", "22", "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(client.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    Ran { status: status.code(), out: text(stdout), err: text(stderr) }
}

#[test]
fn behind_ssh_mistakes_and_warnings_reach_the_user_and_never_the_stream() {
    let home = Home::with("version = 1\ncolour = 1\n");
    let ran = proxied(&home, "SSH-2.0-OpenSSH_10.0\r\n");
    assert_eq!(ran.status, Some(2), "{}", ran.err);
    // A version, and a packet that says it.
    assert!(
        ran.out.starts_with("SSH-2.0-") && ran.out.contains("there is no key \"colour\""),
        "{:?}",
        ran.out
    );
    assert!(ran.err.contains("\"reason\":\"config\""), "{}", ran.err);
    let home = Home::with(SIMPLE);
    mode(&home.config(), 0o666);
    assert!(proxied(&home, "SSH-2.0-OpenSSH_10.0\r\n").err.contains("chmod go-w"));
    let asyncssh = proxied(&home, "SSH-2.0-AsyncSSH_2.24.0\r\n");
    assert_eq!(
        (asyncssh.status, asyncssh.err.as_str()),
        (Some(4), ""),
        "it reads standard error as the SSH stream"
    );
}

#[test]
fn the_docs_show_a_configuration_without_findings() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let docs = fs::read_to_string(docs).unwrap();
    let chapter = &docs[docs.find("\n## The files\n").unwrap()..];
    let begin = chapter.find("    version = 1\n").unwrap();
    let lines = chapter[begin..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let home = Home::with(&lines.map(|line| line.trim_start().to_owned() + "\n").collect::<String>());
    let checked = home.run(&["config", "check", "--json"]);
    assert_eq!(
        (checked.status, checked.json()[0]["findings"].as_u64()),
        (Some(0), Some(0)),
        "{}",
        checked.out
    );
    let shown = home.run(&["config", "show", "db.example.com", "--json"]);
    for (key, value) in
        [("port_labels", "required"), ("aliases", "same-zone"), ("outage_grace", "6h"), ("timeout", "20s")]
    {
        assert_eq!(shown.row(key)["value"], value);
    }
    assert_eq!(home.run(&["config", "show", "10.0.0.1", "--json"]).row("mode")["value"], "pass");
    // Every setting that there is stands in the table below it.
    for key in sshanchor::proto::policy::Setting::KEYS {
        assert!(docs.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn tables_that_say_something_in_vain_are_found_with_their_lines() {
    let found = |text: &str| {
        let home = Home::with(&format!("version = 1\n{text}"));
        let checked = home.run(&["config", "check", "--json"]);
        let told = checked.json();
        let told = told.iter().filter(|line| line["finding"].is_string());
        let told: Vec<(String, Option<u64>)> =
            told.map(|line| (line["finding"].as_str().unwrap().to_owned(), line["line"].as_u64())).collect();
        assert_eq!(checked.status, Some(if told.is_empty() { 0 } else { 5 }), "{}", checked.out);
        told
    };
    let one = |finding: &str, line: u64| vec![(finding.to_owned(), Some(line))];
    let publish = "[publish]\nname = \"a.example\"\nserver = \"192.0.2.1\"\n";
    assert_eq!(found("[agent]\ninterval = \"1h\"\n"), one("dead", 2));
    assert_eq!(found(&format!("{publish}[agent]\ninterval = \"1h\"\n")), []);
    assert_eq!(found(&format!("{publish}zone = \"other\"\n")), one("contradiction", 2));
    assert_eq!(
        found(&format!("{publish}[rotate]\nmargin = \"2d\"\nevery = \"1d\"\n")),
        one("contradiction", 7)
    );
    assert_eq!(found(&format!("{publish}[rotate]\nmargin = \"2h\"\nevery = \"1d\"\n")), []);
    assert_eq!(found("[trail]\nrequired = true\n"), one("dead", 2));
    assert_eq!(found("[trail]\nfile = \"none/trail\"\n"), one("contradiction", 2));
    assert_eq!(found("[trail]\nfile = \"trail\"\n"), []);
    let twice = publish.replace("[publish]", "[[publish]]");
    assert_eq!(found(&format!("{twice}{twice}")), one("contradiction", 2));
    assert_eq!(found("[[host]]\nmatch = \"*\"\nmode = \"pass\"\n"), one("too-wide", 4));
}

#[test]
fn check_warns_of_a_kex_that_old_servers_have_not() {
    let rule = |more: &str| format!("version = 1\n[[host]]\nmatch = \"*\"\nkex = \"post-quantum\"\n{more}");
    let told = Home::with(&rule("")).run(&["config", "check"]);
    assert_eq!(told.status, Some(0), "it is as it was meant: {}", told.out);
    assert!(told.err.contains("line 4") && told.err.contains("mlkem768x25519-sha256"), "{}", told.err);
    let new = Home::with(&rule("min_openssh = \"9.9\"\n")).run(&["config", "check"]);
    assert_eq!((new.status, new.err.as_str()), (Some(0), ""));
}

#[test]
fn each_key_of_a_table_is_shown_with_its_own_line() {
    let home = Home::with(
        "version = 1\n[publish]\nname = \"a.example\"\nserver = \"192.0.2.1\"\n[rotate]\nmargin = \"2h\"\n\
         [trail]\nfile = \"trail\"\nrequired = true\n",
    );
    let shown = home.run(&["config", "show", "--json"]);
    let margin = shown.row("rotate.margin");
    assert_eq!((&margin["source"], &margin["line"]), (&"file".into(), &6.into()));
    let every = shown.row("rotate.every");
    assert_eq!((&every["source"], &every["value"]), (&"default".into(), &serde_json::Value::Null));
    assert_eq!(shown.row("trail.required")["value"], "true");
    assert!(shown.row("trail.file")["value"].as_str().unwrap().ends_with("/trail"));
}
