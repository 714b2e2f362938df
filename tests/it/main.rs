//! One test binary: it links once. `TEST_DATABASE_URL` picks PostgreSQL, else each test has an SQLite file.
mod architecture;
mod enrollment;
mod kill;
mod mail;
mod store;
mod support;
