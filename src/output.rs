//! The one file that prints. Its rules: results to stdout, all else to stderr; messages in lower
//! case without a full stop; peers' octets are sanitised before a terminal can see them (JSON is
//! exact, its strings escaped to ASCII); a closed pipe ends quietly.

pub mod flow;

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use crate::error::Error;
use crate::proto::ascii_json::ascii;
use crate::proto::text::sanitise;

pub use crate::proto::moment::rfc3339;

/// Octets of results that are gathered before they are written.
const GATHERED: usize = 64 * 1024;
/// Room for a result on one line, in octets, as most are.
const A_LINE: usize = 512;

/// Where results go and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// How many `-v` were given.
    pub verbose: u8,
}

/// How many hosts, in words.
pub fn hosts(count: usize) -> String {
    format!("{count} {}", if count == 1 { "host" } else { "hosts" })
}

/// A result that has a form for people; its `Serialize` is the form for scripts.
pub trait Report: Serialize {
    /// Lines for people, without the final newline.
    fn text(&self) -> String;
}

/// An error for scripts.
#[derive(Serialize)]
struct Failed<'a> {
    error: &'a str,
    reason: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a Error> for Failed<'a> {
    fn from(error: &'a Error) -> Self {
        Failed { error: &error.message, reason: error.reason, hint: error.hint.as_deref() }
    }
}

impl Output {
    /// A result, to stdout.
    pub fn result(&self, report: &impl Report) -> Result<(), Error> {
        write_out(&self.form(report)?)
    }

    /// A result in the form that is wanted.
    pub fn form(&self, report: &impl Report) -> Result<String, Error> {
        if self.json { json(report) } else { Ok(sanitise_lines(&report.text())) }
    }

    /// A result that is text in either form of output (zone file lines, say), to stdout.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        write_out(&sanitise_lines(text))
    }

    /// A JSON object on one line, to stdout.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Error> {
        write_out(&json(value)?)
    }

    /// A whole document that is written already, to stdout.
    pub fn whole(text: &str) -> Result<(), Error> {
        write_out(text.strip_suffix('\n').unwrap_or(text))
    }

    /// The same as text, for who writes many at a time.
    pub fn json_text(value: &impl Serialize) -> Result<String, Error> {
        json(value)
    }

    /// A warning, to stderr.
    pub fn warn(&self, text: &str) {
        write_err(&format!("sshanchor: warning: {}", sanitise(text)));
    }

    /// A note for people, to stderr; not with `--json`.
    pub fn note(&self, text: &str) {
        if !self.json {
            write_err(&sanitise_lines(text));
        }
    }

    /// A detail for `-v`, to stderr.
    pub fn detail(&self, text: &str) {
        if self.verbose > 0 {
            write_err(&format!("sshanchor: {}", sanitise(text)));
        }
    }

    /// An error and its hint, to stderr; with `--json` also as an object on stdout, so that a script
    /// that reads stdout learns the reason.
    pub fn error(&self, error: &Error) {
        if self.json {
            let _ = self.json_line(&Failed::from(error));
        }
        self.error_text(error);
    }

    /// An error and its hint, to stderr in either form: for commands whose stdout is not ours.
    pub fn refusal(&self, error: &Error) {
        match serde_json::to_string(&Failed::from(error)) {
            Ok(line) if self.json => write_err(&ascii(&line)),
            _ => self.error_text(error),
        }
    }

    /// An error and its hint for people, to stderr: for results that carry theirs in JSON themselves.
    pub fn error_text(&self, error: &Error) {
        write_err(&format!("sshanchor: {}", sanitise(&error.message)));
        if let Some(hint) = &error.hint {
            write_err(&format!("  hint: {}", sanitise(hint)));
        }
    }
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    let internal = |e: &dyn std::fmt::Display| Error::failure("internal", format!("cannot write JSON: {e}"));
    let mut line = Vec::with_capacity(A_LINE);
    serde_json::to_writer(&mut line, value).map_err(|e| internal(&e))?;
    Ok(ascii(String::from_utf8(line).map_err(|e| internal(&e))?))
}

/// Results of many things, to stdout. Where no terminal shows each as it comes, they are written many at a time: the
/// last of them by [`Results::end`], or when this is dropped.
#[derive(Debug)]
pub struct Results {
    out: Output,
    text: String,
    is_watched: bool,
}

impl Results {
    /// None yet.
    pub fn new(out: Output) -> Self {
        Results { out, text: String::new(), is_watched: io::stdout().is_terminal() }
    }

