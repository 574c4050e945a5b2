//! Formats for zones and their tools: SSHFP records.

use std::net::SocketAddr;

use super::outcome::{Destination, Exported, Outcome, unfit};
use super::source::{Source, of_dns};
use crate::cli::Context;
use crate::cli::publish::primary::zone as zone_name;
use crate::dns::dns_server;
use crate::error::{Error, Kind};
use crate::proto::export::{ExportError, RecordSet, merged, tools, zone};
use crate::proto::name::Name;

/// Lines for a zone file, with absolute names.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor export sshfp --name web1.example.com >> example.com.zone\n          \
    sshanchor export sshfp web1.example.com db1.example.com:2222\n\
    sshanchor sshfp prints the same for key files alone, in the form of ssh-keygen -r."
)]
pub(super) struct Zone {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    destination: Destination,
}

/// Lines for a zone file of a server that does not know SSHFP (RFC 3597).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor export rfc3597 --name web1.example.com >> example.com.zone")]
pub(super) struct Generic {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    destination: Destination,
}

/// A script for nsupdate.
///
/// Adds the records, all those of one owner in one update. Records that are there stay, those of other machines and
/// those of keys that are gone; with --replace these are all there is. publish knows which are its own and needs no
/// script.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor export nsupdate --name web1.example.com | nsupdate -k web1.key\n          \
    sshanchor export nsupdate --replace --zone example.com --batch fleet.txt -o update.txt"
)]
pub(super) struct Nsupdate {
    #[command(flatten)]
    source: Source,
    /// The zone's primary name server [default: nsupdate asks for it]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    server: Option<SocketAddr>,
    /// The zone in which all names are; then one update holds many of them [default: nsupdate asks for it]
    #[arg(long, value_name = "ZONE", value_parser = zone_name)]
    zone: Option<Name>,
    /// Delete all SSHFP records that are at these names, in the same update
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    destination: Destination,
}

#[derive(Debug, clap::Args)]
struct OfZone {
    #[command(flatten)]
    source: Source,
    /// The zone in which all names are
    #[arg(long, value_name = "ZONE", value_parser = zone_name)]
    zone: Name,
    #[command(flatten)]
    destination: Destination,
}

/// A zone's YAML file for octoDNS.
///
/// Prints a file for octoDNS's YAML provider with these records and nothing else. Give it a folder and a source of its
/// own beside that of the zone's other records: octoDNS puts the sources of a zone together.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor export octodns --zone example.com --batch fleet.txt -o sshfp/example.com.yaml\n\
    octoDNS's configuration:\n  \
    providers: {sshfp: {class: octodns.provider.yaml.YamlProvider, directory: ./sshfp}, ...}\n  \
    zones: {example.com.: {sources: [config, sshfp], targets: [...]}}"
)]
pub(super) struct Octodns {
    #[command(flatten)]
    of: OfZone,
}

/// SSHFP() calls for DNSControl.
///
/// Prints a D_EXTEND() of the zone with an SSHFP() for each record.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor export dnscontrol --zone example.com --batch fleet.txt -o sshfp.js\n\
    In dnsconfig.js, after D(\"example.com\", ...): require(\"./sshfp.js\");"
)]
pub(super) struct Dnscontrol {
    #[command(flatten)]
    of: OfZone,
}

/// A local value for Terraform (JSON syntax).
///
/// Prints a .tf.json file that defines local.sshfp: by owner, ttl, records ("4 2 hex") and parts (algorithm, type,
/// fingerprint). It names no provider: their resources for SSHFP differ, change with versions, and want identifiers
/// that only your configuration knows. One resource with for_each takes it to any of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor export terraform --batch fleet.txt -o sshfp.tf.json\n\
    Route 53 (powerdns_record and google_dns_record_set are alike, with a name of \"${each.key}.\"):\n  \
    resource \"aws_route53_record\" \"sshfp\" {\n    \
    for_each = local.sshfp\n    zone_id  = var.zone_id\n    name     = each.key\n    type     = \"SSHFP\"\n    \
    ttl      = each.value.ttl\n    records  = each.value.records\n  }\n\
    Cloudflare, which has a resource a record:\n  \
    resource \"cloudflare_dns_record\" \"sshfp\" {\n    \
    for_each = merge([for owner, set in local.sshfp : { for p in set.parts :\n      \
    \"${owner} ${p.fingerprint}\" => { name = owner, ttl = set.ttl, data = p } }]...)\n    \
    zone_id  = var.zone_id\n    name     = each.value.name\n    type     = \"SSHFP\"\n    \
    ttl      = each.value.ttl\n    data     = each.value.data\n  }")]
pub(super) struct Terraform {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    destination: Destination,
}

pub(super) async fn zone(args: Zone, cx: &Context) -> Result<Option<Kind>, Error> {
    write(cx, "sshfp", &args.source, &args.destination, |sets| Ok(zone::lines(&sets, false))).await
}

pub(super) async fn generic(args: Generic, cx: &Context) -> Result<Option<Kind>, Error> {
    write(cx, "rfc3597", &args.source, &args.destination, |sets| Ok(zone::lines(&sets, true))).await
}

pub(super) async fn nsupdate(args: Nsupdate, cx: &Context) -> Result<Option<Kind>, Error> {
    let script = zone::Script { server: args.server, zone: args.zone, replace: args.replace };
    write(cx, "nsupdate", &args.source, &args.destination, |sets| zone::nsupdate(&sets, &script)).await
}

pub(super) async fn octodns(args: Octodns, cx: &Context) -> Result<Option<Kind>, Error> {
    let OfZone { source, zone, destination } = args.of;
    write(cx, "octodns", &source, &destination, |sets| tools::octodns(&sets, &zone)).await
}

pub(super) async fn dnscontrol(args: Dnscontrol, cx: &Context) -> Result<Option<Kind>, Error> {
    let OfZone { source, zone, destination } = args.of;
    write(cx, "dnscontrol", &source, &destination, |sets| tools::dnscontrol(&sets, &zone)).await
}

pub(super) async fn terraform(args: Terraform, cx: &Context) -> Result<Option<Kind>, Error> {
    write(cx, "terraform", &args.source, &args.destination, |sets| Ok(tools::terraform(&sets))).await
}

async fn write(
    cx: &Context,
    format: &'static str,
    source: &Source,
    destination: &Destination,
    render: impl FnOnce(Vec<RecordSet>) -> Result<String, ExportError>,
) -> Result<Option<Kind>, Error> {
    let outcome: Outcome = source.gather(cx, of_dns).await?;
    let sets = |exported: &[Exported]| merged(exported.iter().flat_map(|exported| exported.sets.clone()));
    destination.write(cx, format, &outcome, |exported| render(sets(exported)).map_err(unfit))
}
