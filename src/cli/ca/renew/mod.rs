//! `sshanchor ca renew`: this machine's host certificates, renewed before a third of their life is left.

mod renewed;
mod signer;
mod target;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::renewed::{Renewed, Status};
use self::signer::{Signer, Wish};
use self::target::Target;
use super::{CaFolder, Keys, Passphrase};
use crate::agent::renewal::{InstallError, Server, Shown, StepError, put, settle};
use crate::cli::Context;
use crate::cli::sshd::{SshdArgs, command, sshd_error};
use crate::cli::sshfp;
use crate::error::{Error, Kind};
use crate::proto::certificate::Certificate;
use crate::proto::duration;
use crate::proto::hostkey::HostKey;
use crate::proto::moment;
use crate::proto::name::HostName;
use crate::proto::renewal::{Accepted, CertificateError, Judgement, Wanted, Why, accept, judge};
use crate::proto::template::Template;
use crate::verifier::now;

/// Renew this machine's host certificates.
///
/// Renews this machine's host certificates once no more than a third of their life is left, or when they are not what
/// is wanted: other names, another CA, another key. What the CA returns is checked before it is written; then `sshd -t`,
/// a reload, and a handshake that has to show it. If any of it fails, the old certificate is put back. Run it daily.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor ca renew --ca /var/lib/sshanchor/ca --check\n          \
    sshanchor ca renew --name web1.example.com --signer 'ssh ca@issuer sign %n %v'\n\
    The signer gets the public key line on standard input and prints the certificate line; in its arguments %h is the \
    first name, %n all names with commas between them, %v the validity (30d), %s the same in seconds. No shell sees it.\n\
    Scripts for ssh-keygen, step-ca and Vault, and a systemd timer, are in contrib/ca and contrib/systemd.")]
pub(super) struct Args {
    /// The public half of a host key (repeatable); left out means the HostCertificate and HostKey lines of sshd -T
    #[arg(long = "host-key", value_name = "PUBFILE", num_args = 1..)]
    host_keys: Vec<PathBuf>,
    /// A name that the certificate is good for (repeatable) [default: those of the present certificate]
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    #[command(flatten)]
    folder: CaFolder,
    #[command(flatten)]
    passphrase: Passphrase,
    /// Not the CA in --ca signs but a program: it gets the public key line on standard input, and prints the certificate
    #[arg(long, value_name = "COMMAND")]
    signer: Option<String>,
    /// The CA's public key (repeatable): certificates of others are renewed, and never taken [default: that of --ca]
    #[arg(long = "ca-key", value_name = "PUBFILE")]
    ca_keys: Vec<PathBuf>,
    /// How long a new certificate is to be good [default: as the CA was made, 30d]
    #[arg(long, value_name = "SPAN", value_parser = validity)]
    validity: Option<Duration>,
    /// Renew even if it is not due
    #[arg(long)]
    force: bool,
    /// Say what would be renewed, and change nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The same, with exit status 5 if anything is due
    #[arg(long)]
    check: bool,
    /// Write the certificate, and leave sshd alone
    #[arg(long, conflicts_with_all = ["reload", "connect"])]
    no_reload: bool,
    /// How sshd is reloaded: a command [default: SIGHUP to the process in its PidFile]
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    reload: Option<Template>,
    #[command(flatten)]
    sshd: SshdArgs,
}

