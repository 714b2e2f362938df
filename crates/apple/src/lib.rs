//! Apple's device management protocol as bytes: what devices send is read, and what they are sent is written. No I/O, no
//! clock.
//!
//! Source: Apple's own machine-readable schema, `apple/device-management` on GitHub (MIT), release of iOS 18.1 and macOS
//! 15.1.
pub mod certificate;
pub mod cms;
pub mod command;
pub mod declaration;
pub mod machine_info;
pub mod message;
pub mod plist;
pub mod profile;
pub mod scep;
#[cfg(feature = "schema")]
pub mod schema;
pub mod service;
pub mod simulated;
pub mod target;
