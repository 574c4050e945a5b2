//! Tests that need no peers installed: everything runs in this process, on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// The paper zones of the fuzz bodies know the crate by this name.
use sshanchor::proto;

mod offline {
    mod command_line;
    mod config;
    #[cfg(target_os = "linux")]
    mod data_plane;
    #[cfg(feature = "lab")]
    mod demo;
    mod docs;
    mod fuzz;
    mod gate;
    mod handmade_ssh;
    #[cfg(feature = "lab")]
    mod hostile;
    #[cfg(feature = "lab")]
    mod lab;
    #[cfg(feature = "lab")]
    mod probe;
}
