//! Devices that are managed through Apple's protocol: everything they are sent is compared with Apple's schema.
mod command;
mod enrollment;
mod identity;
mod push;
mod push_certificate;
mod scep;
mod tool;
mod wipe;
mod world;

pub use world::World;
