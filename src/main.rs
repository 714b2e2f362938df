//! `holdfast`: reads the arguments and calls the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast::cli::main()
}
