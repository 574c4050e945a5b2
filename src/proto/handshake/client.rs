//! The client's half of the gate. Its octets are passed on as they are, in whole packets, once it
//! is clear that they may go.

use super::{Action, End, Exchange, Gate, Guess, KexInit, Stage, version};
use crate::proto::packet::{self, message};

impl Gate {
    /// One line, packet or run of opaque octets of the client; `false` when there is none.
    pub(super) fn client_step(&mut self, actions: &mut Vec<Action>) -> Result<bool, End> {
        match self.client.stage {
            Stage::Version => {
                let Some((version, length)) =
                    version::client(&self.client.buffer).map_err(End::ClientVersion)?
                else {
                    return Ok(false);
                };
                let line = self.client.buffer.get(..length).unwrap_or_default().to_vec();
                actions.push(Action::ToServer(line));
                self.client.version = Some(version);
                self.client.stage = Stage::Packets;
                self.client.consume(length);
                Ok(true)
            }
            Stage::Packets => {
                let Some(packet) = packet::parse(&self.client.buffer).map_err(End::ClientFrame)? else {
                    return Ok(false);
                };
                let (message, framed) = (packet.message, packet.framed.to_vec());
                let kexinit = (message == message::KEXINIT).then(|| KexInit::parse(packet.payload));
                self.client.consume(framed.len());
                match kexinit {
                    Some(kexinit) => self.client_kexinit(kexinit.map_err(End::ClientKexInit)?)?,
                    None => self.client_packet(message)?,
                }
                actions.push(Action::ToServer(framed));
                match message {
                    message::DISCONNECT => return Err(self.client_left()),
                    message::NEWKEYS => self.switched(actions),
                    _ => {}
                }
                Ok(true)
            }
            Stage::Opaque => {
                let octets = std::mem::take(&mut self.client.buffer);
                let any = !octets.is_empty();
                if any {
                    actions.push(Action::ToServer(octets));
                }
                Ok(any)
            }
        }
    }

    fn client_kexinit(&mut self, kexinit: KexInit) -> Result<(), End> {
        if self.client.kexinit.is_some() {
            return Err(self.client_out_of_turn(message::KEXINIT));
        }
        if kexinit.guess_follows {
            self.guess = Guess::Announced;
        }
        self.client.kexinit = Some(kexinit);
        self.agree()
    }

    /// Whether this message may go to the server now.
    fn client_packet(&mut self, message: u8) -> Result<(), End> {
        if (message::DISCONNECT..=message::DEBUG).contains(&message) {
            return Ok(());
        }
        if self.guess == Guess::Announced && (message::KEX_INIT..=message::KEX_LAST).contains(&message) {
            return self.client_guess(message);
        }
        match (&self.exchange, message) {
            (Exchange::Nothing(why), _) => Err(why.clone().into()),
            (Exchange::Init(_), _) => self.client_init(message),
            (Exchange::GroupInit(negotiated), message::GEX_INIT) => {
                self.exchange = Exchange::Reply(negotiated.clone());
                Ok(())
            }
            // Before the release there is no NEWKEYS to the server: a refusal has to mean that.
            (Exchange::Released, message::NEWKEYS) => {
                self.client.stage = Stage::Opaque;
                Ok(())
            }
            _ => Err(self.client_out_of_turn(message)),
        }
    }

    /// The packet that `first_kex_packet_follows` announced; dbclient's is wrong now and then.
    fn client_guess(&mut self, message: u8) -> Result<(), End> {
        self.guess = Guess::None;
        match &self.exchange {
            Exchange::Offers => {
                self.guess = Guess::Passed(message);
                Ok(())
            }
            Exchange::Init(negotiated) if negotiated.guess_right => self.client_init(message),
            _ => Ok(()),
        }
    }

    fn client_out_of_turn(&self, message: u8) -> End {
        End::Client { message, waiting_for: self.waiting_for() }
    }

    fn client_left(&self) -> End {
        match &self.exchange {
            Exchange::Nothing(why) => why.clone().into(),
            _ => End::ClientClosed,
        }
    }

    /// A side has just switched to its new keys.
    pub(super) fn switched(&self, actions: &mut Vec<Action>) {
        if self.is_opaque() {
            actions.push(Action::Opaque);
        }
    }
}
