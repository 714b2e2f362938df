//! Devices that are managed through Apple's protocol.
pub mod authority;
pub mod certificate;
pub mod challenge;
pub mod enrollment;
pub mod message;
pub mod order;
pub mod push;
pub mod push_certificate;
pub mod query;
pub mod report;
pub mod setting_state;
pub mod settings;
