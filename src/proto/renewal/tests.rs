use proptest::prelude::*;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{Ed25519Keypair, PrivateKey};

use super::certificate::from_blob;
use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn private(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

fn key(seed: u8) -> HostKey {
    HostKey::from_blob(&private(seed).public_key().to_bytes().unwrap()).unwrap()
}

fn hosts(names: &[&str]) -> BTreeSet<HostName> {
    names.iter().map(|name| HostName::parse(name).unwrap()).collect()
}

/// Host key 1, CA key 9.
fn wanted() -> Wanted {
    Wanted {
        key: key(1),
        principals: hosts(&["web1.example.com"]),
        authorities: Some([key(9).sha256()].into()),
    }
}

struct Case {
    key: u8,
    ca: u8,
    kind: CertType,
    principals: &'static [&'static str],
    window: (u64, u64),
    option: bool,
}

/// A good one for thirty days, a day old.
const GOOD: Case = Case {
    key: 1,
    ca: 9,
    kind: CertType::Host,
    principals: &["web1.example.com"],
    window: (NOW - DAY, NOW + 29 * DAY),
    option: false,
};

fn sign(case: &Case) -> Certificate {
    let public = private(case.key).public_key().key_data().clone();
    let mut builder = Builder::new(vec![7; 32], public, case.window.0, case.window.1).unwrap();
    builder.cert_type(case.kind).unwrap();
    builder.all_principals_valid().unwrap();
    for name in case.principals {
        builder.valid_principal(*name).unwrap();
    }
    if case.option {
        builder.critical_option("force-command", "id").unwrap();
    }
    let line = builder.sign(&private(case.ca)).unwrap().to_openssh().unwrap();
    read(&line).unwrap()
}

fn judged(case: &Case, now: u64) -> Judgement {
    judge(Some(&Ok(sign(case))), &wanted(), now, 0)
}

#[test]
fn a_certificate_is_due_once_no_more_than_a_third_of_its_life_is_left() {
    for life in [30 * DAY, 3, 100, 101, 1] {
        let case = Case { window: (NOW, NOW + life), ..GOOD };
        let due = NOW + life - life / 3;
        if due > NOW {
            assert_eq!(judged(&case, due - 1), Judgement::NotDue { until: Some(due) }, "{life}");
        }
        let at_end = Judgement::Due(Why::Unfit(Unfit::Fault(Fault::Expired(NOW + life))));
        let late = Judgement::Due(Why::Late { left: life / 3 });
        assert_eq!(judged(&case, due), if life / 3 == 0 { at_end.clone() } else { late }, "{life}");
        assert_eq!(judged(&case, NOW + life), at_end);
        assert_eq!(judged(&case, NOW - 1), Judgement::Due(Why::Unfit(Unfit::Fault(Fault::NotYetValid(NOW)))));
    }
    let forever = Case { window: (0, FOREVER), ..GOOD };
    assert_eq!(judged(&forever, u64::MAX - 1), Judgement::NotDue { until: None });
}

#[test]
fn jitter_is_early_and_bounded() {
    assert_eq!(due_at(0, 900, 0), Some(600));
    assert_eq!(due_at(0, 900, 100), Some(500));
    assert_eq!(due_at(0, 900, u64::MAX), Some(300));
    assert_eq!(due_at(900, 0, 5), Some(0), "a window that never is");
    assert_eq!(due_at(0, FOREVER, 5), None);
}

/// What is wrong with a certificate whatever the time, each but one step away from a good one.
fn unfit() -> [(Case, Unfit); 7] {
    let names = |present: &[&str]| Unfit::Principals {
        present: present.iter().map(|&name| name.to_owned()).collect(),
        wanted: wanted().principals,
    };
    [
        (Case { kind: CertType::User, ..GOOD }, Unfit::Fault(Fault::UserType)),
        (Case { key: 2, ..GOOD }, Unfit::Key(key(2))),
        (Case { ca: 8, ..GOOD }, Unfit::Authority(key(8))),
        (Case { principals: &["web2.example.com"], ..GOOD }, names(&["web2.example.com"])),
        (Case { principals: &["web1.example.com", "*"], ..GOOD }, names(&["*", "web1.example.com"])),
        (Case { principals: &[], ..GOOD }, names(&[])),
        (Case { option: true, ..GOOD }, Unfit::Fault(Fault::CriticalOption("force-command".into()))),
    ]
}

