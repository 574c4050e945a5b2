//! Outputs of many at once, written by a thread of its own: who reads them may be slow, and yet nothing else waits for
//! that but those who have more to write. Each portion is written as a whole.

use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

use super::Progress;

/// How many portions may wait to be written.
const WAITING: usize = 32;

/// What is to be written, and what is to be shown.
enum Word {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// One more is done.
    Step,
    /// Somebody else needs the terminal: it is told when that is so, and tells when it is not any more.
    Pause(oneshot::Sender<()>, oneshot::Receiver<()>),
}

/// The way to standard output and error.
#[derive(Debug, Clone)]
pub struct Flow(mpsc::Sender<Word>);

/// What becomes of all that was sent.
#[derive(Debug)]
pub struct Written(oneshot::Receiver<io::Result<()>>);

impl Flow {
    /// Begins to write. The thread ends with the last copy of this, or with the first error, which ends all that is sent
    /// later as well.
    pub fn start(progress: Progress) -> io::Result<(Self, Written)> {
        let (to, words) = mpsc::channel(WAITING);
        let (done, written) = oneshot::channel();
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            let _ = done.send(write(words, progress));
        })?;
        Ok((Flow(to), Written(written)))
    }

    async fn send(&self, word: Word) -> io::Result<()> {
        self.0.send(word).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Octets for standard output.
    pub async fn stdout(&self, octets: Vec<u8>) -> io::Result<()> {
        self.send(Word::Stdout(octets)).await
    }

    /// Octets for standard error.
    pub async fn stderr(&self, octets: Vec<u8>) -> io::Result<()> {
        self.send(Word::Stderr(octets)).await
    }

    /// One more is done, for the progress.
    pub async fn step(&self) {
        let _ = self.send(Word::Step).await;
    }

    /// Nothing is written while `work` is done: it needs the terminal.
    pub async fn aside<T>(&self, work: impl Future<Output = T>) -> T {
        let (paused, is_paused) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        if self.send(Word::Pause(paused, is_done)).await.is_ok() {
            let _ = is_paused.await;
        }
        let outcome = work.await;
        drop(done);
        outcome
    }
}

impl Written {
    /// Until everything is written, or cannot be: by the first error nothing later was.
    pub async fn end(self) -> io::Result<()> {
        match self.0.await {
            Ok(outcome) => outcome,
            // The thread panicked: it has said so.
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn write(mut words: mpsc::Receiver<Word>, mut progress: Progress) -> io::Result<()> {
    while let Some(word) = words.blocking_recv() {
        match word {
            Word::Stdout(octets) => {
                progress.clear();
                let mut out = io::stdout().lock();
                out.write_all(&octets).and_then(|()| out.flush())?;
            }
            Word::Stderr(octets) => {
                progress.clear();
                // A full or closed stderr must not change an outcome.
                let _ = io::stderr().lock().write_all(&octets);
            }
            Word::Step => progress.step(),
            Word::Pause(paused, is_done) => {
                progress.clear();
                let _ = paused.send(());
                let _ = is_done.blocking_recv();
            }
        }
    }
    Ok(())
}
