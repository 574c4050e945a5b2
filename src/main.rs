//! The `sshanchor` program: one call.

fn main() -> std::process::ExitCode {
    sshanchor::cli::main()
}
