//! Figures that can be measured again: `holdfast bench …`.
pub mod check_in;
pub mod door;
pub mod machine;
pub mod proof;
mod server;
