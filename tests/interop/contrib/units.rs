//! The units of contrib/systemd, as systemd's own tools see them.

use std::fs;

use super::contrib;
use crate::interop::primary::LIMIT;
use crate::support::peer::command as peer;
use crate::support::process::run_ok;
use crate::support::{Sandbox, run};

const AGENT: &str = include_str!("../../../docs/agent.md");
const SERVICES: [&str; 5] =
    ["sshanchor-agent", "sshanchor-publish", "sshanchor-goodbye", "sshanchor-renew", "sshanchor-audit"];

/// The units as they are installed, without those drop-ins that are for some.
fn installed() -> Sandbox {
    let sandbox = Sandbox::new();
    let script = contrib("systemd/sshanchor-goodbye").display().to_string();
    for entry in fs::read_dir(contrib("systemd")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".service") || name.ends_with(".timer") {
            let text = fs::read_to_string(path).unwrap();
            sandbox.write(&name, &text.replace("/usr/local/libexec/sshanchor-goodbye", &script));
        }
    }
    sandbox
}

/// With a drop-in of contrib.
fn with_rotate(sandbox: &Sandbox) {
    let drop_in = "sshanchor-agent.service.d";
    fs::create_dir(sandbox.join(drop_in)).unwrap();
    let name = format!("{drop_in}/rotate.conf");
    fs::copy(contrib("systemd").join(&name), sandbox.join(&name)).unwrap();
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let sandbox = installed();
    let verify = || {
        let mut verify = peer("systemd-analyze");
        verify.args(["verify", "--man=no", "--recursive-errors=one"]);
        for entry in fs::read_dir(sandbox.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                verify.arg(path);
            }
        }
        let verified = run(&mut verify, LIMIT);
        // It tells of lines that it does not know, and goes on.
        let about_ours: Vec<&str> =
            verified.stderr.lines().filter(|line| line.contains("sshanchor")).collect();
        assert!(verified.code == Some(0) && about_ours.is_empty(), "{verified:#?}");
    };
    verify();
    with_rotate(&sandbox);
    verify();
    // It would tell.
    let spoilt = fs::read_to_string(sandbox.join("sshanchor-agent.service")).unwrap();
    let spoilt = sandbox.write("spoilt-sshanchor.service", &spoilt.replace("WatchdogSec", "WatchdocSec"));
    let told = run(peer("systemd-analyze").args(["verify", "--man=no"]).arg(spoilt), LIMIT);
    assert!(told.stderr.contains("WatchdocSec"), "{told:#?}");
}

/// Of 10, as `systemd-analyze security` counts.
fn exposure(sandbox: &Sandbox, unit: &str) -> f64 {
    let mut security = peer("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    let told = run_ok(security.arg(sandbox.join(&format!("{unit}.service"))));
    let line = told.lines().find(|line| line.contains("Overall exposure level")).unwrap();
    line.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// `unit` and what docs/agent.md says of its exposure.
fn in_docs(unit: &str) -> f64 {
    let cell = format!("| `{unit}` | ");
    let line = AGENT.lines().find_map(|line| line.strip_prefix(&cell)).unwrap_or_else(|| panic!("no {unit}"));
    line.split(" |").next().unwrap().parse().unwrap()
}

#[test]
fn the_units_are_as_little_exposed_as_the_docs_say() {
    let sandbox = installed();
    for unit in SERVICES {
        let (found, said) = (exposure(&sandbox, unit), in_docs(&format!("{unit}.service")));
        assert!(found <= said, "{unit}: {found} is more than {said}");
    }
    with_rotate(&sandbox);
    let (found, said) = (exposure(&sandbox, "sshanchor-agent"), in_docs("rotate.conf"));
    assert!(found <= said, "rotate.conf: {found} is more than {said}");
}

/// Published before sshd starts, and nothing goes round in a circle: with the units that an image for the cloud has.
#[test]
fn the_order_at_boot_has_no_cycle() {
    let sandbox = installed();
    let units = [
        (
            "ssh.service",
            "[Unit]\nAfter=network.target auditd.service sshd-keygen.target\n[Service]\nExecStart=/bin/true\n",
        ),
        ("sshd-keygen.target", "[Unit]\nWants=sshd-keygen.service\n"),
        (
            "sshd-keygen.service",
            "[Unit]\nBefore=sshd-keygen.target\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
        ),
        (
            "cloud-init.service",
            "[Unit]\nDefaultDependencies=no\nAfter=systemd-networkd-wait-online.service\n\
             Before=network-online.target sshd-keygen.service sshd.service ssh.service systemd-user-sessions.service\n\
             [Service]\nType=oneshot\nExecStart=/bin/true\n",
        ),
        (
            "cloud-final.service",
            "[Unit]\nAfter=network-online.target cloud-init.service multi-user.target\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
        ),
        ("time-sync.target", "[Unit]\nDescription=Time\n"),
        (
            "image.target",
            "[Unit]\nWants=ssh.service sshd-keygen.target cloud-init.service cloud-final.service network-online.target \
             sshanchor-agent.service sshanchor-publish.service sshanchor-goodbye.service multi-user.target\n",
        ),
    ];
    for (name, text) in units {
        sandbox.write(name, text);
    }
    let verify = |sandbox: &Sandbox| {
        let mut verify = peer("systemd-analyze");
        verify.env("SYSTEMD_UNIT_PATH", format!("{}:", sandbox.path().display()));
        run(verify.args(["verify", "--man=no", "image.target"]), LIMIT)
    };
    let verified = verify(&sandbox);
    assert!(!verified.stderr.contains("cycle"), "{verified:#?}");
    assert_eq!(verified.code, Some(0), "{verified:#?}");
    // It would tell.
    let name = "sshanchor-publish.service";
    let text = fs::read_to_string(sandbox.join(name)).unwrap();
    sandbox.write(name, &text.replace("Before=ssh.service", "Before=network-online.target ssh.service"));
    let told = verify(&sandbox);
    assert!(told.stderr.contains("cycle"), "{told:#?}");
}
