//! The gate of an SSH handshake, between a client and a server: it passes the handshake on, holds
//! back the reply that carries the server's host key, and lets it go only against an [`Anchored`]
//! for that very key.
//!
//! The client itself checks that the server owns the key (the signature over the exchange hash), so
//! the key that was decided on is the key of this connection. Nothing that the server framed reaches
//! the client: each packet is parsed, checked against what may come at this point, and framed anew,
//! one for one (sequence numbers count). Strict key exchange is demanded always, not only where both
//! sides offer it.
//!
//! A state machine without I/O: octets of either side in, in any portions, and [`Action`]s out.

mod client;
pub mod disconnect;
mod end;
mod kexinit;
mod negotiate;
mod reply;
#[cfg(test)]
pub mod samples;
mod server;
#[cfg(test)]
mod tests;
pub mod version;

pub use end::End;
pub use kexinit::KexInitError;
pub use negotiate::{Disagreement, Method, Negotiated};
pub use reply::ReplyError;
pub use version::VersionError;

use super::hostkey::Presented;
use super::packet::{self, MAX_PACKET, message};
use super::verdict::Anchored;
use kexinit::KexInit;

/// The version line with which the gate itself speaks to a client that has not seen a server's.
const OWN_VERSION: &[u8] = b"SSH-2.0-sshanchor\r\n";
/// How much of the server's octets is kept while the reply is held, in octets: more than a caller
/// that minds [`Gate::wants_server`] can bring.
const MAX_BEHIND_REPLY: usize = MAX_PACKET + 4;

/// What the caller has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these octets to the client.
    ToClient(Vec<u8>),
    /// Send these octets to the server.
    ToServer(Vec<u8>),
    /// The reply is held: judge this, then call [`Gate::release`] or [`Gate::farewell`].
    Decide(Presented, Negotiated),
    /// Both sides have switched to their new keys: from here on copy octets both ways.
    Opaque,
    /// The handshake is over. Tell the client with [`Gate::farewell`], close both sides.
    End(End),
}

/// How far the octets of one side are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Version,
    Packets,
    Opaque,
}

/// One side's octets.
#[derive(Debug)]
struct Side {
    stage: Stage,
    buffer: Vec<u8>,
    version: Option<String>,
    kexinit: Option<KexInit>,
}

impl Side {
    fn new() -> Self {
        Side { stage: Stage::Version, buffer: Vec::new(), version: None, kexinit: None }
    }

    /// Forgets `length` octets at the front.
    fn consume(&mut self, length: usize) {
        self.buffer.drain(..length.min(self.buffer.len()));
    }
}

/// Where the key exchange is.
#[derive(Debug)]
enum Exchange {
    /// Not both KEXINITs are here.
    Offers,
    /// They have nothing in common; it is for the client to say so and leave.
    Nothing(Disagreement),
    /// The client's init (or its request for a group) comes next.
    Init(Negotiated),
    /// The server's group comes next.
    Group(Negotiated),
    /// The client's init within that group comes next.
    GroupInit(Negotiated),
    /// The server's reply comes next.
    Reply(Negotiated),
    /// The reply is held until somebody decides.
    Held { reply: Vec<u8>, key_sha256: [u8; 32] },
    /// The reply has gone to the client: NEWKEYS comes next, from both.
    Released,
}

/// A client's guess at the key exchange (`first_kex_packet_follows`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guess {
    /// None was announced, or it is dealt with.
    None,
    /// It comes next.
    Announced,
    /// It went by, with this message number, before both KEXINITs were here.
    Passed(u8),
}

/// The state machine.
#[derive(Debug)]
pub struct Gate {
    client: Side,
    server: Side,
    exchange: Exchange,
    guess: Guess,
    /// Lines of the server before its version, and the last of them.
    lines: usize,
    last_line: Option<String>,
    /// The server's DISCONNECT: its code and its sanitised text.
    left: Option<(u32, String)>,
    /// The client has been sent a DISCONNECT.
    told: bool,
    ended: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// At the very beginning of both sides.
    pub fn new() -> Self {
        Gate {
            client: Side::new(),
            server: Side::new(),
            exchange: Exchange::Offers,
            guess: Guess::None,
            lines: 0,
            last_line: None,
            left: None,
            told: false,
            ended: false,
        }
    }

