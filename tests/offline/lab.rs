//! The laboratory, seen through the client's own eyes: what its zones prove, and what they do not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::Algorithm;
use sshanchor::backend::rfc2136::Rfc2136;
use sshanchor::backend::{ApplyError, Backend};
use sshanchor::dns::authority::Authority;
use sshanchor::dns::cache::Cache;
use sshanchor::dns::transfer::owners;
use sshanchor::dns::tsig::Key;
use sshanchor::lab::host::{ToyHost, generate_key};
use sshanchor::lab::zone::{LabZone, Signing, Zones};
use sshanchor::proto::denial::Status;
use sshanchor::proto::message::Question;
use sshanchor::proto::name::{HostName, Name};
use sshanchor::proto::plan::{Intent, Plan, Present};
use sshanchor::proto::rr::RrType;
use sshanchor::proto::sshfp::Sshfp;
use sshanchor::proto::verdict::{Reason, Verdict};
use sshanchor::ssh::client::End;
use sshanchor::ssh::identity::{Identities, Nobody};
use sshanchor::verifier::{Opened, Options, Verifier, now};
use tokio::net::TcpStream;
use tokio::time::Instant;

fn verifier(zones: &Zones, trust_anchor: PathBuf) -> Verifier {
    let (resolver, trust_anchor) = (vec![zones.address()], Some(trust_anchor));
    Verifier::new(&Options { resolver, trust_anchor, timeout: Duration::from_secs(20), ..Options::default() })
        .unwrap()
}

async fn status(verifier: &Verifier, name: &str, rtype: RrType) -> Result<(), Status> {
    let question = Question::new(Name::from_text(name).unwrap(), rtype);
    verifier.lookups().prove(&question).await.map(drop).map_err(|unproven| unproven.status)
}

async fn family() -> Zones {
    Zones::start(vec![
        LabZone::new("child.example").records("www A 192.0.2.2\nfar CNAME www.plain.example."),
        LabZone::new("example").records("www A 192.0.2.1\nalias CNAME www.child"),
        LabZone::new("plain.example").signing(Signing::None).records("www A 192.0.2.3"),
        LabZone::new("old.example").signing(Signing::Expired).records("www A 192.0.2.4"),
    ])
    .await
    .unwrap()
}

#[tokio::test]
async fn a_clock_behind_what_was_verified_earlier_is_wrong() {
    let zones = family().await;
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let verifier = Verifier::new(&Options {
        resolver: vec![zones.address()],
        trust_anchor: Some(zones.anchor_file("example")),
        cache: Some(cache.clone()),
        ..Options::default()
    })
    .unwrap();
    let host = HostName::parse("www.example").unwrap();
    let evidence = verifier.evidence(&host, 22).await.unwrap();
    let is_clock = || matches!(verifier.without_key(&evidence), Verdict::Unproven(Reason::Clock { .. }));
    cache.note_inception(now());
    assert!(!is_clock());
    cache.note_inception(now() + 3600);
    assert!(is_clock());
    // What is proven notes by itself when its signatures began.
    let other = Cache::open(&folder.path().join("other")).unwrap();
    let options = Options {
        resolver: vec![zones.address()],
        trust_anchor: Some(zones.anchor_file("example")),
        cache: Some(other.clone()),
        ..Options::default()
    };
    assert_eq!(status(&Verifier::new(&options).unwrap(), "www.example", RrType::A).await, Ok(()));
    assert!((1..=now()).contains(&other.clock()));
}

#[tokio::test]
async fn zones_are_chained_signed_and_told_apart() {
    let zones = family().await;
    let root = verifier(&zones, zones.anchor_file("example"));
    for name in ["www.example", "www.child.example", "alias.example"] {
        assert_eq!(status(&root, name, RrType::A).await, Ok(()), "{name}");
    }
    for name in ["nothing.example", "nothing.child.example", "deep.er.child.example"] {
        assert_eq!(status(&root, name, RrType::A).await, Err(Status::Absent), "{name}");
    }
    assert_eq!(status(&root, "www.child.example", RrType::SSHFP).await, Err(Status::Absent));
    assert_eq!(status(&root, "www.plain.example", RrType::A).await, Err(Status::Insecure));
    assert_eq!(status(&root, "far.child.example", RrType::A).await, Err(Status::Insecure));
    assert_eq!(status(&root, "www.old.example", RrType::A).await, Err(Status::Bogus));
}

