//! russh connections behind a verdict, with a handler of the program's own inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sshanchor::client::{Connected, Error, connect, connect_stream, guard};
use sshanchor::russh::client::{Config, Handler, Session};
use sshanchor::russh::keys::{PrivateKeyWithHashAlg, load_secret_key};
use sshanchor::russh::{ChannelMsg, Names};
use sshanchor::{Basis, KeyType, Refusal};
use tokio::net::TcpStream;

use super::*;
use crate::interop::certificates::{consumers::World, with_ca};
use crate::support::Sandbox;
use crate::support::certificate::public;
use crate::support::sshd::{Sshd, keygen, sshfp_lines};

/// A program's handler: it says nothing about keys, and notes what it hears.
#[derive(Debug, Clone, Default)]
struct Mine {
    heard: Arc<AtomicBool>,
    greeted: Arc<AtomicBool>,
}

impl Handler for Mine {
    type Error = sshanchor::russh::Error;

    async fn kex_done(&mut self, _: Option<&[u8]>, _: &Names, _: &mut Session) -> Result<(), Self::Error> {
        self.heard.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        self.greeted.store(banner.contains("Welcome"), Ordering::SeqCst);
        Ok(())
    }
}

impl Mine {
    fn heard(&self) -> bool {
        self.heard.load(Ordering::SeqCst)
    }
}

/// What a command prints over the connection, by the user that the server lets in.
async fn hello(connected: &mut Connected<Mine>, sshd: &Sshd) -> String {
    let key = load_secret_key(sshd.sandbox.join("user"), None).unwrap();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let user =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    assert!(connected.handle.authenticate_publickey(user.trim(), key).await.unwrap().success());
    let mut channel = connected.handle.channel_open_session().await.unwrap();
    channel.exec(true, "echo hello").await.unwrap();
    let mut output = String::new();
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::Data { data } = message {
            output.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
    output
}

/// The reason of a refusal, which nobody heard of but who asked.
async fn refused(verifier: &Verifier, port: u16) -> Refusal {
    let mine = Mine::default();
    let refusal = match connect(verifier, Config::default(), &host(), port, mine.clone()).await {
        Err(Error::Refused(refusal)) => refusal,
        Err(error) => panic!("{error:?}"),
        Ok(connected) => panic!("{:?}", connected.anchored),
    };
    assert!(!mine.heard());
    refusal
}

#[tokio::test]
async fn a_proven_host_is_connected_to_and_an_impostor_is_not() {
    let banner = Sandbox::new();
    let text = banner.write("banner", "Welcome\n");
    let mut sshd = Sshd::start_with(&["ed25519"], &format!("Banner {}", text.display()));
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let verifier = Verifier::new(&options(&tree)).unwrap();
    let mine = Mine::default();
    let connected = connect(&verifier, Config::default(), &host(), sshd.port(), mine.clone()).await;
    let mut connected = connected.unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(connected.anchored.key_type(), KeyType::Ed25519);
    assert!(matches!(connected.anchored.basis(), Basis::HostKey { .. }));
    assert!(mine.heard());
    assert_eq!(hello(&mut connected, &sshd).await, "hello\n");
    assert!(mine.greeted.load(Ordering::SeqCst), "the handler inside hears what follows");

    sshd.rotate_host_keys();
    let mark = sshd.mark();
    let refusal = refused(&verifier, sshd.port()).await;
    assert!(matches!(refusal, Refusal::Rejected(_)), "{refusal}");
    assert_eq!(refusal.code(), "key-mismatch");
    assert!(!sshd.saw_userauth(mark), "nobody logs in");

    // The same by hand: a refusal is told by russh's own connect, and by who made the handler.
    let (guarded, outcome) = guard(&verifier, &host(), sshd.port(), mine.clone());
    let config = Arc::new(Config::default());
    let connecting = sshanchor::russh::client::connect(config.clone(), sshd.addr(), guarded).await;
    let error = connecting.err().unwrap();
    assert_eq!(error.refusal().map(Refusal::code), Some("key-mismatch"), "{error:?}");
    assert_eq!(outcome.refusal().as_ref(), error.refusal());
    tree.update(&sshd.sshfp_update(OWNER));
    // What DNS has just said counts until the second is over.
    let key = key_in(&sshd.host_key("ed25519"));
    while !told(&verifier, sshd.port(), &key).await.is_empty() {}
    let (guarded, outcome) = guard(&verifier, &host(), sshd.port(), mine.clone());
    let handle = sshanchor::russh::client::connect(config, sshd.addr(), guarded).await.unwrap();
    assert_eq!(outcome.confirm(&handle).unwrap().host(), &host());

    // Over a stream that is there already.
    let expected = verifier.expect(&host(), sshd.port()).await.unwrap();
    let stream = TcpStream::connect(sshd.addr()).await.unwrap();
    let connecting = connect_stream(&verifier, Config::default(), &expected, stream, mine.clone());
    let mut connected = connecting.await.unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(hello(&mut connected, &sshd).await, "hello\n");
}

#[tokio::test]
async fn only_published_types_are_asked_for() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256", "ecdsa384", "rsa"]);
    let (tree, port) = (Tree::start(), sshd.port());
    let publish = |name: &str| {
        let lines = sshfp_lines(&sshd.host_key(name), OWNER);
        let data = lines[0].split_once(" IN ").unwrap().1.to_owned();
        tree.update(&format!("update delete {OWNER} SSHFP\nupdate add {OWNER} 0 {data}"));
    };
    // Of the ECDSA keys the server shows another one first.
    for (name, key_type) in [("rsa", KeyType::Rsa), ("ecdsa384", KeyType::EcdsaP384)] {
        publish(name);
        let verifier = Verifier::new(&options(&tree)).unwrap();
        let connected = connect(&verifier, Config::default(), &host(), port, Mine::default()).await;
        let connected = connected.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(connected.anchored.key_type(), key_type);
    }
    publish("ed25519");
    let rsa = Sshd::start(&["rsa"]);
    let verifier = Verifier::new(&options(&tree)).unwrap();
    assert_eq!(refused(&verifier, rsa.port()).await.code(), "key-type-not-published");
    // A handler by hand whose program asks for anything is as strict.
    let (guarded, _) = guard(&verifier, &host(), rsa.port(), Mine::default());
    let connecting = sshanchor::russh::client::connect(Arc::default(), rsa.addr(), guarded).await;
    assert_eq!(connecting.err().unwrap().refusal().map(Refusal::code), Some("key-type-not-published"));
    // Where nothing is proven nothing is sent.
    tree.update(&format!("update delete {OWNER} SSHFP"));
    let (verifier, mark) = (Verifier::new(&options(&tree)).unwrap(), rsa.mark());
    let refusal = refused(&verifier, rsa.port()).await;
    assert!(matches!(refusal, Refusal::Unproven(_)), "{refusal}");
    assert!(!rsa.saw_newkeys(mark));
}

