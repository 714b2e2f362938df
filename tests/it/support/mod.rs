//! What many tests need.
mod database;
pub mod device;
pub mod disk;
pub mod door;
pub mod fleet;
pub mod gate;
pub mod http;
pub mod people;
pub mod s3;
pub mod server;
mod smtp;
pub mod visit;

pub use database::TestDatabase;
pub use smtp::SmtpSink;

use domain::time::Time;

/// A fixed point in time for tests: 2026-11-22 14:06:11 UTC.
pub const NOW: Time = Time::from_millis(1_795_356_371_000);

/// Whether something that a test needs is absent. Says so; under CI nothing may be absent.
pub fn skip(what: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "{what} is needed under CI");
    // Not by `println!`: the test runner shows that of failed tests only.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("skipped: {what} is not installed\n").as_bytes());
    true
}

/// Makes a file that opens, but whose bytes the system cannot read (EIO), as on a disk with a bad sector.
pub fn unreadable(file: &std::path::Path) {
    std::fs::remove_file(file).unwrap();
    // Nothing is mapped at the start of a process's memory.
    std::os::unix::fs::symlink("/proc/self/mem", file).unwrap();
}
