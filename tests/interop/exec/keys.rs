//! Whose keys let in, and who is asked for a passphrase.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{HOST, LIMIT, Stage};
use crate::support::agent::Agent;
use crate::support::peer::command;
use crate::support::sshd::keygen;
use crate::support::terminal::at_a_terminal;
use crate::support::{run, run_ok};

const ASKED: &str = "Passphrase for";

#[test]
fn keys_come_from_files() {
    let stage = Stage::new(&["ed25519"]);
    let folder = &stage.sshd.sandbox;
    let user = folder.join("user");
    Stage::fails(&mut stage.keyless(), "it would take: publickey");
    let stranger = folder.join("stranger");
    keygen(&["-t", "ed25519"], &stranger);
    Stage::fails(stage.keyless().arg("-i").arg(&stranger), "it would take: publickey");
    // The next one is tried.
    Stage::works(stage.keyless().arg("-i").arg(&stranger).arg("-i").arg(&user));

    // Where none is named, the default files are looked at.
    let home = stage.tree.sandbox.join(".ssh");
    fs::create_dir(&home).unwrap();
    fs::copy(&user, home.join("id_ed25519")).unwrap();
    Stage::works(&mut stage.keyless());
    fs::set_permissions(home.join("id_ed25519"), fs::Permissions::from_mode(0o640)).unwrap();
    Stage::fails(&mut stage.keyless(), "others can read");
    let exposed = run(stage.keyless().arg("-i").arg(home.join("id_ed25519")).args(["--", "true"]), LIMIT);
    assert_eq!(exposed.code, Some(2), "{exposed:#?}");
    assert!(exposed.stderr.contains("chmod 600"), "{exposed:#?}");
    let absent = run(stage.keyless().args(["-i", "no-such-file", "--", "true"]), LIMIT);
    assert_eq!(absent.code, Some(2), "{absent:#?}");

    let kinds: [(&str, &[&str]); 5] = [
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("ed25519", &["-t", "ed25519"]),
    ];
    let mut authorized = fs::read_to_string(folder.join("authorized_keys")).unwrap();
    for (name, arguments) in kinds {
        keygen(arguments, &folder.join(name));
        authorized += &fs::read_to_string(folder.join(&format!("{name}.pub"))).unwrap();
    }
    fs::write(folder.join("authorized_keys"), &authorized).unwrap();
    for (name, _) in kinds {
        let mark = stage.sshd.mark();
        Stage::works(stage.keyless().arg("-i").arg(folder.join(name)));
        if name.starts_with("rsa") {
            assert!(stage.sshd.process.log()[mark..].contains("rsa-sha2-512"));
        }
    }
}

#[test]
fn a_passphrase_is_asked_for_at_the_terminal_and_nowhere_else() {
    let stage = Stage::new(&["ed25519"]);
    let folder = &stage.sshd.sandbox;
    for (name, more) in [("locked", ["-m", "RFC4716"]), ("locked-pem", ["-m", "PEM"])] {
        let file = folder.join(name);
        let kind = if name == "locked" { ["-t", "ed25519"] } else { ["-t", "rsa"] };
        run_ok(
            command("ssh-keygen").args(["-q", "-N", "open sesame", "-f"]).arg(&file).args(kind).args(more),
        );
        let mut authorized = fs::read_to_string(folder.join("authorized_keys")).unwrap();
        authorized += &fs::read_to_string(folder.join(&format!("{name}.pub"))).unwrap();
        fs::write(folder.join("authorized_keys"), authorized).unwrap();

        let mut exec = stage.keyless();
        exec.arg("-i").arg(&file).args(["-n", "--", "echo", "hello"]);
        let (shown, code) = at_a_terminal(&exec, folder, &[(ASKED, "wrong"), (ASKED, "open sesame")]);
        assert!(shown.contains("hello") && code == Some(0), "{shown}");
        assert!(!shown.contains("sesame"), "it is not shown: {shown}");
        let mut setsid = Command::new("setsid");
        setsid.arg("-w").arg(exec.get_program()).args(exec.get_args());
        for (name, value) in exec.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            setsid.env(name, value);
        }
        let finished = run(setsid.env_remove("SSH_AUTH_SOCK"), LIMIT);
        assert_eq!(finished.code, Some(255), "{finished:#?}");
        assert!(finished.stderr.contains("ssh-add"), "{finished:#?}");
    }
    // A server that does not want the key gets nobody asked.
    let unwanted = folder.join("unwanted");
    run_ok(command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "secret", "-f"]).arg(&unwanted));
    let mut exec = stage.keyless();
    exec.arg("-i").arg(&unwanted).args(["-n", "--", "true"]);
    let (shown, code) = at_a_terminal(&exec, folder, &[]);
    assert!(!shown.contains("Passphrase") && code == Some(255), "{shown}");
}

