//! The rules. Pure functions and value types: no I/O, no queries, no clock.
//!
//! A decision gets `now` and the facts as arguments and returns a value; a
//! refusal is a value too, so that a page can say why.
pub mod access_list;
pub mod account;
pub mod activity;
pub mod backup;
pub mod baseline;
pub mod by;
pub mod channel;
pub mod command;
pub mod continuity;
pub mod crossing;
pub mod device;
pub mod fact;
pub mod fields;
pub mod ground;
pub mod guard;
pub mod id;
pub mod loss;
pub mod manifest;
pub mod name;
pub mod object;
pub mod policy;
pub mod proof;
pub mod restore;
pub mod restore_test;
pub mod role;
pub mod shortfall;
pub mod shown;
pub mod space;
#[cfg(feature = "sql")]
mod sql;
mod text;
pub mod time;
pub mod wipe;
pub mod words;
