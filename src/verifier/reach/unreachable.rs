//! Why there is no connection: each address that was tried, and what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::proto::destination::Destination;

/// An address that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why not; none if it has not answered in time.
    pub failure: Option<io::Error>,
}

/// Why there is no connection. At most [`crate::proto::happy_eyeballs::MAX_ADDRESSES`] attempts are in it.
#[derive(Debug)]
pub struct Unreachable {
    /// Where to.
    pub place: Destination,
    /// Its port.
    pub port: u16,
    /// What was tried, in this order.
    pub attempts: Vec<Attempt>,
    /// Why the lookup gave no address, if it gave none; what was tried was known before.
    pub no_address: Option<String>,
}

impl std::error::Error for Unreachable {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unreachable { place, port, attempts, no_address } = self;
        write!(f, "cannot reach {place} port {port}: ")?;
        let mut causes: Vec<String> = attempts
            .iter()
            .map(|Attempt { address, failure }| {
                let cause = failure.as_ref().map_or("no answer in time".to_owned(), ToString::to_string);
                match place.socket_address(*port) {
                    Some(_) => cause,
                    None => format!("{}: {cause}", address.ip()),
                }
            })
            .collect();
        causes.extend(no_address.as_ref().map(|why| match attempts.is_empty() {
            true => format!("no address: {why}"),
            false => format!("no other address: {why}"),
        }));
        if causes.is_empty() {
            causes.push("no address in time".to_owned());
        }
        f.write_str(&causes.join("; "))
    }
}

impl Unreachable {
    /// What to do next.
    pub fn hint(&self) -> String {
        let Unreachable { place, port, attempts, .. } = self;
        let refuses = |attempt: &Attempt| {
            attempt.failure.as_ref().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
        };
        if attempts.is_empty() {
            format!(
                "check the name, the A and AAAA records of {place}, and the resolver (--resolver ADDR names another one)"
            )
        } else if attempts.iter().all(refuses) {
            format!(
                "the machine answers, and nothing listens on port {port}: check its address, and whether sshd is running and where"
            )
        } else if attempts.iter().any(refuses) {
            format!("check the addresses of {place} and whether sshd is running")
        } else {
            "check its address, whether it is up, and the way there (routes, firewalls; through a jump host: sshanchor proxy --via)".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(address: &str, failure: Option<io::ErrorKind>) -> Attempt {
        let address = SocketAddr::new(address.parse().unwrap(), 22);
        Attempt { address, failure: failure.map(io::Error::from) }
    }

    #[test]
    fn each_address_is_named_with_its_cause_and_what_to_do() {
        let mut unreachable = Unreachable {
            place: Destination::parse("web1.example.com").unwrap(),
            port: 22,
            attempts: vec![attempt("2001:db8::1", Some(io::ErrorKind::ConnectionRefused))],
            no_address: None,
        };
        assert!(unreachable.hint().contains("nothing listens on port 22"));
        unreachable.attempts.push(attempt("192.0.2.1", None));
        assert_eq!(
            unreachable.to_string(),
            "cannot reach web1.example.com port 22: 2001:db8::1: connection refused; 192.0.2.1: no answer in time"
        );
        assert!(unreachable.hint().contains("whether sshd is running"));
        unreachable.attempts.remove(0);
        unreachable.no_address = Some("it has none".to_owned());
        assert!(unreachable.to_string().ends_with("no answer in time; no other address: it has none"));
        assert!(unreachable.hint().contains("firewalls"));
        unreachable.attempts.clear();
        assert!(unreachable.to_string().ends_with("port 22: no address: it has none"));
        assert!(unreachable.hint().contains("AAAA"));
        unreachable.place = Destination::parse("::1").unwrap();
        unreachable.attempts = vec![attempt("::1", Some(io::ErrorKind::ConnectionRefused))];
        unreachable.no_address = None;
        assert_eq!(unreachable.to_string(), "cannot reach ::1 port 22: connection refused");
    }
}
