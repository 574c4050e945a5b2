//! `sshanchor export`: what is proven of hosts, or what should be published of them, for other programs.

mod keys;
mod krl;
mod outcome;
mod records;
mod source;

use clap::Subcommand;

use super::Context;
use crate::error::{Error, Kind};

/// Export proven keys and SSHFP records for other programs.
///
/// Proven keys for SSH clients: known-hosts, plink, ansible. Records for zones and their tools: sshfp, rfc3597,
/// nsupdate, octodns, dnscontrol, terraform; those of this machine's keys (--name HOST), as publish would have them, or
/// those that DNSSEC proves of hosts (HOST...). Revoked keys: krl. Nothing is written unless every host is proven.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor export known-hosts @fleet -o /etc/ssh/ssh_known_hosts\n          \
    plink -batch $(sshanchor export plink web1.example.com) web1.example.com\n          \
    sshanchor export nsupdate --name web1.example.com | nsupdate -k web1.key\n          \
    sshanchor export octodns --zone example.com --batch fleet.txt -o sshfp/example.com.yaml\n\
    Exit status: 0 all of it; of several hosts the gravest: 3 rejected, 4 unproven, 1 unreachable."
)]
pub(super) struct Args {
    #[command(subcommand)]
    format: Format,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Format {
    KnownHosts(keys::KnownHosts),
    Plink(keys::Plink),
    Ansible(keys::Ansible),
    Sshfp(records::Zone),
    Rfc3597(records::Generic),
    Nsupdate(records::Nsupdate),
    Octodns(records::Octodns),
    Dnscontrol(records::Dnscontrol),
    Terraform(records::Terraform),
    Krl(krl::Args),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.format {
        Format::KnownHosts(args) => keys::known_hosts(args, cx).await,
        Format::Plink(args) => keys::plink(args, cx).await,
        Format::Ansible(args) => keys::ansible(args, cx).await,
        Format::Sshfp(args) => records::zone(args, cx).await,
        Format::Rfc3597(args) => records::generic(args, cx).await,
        Format::Nsupdate(args) => records::nsupdate(args, cx).await,
        Format::Octodns(args) => records::octodns(args, cx).await,
        Format::Dnscontrol(args) => records::dnscontrol(args, cx).await,
        Format::Terraform(args) => records::terraform(args, cx).await,
        Format::Krl(args) => krl::run(args, cx).await,
    }
}
