//! What others make of our bytes, and we of theirs: OpenSSL, and two SCEP clients over HTTP.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops there")]

mod chain;
mod message;
mod push;
mod scep;
mod server;
mod tool;
