//! Settings are read as they are shown.

use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn each_setting_is_read_as_it_is_shown() {
    for setting in Policy::default().settings() {
        assert_eq!(Setting::read(setting.key(), &setting.value()).unwrap(), setting);
    }
    for (key, value) in [
        ("mode", "pass"),
        ("require", "hostkey"),
        ("require", "ca"),
        ("require", "both"),
        ("revocation", "always"),
        ("port_labels", "required"),
        ("aliases", "same-zone"),
        ("min_signature_left", "2d"),
        ("max_signature_age", "12h"),
        ("outage_grace", "6h"),
        ("strict_kex", "required"),
        ("kex", "post-quantum"),
        ("min_openssh", "9.6"),
    ] {
        let setting = Setting::read(key, &text(value)).unwrap();
        assert_eq!((setting.key(), setting.value()), (key, text(value)));
        let mut policy = Policy::default();
        policy.set(setting.clone());
        assert_ne!(policy, Policy::default(), "{key}");
        assert!(policy.settings().contains(&setting), "{key}");
    }
    assert_eq!(Policy::default().settings().map(|setting| setting.key()), Setting::KEYS);
}

#[test]
fn rsa_has_three_names() {
    let read = |value: Value| Setting::read("algorithms", &value).unwrap();
    let both = Setting::Algorithms(vec![KeyType::Ed25519, KeyType::Rsa]);
    let names = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"].map(str::to_owned);
    assert_eq!(read(Value::List(names.to_vec())), both);
    assert_eq!(read(text("ssh-ed25519,rsa-sha2-256")), both);
}

#[test]
fn what_means_nothing_is_refused() {
    for (key, value) in [
        ("mode", "Pass"),
        ("mode", ""),
        ("require", "none"),
        ("algorithms", "ssh-dss"),
        ("algorithms", "ssh-ed25519-cert-v01@openssh.com"),
        ("algorithms", ""),
        ("port_labels", "yes"),
        ("aliases", "none"),
        ("outage_grace", "6"),
        ("min_signature_left", "none"),
        ("max_signature_age", "never"),
        ("grace", "6h"),
        ("strict_kex", "yes"),
        ("kex", "mlkem768x25519-sha256"),
        ("server_versions", ""),
        ("server_versions", "!"),
        ("min_openssh", "9"),
        ("min_openssh", "9.6p1"),
        ("min_openssh", "OpenSSH_9.6"),
        ("min_rsa_bits", ""),
        ("min_rsa_bits", "1023"),
        ("min_rsa_bits", "16385"),
        ("min_rsa_bits", "+2048"),
    ] {
        assert!(Setting::read(key, &text(value)).is_err(), "{key} = {value}");
    }
    assert!(Setting::read("mode", &Value::List(vec!["pass".into()])).is_err());
    assert!(Setting::read("algorithms", &Value::List(Vec::new())).is_err());
}

#[test]
fn places_of_ca_sets_are_names() {
    let read = |value: &Value| Setting::read("ca_at", value);
    let names = |names: &[&str]| names.iter().map(|name| Name::from_text(name).unwrap()).collect::<Vec<_>>();
    assert_eq!(read(&text("any")), Ok(Setting::CaAt(None)));
    let two = Setting::CaAt(Some(names(&["example.com", "lab.example.com"])));
    assert_eq!(read(&text("Example.com., lab.example.com")), Ok(two.clone()));
    assert_eq!(read(&two.value()), Ok(two));
    for bad in ["", "any example.com", "*.example.com", "_ca._ssh.example.com", "192.0.2.1"] {
        assert!(read(&text(bad)).is_err(), "{bad}");
    }
}

#[test]
fn sizes_are_numbers_and_versions_lists() {
    let read = |key, value: &Value| Setting::read(key, value).unwrap();
    assert_eq!(read("min_rsa_bits", &Value::Number(3072)), Setting::MinRsaBits(3072));
    assert_eq!(read("min_rsa_bits", &text("3072")).value(), Value::Number(3072));
    assert!(Setting::read("kex", &Value::Number(1)).is_err());
    assert_eq!(read("server_versions", &text("any")), Setting::ServerVersions(None));
    let list = Value::List(["OpenSSH_9.*", "!OpenSSH_9.2*"].map(str::to_owned).to_vec());
    assert_eq!(read("server_versions", &list).value(), list);
    assert_eq!(read("server_versions", &text("OpenSSH_9.*, !OpenSSH_9.2*")).value(), list);
}
