//! What a server sends before its packets: lines, and its version.

use sshanchor::proto::packet::frame;

use super::samples;
use super::talk::Step::{Drip, Flood, Send};
use super::talk::{Client, Step, honest_with, opening};
use super::{Row, passes, refused, table};

/// The honest server, with these octets in front of its version.
fn after(lines: &[u8]) -> Vec<Step> {
    let offer = Client::default().offer;
    let first = samples::Offer { host_key: "ssh-ed25519", ..offer };
    honest_with(Send([lines, &opening(&first)].concat()), &offer)
}

/// The honest server with another version line.
fn version(line: &[u8]) -> Vec<Step> {
    let kexinit = frame(&samples::kexinit(&samples::Offer::default()));
    honest_with(Send([line, &kexinit].concat()), &Client::default().offer)
}

fn line_of(length: usize) -> Vec<u8> {
    [vec![b'x'; length - 2], b"\r\n".to_vec()].concat()
}

fn version_of(length: usize) -> Vec<u8> {
    [b"SSH-2.0-", &vec![b'v'; length - 8][..], b"\r\n"].concat()
}

#[tokio::test]
async fn lines_before_the_version() {
    let junk = [
        ("a line", b"220 hello\r\n".to_vec()),
        ("an empty line", b"\r\n".to_vec()),
        ("a line that ends in LF alone", b"hello\n".to_vec()),
        ("lines with NULs", b"\0\0\n\0\r\n".to_vec()),
        ("lines with control characters", b"\x1b[2J\x07\x08\r\n\x9b31m\x7f\r\n".to_vec()),
        ("a line with bare CRs", b"a\rb\r\r\n".to_vec()),
        ("a line that is almost a version", b"ssh-2.0-x\r\n SSH-2.0-x\r\n".to_vec()),
        ("a packet in a line", [frame(&samples::reply(31, &samples::ed25519(9))), b"\n".to_vec()].concat()),
    ];
    let mut rows: Vec<Row> = junk.map(|(name, lines)| passes(name, after(&lines))).to_vec();
    let many = "more than 50 lines before the version";
    let long = "a line of 1024 octets or more before the version";
    rows.extend([
        refused("51 lines", after(&b"x\r\n".repeat(51)), many).twin(after(&b"x\r\n".repeat(50))),
        refused("a line of 1024 octets", after(&line_of(1024)), long).twin(after(&line_of(1023))),
        refused("a line that never ends", vec![Flood(vec![b'x'; 4096])], long),
        refused("lines that never end", vec![Flood(b"x\r\n".repeat(1000))], many),
        refused("NULs that never end", vec![Flood(vec![0; 4096])], long),
        refused("packets without a version", vec![Flood(frame(&[2; 100]))], long),
    ]);
    table(rows).await;
}

#[tokio::test]
async fn versions() {
    let other = "something other than SSH version 2";
    let unprintable = "a version line that is not printable ASCII";
    let whole = [&b"SSH-2.0-x\r\n"[..], &frame(&samples::kexinit(&samples::Offer::default()))].concat();
    table(vec![
        passes("SSH-1.99", version(b"SSH-1.99-old\r\n")),
        passes("an end of LF alone", version(b"SSH-2.0-x\n")),
        passes("a comment", version(b"SSH-2.0-x y z\r\n")),
        passes("octet by octet", honest_with(Drip(whole, 0), &Client::default().offer)),
        refused("SSH-1.5", version(b"SSH-1.5-old\r\n"), other).twin(version(b"SSH-1.99-old\r\n")),
        refused("SSH-2.1", version(b"SSH-2.1-new\r\n"), other),
        refused("SSH-3.0", version(b"SSH-3.0-new\r\n"), other),
        refused("no software version", version(b"SSH-2.0\r\n"), other).twin(version(b"SSH-2.0-\r\n")),
        refused("254 octets", version(&version_of(254)), "a version line of 254 octets")
            .twin(version(&version_of(253))),
        refused("1000 octets", version(&version_of(1000)), "a version line of 1000 octets"),
        refused(
            "one that never ends",
            vec![Send(b"SSH-2.0-".to_vec()), Flood(vec![b'v'; 4096])],
            "a line of 1024",
        ),
        refused("not ASCII", version("SSH-2.0-\u{e9}\r\n".as_bytes()), unprintable),
        refused("a bare CR", version(b"SSH-2.0-a\rb\r\n"), unprintable),
        refused("two CRs", version(b"SSH-2.0-a\r\r\n"), unprintable),
        refused("a NUL", version(b"SSH-2.0-a\0b\r\n"), unprintable),
        refused("an escape sequence", version(b"SSH-2.0-\x1b]0;x\x07\r\n"), unprintable),
        refused("a TAB", version(b"SSH-2.0-a\tb\r\n"), unprintable),
    ])
    .await;
}
