use super::*;
use crate::proto::chain::paper::{NOW, Paper, name, question};
use crate::proto::rr::RrType;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

const HOST: &str = "web1.example.test";

fn entries(host: &str, key: &[u8]) -> Vec<Entry> {
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    paper.publish("example.test", host, RrType::SSHFP, &[key]);
    paper.prove(host, RrType::SSHFP).unwrap().entries(NOW)
}

fn asked() -> Question {
    question(HOST, RrType::SSHFP)
}

/// A cache with the proof of [`HOST`] in it.
fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("new/cache")).unwrap();
    cache.put(&entries(HOST, b"\x04\x02one"));
    (folder, cache)
}

fn again(folder: &tempfile::TempDir) -> Result<Cache, CacheError> {
    Cache::open(&folder.path().join("new/cache"))
}

#[test]
fn what_is_stored_is_found_by_another_process_and_can_be_forgotten() {
    let (folder, cache) = cache();
    let other = again(&folder).unwrap();
    let stored = entries(HOST, b"\x04\x02one");
    assert_eq!(stored.len(), 6);
    for entry in &stored {
        assert_eq!(other.get(entry.question()).unwrap().set().rtype(), entry.question().rtype);
    }
    assert_eq!(other.get(&question("web2.example.test", RrType::SSHFP)), None);
    other.forget(&asked());
    assert_eq!(cache.get(&asked()), None);
}

#[test]
fn a_file_that_was_changed_or_moved_is_no_file() {
    let (_folder, cache) = cache();
    let path = cache.path(Subject::Proof(&asked()));
    let good = fs::read_to_string(&path).unwrap();
    assert!(cache.get(&asked()).is_some());
    let restamped = good.replace(&format!("\"fetched\":{NOW}"), &format!("\"fetched\":{}", NOW + 1));
    let longer = good.replace("\"ttl\":3600", "\"ttl\":3601");
    let cut = good[..good.len() - 10].to_owned();
    let unsealed = good.split_once('\n').unwrap().1.to_owned();
    for bad in [restamped, longer, cut, unsealed, String::new(), format!("{good}\n")] {
        assert_ne!(bad, good);
        fs::write(&path, &bad).unwrap();
        assert_eq!(cache.get(&asked()), None, "{bad}");
    }
    // A whole file of another name.
    let other = "web2.example.test";
    cache.put(&entries(other, b"\x04\x02two"));
    fs::copy(cache.path(Subject::Proof(&question(other, RrType::SSHFP))), &path).unwrap();
    assert_eq!(cache.get(&asked()), None);
    fs::write(&path, &good).unwrap();
    assert!(cache.get(&asked()).is_some());
}

#[test]
fn a_new_time_on_a_file_changes_nothing() {
    let (_folder, cache) = cache();
    let path = cache.path(Subject::Proof(&asked()));
    fs::File::open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_eq!(cache.get(&asked()).unwrap().fetched(), NOW);
}

#[test]
fn nothing_that_others_could_have_written_is_looked_at() {
    let (folder, cache) = cache();
    let path = cache.path(Subject::Proof(&asked()));
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(cache.get(&asked()), None, "the file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(cache.get(&asked()).is_some());
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert_eq!(cache.get(&asked()), None, "a link");
    for inside in ["new/cache", "new/cache/v1", "new/cache/v1/key"] {
        let path = folder.path().join(inside);
        let mode = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(again(&folder), Err(CacheError::Untrusted(_))), "{inside}");
        fs::set_permissions(&path, mode).unwrap();
    }
    assert!(again(&folder).is_ok());
}

#[test]
fn another_secret_ends_all_that_was_stored() {
    let (folder, cache) = cache();
    fs::remove_file(folder.path().join("new/cache/v1/key")).unwrap();
    assert_eq!(again(&folder).unwrap().get(&asked()), None);
    assert!(cache.get(&asked()).is_some());
}

#[test]
fn two_processes_that_begin_at_once_share_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Cache::open(folder.path()).unwrap().put(&entries(HOST, b"\x04\x02one")));
        }
    });
    assert!(Cache::open(folder.path()).unwrap().get(&asked()).is_some());
}

