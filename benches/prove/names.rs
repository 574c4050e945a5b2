//! CPU per proven name: one signature check by itself, ours, hickory's resolver. Each in a process of
//! its own, so that memory and CPU are its own too.

use std::net::SocketAddr;
use std::process::Command;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::dnssec::TrustAnchors;
use hickory_proto::rr::RecordType;
use hickory_resolver::Resolver as Hickory;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustix::time::{ClockId, clock_gettime};
use sshanchor::dns::lookup::Lookups;
use sshanchor::dns::resolver::Resolver;
use sshanchor::proto::chain::Anchors;
use sshanchor::proto::message::Question;
use sshanchor::proto::name::Name;
use sshanchor::proto::rr::RrType;
use tokio::task::JoinSet;

use crate::world::{NAMES, World, name};
use crate::{ROUNDS, median, verdict};

/// Lookups at the same time.
const IN_FLIGHT: usize = 256;

/// What a child measured.
struct Figures {
    /// Microseconds of CPU a name, user and system.
    cpu: f64,
    /// Largest resident memory, in MiB.
    peak: f64,
}

/// Prints the table and whether the figures are what they should be.
pub fn compare(world: &World) -> bool {
    let run = |what: &str| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["child", what, &world.unbound.addr().to_string()]).arg(world.tree.anchor());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut figures = text.split_whitespace().map(|figure| figure.parse::<f64>().unwrap());
        Figures { cpu: figures.next().unwrap(), peak: figures.next().unwrap() }
    };
    run("ours"); // Fills unbound's cache.
    let (mut raw, mut ours, mut hickory) = (Vec::new(), Vec::new(), Vec::new());
    let (mut times_raw, mut times_hickory, mut peak) = (Vec::new(), Vec::new(), 0f64);
    for _ in 0..ROUNDS {
        let (floor, own, peer) = (run("raw"), run("ours"), run("hickory"));
        times_raw.push(own.cpu / floor.cpu);
        times_hickory.push(peer.cpu / own.cpu);
        peak = peak.max(own.peak);
        raw.push(floor.cpu);
        ours.push(own.cpu);
        hickory.push(peer.cpu);
    }
    println!(
        "{NAMES} names of one P-256 zone, {IN_FLIGHT} in flight, median of {ROUNDS} rounds, us of CPU a name:"
    );
    println!("     one P-256 verification (ring)  {:8.1}", median(raw));
    println!("     sshanchor                      {:8.1}", median(ours));
    println!("     hickory Resolver, validating   {:8.1}", median(hickory));
    println!("     hickory / sshanchor            {:8.2}", median(times_hickory));
    let cpu = verdict("sshanchor / one verification", median(times_raw), "", 1.8);
    let memory = verdict("peak memory of sshanchor", peak, " MiB", 64.0);
    cpu && memory
}

/// Measures one of them, in a process that does nothing else.
pub fn child(arguments: &[String]) {
    let [what, resolver, anchor] = arguments else { panic!("{arguments:?}") };
    let resolver: SocketAddr = resolver.parse().unwrap();
    let anchor = std::fs::read_to_string(anchor).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cpu = match what.as_str() {
        "raw" => raw(),
        "ours" => runtime.block_on(ours(resolver, &anchor)),
        "hickory" => runtime.block_on(hickory(resolver, &anchor)),
        other => panic!("{other}"),
    };
    println!("{} {}", cpu / NAMES as f64, peak());
}

fn raw() -> f64 {
    let random = ring::rand::SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let message = [7; 120];
    let signature = pair.sign(&random, &message).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let before = used();
    for _ in 0..NAMES {
        key.verify(std::hint::black_box(&message), std::hint::black_box(signature.as_ref())).unwrap();
    }
    used() - before
}

async fn ours(resolver: SocketAddr, anchor: &str) -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    let resolver = Resolver::new(vec![resolver]).unwrap();
    let lookups = Lookups::new(resolver, Anchors::from_text(anchor).unwrap(), now, deadline);
    let prove = |number: usize| {
        let lookups = lookups.clone();
        let question = Question::new(Name::from_text(&name(number)).unwrap(), RrType::SSHFP);
        async move { assert_eq!(lookups.prove(&question).await.unwrap().data().set().rdatas().len(), 1) }
    };
    measured(prove).await
}

async fn hickory(resolver: SocketAddr, anchor: &str) -> f64 {
    let mut udp = ConnectionConfig::udp();
    udp.port = resolver.port();
    let server = NameServerConfig::new(resolver.ip(), true, vec![udp]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let anchors = TrustAnchors::from_str(anchor).unwrap();
    let mut builder = Hickory::builder_with_config(config, TokioRuntimeProvider::default())
        .with_trust_anchor(Arc::new(anchors));
    builder.options_mut().validate = true;
    builder.options_mut().cache_size = 4 * NAMES as u64;
    let resolver = Arc::new(builder.build().unwrap());
    let prove = |number: usize| {
        let resolver = resolver.clone();
        async move {
            let found = resolver.lookup(name(number), RecordType::SSHFP).await.unwrap();
            assert!(found.answers().iter().any(|record| record.proof.is_secure()));
        }
    };
    measured(prove).await
}

/// The CPU time of all names after the first, whose lookup fetches the zones' keys.
async fn measured<F>(prove: impl Fn(usize) -> F) -> f64
where
    F: Future<Output = ()> + 'static + Send,
{
    prove(0).await;
    let begun = Instant::now();
    let before = used();
    let mut under_way = JoinSet::new();
    for number in 1..NAMES {
        if under_way.len() == IN_FLIGHT {
            under_way.join_next().await.unwrap().unwrap();
        }
        under_way.spawn(prove(number));
    }
    while let Some(outcome) = under_way.join_next().await {
        outcome.unwrap();
    }
    eprintln!("{:?}", begun.elapsed());
    used() - before
}

/// CPU time of this process so far, in microseconds.
fn used() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Largest resident memory of this process so far, in MiB (proc(5): VmHWM).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
}
