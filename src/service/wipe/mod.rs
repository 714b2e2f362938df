//! Wiping a device: requested by one person, approved by a second, stoppable by anyone, and checked again
//! before each step.
//!
//! A refusal that changes nothing is an error. If a check moves a request, back to the people or onto hold,
//! that move is the result, so that it is kept.
mod decide;
mod deliver;
mod facts;
mod notice;
mod release;
mod report;
mod request;
mod stop;

pub use decide::{Decision, Seen, approve, lift, lift_accepting, lift_agreed, may_decide, stop, stop_all};
pub use deliver::{delivered, may_deliver};
pub use facts::facts;
pub use release::{release_due, settle_orphaned};
pub use report::{begun, command_ended, reported};
pub use request::{Agreement, Ask, request, review};
pub use stop::stops;

use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::approval::Matter;
use crate::service::reach;
use crate::service::setting::{HOLD, WIPES_PER_HOUR};
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::anyhow;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::by::By;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, WipeRequestId};
use domain::role::Permission;
use domain::time::{Time, days, hours};
use domain::wipe::{Limits, WipeRefusal, WipeState};
use std::time::Duration;

/// A request that was never sent ends after this.
pub const EXPIRES_AFTER: Duration = days(7);

/// The period over which the limit counts.
const WINDOW: Duration = hours(1);

/// How long an approved wipe waits.
///
/// # Errors
/// When the database refuses.
pub fn hold(conn: &mut Conn, now: Time) -> Result<Duration> {
    HOLD.span(conn, now)
}

/// How many wipes pass within an hour.
///
/// # Errors
/// When the database refuses.
pub fn limits(conn: &mut Conn, now: Time) -> Result<Limits> {
    Ok(Limits { per_hour: WIPES_PER_HOUR.find(conn, now)? })
}

/// A request and its device, if the permission of the person who acts reaches it.
fn find(conn: &mut Conn, by: &By, permission: Permission, id: WipeRequestId) -> Result<(WipeRequest, Device)> {
    let reach = reach::of(by, permission)?;
    let request = store::wipe::find(conn, id)?.ok_or(Error::NotFound("wipe request"))?;
    let device = device(conn, request.device_id)?;
    if !reach.covers(device.team_id) {
        // The same answer as for one that does not exist, so that nobody learns of requests out of their reach.
        return Err(Error::NotFound("wipe request"));
    }
    Ok((request, device))
}

fn device(conn: &mut Conn, id: DeviceId) -> Result<Device> {
    store::device::find(conn, id)?.ok_or(Error::NotFound("device"))
}

/// What two people agree to with a request.
fn matter(request: &WipeRequest, device: &Device) -> Matter {
    let teams = vec![device.team_id];
    Matter { what: "a wipe", act: GuardedAct::RequestWipe, requester: request.requested_by, teams }
}

/// Writes a request that was in `from`; a step that the table of states does not have is our own mistake.
fn write(conn: &mut Conn, request: &WipeRequest, from: WipeState) -> Result<()> {
    if request.state != from && !from.may_become(request.state) {
        return Err(anyhow!("a wipe request in “{from}” does not become “{}”", request.state).into());
    }
    if store::wipe::update(conn, request, from)? {
        Ok(())
    } else {
        let state = store::wipe::find(conn, request.id)?.map_or(WipeState::Cancelled, |it| it.state);
        Err(WipeRefusal::NotWaiting(state).into())
    }
}

/// What an act was done to, and why.
struct What<'a> {
    action: Action,
    outcome: Outcome,
    reason: &'a str,
}

impl<'a> What<'a> {
    const fn done(action: Action, reason: &'a str) -> Self {
        Self { action, outcome: Outcome::Done, reason }
    }
}

fn record(conn: &mut Conn, actor: &Actor, request: &WipeRequest, what: &What<'_>, now: Time) -> Result<()> {
    // Facts that cannot be read must not keep the entry from being written.
    let name = request.agreed().map_or_else(|_| request.action.name().to_owned(), |it| it.name);
    let act = Act::done(what.action, Object::new("wipe_request", request.id, name))
        .on(request.device_id)
        .because(what.reason)
        .ended(what.outcome);
    activity::record(conn, actor, &act, now)
}
