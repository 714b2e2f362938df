//! How far somebody's permission reaches: asked by each act of a person, in the act's own transaction.
use crate::error::{Error, Result};
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::activity::Actor;
use domain::by::{Author, By};
use domain::id::DeviceId;
use domain::role::{Permission, Reach};

/// The devices that somebody may do something to.
///
/// # Errors
/// `Forbidden` if they hold the permission nowhere.
pub fn of(by: &By, permission: Permission) -> Result<Reach> {
    by.reach(permission).ok_or(Error::Forbidden)
}

/// A device within a reach; outside it, not even its existence is revealed.
///
/// # Errors
/// `NotFound` if there is none within it.
pub fn device(conn: &mut Conn, reach: &Reach, id: DeviceId) -> Result<Device> {
    store::device::find(conn, id)?.filter(|it| reach.covers(it.team_id)).ok_or(Error::NotFound("device"))
}

/// The device that somebody acts on.
///
/// # Errors
/// `Forbidden` if they hold the permission nowhere, `NotFound` if they do not hold it for this device.
pub fn acted_on(conn: &mut Conn, by: &By, permission: Permission, id: DeviceId) -> Result<Device> {
    device(conn, &of(by, permission)?, id)
}

/// Who acts on what belongs to the whole organisation.
///
/// # Errors
/// `Forbidden` for a person who does not hold the permission for all of it.
pub fn organisation(by: Author<'_>, permission: Permission) -> Result<&Actor> {
    match by {
        Author::Host(actor) => Ok(actor),
        Author::Person(by) if by.grants.allows_everywhere(permission) => Ok(&by.actor),
        Author::Person(_) => Err(Error::Forbidden),
    }
}
