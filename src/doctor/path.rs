//! Asks one resolver all that shows what it hands out.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::dns::transport;
use crate::proto::doctor::path::{Outcome, Path, Probe, Reply};
use crate::proto::message::{Question, is_reply_to};
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// When a datagram is sent a second time.
const RESEND: Duration = Duration::from_millis(500);

/// The name right below `zone` on the way to `host`; without a host, and below the root, one that has long been
/// signed.
pub(super) fn child(zone: &Name, host: Option<&Name>) -> Option<Name> {
    match host {
        Some(host) if host != zone && host.is_at_or_below(zone) => {
            Some(host.last_labels(zone.label_count() + 1))
        }
        _ if zone.is_root() => Name::from_labels([b"com".as_slice()]).ok(),
        _ => None,
    }
}

/// Asks `server` about `zone`, which has a trust anchor, and the DS set of `child`, within three fifths of `timeout`.
pub(super) async fn look(server: SocketAddr, zone: &Name, child: Option<Name>, timeout: Duration) -> Path {
    let until = Instant::now() + timeout * 2 / 5;
    let ask = |name: Name, rtype| probe(server, Question::new(name, rtype), until);
    let keys = async {
        let question = Question::new(zone.clone(), RrType::DNSKEY);
        let (udp, tcp) = tokio::join!(
            exchange(server, &question, How::PROOF, until),
            exchange(server, &question, How { tcp: true, ..How::PROOF }, until)
        );
        Probe { question, udp, tcp: Some(tcp) }
    };
    let ds = async {
        match child {
            Some(child) => Some(ask(child, RrType::DS).await),
            None => None,
        }
    };
    let nowhere = zone.child(format!("sshanchor-doctor-{:08x}", rand::random::<u32>()).as_bytes());
    let nowhere = nowhere.unwrap_or_else(|_| zone.clone());
    let (keys, soa, ds, denial) =
        tokio::join!(keys, ask(zone.clone(), RrType::SOA), ds, ask(nowhere, RrType::TXT));
    let mut path = Path { server, keys, soa, ds, denial, without_cd: None, without_edns: None };
    let until = Instant::now() + timeout / 5;
    if path.is_by_tcp() {
        let Path { soa, ds, denial, .. } = &mut path;
        let ds = async {
            if let Some(ds) = ds {
                ask_by_tcp(server, ds, until).await;
            }
        };
        tokio::join!(ask_by_tcp(server, soa, until), ds, ask_by_tcp(server, denial, until));
    }
    if path.is_in_trouble() {
        let soa = path.soa.question.clone();
        let (without_cd, without_edns) = tokio::join!(
            exchange(server, &soa, How { cd: false, ..How::PROOF }, until),
            exchange(server, &soa, How { edns: false, ..How::PROOF }, until)
        );
        path.without_cd = Some(without_cd);
        path.without_edns = Some(without_edns);
    }
    path
}

/// Asks over UDP, and over TCP for what is cut short. Where nothing comes over UDP, [`look`] knows whether TCP is a way.
async fn probe(server: SocketAddr, question: Question, until: Instant) -> Probe {
    let udp = exchange(server, &question, How::PROOF, until).await;
    let mut probe = Probe { question, udp, tcp: None };
    if probe.is_cut() {
        ask_by_tcp(server, &mut probe, until).await;
    }
    probe
}

async fn ask_by_tcp(server: SocketAddr, probe: &mut Probe, until: Instant) {
    let over_tcp = How { tcp: true, ..How::PROOF };
    probe.tcp = Some(exchange(server, &probe.question, over_tcp, until).await);
}

/// How a question is put.
#[derive(Debug, Clone, Copy)]
struct How {
    tcp: bool,
    cd: bool,
    edns: bool,
}

impl How {
    /// As proofs ask.
    const PROOF: How = How { tcp: false, cd: true, edns: true };
}

async fn exchange(server: SocketAddr, question: &Question, how: How, until: Instant) -> Outcome {
    let id: u16 = rand::random();
    let mut query = question.query(id, how.cd, transport::UDP_PAYLOAD);
    if !how.edns {
        without_edns(&mut query);
    }
    // Malformed replies are to be told of, not waited over.
    let fits = |reply: &[u8]| is_reply_to(reply, id, question);
    let message = match how.tcp {
        true => transport::tcp(server, &query, until, fits).await,
        false => transport::udp_raw(server, &query, until, RESEND, fits).await,
    };
    let message = message.map_err(|error| error.to_string())?;
    Reply::read(&message, id, question).ok_or_else(|| format!("{server} sent a malformed reply"))
}

/// Takes the OPT record off the end of a query: 11 octets, and one record less in the additional section.
fn without_edns(query: &mut Vec<u8>) {
    const OPT: usize = 11;
    query.truncate(query.len().saturating_sub(OPT));
    if let Some(count) = query.get_mut(10..12) {
        count.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    #[test]
    fn what_is_offered_is_what_is_judged() {
        let judged = crate::proto::doctor::path::UDP_PAYLOAD;
        assert_eq!(usize::from(transport::UDP_PAYLOAD), judged);
    }

    #[test]
    fn the_child_lies_on_the_way_to_the_host() {
        let host = name("web1.example.com");
        assert_eq!(child(&Name::root(), Some(&host)), Some(name("com")));
        assert_eq!(child(&name("com"), Some(&host)), Some(name("example.com")));
        assert_eq!(child(&host, Some(&host)), None);
        assert_eq!(child(&name("test"), Some(&host)), None);
        assert_eq!(child(&Name::root(), None), Some(name("com")));
        assert_eq!(child(&name("test"), None), None);
    }

    #[test]
    fn a_query_without_edns_is_a_plain_one() {
        let question = Question::new(name("example.com"), RrType::SOA);
        let mut query = question.query(7, true, 1232);
        without_edns(&mut query);
        assert_eq!(query[10..], [&[0, 0][..], question.name.wire(), &[0, 6, 0, 1]].concat());
    }
}