#[tokio::test]
async fn a_zone_can_be_trusted_by_its_key_or_by_its_ds() {
    let zones = family().await;
    let ds = zones.folder().join("ds");
    std::fs::write(&ds, zones.ds_line("child.example").unwrap()).unwrap();
    for anchor in [zones.anchor_file("child.example"), ds] {
        let island = verifier(&zones, anchor);
        assert_eq!(status(&island, "www.child.example", RrType::A).await, Ok(()));
        assert_eq!(status(&island, "www.example", RrType::A).await, Err(Status::Indeterminate));
    }
}

#[tokio::test]
async fn two_laboratories_do_not_believe_each_other() {
    let (one, other) = (family().await, family().await);
    assert_ne!(one.address(), other.address());
    let mistaken = verifier(&one, other.anchor_file("example"));
    assert_eq!(status(&mistaken, "www.example", RrType::A).await, Err(Status::Bogus));
}

#[tokio::test]
async fn a_laboratory_leaves_nothing_behind() {
    use std::os::unix::fs::PermissionsExt;
    let zones = Zones::start(vec![LabZone::new("example").tsig_key("agent")]).await.unwrap();
    let folder = zones.folder().to_owned();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&zones.key_file("agent"))), (0o700, 0o600));
    let names = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".secret")));
    let address = zones.address();
    drop(zones);
    assert!(!folder.exists());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn zones_that_make_no_sense_are_refused() {
    let wrong = LabZone::new("example").records("www IN A not.an.address");
    assert!(Zones::start(vec![wrong]).await.is_err());
    assert!(Zones::start(vec![LabZone::new("exam ple")]).await.is_err());
}

fn primary(zones: &Zones, key: Key) -> Rfc2136 {
    let patience = Duration::from_secs(20);
    let authority = Authority { server: zones.address(), patience, deadline: Instant::now() + patience };
    Rfc2136::new(authority, Name::from_text("example").unwrap(), Some(key), now)
}

fn record(last: u8) -> Sshfp {
    Sshfp::from_rdata(&[&[4, 2][..], &[0; 31], &[last]].concat()).unwrap()
}

/// To have `wanted`, and none of `own` beside it, where `present` stands.
fn plan(present: &Present, wanted: &[u8], own: &[u8]) -> Plan {
    let set = |digests: &[u8]| digests.iter().map(|d| record(*d)).collect();
    let intent = match wanted {
        [] => Intent::Withdraw,
        _ => Intent::Publish { ttl: Some(60), prune: false },
    };
    Plan::new(&Name::from_text("web.example").unwrap(), present, &set(wanted), &set(own), intent).unwrap()
}

#[tokio::test]
async fn updates_hold_only_if_exactly_what_was_read_still_stands() {
    let zone = LabZone::new("example").tsig_key("agent").tsig_key("other");
    let zones = Zones::start(vec![zone]).await.unwrap();
    let (key, weaknesses) = Key::load(&zones.key_file("agent"), Duration::ZERO).unwrap();
    assert!(weaknesses.is_empty());
    let primary = primary(&zones, key);
    let owner = Name::from_text("web.example").unwrap();
    let nothing = primary.read(&owner).await.unwrap();
    assert_eq!(nothing, Present::absent());

    primary.apply(&[plan(&nothing, &[1], &[])]).await.unwrap();
    let one = primary.read(&owner).await.unwrap();
    let late = primary.apply(&[plan(&nothing, &[2], &[])]).await;
    assert!(matches!(late, Err(ApplyError::LostRace(_))), "it was empty, and is not: {late:?}");

    primary.apply(&[plan(&one, &[2], &[])]).await.unwrap();
    let two = primary.read(&owner).await.unwrap();
    assert_eq!(two.records, [record(1), record(2)].into());
    let late = primary.apply(&[plan(&one, &[3], &[1])]).await;
    assert!(matches!(late, Err(ApplyError::LostRace(_))), "more stands than was read: {late:?}");
    assert_eq!(primary.read(&owner).await.unwrap(), two);

    let name = "web.example";
    assert_eq!(status(&verifier(&zones, zones.anchor_file("example")), name, RrType::SSHFP).await, Ok(()));
    primary.apply(&[plan(&two, &[], &[1, 2])]).await.unwrap();
    assert_eq!(primary.read(&owner).await.unwrap(), Present::absent());
    let gone = status(&verifier(&zones, zones.anchor_file("example")), name, RrType::SSHFP).await;
    assert_eq!(gone, Err(Status::Absent), "what is gone is proven to be gone");
}

