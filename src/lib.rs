//! SSH host identities anchored in DNSSEC: publish them, and prove them before a connection goes on.
//!
//! # For Rust programs
//!
//! A [`Verifier`] tells whether a key is a host's, by what DNSSEC proves from the trust anchors down, here and now: no
//! resolver is believed, and an absent or broken proof refuses. [`client`] puts that in front of [russh]'s connections:
//!
//! ```no_run
//! use sshanchor::client::{Error, connect};
//! use sshanchor::russh::client::{Config, Handler};
//! use sshanchor::{HostName, Options, Verifier};
//!
//! struct Client;
//!
//! // Whether the host's key is right is decided before this handler hears of anything: it need not say.
//! impl Handler for Client {
//!     type Error = sshanchor::russh::Error;
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Once in the life of the program. Options::from_config() goes by what is configured on this machine.
//! let verifier = Verifier::new(&Options::new())?;
//!
//! let host: HostName = "web1.example.com".parse()?;
//! let mut connected = match connect(&verifier, Config::default(), &host, 22, Client).await {
//!     Ok(connected) => connected,
//!     Err(Error::Refused(refusal)) => {
//!         eprintln!("{}: {refusal} (hint: {})", refusal.code(), refusal.hint());
//!         return Err(refusal.into());
//!     }
//!     Err(error) => return Err(error.into()),
//! };
//! println!("{}: {}", connected.anchored.host(), connected.anchored.basis());
//! connected.handle.authenticate_password("deploy", "secret").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Programs with another SSH library ask for the verdict themselves, about the key that a handshake has shown and signed:
//!
//! ```no_run
//! use sshanchor::{HostName, Options, Presented, Verdict, Verifier};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::new(&Options::from_config()?)?;
//! let presented = Presented::from_openssh("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f")?;
//! match verifier.verdict(&HostName::parse("web1.example.com")?, 22, &presented).await {
//!     Verdict::Accept(anchored) => println!("good until {} (seconds since 1970)", anchored.valid_until()),
//!     Verdict::Reject(reason) => println!("do not connect: {reason}"),
//!     Verdict::Unproven(reason) => println!("nothing vouches for it: {reason}; {}", reason.hint()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A verdict is never a bool: [`Verdict::Accept`] holds an [`Anchored`], a witness that nothing else makes. A function that
//! is to run on verified connections alone takes one as an argument.
//!
//! ## What stays as it is
//!
//! What is shown on this page, here and in [`client`], follows semantic versioning: before 1.0 a change that breaks programs
//! comes with a new minor version and is in the changelog. [`russh`] is a part of it, re-exported so that programs use the
//! same version: a new one of russh's is a breaking change here too. Of [`Reason`], the words that it is told by
//! ([`Reason::code`]) and that it is told at all are kept; its variants and what is in them are not, and there will be
//! more. The verdicts themselves may change with any version where a proof turns out to prove less than was thought.
//!
//! All other modules are the program's own rooms. They are public for its tests and benches, are not shown in the
//! documentation, and change without notice.
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
//! | [`library`] | what Rust programs use, beside those types of other rooms that the crate's root names |
//! | [`doctor`] | gathers what weakens verification on this machine; judged in [`proto::doctor`] |
//! | [`agent`] | this machine's part in publishing: its names and keys, own records, one pass (guarded, reconciled, read back, proven); the daemon that goes on with it, what it shows, and the rotation of host keys |
//! | [`backend`] | where a plan goes: RFC 2136 updates, the API of PowerDNS, a file that the zone includes, a program |
//! | [`dns`] | DNS I/O: resolvers, the fetching that proofs ask for, a zone's servers, authorities, updates, TSIG |
//! | [`ssh`] | SSH I/O: host keys on disk, the probe, the relay, sessions, users' keys, ssh's own configuration, a CA's folder |
//! | [`proto`] | every decision, pure: names, keys, records, proofs, verdict, plan, handshake gate, what a CA signs and how it rolls over, how host keys rotate |
//! | [`lab`] | an embedded signed zone and toy SSH hosts, behind `sshanchor demo` and the tests |
//!
//! Arrows point down: `{cli, library} -> {fleet, agent, doctor} -> {verifier, output, config} -> {dns, ssh, backend} -> proto`. `dns` and `ssh`
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

#[doc(hidden)]
pub mod agent;
#[doc(hidden)]
pub mod backend;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
mod crash;
#[doc(hidden)]
pub mod dns;
#[doc(hidden)]
pub mod doctor;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod fan_out;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod fleet;
#[cfg(feature = "lab")]
#[doc(hidden)]
pub mod lab;
#[doc(hidden)]
pub mod library;
#[doc(hidden)]
pub mod log;
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod ownership;
#[doc(hidden)]
pub mod proto;
#[doc(hidden)]
pub mod run;
#[doc(hidden)]
pub mod ssh;
#[doc(hidden)]
pub mod trail;
#[doc(hidden)]
pub mod verifier;

pub use crate::error::{Error, Kind};
pub use crate::library::{Expected, Options, Refusal, Verifier, client};
pub use crate::proto::certificate::Certificate;
pub use crate::proto::hostkey::{HostKey, HostKeyError, KeyType, Presented};
pub use crate::proto::name::{HostName, HostNameError, Name};
pub use crate::proto::policy::Seen;
pub use crate::proto::verdict::{Anchored, Basis, Reason, Verdict};
/// The SSH library that [`client`] connects with: the very version.
pub use russh;
