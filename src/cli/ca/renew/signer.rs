//! Where a certificate comes from: a CA of one's own that is within reach, or a program of the user's.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::cli::Context;
use crate::cli::ca::{Keys, ca_error};
use crate::error::Error;
use crate::proto::certificate::Certificate;
use crate::proto::duration;
use crate::proto::hostkey::{HostKey, MAX_BLOB};
use crate::proto::issuance::{DEFAULT_VALIDITY, Request};
use crate::proto::name::HostName;
use crate::proto::renewal::{self, CertificateError};
use crate::proto::template::{Template, TemplateError};
use crate::run::run;
use crate::ssh::ca::Ca;
use crate::verifier::now;

/// Most that a signer may print, in octets: the longest certificate in base64, and a comment.
const MAX_OUTPUT: usize = MAX_BLOB * 2;

/// What is to be signed.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) key: &'a HostKey,
    pub(super) names: &'a [HostName],
    /// None: as long as the CA's certificates are.
    pub(super) validity: Option<Duration>,
    /// It takes the place of another one.
    pub(super) is_renewal: bool,
}

/// Who signs it.
pub(super) enum Signer {
    /// A CA on this machine, or one whose key is in ssh-agent.
    Ca(Box<Ca>, Keys),
    /// A program that prints the certificate.
    Command(Template),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ca(ca, _) => write!(f, "the CA in {}", ca.folder().display()),
            Self::Command(command) => write!(f, "the signer ({})", command.program()),
        }
    }
}

impl Signer {
    pub(super) fn command(text: &str) -> Result<Self, Error> {
        Template::parse(text, &['h', 'n', 'v', 's']).map(Self::Command).map_err(|e| {
            let told = Error::usage("signer", format!("--signer {text:?}: {e}"));
            match e {
                TemplateError::NoProgram => {
                    told.hint("give the command that prints the certificate: --signer 'ssh ca@issuer sign %n %v'")
                }
                TemplateError::Percent(_) => told.hint(
                    "%h is the first name, %n all names with commas between them, %v the validity (30d), %s the same in \
                     seconds, %% a percent sign",
                ),
                _ => told,
            }
        })
    }

    /// The CA keys that it signs with, if that is known.
    pub(super) fn authorities(&self) -> Option<BTreeSet<[u8; 32]>> {
        match self {
            // During a roll the one that signs now: certificates of the one before are to be replaced.
            Self::Ca(ca, _) => Some([ca.public_key().sha256()].into()),
            Self::Command(_) => None,
        }
    }

    /// What it returns, which is not to be believed.
    pub(super) async fn sign(
        &self,
        wish: &Wish<'_>,
        cx: &Context,
    ) -> Result<Result<Certificate, CertificateError>, Error> {
        match self {
            Self::Ca(ca, keys) => {
                let (validity, is_renewal) = (wish.validity, wish.is_renewal);
                let request =
                    Request { validity, is_renewal, ..Request::new(wish.key.clone(), wish.names.to_vec()) };
                let issued = ca.sign(&request, now(), keys.access(cx)).await.map_err(ca_error)?;
                Ok(renewal::read(&issued.line()))
            }
            Self::Command(command) => {
                let validity = wish.validity.unwrap_or(DEFAULT_VALIDITY);
                let arguments = command.arguments(|gap| match gap {
                    'h' => wish.names.first().map(HostName::to_string).unwrap_or_default(),
                    'n' => wish.names.iter().map(HostName::to_string).collect::<Vec<_>>().join(","),
                    's' => validity.as_secs().to_string(),
                    _ => duration::text(validity),
                });
                let line = format!("{}\n", wish.key.line());
                let program = command.program();
                let failed = |why: String| {
                    Error::failure("signer", format!("no certificate: the signer ({why}); nothing was changed"))
                        .hint("run it by hand with the host's public key on its standard input; --timeout gives it more time")
                };
                let ran = run(program.as_ref(), &arguments, line.as_bytes(), MAX_OUTPUT, cx.timeout).await;
                let ran = ran.map_err(|error| failed(error.to_string()))?;
                if let Some(why) = ran.failure() {
                    return Err(failed(format!("{program} {why}")));
                }
                Ok(match std::str::from_utf8(&ran.output) {
                    Ok(text) => renewal::read(text),
                    Err(_) => Err(CertificateError::NotOneLine),
                })
            }
        }
    }
}
