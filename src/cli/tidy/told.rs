//! What is told of entries and files.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde::Serialize;

use super::ask::Asked;
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::output::Report;
use crate::proto::hostkey::HostKey;
use crate::proto::tidy::{Keep, Line, Meant, Removal, Says, Standing};

/// A name of an entry, or a line that is kept.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    file: &'a str,
    /// From 1.
    line: usize,
    host: Option<String>,
    port: Option<u16>,
    key: Option<Key>,
    /// proven, contradicted, other-types, unproven or kept.
    standing: &'static str,
    reason: Option<&'static str>,
    message: String,
    removed: bool,
    #[serde(skip)]
    stands: Option<Standing>,
    #[serde(skip)]
    shown_key: String,
}

#[derive(Debug, Serialize)]
struct Key {
    #[serde(rename = "type")]
    key_type: &'static str,
    sha256: String,
}

/// What is told of a file, at its end.
#[derive(Debug, Default, Serialize)]
struct Summary<'a> {
    file: &'a str,
    /// Lines with something on them.
    lines: usize,
    /// Names, counted by how their entries stand.
    proven: usize,
    contradicted: usize,
    other_types: usize,
    unproven: usize,
    kept: usize,
    /// How many of them can go, or went.
    removable: usize,
    written: bool,
    /// Where the file is as it was.
    backup: Option<String>,
}

/// What is told of one file.
pub(super) struct Told<'a> {
    asked: &'a Asked,
    removal: Removal,
    summary: Summary<'a>,
}

impl<'a> Told<'a> {
    /// With `backup` it was written, and stays there as it was.
    pub(super) fn new(file: &'a str, asked: &'a Asked, removal: Removal, backup: Option<PathBuf>) -> Self {
        let (written, backup) = (backup.is_some(), backup.map(|path| path.display().to_string()));
        Told { asked, removal, summary: Summary { file, written, backup, ..Summary::default() } }
    }

    /// Tells of every entry.
    pub(super) fn entries(&mut self, cx: &Context, lines: &[Line<'_>]) -> Result<(), Error> {
        for (at, line) in lines.iter().enumerate() {
            let number = at + 1;
            let entry = match line.says() {
                Says::Nothing => continue,
                Says::Kept(why) => {
                    self.summary.lines += 1;
                    let (reason, message) = kept(why);
                    self.tell(cx, self.keeps(number, None, reason, message))?;
                    continue;
                }
                Says::Entry(entry) => entry,
            };
            self.summary.lines += 1;
            for named in entry.names() {
                let key = Some(entry.key());
                let told = match &named.meant {
                    Meant::Hashed => self.keeps(
                        number,
                        key,
                        "hashed",
                        "a hashed name that was not tried: give hosts".to_owned(),
                    ),
                    Meant::Address => self.keeps(
                        number,
                        key,
                        "address",
                        format!("{}: no DNS record vouches for an address", named.text()),
                    ),
                    Meant::Other => {
                        self.keeps(number, key, "name", format!("{:?} is not a host name", named.text()))
                    }
                    Meant::Host(host, port) => {
                        let Some(answer) = self.asked.of(host, *port, entry.key()) else { continue };
                        Entry {
                            host: Some(host.to_string()),
                            port: Some(*port),
                            standing: answer.standing.code(),
                            stands: Some(answer.standing),
                            reason: answer.reason,
                            message: answer.message.clone(),
                            removed: self.summary.written && self.removal.takes(answer.standing),
                            ..self.keeps(number, key, "", String::new())
                        }
                    }
                };
                self.tell(cx, told)?;
            }
        }
        Ok(())
    }

    fn keeps(&self, line: usize, key: Option<&HostKey>, reason: &'static str, message: String) -> Entry<'a> {
        Entry {
            file: self.summary.file,
            line,
            host: None,
            port: None,
            key: key
                .map(|key| Key { key_type: key.key_type().name(), sha256: HEXLOWER.encode(&key.sha256()) }),
            standing: "kept",
            reason: Some(reason),
            message,
            removed: false,
            stands: None,
            shown_key: key.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn tell(&mut self, cx: &Context, entry: Entry<'_>) -> Result<(), Error> {
        let summary = &mut self.summary;
        let count = match entry.stands {
            Some(Standing::Proven) => &mut summary.proven,
            Some(Standing::Contradicted) => &mut summary.contradicted,
            Some(Standing::OtherTypes) => &mut summary.other_types,
            Some(Standing::Unproven) => &mut summary.unproven,
            None => &mut summary.kept,
        };
        *count += 1;
        summary.removable += usize::from(entry.stands.is_some_and(|stands| self.removal.takes(stands)));
        let is_news = entry.stands.is_some_and(|stands| stands != Standing::Unproven);
        match cx.out.json || is_news {
            true => cx.out.result(&entry),
            false => {
                cx.out.detail(&entry.text());
                Ok(())
            }
        }
    }

    /// Tells of the file; says what the exit status should be.
    pub(super) fn summary(self, cx: &Context) -> Result<Option<Kind>, Error> {
        let Summary { contradicted, removable, written, .. } = self.summary;
        let stays = contradicted > 0 && !(self.removal.contradicted && written);
        cx.out.result(&self.summary)?;
        if stays {
            cx.out.warn(&format!(
                "{}: {contradicted} entries contradict what DNSSEC proves: they are stale, or somebody was in between when they were \
                 made (hint: compare them with the hosts' consoles; --contradicted --write removes them)",
                self.summary.file
            ));
        }
        Ok((stays || removable > 0 && !written).then_some(Kind::Pending))
    }
}

fn kept(why: &Keep) -> (&'static str, String) {
    match why {
        Keep::Marker => ("marker", "a line with a marker".to_owned()),
        Keep::Pattern => ("pattern", "a line with a pattern".to_owned()),
        Keep::Key(why) => ("key", why.to_string()),
        Keep::Form => ("form", "not a line that is understood".to_owned()),
    }
}

impl Report for Entry<'_> {
    fn text(&self) -> String {
        let about = match (&self.host, self.port) {
            (Some(host), Some(22)) => format!("{host} {} ", self.shown_key),
            (Some(host), Some(port)) => format!("[{host}]:{port} {} ", self.shown_key),
            _ => String::new(),
        };
        let standing =
            if self.removed { format!("{}, removed", self.standing) } else { self.standing.to_owned() };
        format!("{} line {}: {about}{standing}: {}", self.file, self.line, self.message)
    }
}

impl Report for Summary<'_> {
    fn text(&self) -> String {
        let Summary { file, proven, contradicted, other_types, unproven, kept, removable, .. } = self;
        let counts = format!(
            "{proven} proven, {contradicted} contradicted, {other_types} of other types, {unproven} unproven, {kept} not looked at"
        );
        let done = match (&self.backup, removable) {
            (Some(backup), _) => format!("{removable} removed; as it was: {backup}"),
            (None, 0) => "nothing to remove".to_owned(),
            (None, _) => format!("{removable} can go (--write)"),
        };
        format!("{file}: {counts}; {done}")
    }
}
