//! What a proof costs, beside its peers in the same run. `benches/run` builds and starts it; README.md
//! beside that says what is measured and what it should come to.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[allow(dead_code, unused_imports)]
#[path = "../../tests/support/mod.rs"]
mod support;

mod names;
mod process;
mod world;

use std::process::ExitCode;

/// How often everything is measured; medians are printed.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match arguments.next().as_deref() {
        Some("child") => names::child(&arguments.collect::<Vec<_>>()),
        Some("world") => {
            // For a profiler, which is to see one child alone.
            let world = world::World::start();
            let (anchor, cache) = (world.tree.anchor(), world.cache("names"));
            println!("child ours {} {} {}", world.unbound.addr(), anchor.display(), cache.display());
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        Some(other) => panic!("{other}: want nothing, or: world"),
        None => {
            let world = world::World::start();
            let good = [names::compare(&world), process::compare(&world)];
            // Figures are for people; a script reads whether they are what they should be. No exit() here: the
            // servers end with the world.
            return ExitCode::from(u8::from(good.contains(&false)));
        }
    }
    ExitCode::SUCCESS
}

/// The middle of `figures`.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// One line: what, how much, against what it should be at most. Says whether it is.
fn verdict(what: &str, figure: f64, unit: &str, most: f64) -> bool {
    let good = figure <= most;
    println!("{} {what}: {figure:.2}{unit}, at most {most}{unit}", if good { "  ok" } else { "MISS" });
    good
}
