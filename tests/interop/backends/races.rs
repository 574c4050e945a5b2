//! Somebody else at the same name, at the worst moment: the library against the real thing.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sshanchor::agent::reconcile::{Reconciliation, Wish};
use sshanchor::agent::state::State;
use sshanchor::backend::exec::Program;
use sshanchor::backend::powerdns::{Access, Api, base};
use sshanchor::backend::rfc2136::{BATCH, Transferred};
use sshanchor::backend::site::{AnyBackend, Site};
use sshanchor::backend::zonefile;
use sshanchor::backend::{ApplyError, Backend, Capabilities};
use sshanchor::dns::authority::Authority;
use sshanchor::dns::tsig::Key;
use sshanchor::error::Error;
use sshanchor::proto::hostkey::HostKey;
use sshanchor::proto::name::Name;
use sshanchor::proto::plan::{Intent, Plan, Present};
use sshanchor::proto::sshfp::Sshfp;
use sshanchor::proto::template::Template;
use tokio::time::Instant;
use ureq::http::HeaderValue;

use super::places::{Place, ZONE};
use super::{Keys, PUBLISH, on_each};
use crate::interop::primary::{FOREIGN, LIMIT, key, record};

on_each! {
    a_lost_race_is_planned_anew
    all_at_once_all_get_there
}

const OWNER: &str = "r1.example.test";

fn site(place: &Place) -> Site {
    let (patience, deadline) = (Duration::from_secs(20), Instant::now() + LIMIT);
    let options = place.options();
    match place {
        Place::Rfc2136(primary) => {
            let (key, _) = Key::load(&primary.tsig("zone"), LIMIT).unwrap();
            let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            Site::Rfc2136 {
                primary: Authority { server: primary.addr(), patience, deadline },
                key: Some(key),
                clock,
                batch: BATCH,
                transferred: Transferred::default(),
            }
        }
        Place::PowerDns(pdns) => {
            let key = HeaderValue::from_str(&pdns.key).unwrap();
            let api = Api::new(base(&pdns.url()).unwrap(), "localhost", Some(key), Vec::new());
            Site::PowerDns(Access { api, patience, deadline })
        }
        Place::ZoneFile(inline) => {
            let reload = Arc::new(Template::parse(&options[3], &zonefile::GAPS).unwrap());
            Site::ZoneFile(zonefile::Access { file: inline.part(), reload, patience, deadline })
        }
        // Its aws takes the environment of this process, which is not for tests to change.
        Place::Exec(_) => {
            let mut words = vec!["env".to_owned(), environment(place)];
            words.extend(shlex::split(&options[3]).unwrap());
            let words: Vec<String> = words.iter().map(|word| word.replace('%', "%%")).collect();
            let command = shlex::try_join(words.iter().map(String::as_str)).unwrap();
            Site::Exec(Program {
                command: Arc::new(Template::parse(&command, &[]).unwrap()),
                patience,
                deadline,
            })
        }
    }
}

fn environment(place: &Place) -> String {
    let command = place.command(PUBLISH, &[], "zone");
    let test = command.get_envs().find(|(name, _)| *name == "AWS_TEST").unwrap().1.unwrap();
    format!("AWS_TEST={}", test.to_str().unwrap())
}

type Meddle = Box<dyn FnOnce() + Send>;

/// Somebody else changes the records right before the first change.
struct Meddled {
    backend: AnyBackend,
    meddle: Mutex<Option<Meddle>>,
}

impl Backend for Meddled {
    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        self.backend.read(owner).await
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let meddle = self.meddle.lock().unwrap().take();
        if let Some(meddle) = meddle {
            tokio::task::spawn_blocking(meddle).await.unwrap();
            let error = self.backend.apply(plans).await.unwrap_err();
            assert!(matches!(error, ApplyError::LostRace(_)), "{error:?}");
            return Err(error);
        }
        self.backend.apply(plans).await
    }
}

fn a_lost_race_is_planned_anew(place: Place) {
    let place = Arc::new(place);
    let keys = Keys::new(&place);
    let name = |text| Name::from_text(text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let meddler = place.clone();
    let found = runtime.block_on(async {
        let site = site(&place);
        assert_eq!(site.kind(), place.kind());
        let backend = site.open(&name(ZONE)).await.unwrap();
        let swaps = backend.capabilities().compare_and_swap;
        assert_eq!(swaps, !matches!(*place, Place::PowerDns(_)), "each says what it can do");
        let meddle: Meddle = Box::new(move || meddler.add(OWNER, 300, FOREIGN));
        let backend = Arc::new(Meddled { backend, meddle: Mutex::new(Some(meddle)) });
        let text = std::fs::read_to_string(keys.key('a')).unwrap();
        let wanted = HostKey::from_text(&text).unwrap().iter().map(Sshfp::of_key).collect();
        let wish = Wish { owner: name(OWNER), wanted, intent: Intent::Publish { ttl: None, prune: false } };
        let state = State::at(place.sandbox().join("state"));
        Reconciliation { backend, state, together: false }.run(&[wish]).await.unwrap().remove(0)
    });
    assert!(found.error.is_none() && found.changed, "{found:?}");
    assert_eq!(place.shows(OWNER, &keys.records("ax")).0, keys.records("ax"));
}

fn all_at_once_all_get_there(place: Place) {
    let publics: Vec<_> = (0..6).map(|at| key(place.sandbox(), &format!("m{at}"))).collect();
    let running: Vec<_> = (publics.iter())
        .map(|public| {
            // Each machine has a state of its own.
            let mut command = place.command(PUBLISH, &place.options(), "zone");
            command.args(["--name", OWNER, "--timeout", "30", "--host-key"]).arg(public);
            command.arg("--state").arg(public.with_extension("state"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut all: Vec<String> = publics.iter().map(|public| record(public)).collect();
    all.sort();
    assert_eq!(place.shows(OWNER, &all).0, all);
}
