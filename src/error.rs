//! What went wrong, for people and for scripts: a kind (which is the exit code), a stable reason,
//! a sentence, and what to do next.

use std::{fmt, io};

use crate::files;

/// The outcome of a command; its number is the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// I/O trouble, a host that cannot be reached, a server that refuses.
    Failure,
    /// The command line, a file it names, or the configuration is wrong.
    Usage,
    /// A proof speaks against it.
    Rejected,
    /// Nothing vouches for it.
    Unproven,
    /// Changes are pending (`--check`), or there are findings.
    Pending,
}

impl Kind {
    /// The exit status.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failure => 1,
            Kind::Usage => 2,
            Kind::Rejected => 3,
            Kind::Unproven => 4,
            Kind::Pending => 5,
        }
    }

    /// Of several outcomes the gravest decides: 3, then 4, then 1, then the rest.
    pub fn gravest(kinds: impl IntoIterator<Item = Kind>) -> Option<Kind> {
        const ORDER: [Kind; 5] = [Kind::Pending, Kind::Usage, Kind::Failure, Kind::Unproven, Kind::Rejected];
        kinds.into_iter().max_by_key(|kind| ORDER.iter().position(|k| k == kind))
    }
}

/// An error that ends a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// Decides the exit status.
    pub kind: Kind,
    /// A stable word for scripts, in kebab-case; listed in docs/json.md.
    pub reason: &'static str,
    /// What happened, to what: lower case, no full stop. May hold peers' octets: `output` sanitises.
    pub message: String,
    /// What to do next, if that is known.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint yet.
    pub fn new(kind: Kind, reason: &'static str, message: impl fmt::Display) -> Self {
        Error { kind, reason, message: message.to_string(), hint: None }
    }

    /// I/O and network trouble.
    pub fn failure(reason: &'static str, message: impl fmt::Display) -> Self {
        Self::new(Kind::Failure, reason, message)
    }

    /// A file that cannot be read or written, with what to do where the system's word tells.
    pub fn io(message: impl fmt::Display, error: &io::Error) -> Self {
        let hint = files::remedy(error).map(str::to_owned);
        Error { hint, ..Self::failure("io", message) }
    }

    /// A wrong command line or configuration.
    pub fn usage(reason: &'static str, message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, reason, message)
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The fields `error`, `reason` and `hint` of a result that tells of its failure itself: null where all is well. For
/// serde, flattened.
pub fn fields<S: serde::Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(serde::Serialize)]
    struct Fields<'a> {
        error: Option<&'a str>,
        reason: Option<&'a str>,
        hint: Option<&'a str>,
    }
    let error = error.as_ref();
    let fields = Fields {
        error: error.map(|e| e.message.as_str()),
        reason: error.map(|e| e.reason),
        hint: error.and_then(|e| e.hint.as_deref()),
    };
    serde::Serialize::serialize(&fields, serializer)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_design() {
        let codes: Vec<u8> = [Kind::Failure, Kind::Usage, Kind::Rejected, Kind::Unproven, Kind::Pending]
            .map(Kind::exit_code)
            .to_vec();
        assert_eq!(codes, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_gravest_of_several_decides() {
        use Kind::*;
        assert_eq!(Kind::gravest([Failure, Rejected, Unproven]), Some(Rejected));
        assert_eq!(Kind::gravest([Failure, Unproven]), Some(Unproven));
        assert_eq!(Kind::gravest([Failure, Usage]), Some(Failure));
        assert_eq!(Kind::gravest([]), None);
    }
}
