//! The first packet of a server, and what the two KEXINITs lead to.

use sshanchor::proto::packet::frame;

use super::keys::string;
use super::samples::{self, Offer};
use super::talk::Step::{After, AfterVersion, Send};
use super::talk::{Client, GEX, Step, VERSION, behind_reply, honest, honest_with, opening, reply};
use super::{Row, passes, refused, table};

/// The honest server, with this payload in place of its KEXINIT.
fn kexinit(payload: &[u8]) -> Vec<Step> {
    honest_with(Send([VERSION, &frame(payload)].concat()), &Client::default().offer)
}

fn offers(offer: &Offer<'_>) -> Vec<Step> {
    kexinit(&samples::kexinit(offer))
}

#[tokio::test]
async fn the_first_packet() {
    let offer = frame(&samples::kexinit(&Offer::default()));
    let honest = || honest(&Client::default().offer);
    let mut rows: Vec<Row> = [
        ("IGNORE", [vec![2], string(b"x")].concat()),
        ("UNIMPLEMENTED", vec![3, 0, 0, 0, 0]),
        ("DEBUG", [vec![4, 1], string(b"\x1b[31mx"), string(b"")].concat()),
        ("SERVICE_ACCEPT", [vec![6], string(b"ssh-userauth")].concat()),
        ("EXT_INFO", [vec![7, 0, 0, 0, 1], string(b"server-sig-algs"), string(b"ssh-ed25519")].concat()),
        ("NEWKEYS", vec![21]),
        ("the reply", samples::reply(31, &samples::ed25519(9))),
        ("USERAUTH_SUCCESS", vec![52]),
        ("a number without a meaning", vec![0, 1, 2, 3]),
    ]
    .into_iter()
    .map(|(name, payload)| {
        let says = format!("message {} out of turn", payload[0]);
        let steps = vec![Send([VERSION, &frame(&payload), &offer].concat()), After(30)];
        refused(format!("{name} first"), steps, says).twin(honest())
    })
    .collect();
    let twice = [opening(&Offer::default()), offer].concat();
    rows.push(refused("two KEXINITs", vec![Send(twice)], "message 20 out of turn"));
    rows.push(passes("a server that waits for the client's version", {
        let mut steps = vec![AfterVersion];
        steps.extend(honest());
        steps
    }));
    table(rows).await;
}

#[tokio::test]
async fn kexinits_that_are_none() {
    let good = samples::kexinit(&Offer::default());
    let with = |change: fn(&mut Vec<u8>)| {
        let mut changed = good.clone();
        change(&mut changed);
        kexinit(&changed)
    };
    let cuts = [1, 9, 17, 19, 30, good.len() - 5, good.len() - 1];
    let mut rows: Vec<Row> = cuts
        .map(|cut| refused(format!("cut after {cut}"), kexinit(&good[..cut]), "malformed KEXINIT"))
        .to_vec();
    rows.extend([
        refused("an octet too much", with(|k| k.push(0)), "malformed KEXINIT"),
        // The cookie is 16 octets: with one less, every list begins too early.
        refused("a short cookie", with(|k| _ = k.remove(3)), "malformed KEXINIT"),
        refused("a list longer than the packet", with(|k| k[17] = 0xff), "malformed KEXINIT"),
        refused("a list one octet longer than it is", with(|k| k[20] += 1), "KEXINIT"),
        passes("another value for true in what is reserved", with(|k| *k.last_mut().unwrap() = 1)),
    ]);
    for (name, list) in
        [("a NUL", "a\0"), ("an escape", "\x1b[m"), ("a blank", "a, b"), ("letters outside ASCII", "\u{e9}")]
    {
        let kex: &'static str = format!("curve25519-sha256,{list}").leak();
        let bad = offers(&Offer { kex, ..Offer::default() });
        rows.push(refused(format!("{name} in a name"), bad, "a name-list that is not printable ASCII"));
    }
    // OpenSSH's list ends at an empty name: it would see another list than the gate.
    let empty = "an empty name within a name-list";
    for kex in
        [",curve25519-sha256", "diffie-hellman-group16-sha512,,curve25519-sha256", "curve25519-sha256,,"]
    {
        let twin = offers(&Offer { kex: "curve25519-sha256,", ..Offer::default() });
        rows.push(
            refused(format!("the list {kex}"), offers(&Offer { kex, ..Offer::default() }), empty).twin(twin),
        );
    }
    let huge: &'static str = format!("{}curve25519-sha256", "another@example.com,".repeat(10_000)).leak();
    rows.push(passes("a list of ten thousand names", offers(&Offer { kex: huge, ..Offer::default() })));
    let libssh =
        Offer { kex: "curve25519-sha256,", cipher: "aes256-ctr,", mac: "hmac-sha2-256,", ..Offer::default() };
    rows.push(passes("lists that end with a comma", offers(&libssh)));
    table(rows).await;
}