    /// Takes octets that the client sent. After the end there is nothing to do with them, but its
    /// version may still be learnt.
    pub fn from_client(&mut self, octets: &[u8]) -> Vec<Action> {
        if self.ended {
            self.note_client_version(octets);
            return Vec::new();
        }
        self.feed(octets, |gate| &mut gate.client, Self::client_step)
    }

    fn note_client_version(&mut self, octets: &[u8]) {
        if self.client.stage == Stage::Version && self.client.buffer.len() < version::MAX_LINE {
            self.client.buffer.extend(octets.iter().take(version::MAX_LINE));
            if let Ok(Some((version, _))) = version::client(&self.client.buffer) {
                self.client.version = Some(version);
            }
        }
    }

    /// Takes octets that the server sent.
    pub fn from_server(&mut self, octets: &[u8]) -> Vec<Action> {
        self.feed(octets, |gate| &mut gate.server, Self::server_step)
    }

    /// Adds octets to a side, then takes steps while it can.
    fn feed(
        &mut self,
        octets: &[u8],
        side: fn(&mut Self) -> &mut Side,
        step: fn(&mut Self, &mut Vec<Action>) -> Result<bool, End>,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.ended {
            return actions;
        }
        side(self).buffer.extend_from_slice(octets);
        loop {
            match step(self, &mut actions) {
                Ok(true) => {}
                Ok(false) => return actions,
                Err(end) => {
                    self.ended = true;
                    actions.push(Action::End(end));
                    return actions;
                }
            }
        }
    }

    /// The client's octets are at their end.
    pub fn client_closed(&mut self) -> Vec<Action> {
        self.closed(End::ClientClosed)
    }

    /// The server's octets are at their end.
    pub fn server_closed(&mut self) -> Vec<Action> {
        self.closed(End::ServerClosed { waiting_for: self.waiting_for(), said: self.last_line.clone() })
    }

