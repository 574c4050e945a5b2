//! The line that includes the file. ssh takes the first value of each option, and an Include inside of a Host block
//! counts for that block's hosts alone: the line has to be the first of all.

/// Says why the line stands there.
const WHY: &str = "# sshanchor config ssh: before every Host, Match and option, so keep this first";
/// The same in a file that was made for the line.
const MADE: &str = "# sshanchor config ssh has made this file for the next line; keep that first";

/// `text` with `line` as the first that says something; the rest stays as it is. None is no file yet.
pub fn with(text: Option<&[u8]>, line: &str) -> Vec<u8> {
    let Some(text) = text else { return format!("{MADE}\n{line}\n").into_bytes() };
    if is_first(text, line) {
        return text.to_vec();
    }
    let first = text.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
    let end = if first.ends_with(b"\r\n") { "\r\n" } else { "\n" };
    let mut new = format!("{WHY}{end}{line}{end}").into_bytes();
    new.extend(rest(text, line));
    new
}

/// `text` without what [`with`] has put there: as it was before. None if there was no file.
pub fn without(text: &[u8], line: &str) -> Option<Vec<u8>> {
    let was_made = lines(text).any(|(_, bare)| bare == MADE.as_bytes());
    let rest = rest(text, line);
    (!was_made || !rest.is_empty()).then_some(rest)
}

/// No line before `line` says anything.
pub fn is_first(text: &[u8], line: &str) -> bool {
    let mut speaking = lines(text).map(|(_, bare)| bare.trim_ascii_start());
    speaking.find(|bare| !bare.is_empty() && !bare.starts_with(b"#")) == Some(line.as_bytes())
}

fn rest(text: &[u8], line: &str) -> Vec<u8> {
    let ours = [WHY.as_bytes(), MADE.as_bytes(), line.as_bytes()];
    lines(text).filter(|(_, bare)| !ours.contains(bare)).flat_map(|(whole, _)| whole.to_vec()).collect()
}

/// Each line, whole and without its end.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split_inclusive(|octet| *octet == b'\n').map(|whole| (whole, whole.trim_ascii_end()))
}

/// How many names of Host lines are told.
const MAX_NAMES: usize = 64;

/// Names, without wildcards, that Host lines of `text` have options for: what users type. Files that it includes are
/// not looked at.
pub fn names(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut names = Vec::new();
    for line in text.lines() {
        let mut words = line.split(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '"'));
        let mut words = words.by_ref().filter(|word| !word.is_empty());
        if words.next().is_some_and(|keyword| keyword.eq_ignore_ascii_case("host")) {
            let words = words.take_while(|word| !word.starts_with('#'));
            names.extend(words.filter(|word| !word.contains(['*', '?', '!'])).map(str::to_owned));
        }
    }
    names.truncate(MAX_NAMES);
    names
}

/// Whether the system's configuration includes the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Included {
    /// Before everything else.
    First,
    /// At this line (from 1), behind options or for some hosts only.
    Later(usize),
    /// Not at all, as far as can be seen.
    No,
}

/// Where `text`, a configuration in `folder`, includes `folder/ssh_config.d/*.conf`.
pub fn included(text: &[u8], folder: &str) -> Included {
    let text = String::from_utf8_lossy(text);
    let mut is_first = true;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split(|c: char| c.is_ascii_whitespace() || c == '=').filter(|w| !w.is_empty());
        let keyword = words.next().unwrap_or_default();
        let ours = |word: &str| {
            let word = word.trim_matches('"');
            let tail = word.strip_prefix(folder).map(|rest| rest.trim_start_matches('/')).unwrap_or(word);
            ["ssh_config.d/*.conf", "ssh_config.d/*"].contains(&tail)
        };
        if keyword.eq_ignore_ascii_case("include") && words.any(ours) {
            return if is_first { Included::First } else { Included::Later(at + 1) };
        }
        is_first = false;
    }
    Included::No
}
