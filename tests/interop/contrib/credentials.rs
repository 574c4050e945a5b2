//! Keys from systemd's credentials (systemd.exec(5)): a folder of mode 0500 with files of mode 0400, or 0440 for the
//! user of a unit.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::interop::primary::{HOST, LIMIT, Primary, key, record};
use crate::support::pdns::PdnsTree;
use crate::support::{Finished, Sandbox, run};

fn credential(sandbox: &Sandbox, name: &str, from: &Path, mode: u32) -> PathBuf {
    let folder = sandbox.join(&format!("credentials-{mode:o}-{:08x}", rand::random::<u32>()));
    fs::create_dir(&folder).unwrap();
    fs::copy(from, folder.join(name)).unwrap();
    fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
    folder
}

/// What was published, with nothing of the secret to be seen.
fn published(command: &mut Command, secret: &str) -> Finished {
    let finished = run(command.args(["--json", "-v"]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!finished.stderr.contains(secret) && !finished.stdout.contains(secret), "the secret shows");
    finished
}

#[test]
fn a_tsig_key_comes_from_a_credential_where_no_file_is_named() {
    let primary = Primary::bind();
    let (sandbox, tsig) = (primary.sandbox(), primary.tsig("web1"));
    let addr = primary.addr().to_string();
    let secret = primary.tree().tsig.iter().find(|key| key.name == "web1").unwrap().secret.clone();
    let config = sandbox.write(
        "config.toml",
        &format!(
            "version = 1\n[publish]\nname = \"{HOST}\"\nserver = \"{addr}\"\ncheck_servers = [\"{addr}\"]\n"
        ),
    );
    let publish = |credentials: Option<&Path>, public: &Path| {
        let mut command = sandbox.sshanchor();
        command.env_remove("SSHANCHOR_CONFIG").arg("publish").arg("--config").arg(&config);
        command.arg("--state").arg(sandbox.join("state")).arg("--host-key").arg(public);
        if let Some(folder) = credentials {
            command.env("CREDENTIALS_DIRECTORY", folder);
        }
        command
    };
    for mode in [0o400, 0o440] {
        let folder = credential(sandbox, "sshanchor.tsig", &tsig, mode);
        let public = key(sandbox, &format!("key-{mode:o}"));
        let finished = published(&mut publish(Some(&folder), &public), &secret);
        assert!(!finished.stderr.contains("can be read"), "{mode:o}: {finished:#?}");
        assert_eq!(primary.records(HOST).0, [record(&public)]);
        // By its path, as a unit has it with %d, too.
        let named = run(
            publish(Some(&folder), &public)
                .args(["--json", "--server", &addr, "--check-server", &addr, "--name", HOST])
                .arg("--key-file")
                .arg(folder.join("sshanchor.tsig")),
            LIMIT,
        );
        assert!(named.code == Some(0) && !named.stderr.contains("can be read"), "{named:#?}");
    }
    let public = key(sandbox, "key");
    // What everybody can read is told of, here too; and outside of such a folder what the group can read.
    let folder = credential(sandbox, "sshanchor.tsig", &tsig, 0o444);
    assert!(
        published(&mut publish(Some(&folder), &public), &secret)
            .stderr
            .contains("can be read or written by others")
    );
    let folder = credential(sandbox, "elsewhere", &tsig, 0o440);
    let finished = run(
        publish(None, &public)
            .args(["--server", &addr, "--check-server", &addr, "--name", HOST])
            .arg("--key-file")
            .arg(folder.join("elsewhere")),
        LIMIT,
    );
    assert!(finished.code == Some(0) && finished.stderr.contains("can be read"), "{finished:#?}");
    // A credential with another name is none, and neither is no folder at all.
    for credentials in [Some(folder.as_path()), None] {
        let finished =
            run(&mut publish(credentials, &key(sandbox, &format!("{:08x}", rand::random::<u32>()))), LIMIT);
        assert!(finished.code == Some(2) && finished.stderr.contains("needs a TSIG key"), "{finished:#?}");
    }
    // A file that is named goes before.
    let broken = sandbox.write("broken", "nothing");
    let folder = credential(sandbox, "sshanchor.tsig", &broken, 0o400);
    let other = key(sandbox, "other");
    let refused = run(&mut publish(Some(&folder), &other), LIMIT);
    assert!(refused.code == Some(2) && refused.stderr.contains("not a TSIG key"), "{refused:#?}");
    let mut named = publish(Some(&folder), &other);
    named.args(["--server", &addr, "--check-server", &addr, "--name", HOST, "--key-file"]).arg(&tsig);
    published(&mut named, &secret);
    assert_eq!(primary.records(HOST).0, [record(&other)]);
}

#[test]
fn an_api_key_comes_from_a_credential_where_no_file_is_named() {
    let pdns = PdnsTree::start();
    let (sandbox, addr) = (&pdns.tree.sandbox, pdns.addr().to_string());
    let publish = |credentials: &Path, public: &Path| {
        let mut command = sandbox.sshanchor();
        command.args(["publish", "--name", HOST, "--powerdns", &pdns.url(), "--check-server", &addr]);
        command.arg("--state").arg(sandbox.join("state")).arg("--host-key").arg(public);
        command.env("CREDENTIALS_DIRECTORY", credentials);
        command
    };
    for mode in [0o400, 0o440] {
        let folder = credential(sandbox, "sshanchor.powerdns", &pdns.key_file(), mode);
        let finished = published(&mut publish(&folder, &key(sandbox, &format!("key-{mode:o}"))), &pdns.key);
        assert!(!finished.stderr.contains("can be read"), "{mode:o}: {finished:#?}");
    }
    let folder = credential(sandbox, "sshanchor.powerdns", &pdns.key_file(), 0o444);
    let refused = run(&mut publish(&folder, &key(sandbox, "key")), LIMIT);
    assert!(refused.code == Some(2) && refused.stderr.contains("everybody can read it"), "{refused:#?}");
}