#[tokio::test]
async fn a_host_with_a_certificate_is_connected_to_by_its_ca() {
    let world = World::start();
    let verifier = || Verifier::new(&options(&world.tree)).unwrap();
    for records in ["none", "stale"] {
        world.publish(records);
        let port = world.sshd.port();
        let connected = connect(&verifier(), Config::default(), &host(), port, Mine::default()).await;
        let mut connected = connected.unwrap_or_else(|e| panic!("{records}: {e:?}"));
        assert!(matches!(connected.anchored.basis(), Basis::Ca { .. }), "{records}");
        assert_eq!(connected.anchored.key_type(), KeyType::EcdsaP256);
        assert_eq!(hello(&mut connected, &world.sshd).await, "hello\n");
    }
    world.publish("none");
    let expected = verifier().expect(&host(), world.sshd.port()).await.unwrap();
    assert!(expected.wants_certificate());
    // A CA that is not published.
    let other = Sandbox::new();
    keygen(&["-t", "ed25519"], &other.join("ca"));
    let key = public(&other.join("ca.pub"));
    let tree = with_ca(Tree::plan(), "example.test.", &[&key]).start();
    let verifier = Verifier::new(&options(&tree)).unwrap();
    assert_eq!(refused(&verifier, world.sshd.port()).await.code(), "ca-not-published");
}

#[tokio::test]
async fn a_host_that_is_not_there_or_says_nothing_ends_in_time() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let verifier = Verifier::new(&options(&tree).timeout(Duration::from_secs(1))).unwrap();
    let to =
        |port| connect(&verifier, Config::default(), &*Box::leak(Box::new(host())), port, Mine::default());
    assert!(matches!(to(silent.local_addr().unwrap().port()).await, Err(Error::Timeout)));
    // russh lets go of the connection that nobody waits for any more.
    let (mut stream, _) = silent.accept().unwrap();
    let mut said = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut said).unwrap();
    let closed = silent.local_addr().unwrap().port();
    drop(silent);
    assert!(matches!(to(closed).await, Err(Error::Unreachable(_))));
}

#[tokio::test]
async fn what_policy_asks_of_the_handshake_is_asked() {
    use std::os::unix::fs::PermissionsExt;
    let sshd = Sshd::start(&["ed25519"]);
    let tree = sshd.sshfp(OWNER).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let with = |rule: &str| {
        let text = format!("version = 1\ncache = \"off\"\n[[host]]\nmatch = \"*.test\"\n{rule}\n");
        let file = tree.sandbox.write("config.toml", &text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let options = sshanchor::Options::from_config_file(&file).unwrap();
        let options = options.resolver([tree.addr()]).trust_anchor(tree.anchor());
        Verifier::new(&options.timeout(Duration::from_secs(20))).unwrap()
    };
    let verifier = with("strict_kex = \"required\"\nserver_versions = \"OpenSSH_*\"\nmin_openssh = \"8.0\"");
    let connected = connect(&verifier, Config::default(), &host(), sshd.port(), Mine::default()).await;
    connected.unwrap_or_else(|e| panic!("{e:?}"));
    // Of a key alone nobody knows that.
    let key = key_in(&sshd.host_key("ed25519"));
    assert_eq!(told(&verifier, sshd.port(), &key).await, "handshake-not-seen");
    for (rule, reason) in [
        ("server_versions = \"dropbear_*\"", "server-version"),
        ("min_openssh = \"99.0\"", "server-version"),
        ("kex = \"post-quantum\"", "weak-kex"),
    ] {
        let mut config = Config::default();
        if reason == "weak-kex" {
            // Debian 12's sshd has none that russh has, and offers it to nobody.
            assert_eq!(refused(&with(rule), sshd.port()).await.code(), reason, "{rule}");
            config.preferred.kex = std::borrow::Cow::Borrowed(&[sshanchor::russh::kex::CURVE25519]);
        }
        let verifier = with(rule);
        let (guarded, outcome) = guard(&verifier, &host(), sshd.port(), Mine::default());
        let connecting = sshanchor::russh::client::connect(Arc::new(config), sshd.addr(), guarded).await;
        assert_eq!(connecting.err().unwrap().refusal().map(Refusal::code), Some(reason), "{rule}");
        assert!(outcome.refusal().is_some());
    }
}
