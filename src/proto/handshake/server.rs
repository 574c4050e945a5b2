//! The server's half of the gate. Nothing goes to the client but what may come at this point, and
//! that in frames of our own.

use super::reply::{self, Reply};
use super::{
    Action, End, Exchange, Gate, KexInit, MAX_BEHIND_REPLY, Method, Negotiated, Stage, disconnect, version,
};
use crate::proto::hostkey::Presented;
use crate::proto::packet::{self, message};

impl Gate {
    /// One line, packet or run of opaque octets of the server; `false` when there is none.
    pub(super) fn server_step(&mut self, actions: &mut Vec<Action>) -> Result<bool, End> {
        match self.server.stage {
            Stage::Version => self.server_line(actions),
            Stage::Packets if matches!(self.exchange, Exchange::Held { .. }) => {
                match self.server.buffer.len() {
                    0..=MAX_BEHIND_REPLY => Ok(false),
                    much => Err(End::TooMuch(much)),
                }
            }
            Stage::Packets => {
                let Some(packet) = packet::parse(&self.server.buffer).map_err(End::ServerFrame)? else {
                    return Ok(false);
                };
                let (kind, payload, length) = (packet.message, packet.payload.to_vec(), packet.framed.len());
                self.server.consume(length);
                self.server_packet(kind, &payload, actions)?;
                Ok(true)
            }
            Stage::Opaque => {
                let octets = std::mem::take(&mut self.server.buffer);
                let any = !octets.is_empty();
                if any {
                    actions.push(Action::ToClient(octets));
                }
                Ok(any)
            }
        }
    }

    fn server_line(&mut self, actions: &mut Vec<Action>) -> Result<bool, End> {
        use version::ServerLine;
        let line = version::server(&self.server.buffer, self.lines).map_err(End::ServerVersion)?;
        let Some((line, length)) = line else { return Ok(false) };
        self.server.consume(length);
        match line {
            ServerLine::Other(line) => {
                self.lines += 1;
                self.last_line = Some(line).filter(|line| !line.is_empty()).or(self.last_line.take());
            }
            ServerLine::Version(version) => {
                actions.push(Action::ToClient(format!("{version}\r\n").into_bytes()));
                self.server.version = Some(version);
                self.server.stage = Stage::Packets;
                self.last_line = None;
            }
        }
        Ok(true)
    }

    fn server_packet(&mut self, kind: u8, payload: &[u8], actions: &mut Vec<Action>) -> Result<(), End> {
        let forward = |payload: &[u8]| Action::ToClient(packet::frame(payload));
        match (&self.exchange, kind) {
            (_, message::DISCONNECT) => {
                let (code, text) = disconnect::read(payload);
                self.left = Some((code, text.clone()));
                Err(End::ServerLeft { code, text })
            }
            (Exchange::Offers, message::KEXINIT) if self.server.kexinit.is_none() => {
                let kexinit = KexInit::parse(payload).map_err(End::ServerKexInit)?;
                if kexinit.guess_follows {
                    return Err(End::ServerGuess);
                }
                self.server.kexinit = Some(kexinit);
                self.agree()?;
                actions.push(forward(payload));
                Ok(())
            }
            (Exchange::Group(negotiated), message::KEX_REPLY) => {
                reply::group(payload)?;
                self.exchange = Exchange::GroupInit(negotiated.clone());
                actions.push(forward(payload));
                Ok(())
            }
            (Exchange::Reply(Negotiated { method: Method::Direct, .. }), message::KEX_REPLY)
            | (Exchange::Reply(Negotiated { method: Method::GroupExchange, .. }), message::GEX_REPLY) => {
                self.hold(payload, actions)
            }
            (Exchange::Released, message::NEWKEYS) if payload.len() == 1 => {
                self.server.stage = Stage::Opaque;
                actions.push(forward(payload));
                self.switched(actions);
                Ok(())
            }
            _ => Err(End::Server { message: kind, waiting_for: self.waiting_for() }),
        }
    }

    /// Keeps the reply, asks for a decision on its K_S.
    fn hold(&mut self, payload: &[u8], actions: &mut Vec<Action>) -> Result<(), End> {
        let Exchange::Reply(negotiated) = &self.exchange else { return Ok(()) };
        let reply = Reply::parse(payload)?;
        let presented = Presented::from_blob(reply.host_key, &negotiated.host_key)?;
        reply.signed_as(&negotiated.host_key)?;
        let key_sha256 = presented.key().sha256();
        actions.push(Action::Decide(presented, negotiated.clone()));
        self.exchange = Exchange::Held { reply: payload.to_vec(), key_sha256 };
        Ok(())
    }
}
