//! What to do about a server with which there is no SSH handshake.

use crate::proto::handshake::End;
use crate::ssh::probe::ProbeError;
use crate::ssh::relay::Cause;

const ANY: &str = "is this an SSH server? ssh -v shows what it says";
/// Larger packets than the first line are lost on paths whose MTU nobody tells, and the connection stands still.
const STALLED: &str = "it named its version and sent nothing whole after that: does the way there lose large packets \
    (MTU; a VPN or tunnel)? ssh -v shows how far it gets";
const DISAGREEMENT: &str = "ssh -v shows what client and server offer (KexAlgorithms, HostKeyAlgorithms, Ciphers, MACs in \
    their configurations)";

/// After a handshake of this program's own.
pub(super) fn of_probe(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::Disconnected(said) => of_last_words(said),
        ProbeError::Timeout { version: true } => STALLED,
        _ => ANY,
    }
}

/// After a client's handshake by the relay.
pub(super) fn of_relay(cause: &Cause) -> &'static str {
    match cause {
        Cause::Handshake(End::ServerClosed { said: Some(said), .. }) => of_last_words(said),
        Cause::Handshake(End::Disagreement(_)) => DISAGREEMENT,
        Cause::Deadline("the server's version") => ANY,
        Cause::Deadline(_) => STALLED,
        _ => ANY,
    }
}

/// By the line that sshd sends in place of its version to whom it takes no connection from: before 9.8 there was one
/// reason, since then one line is for all (measured with 9.2, 9.6 and 10.2).
fn of_last_words(said: &str) -> &'static str {
    match said {
        "Exceeded MaxStartups" => {
            "too many connections there have not logged in yet: try again in a moment, or raise sshd's MaxStartups"
        }
        "Not allowed at this time" => {
            "sshd refuses this address for a while, for too many connections that did not log in (PerSourcePenalties), or is at \
             its MaxStartups; its log tells: try again in a minute, or name this address in its PerSourcePenaltyExemptList"
        }
        _ => ANY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_why_is_believed_to_be_one() {
        for (said, hint) in [
            ("Exceeded MaxStartups", "MaxStartups"),
            ("Not allowed at this time", "PerSourcePenaltyExemptList"),
            ("HTTP/1.1 400 Bad Request", "is this an SSH server"),
        ] {
            assert!(of_probe(&ProbeError::Disconnected(said.into())).contains(hint), "{said}");
            let end = End::ServerClosed { waiting_for: "the server's version", said: Some(said.into()) };
            assert!(of_relay(&end.into()).contains(hint), "{said}");
        }
    }

    #[test]
    fn a_server_that_falls_silent_behind_its_version_is_one() {
        assert_eq!(of_probe(&ProbeError::Timeout { version: true }), STALLED);
        assert_eq!(of_probe(&ProbeError::Timeout { version: false }), ANY);
        assert_eq!(of_relay(&Cause::Deadline("the server's KEXINIT")), STALLED);
        assert_eq!(of_relay(&Cause::Deadline("the server's version")), ANY);
    }
}
