//! Figures that can be reproduced: `holdfast bench …`.
pub mod apple;
pub mod check_in;
pub mod copy;
mod device;
pub mod door;
mod fleet;
pub mod machine;
pub mod page;
pub mod proof;
pub mod recovery;
mod server;
pub mod verify;
