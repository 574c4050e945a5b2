//! The files: what is written, where, and that it goes again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Home(Sandbox);

impl Home {
    fn new() -> Self {
        Home(Sandbox::new())
    }

    fn config(&self) -> PathBuf {
        self.0.join("ssh/config")
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = self.0.sshanchor();
        command.env_remove("SSHANCHOR_CONFIG").args(["--config", "none", "config", "ssh"]).args(arguments);
        run(command.arg("--ssh-config").arg(self.config()), LIMIT)
    }

    #[track_caller]
    fn code(&self, arguments: &[&str]) -> Option<i32> {
        self.run(arguments).code
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }
}

const INSTALL: [&str; 3] = ["--install", "*.example.com", "!db.example.com"];

/// ssh goes by the home in the password database: where HOME is another one, nobody can know which is meant.
#[test]
fn two_homes_are_one_too_many() {
    let home = Home::new();
    let find = |place: &str| {
        let mut command = home.0.sshanchor();
        command.env("SSHANCHOR_CONFIG", "none").env("HOME", place).args(["config", "ssh", "--check"]);
        run(command.args(INSTALL), LIMIT)
    };
    let other = find(&home.0.path().display().to_string());
    assert_eq!(other.code, Some(2), "{other:#?}");
    let here = format!("or --ssh-config {} for ssh -F", home.0.join(".ssh/config").display());
    assert!(other.stderr.contains(&here), "{other:#?}");
    // No HOME is no other home; nothing is written to the one that there is.
    assert!(matches!(find("").code, Some(0 | 5)));
}

fn checked(action: &[&'static str], how: &'static str) -> Vec<&'static str> {
    [action, &[how]].concat()
}

