use super::file::LONGEST;
use super::*;
use crate::proto::chain::paper::{NOW, Paper, name, question};
use crate::proto::rr::RrType;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

mod properties;

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
fn what_others_write_is_seen_in_files_that_this_process_knows() {
    let (folder, cache) = cache();
    let other = again(&folder).unwrap();
    let shown = |cache: &Cache| Some(cache.get(&asked())?.set().rdatas().next()?[2..].to_vec());
    let path = file(&cache);
    for key in [&b"two"[..], b"three", b"two"] {
        assert!(shown(&cache).is_some() && shown(&other).is_some());
        other.put(&entries(HOST, &[b"\x04\x02", key].concat()));
        assert_eq!((shown(&cache).as_deref(), shown(&other).as_deref()), (Some(key), Some(key)));
        cache.forget(&asked());
        assert_eq!((shown(&cache), shown(&other)), (None, None));
        cache.put(&entries(HOST, &[b"\x04\x02", key].concat()));
        assert_eq!((shown(&cache).as_deref(), shown(&other).as_deref()), (Some(key), Some(key)));
        shrink(path.parent().unwrap(), &path).unwrap();
        assert_eq!((shown(&cache).as_deref(), shown(&other).as_deref()), (Some(key), Some(key)));
    }
    fs::remove_file(&path).unwrap();
    assert_eq!((shown(&cache), shown(&other)), (None, None));
    // Both learn of a file that is new to them by its being there.
    other.put(&entries(HOST, b"\x04\x02one"));
    assert_eq!((shown(&cache).unwrap(), shown(&other).unwrap()), (b"one".to_vec(), b"one".to_vec()));
}

/// The file that holds the proof of [`HOST`], which is its only line.
fn file(cache: &Cache) -> PathBuf {
    cache.place(Subject::Proof(&asked())).0
}

#[test]
fn a_line_that_was_changed_or_moved_is_no_line() {
    let (_folder, cache) = cache();
    let path = file(&cache);
    let good = fs::read_to_string(&path).unwrap();
    let restamped = good.replace(&format!("\"fetched\":{NOW}"), &format!("\"fetched\":{}", NOW + 1));
    let longer = good.replace("\"ttl\":3600", "\"ttl\":3601");
    let cut = good[..good.len() - 10].to_owned();
    let unsealed = good.split_once(' ').unwrap().1.to_owned();
    for bad in [restamped, longer, cut, unsealed, String::new(), good.to_uppercase()] {
        assert_ne!(bad, good);
        fs::write(&path, &bad).unwrap();
        assert_eq!(cache.get(&asked()), None, "{bad}");
    }
    // A whole line of another name.
    let other = "web2.example.test";
    cache.put(&entries(other, b"\x04\x02two"));
    let (theirs, _) = cache.place(Subject::Proof(&question(other, RrType::SSHFP)));
    let moved = fs::read_to_string(theirs).unwrap();
    let (_, tag) = cache.place(Subject::Proof(&asked()));
    let line = moved.lines().rfind(|line| line.contains(other)).unwrap();
    let their_tag = Line::read(line).unwrap().tag;
    for moved in [line.to_owned(), line.replace(their_tag, &tag)] {
        fs::write(&path, moved + "\n").unwrap();
        assert_eq!(cache.get(&asked()), None);
    }
    fs::write(&path, &good).unwrap();
    assert!(cache.get(&asked()).is_some());
}

#[test]
fn what_a_crash_leaves_unfinished_hides_nothing() {
    let (_folder, cache) = cache();
    let path = file(&cache);
    let good = fs::read_to_string(&path).unwrap();
    for length in [1, 70, 100, good.len() - 2] {
        let octets = [good.as_bytes(), &good.as_bytes()[..length]].concat();
        fs::write(&path, octets).unwrap();
        assert!(cache.get(&asked()).is_some(), "the line before it, {length}");
        cache.put(&entries(HOST, b"\x04\x02two"));
        let newer = cache.get(&asked()).unwrap();
        assert_eq!(newer.set().rdatas().next(), Some(&b"\x04\x02two"[..]), "the line after it, {length}");
    }
    fs::write(&path, [&[0xff, 0xfe, b'\n'], good.as_bytes()].concat()).unwrap();
    assert!(cache.get(&asked()).is_some(), "octets that are no text");
}

#[test]
fn a_new_time_on_a_file_changes_nothing() {
    let (_folder, cache) = cache();
    fs::File::open(file(&cache)).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(cache.get(&asked()).unwrap().fetched(), NOW);
}

