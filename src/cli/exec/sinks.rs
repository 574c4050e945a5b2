//! One host's outputs among those of many: each line with its host in front.

use std::io::{self, IsTerminal};

use crate::output::flow::Flow;
use crate::output::shown;
use crate::proto::lines::Lines;
use crate::ssh::client::Sink;

/// What the two streams of this process lead to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminals {
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// A terminal takes escape sequences, and nobody objects to them.
    has_bold: bool,
}

impl Terminals {
    pub(super) fn find() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let has_bold = set("TERM").is_some_and(|term| term != "dumb") && set("NO_COLOR").is_none();
        Terminals { stdout: io::stdout().is_terminal(), stderr: io::stderr().is_terminal(), has_bold }
    }

    /// Headings stand out where these outputs go to a terminal.
    pub(super) fn bold(self, is_terminal: bool) -> bool {
        is_terminal && self.has_bold
    }
}

/// Whole lines alone are passed on, so that those of several hosts never mix.
pub(super) struct Prefixed {
    prefix: Vec<u8>,
    flow: Flow,
    terminals: Terminals,
    out: Lines,
    err: Lines,
}

impl Prefixed {
    pub(super) fn new(label: &str, flow: Flow, terminals: Terminals) -> Self {
        let prefix = format!("{label}: ").into_bytes();
        Prefixed { prefix, flow, terminals, out: Lines::default(), err: Lines::default() }
    }

    /// Nothing more comes: what has no line end gets one.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        self.out.end(|line| add(&mut out, &self.prefix, line, self.terminals.stdout));
        self.err.end(|line| add(&mut err, &self.prefix, line, self.terminals.stderr));
        if !out.is_empty() {
            self.flow.stdout(out).await?;
        }
        if !err.is_empty() {
            self.flow.stderr(err).await?;
        }
        Ok(())
    }
}

/// To a terminal what can do no harm there, else the octets as they are.
fn add(batch: &mut Vec<u8>, prefix: &[u8], line: &[u8], is_terminal: bool) {
    batch.extend_from_slice(prefix);
    match is_terminal {
        true => batch.extend_from_slice(shown(line).as_bytes()),
        false => batch.extend_from_slice(line),
    }
    batch.push(b'\n');
}

/// A whole text, likewise, with a line end.
pub(super) fn text(mut octets: Vec<u8>, is_terminal: bool) -> Vec<u8> {
    if is_terminal {
        let (mut lines, mut batch) = (Lines::default(), Vec::with_capacity(octets.len() + 1));
        lines.push(&octets, |line| add(&mut batch, b"", line, true));
        lines.end(|line| add(&mut batch, b"", line, true));
        return batch;
    }
    if octets.last().is_some_and(|last| *last != b'\n') {
        octets.push(b'\n');
    }
    octets
}

impl Sink for Prefixed {
    async fn stdout(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut batch = Vec::new();
        self.out.push(octets, |line| add(&mut batch, &self.prefix, line, self.terminals.stdout));
        if batch.is_empty() { Ok(()) } else { self.flow.stdout(batch).await }
    }

    async fn stderr(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut batch = Vec::new();
        self.err.push(octets, |line| add(&mut batch, &self.prefix, line, self.terminals.stderr));
        if batch.is_empty() { Ok(()) } else { self.flow.stderr(batch).await }
    }
}