#[test]
fn what_is_unfit_is_due_and_never_taken() {
    let present = sign(&Case { window: (NOW - 2 * DAY, NOW + DAY), ..GOOD });
    let late = Why::Late { left: DAY };
    let take = |new, why: &Why| accept(Ok(new), Some(&present), why, &wanted(), NOW);
    assert_eq!(judged(&GOOD, NOW), Judgement::NotDue { until: Some(NOW + 19 * DAY) });
    assert_eq!(take(sign(&GOOD), &late).unwrap().certificate(), &sign(&GOOD));
    for (case, unfit) in unfit() {
        assert_eq!(judged(&case, NOW), Judgement::Due(Why::Unfit(unfit.clone())));
        assert_eq!(take(sign(&case), &late), Err(Refusal::Unfit(unfit)));
    }
    // Where the CA keys are not known any one may sign.
    let unknown = Wanted { authorities: None, ..wanted() };
    let other = Case { ca: 8, ..GOOD };
    assert!(accept(Ok(sign(&other)), None, &Why::Absent, &unknown, NOW).is_ok());
    // Nothing wanted is not everything wanted.
    let nobody = Wanted { principals: BTreeSet::new(), ..wanted() };
    let golden = Case { principals: &[], ..GOOD };
    assert!(matches!(
        accept(Ok(sign(&golden)), None, &Why::Absent, &nobody, NOW),
        Err(Refusal::Unfit(Unfit::Principals { .. }))
    ));
}

#[test]
fn a_new_certificate_is_of_use_now_and_for_longer() {
    let present = sign(&Case { window: (NOW - 2 * DAY, NOW + DAY), ..GOOD });
    let late = Why::Late { left: DAY };
    let take =
        |window, why: &Why| accept(Ok(sign(&Case { window, ..GOOD })), Some(&present), why, &wanted(), NOW);
    let (from, to) = GOOD.window;
    assert!(take((from, to), &late).is_ok());
    assert_eq!(take((NOW + 1, to), &late), Err(Refusal::Unfit(Unfit::Fault(Fault::NotYetValid(NOW + 1)))));
    assert_eq!(take((from, NOW), &late), Err(Refusal::Unfit(Unfit::Fault(Fault::Expired(NOW)))));
    let due = Refusal::DueAtOnce { valid_after: NOW - 2 * DAY, valid_before: NOW + DAY };
    assert_eq!(take((NOW - 2 * DAY, NOW + DAY), &late), Err(due));
    assert_eq!(take((NOW, NOW + DAY), &late), Err(Refusal::NotLater { valid_before: NOW + DAY }));
    assert!(take((NOW, NOW + DAY + 1), &late).is_ok());
    // Other reasons than time may shorten a life.
    assert!(take((NOW, NOW + DAY / 2), &Why::Asked).is_ok());
    assert!(take((0, FOREVER), &late).is_ok());
}

#[test]
fn a_signature_over_other_fields_does_not_hold() {
    let good = sign(&GOOD);
    let name = b"web1.example.com";
    let at = good.blob().windows(name.len()).position(|w| w == name).unwrap();
    let mut blob = good.blob().to_vec();
    blob[at + 3] = b'2';
    let forged = from_blob(&blob, "ssh-ed25519-cert-v01@openssh.com").unwrap();
    let wanted = Wanted { principals: hosts(&["web2.example.com"]), ..wanted() };
    assert_eq!(
        judge(Some(&Ok(forged)), &wanted, NOW, 0),
        Judgement::Due(Why::Unfit(Unfit::Fault(Fault::Signature)))
    );
    let honest = sign(&Case { principals: &["web2.example.com"], ..GOOD });
    assert!(matches!(judge(Some(&Ok(honest)), &wanted, NOW, 0), Judgement::NotDue { .. }));
}

