//! One test binary: it links once. `TEST_DATABASE_URL` picks PostgreSQL, else each test has an SQLite file.
mod agent;
mod architecture;
mod blob;
mod check_in;
mod command;
mod device_list;
mod enrollment;
mod kill;
mod mail;
mod policy;
mod proof;
mod restic;
mod restic_client;
mod signature;
mod store;
mod support;