/// All that one certificate's renewal needs.
struct Run<'a> {
    args: &'a Args,
    names: Vec<HostName>,
    authorities: Option<std::collections::BTreeSet<[u8; 32]>>,
    signer: Signer,
    /// None with `--no-reload`.
    server: Option<Server>,
    cx: &'a Context,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let names = args.names.iter().map(|name| name_of_host(name)).collect::<Result<_, _>>()?;
    let signer = match &args.signer {
        Some(command) => Signer::command(command)?,
        None => Signer::Ca(Box::new(args.folder.open()?), Keys::new(&args.passphrase)?),
    };
    let authorities = match args.ca_keys.as_slice() {
        [] => signer.authorities(),
        files => Some(sshfp::of_files(files, cx).await?.iter().map(|key| key.sha256()).collect()),
    };
    // Where the keys are named and sshd is left alone, none need be there.
    let sshd = match args.no_reload && !args.host_keys.is_empty() {
        true => None,
        false => Some(args.sshd.ask(cx).await?),
    };
    let effective = sshd.as_ref().map(|(_, effective)| effective.clone());
    let targets = target::targets(&args.host_keys, effective.as_ref())?;
    let server = match sshd {
        Some((sshd, effective)) if !args.no_reload => {
            Some(args.sshd.server(sshd, &effective, args.reload.as_ref(), cx)?)
        }
        _ => None,
    };
    let run = Run { args: &args, names, authorities, signer, server, cx };
    let mut kinds = Vec::new();
    for target in &targets {
        let renewed = run.renew(target).await;
        if let Some(error) = &renewed.error {
            cx.out.error_text(error);
        }
        kinds.extend(renewed.kind(args.check));
        cx.out.result(&renewed)?;
    }
    Ok(Kind::gravest(kinds))
}

impl Run<'_> {
    async fn renew(&self, target: &Target) -> Renewed {
        let mut renewed = Renewed::new(target);
        if let Err(error) = self.try_renew(target, &mut renewed).await {
            if error.kind != Kind::Pending {
                renewed.status = Status::Failed;
            }
            renewed.error = Some(error);
        }
        renewed
    }

    async fn try_renew(&self, target: &Target, renewed: &mut Renewed) -> Result<(), Error> {
        let looks_only = self.args.dry_run || self.args.check;
        let (key, _lock) = target.lock()?;
        renewed.key(&key);
        let present = target.present()?;
        if let Some(Ok(certificate)) = &present {
            renewed.certificate(certificate);
        }
        let names = self.names(target, present.as_ref())?;
        let wanted = Wanted {
            key,
            principals: names.iter().cloned().collect(),
            authorities: self.authorities.clone(),
        };
        let why = match (judge(present.as_ref(), &wanted, now(), 0), self.args.force) {
            (Judgement::NotDue { .. }, true) => Why::Asked,
            (Judgement::Due(why), _) => why,
            (Judgement::NotDue { until }, false) => {
                if until.is_none() {
                    let file = target.certificate.display();
                    self.cx.out.warn(&format!("{file} has no end: it will never be renewed by its age"));
                }
                let present = present.as_ref().and_then(|present| present.as_ref().ok());
                return match (looks_only, present) {
                    (false, Some(certificate)) => self.serve(target, certificate, renewed).await,
                    _ => Ok(()),
                };
            }
        };
        renewed.due(&why);
        if looks_only {
            return Ok(());
        }
        if let Some(server) = &self.server {
            // Before anything is signed in vain.
            server.sshd.test(server.patience).await.map_err(|error| {
                let mut error = sshd_error(error);
                error.message += "; nothing was changed";
                error
            })?;
        }
        let present = present.as_ref().and_then(|present| present.as_ref().ok());
        let (validity, is_renewal) = (self.args.validity, present.is_some());
        let wish = Wish { key: &wanted.key, names: &names, validity, is_renewal };
        let new = self.signer.sign(&wish, self.cx).await?;
        let new = accept(new, present, &why, &wanted, now()).map_err(|refusal| {
            Error::failure(
                "bad-certificate",
                format!(
                    "{} returned a certificate that is not taken: {refusal}; nothing was changed",
                    self.signer
                ),
            )
            .hint("run the signer by hand, and look at what it prints with ssh-keygen -L -f -")
        })?;
        if let Some(old) = present.filter(|old| old.ca() != new.certificate().ca())
            && self.authorities.is_none()
        {
            let ca = |of: &Certificate| of.ca().map_or("another type of CA".to_owned(), HostKey::to_string);
            self.cx.out.warn(&format!(
                "{} was signed by {}, and now by {}: --ca-key says which it shall be",
                target.certificate.display(),
                ca(old),
                ca(new.certificate())
            ));
        }
        self.install(target, &new, renewed).await
    }

    async fn install(&self, target: &Target, new: &Accepted, renewed: &mut Renewed) -> Result<(), Error> {
        let path = &target.certificate;
        match &self.server {
            Some(server) if target.is_configured => {
                server.install(path, new).await.map_err(|error| install_error(error, &self.cx.timeout))?;
                renewed.certificate(new.certificate());
                renewed.served(Status::Renewed, server.address);
                Ok(())
            }
            server => {
                put(path, new).map_err(|error| install_error(error, &self.cx.timeout))?;
                renewed.certificate(new.certificate());
                renewed.status = Status::Written;
                match server {
                    Some(_) => Err(target.not_configured()),
                    None => Ok(()),
                }
            }
        }
    }

    /// A certificate that is not due is shown by sshd, or is now.
    async fn serve(
        &self,
        target: &Target,
        certificate: &Certificate,
        renewed: &mut Renewed,
    ) -> Result<(), Error> {
        let Some(server) = &self.server else { return Ok(()) };
        if !target.is_configured {
            return Err(target.not_configured());
        }
        if matches!(server.shows(certificate).await, Shown::This) {
            renewed.served(Status::Current, server.address);
        } else {
            // A run before was ended, or somebody wrote it and left it at that.
            server.bring_into_service(certificate).await.map_err(step_error)?;
            renewed.served(Status::Reloaded, server.address);
        }
        settle(&target.certificate);
        Ok(())
    }

    fn names(
        &self,
        target: &Target,
        present: Option<&Result<Certificate, CertificateError>>,
    ) -> Result<Vec<HostName>, Error> {
        if !self.names.is_empty() {
            return Ok(self.names.clone());
        }
        let file = target.certificate.display();
        let say =
            |why: String| Error::usage("no-names", why).hint("say what it shall be good for: --name HOST");
        let certificate = match present {
            None => return Err(say(format!("{file} does not exist, whose names could be kept"))),
            Some(Err(error)) => return Err(say(format!("{file} has no names to be kept: {error}"))),
            Some(Ok(certificate)) => certificate,
        };
        // They go to the signer as arguments.
        let host = |name: &String| {
            HostName::parse(name)
                .map_err(|_| say(format!("{file} is good for {name:?}, which is no host name")))
        };
        match certificate.principals() {
            [] => Err(say(format!("{file} is good for every name"))),
            names => names.iter().map(host).collect(),
        }
    }
}

