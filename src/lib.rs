//! SSH host identities anchored in DNSSEC: publish them, and prove them before a connection goes on.
//!
//! # The house
//!
//! | room | what is in it |
//! |---|---|
//! | [`cli`] | what was typed, what it means, the call, the output; one file a command; the exit status |
//! | [`config`] | the command line, the environment and the files: what is in force, and where it came from |
//! | [`output`] | the one file that prints; peers' octets are sanitised here |
//! | [`error`] | kind (the exit code), stable reason, message, hint |
//! | [`fleet`] | many hosts: which ones are meant, what is done with all of them, what is told of them |
//! | [`fan_out`] | many works of one kind, some at the same time |
//! | [`files`] | files that are written as a whole or not at all |
//! | [`ownership`] | whose files may steer this process |
//! | [`log`] | what goes on, a sentence and fields: lines on standard error, or systemd's journal |
//! | [`trail`] | every verdict by which somebody connects, in a file or in the journal |
//! | [`run`] | programs that are run to their end, bounded |
//! | `crash` | where tests end this process as a crash would |
//! | [`verifier`] | evidence + a live handshake -> verdict; reads the clock |
//! | [`doctor`] | gathers what weakens verification on this machine; judged in [`proto::doctor`] |
//! | [`agent`] | this machine's part in publishing: its names and keys, own records, one pass (guarded, reconciled, read back, proven); the daemon that goes on with it, what it shows, and the rotation of host keys |
//! | [`backend`] | where a plan goes: RFC 2136 updates, the API of PowerDNS, a file that the zone includes, a program |
//! | [`dns`] | DNS I/O: resolvers, the fetching that proofs ask for, authorities, updates, TSIG |
//! | [`ssh`] | SSH I/O: host keys on disk, the probe, the relay, sessions, users' keys, ssh's own configuration, a CA's folder |
//! | [`proto`] | every decision, pure: names, keys, records, proofs, verdict, plan, handshake gate, what a CA signs and how it rolls over, how host keys rotate |
//! | [`lab`] | an embedded signed zone and toy SSH hosts, behind `sshanchor demo` and the tests |
//!
//! Arrows point down: `cli -> {fleet, agent, doctor} -> {verifier, output, config} -> {dns, ssh, backend} -> proto`. `dns` and `ssh`
//! never meet; `backend` may use `dns`; `lab` may use all.
//!
//! # The way of an accept
//!
//! 1. [`proto::evidence::owners`] says which SSHFP sets may speak for a host and port; where a CA may vouch, or a key may be
//!    revoked, [`proto::evidence::Evidence::needs`] says what else is to be asked, and [`verifier`] asks it.
//! 2. [`dns::lookup::Lookups`] fetches what [`proto::chain::Prover`] asks for, until it has a
//!    [`proto::chain::Answer`]: every link signed, from a trust anchor down. Nothing else makes one.
//! 3. [`ssh::probe`] (or the gate in [`proto::handshake`], within [`ssh::relay`]) learns which key the
//!    server presents; or ssh itself, which asks through its KnownHostsCommand ([`proto::known_hosts::command`]).
//!    What it shows of a certificate is read by [`proto::certificate`].
//! 4. [`proto::verdict::decide`] compares, under the host's [`proto::policy::Policy`], and is the one maker of [`proto::verdict::Anchored`], without which
//!    no relay releases a reply, no known_hosts line is printed for ssh to accept by, and no session begins
//!    ([`verifier::Verifier::open`], [`ssh::client`]).
//!
//! # The way of a record
//!
//! 1. [`agent::machine`] knows this machine's names and keys, [`config::publishing`] the place of its records.
//! 2. [`agent::guard`] looks whether anything may be published; [`proto::plan`] decides what is to change, and
//!    [`agent::reconcile`] has a [`backend`] do it, if nobody else was faster.
//! 3. [`agent::readback`] asks every server of the zone, [`agent::proof`] proves it as clients will.
//! 4. [`agent::daemon`] does that again when [`proto::schedule`] says so; [`proto::rotation`] decides how keys change
//!    without a client that notices.
//!
//! # What always holds
//!
//! * An accept rests on positive proofs alone. No absence, no AD bit, no error can make one; what tells
//!   failures apart ([`proto::denial`]) cannot make a proof.
//! * `proto` never learns what time it is, unless it is told: seconds since 1970, as an argument.
//! * Octets from peers are bounded, strictly parsed, and sanitised before a terminal sees them.

pub mod agent;
pub mod backend;
pub mod cli;
pub mod config;
mod crash;
pub mod dns;
pub mod doctor;
pub mod error;
pub mod fan_out;
pub mod files;
pub mod fleet;
#[cfg(feature = "lab")]
pub mod lab;
pub mod log;
pub mod output;
pub mod ownership;
pub mod proto;
pub mod run;
pub mod ssh;
pub mod trail;
pub mod verifier;
