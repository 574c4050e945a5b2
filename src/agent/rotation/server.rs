//! sshd made to hide a type of key, to tell of the next one, to show the new one: configured, tested, reloaded, and seen
//! to do it by handshakes; or as it was before.

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::host::{Host, drop_in_error, sshd_error};
use crate::agent::renewal::{Server, StepError};
use crate::error::Error;
use crate::proto::hostkey::KeyType;
use crate::proto::rotation::Digest;
use crate::ssh::probe::{Ask, ProbeError, probe};
use crate::ssh::sshd::drop_in::{Content, DropIn, algorithms};
use crate::ssh::sshd::{Effective, SignalError};

/// The pause after a handshake that showed something else: doubled each time. sshd counts clients that do not log in
/// (PerSourcePenalties), so that they are few.
const PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How long a single handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// What handshakes have to show of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// sshd does not offer it.
    Hidden,
    /// This key.
    Key(Digest),
}

/// What sshd is to do.
#[derive(Debug)]
pub struct Change<'a> {
    /// The drop-in; none takes it away.
    pub content: Option<Content>,
    /// What handshakes have to show afterwards.
    pub expected: &'a [(KeyType, Expected)],
    /// A type that has to be served meanwhile.
    pub other: Option<KeyType>,
}

/// What a handshake shows of a type: its key, or that it is not offered.
pub async fn offered(server: &Server, key_type: KeyType) -> Result<Option<Digest>, String> {
    let deadline = Instant::now() + server.patience.min(HANDSHAKE);
    let stream = match timeout_at(deadline, TcpStream::connect(server.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("cannot connect: {error}")),
        Err(_) => return Err("cannot connect: no answer in time".into()),
    };
    match probe(stream, &Ask::Keys(vec![key_type]), deadline).await {
        Ok(probed) => Ok(Some(probed.presented.key().sha256())),
        Err(ProbeError::NoCommonKeyType { server_offers }) => {
            let names = algorithms(key_type);
            match server_offers.iter().find(|name| names.contains(name)) {
                // A certificate holds the key just the same.
                Some(name) => Err(format!("it offers {name}")),
                None => Ok(None),
            }
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What sshd offers without these types: as it is in force, so that it may be asked for twice.
pub fn without(effective: &Effective, types: &[KeyType]) -> Result<Vec<String>, Error> {
    let hidden: Vec<String> = types.iter().flat_map(|key_type| algorithms(*key_type)).collect();
    let rest: Vec<String> =
        effective.algorithms.iter().filter(|name| !hidden.contains(name)).cloned().collect();
    match rest.is_empty() {
        true => Err(Error::usage(
            "no-algorithm",
            "sshd_config's HostKeyAlgorithms leave nothing but the type that is to be hidden",
        )
        .hint("allow another type there")),
        false => Ok(rest),
    }
}

/// Configures sshd, and sees that it does what it is told; whatever fails, the configuration before is in force again.
pub async fn configure(server: &Server, drop_in: Option<&DropIn>, change: &Change<'_>) -> Result<(), Error> {
    let before = drop_in.map(DropIn::read).transpose().map_err(drop_in_error)?.flatten();
    let text = change.content.as_ref().map(Content::text);
    if let Some(drop_in) = drop_in {
        drop_in.put(text.as_deref()).map_err(drop_in_error)?;
    }
    let mut error = match test(server, change).await {
        Ok(()) => match bring_into_force(server, change).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        },
        // It was never told.
        Err(mut error) => {
            put_back(drop_in, before.as_deref())?;
            error.message += "; sshd's configuration is as it was";
            return Err(error);
        }
    };
    put_back(drop_in, before.as_deref())?;
    error.message += match server.reload().await {
        Ok(()) => "; sshd's configuration is as it was, and it was told so",
        Err(_) => "; sshd's configuration is as it was, but it could not be told",
    };
    Err(error)
}

fn put_back(drop_in: Option<&DropIn>, before: Option<&str>) -> Result<(), Error> {
    drop_in.map_or(Ok(()), |drop_in| drop_in.put(before)).map_err(drop_in_error)
}

/// It could start with it, and it would be in force.
async fn test(server: &Server, change: &Change<'_>) -> Result<(), Error> {
    server.sshd.test(server.patience).await.map_err(sshd_error)?;
    let Some(content) = &change.content else { return Ok(()) };
    let effective = server.sshd.effective(server.patience).await.map_err(sshd_error)?;
    if content.algorithms.as_ref().is_some_and(|wanted| *wanted != effective.algorithms) {
        let error = Error::usage(
            "not-in-force",
            "another HostKeyAlgorithms line of sshd's configuration comes first",
        );
        return Err(error.hint("sshd takes the first value: put its Include line in front of it"));
    }
    let lacks = |path: &&PathBuf| !effective.host_keys.contains(path);
    if let Some(path) = content.host_keys.iter().find(lacks) {
        let error = Error::failure(
            "not-in-force",
            format!("sshd -T does not know of the host key {}", path.display()),
        );
        return Err(error.hint("see what sshd -T says"));
    }
    Ok(())
}

async fn bring_into_force(server: &Server, change: &Change<'_>) -> Result<(), Error> {
    let how = "say how it is reloaded: --reload-sshd 'systemctl reload ssh'";
    let not_told = match server.reload().await {
        Ok(()) => None,
        // Something else may start it for each connection.
        Err(StepError::Signal(error @ SignalError::NoPidFile(_))) => Some(error),
        Err(error) => return Err(Error::failure("not-reloaded", error).hint(how)),
    };
    let deadline = Instant::now() + server.patience;
    let mut pause = PAUSE;
    loop {
        let Err(why) = seen(server, change).await else { return Ok(()) };
        if Instant::now() + pause >= deadline {
            let told = not_told.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
            let message = format!(
                "sshd at {} does not do as it is configured within {} s: {why}{told}",
                server.address,
                server.patience.as_secs_f64()
            );
            let error = Error::failure("not-seen", message);
            return Err(match not_told {
                Some(_) => error.hint(how),
                None => error.hint("is it this sshd that listens there (--connect ADDR:PORT, --sshd-config FILE)? its log says more"),
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

async fn seen(server: &Server, change: &Change<'_>) -> Result<(), String> {
    for (key_type, expected) in change.expected {
        match (offered(server, *key_type).await?, expected) {
            (None, Expected::Hidden) => {}
            (Some(key), Expected::Key(wanted)) if key == *wanted => {}
            (None, Expected::Key(_)) => return Err(format!("it does not offer {key_type}")),
            (Some(_), Expected::Hidden) => return Err(format!("it offers {key_type}")),
            (Some(_), Expected::Key(_)) => return Err(format!("it shows another key of type {key_type}")),
        }
    }
    match change.other {
        Some(other) if offered(server, other).await?.is_none() => Err(format!("it does not offer {other}")),
        _ => Ok(()),
    }
}

/// A drop-in that hides these types.
pub fn hiding(host: &Host, types: &[KeyType]) -> Result<Content, Error> {
    Ok(Content { host_keys: Vec::new(), algorithms: Some(without(&host.effective, types)?) })
}
