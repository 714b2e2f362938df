//! `holdfast-agent`: a device's program, which carries none of the console.
use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_agent::cli::main()
}
