//! Devices that are managed through Apple's protocol.
pub mod account;
pub mod authority;
pub mod certificate;
pub mod challenge;
pub mod enrollment;
pub mod message;
pub mod push;
pub mod query;
pub mod report;
pub mod service;
