//! What a signer returns is not believed.

use std::fs;

use super::LATE;
use super::place::{NAME, Place};
use crate::support::peer::command;
use crate::support::process::{run, run_ok};
use crate::support::sshd::keygen;

/// What a signer does, and why it is refused.
const BAD: [(&str, &str, &str); 17] = [
    ("another key", "sign -h -n $2 -V +30d $other", "it is about another key"),
    ("of a user", "sign -n $2 -V +30d $key", "it is a user's certificate"),
    ("expired", "sign -h -n $2 -V -30d:-1h $key", "it was valid until"),
    ("not yet valid", "sign -h -n $2 -V +1h:+30d $key", "it is valid from"),
    ("due at once", "sign -h -n $2 -V -30d:+6d $key", "it would be due again at once"),
    ("no later", "sign -h -n $2 -V -1h:+4d $key", "no later than the present one"),
    (
        "another name",
        "sign -h -n web2.example.com -V +30d $key",
        "its principals are web2.example.com, wanted",
    ),
    (
        "a name more",
        "sign -h -n $2,evil.example.com -V +30d $key",
        "its principals are evil.example.com, web1",
    ),
    ("every name", "sign -h -V +30d $key", "its principals are none"),
    ("a critical option", "sign -h -n $2 -V +30d -O critical:x=y $key", "it has the critical option"),
    ("plain", "cat $key", "a public key, not a certificate"),
    ("garbage", "echo '\\033[31mgarbage'", "not one certificate line"),
    ("nothing", "true", "not one certificate line"),
    ("too long", "yes", "printed more than"),
    ("twice", "sign -h -n $2 -V +30d $key; cat $dir/host-cert.pub", "not one certificate line"),
    ("hangs", "sleep 100", "did not end in 2 s"),
    ("fails", "echo 'permission denied' >&2; exit 1", "ended with status 1: permission denied"),
];

/// `sign` prints the certificate that ssh-keygen makes with these arguments; $key and $other are public key files.
fn script(place: &Place, name: &str, body: &str) -> String {
    let text = format!(
        "ca=$1; dir=$(mktemp -d {home}/XXXXXX); key=$dir/host.pub; other={home}/other.pub; cat > $key\n\
         sign() {{ ssh-keygen -q -s $ca -I x \"$@\" >&2; for last; do :; done; cat ${{last%.pub}}-cert.pub; }}\n{body}",
        home = place.home.path().display()
    );
    format!("{} {} %n", place.script(name, &text).display(), place.home.join("ca").display())
}

#[test]
fn what_a_signer_returns_is_checked_before_anything_is_written() {
    let place = Place::new(&["ed25519"], LATE);
    keygen(&["-t", "ed25519"], &place.home.join("other"));
    let old = place.on_disk("ed25519");
    for (at, (case, body, why)) in BAD.iter().enumerate() {
        let signer = script(&place, &format!("bad{at}"), body);
        let timeout = if *case == "hangs" { "2" } else { "10" };
        let refused = place.renew_by(&signer, &["--json", "--timeout", timeout]);
        assert_eq!(refused.code, Some(1), "{case}: {refused:#?}");
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(why) && error.contains("nothing was changed"), "{case}: {error}");
        assert_eq!(refused.json()["status"], "failed");
        assert!(!refused.stderr.contains('\x1b'), "{refused:#?}");
        assert_eq!(place.on_disk("ed25519"), old, "{case}");
        assert_eq!(place.left_over(), [""; 0], "{case}");
    }
    assert_eq!(place.served(), [old]);
    // The same script does its work when it is asked for it.
    let good = script(&place, "good", "sign -h -n $2 -V +30d $key");
    let renewed = place.renew_by(&good, &[]);
    assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}

#[test]
fn a_ca_signature_with_sha1_or_by_a_short_key_is_refused() {
    let place = Place::new(&["ed25519"], LATE);
    for (ca, bits) in [("short", "1024"), ("long", "2048")] {
        keygen(&["-t", "rsa", "-b", bits], &place.home.join(ca));
    }
    let sign = |algorithm: &str| format!("sign -t {algorithm} -h -n $2 -V +30d $key");
    let by = |ca: &str, signer: String| {
        signer.replace(" %n", "").rsplit_once(' ').unwrap().0.to_owned()
            + &format!(" {} %n", place.home.join(ca).display())
    };
    let try_it = |ca: &str, algorithm: &str| {
        let name = format!("{ca}-{algorithm}");
        place.renew_by(&by(ca, script(&place, &name, &sign(algorithm))), &["--force"])
    };
    let short = try_it("short", "rsa-sha2-512");
    assert!(short.code == Some(1) && short.stderr.contains("its CA key is of 1024 bits"), "{short:#?}");
    let sha1 = try_it("long", "ssh-rsa");
    assert!(sha1.code == Some(1) && sha1.stderr.contains("its CA signature is of \"ssh-rsa\""), "{sha1:#?}");
    for good in ["rsa-sha2-256", "rsa-sha2-512"] {
        let renewed = try_it("long", good);
        assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    }
}

