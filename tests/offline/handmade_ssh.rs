//! The lies of a server that a probe must see through. Each has its honest twin in the same code.

// Other tests use other parts of it.
#[allow(dead_code)]
#[path = "../support/handmade.rs"]
mod handmade;

use std::time::Duration;

use handmade::{Lies, blob, keypair, start, string};
use sshanchor::proto::hostkey::{HostKey, HostKeyError, KeyType, Presented};
use sshanchor::ssh::probe::{Ask, ProbeError, Probed, probe};
use tokio::net::TcpStream;
use tokio::time::Instant;

async fn ask(lies: Lies) -> Result<Probed, ProbeError> {
    let stream = TcpStream::connect(start(lies).await).await.unwrap();
    probe(stream, &Ask::Keys(KeyType::ALL.to_vec()), Instant::now() + Duration::from_secs(10)).await
}

#[tokio::test]
async fn the_honest_exchange_is_believed() {
    let probed = ask(Lies::default()).await.unwrap();
    assert_eq!(probed.presented, Presented::Plain(HostKey::from_blob(&blob(&keypair(1))).unwrap()));
    assert!(probed.strict_kex);
    assert_eq!(probed.server_version, "SSH-2.0-handmade");
}

#[tokio::test]
async fn octets_behind_the_key_are_refused_although_they_are_signed() {
    let refused = ask(Lies { trailing: vec![0], ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::Malformed(..)))), "{refused:?}");
}

#[tokio::test]
async fn somebody_elses_key_is_refused_for_want_of_its_signature() {
    let refused = ask(Lies { shown: Some(blob(&keypair(2))), ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadSignature)), "{refused:?}");
    let refused = ask(Lies { bad_signature: true, ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadSignature)), "{refused:?}");
}

#[tokio::test]
async fn a_key_of_another_type_than_agreed_is_refused() {
    let refused = ask(Lies { offered: Some("ecdsa-sha2-nistp256"), ..Lies::default() }).await;
    assert!(
        matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::NotNegotiated { .. }))),
        "{refused:?}"
    );
    let refused = ask(Lies { offered: Some("rsa-sha2-512"), ..Lies::default() }).await;
    assert!(
        matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::NotNegotiated { .. }))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_signature_by_another_name_is_refused() {
    for name in ["sk-ssh-ed25519@openssh.com", "ssh-rsa", ""] {
        assert!(ask(Lies { signature_name: Some(name), ..Lies::default() }).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_key_at_all_is_refused() {
    for shown in [vec![], b"\0\0\0\x0bssh-ed25519".to_vec(), string(b"ssh-dss")] {
        let refused = ask(Lies { shown: Some(shown), ..Lies::default() }).await;
        let told = matches!(refused, Err(ProbeError::BadHostKey(_) | ProbeError::Protocol(_)));
        assert!(told, "{refused:?}");
    }
}

#[tokio::test]
async fn a_strict_exchange_begins_with_its_kexinit() {
    let refused = ask(Lies { early: Some(vec![2, 0, 0, 0, 0]), ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::Protocol(_))), "{refused:?}");
}
