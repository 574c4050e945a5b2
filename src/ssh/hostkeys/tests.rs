use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f one";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA two";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("$", folder.path().to_str().unwrap())).unwrap();
    }
    folder
}

fn count(files: &[(&str, &str)]) -> Result<usize, HostKeysError> {
    of_configuration(folder(files).path()).map(|found| found.keys.len())
}

#[test]
fn named_files_have_to_be_good_each() {
    let folder = folder(&[
        ("a.pub", ED25519),
        ("b.pub", OTHER),
        ("sk.pub", "sk-ssh-ed25519@openssh.com AAAA"),
        ("c", "-----BEGIN"),
    ]);
    let read = |names: &[&str]| of_files(&names.iter().map(|n| folder.path().join(n)).collect::<Vec<_>>());
    assert_eq!(read(&["b.pub", "a.pub", "b.pub"]).unwrap().len(), 2, "the same key counts once");
    assert!(matches!(read(&["a.pub", "none.pub"]), Err(HostKeysError::Unreadable { .. })));
    for bad in ["sk.pub", "c"] {
        let error = read(&["a.pub", bad]).unwrap_err();
        assert!(error.to_string().contains(&format!("{bad} line 1: ")), "{error}");
    }
}

#[test]
fn text_is_key_lines_or_a_configuration() {
    let folder = folder(&[("a.pub", ED25519)]);
    let at = Path::new("standard input");
    assert_eq!(of_text(&format!("{ED25519}\n{OTHER}\n"), at).unwrap().keys.len(), 2);
    let config = format!("port 22\nhostkey {0}/a\nhostkey {0}/none\nusepam no\n", folder.path().display());
    let found = of_text(&config, at).unwrap();
    assert_eq!((found.keys.len(), found.skipped.len()), (1, 1));
    assert!(matches!(of_text("port 22\n", at), Err(HostKeysError::Key { line: 1, .. })));
    assert!(matches!(of_text("", at), Err(HostKeysError::Empty(_))));
}

#[test]
fn the_configuration_names_the_keys() {
    let keys = [("k/a.pub", ED25519), ("k/b.pub", OTHER), ("k/a", "private"), ("k/b", "private")];
    let with = |more: &[(&'static str, &'static str)]| count(&[&keys, more].concat());
    assert_eq!(with(&[("sshd_config", "HostKey $/k/a\n#HostKey $/k/b\n")]).unwrap(), 1);
    assert_eq!(with(&[("sshd_config", "hostkey=\"$/k/a\"\nHOSTKEY\t$/k/b\nMatch user x\n")]).unwrap(), 2);
    let include = ("sshd_config", "Include sshd_config.d/*.conf\n");
    assert_eq!(
        with(&[
            include,
            ("sshd_config.d/1.conf", "HostKey $/k/a\n"),
            ("sshd_config.d/2.off", "HostKey $/k/b\n")
        ])
        .unwrap(),
        1
    );
    let itself = [
        ("sshd_config", "Include $/sshd_config.d/*\nHostKey $/k/b"),
        ("sshd_config.d/1", "Include $/sshd_config.d/1"),
    ];
    assert_eq!(with(&itself).unwrap(), 1, "an include of itself ends");
    let each_other = [
        ("sshd_config", "Include $/one\nHostKey $/k/b"),
        ("one", "Include $/two\n"),
        ("two", "HostKey $/k/a\nInclude $/one $/sshd_config\n"),
    ];
    assert_eq!(with(&each_other).unwrap(), 2, "so do includes of each other");
    for pattern in [
        "Include sshd_config.d/[0-9].conf\nHostKey $/k/b\n",
        "Include sshd_config.d/?.conf\nHostKey $/k/b\n",
        "Include */1.conf\nHostKey $/k/b\n",
    ] {
        let refused = with(&[("sshd_config", pattern), ("sshd_config.d/1.conf", "HostKey $/k/a\n")]);
        assert!(matches!(refused, Err(HostKeysError::Unreadable { .. })), "{pattern}");
    }
}

