//! Machinery for tests with real peers: programs found and started on free loopback ports, ended
//! when their guard is dropped, never colliding with another run.

pub mod agent;
pub mod ask;
pub mod blackhole;
pub mod browser;
pub mod ca;
pub mod certificate;
pub mod clock;
pub mod dropbear;
pub mod forge;
pub mod forger;
pub mod handmade;
pub mod hello;
pub mod inline;
pub mod knot;
pub mod libssh;
pub mod named;
pub mod namespace;
pub mod pdns;
pub mod peer;
pub mod port;
pub mod process;
pub mod sandbox;
pub mod sshd;
pub mod terminal;
pub mod tree;
pub mod unbound;
pub mod venv;
pub mod wire;
pub mod zone;

pub use peer::peer;
pub use process::{Finished, Process, run, run_ok};
pub use sandbox::Sandbox;
pub use tree::Tree;
pub use zone::Zone;
