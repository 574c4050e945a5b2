//! Certificates that are made octet by octet, most of them shown by a server made by hand: sshd does not load them.

use super::*;
use crate::support::certificate::{option, sign};

const TEXT: &str = "ssh takes a key id for octets up to a NUL; here it is text, which is shown and kept";
const ORDER: &str = "PROTOCOL.certkeys wants options in order, each once; ssh does not look";
const SK: &str = "SSHFP has no number for keys of security tokens, so that no record can vouch for such a CA";
const CANONICAL: &str =
    "ssh takes numbers with more zeros before them than needed; SHA-256 knows one key by one encoding";

pub(super) fn rows() -> Vec<Row> {
    use Server::{Hand, Sshd};
    let hand = |name, make, ours, ssh| row(name, Hand, Made::Hand("ed25519", make), ours, ssh);
    vec![
        hand("good, by hand", |draft, cas| draft.signed(&cas.key("ed25519")), "", true),
        row("good, by hand, in sshd", Sshd("ed25519"), Made::Hand("ed25519", |d, cas| d.signed(&cas.key("ed25519"))), "", true),
        hand("user type", |d, cas| Draft { kind: 1, ..d }.signed(&cas.key("ed25519")), "bad-certificate", false),
        hand("unknown type", |d, cas| Draft { kind: 3, ..d }.signed(&cas.key("ed25519")), "bad-host-key", false),
        hand(
            "critical option force-command",
            |d, cas| Draft { critical: option("force-command", "true"), ..d }.signed(&cas.key("ed25519")),
            "bad-certificate",
            false,
        ),
        hand(
            "unknown critical option",
            |d, cas| Draft { critical: option("hello@example.test", ""), ..d }.signed(&cas.key("ed25519")),
            "bad-certificate",
            false,
        ),
        hand(
            "unknown critical option with data that is no string",
            |d, cas| {
                let critical = [string(b"hello@example.test"), string(&[1, 2, 3])].concat();
                Draft { critical, ..d }.signed(&cas.key("ed25519"))
            },
            "bad-host-key",
            false,
        ),
        hand(
            "options twice",
            |d, cas| {
                let twice = [option("a@example.test", ""), option("a@example.test", "")].concat();
                Draft { extensions: twice, ..d }.signed(&cas.key("ed25519"))
            },
            "bad-host-key",
            true,
        )
        .why(ORDER),
        hand(
            "options out of order",
            |d, cas| {
                let wrong = [option("b@example.test", ""), option("a@example.test", "")].concat();
                Draft { extensions: wrong, ..d }.signed(&cas.key("ed25519"))
            },
            "bad-host-key",
            true,
        )
        .why(ORDER),
        hand(
            "options in order",
            |d, cas| {
                let right = [option("a@example.test", ""), option("b@example.test", "x")].concat();
                Draft { extensions: right, ..d }.signed(&cas.key("ed25519"))
            },
            "",
            true,
        ),
        hand("key id not UTF-8", |d, cas| Draft { key_id: vec![0xff, 0xfe], ..d }.signed(&cas.key("ed25519")), "bad-host-key", true)
            .why(TEXT),
        hand("key id empty", |d, cas| Draft { key_id: Vec::new(), ..d }.signed(&cas.key("ed25519")), "", true),
        hand(
            "key id with controls of a terminal",
            |d, cas| Draft { key_id: b"\x1b[2J\x1b]0;x\x07".to_vec(), ..d }.signed(&cas.key("ed25519")),
            "",
            true,
        ),
        hand(
            "a name with controls of a terminal",
            |d, cas| {
                let names = vec![b"\x1b[2J\x1b]0;x\x07.example.test".to_vec()];
                Draft { principals: names, ..d }.signed(&cas.key("ed25519"))
            },
            "certificate-other-name",
            false,
        ),
        hand(
            "critical option with controls of a terminal",
            |d, cas| Draft { critical: option("\x1b[2J\x07", ""), ..d }.signed(&cas.key("ed25519")),
            "bad-certificate",
            false,
        ),
        hand("nonce empty", |d, cas| Draft { nonce: Vec::new(), ..d }.signed(&cas.key("ed25519")), "", true),
        hand("reserved field in use", |d, cas| Draft { reserved: b"x".to_vec(), ..d }.signed(&cas.key("ed25519")), "", true),
        hand("256 principals", |d, cas| many(d, 256).signed(&cas.key("ed25519")), "", true),
        hand("257 principals", |d, cas| many(d, 257).signed(&cas.key("ed25519")), "bad-certificate", false),
        hand("a thousand principals", |d, cas| many(d, 1000).signed(&cas.key("ed25519")), "bad-certificate", false),
        hand(
            "principal with a NUL behind the name",
            |d, cas| {
                let name = [HOST.as_bytes(), b"\0.evil"].concat();
                Draft { principals: vec![name], ..d }.signed(&cas.key("ed25519"))
            },
            "certificate-other-name",
            false,
        ),
        hand(
            "an empty principal beside the name",
            |d, cas| Draft { principals: vec![Vec::new(), HOST.into()], ..d }.signed(&cas.key("ed25519")),
            "",
            true,
        ),
        hand(
            "an empty principal alone",
            |d, cas| Draft { principals: vec![Vec::new()], ..d }.signed(&cas.key("ed25519")),
            "certificate-other-name",
            false,
        ),
        hand(
            "ends before it begins",
            |d, cas| Draft { after: d.before, before: d.after, ..d }.signed(&cas.key("ed25519")),
            "certificate-not-yet-valid",
            false,
        ),
        hand(
            "bad CA signature",
            |d, cas| {
                let mut signature = sign(&cas.key("ed25519"), &d.unsigned());
                *signature.last_mut().unwrap() ^= 1;
                d.with_signature(&signature)
            },
            "bad-certificate",
            false,
        ),
        hand(
            "signed by another CA than it names",
            |d, cas| d.signed(&cas.key("stranger")),
            "bad-certificate",
            false,
        ),
        hand(
            "a field altered under a good signature",
            |d, cas| {
                let signature = sign(&cas.key("ed25519"), &Draft { principals: vec![b"web2.example.test".into()], ..d.clone() }.unsigned());
                d.with_signature(&signature)
            },
            "bad-certificate",
            false,
        ),
        hand(
            "CA signature with octets behind it",
            |d, cas| {
                let signature = [sign(&cas.key("ed25519"), &d.unsigned()), vec![0]].concat();
                d.with_signature(&signature)
            },
            "bad-certificate",
            false,
        ),
        hand(
            "octets behind the certificate",
            |d, cas| [d.signed(&cas.key("ed25519")), vec![0]].concat(),
            "bad-host-key",
            false,
        ),
        hand("cut short", |d, cas| { let mut c = d.signed(&cas.key("ed25519")); c.pop(); c }, "bad-host-key", false),
        hand(
            "about another key than the server's",
            |d, cas| {
                let key = handmade::blob(&keypair(3));
                Draft { key: key[15..].to_vec(), ..d }.signed(&cas.key("ed25519"))
            },
            "",
            false,
        )
        .verify("bad-host-key")
        .why("the proxy judges the certificate, and leaves the signature of the exchange to ssh, which sees it"),
        hand(
            "nested: its CA is a certificate",
            |d, cas| {
                let ca = Draft::of(&cas.public("ed25519"), HOST, &cas.key("ed25519")).signed(&cas.key("ed25519"));
                Draft { ca, ..d }.signed(&cas.key("ed25519"))
            },
            "bad-host-key",
            false,
        ),
        hand(
            "CA on a security token",
            |d, _| {
                let draft = Draft { ca: Cas::security_key(), ..d };
                let signature = by_security_key(&draft.unsigned());
                draft.with_signature(&signature)
            },
            "bad-certificate",
            true,
        )
        .why(SK),
        row(
            "CA key with a zero too many",
            Hand,
            Made::Hand("rsa2048", |d, cas| Draft { ca: cas.padded(), ..d }.signed(&cas.key("rsa2048"))),
            "bad-host-key",
            true,
        )
        .why(CANONICAL),
        row(
            "CA signature of another algorithm than its key's",
            Hand,
            Made::Hand("ecdsa256", |d, cas| d.signed(&cas.key("ed25519"))),
            "bad-certificate",
            false,
        ),
    ]
}

/// The name among so many.
fn many(draft: Draft, principals: usize) -> Draft {
    let others = (1..principals).map(|i| format!("other{i}.example.test").into_bytes());
    Draft { principals: others.chain([HOST.into()]).collect(), ..draft }
}
