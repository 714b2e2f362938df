//! A message, and what is needed to answer it.
use crate::protocol::apple::shared::Door;
use apple::message::Message;
use domain::time::Time;

/// A message that came with a good certificate.
pub struct Received {
    pub door: Door,
    pub message: Message,
    pub address: String,
    pub now: Time,
}
