//! Decisions, and nothing else: no I/O, no async, no clock, no environment. Time is an argument.

pub mod bundle;
pub mod chain;
pub mod denial;
pub mod doctor;
pub mod duration;
pub mod evidence;
pub mod export;
pub mod handshake;
pub mod happy_eyeballs;
pub mod hostkey;
pub mod known_hosts;
pub mod message;
pub mod moment;
pub mod name;
pub mod packet;
pub mod pattern;
pub mod place;
pub mod plan;
pub mod policy;
pub mod rr;
pub mod ssh_config;
pub mod sshfp;
pub mod tidy;
pub mod verdict;
pub mod via;
pub mod wire;
