//! Packets whose frame is none, and what a server may hide in frames.

use sshanchor::proto::packet::{FrameError, frame};

use super::samples::{self, Offer};
use super::talk::Step::{After, Drip, Flood, Send};
use super::talk::{Client, Step, VERSION, behind_reply, honest_with, instead_of_reply, opening, reply};
use super::{Row, passes, refused, table};

fn after_version(octets: &[u8]) -> Vec<Step> {
    vec![Send([VERSION, octets].concat())]
}

/// A packet with this much padding; the length field tells the truth unless `length` is given.
fn packet(payload: &[u8], padding: u8, length: Option<u32>) -> Vec<u8> {
    let length = length.unwrap_or((1 + payload.len() + usize::from(padding)) as u32);
    let hidden = b"HIDDEN".iter().copied().cycle().take(usize::from(padding));
    [&length.to_be_bytes()[..], &[padding], payload, &hidden.collect::<Vec<_>>()].concat()
}

/// A packet with as much padding as there can be.
fn padded(payload: &[u8]) -> Vec<u8> {
    packet(payload, (255 - (4 + payload.len()) % 8) as u8, None)
}

#[tokio::test]
async fn lengths_and_paddings() {
    let kexinit = samples::kexinit(&Offer::default());
    let beginning =
        |packet: Vec<u8>| honest_with(Send([VERSION, &packet].concat()), &Client::default().offer);
    let honest = beginning(frame(&kexinit));
    let mut rows: Vec<Row> = [0, 1, 4, 11, 13, 16, 262_148, 0x7fff_fffc, u32::MAX]
        .map(|length: u32| {
            let says = FrameError::Length(length).to_string();
            // Enough behind it that only the length itself can be at fault.
            let octets = [&length.to_be_bytes()[..], &[0; 64]].concat();
            refused(format!("a packet length of {length}"), after_version(&octets), says)
        })
        .to_vec();
    rows.extend([0u8, 1, 2, 3].map(|padding| {
        // A payload so long that the length is a multiple of 8 with just that much padding.
        let payload =
            [kexinit.clone(), vec![0; (3 + 8 - (kexinit.len() + usize::from(padding)) % 8) % 8]].concat();
        let octets = packet(&payload, padding, None);
        assert!(octets.len().is_multiple_of(8));
        refused(
            format!("{padding} octets of padding"),
            beginning(octets),
            format!("{padding} octets of padding"),
        )
    }));
    for padding in [11, 12, 255] {
        let name = format!("{padding} octets of padding in a packet of 12");
        let octets = packet(&[20; 11], padding, Some(12));
        rows.push(refused(name, after_version(&octets), "octets of padding in a packet of 12"));
    }
    let mut stretched = frame(&kexinit);
    stretched[3] += 1;
    rows.push(refused("not a multiple of 8", beginning(stretched), "packet length").twin(honest));
    rows.push(passes("the most padding there can be", beginning(padded(&kexinit))));
    let padded_reply = samples::reply(31, &samples::ed25519(9));
    let hidden = [padded(&padded_reply), padded(&[21]), super::talk::FROM_SERVER.to_vec()].concat();
    rows.push(passes("things hidden in padding", instead_of_reply(hidden)));
    let octets = [VERSION, &frame(&kexinit)].concat();
    rows.push(passes("octet by octet", honest_with(Drip(octets, 0), &Client::default().offer)));
    table(rows).await;
}

#[tokio::test]
async fn other_protocols_and_floods() {
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let largest = 262_140u32.to_be_bytes();
    table(vec![
        refused("HTTP behind the version", after_version(http), "packet length 1213486160"),
        refused(
            "a flood of NULs behind the version",
            vec![Send(VERSION.to_vec()), Flood(vec![0; 4096])],
            "packet length 0",
        ),
        refused(
            "the largest packet, of padding without end",
            vec![Send([VERSION, &largest, &[3]].concat()), Flood(vec![0; 4096])],
            "3 octets of padding in a packet of 262140",
        ),
        refused(
            "the largest packet, of a message that may not come",
            vec![Send([VERSION, &largest, &[4, 2]].concat()), Flood(vec![0; 4096])],
            "message 2 out of turn",
        ),
        passes(
            "the reply octet by octet",
            vec![
                Send(opening(&Offer::default())),
                After(30),
                Drip([reply(31, "ssh-ed25519"), behind_reply()].concat(), 0),
            ],
        ),
    ])
    .await;
}
