//! Records of keys, with `ssh-keygen -r` as the second opinion.

use std::path::Path;
use std::process::{Command, Stdio};

use super::primary::{HOST, LIMIT, key};
use crate::support::peer::command;
use crate::support::sshd::{KEY_TYPES, keygen, sshfp_lines};
use crate::support::{Sandbox, Tree, run};

#[test]
fn records_are_those_of_ssh_keygen_for_every_key_type() {
    let tree = Tree::start();
    let sandbox = &tree.sandbox;
    let mut files = Vec::new();
    for (name, arguments) in KEY_TYPES {
        keygen(arguments, &sandbox.join(name));
        files.push(sandbox.join(&format!("{name}.pub")));
    }
    let wanted: Vec<String> = files.iter().flat_map(|file| sshfp_lines(file, HOST)).collect();
    assert_eq!(wanted.len(), 5);
    let run = |command: &mut Command| {
        let finished = run(command, LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished.stdout
    };
    let sshfp =
        |more: &[&str]| run(sandbox.sshanchor().args(["sshfp", "--name", HOST]).args(more).args(&files));
    assert_eq!(sshfp(&[]), wanted.join("\n") + "\n");

    // The generic form, as ssh-keygen -r -g has it.
    let mut generic = Vec::new();
    for file in &files {
        let mut keygen = command("ssh-keygen");
        let text = run(keygen.args(["-r", HOST, "-g", "-f"]).arg(file));
        generic.extend(text.lines().filter(|l| l.contains(" 34 ")).map(str::to_owned));
    }
    assert_eq!(sshfp(&["-g"]).lines().map(str::to_owned).collect::<Vec<_>>(), generic);

    let mut dry_run = sandbox.sshanchor();
    dry_run.args(["publish", "--dry-run", "--name", HOST, "--server", &tree.addr().to_string()]);
    for file in &files {
        dry_run.arg("--host-key").arg(file);
    }
    let dry_run = run(&mut dry_run);
    for line in &wanted {
        assert!(dry_run.contains(line.as_str()), "{line} is not in\n{dry_run}");
    }
}

#[test]
fn standard_input_holds_keys_or_sshds_configuration() {
    let sandbox = Sandbox::new();
    let (a, b) = (key(&sandbox, "a"), key(&sandbox, "b"));
    let both = [sshfp_lines(&a, HOST), sshfp_lines(&b, HOST)].concat().join("\n") + "\n";
    let feed = |text: &str| {
        let mut command = sandbox.sshanchor();
        command.args(["sshfp", "--name", HOST, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let lines = [&a, &b].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    assert_eq!(feed(&lines), (Some(0), both.clone(), String::new()));
    let path = |file: &Path| file.with_extension("").display().to_string();
    let config = format!("port 22\nhostkey {}\nhostkey {}\nusepam yes\n", path(&a), path(&b));
    assert_eq!(feed(&config), (Some(0), both, String::new()));
    let (code, stdout, stderr) = feed("sk-ssh-ed25519@openssh.com AAAA token\n");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("standard input line 1") && stderr.contains("security-token"), "{stderr}");
}