fn name_of_host(text: &str) -> Result<HostName, Error> {
    HostName::parse(text).map_err(|e| {
        Error::usage("host-name", e)
            .hint("a certificate is good for host names as clients type them, in full")
    })
}

fn validity(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err("want some time, such as 30d".into()),
        other => other.map_err(|e| e.to_string()),
    }
}

fn install_error(error: InstallError, patience: &Duration) -> Error {
    match error {
        InstallError::Write { .. } => Error::failure("certificate-file", error).hint("run this as root"),
        InstallError::Step { ref step, .. } => {
            let hint = step_hint(step, patience);
            Error::failure("not-installed", error).hint(hint)
        }
    }
}

fn step_error(error: StepError) -> Error {
    let hint = step_hint(&error, &Duration::ZERO);
    Error::failure("not-served", format!("the certificate is not due, but not served either: {error}"))
        .hint(hint)
}

fn step_hint(step: &StepError, patience: &Duration) -> String {
    match step {
        StepError::Test(_) => "mend sshd's configuration: sshd -t says what is wrong with it".into(),
        StepError::Signal(_) => "say how it is reloaded: --reload 'systemctl reload ssh'".into(),
        StepError::Command(_) => "run the --reload command by hand".into(),
        StepError::NotShown(not_shown) if not_shown.not_told.is_some() => {
            "say how it is reloaded: --reload 'systemctl reload ssh'".into()
        }
        StepError::NotShown(_) => format!(
            "is it this sshd that listens there (--connect ADDR:PORT, --sshd-config FILE)? sshd's log says why it does not \
             load a certificate; --timeout gives it more than {}",
            moment::span(patience.as_secs())
        ),
    }
}

/// For `target`: the file of the certificate that ssh-keygen would write for a public key's.
fn beside(public: &Path) -> PathBuf {
    let mut name = public.with_extension("").into_os_string();
    name.push("-cert.pub");
    name.into()
}
