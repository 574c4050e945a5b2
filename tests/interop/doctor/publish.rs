//! The publishing side: each finding where it shows, and its twin where it does not. Nothing is changed by looking.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Found, doctor};
use crate::interop::agent::Machine;
use crate::interop::primary::{HOST, Primary, key, on_bind_and_knot, private, record};
use crate::support::Tree;
use crate::support::named::{Secondary, TsigKey};
use crate::support::peer::command;
use crate::support::process::wait_until;
use crate::support::run_ok;

on_bind_and_knot! {
    keys_and_rights_are_tried_and_nothing_is_changed
}

/// A `[publish]` table for the key `public`, and what else is in the file.
fn configuration(primary: &Primary, tsig: &Path, public: &Path, more: &str) -> String {
    let addr = primary.addr();
    format!(
        "version = 1\n[publish]\nname = \"{HOST}\"\nserver = \"{addr}\"\nkey_file = \"{}\"\nhost_keys = \"{}\"\n{more}\n",
        tsig.display(),
        public.display()
    )
}

/// `doctor` with this configuration.
fn with(primary: &Primary, configuration: &str) -> Found {
    let file = private(primary.sandbox().write("config.toml", configuration));
    let tree = primary.tree();
    doctor(tree, tree.addr(), &["--config", file.to_str().unwrap()])
}

/// What the server has written of changes to the zone.
fn journal(primary: &Primary) -> Vec<u8> {
    match primary {
        Primary::Bind(tree) => fs::read(tree.sandbox.join("example.test.db.jnl")).unwrap(),
        Primary::Knot(_) => {
            let mut print = command("kjournalprint");
            print.arg(primary.sandbox().join("knot/journal")).arg("example.test.");
            let printed = run_ok(&mut print);
            assert!(printed.contains("SSHFP"), "{printed}");
            printed.into_bytes()
        }
    }
}

fn keys_and_rights_are_tried_and_nothing_is_changed(primary: &Primary) {
    let public = key(primary.sandbox(), "a");
    primary.publish(&[&public], &[]);
    let before = (primary.serial(), journal(primary), primary.records(HOST));
    let check = format!("check_servers = \"{}\"", primary.addr());
    let config = |tsig: &Path| configuration(primary, tsig, &public, &check);
    let good = with(primary, &config(&primary.tsig("web1")));
    for check in
        ["host-keys", "publish-place", "publish-rights", "publish-records", "publish-ttl", "publish-state"]
    {
        assert_eq!(good.severity(check), "ok", "{check}: {:#?}", good.findings);
    }
    assert_eq!(good.all("publish-key"), ["ok", "ok"], "the file, and what the server says");
    assert_eq!(good.severity("agent"), "info");
    assert!(good.message("host-keys").contains("SHA256:"), "{}", good.message("host-keys"));

    // Each refusal by its own word; and what may not be changed is not.
    let file = |key: &TsigKey| private(primary.sandbox().write("other.tsig", &key.statement()));
    let nobody = with(primary, &config(&file(&TsigKey::new("nobody", "hmac-sha256", None))));
    assert_eq!(nobody.all("publish-key"), ["ok", "error"]);
    assert!(
        nobody.findings.iter().any(|f| f["message"].as_str().unwrap().contains("BADKEY")),
        "{:#?}",
        nobody.findings
    );
    assert_eq!(nobody.all("publish-rights"), Vec::<&str>::new());
    let secret = with(primary, &config(&file(&TsigKey::new("web1", "hmac-sha256", None))));
    assert_eq!(secret.all("publish-key"), ["ok", "error"]);
    assert!(
        secret.findings.iter().any(|f| f["message"].as_str().unwrap().contains("BADSIG")),
        "{:#?}",
        secret.findings
    );
    let other = with(primary, &config(&primary.tsig("web2")));
    assert_eq!((other.all("publish-key"), other.severity("publish-rights")), (vec!["ok", "ok"], "error"));
    let remedy = other.findings.iter().find(|f| f["check"] == "publish-rights").unwrap()["remedy"].clone();
    let remedy = remedy.as_str().unwrap();
    assert!(remedy.contains("update-owner-name: [web1.example.test.]"), "{remedy}");
    let is_bind = matches!(primary, Primary::Bind(_));
    assert_eq!(remedy.contains("grant web2 name web1.example.test SSHFP;"), is_bind, "{remedy}");
    assert_eq!((primary.serial(), journal(primary), primary.records(HOST)), before, "something was changed");

    // Another key than that in DNS.
    let b = key(primary.sandbox(), "b");
    let stale = with(primary, &configuration(primary, &primary.tsig("web1"), &b, &check));
    assert_eq!(stale.severity("publish-records"), "warning");
    assert_eq!(primary.records(HOST).0, [record(&public)]);
}

