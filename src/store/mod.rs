//! All SQL. Functions take `conn` first and hold no state, so a caller can
//! put any number of them into one transaction.
//!
//! Reads go to a pool. Writes go through [`Store::write`], and acts through
//! [`Store::act`]; on SQLite one thread commits them in groups (`writer.rs`).
mod column;
mod connection;
mod migration;
mod presence;
pub mod schema;
mod upsert;
mod wanted;
mod writer;

pub mod absence;
mod access;
pub mod activity;
pub mod activity_list;
pub mod agent_enrollment;
pub mod alert;
pub mod api_token;
pub mod approval;
pub mod attention;
pub mod avoided_pack;
pub mod backup_attempt;
pub mod command;
pub mod command_list;
pub mod compliance;
pub mod console_copy;
pub mod content_read;
pub mod copy;
pub mod copy_lock;
pub mod copy_test;
pub mod device;
pub mod device_list;
pub mod device_proof;
pub mod device_status;
pub mod enrollment;
pub mod enrollment_token;
pub mod escrow;
pub mod evidence;
pub mod fact;
pub mod ground;
pub mod hold;
pub mod integrity;
pub mod kept_object;
pub mod ledger;
pub mod mail;
pub mod object;
pub mod one_time_link;
pub mod person;
pub mod policy;
pub mod preference;
pub mod prune;
pub mod recovery_key;
pub mod removal;
pub mod repository;
pub mod request_id;
pub mod restore;
pub mod restore_point;
pub mod restore_test;
pub mod restore_test_list;
pub mod restore_undo;
pub mod retention;
pub mod search;
pub mod session;
pub mod setting;
pub mod team;
pub mod team_key;
pub mod team_quota;
pub mod throttle;
pub mod uncopied;
pub mod user;
pub mod verification;
pub mod wipe;

pub use access::Store;
pub use connection::{Conn, Database, MultiBackend, checkpoint, clock_of, in_transaction};
pub use migration::{Upgrade, latest_version};
