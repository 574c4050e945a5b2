//! Servers that leave, fall silent, take their time or do not stop.

use sshanchor::proto::packet::frame;

use super::samples::{self, Offer};
use super::talk::Step::{After, Close, Drip, Flood, Reset, Send};
use super::talk::{Client, Step, VERSION, behind_reply, instead_of_reply, opening, reply};
use super::{Row, broken, refused, rejected, table};

/// Seconds for what is to time out, but not before it was begun.
const SHORT: f64 = 5.0;

/// How far a server gets, and what it is that is waited for then.
fn stages() -> Vec<(&'static str, Vec<Step>, &'static str)> {
    let half = |octets: &[u8]| octets[..octets.len() / 2].to_vec();
    let offer = opening(&Offer::default());
    let kexinit = frame(&samples::kexinit(&Offer::default()));
    vec![
        ("at once", vec![], "the server's version"),
        ("within a line", vec![Send(b"220 hel".to_vec())], "the server's version"),
        ("after a line", vec![Send(b"220 hello\r\n".to_vec())], "the server's version"),
        ("within its version", vec![Send(b"SSH-2.0-host".to_vec())], "the server's version"),
        ("after its version", vec![Send(VERSION.to_vec())], "the server's KEXINIT"),
        ("within its KEXINIT", vec![Send([VERSION, &half(&kexinit)].concat())], "the server's KEXINIT"),
        ("after its KEXINIT", vec![Send(offer.clone()), After(30)], "the server's key exchange reply"),
        (
            "within its reply",
            instead_of_reply(half(&reply(31, "ssh-ed25519"))),
            "the server's key exchange reply",
        ),
    ]
}

fn with(mut steps: Vec<Step>, last: Step) -> Vec<Step> {
    steps.push(last);
    steps
}

#[tokio::test]
async fn closes_and_resets() {
    let mut rows = Vec::new();
    for (stage, steps, missing) in stages() {
        let says = format!("closed the connection before {missing}");
        rows.push(refused(format!("closes {stage}"), with(steps.clone(), Close), &says));
        // What is unread when a reset comes may be lost: it is then as if it had come at once.
        rows.push(refused(
            format!("resets {stage}"),
            with(steps, Reset),
            "closed the connection before the server's",
        ));
    }
    let good = reply(31, "ssh-ed25519");
    let held = |octets: &[u8]| with(instead_of_reply([&good, octets].concat()), Close);
    rows.extend([
        broken("closes after its reply", held(b""), "before the server's NEWKEYS"),
        broken("closes within its NEWKEYS", held(&behind_reply()[..7]), "before the server's NEWKEYS"),
        rejected(
            "closes after another's reply",
            with(instead_of_reply(frame(&samples::reply(31, &samples::ed25519(3)))), Close),
            "DNSSEC proves other keys",
        ),
    ]);
    let said = vec![Send(b"Exceeded \x1b[5mMaxStartups\r\n".to_vec()), Close];
    rows.push(refused("says why it closes", said, "the server's version: Exceeded \\x1b[5mMaxStartups"));
    table(rows).await;
}

#[tokio::test]
async fn silence_and_slowness() {
    let slow = "timed out while waiting for the server's version";
    let drip = |octets: &[u8]| Drip(octets.to_vec(), 100);
    let mut rows: Vec<Row> = stages()
        .into_iter()
        .map(|(stage, steps, missing)| {
            let says = format!("timed out while waiting for {missing}");
            refused(format!("silent {stage}"), steps, says)
        })
        .collect();
    rows.extend([
        broken(
            "silent after its reply",
            instead_of_reply(reply(31, "ssh-ed25519")),
            "timed out while waiting for the server's NEWKEYS",
        ),
        refused(
            "a version, octet by octet, slowly",
            vec![drip(&[b"SSH-2.0-", &[b'x'; 200][..]].concat())],
            slow,
        ),
        refused("lines, octet by octet, slowly", vec![drip(&b"x\r\n".repeat(49))], slow),
        refused(
            "a reply, octet by octet, slowly",
            vec![Send(opening(&Offer::default())), After(30), drip(&reply(31, "ssh-ed25519"))],
            "timed out while waiting for the server's key exchange reply",
        ),
    ]);
    table(rows.into_iter().map(|row| row.timeout(SHORT)).collect()).await;
}

#[tokio::test]
async fn floods_behind_a_reply() {
    let another = frame(&samples::reply(31, &samples::ed25519(3)));
    let begun = |reply: Vec<u8>| vec![Send(opening(&Offer::default())), After(30), Send(reply)];
    let good = || reply(31, "ssh-ed25519");
    table(vec![
        rejected(
            "NULs behind another's reply",
            with(begun(another.clone()), Flood(vec![0; 65_536])),
            "DNSSEC proves other keys",
        ),
        rejected(
            "replies behind another's reply",
            with(begun(another), Flood(good().repeat(100))),
            "DNSSEC proves other keys",
        ),
        broken("NULs behind the reply", with(begun(good()), Flood(vec![0; 65_536])), "packet length 0"),
        broken(
            "replies behind the reply",
            with(begun(good()), Flood(good().repeat(100))),
            "message 31 out of turn",
        ),
    ])
    .await;
}

#[tokio::test]
async fn disconnects() {
    let packet = |text: &[u8]| frame(&samples::disconnect(text));
    let nasty = packet(b"too \x1b[31mmany\r\n\0\x9b5m");
    let escaped = "too \\x1b[31mmany\\r\\n\\x00\\x9b5m";
    let good = reply(31, "ssh-ed25519");
    let long = packet(&[b'x'; 100 * 1024]);
    let cut = format!("{}...", "x".repeat(252));
    let rows = vec![
        refused("before its KEXINIT", vec![Send([VERSION, &nasty].concat())], escaped),
        refused("in mid exchange", instead_of_reply(nasty.clone()), escaped),
        refused("before a reply", instead_of_reply([&nasty[..], &good, &behind_reply()].concat()), escaped),
        refused("of 100 KiB", instead_of_reply(long), &cut),
        refused("of 100 KiB of escapes", instead_of_reply(packet(&[0x1b; 100 * 1024])), "\\x1b\\x1b..."),
        broken("behind its reply", instead_of_reply([&good[..], &nasty].concat()), escaped),
    ];
    let mut rows: Vec<Row> = rows.into_iter().map(|row| row.code(2)).collect();
    rows.push(refused("without a text", instead_of_reply(frame(&[1])), "").code(0));
    rows.push(
        refused("with a text beyond its end", instead_of_reply(frame(&[1, 0, 0, 0, 3, 0, 0, 9, 9])), "")
            .code(3),
    );
    table(rows).await;
}

#[tokio::test]
async fn clients_that_are_told_in_their_own_way() {
    let as_client = |version| Client { version, ..Client::default() };
    let another = || instead_of_reply(frame(&samples::reply(31, &samples::ed25519(3))));
    let early = || vec![Send(b"SSH-1.5-old\r\n".to_vec())];
    let mut rows = Vec::new();
    for version in ["SSH-2.0-AsyncSSH_2.24.1", "SSH-2.0-dropbear_2022.83", "SSH-2.0-OpenSSH_10.2"] {
        let client = as_client(version);
        rows.push(rejected(version, another(), "DNSSEC proves other keys").client(client.clone()));
        rows.push(refused(version, early(), "other than SSH version 2").client(client));
    }
    table(rows).await;
}
