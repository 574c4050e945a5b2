//! The names in a zone that have host keys, as a transfer of the zone tells them. It is a list of whom to look at: what
//! is published is proven host by host, as ever.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::Found;
use crate::dns::authority::Authority;
use crate::dns::transfer::{NoTransfer, owners};
use crate::dns::tsig::Key;
use crate::error::Error;
use crate::proto::inventory::MAX_HOSTS;
use crate::proto::inventory::zone::places;
use crate::proto::name::Name;
use crate::proto::transfer::TransferError;

/// The hosts of `zone`: the first of `servers` that hands it out tells. `patience` is for one server, `now` the time in
/// seconds since 1970.
pub async fn read(
    zone: &Name,
    servers: &[SocketAddr],
    key: Option<&Key>,
    patience: Duration,
    now: u64,
) -> Result<Vec<Found>, Error> {
    let mut troubles = Vec::new();
    for server in servers {
        let authority = Authority { server: *server, patience, deadline: Instant::now() + patience };
        match owners(&authority, zone, key, MAX_HOSTS, now).await {
            Ok(owners) => {
                let found = places(&owners)
                    .into_iter()
                    .map(|(host, port)| Found { port, ..Found::new(host.to_string(), None) });
                return Ok(found.collect());
            }
            Err(error @ (NoTransfer::TooLong(_) | NoTransfer::TooMany(_))) => {
                return Err(explain(zone, &[(*server, error)]));
            }
            Err(error) => troubles.push((*server, error)),
        }
    }
    Err(explain(zone, &troubles))
}

fn explain(zone: &Name, troubles: &[(SocketAddr, NoTransfer)]) -> Error {
    let told: Vec<String> = troubles.iter().map(|(server, why)| format!("{server}: {why}")).collect();
    let is_refusal = |(_, why): &(SocketAddr, NoTransfer)| {
        matches!(why, NoTransfer::Reply(TransferError::Rcode(_) | TransferError::NotAuthoritative))
    };
    let hint = match troubles {
        [] => "name one: --zone-server ADDR[:PORT]".to_owned(),
        // Knot says NOTAUTH to whom it grants nothing, and others REFUSED where they do not have the zone.
        troubles if troubles.iter().any(is_refusal) => format!(
            "a server that has {zone} has to grant the transfer to this address (BIND: allow-transfer; Knot: an acl with action: \
             transfer), or to the key that --zone-key FILE names; name another one: --zone-server ADDR[:PORT]"
        ),
        _ => "name a server of the zone that grants transfers: --zone-server ADDR[:PORT]".to_owned(),
    };
    let told = if told.is_empty() { "no server of it is known".to_owned() } else { told.join("; ") };
    Error::failure("zone-transfer", format!("no server hands out the zone {zone}: {told}")).hint(hint)
}
