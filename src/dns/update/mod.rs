//! Dynamic updates (RFC 2136) signed with TSIG (RFC 8945): plans in, one message out, and what the
//! server made of it. Over TCP alone: a datagram sent again would race with itself.

mod message;
mod probe;

pub use message::{MAX_OWNERS, fitting};
pub use probe::{try_key, try_rights};

use std::net::SocketAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{TSigVerifier, TSigner};
use tokio::time::Instant;

use self::message::message;
pub(super) use self::message::wire_name;
use super::transport::{Connections, TransportError};
use super::tsig::Key;
use crate::proto::name::Name;
use crate::proto::plan::Plan;
use crate::proto::wire::Reader;

/// How far the clocks may differ, in seconds (RFC 8945 section 10 recommends 300).
const FUDGE: u16 = 300;

/// Why an update was not acknowledged. Only `Transport` and `NotVouched` leave open whether it was done.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No reply.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// More than one message can hold.
    #[error("too many records for one update")]
    TooLarge,
    /// The message cannot be written or signed.
    #[error("cannot write the update: {0}")]
    Encode(String),
    /// The server knows no key of this name (or not with this algorithm). Knot says so too if it knows
    /// the key and its ACL does not allow the update.
    #[error("BADKEY: {server} does not take TSIG key {key} for this")]
    BadKey {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: Name,
    },
    /// The server's key of this name has another secret.
    #[error("BADSIG: {server} has another secret for TSIG key {key}")]
    BadSig {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: Name,
    },
    /// The clocks are too far apart.
    #[error("BADTIME: the clock of {server} is {} s {} ours", skew.unsigned_abs(), if *skew < 0 { "behind" } else { "ahead of" })]
    BadTime {
        /// The server.
        server: SocketAddr,
        /// What its clock says, in seconds since 1970.
        server_time: u64,
        /// Its clock less ours, in seconds.
        skew: i64,
    },
    /// Another complaint about the signature.
    #[error("{server} refuses the signature of TSIG key {key} (TSIG error {code})")]
    Tsig {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: Name,
        /// The TSIG error code.
        code: u16,
    },
    /// A prerequisite failed: somebody changed the records since they were read.
    #[error("{rcode}: the records at {server} changed after they were read")]
    LostRace {
        /// The server.
        server: SocketAddr,
        /// YXDOMAIN, YXRRSET, NXRRSET or NXDOMAIN.
        rcode: &'static str,
    },
    /// Any other response code.
    #[error("{server} answers {rcode}{} to the update of zone {zone}", if *is_signed { "" } else { ", without a valid signature," })]
    Rcode {
        /// The server.
        server: SocketAddr,
        /// The zone.
        zone: Name,
        /// Which.
        rcode: Refusal,
        /// The key vouches for it; else it may be anybody's word.
        is_signed: bool,
    },
    /// A success that the key does not vouch for: it is none.
    #[error("the answer of {server} is not signed by TSIG key {key} as it should be: {why}")]
    NotVouched {
        /// The server.
        server: SocketAddr,
        /// The key's name.
        key: Name,
        /// What is wrong.
        why: String,
    },
}

/// A response code that says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server's policy forbids it.
    Refused,
    /// The server is no primary for the zone.
    NotAuth,
    /// A name lies outside the zone.
    NotZone,
    /// The server did not understand.
    FormErr,
    /// The server takes no updates.
    NotImp,
    /// The server could not do it.
    ServFail,
    /// Any other code.
    Other(u16),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = match self {
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::NotAuth => 9,
            Self::NotZone => 10,
            Self::Other(code) => *code,
        };
        f.write_str(&crate::proto::message::rcode_name(code))
    }
}

/// Sends one update and waits for a signed success.
pub async fn send(asked: Asked<'_>, plans: &[Plan], deadline: Instant) -> Result<(), UpdateError> {
    exchange(message(asked.zone, plans)?, asked, deadline).await
}

/// Signs a message, sends it, and waits for a signed success.
async fn exchange(mut message: Message, asked: Asked<'_>, deadline: Instant) -> Result<(), UpdateError> {
    let encode = |e: ProtoError| UpdateError::Encode(e.to_string());
    let signer = signer(asked.key)?;
    let verifier = message.finalize(&signer, asked.now).map_err(encode)?;
    let octets = message.to_vec().map_err(encode)?;
    // An encoder that runs out of room drops records in silence; a part of an update must never go out.
    let counts = (message.answers.len() as u16, message.authorities.len() as u16);
    let mut written = Reader::new(octets.get(6..10).unwrap_or_default());
    if written.u16().zip(written.u16()) != Some(counts) {
        return Err(UpdateError::TooLarge);
    }
    let reply = asked.tcp.ask(&octets, deadline).await?;
    judge(&reply, &message.queries, asked, verifier)
}

pub(super) fn signer(key: &Key) -> Result<TSigner, UpdateError> {
    let name = wire_name(key.name())?;
    TSigner::new(key.secret().to_vec(), key.algorithm().on_the_wire(), name, FUDGE)
        .map_err(|e| UpdateError::Encode(e.to_string()))
}