#[test]
fn without_a_configuration_the_default_keys_count() {
    let defaults =
        [("ssh_host_a_key.pub", ED25519), ("ssh_host_b_key.pub", OTHER), ("ssh_host_b_key-cert.pub", "x")];
    assert_eq!(count(&defaults).unwrap(), 2);
    assert!(matches!(count(&[]), Err(HostKeysError::None)));
}

#[test]
fn partial_knowledge_is_an_error() {
    let config = ("sshd_config", "HostKey $/a\nHostKey $/b\n");
    let good = [config, ("a", "private"), ("a.pub", ED25519)];
    assert_eq!(count(&good).unwrap(), 1, "b does not exist, so sshd has no b");
    let error = count(&[&good[..], &[("b", "private")]].concat()).unwrap_err();
    assert!(matches!(&error, HostKeysError::NoPublicHalf(p) if p.ends_with("b")), "{error}");
    let error = count(&[&good[..], &[("b.pub", "ssh-ed25519 AAAA")]].concat()).unwrap_err();
    assert!(matches!(error, HostKeysError::Key { .. }), "{error}");
    // A type without a number in SSHFP is passed over unless it is all there is.
    assert_eq!(count(&[&good[..], &[("b.pub", "ssh-dss AAAA")]].concat()).unwrap(), 1);
    assert!(matches!(count(&[config, ("b.pub", "ssh-dss AAAA")]), Err(HostKeysError::Key { .. })));
}

#[test]
fn no_part_of_a_file_is_taken_for_the_whole() {
    let long = format!("{ED25519}\n{}{OTHER}\n", "\n".repeat(MAX_FILE as usize));
    let folder = folder(&[("long.pub", &long)]);
    let error = of_files(&[folder.path().join("long.pub")]).unwrap_err();
    assert!(error.to_string().ends_with("it is longer than 1048576 octets"), "{error}");
}

/// A fresh key: the private half as OpenSSH keeps it, and the public line.
fn pair() -> (String, String) {
    use russh::keys::{Algorithm, PrivateKey, ssh_key::LineEnding};
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(7);
    let key = PrivateKey::random(&mut random, Algorithm::Ed25519).unwrap();
    (key.to_openssh(LineEnding::LF).unwrap().to_string(), key.public_key().to_openssh().unwrap())
}

#[test]
fn a_public_half_has_to_be_that_of_the_private_key() {
    let (private, public) = pair();
    let with = |private: &str, public: &str| {
        let folder = folder(&[("sshd_config", "HostKey $/k\n"), ("k", private), ("k.pub", public)]);
        let of_machine = of_configuration(folder.path()).map(|found| found.keys);
        let named = of_own_files(&[folder.path().join("k.pub")]);
        let told = |outcome: Result<Vec<HostKey>, HostKeysError>| outcome.map_err(|e| Error::from(e).reason);
        let (of_machine, named) = (told(of_machine), told(named));
        assert_eq!(of_machine, named);
        named.map(|keys| keys.len())
    };
    assert_eq!(with(&private, &public), Ok(1));
    assert_eq!(with(&private, ED25519), Err("key-mismatch"));
    // Of other forms nothing is known here, nor of what others may not read.
    assert_eq!(with("-----BEGIN RSA PRIVATE KEY-----\nMIIB", &public), Ok(1));
    for cut in ["", "\n", &private[..private.len() / 2]] {
        assert_eq!(with(cut, &public), Err("host-key-file"), "{cut:?}");
    }
    let folder = folder(&[("k.pub", &public), ("k/file", "")]);
    assert!(of_own_files(&[folder.path().join("k.pub")]).is_ok(), "a folder of that name is no key");
}

#[test]
fn links_in_a_circle_end() {
    let folder = folder(&[("sshd_config", "HostKey $/k\n")]);
    for name in ["k.pub", "k"] {
        std::os::unix::fs::symlink(folder.path().join(name), folder.path().join(name)).unwrap();
    }
    assert!(matches!(of_configuration(folder.path()), Err(HostKeysError::Unreadable { .. })));
    assert!(matches!(of_own_files(&[folder.path().join("k.pub")]), Err(HostKeysError::Unreadable { .. })));
}