#[test]
fn installing_twice_is_installing_once_and_removing_leaves_nothing() {
    let home = Home::new();
    assert_eq!(home.code(&checked(&INSTALL, "--check")), Some(5));
    assert!(!home.config().exists());
    let shown = home.run(&checked(&INSTALL, "--dry-run"));
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    assert!(shown.stdout.contains("+    StrictHostKeyChecking yes"), "{shown:#?}");
    assert!(!home.config().exists() && !home.0.join("ssh").exists());

    assert_eq!(home.code(&INSTALL), Some(0));
    let own = home.0.join("ssh/sshanchor.conf");
    let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&own), mode(&home.config()), mode(&home.0.join("ssh"))), (0o600, 0o600, 0o700));
    let (before, mtime) = (home.text(), own.metadata().unwrap().modified().unwrap());
    assert_eq!(home.code(&checked(&INSTALL, "--check")), Some(0));
    assert_eq!(home.code(&INSTALL), Some(0));
    assert_eq!((home.text(), own.metadata().unwrap().modified().unwrap()), (before, mtime));

    // Other hosts: the file alone changes.
    let other = home.run(&["--install", "*.example.org", "--json"]).json();
    let changes: Vec<&str> =
        other["files"].as_array().unwrap().iter().map(|f| f["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["change", "none"], "{other}");

    assert_eq!(home.code(&["--remove", "--check"]), Some(5));
    assert_eq!(home.code(&["--remove"]), Some(0));
    assert_eq!(fs::read_dir(home.0.join("ssh")).unwrap().count(), 0, "nothing is left");
    assert_eq!((home.code(&["--remove"]), home.code(&["--remove", "--check"])), (Some(0), Some(0)));
}

#[test]
fn what_was_there_stays_octet_by_octet_and_ssh_reads_it_as_before() {
    let home = Home::new();
    fs::create_dir(home.0.join("ssh")).unwrap();
    for text in [
        "",
        "User before\nHost *.example.com\n  User me",
        "Host *.example.com\r\n  User me\r\n\r\nHost *\r\n  Port 2222\r\n",
        "Match all\n  User me\n# caf\u{e9}\n",
        "Host other\n  User me\n",
    ] {
        let asked = |host: &str| {
            let mut ssh = command("ssh");
            let out = run(ssh.arg("-F").arg(home.config()).args(["-G", "--", host]), LIMIT).stdout;
            let line = |k: &str| out.lines().find(|l| l.starts_with(k)).unwrap_or_default().to_owned();
            (line("user "), line("port "))
        };
        fs::write(home.config(), text).unwrap();
        fs::set_permissions(home.config(), fs::Permissions::from_mode(0o640)).unwrap();
        let hosts = ["web1.example.com", "elsewhere.test", "other"];
        let before = hosts.map(asked);
        assert_eq!(home.code(&INSTALL), Some(0), "{text:?}");
        assert!(home.text().ends_with(text), "{text:?}");
        assert_eq!(hosts.map(asked), before, "{text:?}: the other options are as they were");
        assert_eq!(home.code(&["--remove"]), Some(0));
        assert_eq!(home.text(), text);
        assert_eq!(home.config().metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
}

#[test]
fn a_link_of_a_dotfile_manager_is_written_through_and_a_dangling_one_refused() {
    let home = Home::new();
    fs::create_dir(home.0.join("ssh")).unwrap();
    fs::create_dir(home.0.join("dotfiles")).unwrap();
    let real = home.0.write("dotfiles/ssh_config", "User me\n");
    symlink("../dotfiles/ssh_config", home.config()).unwrap();
    assert_eq!(home.code(&INSTALL), Some(0));
    assert!(home.config().symlink_metadata().unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("Include "), "the target");
    assert!(home.0.join("ssh/sshanchor.conf").exists() && !home.0.join("dotfiles/sshanchor.conf").exists());
    assert_eq!(home.code(&["--remove"]), Some(0));
    assert_eq!(fs::read_to_string(&real).unwrap(), "User me\n");
    fs::remove_file(&real).unwrap();
    let refused = home.run(&INSTALL);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("link to a file that is not there"), "{refused:#?}");
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let home = Home::new();
    fs::create_dir(home.0.join("ssh")).unwrap();
    let own = home.0.write("ssh/sshanchor.conf", "Host *\n  User me\n");
    for arguments in [&INSTALL[..], &["--remove"]] {
        let refused = home.run(arguments);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.stderr.contains("was not written by"), "{refused:#?}");
    }
    assert_eq!(fs::read_to_string(own).unwrap(), "Host *\n  User me\n");
    assert!(!home.config().exists(), "nothing was begun");
}

#[test]
fn the_systems_file_is_one_of_a_folder_that_has_to_be_included() {
    let home = Home::new();
    fs::create_dir(home.0.join("ssh")).unwrap();
    let folder = home.0.join("ssh/ssh_config.d");
    let include = format!("Include {}/*.conf\nHost *\n  SendEnv LANG\n", folder.display());
    home.0.write("ssh/config", &include);
    let installed = home.run(&checked(&INSTALL, "--system"));
    assert_eq!((installed.code, installed.stderr.as_str()), (Some(0), ""), "{installed:#?}");
    let own = folder.join("00-sshanchor.conf");
    assert_eq!(own.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(home.text(), include, "it is the system's");
    for (text, told) in [
        (format!("Host *\n  StrictHostKeyChecking no\n{include}"), "behind what comes first"),
        ("Host *\n".to_owned(), "does not include"),
    ] {
        home.0.write("ssh/config", &text);
        let overruled = home.run(&checked(&INSTALL, "--system"));
        assert_eq!(overruled.code, Some(5), "{overruled:#?}");
        assert!(
            overruled.stderr.contains(told) && overruled.stdout.contains("NOT in force"),
            "{overruled:#?}"
        );
    }
    assert_eq!(home.code(&["--remove", "--system"]), Some(0));
    assert!(!own.exists());
}

#[test]
fn ssh_takes_what_is_printed_and_options_are_explained_where_they_are_wrong() {
    let home = Home::new();
    for mode in ["known-hosts", "proxy"] {
        let printed = home.run(&["--mode", mode, "web*.example.com", "!web9.example.com"]);
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:#?}");
        let file = home.0.write("printed", &printed.stdout);
        let asked = |host: &str| {
            let mut ssh = command("ssh");
            let finished = run(ssh.arg("-F").arg(&file).args(["-G", "--", host]), LIMIT);
            assert_eq!(finished.code, Some(0), "{finished:#?}");
            finished.stdout.contains("sshanchor") && finished.stdout.contains("userknownhostsfile none")
        };
        let hosts = [
            "web1.example.com",
            "WEB1.example.com",
            "web1.example.com.",
            "web9.example.com",
            "WEB9.example.com",
            "web1.example.org",
        ];
        assert_eq!(hosts.map(asked), [true, true, true, false, false, false]);
        let json = home.run(&["--mode", mode, "web*.example.com", "--json"]).json();
        assert_eq!(
            (json["mode"].as_str(), json["hosts"][0].as_str()),
            (Some(mode), Some("web*.example.com"))
        );
        assert!(json["text"].as_str().unwrap().contains("\nMatch host web*.example.com,"), "{json}");
    }
    assert!(!home.0.join("ssh").exists(), "printing writes nothing");
    for (arguments, code) in [
        (&["!db.example.com"][..], 2),
        (&["a b\"c"], 2),
        (&[], 2),
        (&["--check", "web1.example.com"], 2),
        (&["--install", "--remove"], 2),
        (&["--remove", "web1.example.com"], 2),
    ] {
        assert_eq!(home.code(arguments), Some(code), "{arguments:?}");
    }
    let address = home.run(&["10.0.*", "web1.example.com"]);
    assert!(address.stderr.contains("no key of an address can be proven"), "{address:#?}");
}
