//! Where a certificate comes from: a program of the user's.

use std::fmt;
use std::time::Duration;

use data_encoding::BASE64;

use crate::error::Error;
use crate::proto::duration;
use crate::proto::hostkey::{HostKey, MAX_BLOB};
use crate::proto::renewal::{Certificate, CertificateError};
use crate::proto::template::{Template, TemplateError};
use crate::run::run;

/// Most that a signer may print, in octets: the longest certificate in base64, and a comment.
const MAX_OUTPUT: usize = MAX_BLOB * 2;

/// What is to be signed.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) key: &'a HostKey,
    pub(super) names: &'a [String],
    pub(super) validity: Duration,
}

/// Who signs it.
#[derive(Debug)]
pub(super) enum Signer {
    /// A program that prints the certificate.
    Command(Template),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => write!(f, "the signer ({})", command.program()),
        }
    }
}

impl Signer {
    pub(super) fn command(text: &str) -> Result<Self, Error> {
        Template::parse(text, &['h', 'n', 'v', 's']).map(Self::Command).map_err(|e| {
            let told = Error::usage("signer", format!("--signer {text:?}: {e}"));
            match e {
                TemplateError::Percent(_) => told.hint(
                    "%h is the first name, %n all names with commas between them, %v the validity (30d), %s the same in \
                     seconds, %% a percent sign",
                ),
                _ => told,
            }
        })
    }

    /// What it returns, which is not to be believed.
    pub(super) async fn sign(
        &self,
        request: &Request<'_>,
        patience: Duration,
    ) -> Result<Result<Certificate, CertificateError>, Error> {
        match self {
            Self::Command(command) => {
                let arguments = command.arguments(|gap| match gap {
                    'h' => request.names.first().cloned().unwrap_or_default(),
                    'n' => request.names.join(","),
                    's' => request.validity.as_secs().to_string(),
                    _ => duration::text(request.validity),
                });
                let line = format!("{} {}\n", request.key.key_type(), BASE64.encode(request.key.blob()));
                let program = command.program();
                let failed = |why: String| {
                    Error::failure("signer", format!("no certificate: the signer ({why}); nothing was changed"))
                        .hint("run it by hand with the host's public key on its standard input; --timeout gives it more time")
                };
                let ran = run(program.as_ref(), &arguments, line.as_bytes(), MAX_OUTPUT, patience).await;
                let ran = ran.map_err(|error| failed(error.to_string()))?;
                if let Some(why) = ran.failure() {
                    return Err(failed(format!("{program} {why}")));
                }
                Ok(match std::str::from_utf8(&ran.output) {
                    Ok(text) => Certificate::from_text(text),
                    Err(_) => Err(CertificateError::NotOneLine),
                })
            }
        }
    }
}
