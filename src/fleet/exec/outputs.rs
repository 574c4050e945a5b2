//! What commands wrote on many hosts, in bounded memory: what one host writes while its command runs, and the same
//! text of many hosts once.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use crate::ssh::client::{MAX_OUTPUT, Sink};

/// How much of one output is kept in memory while the command runs; more goes to a file that has no name.
const AT_ONCE: usize = 64 * 1024;
/// How much of all outputs together is kept in memory; more goes to a file that has no name.
const TOGETHER: usize = 16 * 1024 * 1024;

/// The beginnings of one command's outputs: [`MAX_OUTPUT`] octets of each.
#[derive(Debug)]
pub struct Gathered {
    stdout: SpooledTempFile,
    stderr: SpooledTempFile,
    lengths: [usize; 2],
    /// There was more of one of them.
    pub is_truncated: bool,
}

impl Default for Gathered {
    fn default() -> Self {
        let [stdout, stderr] = [(); 2].map(|()| tempfile::spooled_tempfile(AT_ONCE));
        Gathered { stdout, stderr, lengths: [0; 2], is_truncated: false }
    }
}

impl Gathered {
    /// Both outputs, hostile octets: standard output, then standard error.
    pub fn read(mut self) -> io::Result<[Vec<u8>; 2]> {
        let whole = |file: &mut SpooledTempFile, length: usize| {
            let mut all = Vec::with_capacity(length);
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut all)?;
            Ok::<_, io::Error>(all)
        };
        let [stdout, stderr] = self.lengths;
        Ok([whole(&mut self.stdout, stdout)?, whole(&mut self.stderr, stderr)?])
    }
}

fn keep(file: &mut SpooledTempFile, length: &mut usize, octets: &[u8]) -> io::Result<bool> {
    let room = MAX_OUTPUT.saturating_sub(*length).min(octets.len());
    file.write_all(octets.get(..room).unwrap_or_default())?;
    *length += room;
    Ok(room < octets.len())
}

impl Sink for Gathered {
    async fn stdout(&mut self, octets: &[u8]) -> io::Result<()> {
        self.is_truncated |= keep(&mut self.stdout, &mut self.lengths[0], octets)?;
        Ok(())
    }

    async fn stderr(&mut self, octets: &[u8]) -> io::Result<()> {
        self.is_truncated |= keep(&mut self.stderr, &mut self.lengths[1], octets)?;
        Ok(())
    }
}

/// Texts, and which of many hosts each of them is of.
#[derive(Debug, Default)]
pub struct Groups {
    places: HashMap<[u8; 32], usize>,
    groups: Vec<Group>,
    in_memory: usize,
    file: Option<(std::fs::File, u64)>,
}

/// One text.
#[derive(Debug)]
struct Group {
    text: Text,
    /// The hosts' places, in the order in which they came, until all are there.
    hosts: Vec<usize>,
}

#[derive(Debug)]
enum Text {
    Kept(Vec<u8>),
    /// From here in the file, so many octets.
    Filed(u64, usize),
}

impl Groups {
    /// The host at this place wrote `text`. What is empty is nothing.
    pub fn add(&mut self, host: usize, text: Vec<u8>) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let digest: [u8; 32] = Sha256::digest(&text).into();
        if let Some(group) = self.places.get(&digest).and_then(|at| self.groups.get_mut(*at)) {
            group.hosts.push(host);
            return Ok(());
        }
        let text = self.stored(text)?;
        self.places.insert(digest, self.groups.len());
        self.groups.push(Group { text, hosts: vec![host] });
        Ok(())
    }

    fn stored(&mut self, text: Vec<u8>) -> io::Result<Text> {
        if self.in_memory + text.len() <= TOGETHER {
            self.in_memory += text.len();
            return Ok(Text::Kept(text));
        }
        let (file, end) = match &mut self.file {
            Some(file) => file,
            none => none.insert((tempfile::tempfile()?, 0)),
        };
        file.write_all_at(&text, *end)?;
        let at = *end;
        *end += text.len() as u64;
        Ok(Text::Filed(at, text.len()))
    }

    /// Each text and its hosts' places, as clush has them, whichever came first: the text of most hosts first, of as many the
    /// one with the first host.
    pub fn each(mut self) -> impl Iterator<Item = io::Result<(Vec<usize>, Vec<u8>)>> {
        self.groups.iter_mut().for_each(|group| group.hosts.sort_unstable());
        self.groups.sort_by_key(|group| (Reverse(group.hosts.len()), group.hosts.first().copied()));
        let file = self.file;
        self.groups.into_iter().map(move |Group { text, hosts }| {
            let text = match (text, &file) {
                (Text::Kept(text), _) => text,
                (Text::Filed(at, length), Some((file, _))) => {
                    let mut text = vec![0; length];
                    file.read_exact_at(&mut text, at)?;
                    text
                }
                (Text::Filed(..), None) => Vec::new(),
            };
            Ok((hosts, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beginnings_are_kept_whether_they_fit_into_memory_or_not() {
        for size in [0, 5, AT_ONCE + 1, MAX_OUTPUT, MAX_OUTPUT + 1] {
            let text: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let mut gathered = Gathered::default();
            for portion in text.chunks(10_000) {
                gathered.stdout(portion).await.unwrap();
            }
            gathered.stderr(b"e").await.unwrap();
            assert_eq!(gathered.is_truncated, size > MAX_OUTPUT);
            let [stdout, stderr] = gathered.read().unwrap();
            assert!(stdout == text[..size.min(MAX_OUTPUT)] && stderr == b"e", "{size}");
        }
    }

    #[test]
    fn the_largest_group_is_first_then_that_of_the_first_host_whoever_came_first() {
        let told = |came: &[usize]| -> Vec<(Vec<usize>, Vec<u8>)> {
            let mut groups = Groups::default();
            for host in came {
                groups.add(*host, vec![b'a' + (host % 3) as u8]).unwrap();
            }
            groups.each().map(Result::unwrap).collect()
        };
        let wanted =
            vec![(vec![0, 3, 6], b"a".to_vec()), (vec![1, 4], b"b".to_vec()), (vec![2, 5], b"c".to_vec())];
        assert_eq!(told(&[0, 1, 2, 3, 4, 5, 6]), wanted);
        assert_eq!(told(&[5, 6, 4, 2, 0, 3, 1]), wanted);
        assert_eq!(told(&[0, 4, 1]), [(vec![1, 4], b"b".to_vec()), (vec![0], b"a".to_vec())]);
    }

    #[test]
    fn the_same_text_is_held_once_and_much_text_in_a_file() {
        let mut groups = Groups::default();
        let text = |of: usize| vec![of as u8; MAX_OUTPUT];
        for host in 0..10 {
            groups.add(host, text(0)).unwrap();
        }
        assert_eq!((groups.in_memory, groups.groups.len()), (MAX_OUTPUT, 1));
        for host in 10..40 {
            groups.add(host, text(host % 20 + 1)).unwrap();
            groups.add(host, Vec::new()).unwrap();
        }
        assert!(groups.in_memory <= TOGETHER && groups.file.is_some());
        let mut all = Vec::new();
        for group in groups.each() {
            let (hosts, shown) = group.unwrap();
            assert!(shown == text(if hosts[0] < 10 { 0 } else { hosts[0] % 20 + 1 }));
            all.push(hosts.len());
        }
        assert_eq!((all[0], all.iter().sum::<usize>(), all.len()), (10, 40, 21));
    }
}
