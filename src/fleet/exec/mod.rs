//! A command on many hosts, each on the very connection that was verified.
//!
//! | file | what is in it |
//! |---|---|
//! | [`control`] | whether another host may begin, and what is to end: a signal, a deadline, the first failure |
//! | [`host`] | the whole way to one host: the verified connection, the login, the command, its end |
//! | [`input`] | one standard input for all of them |
//! | [`outputs`] | what they wrote, in bounded memory |

pub mod control;
pub mod host;
pub mod input;
pub mod outputs;

pub use control::{Control, Halts};
pub use host::{Came, Note, Order, Person, Trouble, run};
pub use input::Input;
pub use outputs::{Gathered, Groups};
