//! One test binary: it links once. `TEST_DATABASE_URL` picks PostgreSQL, otherwise each test has an SQLite
//! file.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on stops there; its own settings come from the environment"
)]

mod absence;
mod access;
mod account;
mod activity;
mod agent;
mod agent_entries;
mod apple;
mod architecture;
mod asset;
mod backup;
mod blob;
mod bulk;
mod check_in;
mod command;
mod console_copy;
mod content;
mod copy;
mod crossing;
mod cuts;
mod device_list;
mod device_page;
mod disaster;
mod dr;
mod enrollment;
mod enrollment_page;
mod fuzz;
mod ground;
mod guarantees;
mod guard;
mod incident;
mod incident_page;
mod key_holder;
mod kill;
mod list_page;
mod loopback;
mod loss;
mod mail;
mod name;
mod overview;
mod policy;
mod policy_page;
mod proof;
mod prove;
mod reach;
mod recovery_key;
mod removal;
mod restic;
mod restic_client;
mod restore;
mod restore_tree;
mod retention;
mod serve;
mod setting;
mod shown;
mod signature;
mod store;
mod support;
mod team_key;
mod team_quota;
mod templates;
mod traffic;
mod verification;
mod wake;
mod wipe;
