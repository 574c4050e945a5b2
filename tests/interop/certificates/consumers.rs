//! `verify`, `exec`, `proxy` and `known-hosts` on a host for which a CA vouches, with sshd at one end and ssh, dbclient,
//! asyncssh and paramiko at the other.

mod world;

use std::process::Command;

pub(crate) use self::world::World;
use super::*;
use crate::support::certificate::public;
use crate::support::hello::{ASKED, is_stopped, works};
use crate::support::peer::command;
use crate::support::{run, venv};

const CERTIFICATE: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com";

/// A client that takes any key, behind the proxy.
const ASYNCSSH: &str = "import asyncio, asyncssh, shlex, sys
async def main():
    options = dict(known_hosts=None, username='nobody', client_keys=None, config=None)
    if ALGORITHMS: options['server_host_key_algs'] = ALGORITHMS
    async with asyncssh.connect('web1.example.test', proxy_command=shlex.split(sys.argv[1]), **options): pass
asyncio.run(main())
";

const REQUIRED: &str = "without a certificate, and DNSSEC proves CAs for it";

#[test]
fn ssh_reaches_a_host_by_its_certificate_alone_by_whatever_name_it_has_for_it() {
    let mut world = World::start();
    let alias = format!("HostKeyAlias={HOST}");
    for (options, host) in [
        (&[][..], HOST),
        (&["Port=2222"], HOST),
        (&["Port=2222"], "WEB1.Example.test"),
        (&[&alias], "10.0.0.1"),
        (&[&alias, "Port=2222"], "somewhere.test"),
        (&["HostName=web1.example.test"], "web"),
    ] {
        let mark = world.sshd.mark();
        works(&world.by_known_hosts(options, host));
        assert_eq!(world.negotiated(mark), CERTIFICATE, "{options:?} {host}");
    }
    // ssh's own rules count besides: it takes the final dot for part of the name.
    is_stopped(&world.by_known_hosts(&[], "web1.example.test."), "name is not a listed principal");
    works(&world.by_known_hosts(&["HostKeyAlias=WEB1.EXAMPLE.TEST"], "x"));
    is_stopped(&world.by_known_hosts(&["CASignatureAlgorithms=rsa-sha2-512"], HOST), "disallowed algorithm");
    is_stopped(&world.by_known_hosts(&[], "web2.example.test"), "it is for web1.example.test");
    is_stopped(&world.by_known_hosts(&["HostKeyAlgorithms=ssh-ed25519"], HOST), REQUIRED);
    // In the proxy it is the same.
    works(&world.by_proxy(&[]));
    is_stopped(&world.by_proxy(&["HostKeyAlgorithms=ssh-ed25519"]), REQUIRED);
    world.certify(false);
    is_stopped(&world.by_known_hosts(&[], HOST), REQUIRED);
    is_stopped(&world.by_proxy(&[]), REQUIRED);
    assert_eq!(world.reason(), "certificate-required");
}

#[test]
fn known_hosts_prints_the_plain_key_where_that_suffices_and_else_the_ca_alone() {
    let world = World::start();
    let certificate = std::fs::read_to_string(world.sshd.sandbox.join("host_ecdsa256-cert.pub")).unwrap();
    let mut words = certificate.split(' ');
    let (kind, base64) = (words.next().unwrap(), words.next().unwrap());
    let call = |arguments: &[&str]| {
        let finished = run(world.sshanchor().arg("known-hosts").args(arguments), LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished.stdout
    };
    let ca = std::fs::read_to_string(world.ca.join("ca.pub")).unwrap();
    let ca = ca.rsplit_once(' ').unwrap().0;
    let key = std::fs::read_to_string(world.sshd.host_key("ecdsa256")).unwrap();
    let key = key.rsplit_once(' ').unwrap().0;
    for name in [HOST, "[web1.example.test]:2222"] {
        world.publish("none");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("@cert-authority {name} {ca}\n"));
        let order = call(&["ORDER", name, "NONE", "NONE"]);
        let order: Vec<&str> = order.lines().collect();
        assert!(
            matches!(order[..], [ca] if ca.starts_with(&format!("@cert-authority {name} "))),
            "{order:?}"
        );
        assert!(!order[0].contains(ca));
        world.publish("keys");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("{name} {key}\n"));
        world.publish("stale");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("@cert-authority {name} {ca}\n"));
    }
}

