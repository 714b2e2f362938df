//! A store that another Holdfast has, which fetches what it keeps: nobody connects to it.
//!
//! The other side, the *puller*, asks over HTTPS what there is to be done, does it in a folder of its own, and answers. What
//! it does is its own decision: it takes bytes that match their name and never gives up or overwrites what is right
//! ([`Hand`]). So whoever has this server can destroy nothing there; and the puller learns nothing here but the encrypted
//! objects that are handed to it.
mod hand;
mod message;
mod relay;
mod store;

pub use hand::{Hand, Keeping};
pub use message::{Asked, Done, Hello, MAX_HEAD, Task, frame, unframe};
pub use relay::{Conflict, Relay, Work};
pub use store::PulledBlobs;
