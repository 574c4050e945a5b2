//! Signals, the configuration, a second agent, and what it costs to have one.
