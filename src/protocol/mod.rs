//! The doors for programs: devices, and another Holdfast that fetches. Bytes to domain and back, one folder per wire format.
pub mod agent;
pub mod apple;
pub mod pull;
pub mod restic;
