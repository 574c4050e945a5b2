//! Commands whose arguments are made when one of them is typed: all of them together are some hundred kilobytes, which
//! the agent would keep for as long as it runs, and which every call would take its time to build.

use std::cell::Cell;

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches};

/// The arguments of a command.
#[derive(Debug)]
pub(super) struct Lazily<T>(pub(super) Box<T>);

thread_local! {
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

/// The command line of `T`, whose commands know no more than their names until one of them is typed: enough to read
/// what is right. What is to be said of a mistake, and help, want the whole of it.
pub(super) fn command<T: CommandFactory>() -> Command {
    WAITS.set(true);
    let command = T::command();
    WAITS.set(false);
    command
}

impl<T: Args> Args for Lazily<T> {
    fn augment_args(command: Command) -> Command {
        match WAITS.get() {
            true => command.defer(|command| super::without_empty_variables(T::augment_args(command))),
            false => T::augment_args(command),
        }
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazily<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(|args| Lazily(Box::new(args)))
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches_mut(matches).map(|args| Lazily(Box::new(args)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches_mut(matches)
    }
}
