use std::sync::Arc;

use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

use super::*;
use crate::lab::host::{NOT_FOUND, Tally, ToyHost, generate_key, public_half};
use crate::proto::hostkey::KeyType;
use crate::ssh::identity::{Identities, Nobody};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

struct Scene {
    host: ToyHost,
    visitor: Arc<PrivateKey>,
}

async fn scene(algorithm: Algorithm) -> Scene {
    let visitor = generate_key(Algorithm::Ed25519).unwrap();
    let key = generate_key(algorithm).unwrap();
    let host = ToyHost::start("web1.example", key, visitor.public_key().clone()).await.unwrap();
    Scene { host, visitor: Arc::new(visitor) }
}

async fn meet(host: &ToyHost) -> Unjudged {
    let stream = TcpStream::connect(host.address()).await.unwrap();
    Unjudged::shake(stream, &Ask::Keys(KeyType::ALL.to_vec()), Kex::Any, soon()).await.unwrap()
}

fn witness(host: &ToyHost) -> Anchored {
    Anchored::for_tests(host.name(), host.address().port(), host.host_key())
}

async fn log_in(session: &mut Session, user: &str, key: &Arc<PrivateKey>) -> Result<Instant, SessionError> {
    session.log_in(user, &Identities::of_key(key), &Nobody, soon()).await
}

#[tokio::test]
async fn a_command_runs_over_the_connection_that_was_accepted() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }] {
        let Scene { host, visitor } = scene(algorithm).await;
        let unjudged = meet(&host).await;
        assert_eq!(unjudged.probed().presented.key(), host.host_key());
        let mut session = unjudged.accept(witness(&host)).unwrap();
        assert_eq!(host.tally().authentications, 0, "nothing before the accept");
        log_in(&mut session, "ansible", &visitor).await.unwrap();
        let ran = session.exec("whoami", soon()).await.unwrap();
        let kept = Kept { stdout: b"ansible\n".into(), ..Kept::default() };
        assert_eq!(ran, Ran { kept, end: End::Status(0) });
        let ran = session.exec("reboot", soon()).await.unwrap();
        assert_eq!((ran.kept.stdout, ran.end), (vec![], End::Status(NOT_FOUND)));
        assert!(ran.kept.stderr.starts_with(b"a toy host"));
        assert_eq!(session.anchored().key_sha256(), &host.host_key().sha256());
        session.close(soon()).await;
        let Tally { connections, key_exchanges, commands, .. } = host.tally();
        assert_eq!((connections, key_exchanges, commands), (1, 1, 2));
    }
}

#[tokio::test]
async fn a_refusal_ends_the_connection_before_any_authentication() {
    let Scene { host, .. } = scene(Algorithm::Ed25519).await;
    meet(&host).await.refuse(soon()).await;
    assert_eq!(host.tally().authentications, 0);
}

#[tokio::test]
async fn a_witness_for_another_key_opens_nothing() {
    let Scene { host, .. } = scene(Algorithm::Ed25519).await;
    let other = public_half(&generate_key(Algorithm::Ed25519).unwrap()).unwrap();
    let witness = Anchored::for_tests("web1.example", 22, &other);
    assert_eq!(meet(&host).await.accept(witness).unwrap_err(), OtherKey);
    assert_eq!(host.tally().authentications, 0);
}

#[tokio::test]
async fn another_client_key_is_not_let_in() {
    let Scene { host, .. } = scene(Algorithm::Ed25519).await;
    let stranger = Arc::new(generate_key(Algorithm::Ed25519).unwrap());
    let mut session = meet(&host).await.accept(witness(&host)).unwrap();
    let Err(SessionError::Denied(denied)) = log_in(&mut session, "root", &stranger).await else { panic!() };
    assert_eq!((denied.tried.len(), denied.methods.as_slice()), (1, ["publickey"].as_slice()), "{denied}");
    assert_eq!(host.tally().commands, 0);
}

#[tokio::test]
async fn without_a_key_the_methods_are_told_and_nobody_is_let_in() {
    let Scene { host, .. } = scene(Algorithm::Ed25519).await;
    let mut session = meet(&host).await.accept(witness(&host)).unwrap();
    let none = Identities::new(&[], None, None).unwrap();
    let Err(SessionError::Denied(denied)) = session.log_in("root", &none, &Nobody, soon()).await else {
        panic!()
    };
    assert_eq!(denied.methods, ["publickey"]);
    assert!(denied.to_string().contains("there is none to offer"), "{denied}");
}

#[tokio::test]
async fn a_host_that_stops_ends_its_sessions() {
    let Scene { host, visitor } = scene(Algorithm::Ed25519).await;
    let mut session = meet(&host).await.accept(witness(&host)).unwrap();
    log_in(&mut session, "root", &visitor).await.unwrap();
    host.stop().await;
    let broken = session.exec("hostname", soon()).await;
    assert!(matches!(broken, Err(SessionError::Connection(_))), "{broken:?}");
}

#[tokio::test]
async fn of_long_outputs_the_beginning_is_kept() {
    let mut kept = Kept::default();
    kept.stdout(&vec![1; MAX_OUTPUT]).await.unwrap();
    assert!(!kept.is_truncated);
    kept.stdout(&[2]).await.unwrap();
    assert!(kept.is_truncated && kept.stdout.len() == MAX_OUTPUT);
}
