//! The server's epoch: a new one begins with each restore of its database, and counts for devices once the freeze
//! that comes with it was ended.
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::service::{alert, freeze};
use crate::store::Conn;
use crate::store::setting::EPOCH;
use domain::activity::{Action, Actor};
use domain::epoch::Epoch;
use domain::time::Time;

/// What devices are told.
///
/// # Errors
/// When the database does not answer.
pub fn current(conn: &mut Conn) -> Result<Epoch> {
    Ok(EPOCH.find(conn)?.unwrap_or_default())
}

/// Begins a new epoch after the database was restored from a copy, and freezes. Everyone is told. An act.
///
/// What it orders may be out of date: neither the server nor any device erases anything until the freeze is ended.
///
/// # Errors
/// When the database refuses.
pub fn begin(conn: &mut Conn, by: &Actor, now: Time) -> Result<Epoch> {
    let epoch = Epoch { id: secret::generate("")?, confirmed: false };
    EPOCH.set(conn, &epoch, now)?;
    freeze::begin(conn, now)?;
    activity::record(conn, by, &Act::done(Action::Frozen, freeze::object()), now)?;
    let what = "The server’s database was restored from an older copy. What it orders may be out of date: look at \
                wipes, removals and restores that are under way. Nothing of the kind is sent, and devices refuse it, \
                until `holdfast admin unfreeze` is run on the server’s own machine.";
    alert::host_acted(conn, &by.name, "Restored from an older copy, and frozen", what, now)?;
    Ok(epoch)
}

/// Lets devices act on the current epoch.
pub(super) fn confirm(conn: &mut Conn, now: Time) -> Result<()> {
    let epoch = current(conn)?;
    if !epoch.confirmed {
        EPOCH.set(conn, &Epoch { confirmed: true, ..epoch }, now)?;
    }
    Ok(())
}
