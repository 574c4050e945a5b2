//! Whom `proxy` is to prove, and where to connect: not always the same.

use super::Args;
use crate::cli::host_name;
use crate::error::{Error, Kind};
use crate::proto::destination::Destination;
use crate::proto::name::HostName;
use crate::proto::policy::{Mode, Policies};
use crate::proto::via::Via;

/// What the command line means.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: Destination,
    pub(super) port: u16,
    /// What connects to it, if that is not a TCP connection of this process.
    pub(super) via: Option<Via>,
    /// As given by `--identity`.
    identity: Option<HostName>,
}

impl Target {
    pub(super) fn read(args: &Args) -> Result<Self, Error> {
        let identity = args.identity.as_deref().map(|name| {
            host_name(name).map_err(|e| match e.kind {
                Kind::Unproven => Error::usage("host-name", format!("--identity: {}", e.message))
                    .hint("name the host whose records are to prove the key"),
                _ => Error { message: format!("--identity: {}", e.message), ..e },
            })
        });
        let place = Destination::parse(&args.host).map_err(|e| Error::usage("host-name", e))?;
        let via = args.via.as_deref().map(|text| {
            Via::parse(text).map_err(|e| {
                Error::usage("via", format!("--via: {e}"))
                    .hint("give a command that connects its standard input and output, such as --via 'ssh -W [%h]:%p JUMP'")
            })
        });
        Ok(Target { place, port: args.port, via: via.transpose()?, identity: identity.transpose()? })
    }

    /// The host that is meant: a name, or an address.
    pub(super) fn name(&self) -> String {
        match &self.identity {
            Some(identity) => identity.to_string(),
            None => self.place.to_string(),
        }
    }

    /// Policy passes it.
    pub(super) fn is_passed(&self, policies: &Policies) -> bool {
        policies.of(&self.name()).mode == Mode::Pass
    }

    /// Whose records are to prove the key.
    pub(super) fn host(&self) -> Result<&HostName, Error> {
        match (&self.identity, &self.place) {
            (Some(identity), _) => Ok(identity),
            (None, Destination::Name(host)) => Ok(host),
            (None, Destination::Address { .. }) => {
                let message =
                    format!("{} is an address, and no DNS record vouches for an address", self.place);
                Err(Error::new(Kind::Unproven, "address", message).hint(
                    "use the host's name, or give it besides: sshanchor proxy --identity NAME ADDRESS PORT",
                ))
            }
        }
    }

    /// It is not where its own name says.
    fn is_elsewhere(&self) -> bool {
        let is_here =
            |identity: &HostName| matches!(&self.place, Destination::Name(host) if host == identity);
        self.identity.as_ref().is_some_and(|identity| !is_here(identity))
    }

    /// An error about the host, with where it was sought.
    pub(super) fn located(&self, error: Error) -> Error {
        match self.is_elsewhere() {
            true => Error {
                message: format!("{} (at {} port {})", error.message, self.place, self.port),
                ..error
            },
            false => error,
        }
    }

    /// An error about where it was sought, with the host.
    pub(super) fn named(&self, error: Error) -> Error {
        match &self.identity {
            Some(identity) if self.is_elsewhere() => {
                Error { message: format!("{} (for {identity})", error.message), ..error }
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(host: &str, identity: Option<&str>, via: Option<&str>) -> Args {
        let [identity, via] = [identity, via].map(|text| text.map(str::to_owned));
        Args {
            host: host.to_owned(),
            port: 2222,
            identity,
            via,
            no_pass: false,
            bundle: Default::default(),
            private: Default::default(),
        }
    }

    fn read(host: &str, identity: Option<&str>) -> Result<Target, Error> {
        Target::read(&args(host, identity, None))
    }

    #[test]
    fn an_identity_is_a_name_and_the_place_may_be_anything() {
        for place in ["127.0.0.1", "::1", "[::1]", "fe80::1%lo", "elsewhere.example.com"] {
            let target = read(place, Some("web1.example.com")).unwrap();
            assert_eq!(target.host().unwrap().to_string(), "web1.example.com");
            let shown = target.place.to_string();
            let error = Error::failure("x", "web1.example.com shows another key");
            let message = target.located(error).message;
            assert_eq!(message, format!("web1.example.com shows another key (at {shown} port 2222)"));
            let message = target.named(Error::failure("x", "cannot reach it")).message;
            assert_eq!(message, "cannot reach it (for web1.example.com)");
        }
        let target = read("WEB1.example.com", Some("web1.example.com.")).unwrap();
        assert_eq!(target.located(Error::failure("x", "no")).message, "no");
        assert_eq!(read("web1", None).unwrap().host().unwrap().to_string(), "web1");
        assert_eq!(read("::1", None).unwrap().host().unwrap_err().kind, Kind::Unproven);
        for (place, identity) in [
            ("web1", "::1"),
            ("web1", "192.0.2.1"),
            ("web1", "web_1"),
            ("web1", ""),
            ("web_1", "web1"),
            ("", "web1"),
        ] {
            let error = read(place, Some(identity)).unwrap_err();
            assert_eq!((error.kind, error.reason), (Kind::Usage, "host-name"), "{place} {identity}");
        }
    }

    #[test]
    fn a_command_without_a_sense_is_a_usage_error() {
        for bad in ["", "ssh '", "ssh %x", "%h"] {
            let error = Target::read(&args("web1", None, Some(bad))).unwrap_err();
            assert_eq!((error.kind, error.reason), (Kind::Usage, "via"), "{bad}");
        }
    }
}
