use super::*;
use crate::proto::issuance::{KeyState, RevokedKey};
use crate::proto::verdict::RELEASED;
use crate::ssh::identity::Nobody;

const NOW: u64 = RELEASED + 1000;
const DAY: Duration = Duration::from_secs(86_400);
const ACCESS: Access<'_> = Access { ask: &Nobody, agent: None, patience: Duration::from_secs(5) };

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn new() -> KeySource {
    KeySource::New(NewKey::Ed25519, None)
}

async fn ca(folder: &Path) -> Ca {
    Ca::create(folder, vec![name("example.com")], (DAY, DAY), new(), ACCESS, NOW).await.unwrap()
}

/// The plain key of some host.
fn host() -> HostKey {
    key::generate(NewKey::Ed25519, None, "host").unwrap().0
}

#[tokio::test]
async fn a_next_key_signs_once_it_is_promoted_and_nothing_is_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("ca");
    let mut ca = ca(&folder).await;
    let request = Request::new(host(), [name("web1.example.com")]);
    let first = ca.public_key().clone();
    let by_first = ca.sign(&request, NOW, ACCESS).await.unwrap();
    let second = ca.add_next(new(), ACCESS).await.unwrap();
    assert_eq!(ca.public_key(), &first);
    assert_eq!(ca.sign(&request, NOW, ACCESS).await.unwrap().ca_sha256, first.sha256());

    ca.update(|authority| authority.promoted(&second)).unwrap();
    let by_second = ca.sign(&request, NOW, ACCESS).await.unwrap();
    assert_eq!((by_first.ca_sha256, by_second.ca_sha256), (first.sha256(), second.sha256()));
    // Whoever opens it finds the same.
    let opened = Ca::open(&folder).unwrap();
    assert_eq!(opened.authority(), ca.authority());
    assert_eq!(opened.sign(&request, NOW, ACCESS).await.unwrap().ca_sha256, second.sha256());
    for file in ["ca_key", "ca_key.pub", "ca_key-2", "ca_key-2.pub"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    // A change that makes no CA changes nothing.
    assert!(ca.update(|authority| authority.without(&second, KeyState::Current)).is_err());
    assert_eq!(Ca::open(&folder).unwrap().public_key(), &second);
    ca.update(|authority| authority.without(&first, KeyState::Retired)).unwrap();
    assert_eq!(Ca::open(&folder).unwrap().authority().keys().len(), 1);
}

#[tokio::test]
async fn what_others_append_is_read_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path()).await;
    let journal = ca.journal();
    let key = host();
    let publish = Event::other("publish", serde_json::json!({ "zone": "example.com" }));
    let revoke = Event::Revoke { key: (&key).into(), more: serde_json::Map::new() };
    for event in [publish, revoke.clone()] {
        journal.append(&Entry { time: NOW, event }).unwrap();
    }
    let names: Vec<String> = journal.read().unwrap().iter().map(|e| e.event.name().to_owned()).collect();
    assert_eq!(names, ["init", "publish", "revoke"]);
    let request = Request::new(key.clone(), [name("web1.example.com")]);
    let refused = ca.sign(&request, NOW, ACCESS).await;
    assert!(matches!(refused, Err(CaError::Refused(Refusal::Revoked(_)))));
    // What is taken back, by its digest alone, is as if it had not been; until it is revoked again.
    let by_digest = RevokedKey { key_type: None, sha256: key.sha256() };
    let undo = Event::Unrevoke { key: by_digest, more: serde_json::Map::new() };
    journal.append(&Entry { time: NOW, event: undo }).unwrap();
    assert!(ca.sign(&request, NOW, ACCESS).await.is_ok());
    let again = Event::Revoke { key: by_digest, more: serde_json::Map::new() };
    journal.append(&Entry { time: NOW, event: again }).unwrap();
    let refused = ca.sign(&request, NOW, ACCESS).await;
    assert!(matches!(refused, Err(CaError::Refused(Refusal::Revoked(_)))));
    assert!(ca.sign(&Request::new(host(), [name("web1.example.com")]), NOW, ACCESS).await.is_ok());
    // A CA that is revoked itself signs nothing.
    let own = Event::Revoke { key: ca.public_key().into(), more: serde_json::Map::new() };
    journal.append(&Entry { time: NOW, event: own }).unwrap();
    let refused = ca.sign(&Request::new(host(), [name("web1.example.com")]), NOW, ACCESS).await;
    assert!(matches!(refused, Err(CaError::Refused(Refusal::RevokedCa(_)))));
}

#[tokio::test]
async fn a_line_that_is_cut_anywhere_costs_that_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path()).await;
    let (journal, file) = (ca.journal(), ca.journal().path());
    let entry = Entry { time: NOW, event: Event::other("publish", serde_json::json!({ "zone": "x" })) };
    let whole = fs::read(&file).unwrap();
    let line = entry.line();
    for cut in 0..=line.len() {
        fs::write(&file, [&whole, &line.as_bytes()[..cut]].concat()).unwrap();
        // All of it but its end is all of it.
        let before = if cut + 1 < line.len() { 1 } else { 2 };
        assert_eq!(journal.read().unwrap().len(), before, "{cut}");
        journal.append(&entry).unwrap();
        let read = journal.read().unwrap();
        assert_eq!(read.len(), before + 1, "{cut}");
        assert_eq!(read.last().unwrap(), &journal.read().unwrap()[before]);
        assert_eq!(read.last().unwrap().event.name(), "publish");
    }
    let mut long = whole.clone();
    long.extend(vec![b' '; issuance::journal::MAX_LINE + 1]);
    fs::write(&file, long).unwrap();
    assert!(matches!(journal.read(), Err(CaError::Journal { line: 2, .. })));
    let huge = Event::other("x", serde_json::json!({ "x": "x".repeat(issuance::journal::MAX_LINE) }));
    fs::write(&file, &whole).unwrap();
    assert!(
        journal.append(&Entry { time: NOW, event: huge }).is_err(),
        "what could not be read is not written"
    );
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[tokio::test]
async fn who_was_at_it_while_the_ca_rolled_over_signs_nothing_with_the_old_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut ca = ca(folder.path()).await;
    let request = Request::new(host(), [name("web1.example.com")]);
    let other = Ca::open(folder.path()).unwrap();
    let old = ca.public_key().clone();
    let second = ca.add_next(new(), ACCESS).await.unwrap();
    assert!(other.sign(&request, NOW, ACCESS).await.is_ok(), "a next key does not matter yet");
    ca.update(|authority| authority.promoted(&second)).unwrap();
    let lines = ca.journal().read().unwrap().len();
    assert!(matches!(other.sign(&request, NOW, ACCESS).await, Err(CaError::RolledOver(key)) if key == old));
    assert_eq!(ca.journal().read().unwrap().len(), lines);
    assert!(ca.sign(&request, NOW, ACCESS).await.is_ok());
    // Whose private half is not where it was does not take over.
    assert!(ca.look_for(&second, ACCESS).await.is_ok());
    fs::remove_file(folder.path().join("ca_key-2")).unwrap();
    assert!(ca.look_for(&second, ACCESS).await.is_err());
    assert!(ca.look_for(&host(), ACCESS).await.is_err(), "nobody's");
}