#[tokio::test]
async fn only_the_keys_of_a_zone_update_it() {
    let zones = Zones::start(vec![
        LabZone::new("example").tsig_key("agent"),
        LabZone::new("child.example").tsig_key("child"),
    ])
    .await
    .unwrap();
    let text = std::fs::read_to_string(zones.key_file("agent")).unwrap();
    let other_secret = text.replace("secret \"", "secret \"AAAA");
    let unknown = std::fs::read_to_string(zones.key_file("child")).unwrap();
    let nothing = Present::absent();
    for (text, expected) in [(&other_secret, "badsig"), (&unknown, "badkey")] {
        let refused =
            primary(&zones, Key::from_text(text).unwrap()).apply(&[plan(&nothing, &[1], &[])]).await;
        assert_eq!(refused.unwrap_err().into_error().reason, expected);
    }
    let allowed = primary(&zones, Key::from_text(&text).unwrap());
    allowed.apply(&[plan(&nothing, &[1], &[])]).await.unwrap();
}

#[tokio::test]
async fn a_host_is_accepted_and_an_impostor_at_its_address_refused() {
    let visitor = generate_key(Algorithm::Ed25519).unwrap();
    let key = generate_key(Algorithm::Ed25519).unwrap();
    let host = ToyHost::start("web1.example", key.clone(), visitor.public_key().clone()).await.unwrap();
    let record = Sshfp::of_key(host.host_key());
    let records = format!("web1 A 127.0.0.1\nweb1 SSHFP {record}\nweb2 A 127.0.0.1");
    let zones = Zones::start(vec![LabZone::new("example").records(&records)]).await.unwrap();
    let verifier = verifier(&zones, zones.anchor_file("example"));
    let name = HostName::parse("web1.example").unwrap();
    let port = host.address().port();

    let attempt = async || verifier.open(&name, port).await.unwrap();
    let mut session = attempt().await.session.unwrap();
    let identities = Identities::of_key(&Arc::new(visitor));
    session.log_in("ansible", &identities, &Nobody, verifier.deadline()).await.unwrap();
    let ran = session.exec("hostname", verifier.deadline()).await.unwrap();
    assert_eq!((ran.kept.stdout, ran.end), (b"web1.example\n".into(), End::Status(0)));

    let impostor = host.replace(generate_key(Algorithm::Ed25519).unwrap()).await.unwrap();
    assert_eq!(impostor.address().port(), port);
    let Opened { verdict, session, .. } = attempt().await;
    assert!(session.is_none());
    assert!(matches!(verdict, Some(Verdict::Reject(Reason::KeyMismatch { .. }))), "{verdict:?}");
    assert_eq!(impostor.tally().authentications, 0);
    assert_eq!(impostor.tally().connections, 1);

    let back = impostor.replace(key).await.unwrap();
    assert!(attempt().await.session.is_some());
    let nobody = HostName::parse("web2.example").unwrap();
    assert!(
        verifier.verify(&nobody, port).await.unwrap().probed.is_none(),
        "nothing is sent without a proof"
    );
    assert_eq!(back.tally().key_exchanges, 1);
}

#[tokio::test]
async fn a_zone_can_be_transferred_whole() {
    let zones = Zones::start(vec![LabZone::new("example").records(
        "web1 SSHFP 4 2 aa00000000000000000000000000000000000000000000000000000000000000\n\
         _2222._ssh.web2 SSHFP 4 2 bb00000000000000000000000000000000000000000000000000000000000000\n\
         www A 192.0.2.1",
    )])
    .await
    .unwrap();
    let zone = |text| Name::from_text(text).unwrap();
    let patience = Duration::from_secs(10);
    let server = Authority { server: zones.address(), patience, deadline: Instant::now() + patience };
    let owners_of_other = owners(&server, &zone("other"), None, 100, now()).await;
    let owners = owners(&server, &zone("example"), None, 100, now()).await.unwrap();
    let names: Vec<String> = owners.iter().map(ToString::to_string).collect();
    assert!(names.len() == 2 && names.iter().any(|name| name.starts_with("web1.example")), "{names:?}");
    assert!(owners_of_other.is_err());
}
