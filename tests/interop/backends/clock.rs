//! A clock that is far off publishes nothing, wherever the records are kept.

use super::on_each;
use super::places::{Place, ZONE};
use crate::interop::primary::{LIMIT, key, record};
use crate::support::clock::shift;
use crate::support::run;

on_each! {
    a_clock_that_is_far_off_publishes_nothing
}

fn a_clock_that_is_far_off_publishes_nothing(place: Place) {
    let (a, owner) = (key(place.sandbox(), "a"), format!("r1.{ZONE}"));
    let attempt = |offset: Option<&str>| {
        let mut command = place.command("publish", &place.options(), "zone");
        command.args(["--json", "--timeout", "40", "--name", &owner, "--host-key"]).arg(&a);
        command.arg("--state").arg(place.sandbox().join("state"));
        offset.iter().for_each(|offset| shift(&mut command, offset));
        run(&mut command, LIMIT)
    };
    // PowerDNS has its signatures begin up to a fortnight ago, and end in a fortnight.
    for offset in ["-3000d", "-20d", "+60d"] {
        let refused = attempt(Some(offset));
        let json = refused.json();
        assert_eq!((refused.code, &json["reason"]), (Some(1), &"clock".into()), "{offset}: {refused:#?}");
        let error = json["error"].as_str().unwrap();
        assert!(error.starts_with("the clock says 20") && error.contains("nothing was sent"), "{error}");
        assert!(json["hint"].as_str().unwrap().contains("chronyc"), "{refused:#?}");
        assert!(place.shows(&owner, &[]).0.is_empty() && !place.sandbox().join("state").exists());
    }
    let good = attempt(None);
    assert_eq!(good.code, Some(0), "{good:#?}");
    assert_eq!(place.shows(&owner, &[record(&a)]).0, [record(&a)]);
}