#[test]
fn nothing_that_others_could_have_written_is_looked_at() {
    let (folder, cache) = cache();
    let path = file(&cache);
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(cache.get(&asked()), None, "the file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(cache.get(&asked()).is_some());
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert_eq!(cache.get(&asked()), None, "a link");
    let before = fs::read(&elsewhere).unwrap();
    cache.put(&entries(HOST, b"\x04\x02two"));
    assert_eq!(fs::read(&elsewhere).unwrap(), before, "nor is one written through");
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
fn a_file_stays_within_its_bound_and_the_oldest_lines_go() {
    let (_folder, cache) = cache();
    let addresses: Vec<IpAddr> = (0..=255).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    let file = |scope: &str| cache.place(Subject::Addresses(&name(HOST), scope)).0;
    // Subjects that share a file, more than four times as many as it has room for.
    let scopes = (0..).map(|n| format!("scope {n}")).filter(|scope| file(scope) == file("scope 0"));
    let scopes: Vec<String> = scopes.take(300).collect();
    for scope in &scopes {
        cache.put_addresses(&name(HOST), scope, addresses.clone(), NOW, 60);
        assert!(fs::metadata(file(scope)).unwrap().len() <= MAX_FILE);
        assert!(cache.addresses(&name(HOST), scope, NOW).is_some(), "the latest is there");
    }
    let is_left = |scope: &String| cache.addresses(&name(HOST), scope, NOW).is_some();
    let gone = scopes.iter().take_while(|scope| !is_left(scope)).count();
    assert!((200..290).contains(&gone) && scopes[gone..].iter().all(is_left), "{gone}");
    // One subject again and again leaves the others alone.
    for _ in 0..300 {
        cache.put_addresses(&name(HOST), &scopes[299], addresses.clone(), NOW, 60);
    }
    assert!(is_left(&scopes[298]));
    assert!(fs::read_dir(cache.folder()).unwrap().count() <= 257, "no file beside them stays");
}

#[test]
fn many_processes_at_once_lose_nothing() {
    let (_folder, cache) = cache();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let cache = &cache;
            scope.spawn(move || {
                for n in 0..50 {
                    cache.put_addresses(&name(HOST), &format!("{thread} {n}"), Vec::new(), NOW, 60);
                }
            });
        }
    });
    let all = (0..8).flat_map(|thread| (0..50).map(move |n| format!("{thread} {n}")));
    assert!(all.into_iter().all(|scope| cache.addresses(&name(HOST), &scope, NOW).is_some()));
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
    let long = entries(HOST, &[4; MAX_LINE]);
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
    for file in fs::read_dir(cache.folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if !file.ends_with(KEY) && !file.ends_with(CLOCK) {
            fs::remove_file(file).unwrap();
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

#[test]
fn a_file_that_nobody_shrank_is_no_file_and_begins_anew() {
    let (_folder, cache) = cache();
    let path = file(&cache);
    let good = fs::read_to_string(&path).unwrap();
    let filled = |octets: u64| good.clone() + &"\n".repeat(octets as usize - good.len());
    fs::write(&path, filled(LONGEST)).unwrap();
    assert!(cache.get(&asked()).is_some());
    // Its last lines might say otherwise.
    fs::write(&path, filled(LONGEST + 1)).unwrap();
    assert_eq!(cache.get(&asked()), None);
    cache.put(&entries(HOST, b"\x04\x02two"));
    assert!(cache.get(&asked()).is_some());
    assert!(fs::metadata(&path).unwrap().len() < MAX_LINE as u64);
}

/// What tests look at from outside.
impl Cache {
    fn folder(&self) -> &Path {
        match &self.0.storage {
            Storage::Folder { folder, .. } => folder,
            Storage::Memory(_) => panic!("no folder"),
        }
    }

    fn place(&self, subject: Subject<'_>) -> (PathBuf, String) {
        place_in(self.folder(), subject)
    }
}

#[test]
fn what_is_kept_in_memory_is_read_written_and_forgotten_alike() {
    let cache = Cache::in_memory();
    let stored = entries(HOST, b"\x04\x02one");
    cache.put(&stored);
    for entry in &stored {
        assert_eq!(cache.get(entry.question()).unwrap().set().rtype(), entry.question().rtype);
    }
    assert_eq!(cache.get(&question("web2.example.test", RrType::SSHFP)), None);
    let other = cache.clone();
    other.note_inception(7);
    other.put_addresses(&name(HOST), "system", vec![IpAddr::from([192, 0, 2, 1])], NOW, 60);
    assert_eq!(cache.clock(), 7);
    let found =
        |now| cache.addresses(&name(HOST), "system", now).map(|(found, current)| (found.len(), current));
    assert_eq!((found(NOW + 60), found(NOW + 61)), (Some((1, true)), Some((1, false))));
    other.forget_many([asked()]);
    cache.forget_addresses(&name(HOST), "system");
    assert_eq!((cache.get(&asked()), found(NOW)), (None, None));
}
