//! The agent: it looks after this machine's records until it is told to end.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::publishing::Agent;
use crate::proto::status::Status;

/// What others may follow of an agent at work, each at their own pace: its socket, its metrics, systemd.
#[derive(Debug, Clone)]
pub struct View {
    /// What it knows, as of its latest step.
    pub status: watch::Receiver<Arc<Status>>,
    /// The settings in force, which SIGHUP may change.
    pub settings: watch::Receiver<Agent>,
}
