//! Backups arrive: rows of objects, restore points, and what the device reports about them.
mod avoid;
mod damage;
mod ledger;
mod report;

pub use avoid::{Replaced, ToAvoid, avoid, publish_indexes, regained, show_again, to_avoid};
pub use damage::{
    manifest_received, object_damaged, object_found_damaged, object_healed, object_intact_again, object_put_back,
};
pub use ledger::{
    Kept, MORE_SPACE, READ_ONLY, TOO_MANY_OBJECTS, check_room, discard, is_sound, keep, key_of, received, remove_locks,
    size_of, snapshot_received, unlocked,
};
pub use report::{ONLY_REPORTED, report};
