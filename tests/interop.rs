//! Tests against real peers: BIND, Knot, Unbound, OpenSSH, dropbear. A missing peer fails a test;
//! `tests/run` installs what is missing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]
#![allow(missing_docs)]

// Each test binary uses its own part of the machinery.
#[allow(dead_code, unused_imports)]
mod support;

mod interop {
    mod agent;
    mod audit;
    mod backends;
    mod bundle;
    mod ca;
    mod cache;
    mod certificates;
    mod config_ssh;
    mod contrib;
    mod doctor;
    mod exec;
    mod export;
    mod forging;
    mod hostile;
    mod inventory;
    mod issuance;
    mod kex;
    mod known_hosts;
    mod library;
    mod life;
    mod lookup;
    mod monitor;
    mod outage;
    mod package;
    mod pages;
    mod peers;
    mod policy;
    mod posture;
    mod presentation;
    mod primary;
    mod proxy;
    mod publish;
    mod publish_batch;
    mod publish_configured;
    mod publish_guard;
    mod publish_hostile;
    mod publish_keys;
    mod publish_lossy;
    mod publish_races;
    mod publish_refusals;
    mod reach;
    mod recipes;
    mod renew;
    mod report;
    mod resolvers;
    mod rotate;
    mod scale;
    mod sshfp;
    mod statuses;
    mod tidy;
    mod trail;
    mod verify;
    mod via;
}
