//! Devices that are managed through Apple's protocol: what that channel adds to enrolments, check-ins and commands, which are
//! the same as everywhere.
pub mod authority;
pub mod caller;
pub mod certificate;
pub mod enrollment;
pub mod identity;
pub mod log;
pub mod order;
pub mod push;
pub mod push_certificate;
pub mod session;
pub mod setting_state;
pub mod settings;
