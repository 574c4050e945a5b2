//! Many hosts: which ones are meant, and what is done with all of them.
//!
//! | file | what is in it |
//! |---|---|
//! | [`audit`] | what is true of all of them |
//! | [`host`] | one host of many, as the command line or an inventory names it |
//! | [`login`] | who logs in there, at which port, with which keys |

pub mod audit;
pub mod host;
pub mod login;

pub use host::{Host, Target};