#[test]
fn what_is_required_decides_which_proof_suffices() {
    let mut world = World::start();
    for certified in [true, false] {
        world.certify(certified);
        for published in ["none", "keys", "stale"] {
            world.publish(published);
            for (rule, wanted) in [
                ("require = \"either\"", [["", "", ""], ["certificate-required", "", "key-mismatch"]]),
                (
                    "require = \"hostkey\"",
                    [["no-record", "", "key-mismatch"], ["no-record", "", "key-mismatch"]],
                ),
                ("require = \"ca\"", [["", "", ""], ["certificate-required"; 3]]),
                (
                    "require = \"both\"",
                    [
                        ["no-record", "", "key-mismatch"],
                        ["no-record", "certificate-required", "certificate-required"],
                    ],
                ),
                ("ca_at = [\"lab.example.test\"]", [["no-record", "", "key-mismatch"]; 2]),
                ("ca_at = [\"example.test\"]", [["", "", ""], ["certificate-required", "", "key-mismatch"]]),
            ] {
                let at = ["none", "keys", "stale"].iter().position(|word| *word == published).unwrap();
                let wanted = wanted[usize::from(!certified)][at];
                world.rule(rule);
                let case = format!("{rule}, certificate: {certified}, SSHFP: {published}");
                assert_eq!(world.reason(), wanted, "{case}");
                let proxied = world.by_proxy(&[]);
                assert_eq!(proxied.code == Some(0), wanted.is_empty(), "{case}: {proxied:#?}");
                let asked = world.by_known_hosts(&[], HOST);
                assert_eq!(asked.code == Some(0), wanted.is_empty(), "{case}: {asked:#?}");
            }
        }
    }
}

#[test]
fn a_stale_record_does_not_stand_against_a_good_certificate() {
    let world = World::start();
    world.publish("stale");
    let told = world.verify();
    assert_eq!(told["verdict"], "accept", "{told}");
    assert!(told["message"].as_str().unwrap().contains("_ca._ssh.example.test"), "{told}");
    works(&world.by_proxy(&[]));
    works(&world.by_known_hosts(&[], HOST));
    // A client that asks for a plain key gets one that the record speaks against.
    is_stopped(&world.by_proxy(&["HostKeyAlgorithms=ssh-ed25519"]), "DNSSEC proves other keys");
}

#[test]
fn exec_runs_a_command_on_a_host_with_a_certificate_alone() {
    let mut world = World::start();
    let exec = |world: &World| {
        let mut exec = world.sshanchor();
        exec.args(["exec", "-H", HOST, "-p", &world.sshd.port().to_string(), "-i"]);
        run(exec.arg(world.sshd.sandbox.join("user")).arg("--").args(ASKED), LIMIT)
    };
    world.sshd.configure(&format!(
        "LogLevel VERBOSE\nHostCertificate {}",
        world.sshd.sandbox.join("host_ecdsa256-cert.pub").display()
    ));
    works(&exec(&world));
    world.publish("stale");
    works(&exec(&world));
    world.publish("none");
    world.certify(false);
    is_stopped(&exec(&world), "offers no certificate, and DNSSEC proves CAs for it");
}

#[test]
fn revoked_keys_can_be_asked_for_of_every_host() {
    let mut world = World::start();
    world.publish("keys");
    world.certify(false);
    let set = "_revoked._ssh.example.test.";
    world.rule("revocation = \"always\"");
    assert_eq!(world.reason(), "");
    works(&world.by_known_hosts(&[], HOST));
    world.tree.update(&format!("update delete {set} SSHFP"));
    assert_eq!(world.reason(), "revocation-unproven");
    is_stopped(&world.by_proxy(&[]), "that its key is not revoked is not proven");
    world.rule("revocation = \"ca\"");
    assert_eq!(world.reason(), "");
    // A set without its sentinel says that nothing is known, and still that this key is revoked.
    world.tree.update(&format!("update add {set} 60 SSHFP 4 2 {}", "cd".repeat(32)));
    assert_eq!(world.reason(), "");
    world.rule("revocation = \"always\"");
    assert_eq!(world.reason(), "revocation-unproven");
    world.rule("");
    let keys: String = ["ed25519", "ecdsa256", "rsa"]
        .map(|name| format!("update add {set} 60 SSHFP {}\n", record_of(&public(&world.sshd.host_key(name)))))
        .concat();
    world.tree.update(&keys);
    assert_eq!(world.reason(), "revoked");
    is_stopped(&world.by_proxy(&[]), "_revoked._ssh.example.test revokes");
    is_stopped(&world.by_known_hosts(&[], HOST), "_revoked._ssh.example.test revokes");
}