#[tokio::test]
async fn offers_that_lead_nowhere() {
    let client = |offer| Client { offer, ..Client::default() };
    let mut rows = Vec::new();
    for (kex, says) in [
        ("gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==,curve25519-sha256", "\"gss-group14-sha256"),
        ("rsa2048-sha256,curve25519-sha256", "\"rsa2048-sha256\" is not supported"),
        ("new-kex@example.com,curve25519-sha256", "\"new-kex@example.com\" is not supported"),
    ] {
        // The client would do it; the gate does not know that the reply carries a signature by K_S.
        let offer = Offer { kex, ..Client::default().offer };
        let twin = offers(&Offer::default());
        let both = Send(opening(&Offer { kex, ..Offer::default() }));
        rows.push(refused(format!("the kex {kex}"), honest_with(both, &offer), says).offer(offer).twin(twin));
    }
    for (what, bad, says) in [
        ("cipher", Offer { cipher: "none", ..Offer::default() }, "cipher none"),
        ("MAC", Offer { mac: "none", ..Offer::default() }, "MAC none"),
    ] {
        let offer = Offer { cipher: "aes256-ctr,none", mac: "hmac-sha2-256,none", ..Client::default().offer };
        let row = refused(format!("the {what} none"), offers(&bad), says).client(client(offer));
        rows.push(row.twin(offers(&Offer::default())));
    }
    for (what, bad) in [
        ("key exchange", Offer { kex: "diffie-hellman-group1-sha1", ..Offer::default() }),
        ("key exchange", Offer { kex: "", ..Offer::default() }),
        ("key exchange", Offer { kex: "ext-info-c,kex-strict-s-v00@openssh.com", ..Offer::default() }),
        ("host key algorithm", Offer { host_key: "ssh-dss", ..Offer::default() }),
        ("cipher", Offer { cipher: "3des-cbc", ..Offer::default() }),
    ] {
        let says = format!("client and server have no {what} in common");
        let leaving = Client { leaves: true, ..Client::default() };
        rows.push(refused(format!("no {what} in common"), vec![Send(opening(&bad))], &says).client(leaving));
        // A reply does not wait until the client has left.
        let (name, says) = (format!("no {what} in common, and a reply"), "message 31 out of turn");
        let steps = vec![Send([opening(&bad), reply(31, "ssh-ed25519"), behind_reply()].concat())];
        rows.push(refused(name, steps, says));
    }
    let guess = offers(&Offer { guess: true, ..Offer::default() });
    rows.push(refused("a guess of the server", guess, "first_kex_packet_follows"));
    rows.push(passes("signs among the methods", {
        let kex = "ext-info-s,kex-strict-s-v00@openssh.com,kexguess2@matt.ucc.asn.au,curve25519-sha256";
        offers(&Offer { kex, ..Offer::default() })
    }));
    let gex = Offer { kex: GEX, ..Client::default().offer };
    rows.push(passes("group exchange", honest(&gex)).offer(gex));
    table(rows).await;
}
