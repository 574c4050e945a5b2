//! The person at the terminal, asked for a passphrase: by the terminal itself, whatever standard input is.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::path::Path;
use std::pin::Pin;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::proto::text::sanitise;
use crate::ssh::identity::Ask;

/// Longest passphrase, in octets.
const LONGEST: usize = 1024;

/// The terminal of this process, if it has one.
pub(super) struct Terminal;

impl Ask for Terminal {
    fn passphrase<'a>(
        &'a self,
        file: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Option<Zeroizing<String>>> + Send + 'a>> {
        Box::pin(
            async move { answer(format!("Passphrase for {}: ", sanitise(&file.to_string_lossy()))).await },
        )
    }
}

impl Terminal {
    /// A passphrase for something new, which is asked for twice; none if nobody is there, an error if the two differ.
    pub(super) async fn new_passphrase(what: &str) -> Result<Option<Zeroizing<String>>, Differ> {
        let Some(first) = answer(format!("New passphrase for {what}: ")).await else { return Ok(None) };
        let Some(second) = answer("The same again: ".to_owned()).await else { return Ok(None) };
        if first == second { Ok(Some(first)) } else { Err(Differ) }
    }
}

/// A passphrase was typed in two ways.
#[derive(Debug)]
pub(super) struct Differ;

/// What is typed after `prompt`.
async fn answer(prompt: String) -> Option<Zeroizing<String>> {
    let quiet = Quiet::new(&prompt).ok()?;
    let tty = quiet.tty.try_clone().ok()?;
    spawn_blocking(move || line(tty)).await.ok()?.ok()?
}

/// A terminal that does not show what is typed. It does again when this is dropped: at a signal as well.
struct Quiet {
    tty: File,
    before: Termios,
}

impl Quiet {
    fn new(prompt: &str) -> io::Result<Self> {
        let mut tty = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&tty)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        // Nothing that was typed before the question is an answer to it.
        tcsetattr(&tty, OptionalActions::Flush, &quiet)?;
        let guard = Quiet { tty: tty.try_clone()?, before };
        tty.write_all(prompt.as_bytes())?;
        Ok(guard)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        let _ = self.tty.write_all(b"\n");
    }
}

/// A line without its end; none at the end of input.
fn line(mut tty: File) -> io::Result<Option<Zeroizing<String>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut octet = [0];
    while typed.len() < LONGEST {
        if tty.read(&mut octet)? == 0 {
            return Ok(None);
        }
        match octet {
            [b'\n'] => break,
            [octet] => typed.push(octet),
        }
    }
    Ok(str::from_utf8(&typed).ok().map(|text| Zeroizing::new(text.to_owned())))
}