#[test]
fn an_ssh_without_known_hosts_command_reads_the_proxys_file() {
    let mut world = World::start();
    let file = world.tree.sandbox.join("proven");
    let through = |world: &World| {
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let proxy = format!("ProxyCommand={program} proxy --known-hosts-file {} %h %p", file.display());
        let known = format!("UserKnownHostsFile={}", file.display());
        let port = format!("Port={}", world.sshd.port());
        world.ssh("", &proxy, &["StrictHostKeyChecking=yes", &known, &port], HOST)
    };
    works(&through(&world));
    works(&through(&world));
    world.certify(false);
    is_stopped(&through(&world), REQUIRED);
    let left = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(!left.contains("ecdsa-sha2-nistp256"), "{left}");
    world.certify(true);
    works(&through(&world));
}

/// Those that know no host certificates, or are told to ask for none, agree on a plain key.
#[test]
fn clients_without_certificates_are_told_that_one_is_needed() {
    let world = World::start();
    let proxy = format!("'{}' proxy {HOST} {}", env!("CARGO_BIN_EXE_sshanchor"), world.sshd.port());
    let told = |mut client: Command| {
        world.equip(&mut client, world.tree.addr());
        run(&mut client, LIMIT)
    };
    let python = |code: &str| {
        let mut python = venv::command("python");
        python.args(["-c", code, &proxy]);
        python
    };
    let clients = || {
        let mut dbclient = command("dbclient");
        dbclient.args(["-y", "-y", "-J", &proxy.replace('\'', ""), HOST, "true"]);
        let asyncssh = python(&ASYNCSSH.replace("ALGORITHMS", "['ssh-ed25519']"));
        let paramiko = python(
            "import logging, paramiko, sys\n\
             logging.basicConfig(level=logging.INFO)\n\
             transport = paramiko.Transport(paramiko.ProxyCommand(sys.argv[1]))\n\
             transport.start_client(timeout=20)\n\
             transport.auth_none('nobody')\n",
        );
        [("dbclient", dbclient), ("asyncssh", asyncssh), ("paramiko", paramiko)]
    };
    for (name, client) in clients() {
        let mark = world.sshd.mark();
        let finished = told(client);
        assert_ne!(finished.code, Some(0), "{name} {finished:#?}");
        assert!(finished.stderr.contains(REQUIRED), "{name} {finished:#?}");
        assert!(finished.stderr.contains("a client that knows none"), "{name} {finished:#?}");
        assert!(!world.sshd.saw_userauth(mark), "{name}");
    }
    // asyncssh knows certificates, and asks for them first.
    let mark = world.sshd.mark();
    let finished = told(python(&ASYNCSSH.replace("ALGORITHMS", "()")));
    assert!(finished.stderr.contains("PermissionDenied"), "{finished:#?}");
    assert_eq!(world.negotiated(mark), CERTIFICATE);
    // The twin: with records of the plain keys they get as far as to say who they are.
    world.publish("keys");
    for (name, client) in clients() {
        let mark = world.sshd.mark();
        let finished = told(client);
        assert!(!finished.stderr.contains("sshanchor: "), "{name} {finished:#?}");
        assert!(
            crate::support::process::wait_until(LIMIT, || world.sshd.saw_userauth(mark)),
            "{name} {finished:#?}"
        );
    }
}

/// What is exported are keys that records vouch for, and there are none; nor does a CA speak for a line in known_hosts.
#[test]
fn nothing_is_exported_of_a_host_without_records_and_nothing_tidied() {
    let world = World::start();
    let target = format!("{HOST}:{}", world.sshd.port());
    let export = |format: &str| run(world.sshanchor().args(["export", format, &target]), LIMIT);
    for format in ["known-hosts", "plink", "ansible", "sshfp"] {
        let finished = export(format);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "{format}: {finished:#?}");
    }
    let key = std::fs::read_to_string(world.sshd.host_key("ecdsa256")).unwrap();
    let known = world.tree.sandbox.write("known", &format!("[{HOST}]:{} {key}", world.sshd.port()));
    let finished = run(world.sshanchor().args(["tidy", "--file"]).arg(&known), LIMIT);
    assert!(finished.stdout.contains("1 unproven"), "{finished:#?}");
    world.publish("keys");
    assert_eq!(export("known-hosts").code, Some(0));
}