/// Whom to ask about what, and in whose name.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The server.
    pub tcp: &'a Connections,
    /// The zone.
    pub zone: &'a Name,
    /// What signs.
    pub key: &'a Key,
    /// The time in seconds since 1970, which signatures carry.
    pub now: u64,
}

/// What the server's reply means. Its TSIG error comes first (an error of that kind is not signed),
/// then its response code, and a success counts only with a valid signature.
fn judge(
    reply: &[u8],
    zone_section: &[Query],
    asked: Asked<'_>,
    verifier: Option<TSigVerifier>,
) -> Result<(), UpdateError> {
    let Asked { tcp, zone, key, now } = asked;
    let server = tcp.server();
    let not_vouched =
        |why: &str| UpdateError::NotVouched { server, key: key.name().clone(), why: why.to_owned() };
    // Read whole and strictly before the signature is looked at: one TSIG record, and it is the last.
    let response = Message::from_vec(reply).map_err(|_| not_vouched("the message is malformed"))?;
    if !response.queries.is_empty() && response.queries != zone_section {
        return Err(not_vouched("it is about another zone"));
    }
    if let Some(error) = response.signature().and_then(|s| s.data.error) {
        let key = key.name().clone();
        let tsig = response.signature().map(|s| &s.data);
        return Err(match error {
            TsigError::BadKey => UpdateError::BadKey { server, key },
            TsigError::BadSig => UpdateError::BadSig { server, key },
            TsigError::BadTime => {
                let server_time = tsig.map_or(0, |t| server_time(&t.other).unwrap_or(t.time));
                let skew = i64::try_from(server_time)
                    .unwrap_or(i64::MAX)
                    .saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
                match skew.unsigned_abs() > u64::from(FUDGE) {
                    true => UpdateError::BadTime { server, server_time, skew },
                    // It does not say what its clock shows, or there is no such difference.
                    false => UpdateError::Tsig { server, key, code: TsigError::BadTime.into() },
                }
            }
            other => UpdateError::Tsig { server, key, code: other.into() },
        });
    }
    let wrong = "the signature is wrong or out of date";
    let vouched = match (response.signature(), verifier) {
        (None, _) => Err("it has no signature"),
        (_, None) => Err("no verifier"),
        (_, Some(mut verifier)) => verifier.verify(reply).map(drop).map_err(|_| wrong),
    };
    let lost = |rcode| Err(UpdateError::LostRace { server, rcode });
    let is_signed = vouched.is_ok();
    let refused = |rcode| Err(UpdateError::Rcode { server, zone: zone.clone(), rcode, is_signed });
    match response.metadata.response_code {
        ResponseCode::NoError => vouched.map_err(not_vouched),
        ResponseCode::YXDomain => lost("YXDOMAIN"),
        ResponseCode::YXRRSet => lost("YXRRSET"),
        ResponseCode::NXRRSet => lost("NXRRSET"),
        ResponseCode::NXDomain => lost("NXDOMAIN"),
        ResponseCode::Refused => refused(Refusal::Refused),
        ResponseCode::NotAuth => refused(Refusal::NotAuth),
        ResponseCode::NotZone => refused(Refusal::NotZone),
        ResponseCode::FormErr => refused(Refusal::FormErr),
        ResponseCode::NotImp => refused(Refusal::NotImp),
        ResponseCode::ServFail => refused(Refusal::ServFail),
        other => refused(Refusal::Other(other.into())),
    }
}

