//! The crate as Rust programs use it: a verifier of their own, and russh with a handler of their own.

mod client;
mod verdicts;

use std::time::Duration;

use sshanchor::{HostName, Options, Presented, Verdict, Verifier};

use crate::support::Tree;

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";

fn options(tree: &Tree) -> Options {
    Options::new().resolver([tree.addr()]).trust_anchor(tree.anchor()).timeout(Duration::from_secs(20))
}

fn host() -> HostName {
    HOST.parse().unwrap()
}

/// The public key in a file of ssh-keygen's.
fn key_in(file: &std::path::Path) -> Presented {
    Presented::from_openssh(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Why there is no accept, in a word; empty if there is one.
async fn told(verifier: &Verifier, port: u16, presented: &Presented) -> &'static str {
    match verifier.verdict(&host(), port, presented).await {
        Verdict::Accept(anchored) => {
            assert_eq!(*anchored.key_sha256(), presented.key().sha256());
            ""
        }
        Verdict::Reject(reason) | Verdict::Unproven(reason) => reason.code(),
    }
}
