//! This machine's part: which records are its own, and how they get where they belong: once ([`pass`]), again and again
//! ([`daemon`], followed by [`monitor`] and [`crate::log`]), and while its host keys change ([`rotation`]).

pub mod daemon;
pub mod guard;
pub mod machine;
pub mod monitor;
pub mod orphans;
pub mod pass;
pub mod proof;
pub mod published;
pub mod readback;
pub mod reconcile;
pub mod renewal;
pub mod rotation;
pub mod site;
pub mod state;
