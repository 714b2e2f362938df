//! What many tests need.
pub mod apple_service;
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
use std::sync::atomic::{AtomicU32, Ordering};

/// A fixed point in time for tests: 2026-11-22 14:06:11 UTC.
pub const NOW: Time = Time::from_millis(1_795_356_371_000);

/// Whether something that a test needs is absent. Says so; under CI nothing may be absent.
pub fn skip(what: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "{what} is needed under CI");
    // Not by `println!`: the test runner shows that of failed tests only.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("skipped: {what} is not installed\n").as_bytes());
    true
}

/// An address that nobody listens at, for who listens there later: its port is below those that the system gives to
/// whoever asks for any, so that nobody gets it meanwhile.
pub fn free_address() -> String {
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another run of the tests at the same time begins elsewhere.
        let number = std::process::id().wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.0.0.1:{}", PORTS.start + number % (PORTS.end - PORTS.start));
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Makes a file that opens, but whose bytes the system cannot read (EIO), as on a disk with a bad sector.
pub fn unreadable(file: &std::path::Path) {
    std::fs::remove_file(file).unwrap();
    // Nothing is mapped at the start of a process's memory.
    std::os::unix::fs::symlink("/proc/self/mem", file).unwrap();
}
