//! The messages of the key exchange itself, and the keys in them.

use sshanchor::proto::packet::frame;

use super::keys::{self, modulus, plain, rsa, string};
use super::samples::{self, Offer};
use super::talk::Step::{After, Send};
use super::talk::{Client, GEX, Step, behind_reply, honest, instead_of_reply, opening, reply};
use super::{Row, broken, passes, refused, rejected, table};

const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com";
const PROVES_OTHERS: &str = "DNSSEC proves other keys";

/// A client that offers this host key algorithm alone.
fn client(algorithm: &'static str) -> Client {
    let client = Client::default();
    Client { offer: Offer { host_key: algorithm, ..client.offer }, ..client }
}

/// A server that shows this key under this algorithm, with a signature of this name.
fn signed(algorithm: &'static str, key: &[u8], signature: &str) -> Vec<Step> {
    let reply = frame(&keys::reply(31, key, signature));
    let offer = Offer { host_key: algorithm, ..Offer::default() };
    vec![Send(opening(&offer)), After(30), Send([reply, behind_reply()].concat())]
}

fn shows(algorithm: &'static str, key: &[u8]) -> Vec<Step> {
    signed(algorithm, key, keys::signs_as(algorithm))
}

fn payload_in_mid_exchange(payload: &[u8]) -> Vec<Step> {
    instead_of_reply([frame(payload), reply(31, "ssh-ed25519"), behind_reply()].concat())
}

