//! The console's own state on the second store: kept each minute, restored and compared on schedule, and brought back
//! from there when everything else is lost.
//!
//! A *state* is the whole database at one moment. The first of a day is kept as all of its pages, each later one as the
//! pages that have changed. Everything is compressed, encrypted with a key of the console's own, and stored under the
//! SHA-256 of its bytes in an area that no repository can have. Two keys give that key back: the one derived from the
//! server's root key, and the one derived from the recovery key, whose shares people keep. Who can only write to the
//! store can make neither, so that no state that is not this console's own is ever taken for one.
mod area;
mod fetch;
mod generation;
mod image;
mod keep;
mod key;
mod piece;
mod restored;
mod state;
mod trial;

pub use fetch::{Fetched, Found, fetch, newest};
pub use generation::{Record, Source};
pub use keep::Keeper;
pub use key::{holder_key, remove_holder, set_holder};
pub use restored::{put_back, rebuilt, restored};
pub use state::{console_copy, look_for_dump, note_failure};
pub use trial::{Trial, check, run as try_restore};
