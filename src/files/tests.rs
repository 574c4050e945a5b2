use std::os::unix::fs::{FileTypeExt, symlink};

use super::*;

const LIMIT: u64 = 1024;

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn files_are_replaced_and_what_is_no_file_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("known_hosts"), folder.path().join("link"));
    write(&file, b"old").unwrap();
    symlink(&file, &link).unwrap();
    write(&link, b"new").unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(text(&file), "new");
    assert!(write(folder.path(), b"").is_err(), "a folder");
    assert!(write(&folder.path().join("no/file"), b"").is_err());

    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    write(&pipe, b"for a reader").unwrap();
    assert_eq!(reader.join().unwrap(), "for a reader");
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
}

#[test]
fn where_others_may_write_no_link_is_followed_and_no_pipe_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link, pipe) =
        (folder.path().join("file"), folder.path().join("link"), folder.path().join("pipe"));
    write_own(&file, b"old").unwrap();
    symlink(&file, &link).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for bad in [&link, &pipe] {
        assert!(write_own(bad, b"new").is_err());
    }
    assert_eq!(text(&file), "old");
    write_own(&file, b"new").unwrap();
    assert_eq!((text(&file).as_str(), file.metadata().unwrap().mode() & 0o777), ("new", 0o644));
}

#[test]
fn a_changed_file_keeps_its_mode_and_its_link_and_leaves_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("known_hosts"), folder.path().join("link"));
    fs::write(&file, "one\r\ntwo").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    let original = Original::read(&link, LIMIT).unwrap().unwrap();
    let copy = original.replace(b"two", ".old").unwrap();
    assert_eq!((text(&file).as_str(), text(&copy).as_str()), ("two", "one\r\ntwo"));
    assert!(link.symlink_metadata().unwrap().is_symlink());
    for path in [&file, &copy] {
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640, "{path:?}");
    }
    // The next copy is another file, and a link in its place is not followed.
    symlink(folder.path().join("elsewhere"), folder.path().join("known_hosts.old-2")).unwrap();
    let next = Original::read(&file, LIMIT).unwrap().unwrap().replace(b"", ".old").unwrap();
    assert!(next.ends_with("known_hosts.old-3"));
    assert_eq!((text(&copy).as_str(), text(&next).as_str()), ("one\r\ntwo", "two"));
    assert!(!folder.path().join("elsewhere").exists());
}

#[test]
fn what_a_killed_process_left_goes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let dead = format!(".sshanchor-{}-", gone.id());
    fs::create_dir(folder.path().join(dead.clone() + "d")).unwrap();
    let kept = [".sshanchor-x".to_owned(), ".sshanchor-0-x".to_owned(), "key".to_owned(), temporary() + "x"];
    for name in kept.iter().cloned().chain([dead.clone() + "x", dead + "d/key"]) {
        fs::write(folder.path().join(name), "").unwrap();
    }
    sweep(folder.path());
    let left = fs::read_dir(folder.path()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut kept = kept.to_vec();
    left.sort();
    kept.sort();
    assert_eq!(left, kept);
    sweep(&folder.path().join("none"));
}

#[test]
fn what_somebody_else_changed_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let read = || {
        fs::write(&file, "one\n").unwrap();
        Original::read(&file, LIMIT).unwrap().unwrap()
    };
    let changes: [&dyn Fn(); 3] = [
        &|| OpenOptions::new().append(true).open(&file).unwrap().write_all(b"two\n").unwrap(),
        &|| write(&file, b"one\n").unwrap(),
        &|| fs::write(&file, "ONE\n").unwrap(),
    ];
    for change in changes {
        let original = read();
        change();
        let there = text(&file);
        assert!(matches!(original.replace(b"", ".old"), Err(ReplaceError::Changed)));
        assert_eq!(text(&file), there);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no copy, no temporary file");
    assert!(read().replace(b"", ".old").is_ok());
}

#[test]
fn what_is_appended_at_the_last_moment_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    fs::write(&file, "one\n").unwrap();
    let mut ssh = OpenOptions::new().append(true).open(&file).unwrap();
    let original = Original::read(&file, LIMIT).unwrap().unwrap();
    ssh.write_all(b"late\n").unwrap();
    assert_eq!(original.appended().unwrap(), b"late\n");
}

#[test]
fn what_is_no_file_is_none_and_what_is_too_long_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    for none in [file.as_path(), folder.path(), Path::new("/dev/null"), &file.join("below")] {
        assert!(Original::read(none, LIMIT).unwrap().is_none(), "{none:?}");
    }
    fs::write(&file, "long").unwrap();
    assert!(Original::read(&file, 3).is_err());
    assert_eq!(Original::read(&file, 4).unwrap().unwrap().octets(), b"long");
}

#[test]
fn a_disk_that_is_full_is_told_from_other_trouble() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
    assert!(remedy(&full).is_some_and(|hint| hint.contains("make room")), "{full}");
    assert_eq!(remedy(&fs::read("/nowhere/at/all").unwrap_err()), None);
}

#[test]
fn a_part_does_not_pass_for_the_whole() {
    assert_eq!(read_whole(&b"12345"[..], 5).unwrap(), "12345");
    assert!(read_whole(&b"123456"[..], 5).is_err());
}
