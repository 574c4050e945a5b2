//! The bodies of the fuzz targets, on stable: over the corpus, and over simple mutations of it that are the same in
//! every run.

#[path = "../../fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};

/// Mutations of each file, besides the file itself: so many that this takes a second or two in a debug build.
/// What checks signatures comes to fewer, and what is played in several portions.
fn mutations(target: &str) -> usize {
    match target {
        "bundle" | "chain" => 40,
        "config" | "gate" => 60,
        _ => 300,
    }
}

/// The files of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// xorshift64: numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// `octets` with a few bits flipped, cut short, a part left out or doubled, or with the end of `other`.
fn mutated(octets: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut out = octets.to_vec();
    let at = numbers.below(out.len());
    match numbers.below(8) {
        0 => out.truncate(at),
        1 => {
            let end = (at + 1 + numbers.below(16)).min(out.len());
            out.drain(at.min(end)..end);
        }
        2 => {
            let end = (at + 1 + numbers.below(64)).min(out.len());
            let part = out.get(at..end).unwrap_or_default().to_vec();
            out.splice(at..at, part);
        }
        3 => {
            out.truncate(at);
            out.extend(other.get(numbers.below(other.len())..).unwrap_or_default());
        }
        flips => {
            for _ in 4..=flips {
                let at = numbers.below(out.len());
                if let Some(octet) = out.get_mut(at) {
                    *octet ^= 1 << numbers.below(8);
                }
            }
        }
    }
    out
}

/// The corpus of a target, and mutations of it, through its body. The failing octets are told of.
fn holds(target: &str) {
    let files = corpus(target);
    assert!(!files.is_empty(), "no corpus of {target}");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for (path, octets) in &files {
        let told = |octets: &[u8]| {
            let outcome = std::panic::catch_unwind(|| bodies::run(target, octets));
            assert!(outcome.is_ok(), "{target}, from {}: b\"{}\"", path.display(), octets.escape_ascii());
        };
        told(octets);
        for _ in 0..mutations(target) {
            let (_, other) = &files[numbers.below(files.len())];
            told(&mutated(octets, other, &mut numbers));
        }
    }
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            holds(stringify!($target));
        })*

        #[test]
        fn every_target_is_run_here_and_by_cargo_fuzz() {
            let here = [$(stringify!($target)),*];
            assert_eq!(bodies::ALL.map(|(name, _)| name), here);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
            let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
            for target in here {
                assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
                let source = fs::read_to_string(root.join(format!("fuzz_targets/{target}.rs"))).unwrap();
                assert!(source.contains(&format!("bodies::{target}")), "{target}");
            }
        }
    };
}

targets! { anchors bundle chain config gate hostkey known_hosts message name pattern sshfp tsig }

/// The targets find what is proven at all, so that what they refuse is refused for a reason.
#[test]
fn the_honest_zones_prove() {
    bodies::run("chain", &[0]);
    bodies::run("chain", &[3]);
}
