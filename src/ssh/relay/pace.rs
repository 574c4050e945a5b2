//! Bulk data in fewer and larger portions.
//!
//! A relay's CPU goes into being woken. The server sends an SSH packet at a time (32 KiB in OpenSSH), and each of them
//! wakes this process if it waits, though the kernel can move a megabyte by one call. So after each portion of a
//! stream that is plainly bulk this looks away for a moment, in which more gathers; or until the client says something,
//! for which the server may be waiting. This thread does nothing else meanwhile: a runtime that waits for its sockets
//! would be woken by them. The sender goes on, as what gathers is within the receive buffer of TCP.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
use tokio::task::yield_now;

use super::watched::Watched;

/// What no keystroke and no echo makes, in octets: half of a packet of bulk data.
const LARGE: usize = 16 * 1024;
/// A stream is bulk once so many portions in a row were large.
const ROW: u32 = 16;
/// How long this looks away: less than a round trip to anywhere but the next rack. (Timers of the runtime count
/// milliseconds.)
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
/// Sizes of a pipe that hold what comes in a moment, in octets: what anybody may ask for, and what will do.
const WIDE: [usize; 2] = [1024 * 1024, 256 * 1024];

/// The pace of one direction.
#[derive(Debug, Default)]
pub(super) struct Pace {
    row: u32,
    /// Whether it gains by looking away, once that was asked.
    gains: Option<bool>,
}

impl Pace {
    /// After so many octets went from the one to the other. `client` is what the client says.
    pub(super) async fn after(
        &mut self,
        octets: usize,
        from: &Watched,
        to: &Watched,
        client: Option<&OwnedFd>,
    ) {
        self.row = if octets < LARGE { 0 } else { self.row.saturating_add(1) };
        if let Some(client) = client
            && self.row >= ROW
            && *self.gains.get_or_insert_with(|| gains(from, to))
        {
            let said = poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&MOMENT));
            if said.is_ok_and(|ready| ready > 0) {
                // The other direction's turn.
                yield_now().await;
            }
        }
    }
}

/// A server's TCP connection and a client's pipe do that is made wide enough. (Any other holds too little, and the
/// client would wait.) Not the other way: what a client sends would queue in the pipe, and its keystrokes behind it,
/// and what that costs is TCP and not being woken.
fn gains(from: &Watched, to: &Watched) -> bool {
    let is_tcp = socket_domain(from).is_ok_and(|d| [AddressFamily::INET, AddressFamily::INET6].contains(&d));
    is_tcp && to.is_pipe() && is_wide(to)
}

/// Whether it is made to hold what comes in a moment. How much a user's pipes may hold is limited, for each and for all.
fn is_wide(pipe: &Watched) -> bool {
    WIDE.into_iter().any(|size| {
        fcntl_getpipe_size(pipe).is_ok_and(|has| has >= size) || fcntl_setpipe_size(pipe, size).is_ok()
    })
}
