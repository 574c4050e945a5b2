use std::os::unix::fs::symlink;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

fn files(paths: &[&Path]) -> Files {
    Files { files: paths.iter().map(|path| path.to_path_buf()).collect(), folders: BTreeSet::new() }
}

fn watch(files: Files) -> Watch {
    let mut watch = Watch::default();
    assert!(watch.set(files.clone()) && watch.is_told());
    assert!(!watch.set(files), "the same again");
    watch
}

async fn is_told(watch: &mut Watch) -> bool {
    timeout(Duration::from_secs(10), watch.changed()).await.is_ok()
}

/// Nothing is told, and nothing is waited for: what there is to tell is there at once.
async fn is_silent(watch: &mut Watch) -> bool {
    timeout(Duration::ZERO, watch.changed()).await.is_err()
        && timeout(Duration::from_millis(1), watch.changed()).await.is_err()
}

#[tokio::test]
async fn a_file_is_told_of_however_it_is_written_and_its_neighbours_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pub");
    let mut watch = watch(files(&[&key]));
    fs::write(folder.path().join("other"), "x").unwrap();
    assert!(is_silent(&mut watch).await, "a neighbour");
    let before = files(&[&key]).print();
    fs::write(&key, "a").unwrap();
    assert!(is_told(&mut watch).await, "made");
    assert_ne!(files(&[&key]).print(), before);
    fs::write(folder.path().join(".key.swp"), "b").unwrap();
    while !is_silent(&mut watch).await {}
    fs::rename(folder.path().join(".key.swp"), &key).unwrap();
    assert!(is_told(&mut watch).await, "as an editor does it");
    fs::remove_file(&key).unwrap();
    assert!(is_told(&mut watch).await, "removed");
    assert_eq!(files(&[&key]).print(), before);
}

#[tokio::test]
async fn folders_that_come_go_and_are_replaced_are_followed() {
    let top = tempfile::tempdir().unwrap();
    let (folder, key) = (top.path().join("etc/ssh"), top.path().join("etc/ssh/key.pub"));
    let mut watch = watch(files(&[&key]));
    fs::create_dir(top.path().join("etc")).unwrap();
    assert!(is_told(&mut watch).await);
    watch.renew();
    fs::create_dir(&folder).unwrap();
    assert!(is_told(&mut watch).await);
    watch.renew();
    fs::write(&key, "a").unwrap();
    assert!(is_told(&mut watch).await);
    watch.renew();
    // Another folder takes its place.
    fs::create_dir(top.path().join("etc/new")).unwrap();
    fs::write(top.path().join("etc/new/key.pub"), "b").unwrap();
    assert!(is_silent(&mut watch).await);
    fs::rename(&folder, top.path().join("etc/old")).unwrap();
    fs::rename(top.path().join("etc/new"), &folder).unwrap();
    assert!(is_told(&mut watch).await);
    watch.renew();
    fs::write(top.path().join("etc/old/key.pub"), "c").unwrap();
    assert!(is_silent(&mut watch).await, "the old one is no matter any more");
    fs::write(&key, "d").unwrap();
    assert!(is_told(&mut watch).await);
}

#[tokio::test]
async fn links_are_followed_step_by_step() {
    let top = tempfile::tempdir().unwrap();
    for (version, text) in [("1", "a"), ("2", "b")] {
        fs::create_dir(top.path().join(version)).unwrap();
        fs::write(top.path().join(version).join("key.pub"), text).unwrap();
    }
    // As containers are given their secrets.
    symlink("1", top.path().join("data")).unwrap();
    symlink("data/key.pub", top.path().join("key.pub")).unwrap();
    let key = top.path().join("key.pub");
    let mut watch = watch(files(&[&key]));
    let before = files(&[&key]).print();
    symlink("2", top.path().join("next")).unwrap();
    assert!(is_silent(&mut watch).await);
    fs::rename(top.path().join("next"), top.path().join("data")).unwrap();
    assert!(is_told(&mut watch).await);
    assert_ne!(files(&[&key]).print(), before);
    watch.renew();
    fs::write(top.path().join("2/key.pub"), "c").unwrap();
    assert!(is_told(&mut watch).await);
    // A loop ends.
    symlink("loop", top.path().join("loop")).unwrap();
    assert_eq!(steps(&top.path().join("loop/x")).len(), MAX_LINKS + 1);
}

#[tokio::test]
async fn of_a_folder_any_file_counts() {
    let top = tempfile::tempdir().unwrap();
    let drop_ins = Files { files: BTreeSet::new(), folders: [top.path().join("d")].into() };
    let mut watch = watch(drop_ins.clone());
    let mut prints = Vec::new();
    fs::create_dir(top.path().join("d")).unwrap();
    for (file, is_there) in [("d/1.conf", true), ("d/2.conf", true), ("d/1.conf", false)] {
        prints.push(drop_ins.print());
        match is_there {
            true => fs::write(top.path().join(file), "").unwrap(),
            false => fs::remove_file(top.path().join(file)).unwrap(),
        }
    }
    prints.push(drop_ins.print());
    assert!(is_told(&mut watch).await);
    assert_eq!(prints.iter().collect::<BTreeSet<_>>().len(), prints.len(), "{prints:?}");
}