    fn closed(&mut self, end: End) -> Vec<Action> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        vec![Action::End(match &self.exchange {
            Exchange::Nothing(why) => why.clone().into(),
            _ => end,
        })]
    }

    /// Lets the held reply go to the client. The witness must be for the key in that reply; without
    /// a held reply, or with another key's witness, this ends the handshake.
    pub fn release(&mut self, witness: &Anchored) -> Vec<Action> {
        if self.ended {
            return Vec::new();
        }
        let exchange = std::mem::replace(&mut self.exchange, Exchange::Offers);
        let reply = match exchange {
            Exchange::Held { reply, key_sha256 } if key_sha256 == *witness.key_sha256() => reply,
            _ => {
                self.ended = true;
                return vec![Action::End(End::WrongWitness)];
            }
        };
        self.exchange = Exchange::Released;
        let mut actions = vec![Action::ToClient(packet::frame(&reply))];
        // What arrived behind the reply: NEWKEYS, most likely.
        actions.extend(self.from_server(&[]));
        actions
    }

    /// Ends the handshake from outside: nothing passes any more, only the client's version may still
    /// be learnt.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Ends the handshake and gives the octets that tell the client why: a DISCONNECT (the server's own,
    /// sanitised, if it sent one), with a
    /// version line in front if the client has none yet. Empty if the client has been told, or can
    /// no longer be (its side is encrypted already), and for dbclient: it does not show the text and
    /// takes a DISCONNECT for success (exit status 0), a mere close for the failure it is.
    pub fn farewell(&mut self, text: &str) -> Vec<u8> {
        self.end();
        let told = std::mem::replace(&mut self.told, true);
        if told || self.server.stage == Stage::Opaque || self.client_is("ssh-2.0-dropbear") {
            return Vec::new();
        }
        let payload = match &self.left {
            Some((code, text)) => disconnect::payload(*code, text),
            None => disconnect::payload(disconnect::HOST_KEY_NOT_VERIFIABLE, text),
        };
        let packet = packet::frame(&payload);
        let version: &[u8] = if self.server.version.is_some() { b"" } else { OWN_VERSION };
        [version, &packet].concat()
    }

    /// Whether octets of the server are of use now. While the reply is held they are not: leave
    /// them in the socket.
    pub fn wants_server(&self) -> bool {
        !self.ended && !matches!(self.exchange, Exchange::Held { .. })
    }

    /// The reply was released and the server has switched to its new keys: what is left is between
    /// the client (perhaps with a question to its user) and the server.
    pub fn server_is_through(&self) -> bool {
        self.server.stage == Stage::Opaque
    }

    /// Both sides are through: see [`Action::Opaque`].
    pub fn is_opaque(&self) -> bool {
        self.server.stage == Stage::Opaque && self.client.stage == Stage::Opaque
    }

    /// The server's version, once it is here: printable ASCII, without its line end.
    pub fn server_version(&self) -> Option<&str> {
        self.server.version.as_deref()
    }

    /// The client's version, once it is here: printable ASCII, without its line end.
    pub fn client_version(&self) -> Option<&str> {
        self.client.version.as_deref()
    }

    /// asyncssh reads the standard error of its proxy as if it were the SSH stream: nothing may be
    /// printed there.
    pub fn client_is_asyncssh(&self) -> bool {
        self.client_is("asyncssh")
    }

    /// OpenSSH shows its user what its proxy writes to standard error, unless ControlPersist is on, and then
    /// the text of a DISCONNECT.
    pub fn client_is_openssh(&self) -> bool {
        self.client_is("ssh-2.0-openssh_")
    }

    fn client_is(&self, name: &str) -> bool {
        self.client_version().is_some_and(|v| v.to_ascii_lowercase().contains(name))
    }

    /// What the handshake waits for, for messages.
    pub fn waiting_for(&self) -> &'static str {
        match (&self.exchange, self.server.stage, &self.server.kexinit) {
            (_, Stage::Version, _) => "the server's version",
            // OpenSSH's server says no more before it has it.
            (_, _, None) if self.client.version.is_none() => "the client's version",
            (_, _, None) => "the server's KEXINIT",
            (Exchange::Offers, ..) => "the client's KEXINIT",
            (Exchange::Nothing(_), ..) => "the client to leave",
            (Exchange::Init(_) | Exchange::GroupInit(_), ..) => "the client's key exchange init",
            (Exchange::Group(_), ..) => "the server's group",
            (Exchange::Reply(_), ..) => "the server's key exchange reply",
            (Exchange::Held { .. }, ..) => "the verdict",
            (Exchange::Released, Stage::Packets, _) => "the server's NEWKEYS",
            (Exchange::Released, ..) => "the client's NEWKEYS",
        }
    }

    /// Both KEXINITs may be here: finds what they agree on.
    fn agree(&mut self) -> Result<(), End> {
        let (Some(client), Some(server)) = (&self.client.kexinit, &self.server.kexinit) else {
            return Ok(());
        };
        self.exchange = match negotiate::negotiate(client, server) {
            Ok(negotiated) => Exchange::Init(negotiated),
            Err(why @ Disagreement::Nothing(_)) => Exchange::Nothing(why),
            Err(why) => return Err(why.into()),
        };
        // A wrong guess counts for nothing: the server ignores it.
        match (std::mem::replace(&mut self.guess, Guess::None), &self.exchange) {
            (Guess::Passed(kind), Exchange::Init(n)) if n.guess_right => self.client_init(kind),
            (Guess::Announced, _) => {
                self.guess = Guess::Announced;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The client's first message of the key exchange itself.
    fn client_init(&mut self, kind: u8) -> Result<(), End> {
        match std::mem::replace(&mut self.exchange, Exchange::Offers) {
            Exchange::Init(negotiated) => {
                self.exchange = match (negotiated.method, kind) {
                    (Method::Direct, message::KEX_INIT) => Exchange::Reply(negotiated),
                    (Method::GroupExchange, message::KEX_INIT | message::GEX_REQUEST) => {
                        Exchange::Group(negotiated)
                    }
                    _ => return Err(End::Client { message: kind, waiting_for: "the client's init" }),
                };
                Ok(())
            }
            _ => Err(End::Client { message: kind, waiting_for: self.waiting_for() }),
        }
    }
}
