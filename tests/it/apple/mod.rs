//! Devices that are managed through Apple's protocol: everything they are sent is compared with Apple's schema.
mod account;
mod automatic;
mod command;
mod enrollment;
mod escrow;
mod guard;
mod identity;
mod lost;
mod many;
mod push;
mod scep;
mod wipe;
mod world;

pub use world::World;

/// What a device of the company is asked once it has enrolled.
pub const QUESTIONS: [&str; 5] =
    ["DeviceInformation", "SecurityInfo", "ProfileList", "CertificateList", "InstalledApplicationList"];