/// The server's clock in a BADTIME answer: 48 bits (RFC 8945 section 5.2.3).
fn server_time(other: &[u8]) -> Option<u64> {
    let time: [u8; 6] = other.try_into().ok()?;
    Some(time.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::TSigResponseContext;

    use super::*;
    use crate::proto::plan::{Intent, Present};
    use crate::proto::sshfp::Sshfp;

    const NOW: u64 = 1_800_000_000;

    fn key(secret: &str) -> Key {
        Key::from_text(&format!("hmac-sha256:web1.key:{secret}")).unwrap()
    }

    fn server() -> SocketAddr {
        "127.0.0.1:53".parse().unwrap()
    }

    fn zone() -> Name {
        Name::from_text("example.com").unwrap()
    }

    fn plan() -> Plan {
        let owner = Name::from_text("web1.example.com").unwrap();
        let wanted = [Sshfp::from_rdata(&[4, 2, 1]).unwrap()].into();
        let intent = Intent::Publish { ttl: None, prune: false };
        Plan::new(&owner, &Present::absent(), &wanted, &[].into(), intent).unwrap()
    }

    /// The server's side: an answer to a signed update, signed with `secret` if there is one, and then
    /// spoilt on its way.
    fn exchange_spoilt(
        rcode: ResponseCode,
        secret: Option<&str>,
        error: Option<TsigError>,
        spoil: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), UpdateError> {
        let ours = key(OURS.unwrap());
        let mut update = message(&zone(), &[plan()]).unwrap();
        let verifier = update.finalize(&signer(&ours).unwrap(), NOW).unwrap();
        let mac = update.signature().unwrap().data.mac.clone();
        let mut response = Message::response(update.metadata.id, OpCode::Update);
        response.metadata.response_code = rcode;
        response.add_query(update.queries[0].clone());
        if let Some(secret) = secret {
            let signer = signer(&key(secret)).unwrap();
            let (id, octets) = (update.metadata.id, response.to_vec().unwrap());
            let context = match error {
                Some(TsigError::BadKey) => {
                    TSigResponseContext::unknown_key(id, NOW, wire_name(ours.name()).unwrap())
                }
                Some(TsigError::BadSig) => TSigResponseContext::bad_signature(id, NOW, signer),
                Some(error) => TSigResponseContext::new(id, NOW + 1000, signer, mac, Some(error)),
                None => TSigResponseContext::new(id, NOW, signer, mac, None),
            };
            response.set_signature(context.sign(&octets).unwrap());
        }
        let mut reply = response.to_vec().unwrap();
        spoil(&mut reply);
        let asked = Asked { tcp: &Connections::new(server()), zone: &zone(), key: &ours, now: NOW };
        judge(&reply, &update.queries, asked, verifier)
    }

    fn exchange(
        rcode: ResponseCode,
        secret: Option<&str>,
        error: Option<TsigError>,
    ) -> Result<(), UpdateError> {
        exchange_spoilt(rcode, secret, error, |_| {})
    }

    #[test]
    fn no_cut_or_flip_makes_a_success_of_a_refusal() {
        let length = std::cell::Cell::new(0);
        let refused = |spoil: &dyn Fn(&mut Vec<u8>)| {
            exchange_spoilt(ResponseCode::Refused, OURS, None, |reply| {
                length.set(reply.len());
                spoil(reply);
            })
        };
        refused(&|_| {}).unwrap_err();
        for at in 0..length.get() {
            refused(&|reply| reply.truncate(at)).unwrap_err();
            for bit in 0..8 {
                refused(&|reply| reply[at] ^= 1 << bit).unwrap_err();
            }
        }
        // All signature records twice, and one out of place: neither is a signature.
        let twice = |reply: &mut Vec<u8>| {
            let tsig = reply.split_off(12 + zone().wire().len() + 4);
            reply.extend([tsig.as_slice(), tsig.as_slice()].concat());
            reply[11] = 2;
        };
        assert!(exchange_spoilt(ResponseCode::NoError, OURS, None, twice).is_err());
        let as_answer = |reply: &mut Vec<u8>| (reply[7], reply[11]) = (1, 0);
        assert!(exchange_spoilt(ResponseCode::NoError, OURS, None, as_answer).is_err());
    }

    const OURS: Option<&str> = Some("b3VyIHNlY3JldCBvZiAxNiBvY3RldHM=");
    const THEIRS: Option<&str> = Some("YW5vdGhlciBzZWNyZXQgb2YgMTYgb2N0ZXRz");

    #[test]
    fn a_success_counts_only_with_our_signature() {
        assert!(exchange(ResponseCode::NoError, OURS, None).is_ok());
        for secret in [None, THEIRS] {
            let result = exchange(ResponseCode::NoError, secret, None);
            assert!(matches!(result, Err(UpdateError::NotVouched { .. })), "{result:?}");
        }
    }

    #[test]
    fn each_refusal_is_told_apart() {
        use UpdateError::*;
        let no = |error| exchange(ResponseCode::NotAuth, OURS, Some(error)).unwrap_err();
        assert!(matches!(no(TsigError::BadKey), BadKey { .. }));
        assert!(matches!(no(TsigError::BadSig), BadSig { .. }));
        let late = no(TsigError::BadTime);
        assert!(matches!(late, BadTime { skew: 1000, .. }), "{late:?}");
        assert_eq!(late.to_string(), "BADTIME: the clock of 127.0.0.1:53 is 1000 s ahead of ours");
        let plain = |rcode| exchange(rcode, None, None).unwrap_err();
        for code in
            [ResponseCode::YXRRSet, ResponseCode::NXRRSet, ResponseCode::YXDomain, ResponseCode::NXDomain]
        {
            assert!(matches!(plain(code), LostRace { .. }), "{code:?}");
        }
        for (code, refusal) in [
            (ResponseCode::Refused, Refusal::Refused),
            (ResponseCode::NotAuth, Refusal::NotAuth),
            (ResponseCode::NotZone, Refusal::NotZone),
            (ResponseCode::FormErr, Refusal::FormErr),
            (ResponseCode::NotImp, Refusal::NotImp),
            (ResponseCode::ServFail, Refusal::ServFail),
        ] {
            assert!(matches!(plain(code), Rcode { rcode, .. } if rcode == refusal), "{code:?}");
        }
        for secret in [OURS, THEIRS, None] {
            let told = if secret == OURS { "" } else { ", without a valid signature," };
            let error = exchange(ResponseCode::NotZone, secret, None).unwrap_err().to_string();
            assert!(error.ends_with(&format!("NOTZONE{told} to the update of zone example.com")), "{error}");
        }
    }

    #[test]
    fn the_time_of_a_bad_clock_is_read() {
        assert_eq!(server_time(&[0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(server_time(&[0, 0, 0, 0, 1]), None);
    }
}
