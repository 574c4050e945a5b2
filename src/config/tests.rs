use super::*;

/// What is in force where the user's file and the system's say this.
fn both(user: &str, system: &str, typed: &Typed) -> Config {
    let read = |(index, text): (usize, &str)| {
        let path = PathBuf::from(format!("/{index}/config.toml"));
        let file = file::parse(
            format!("version = 1\n{text}"),
            Whereabouts { index, folder: Path::new("/x"), home: None },
        );
        (path, file.unwrap())
    };
    merge(typed, [user, system].into_iter().enumerate().map(read).collect(), Vec::new())
}

#[test]
fn the_users_file_comes_before_the_systems() {
    let rule = |grace: &str| format!("[[host]]\nmatch = \"*\"\noutage_grace = \"{grace}\"");
    let user = format!("timeout = \"2s\"\n{}", rule("1h"));
    let system = format!("timeout = \"3s\"\ntrust_anchor = \"a\"\n{}\nmode = \"pass\"", rule("2h"));
    let config = both(&user, &system, &Typed::default());
    assert_eq!(config.timeout.value, Duration::from_secs(2));
    assert_eq!(config.timeout.source, Source::File { path: "/0/config.toml".into(), line: 2 });
    assert_eq!(config.trust_anchor.value, Some("/x/a".into()));
    assert_eq!(config.trust_anchor.source, Source::File { path: "/1/config.toml".into(), line: 3 });
    assert_eq!(config.resolver, default(Vec::new()));
    // Rules of both files, the user's first.
    let policy = config.policies.of("a.example");
    assert_eq!(policy.outage_grace, Duration::from_secs(3600));
    assert_eq!(policy.mode, crate::proto::policy::Mode::Pass);
    let typed = Some(Sourced { value: Duration::from_secs(1), source: Source::Option("--timeout") });
    let config = both(&user, &system, &Typed { timeout: typed.clone(), ..Typed::default() });
    assert_eq!(Some(config.timeout), typed);
}

#[test]
fn nobody_takes_the_trail_of_the_system_away() {
    let trails = |user: &str, system: &str| {
        let config = both(user, system, &Typed::default());
        config.trails.into_iter().map(|trail| trail.value.file).collect::<Vec<_>>()
    };
    let of = |name: &str| format!("[trail]\nfile = {name:?}");
    let path = |name: &str| Some(PathBuf::from(format!("/x/{name}")));
    assert_eq!(trails(&of("a"), &of("b")), [path("a"), path("b")]);
    assert_eq!(trails("[trail]\njournald = false", &of("b")), [None, path("b")]);
    assert_eq!(trails("", &of("b")), [path("b")]);
    assert!(trails("", "").is_empty());
    // Other files are named: the system's is read for this alone.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "version = 1\ntimeout = \"1s\"\n[trail]\njournald = true").unwrap();
    assert!(trail_of(&file, None).unwrap().value.journald);
    std::fs::write(&file, "version = 1\n[trail]\njournal = true").unwrap();
    assert_eq!((trail_of(&file, None), trail_of(&folder.path().join("none"), None)), (None, None));
}

#[test]
fn no_cache_is_a_choice_like_any_other() {
    let config = both("cache = \"off\"", "cache = \"/var/cache/sshanchor\"", &Typed::default());
    assert_eq!(config.cache.value, Cache::Off);
}
