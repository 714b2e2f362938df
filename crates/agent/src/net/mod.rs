//! Talking to the server: HTTP, signed requests, the backup door, and retries.
pub mod backoff;
pub mod client;
pub mod door;
pub mod http;
