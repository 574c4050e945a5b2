//! Crashes, where a test asks for them.

/// Ends this process as a crash would, where a test asks for it (`SSHANCHOR_CRASH_AT=STEP:PLACE`); not in what is released.
pub fn may_crash(step: &str, place: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("SSHANCHOR_CRASH_AT").is_ok_and(|at| at == format!("{step}:{place}")) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = (step, place);
}
