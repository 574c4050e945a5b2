//! The options of commands that change what sshd shows: which one, how it is reloaded, where it is seen.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Context;
use crate::agent::renewal::{Reload, Server};
use crate::config::publishing::Rotate;
use crate::error::Error;
use crate::proto::template::{Template, TemplateError};
use crate::ssh::sshd::{Effective, Sshd, SshdError};

/// sshd's port where nothing says otherwise.
const SSH: u16 = 22;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct SshdArgs {
    /// Where handshakes are made that have to show it [default: loopback, else where sshd listens]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = address)]
    connect: Option<(IpAddr, Option<u16>)>,
    /// sshd's configuration, if it is not the system's
    #[arg(long, value_name = "FILE")]
    sshd_config: Option<PathBuf>,
}

impl SshdArgs {
    /// With what the configuration says, where the command line says nothing.
    pub(super) fn or(mut self, configured: &Rotate) -> Self {
        self.sshd_config = self.sshd_config.or_else(|| configured.sshd_config.clone());
        self
    }

    /// sshd, and what it says of its configuration.
    pub(super) async fn ask(&self, cx: &Context) -> Result<(Sshd, Effective), Error> {
        let config = self.sshd_config.as_deref().map(std::path::absolute).transpose();
        let config = config.map_err(|e| Error::usage("sshd-config", e))?;
        let sshd = Sshd::find(config.as_deref()).map_err(sshd_error)?;
        let effective = sshd.effective(cx.timeout).await.map_err(sshd_error)?;
        Ok((sshd, effective))
    }

    /// The same as a server that can be made to change, by a command that reloads it or a signal.
    pub(super) fn server(
        &self,
        sshd: Sshd,
        effective: &Effective,
        reload: Option<&Template>,
        cx: &Context,
    ) -> Result<Server, Error> {
        let reload = match reload {
            None => Reload::Signal(effective.pid_file.clone()),
            Some(command) => {
                Reload::Command(command.program().to_owned(), command.arguments(|_| String::new()))
            }
        };
        let near = effective.nearest();
        let address = match self.connect {
            Some((ip, port)) => {
                Some(SocketAddr::new(ip, port.or(near.map(|near| near.port())).unwrap_or(SSH)))
            }
            None => near,
        };
        let address = address.ok_or_else(|| {
            Error::usage("connect", "sshd -T tells no address that it listens on")
                .hint("give it: --connect ADDR:PORT")
        })?;
        Ok(Server { sshd, reload, address, patience: cx.timeout })
    }
}

/// A command for reloading, in words, without a shell.
pub(super) fn command(text: &str) -> Result<Template, TemplateError> {
    Template::parse(text, &[])
}

/// `ADDR`, `ADDR:PORT`, `[V6]:PORT`.
fn address(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok((ip, None));
    }
    let address: Result<SocketAddr, _> = text.parse();
    address.map(|address| (address.ip(), Some(address.port()))).map_err(|_| {
        "want an address, with a port if it is not sshd's (127.0.0.1, 127.0.0.1:2222, [::1]:2222)".into()
    })
}

/// What to do about an sshd that does not answer.
pub(super) fn sshd_error(error: SshdError) -> Error {
    let told = Error::failure("sshd", &error);
    match &error {
        SshdError::Missing => {
            told.hint("install it; or name the keys and leave it alone: --host-key FILE --no-reload")
        }
        SshdError::Refused { option: "-T", .. } => told.hint(
            "run this as root, who can read the host keys; sshd -t says what is wrong with the configuration",
        ),
        SshdError::Refused { .. } => {
            told.hint("mend sshd's configuration: sshd -t says what is wrong with it")
        }
        SshdError::Run(_) => told,
    }
}