    /// One more.
    pub fn push(&mut self, report: &impl Report) -> Result<(), Error> {
        let form = self.out.form(report)?;
        self.push_form(&form)
    }

    /// One more, in the form that [`Output::form`] gave it.
    pub fn push_form(&mut self, form: &str) -> Result<(), Error> {
        self.text += form;
        self.text.push('\n');
        if self.is_watched || self.text.len() > GATHERED { self.write() } else { Ok(()) }
    }

    /// That was all.
    pub fn end(mut self) -> Result<(), Error> {
        self.write()
    }

    fn write(&mut self) -> Result<(), Error> {
        let written = self.text.strip_suffix('\n').map_or(Ok(()), write_out);
        self.text.clear();
        written
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        let _ = self.write();
    }
}

/// Whether standard error leads anywhere but to /dev/null.
pub fn can_be_read() -> bool {
    let nowhere = std::fs::metadata("/dev/null").map(|meta| meta.rdev());
    match (rustix::fs::fstat(io::stderr()), nowhere) {
        (Ok(stderr), Ok(nowhere)) => stderr.st_rdev != nowhere,
        _ => false,
    }
}

/// How far long work has come: a line on standard error that is written over, and gone at the end. Nothing is written
/// where that is no terminal, nor for a single thing.
#[derive(Debug)]
pub struct Progress {
    verb: &'static str,
    done: usize,
    all: usize,
    is_shown: bool,
    /// Columns that are written on now.
    width: usize,
}

impl Progress {
    /// Of `all` things none is done yet; `verb` says what is: "proven".
    pub fn new(verb: &'static str, all: usize) -> Self {
        let is_shown = all > 1 && io::stderr().is_terminal();
        let mut progress = Progress { verb, done: 0, all, is_shown, width: 0 };
        progress.draw();
        progress
    }

    /// One more is done.
    pub fn step(&mut self) {
        let percent = |done: usize| done * 100 / self.all.max(1);
        let is_news = percent(self.done) != percent(self.done + 1);
        self.done += 1;
        // A terminal may be slow: no more than a hundred times, and wherever the line was cleared for another.
        if is_news || self.width == 0 {
            self.draw();
        }
    }

    /// Makes room for a line of something else.
    pub fn clear(&mut self) {
        if self.width > 0 {
            // Blanks, for not every terminal knows escape sequences.
            let _ = write!(io::stderr().lock(), "\r{:1$}\r", "", self.width);
            self.width = 0;
        }
    }

    fn draw(&mut self) {
        if self.is_shown {
            let line = format!("{} {} of {}", self.verb, self.done, self.all);
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{line}").and_then(|()| err.flush());
            self.width = line.len();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line of a command's output, for a terminal: what is to be read in it, be it ASCII or not, and tabs. Control characters,
/// and what is not seen or has text run the other way, become `\u{..}`, octets that are no UTF-8 `\xNN`. A carriage return at
/// its end is a part of the line's end.
pub fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut clean = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => clean.push(c),
                c if c.is_control() || is_unseen(c) => clean.extend(c.escape_unicode()),
                c => clean.push(c),
            }
        }
        clean.extend(chunk.invalid().iter().flat_map(|octet| octet.escape_ascii()).map(char::from));
    }
    clean
}

/// Unicode's format characters, separators of lines, private use, and those that take no room.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{10ffff}')
}

/// As [`sanitise`], but line ends stay.
pub fn sanitise_lines(text: &str) -> String {
    text.lines().map(sanitise).collect::<Vec<_>>().join("\n")
}

fn write_out(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::failure("io", format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// A line of a log, which is printable already, to stderr.
pub fn log_line(line: &str) {
    write_err(line);
}

/// A full or closed stderr must not change an outcome.
fn write_err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(sanitise_lines("one\ntwo\x07"), "one\ntwo\\u{7}");
        for (line, clean) in [
            ("\u{25cf} nginx\tactive \u{e9}\r".as_bytes(), "\u{25cf} nginx\tactive \u{e9}"),
            (b"a\x1b[31mb\rc\x07\x9b", "a\\u{1b}[31mb\\u{d}c\\u{7}\\x9b"),
            ("\u{9b}x\u{202e}\u{200b}".as_bytes(), "\\u{9b}x\\u{202e}\\u{200b}"),
        ] {
            assert_eq!(shown(line), clean);
        }
    }
}