#[test]
fn what_is_no_certificate_is_named() {
    let line = super::line(&sign(&GOOD));
    assert_eq!(read(&format!("# by hand\n\n{line} a comment\n")), Ok(sign(&GOOD)));
    assert_eq!(super::line(&sign(&GOOD)), line);
    let case = |text: &str| read(text).unwrap_err();
    assert_eq!(case(""), CertificateError::NotOneLine);
    assert_eq!(case("garbage"), CertificateError::NotOneLine);
    assert_eq!(case("Password for ca: "), CertificateError::NotOneLine);
    assert_eq!(case(&format!("{line}\n{line}")), CertificateError::NotOneLine);
    assert_eq!(case("ssh-ed25519-cert-v01@openssh.com !!!!"), CertificateError::Base64);
    let plain = private(1).public_key().to_openssh().unwrap();
    assert_eq!(case(&plain), CertificateError::PlainKey);
    let long = format!("ssh-ed25519-cert-v01@openssh.com {}", "A".repeat(MAX_LINE));
    assert_eq!(case(&long), CertificateError::Base64);
    for cut in 40..line.len() {
        assert!(read(&line[..cut]).is_err(), "{cut}");
    }
    let other = line.replacen("ssh-ed25519", "ssh-rsa", 1);
    assert!(matches!(case(&other), CertificateError::Key(_)));
    assert_eq!(judge(None, &wanted(), NOW, 0), Judgement::Due(Why::Absent));
    let unreadable = Judgement::Due(Why::Unreadable(CertificateError::NotOneLine));
    assert_eq!(judge(Some(&Err(CertificateError::NotOneLine)), &wanted(), NOW, 0), unreadable);
    let refused = accept(Err(CertificateError::PlainKey), None, &Why::Absent, &wanted(), NOW);
    assert_eq!(refused, Err(Refusal::Malformed(CertificateError::PlainKey)));
}

const MAX_LINE: usize = 100_000;

proptest! {
    /// Whatever the window, the moment of `until` divides what is not due from what is.
    #[test]
    fn until_is_exact(from in 0..NOW, life in 3u64..1_000_000_000, at in 0u64..1_000_000_000) {
        let case = Case { window: (from, from + life), ..GOOD };
        let now = from + at % life;
        match judged(&case, now) {
            Judgement::NotDue { until: Some(until) } => {
                prop_assert!(now < until);
                let is_late = matches!(judged(&case, until), Judgement::Due(Why::Late { .. }));
                prop_assert!(is_late);
            }
            Judgement::Due(Why::Late { left }) => {
                prop_assert_eq!(left, from + life - now);
                prop_assert!(left <= life / 3);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// What is taken is not due, so that no timer renews for ever.
    #[test]
    fn what_is_accepted_is_not_due(from in NOW - 1000..NOW + 1000, life in 1u64..3000) {
        let new = sign(&Case { window: (from, from + life), ..GOOD });
        if let Ok(accepted) = accept(Ok(new), None, &Why::Absent, &wanted(), NOW) {
            let accepted = Ok(accepted.certificate().clone());
            let is_not_due = matches!(judge(Some(&accepted), &wanted(), NOW, 0), Judgement::NotDue { .. });
            prop_assert!(is_not_due);
        }
    }

    /// No octet can be changed without notice.
    #[test]
    fn no_bit_can_be_changed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let good = sign(&GOOD);
        let mut blob = good.blob().to_vec();
        let at = at.index(blob.len());
        blob[at] ^= 1 << bit;
        let changed = from_blob(&blob, "ssh-ed25519-cert-v01@openssh.com");
        prop_assert!(accept(changed, None, &Why::Absent, &wanted(), NOW).is_err());
    }
}
