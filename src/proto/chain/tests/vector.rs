//! Signatures that another implementation made.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::*;
use crate::proto::chain::Anchors;

const SIGNED: &str = include_str!("signzone.txt");
const ZONE: &str = "example.test";

/// Seconds since 1970 of the times in the file.
fn seconds(text: &str) -> u32 {
    match text {
        "20261122000000" => 1_795_305_600,
        "20361122000000" => 2_110_924_800,
        other => panic!("{other}"),
    }
}

fn read(line: &str) -> Record {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |at: usize| words[at].parse::<u16>().unwrap();
    let base64 = |from: usize| BASE64.decode(words[from..].concat().as_bytes()).unwrap();
    let (rtype, rdata) = match words[1] {
        "DNSKEY" => {
            let head = [&number(2).to_be_bytes()[..], &[number(3) as u8, number(4) as u8]].concat();
            (RrType::DNSKEY, [head, base64(5)].concat())
        }
        "SSHFP" => {
            let digest = HEXLOWER_PERMISSIVE.decode(words[4..].concat().as_bytes()).unwrap();
            (RrType::SSHFP, [&[number(2) as u8, number(3) as u8], digest.as_slice()].concat())
        }
        _ => {
            let rrsig = Rrsig {
                covered: RrType::from_text(words[2]).unwrap(),
                algorithm: number(3) as u8,
                labels: number(4) as u8,
                original_ttl: u32::from(number(5)),
                expiration: seconds(words[6]),
                inception: seconds(words[7]),
                key_tag: number(8),
                signer: name(words[9]),
                signature: base64(10).into(),
            };
            return rrsig_record(words[0], &rrsig);
        }
    };
    record(words[0], rtype, &rdata)
}

/// The tree of one algorithm: its key as the anchor, its key set and its host.
fn signed_with(algorithm: u8, change: impl Fn(&mut Record)) -> Result<(), &'static str> {
    let lines: Vec<&str> = SIGNED.lines().filter(|line| !line.starts_with(';')).collect();
    let group =
        lines.chunks(4).find(|group| group[0].split(' ').nth(4) == Some(&algorithm.to_string())).unwrap();
    let mut records: Vec<Record> = group.iter().map(|line| read(line)).collect();
    let mut paper = Paper::tree(&["."]);
    paper.anchors = Anchors::from_text(group[0]).unwrap();
    paper.put(ZONE, RrType::DNSKEY, records.drain(..2).collect());
    records.iter_mut().for_each(change);
    paper.put(HOST, RrType::SSHFP, records);
    proven(&paper)
}

#[test]
fn bind_signs_and_we_verify_each_algorithm() {
    for algorithm in [8, 10, 13, 14, 15, 16] {
        assert_eq!(signed_with(algorithm, |_| {}), Ok(()), "{algorithm}");
        let flip_last = |record: &mut Record| *record.rdata.last_mut().unwrap() ^= 1;
        assert_eq!(signed_with(algorithm, flip_last), Err("bad-signature"), "{algorithm}");
        let cut = |record: &mut Record| {
            if record.rtype == RrType::RRSIG {
                record.rdata = record.rdata[..record.rdata.len() - 1].into();
            }
        };
        assert_eq!(signed_with(algorithm, cut), Err("bad-signature"), "{algorithm}");
        let lengthened = |record: &mut Record| {
            if record.rtype == RrType::RRSIG {
                record.rdata = [&record.rdata[..], &[0]].concat().into();
            }
        };
        assert_eq!(signed_with(algorithm, lengthened), Err("bad-signature"), "{algorithm}");
    }
}

#[test]
fn keys_out_of_form_verify_nothing_and_do_no_harm() {
    use crate::proto::chain::Dnskey;
    let hostile: [&[u8]; 9] =
        [&[], &[0], &[0, 0], &[0, 0, 0], &[1], &[1, 3], &[3, 0, 0, 0, 0, 0], &[255, 1, 2], &[0, 255, 255, 1]];
    for algorithm in 0..=255u8 {
        for public in hostile {
            let rdata = [&[1, 1, 3, algorithm], public].concat();
            let verified = Dnskey::from_rdata(&rdata).is_some_and(|key| key.verifies(b"data", &[0; 64]));
            assert!(!verified, "{algorithm} {public:?}");
        }
        for length in [31, 32, 33, 57, 63, 64, 65, 96, 97, 260, 5000] {
            for octet in [0, 1, 0xff] {
                let rdata = [&[1, 1, 3, algorithm][..], &vec![octet; length]].concat();
                let key = Dnskey::from_rdata(&rdata).unwrap();
                for signature in [0, 32, 64, 96, 114, 256] {
                    // The all-zero key of Ed25519 is a point of small order: some such signatures hold for
                    // anybody, which is the zone's own doing.
                    let _ = key.verifies(b"data", &vec![octet; signature]);
                }
            }
        }
    }
}