#[test]
fn keys_come_from_the_agent() {
    let stage = Stage::new(&["ed25519"]);
    let folder = &stage.sshd.sandbox;
    let agent = Agent::start();
    let with_agent = || {
        let mut exec = stage.keyless();
        exec.env("SSH_AUTH_SOCK", agent.socket());
        exec
    };
    Stage::fails(&mut with_agent(), "it would take: publickey");
    let strangers: Vec<PathBuf> = (0..7).map(|i| folder.join(&format!("stranger{i}"))).collect();
    strangers.iter().for_each(|file| keygen(&["-t", "ed25519"], file));
    agent.add(&strangers[0]);
    Stage::fails(&mut with_agent(), "it would take: publickey");
    agent.add(&folder.join("user"));
    Stage::works(&mut with_agent());
    // Behind more keys than a server takes it is not reached, unless it is named.
    agent.remove_all();
    strangers.iter().for_each(|file| agent.add(file));
    agent.add(&folder.join("user"));
    Stage::fails(&mut with_agent(), "name the one to use with -i");
    Stage::works(with_agent().arg("-i").arg(folder.join("user.pub")));
    agent.remove_all();
    Stage::fails(
        with_agent().arg("-i").arg(folder.join("user.pub")),
        "ssh-agent does not hold its private key",
    );
    Stage::fails(stage.keyless().arg("-i").arg(folder.join("user.pub")), "there is no ssh-agent");
    let gone = folder.join("no-agent");
    Stage::fails(stage.keyless().env("SSH_AUTH_SOCK", &gone), "no ssh-agent at");
    Stage::works(stage.exec().env("SSH_AUTH_SOCK", &gone));

    // RSA by SHA-2, and a key that is bound to this host alone.
    keygen(&["-t", "rsa", "-b", "2048"], &folder.join("rsa"));
    let mut authorized = fs::read_to_string(folder.join("authorized_keys")).unwrap();
    authorized += &fs::read_to_string(folder.join("rsa.pub")).unwrap();
    fs::write(folder.join("authorized_keys"), authorized).unwrap();
    agent.add(&folder.join("rsa"));
    let mark = stage.sshd.mark();
    Stage::works(&mut with_agent());
    assert!(stage.sshd.process.log()[mark..].contains("rsa-sha2-512"));
    agent.remove_all();
    let known = |key: &Path| format!("{HOST} {}", fs::read_to_string(key).unwrap());
    for (key, is_this_host) in [(stage.sshd.host_key("ed25519"), true), (folder.join("stranger1.pub"), false)]
    {
        let known_hosts = folder.write("known_hosts", &known(&key));
        agent.add_for(&folder.join("user"), HOST, &known_hosts);
        match is_this_host {
            true => Stage::works(&mut with_agent()),
            false => Stage::fails(&mut with_agent(), "it would take: publickey"),
        }
        agent.remove_all();
    }
}

#[test]
fn user_certificates_let_in() {
    let stage = Stage::new(&["ed25519"]);
    let folder = &stage.sshd.sandbox;
    let (ca, user) = (folder.join("ca"), folder.join("certified"));
    keygen(&["-t", "ed25519"], &ca);
    keygen(&["-t", "ed25519"], &user);
    let me = run_ok(Command::new("id").arg("-un"));
    let line = format!("cert-authority {}", fs::read_to_string(folder.join("ca.pub")).unwrap());
    fs::write(folder.join("authorized_keys"), line).unwrap();
    Stage::fails(stage.keyless().arg("-i").arg(&user), "it would take: publickey");
    let sign = |name: &str| {
        let mut sign = command("ssh-keygen");
        sign.args(["-q", "-I", "test", "-n", name, "-s"]).arg(&ca).arg(folder.join("certified.pub"));
        run_ok(&mut sign);
    };
    sign("somebody-else");
    Stage::fails(stage.keyless().arg("-i").arg(&user), "it would take: publickey");
    sign(me.trim());
    Stage::works(stage.keyless().arg("-i").arg(&user));
    let agent = Agent::start();
    agent.add(&user);
    Stage::works(stage.keyless().env("SSH_AUTH_SOCK", agent.socket()));
}
