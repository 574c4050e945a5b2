//! A server that lies in a true key exchange, `proxy`, and ssh: what each of the two refuses. For all that the gate
//! refuses without ssh's help, see `tests/offline/hostile`.

use std::time::Duration;

use sshanchor::proto::hostkey::HostKey;

use crate::support::handmade::{Lies, blob, keypair, start_in_thread, string};
use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(30);

/// A tree whose web1 has the key of this seed.
fn tree(seed: u8) -> Tree {
    let digest = HostKey::from_blob(&blob(&keypair(seed))).unwrap().sha256();
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    Tree::plan().record(&format!("{HOST}. IN SSHFP 4 2 {hex}")).start()
}

/// ssh through the proxy to a server that lies so. Its own checking is off but for the signature, which nothing
/// turns off.
fn ssh(tree: &Tree, lies: Lies) -> Finished {
    let port = start_in_thread(lies).port();
    let mut ssh = command("ssh");
    clean(&mut ssh, tree.sandbox.path());
    ssh.env("SSHANCHOR_RESOLVER", tree.addr().to_string());
    ssh.env("SSHANCHOR_TRUST_ANCHOR", tree.anchor()).env("SSHANCHOR_CACHE", "off");
    let proxy = format!("ProxyCommand='{}' proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    ssh.args(["-v", "-F", "none", "-p", &port.to_string(), "-o", "BatchMode=yes", "-o", &proxy]);
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    let finished = run(ssh.args([HOST, "true"]), LIMIT);
    assert_eq!(finished.code, Some(255), "there is nobody behind this server: {finished:#?}");
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
    finished
}

/// ssh has seen the server's reply.
fn saw_reply(finished: &Finished) -> bool {
    finished.stderr.contains("debug1: Server host key: ")
}

/// ssh has gone on to encrypted packets.
fn went_on(finished: &Finished) -> bool {
    finished.stderr.contains("debug1: SSH2_MSG_NEWKEYS received")
}

#[test]
fn the_honest_server_passes() {
    let finished = ssh(&tree(1), Lies::default());
    assert!(saw_reply(&finished) && went_on(&finished), "{finished:#?}");
}

#[test]
fn the_published_key_with_a_wrong_signature_is_refused_by_ssh() {
    // The server's own key, and one that somebody else holds.
    let stolen = Some(blob(&keypair(2)));
    for (seed, lies) in
        [(1, Lies { bad_signature: true, ..Lies::default() }), (2, Lies { shown: stolen, ..Lies::default() })]
    {
        let finished = ssh(&tree(seed), lies);
        assert!(finished.stderr.contains("incorrect signature"), "{finished:#?}");
        assert!(!went_on(&finished), "{finished:#?}");
        assert!(!finished.stderr.contains("sshanchor: "), "the gate had nothing against it: {finished:#?}");
    }
}

#[test]
fn what_the_gate_refuses_ssh_never_sees() {
    let (tree, key) = (tree(1), blob(&keypair(1)));
    let compressed = [string(b"ecdsa-sha2-nistp256"), string(b"nistp256"), string(&[2; 33])].concat();
    for (lies, says) in [
        (Lies { shown: Some(blob(&keypair(2))), ..Lies::default() }, "DNSSEC proves other keys"),
        (Lies { trailing: vec![0], ..Lies::default() }, "octets left over"),
        (Lies { signature_name: Some("ssh-rsa"), ..Lies::default() }, "whose signature is not ssh-ed25519"),
        (Lies { early: Some(vec![2, 0, 0, 0, 0]), ..Lies::default() }, "message 2 out of turn"),
        (
            Lies { early: Some([vec![31], string(&key)].concat()), ..Lies::default() },
            "message 31 out of turn",
        ),
        (Lies { offered: Some("ecdsa-sha2-nistp256"), ..Lies::default() }, "the key shown is ssh-ed25519"),
        (
            Lies { offered: Some("ecdsa-sha2-nistp256"), shown: Some(compressed), ..Lies::default() },
            "uncompressed point",
        ),
    ] {
        let finished = ssh(&tree, lies);
        // Once on standard error, once in the DISCONNECT.
        assert_eq!(finished.stderr.matches(says).count(), 2, "{says}: {finished:#?}");
        assert!(!saw_reply(&finished) && !went_on(&finished), "{says}: {finished:#?}");
    }
}
