//! Use cases: load the facts, ask the domain, store, write the activity entry,
//! all on one connection and so in one transaction. Sync functions on `&mut Conn`.
pub mod account;
pub mod activity;
pub mod alert;
pub mod api_token;
pub mod backup;
pub mod backup_attempt;
pub mod check_in;
pub mod command;
pub mod compliance;
pub mod device;
pub mod enrollment;
pub mod freeze;
pub mod host;
pub mod identity;
pub mod mail;
pub mod password;
pub mod policy;
pub mod proof;
pub mod report;
pub mod repository;
pub mod request;
pub mod restore;
pub mod setting;
pub mod team;
pub mod user;
pub mod wipe;
