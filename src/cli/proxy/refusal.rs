//! Why there is no connection: what the client learns by a packet, the user on standard error, and the trail.

use super::target::Target;
use super::tunnel;
use crate::cli::{BAD_KEY_HINT, Context, handshake_hint};
use crate::error::{Error, Kind};
use crate::output::{Output, can_be_read};
use crate::proto::handshake::End;
use crate::proto::hostkey::HostKeyError;
use crate::proto::name::HostName;
use crate::ssh::relay::standard::{stdin, stdout};
use crate::ssh::relay::{Cause, refuse_client};
use crate::verifier::{ProbeFailure, now};

/// Why there is no connection.
pub(super) fn unreachable(failure: ProbeFailure) -> Error {
    let hint = match &failure {
        ProbeFailure::Unreachable(why) => why.hint(),
        ProbeFailure::Handshake(error) => handshake_hint::of_probe(error).to_owned(),
    };
    Error::failure("unreachable", failure).hint(hint)
}

/// Why a handshake did not come to a decision.
pub(super) fn broken(host: &HostName, cause: &Cause) -> Error {
    let message = format!("{host}: {cause}");
    match cause {
        Cause::Program(_) => tunnel::broken(message),
        Cause::Handshake(
            End::HostKey(HostKeyError::Sha1)
            | End::ClientClosed
            | End::Client { .. }
            | End::ClientVersion(_)
            | End::ClientFrame(_)
            | End::ClientKexInit(_),
        )
        | Cause::Client(_) => Error::failure("handshake", message),
        Cause::Deadline(what) if what.starts_with("the client's") => Error::failure("handshake", message),
        Cause::Handshake(End::HostKey(_)) => {
            Error::new(Kind::Rejected, "bad-host-key", message).hint(BAD_KEY_HINT)
        }
        _ => Error::failure("handshake", message).hint(handshake_hint::of_relay(cause)),
    }
}

/// Notes in the trail that there was no verdict by a key; without its line a refusal is one all the same.
pub(super) fn note(cx: &Context, host: &str, port: u16, error: &Error) {
    if let Some(trail) = &cx.trail {
        let _ = trail.failure(host, port, error, now());
    }
}

/// The same, and tells why.
pub(super) async fn refuse_host(cx: &Context, target: &Target, error: Error) -> Kind {
    note(cx, &target.name(), target.port, &error);
    refuse(cx, error).await
}

/// Tells the client and the user why there is no connection.
pub(super) async fn refuse(cx: &Context, error: Error) -> Kind {
    let warnings: Vec<String> = cx.warnings.iter().cloned().chain(cx.trail_trouble()).collect();
    refuse_with(cx.out, &warnings, error).await
}

/// The same where nothing more than the error is known.
pub(in crate::cli) async fn refuse_with(out: Output, warnings: &[String], error: Error) -> Kind {
    let tell = || {
        warnings.iter().for_each(|warning| out.warn(warning));
        out.refusal(&error);
        brief(&error)
    };
    refuse_client(stdin(), stdout(), &wording(&error), tell).await;
    error.kind
}

/// What is left to be told by packet to a user who can read standard error: no hint twice.
pub(super) fn brief(error: &Error) -> Option<String> {
    can_be_read().then(|| format!("sshanchor: {}", error.message))
}

/// What the client's user reads: message and hint on one line.
pub(super) fn wording(error: &Error) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
    format!("sshanchor: {}{}", error.message, hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_host_key_is_a_reject_and_a_broken_handshake_a_failure() {
        let host = HostName::parse("web1.example").unwrap();
        let kind = |end: End| broken(&host, &end.into()).kind;
        assert_eq!(kind(End::HostKey(HostKeyError::Base64)), Kind::Rejected);
        assert_eq!(kind(End::HostKey(HostKeyError::Sha1)), Kind::Failure);
        assert_eq!(kind(End::ServerGuess), Kind::Failure);
        let hint = |what| broken(&host, &Cause::Deadline(what)).hint;
        assert_eq!((hint("the client's version"), hint("the server's group").is_some()), (None, true));
    }
}
