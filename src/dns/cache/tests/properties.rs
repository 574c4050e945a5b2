//! Whatever becomes of the files, no other key comes out of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::dns::stored::Stored;
use crate::proto::chain::Anchors;
use crate::proto::chain::paper::{TTL, Zone};

const KEYS: [&[u8]; 2] = [b"\x04\x02one", b"\x04\x02two"];
const OTHER: &str = "web2.example.test";

#[derive(Debug, Clone)]
enum Harm {
    Flip(Index, u8),
    Cut(Index),
    /// Another file's octets in place of its own.
    Copy(Index),
    /// What is below the seal, from another file.
    Graft(Index),
    Remove,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        1 => any::<Index>().prop_map(Harm::Cut),
        1 => any::<Index>().prop_map(Harm::Copy),
        1 => any::<Index>().prop_map(Harm::Graft),
        1 => Just(Harm::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spoilt_files_prove_nothing_and_never_another_key(
        harms in vec((any::<Index>(), harm()), 1..4), later in 0..2 * u64::from(TTL)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let stored = [entries(HOST, KEYS[0]), entries(OTHER, KEYS[1])].concat();
        cache.put(&stored);
        // Each host's own, and what proves their zone.
        let mut paths: Vec<PathBuf> =
            stored.iter().map(|entry| cache.place(Subject::Proof(entry.question())).0).collect();
        paths.sort();
        paths.dedup();
        prop_assert_eq!(paths.len(), 7);
        let whole: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        for (which, harm) in &harms {
            let at = which.index(paths.len());
            let mut octets = whole[at].clone();
            match harm {
                Harm::Flip(octet, bit) => octets[octet.index(whole[at].len())] ^= 1 << bit,
                Harm::Cut(octet) => octets.truncate(octet.index(whole[at].len())),
                Harm::Copy(other) => octets = other.get(&whole).clone(),
                Harm::Graft(other) => octets.splice(65.., other.get(&whole)[65..].to_vec()).for_each(drop),
                Harm::Remove => {
                    let _ = fs::remove_file(&paths[at]);
                    continue;
                }
            }
            fs::write(&paths[at], octets).unwrap();
        }
        let changed = |path: &PathBuf, octets: &Vec<u8>| fs::read(path).ok().as_ref() != Some(octets);
        let spoilt: Vec<&PathBuf> = paths
            .iter()
            .zip(&whole)
            .filter(|(path, octets)| changed(path, octets))
            .map(|(path, _)| path)
            .collect();
        let anchors = Anchors::from_text(&Zone::new(".").anchor(RrType::DS)).unwrap();
        let now = NOW + later;
        for (host, key) in [(HOST, KEYS[0]), (OTHER, KEYS[1])] {
            let of_stored = Stored::new(None, Some(again_at(&folder)), anchors.clone(), now);
            let asked = question(host, RrType::SSHFP);
            let own = cache.place(Subject::Proof(&asked)).0;
            // The other host's set alone takes no part in this proof.
            let other = question(if host == HOST { OTHER } else { HOST }, RrType::SSHFP);
            let other = cache.place(Subject::Proof(&other)).0;
            let is_whole = !spoilt.contains(&&own) && spoilt.iter().all(|path| **path == other);
            let in_time = later <= u64::from(TTL);
            for (proof, serves) in [
                (of_stored.prove(&asked), in_time),
                (of_stored.prove_in_grace(&asked, u64::from(TTL)), true),
            ] {
                // What was spoilt may be between the lines.
                prop_assert!(!is_whole || proof.is_some() == serves, "{} {:?}", host, spoilt);
                if let Some(answer) = proof {
                    prop_assert!(serves);
                    prop_assert_eq!(answer.data().set().rdatas().collect::<Vec<_>>(), [key]);
                }
            }
        }
    }
}

fn again_at(folder: &tempfile::TempDir) -> Cache {
    Cache::open(folder.path()).unwrap()
}
