//! Replies read, and all that is none.

use super::*;

fn question() -> Question {
    Question::new(Name::from_text("a.example").unwrap(), RrType::CNAME)
}

/// A reply to `question()` with these octets after the question.
fn reply(counts: [u16; 3], tail: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [7, 0x8180, 1, counts[0], counts[1], counts[2]] {
        out.extend(u16::to_be_bytes(field));
    }
    out.extend(b"\x01A\x07Example\x00\x00\x05\x00\x01");
    out.extend(tail);
    out
}

#[test]
fn a_reply_is_read_and_compression_undone() {
    let tail = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01B\xc0\x0e";
    let response = Response::read(&reply([1, 0, 0], tail), 7, &question()).unwrap();
    let record = &response.answer[0];
    assert_eq!(record.owner.to_string(), "a.example");
    assert_eq!(&*record.rdata, b"\x01b\x07example\x00");
    assert_eq!(record.ttl, 60);
}

#[test]
fn replies_to_other_questions_are_not_ours() {
    let good = reply([0, 0, 0], b"");
    assert!(Response::read(&good, 7, &question()).is_ok());
    assert_eq!(Response::read(&good, 8, &question()), Err(MessageError::NotOurs));
    let other = Question { rtype: RrType::A, ..question() };
    assert_eq!(Response::read(&good, 7, &other), Err(MessageError::NotOurs));
    let mut no_response = good.clone();
    no_response[2] = 1;
    assert_eq!(Response::read(&no_response, 7, &question()), Err(MessageError::NotOurs));
}

#[test]
fn a_refusal_may_leave_the_question_out_and_an_answer_may_not() {
    let bare = |rcode: u16, counts: [u16; 4]| {
        let [questions, answers, authorities, additionals] = counts;
        let fields = [7, 0x8180 | rcode, questions, answers, authorities, additionals];
        fields.into_iter().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()
    };
    let read = |message: &[u8], id| Response::read(message, id, &question()).map(|r| r.rcode);
    for rcode in [1, 2, 4, 5] {
        assert_eq!(read(&bare(rcode, [0; 4]), 7), Ok(rcode));
        assert_eq!(read(&bare(rcode, [0; 4]), 8), Err(MessageError::NotOurs));
        assert!(read(&bare(rcode, [0, 1, 0, 0]), 7).is_err(), "a refusal brings no records");
    }
    for rcode in [NOERROR, NXDOMAIN] {
        assert_eq!(read(&bare(rcode, [0; 4]), 7), Err(MessageError::NotOurs));
    }
}

#[test]
fn malformed_replies_are_refused() {
    let cases: [(&str, [u16; 3], &[u8]); 6] = [
        ("a count too high", [1, 0, 0], b""),
        ("a pointer to itself", [1, 0, 0], b"\xc0\x1b\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x00"),
        ("a pointer forwards", [1, 0, 0], b"\xc0\x40\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x00"),
        ("a name past its RDATA", [1, 0, 0], b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x01\x01b\x00"),
        ("octets after the name", [1, 0, 0], b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\x00x"),
        ("RDATA past the end", [1, 0, 0], b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02"),
    ];
    for (what, counts, tail) in cases {
        assert!(Response::read(&reply(counts, tail), 7, &question()).is_err(), "{what}");
    }
}

#[test]
fn every_cut_and_flip_is_survived() {
    let tail = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01B\xc0\x0e";
    let good = reply([1, 0, 0], tail);
    for at in 0..good.len() {
        let _ = Response::read(&good[..at], 7, &question());
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let _ = Response::read(&bad, 7, &question());
        }
    }
}

#[test]
fn a_query_asks_for_dnssec_data() {
    let query = question().query(0x1234, true, 1232);
    assert_eq!(&query[..12], [0x12, 0x34, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(&query[query.len() - 11..], [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    assert_eq!(question().query(1, false, 1232)[3] & 0x10, 0);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// `octets` with the letters upper-cased for which `upper` says so.
    fn cased(octets: &[u8], upper: &[bool]) -> Vec<u8> {
        let case = |(octet, upper): (&u8, &bool)| if *upper { octet.to_ascii_uppercase() } else { *octet };
        octets.iter().zip(upper.iter().cycle()).map(case).collect()
    }

    proptest! {
        /// Names in any case, whole or compressed, make the same records, and so the same proofs.
        #[test]
        fn neither_case_nor_compression_of_names_matters(
            upper in proptest::collection::vec(any::<bool>(), 1..24), owner_whole: bool, target_whole: bool
        ) {
            let owner = if owner_whole { cased(b"\x01a\x07example\x00", &upper) } else { b"\xc0\x0c".to_vec() };
            let mut target = cased(b"\x01b", &upper);
            target.extend(if target_whole { cased(b"\x07example\x00", &upper) } else { b"\xc0\x0e".to_vec() });
            let fixed = b"\x00\x05\x00\x01\x00\x00\x00\x3c\x00";
            let tail = [&owner[..], fixed, &[target.len() as u8], &target].concat();
            let honest = b"\x01a\x07example\x00\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x0b\x01b\x07example\x00";
            let read = |tail: &[u8]| Response::read(&reply([1, 0, 0], tail), 7, &question());
            prop_assert_eq!(read(&tail), read(honest));
            prop_assert!(read(honest).is_ok());
        }
    }
}