#[test]
fn a_signer_gets_the_key_and_what_it_is_good_for() {
    let place = Place::new(&["ed25519"], LATE);
    let seen = place.home.join("seen");
    let body = format!(
        "printf '%s\\n' \"$@\" > {seen}; tee -a {seen} | {real}",
        seen = seen.display(),
        real = place.signer("ca").replace("%n", NAME).replace("%v", "1h30m"),
    );
    let script = place.script("seen-by", &body);
    let signer = format!("{} %h %n '%v' %s 100%% 'a b' $HOME", script.display());
    let renewed = place.renew_by(&signer, &["--validity", "90m"]);
    // Shorter than the present one, which is due by its age: no.
    assert!(renewed.stderr.contains("no later than the present one"), "{renewed:#?}");
    let key = fs::read_to_string(place.sshd.host_key("ed25519")).unwrap();
    let key = key.rsplit_once(' ').unwrap().0;
    let text = fs::read_to_string(&seen).unwrap();
    assert_eq!(text, format!("{NAME}\n{NAME}\n1h30m\n5400\n100%\na b\n$HOME\n{key}\n"));
    let forced = place.renew_by(&signer, &["--validity", "90m", "--name", NAME]);
    assert_eq!(forced.code, Some(1));
    for (bad, why) in
        [("sign %x", "%x means nothing"), ("'sign", "quotes do not match"), ("", "names no program")]
    {
        let usage = place.renew_by(bad, &[]);
        assert!(usage.code == Some(2) && usage.stderr.contains(why), "{usage:#?}");
    }
}

#[test]
fn a_ca_key_in_an_agent_signs_by_the_script_of_contrib() {
    let place = Place::new(&["ed25519"], LATE);
    let agent = crate::support::agent::Agent::start();
    agent.add(&place.home.join("ca"));
    fs::remove_file(place.home.join("ca")).unwrap();
    let mut renew = place.command(&place.signer("ca.pub"));
    run_ok(renew.env("SIGN_BY_AGENT", "1").env("SSH_AUTH_SOCK", agent.socket()));
    assert_eq!(place.ssh_by("ca").stdout, "in\n");
    // All three scripts are ones that a shell reads.
    for script in ["sign-with-ssh-keygen", "sign-with-step", "sign-with-vault"] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/ca").join(script);
        run_ok(command("bash").arg("-n").arg(file));
    }
}

#[test]
fn a_ca_on_this_machine_signs_and_its_journal_tells() {
    let place = Place::new(&["ed25519"], LATE);
    let folder = place.home.join("its-ca").display().to_string();
    let ca = |arguments: &[&str]| {
        let mut command = place.home.sshanchor();
        run_ok(command.arg("ca").arg(arguments[0]).args(["--ca", &folder]).args(&arguments[1..]))
    };
    ca(&["init", "--domain", "example.com"]);
    let renew = |arguments: &[&str]| {
        let mut command = place.home.sshanchor();
        command.args(["ca", "renew", "--ca", &folder, "--sshd-config"]);
        command.arg(place.sshd.sandbox.join("sshd_config"));
        run(command.args(arguments), std::time::Duration::from_secs(60))
    };
    let due = renew(&["--check", "--json"]);
    assert_eq!(due.code, Some(5), "{due:#?}");
    assert!(due.json()["why"].as_str().unwrap().contains("signed by another CA"), "{due:#?}");
    let renewed = renew(&["--json"]);
    assert_eq!((renewed.code, renewed.json()["status"].as_str()), (Some(0), Some("renewed")), "{renewed:#?}");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
    let journal = fs::read_to_string(format!("{folder}/journal.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["principals"][0]), (&"renew".into(), &NAME.into()), "{journal}");
    assert_eq!(renew(&["--check"]).code, Some(0));
    // Outside of its domains it signs nothing.
    let refused = renew(&["--name", "web1.example.org", "--json"]);
    assert_eq!(refused.json()["reason"], "outside-domain", "{refused:#?}");
    // The first certificate of a host is no renewal; by way of an issuer as well.
    fs::remove_file(place.certificate("ed25519")).unwrap();
    assert_eq!(renew(&["--name", NAME]).code, Some(0));
    let journal = fs::read_to_string(format!("{folder}/journal.jsonl")).unwrap();
    assert!(journal.lines().last().unwrap().contains("\"event\":\"sign\""), "{journal}");
    let issuer = format!("{} ca sign --ca {folder} --host-key - --name %h", env!("CARGO_BIN_EXE_sshanchor"));
    let renewed = place.renew_by(&issuer, &["--force", "--ca-key", &format!("{folder}/ca_key.pub")]);
    assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}