#[test]
fn files_that_others_can_read_or_change_are_told() {
    let primary = Primary::bind();
    let public = key(primary.sandbox(), "a");
    let tsig = primary.tsig("web1");
    let found = |mode| {
        fs::set_permissions(&tsig, fs::Permissions::from_mode(mode)).unwrap();
        with(&primary, &configuration(&primary, &tsig, &public, ""))
    };
    let open = found(0o644);
    assert_eq!(open.all("publish-key"), ["warning", "ok"]);
    assert!(open.message("publish-key").contains("mode 0644"));
    assert!(found(0o602).all("file-mode").contains(&"warning"));
    let none = with(&primary, &configuration(&primary, Path::new("/nowhere/key"), &public, ""));
    assert_eq!(none.severity("publish-key"), "error");
    let nothing =
        with(&primary, &configuration(&primary, &private(tsig.clone()), Path::new("/nowhere/a.pub"), ""));
    assert_eq!(nothing.severity("host-keys"), "error");
    // A primary that is not there.
    let tsig = private(tsig);
    let gone =
        configuration(&primary, &tsig, &public, "").replace(&primary.addr().to_string(), "127.0.0.1:9");
    let gone = with(&primary, &gone);
    assert_eq!((gone.severity("publish-place"), gone.all("publish-rights")), ("error", vec![]));
}

#[test]
fn the_zone_its_servers_and_the_times_are_judged() {
    let primary = Primary::bind();
    let public = key(primary.sandbox(), "a");
    let tsig = primary.tsig("web1");
    let mut secondary = Secondary::start(primary.addr(), "example.test");
    primary.publish(&[&public], &[]);
    let check = format!("check_servers = \"{}\"", secondary.addr());
    let found =
        |more: &str| with(&primary, &configuration(&primary, &tsig, &public, &format!("{check}\n{more}")));
    let lags = found("");
    assert_eq!((lags.severity("publish-zone"), lags.severity("publish-servers")), ("ok", "warning"));
    assert!(lags.message("publish-servers").contains("shows other records than the primary (serial "));
    secondary.refresh();
    let rotate = "[rotate]\nevery = \"90d\"\nannounce = \"7d\"";
    let good = found(rotate);
    assert_eq!(
        (good.severity("publish-servers"), good.severity("publish-ttl")),
        ("ok", "ok"),
        "{:#?}",
        good.findings
    );
    let often = found("[rotate]\nevery = \"7d\"\nannounce = \"7d\"");
    assert_eq!(often.severity("publish-ttl"), "warning");
    let long = found("ttl = 200000");
    assert_eq!(long.severity("publish-ttl"), "warning");
}

#[test]
fn a_zone_that_nobody_can_prove_is_an_error() {
    let primary = Primary::bind();
    let public = key(primary.sandbox(), "a");
    for (host, word) in [("web1.plain.test", "not signed"), ("web1.broken.test", "its proof fails")] {
        let configuration = configuration(&primary, &primary.tsig("zone"), &public, "").replace(HOST, host);
        let found = with(&primary, &configuration);
        assert_eq!(found.severity("publish-zone"), "error", "{host}");
        assert!(found.message("publish-zone").contains(word), "{}", found.message("publish-zone"));
    }
}

#[test]
fn a_running_agent_is_asked_and_options_name_a_place_as_well() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let (state, tsig, addr) = (machine.join("state"), private(tree.tsig("web1")), tree.addr().to_string());
    let found = || {
        let arguments = ["--server", &addr, "--key-file", tsig.to_str().unwrap(), "--name", HOST, "--state"];
        doctor(&tree, tree.addr(), &[&arguments[..], &[state.to_str().unwrap()]].concat())
    };
    let _agent = machine.start();
    let came = wait_until(crate::interop::agent::SOON, || found().all("agent") == ["ok"]);
    let found = found();
    assert!(came, "{:#?}", found.findings);
    assert!(found.message("agent").starts_with("it runs: all is well"), "{}", found.message("agent"));
    assert_eq!(found.severity("publish-rights"), "ok");
    assert!(found.message("publish-state").ends_with("knows what is own at 1 names"));
}

#[test]
fn what_a_lost_rotation_has_left_is_an_error() {
    let primary = Primary::bind();
    let public = key(primary.sandbox(), "a");
    primary.publish(&[&public], &[]);
    fs::create_dir(primary.sandbox().join("d")).unwrap();
    let include = format!("Include {}/d/*.conf\n", primary.sandbox().path().display());
    let sshd_config = primary.sandbox().write("sshd_config", &include);
    let more = format!(
        "check_servers = \"{}\"\n[rotate]\nsshd_config = \"{}\"",
        primary.addr(),
        sshd_config.display()
    );
    let found = || with(&primary, &configuration(&primary, &primary.tsig("web1"), &public, &more));
    assert_eq!(found().all("rotation"), [""; 0]);
    let drop_in = primary.sandbox().write("d/00-sshanchor.conf", "HostKeyAlgorithms ecdsa-sha2-nistp256\n");
    let left = found();
    assert_eq!(left.severity("rotation"), "error");
    assert!(left.message("rotation").contains(drop_in.to_str().unwrap()), "{}", left.message("rotation"));
}