#[tokio::test]
async fn messages_out_of_turn() {
    let good = || reply(31, "ssh-ed25519");
    let mut rows: Vec<Row> = [
        ("IGNORE", [vec![2], string(b"x")].concat()),
        ("UNIMPLEMENTED", vec![3, 0, 0, 0, 1]),
        ("DEBUG", [vec![4, 1], string(b"x"), string(b"")].concat()),
        ("EXT_INFO", vec![7, 0, 0, 0, 0]),
        ("a second KEXINIT", samples::kexinit(&Offer::default())),
        ("NEWKEYS", vec![21]),
        ("an init", samples::init(30)),
        ("group exchange's reply", samples::reply(33, &samples::ed25519(9))),
        ("USERAUTH_SUCCESS", vec![52]),
        ("a message of a channel", vec![94, 0, 0, 0, 0]),
        ("number 255", vec![255]),
    ]
    .into_iter()
    .map(|(name, payload)| {
        let says = format!("message {} out of turn", payload[0]);
        refused(format!("{name} in mid exchange"), payload_in_mid_exchange(&payload), says)
    })
    .collect();
    let early = [opening(&Offer::default()), good(), behind_reply()].concat();
    rows.push(refused("a reply before the client's init", vec![Send(early)], "message 31 out of turn"));
    for (name, payload) in [
        ("IGNORE", vec![2, 0, 0, 0, 0]),
        ("DEBUG", vec![4, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("EXT_INFO", vec![7, 0, 0, 0, 0]),
        ("a KEXINIT", samples::kexinit(&Offer::default())),
        ("a second reply", samples::reply(31, &samples::ed25519(9))),
        ("another's reply", samples::reply(31, &samples::ed25519(3))),
        ("USERAUTH_SUCCESS", vec![52]),
        ("NEWKEYS with an octet more", vec![21, 0]),
    ] {
        let says = format!("message {} out of turn", payload[0]);
        let steps = instead_of_reply([good(), frame(&payload), behind_reply()].concat());
        rows.push(broken(format!("{name} behind the reply"), steps, says));
    }
    let steps = instead_of_reply([good(), vec![0, 0, 0, 9], behind_reply()].concat());
    rows.push(broken("a broken frame behind the reply", steps, "packet length 9"));
    rows.push(passes("packets behind NEWKEYS are no packets", {
        let opaque = [frame(&[2; 9]), frame(&samples::disconnect(b"\x1b[m")), vec![0; 70_000]].concat();
        instead_of_reply([good(), frame(&[21]), opaque, super::talk::FROM_SERVER.to_vec()].concat())
    }));
    table(rows).await;
}

#[tokio::test]
async fn group_exchange() {
    let offer = Offer { kex: GEX, ..Client::default().offer };
    let server = || Send(opening(&Offer { kex: GEX, ..Offer::default() }));
    let instead = |payload: &[u8]| vec![server(), After(34), Send(frame(payload))];
    let number = |first: u8, length: usize| string(&[vec![first], vec![0x11; length - 1]].concat());
    let group = "malformed group";
    let good = frame(&samples::group());
    let rows = vec![
        passes("the honest server", honest(&offer)),
        refused("K_S as a group", instead(&samples::reply(31, &samples::ed25519(9))), group),
        refused("RSA's K_S as a group", instead(&samples::reply(31, &plain("ssh-rsa", 9))), group),
        refused(
            "three numbers",
            instead(&[vec![31], number(0x70, 256), number(2, 1), number(3, 1)].concat()),
            group,
        ),
        refused("one number", instead(&[vec![31], number(0x70, 256)].concat()), group),
        refused("a negative prime", instead(&[vec![31], number(0x80, 256), number(2, 1)].concat()), group),
        refused(
            "a prime with a leading zero",
            instead(&[vec![31], number(0, 256), number(2, 1)].concat()),
            group,
        ),
        refused("an empty generator", instead(&[vec![31], number(0x70, 256), string(b"")].concat()), group),
        refused(
            "a reply for a group",
            instead(&samples::reply(33, &samples::ed25519(9))),
            "message 33 out of turn",
        ),
        refused(
            "two groups",
            vec![server(), After(34), Send([good.clone(), good.clone()].concat())],
            "message 31",
        ),
        refused(
            "a reply before the client's init",
            vec![server(), After(34), Send([good.clone(), reply(33, "ssh-ed25519")].concat())],
            "message 33 out of turn",
        ),
        refused(
            "a reply with the number of the other methods",
            vec![server(), After(34), Send(good), After(32), Send(reply(31, "ssh-ed25519"))],
            "message 31 out of turn",
        ),
    ];
    table(rows.into_iter().map(|row| row.offer(offer)).collect()).await;
}

#[tokio::test]
async fn replies_out_of_form() {
    let key = plain("ssh-ed25519", 9);
    let good = samples::reply(31, &key);
    let cut = |octets: usize| instead_of_reply(frame(&good[..good.len() - octets]));
    let malformed = "malformed key exchange reply";
    let share = [vec![31], string(&key), string(&[8; 32])].concat();
    let mut rows = vec![
        refused("trailing octets", instead_of_reply(frame(&[good.clone(), vec![0]].concat())), malformed),
        refused("a fourth string", instead_of_reply(frame(&[good.clone(), string(b"")].concat())), malformed),
        refused("a signature cut short", cut(1), malformed),
        refused("no signature", instead_of_reply(frame(&share)), malformed),
        refused("nothing at all", instead_of_reply(frame(&[31])), malformed),
        refused(
            "a length beyond the end",
            instead_of_reply(frame(&[31, 0xff, 0xff, 0xff, 0xff, 0, 0])),
            malformed,
        ),
    ];
    let empty = instead_of_reply(frame(&[share, string(b"")].concat()));
    rows.push(refused("an empty signature", empty, "whose signature is not ssh-ed25519"));
    for (algorithm, name) in [
        ("rsa-sha2-512", "ssh-rsa"),
        ("rsa-sha2-512", "rsa-sha2-256"),
        ("rsa-sha2-256", "ssh-rsa"),
        ("ssh-ed25519", "sk-ssh-ed25519@openssh.com"),
        (CERTIFICATE, CERTIFICATE),
    ] {
        let steps = signed(algorithm, &keys::of(algorithm), name);
        let row = refused(format!("{algorithm} signed as {name}"), steps, "whose signature is not");
        rows.push(row.client(client(algorithm)));
    }
    table(rows).await;
}

#[tokio::test]
async fn keys_out_of_form() {
    let mut rows = Vec::new();
    let mut bad = |name: &str, algorithm: &'static str, key: &[u8], says: &str| {
        let row = rejected(format!("{algorithm}: {name}"), shows(algorithm, key), says);
        rows.push(row.client(client(algorithm)));
    };
    let ed25519 = plain("ssh-ed25519", 9);
    let with = |key: &[u8], octets: &[u8]| [key, octets].concat();
    bad("trailing octets", "ssh-ed25519", &with(&ed25519, &[0]), "octets left over");
    bad("cut short", "ssh-ed25519", &ed25519[..50], "want 32 octets");
    bad(
        "of 33 octets",
        "ssh-ed25519",
        &[string(b"ssh-ed25519"), string(&[9; 33])].concat(),
        "want 32 octets",
    );
    bad("nothing", "ssh-ed25519", b"", "no type inside");
    bad("an escape in its type", "ssh-ed25519", &string(b"ssh-\x1b[m"), "no type inside");
    bad("a type without end", "ssh-ed25519", &string(&[b'a'; 1000]), "no type inside");
    bad("of 100 KiB", "ssh-ed25519", &with(&ed25519, &[9; 100 * 1024]), "too long");
    let rsa_512 = "rsa-sha2-512";
    let zero = [vec![0], modulus(256, 9)].concat();
    bad("a modulus with a zero too much", rsa_512, &rsa(&[1, 0, 1], &zero), "bad modulus");
    bad("a negative modulus", rsa_512, &rsa(&[1, 0, 1], &modulus(256, 9)[1..]), "bad modulus");
    bad("an exponent with a zero too much", rsa_512, &rsa(&[0, 1, 0, 1], &modulus(256, 9)), "bad exponent");
    bad("an even exponent", rsa_512, &rsa(&[4], &modulus(256, 9)), "bad exponent");
    bad("an exponent of 1", rsa_512, &rsa(&[1], &modulus(256, 9)), "bad exponent");
    bad("of 512 bits", rsa_512, &rsa(&[1, 0, 1], &modulus(64, 9)), "RSA key of 512 bits");
    bad("of 32768 bits", rsa_512, &rsa(&[1, 0, 1], &modulus(4096, 9)), "RSA key of 32768 bits");
    bad("trailing octets", rsa_512, &with(&plain(rsa_512, 9), &[0]), "octets left over");
    let p256 = "ecdsa-sha2-nistp256";
    let ecdsa = |curve: &[u8], point: &[u8]| [string(p256.as_bytes()), string(curve), string(point)].concat();
    let point = |first: u8, length: usize| [vec![first], vec![9; length - 1]].concat();
    bad("another curve inside", p256, &ecdsa(b"nistp384", &point(4, 65)), "another curve inside");
    bad("a point too short", p256, &ecdsa(b"nistp256", &point(4, 64)), "uncompressed point");
    bad("a point too long", p256, &ecdsa(b"nistp256", &point(4, 66)), "uncompressed point");
    bad("a compressed point", p256, &ecdsa(b"nistp256", &point(2, 33)), "uncompressed point");
    bad("the point at infinity", p256, &ecdsa(b"nistp256", &[0]), "uncompressed point");
    bad("trailing octets", p256, &with(&plain(p256, 9), &[0]), "octets left over");
    let certificate = keys::certificate();
    bad("trailing octets", CERTIFICATE, &with(certificate, &[0]), "octets left over");
    bad("cut short", CERTIFICATE, &certificate[..certificate.len() - 1], "cut short");
    // Not what was negotiated.
    let shown = "was negotiated but the key shown is";
    bad("a certificate for a plain key", "ssh-ed25519", certificate, shown);
    bad("a plain key for a certificate", CERTIFICATE, &ed25519, shown);
    bad("RSA", "ssh-ed25519", &plain("ssh-rsa", 9), shown);
    bad("Ed25519", "rsa-sha2-512", &ed25519, shown);
    bad("the other curve", "ecdsa-sha2-nistp256", &plain("ecdsa-sha2-nistp384", 9), shown);
    bad("named as the algorithm", "rsa-sha2-512", &string(b"rsa-sha2-512"), shown);
    table(rows).await;
}

#[tokio::test]
async fn keys_of_others() {
    let types = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    let mut rows = Vec::new();
    for algorithm in types.into_iter().chain(["rsa-sha2-256", "rsa-sha2-512"]) {
        let steps = shows(algorithm, &plain(algorithm, 3));
        rows.push(rejected(format!("another's {algorithm}"), steps, PROVES_OTHERS).client(client(algorithm)));
    }
    rows.push(passes("a certificate", shows(CERTIFICATE, keys::certificate())).client(client(CERTIFICATE)));
    // A byte of a published key is another key.
    let mut close = plain("ssh-ed25519", 9);
    *close.last_mut().unwrap() ^= 1;
    rows.push(rejected("one bit off", shows("ssh-ed25519", &close), PROVES_OTHERS));
    // The client offers what proves nothing; the server takes it.
    let both = |algorithm: &'static str| client(format!("{algorithm},ssh-ed25519").leak());
    let twin = || shows("ssh-ed25519", &plain("ssh-ed25519", 9));
    let sk = [string(b"sk-ssh-ed25519@openssh.com"), string(&[9; 32]), string(b"ssh:")].concat();
    rows.push(
        rejected("a security token's key", shows("sk-ssh-ed25519@openssh.com", &sk), "security-token")
            .client(both("sk-ssh-ed25519@openssh.com"))
            .twin(twin()),
    );
    rows.push(
        rejected("DSA", shows("ssh-dss", &string(b"ssh-dss")), "unsupported key type")
            .client(both("ssh-dss"))
            .twin(twin()),
    );
    rows.push(
        refused("RSA with SHA-1", shows("ssh-rsa", &plain("ssh-rsa", 9)), "SHA-1 signatures prove nothing")
            .client(both("ssh-rsa"))
            .twin(twin()),
    );
    table(rows).await;
}
