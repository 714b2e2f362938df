//! Restore tests with the real process: good, damaged and hostile repositories.
mod copy_alone;
pub mod craft;
mod damage;
mod evidence;
mod hostile;
mod listed;
mod manifest;
mod process;
mod stretch;
mod written;
