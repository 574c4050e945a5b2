//! What is to be read: links that lead somewhere, and lines to type that are understood.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, the chapters in docs/, and what stands beside them.
fn texts() -> Vec<(PathBuf, String)> {
    let mut files = ["README.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join(name)).to_vec();
    let chapters = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(chapters.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    assert!(files.len() > 8, "{files:?}");
    files.into_iter().map(|file| (file.clone(), fs::read_to_string(&file).unwrap())).collect()
}

/// What the links outside of code lead to.
fn links(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("    "));
    let targets = lines.flat_map(|line| line.split("](").skip(1));
    targets.filter_map(|rest| rest.split(')').next()).collect()
}

/// Of each heading what a link to it ends with, as forges make it.
fn anchors(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    let anchor = |title: &str| {
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    titles.map(anchor).collect()
}

/// What is wrong with the links of a file.
fn broken(file: &Path, text: &str) -> Vec<String> {
    let is_broken = |link: &&str| {
        if link.starts_with("https://") {
            return false;
        }
        let (path, anchor) =
            link.split_once('#').map_or((*link, None), |(path, anchor)| (path, Some(anchor)));
        let target = if path.is_empty() { file.to_owned() } else { file.parent().unwrap().join(path) };
        match anchor {
            None => !target.exists(),
            Some(anchor) => !fs::read_to_string(target).is_ok_and(|text| anchors(&text).contains(anchor)),
        }
    };
    links(text).into_iter().filter(is_broken).map(str::to_owned).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    for (file, text) in texts() {
        assert_eq!(broken(&file, &text), [] as [String; 0], "{}", file.display());
        // Two headings of one name would share a link.
        assert_eq!(anchors(&text).len(), text.lines().filter(|line| line.starts_with('#')).count());
    }
    let made_up = "# A `title`\n[a](#a-title) [b](#b) [c](docs/ca.md#renew) [d](docs/ca.md#no) [e](none.md)\n    [f](no)\n";
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/ca.md"), "## Renew\n").unwrap();
    let file = folder.path().join("made-up.md");
    fs::write(&file, made_up).unwrap();
    assert_eq!(broken(&file, made_up), ["#b", "docs/ca.md#no", "none.md"]);
}

#[test]
fn the_readme_leads_to_every_chapter_and_lists_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (file, _) in texts() {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        assert!(path == "README.md" || links(&readme).contains(&path.as_str()), "{path}");
    }
    let commands = readme.split_once("\n## Commands\n").unwrap().1.split("\n## ").next().unwrap();
    for command in sshanchor::cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let is_it = |cell: &str| cell.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '`']));
        let listed = commands.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let mut words = listed.flat_map(|cell| cell.split('`').filter(|word| !word.is_empty()));
        assert!(name == "help" || words.any(|word| is_it(&format!("{word}`"))), "{name}");
    }
}

#[test]
fn pictures_are_small_enough_for_a_page() {
    let picture = fs::read(root().join("docs/audit.png")).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n") && picture.len() < 200_000, "{} octets", picture.len());
}

/// The lines to type that begin with this program's name, without what a shell does with them.
fn typed(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::trim_start);
    let lines = lines.map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.filter(|line| line.starts_with("sshanchor ")).map(str::to_owned).collect()
}

fn words(line: &str) -> Vec<String> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("{line}"));
    let is_for_the_shell = |word: &String| ["|", "<", ">", ">>", ";", "&&"].contains(&word.as_str());
    words.into_iter().take_while(|word| !is_for_the_shell(word)).collect()
}

#[test]
fn every_line_to_type_is_understood() {
    let mut seen = 0;
    for (file, text) in texts() {
        for line in typed(&text) {
            let told = sshanchor::cli::command().try_get_matches_from(words(&line));
            assert!(told.is_ok(), "{}: {line}: {}", file.display(), told.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 80, "{seen}");
    let wrong = words("sshanchor verify --no-such-option web1.example.com # a comment");
    assert!(sshanchor::cli::command().try_get_matches_from(wrong).is_err());
}