#[test]
fn a_shard_stays_within_its_bounds_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let old = SystemTime::now() - std::time::Duration::from_secs(60);
    for n in 0..MAX_FILES + 10 {
        let path = folder.path().join(format!("{n}"));
        fs::write(&path, "x").unwrap();
        if n < 10 {
            fs::File::open(&path).unwrap().set_modified(old).unwrap();
        }
    }
    sweep(folder.path());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MAX_FILES);
    assert!((0..10).all(|n| !folder.path().join(format!("{n}")).exists()));
    for n in 0..20 {
        fs::write(folder.path().join(format!("large{n}")), vec![b'x'; MAX_FILE]).unwrap();
    }
    sweep(folder.path());
    let left: u64 = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(left <= MAX_SHARD, "{left}");
}

#[test]
fn addresses_outlive_their_ttl_by_a_month_and_say_so() {
    let (_folder, cache) = cache();
    let host = name(HOST);
    let found: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    cache.put_addresses(&host, "192.0.2.53:53", found.clone(), NOW, 60);
    let at = |now| cache.addresses(&host, "192.0.2.53:53", now);
    assert_eq!(at(NOW + 60), Some((found.clone(), true)));
    assert_eq!(at(NOW + 61), Some((found.clone(), false)));
    assert_eq!(at(NOW + ADDRESSES_KEPT), Some((found, false)));
    assert_eq!(at(NOW + ADDRESSES_KEPT + 1), None);
    assert_eq!(at(NOW - 1), None, "from the future");
    assert_eq!(cache.addresses(&host, "192.0.2.54:53", NOW), None, "of other resolvers");
}

#[test]
fn the_newest_inception_is_kept() {
    let (folder, cache) = cache();
    assert_eq!(cache.clock(), 0);
    cache.note_inception(NOW);
    cache.note_inception(NOW - 5);
    assert_eq!((cache.clock(), again(&folder).unwrap().clock()), (NOW, NOW));
}

#[test]
fn what_cannot_be_stored_ends_what_was_stored_before() {
    let (_folder, cache) = cache();
    let long = entries(HOST, &[4; MAX_FILE]);
    assert_eq!(long[0].question(), &asked());
    cache.put(&long);
    assert_eq!(cache.get(&asked()), None);
    cache.put(&entries(HOST, b"\x04\x02two"));
    assert_eq!(cache.get(&asked()).unwrap().set().rdatas().collect::<Vec<_>>(), [b"\x04\x02two"]);
}

#[test]
fn a_secret_that_was_cut_short_is_made_again() {
    let (folder, _) = cache();
    let key = folder.path().join("new/cache/v1/key");
    for cut in [0, 31] {
        fs::write(&key, &fs::read(&key).unwrap()[..cut]).unwrap();
        let cache = again(&folder).unwrap();
        assert_eq!(cache.get(&asked()), None);
        cache.put(&entries(HOST, b"\x04\x02one"));
        assert!(again(&folder).unwrap().get(&asked()).is_some());
    }
    fs::set_permissions(&key, Permissions::from_mode(0o666)).unwrap();
    fs::write(&key, "").unwrap();
    assert!(matches!(again(&folder), Err(CacheError::Untrusted(_))), "somebody else's");
}

#[test]
fn the_clock_outlives_all_that_is_stored_and_never_goes_back() {
    let (folder, cache) = cache();
    cache.note_inception(NOW);
    for shard in fs::read_dir(folder.path().join("new/cache/v1")).unwrap().map(|entry| entry.unwrap().path())
    {
        if shard.is_dir() {
            fs::remove_dir_all(shard).unwrap();
        }
    }
    let slow = again(&folder).unwrap();
    cache.note_inception(NOW + 20);
    slow.note_inception(NOW + 10);
    assert_eq!(again(&folder).unwrap().clock(), NOW + 20);
}

#[test]
fn nothing_is_made_in_what_belongs_to_somebody_else() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    // Only root can give a folder away; what it sees then is what root with a user's HOME sees.
    if home.metadata().unwrap().uid() == 0 {
        chown(&home, Some(12_345), None).unwrap();
        let refused = Cache::open(&home.join(".cache/sshanchor")).unwrap_err();
        assert!(matches!(&refused, CacheError::Untrusted(Untrusted::Foreign { path, .. }) if *path == home));
        assert!(
            refused.hint().contains("--cache") && !refused.hint().contains("chown"),
            "{}",
            refused.hint()
        );
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
        chown(&home, Some(0), None).unwrap();
    }
    assert!(Cache::open(&home.join(".cache/sshanchor")).is_ok());
}
