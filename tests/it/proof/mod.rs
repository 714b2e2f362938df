//! Restore tests with the real process: good, damaged and hostile repositories.
pub mod craft;
mod damage;
mod evidence;
mod hostile;
mod listed;
mod manifest;
mod process;
mod stretch;
mod written;
