//! Devices that are managed through Apple's protocol: what that channel adds to enrolments, check-ins and commands, which are
//! the same as everywhere.
pub mod account;
pub mod authority;
pub mod certificate;
pub mod enrollment;
pub mod identity;
pub mod log;
pub mod push;
pub mod service;
pub mod session;
