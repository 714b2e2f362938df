//! The device side: bytes to domain and back, one folder per wire format.
pub mod agent;
pub mod restic;
