//! The second copy: what arrives there and in which order, what repairs what, and what is no second copy.
mod away;
mod bucket;
mod escrow;
mod lock;
mod order;
mod page;
mod prove;
mod pull;
mod repair;
mod room;
mod start;
mod undelete;
pub mod world;
