//! One test binary: it links once. `TEST_DATABASE_URL` picks PostgreSQL, else each test has an SQLite file.
mod agent;
mod architecture;
mod check_in;
mod command;
mod device_list;
mod enrollment;
mod kill;
mod mail;
mod policy;
mod signature;
mod blob;
mod mail;
mod restic;
mod store;
mod support;
