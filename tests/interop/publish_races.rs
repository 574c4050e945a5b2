//! Two publishers, meddlers and clocks: the library against real servers, with the moment of our choice.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sshanchor::agent::reconcile::{Reconciliation, Wish};
use sshanchor::agent::state::State;
use sshanchor::backend::rfc2136::Rfc2136;
use sshanchor::backend::{ApplyError, Backend};
use sshanchor::dns::authority::Authority;
use sshanchor::dns::tsig::Key;
use sshanchor::error::Error;
use sshanchor::proto::hostkey::HostKey;
use sshanchor::proto::name::Name;
use sshanchor::proto::plan::{Intent, Plan, Present};
use sshanchor::proto::sshfp::Sshfp;

use super::primary::{FOREIGN, HOST, LIMIT, Primary, key, on_bind_and_knot, record, sorted};
use crate::support::Sandbox;
use crate::support::tree::update_at;

on_bind_and_knot! {
    all_at_once_all_get_there
    a_change_between_read_and_update_is_seen
    a_clock_that_is_wrong_is_told_with_the_difference
}

fn all_at_once_all_get_there(primary: &Primary) {
    for (round, machines) in [2, 2, 8].into_iter().enumerate() {
        let name = |machine| format!("x{round}-{machine}");
        let keys: Vec<_> = (0..machines).map(|machine| key(primary.sandbox(), &name(machine))).collect();
        let running: Vec<_> = keys
            .iter()
            .map(|public| {
                // Each machine has a state of its own.
                let mut command = primary.sandbox().sshanchor();
                command.args([
                    "publish",
                    "--name",
                    HOST,
                    "--server",
                    &primary.addr().to_string(),
                    "--key-file",
                ]);
                command.arg(primary.tsig("web1")).arg("--host-key").arg(public).arg("--state");
                command
                    .arg(public.with_extension("state"))
                    .args(["--check-server", &primary.addr().to_string()]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in running {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let records = primary.records(HOST).0;
        assert!(keys.iter().all(|public| records.contains(&record(public))), "round {round}: {records:?}");
    }
}

/// The library's own parts, with a clock of our choice.
fn backend(primary: &Primary, clock: fn() -> u64) -> Rfc2136 {
    let (key, _) = Key::load(&primary.tsig("zone"), LIMIT).unwrap();
    let deadline = tokio::time::Instant::now() + LIMIT;
    let authority = Authority { server: primary.addr(), patience: Duration::from_secs(5), deadline };
    Rfc2136::new(authority, Name::from_text("example.test").unwrap(), Some(key), clock)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn wish(public: &Path) -> Wish {
    let keys = HostKey::from_text(&std::fs::read_to_string(public).unwrap()).unwrap();
    Wish {
        owner: Name::from_text(HOST).unwrap(),
        wanted: keys.iter().map(Sshfp::of_key).collect(),
        intent: Intent::Publish { ttl: None, prune: false },
    }
}

fn reconcile<B: Backend>(primary: &Primary, backend: B, wish: Wish) -> sshanchor::agent::reconcile::Outcome {
    let state = State::at(primary.sandbox().join("state"));
    let run = Reconciliation { backend: Arc::new(backend), state, together: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run.run(&[wish])).unwrap().remove(0)
}

/// Somebody else changes the records right before the first update.
struct Meddled {
    backend: Rfc2136,
    meddle: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Backend for Meddled {
    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        self.backend.read(owner).await
    }

    fn fitting(&self, plans: &[Plan]) -> usize {
        self.backend.fitting(plans)
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let meddle = self.meddle.lock().unwrap().take();
        if let Some(meddle) = meddle {
            meddle();
            let error = self.backend.apply(plans).await.unwrap_err();
            assert!(matches!(error, ApplyError::LostRace(_)), "{error:?}");
            return Err(error);
        }
        self.backend.apply(plans).await
    }
}

fn a_change_between_read_and_update_is_seen(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let (addr, tsig) = (primary.addr(), primary.tree().tsig("zone"));
    // First where there is no set yet, then where there is one.
    let changes = [
        (&a, format!("update add {HOST} 300 SSHFP {FOREIGN}"), sorted(&[FOREIGN, &record(&a)])),
        (&b, format!("update delete {HOST} SSHFP {FOREIGN}"), vec![record(&b)]),
    ];
    for (public, change, after) in changes {
        let tsig = tsig.clone();
        let meddle = move || update_at(addr, &tsig, &Sandbox::new(), &format!("zone example.test\n{change}"));
        let backend = Meddled {
            backend: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async { backend(primary, now) }),
            meddle: std::sync::Mutex::new(Some(Box::new(meddle))),
        };
        let outcome = reconcile(primary, backend, wish(public));
        assert!(outcome.error.is_none() && outcome.changed, "{outcome:?}");
        assert_eq!(primary.records(HOST).0, after);
    }
}

fn a_clock_that_is_wrong_is_told_with_the_difference(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let late = runtime.block_on(async { backend(primary, || now() - 1000) });
    let error = reconcile(primary, late, wish(&a)).error.unwrap();
    assert_eq!(error.reason, "badtime", "{error:?}");
    let seconds = |text: &str| text.split_ascii_whitespace().filter_map(|w| w.parse::<i64>().ok()).next();
    let skew = seconds(error.message.split("is ").nth(1).unwrap()).unwrap();
    assert!((990..=1010).contains(&skew) && error.message.contains("ahead of ours"), "{error:?}");
    assert!(error.message.ends_with("are as they were"), "{error:?}");
    assert!(primary.records(HOST).0.is_empty());
    let right = runtime.block_on(async { backend(primary, now) });
    assert!(reconcile(primary, right, wish(&a)).error.is_none());
}
