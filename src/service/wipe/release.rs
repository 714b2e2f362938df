//! Requests whose time has come, and what becomes of one that cannot continue.
use super::notice::{News, tell};
use super::report::fail;
use super::{WINDOW, What, device, facts, limits, matter, record, stops, write};
use crate::error::Result;
use crate::service::command::Ask;
use crate::service::{approval, command, freeze};
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::anyhow;
use domain::activity::{Action, Actor, Outcome};
use domain::channel::Channel;
use domain::command::{CommandState, Order};
use domain::device::DeviceState;
use domain::time::Time;
use domain::wipe::{Check, Limits, Recent, Verdict, WipeAction, WipeState, WipeStop};

/// Releases what has waited long enough and is still as agreed, within the hourly limit, and ends what has
/// expired.
///
/// Returns how many now have an order. `steady_since` comes from the clock.
///
/// # Errors
/// When the database refuses.
pub fn release_due(conn: &mut Conn, limit: i64, steady_since: Time, now: Time) -> Result<usize> {
    let mut released = 0;
    let limits = limits(conn, now)?;
    let stops = stops(conn, now)?;
    let is_frozen = stops.iter().any(|it| !it.is_away());
    // A hold interrupted by a freeze starts again: nobody could look at it in the meantime.
    let steady_since = steady_since.max(freeze::ended_at(conn)?.unwrap_or(steady_since));
    let is_away = stops.iter().any(WipeStop::is_away);
    for request in store::wipe::due(conn, now, limit)? {
        let progress = request.progress(conn)?;
        // First: to end it, neither the store nor the end of a freeze is needed.
        if progress.is_expired(now) {
            settle(conn, &request, Verdict::Expire, now)?;
            continue;
        }
        // Nobody can say what would be lost: it waits, and every page says so.
        if is_away {
            continue;
        }
        let device = device(conn, request.device_id)?;
        let verdict = progress.release(check(conn, &request, &device, now)?, steady_since, now);
        match verdict {
            // Whenever they were approved, no more than the limit leave within an hour: there is time to see
            // what is going on.
            Verdict::Go if is_frozen => {}
            Verdict::Go if is_full(conn, limits, (&request, &device), now)? => {}
            Verdict::Go => {
                release(conn, request, &device, now)?;
                released += 1;
            }
            Verdict::Wait => {}
            Verdict::Hold(_) | Verdict::Review | Verdict::Cancel | Verdict::Expire => {
                settle(conn, &request, verdict, now)?;
            }
        }
    }
    Ok(released)
}

/// Whether one more order would exceed the limit for everyone, or the share of its person or team.
fn is_full(conn: &mut Conn, limits: Limits, (request, device): (&WipeRequest, &Device), now: Time) -> Result<bool> {
    let since = now - WINDOW;
    let left = store::wipe::released(conn, (request.requested_by, device.team_id), since)?;
    // All orders that erase count, whatever is behind them.
    let left = Recent { by_all: store::command::count_erasing_since(conn, since)?, ..left };
    Ok(limits.reached(left).is_some())
}

/// Ends the requests whose order has ended without them: the device enrolled again, or the order expired. One
/// whose order was handed out has failed: nobody knows what became of the data.
///
/// # Errors
/// When the database refuses.
pub fn settle_orphaned(conn: &mut Conn, limit: i64, now: Time) -> Result<usize> {
    let orphaned = store::wipe::orphaned(conn, limit)?;
    let count = orphaned.len();
    for request in orphaned {
        if request.state == WipeState::Delivered {
            let device = device(conn, request.device_id)?;
            let note = "the order was handed out but no report came: treat the device as if nothing was erased";
            fail(conn, (&Actor::system(), "Holdfast"), (request, &device), note, now)?;
        } else {
            settle(conn, &request, Verdict::Cancel, now)?;
        }
    }
    Ok(count)
}

/// What is checked before each step.
pub(super) fn check(conn: &mut Conn, request: &WipeRequest, device: &Device, now: Time) -> Result<Check> {
    let approval = request.approval(conn)?;
    let accounts_hold = approval::is_backed(conn, &matter(request, device), approval.as_ref())?;
    let (agreed, current) = (request.agreed()?, facts(conn, device, now)?);
    Ok(Check {
        is_worse: agreed.is_worse(&current),
        is_doubtful: current.doubt.is_worse_than(agreed.doubt),
        accounts_hold,
        same_enrollment: device.state == DeviceState::Enrolled && device.generation == request.generation,
    })
}

/// What the order says. Company data is what the agent's key opens: no folder is touched, so none is named.
///
/// # Errors
/// When the database refuses.
pub(super) fn ordered(conn: &mut Conn, request: &WipeRequest, device: &Device) -> Result<Order> {
    Ok(match request.action {
        WipeAction::Wipe => Order::Wipe { roots: roots(conn, device)?, erasure: request.erasure()? },
        WipeAction::RemoveCompanyData => Order::RemoveCompanyData,
    })
}

/// The folders that a wipe erases. Without its agent's row nobody knows them, and an order to erase nothing would
/// be reported as done.
fn roots(conn: &mut Conn, device: &Device) -> Result<Vec<String>> {
    if let Some(agent) = store::agent_enrollment::find(conn, device.id, device.generation)? {
        return Ok(agent.roots()?);
    }
    match command::channel(conn, device)? {
        Some(channel) if channel.name != Channel::AGENT => Ok(Vec::new()),
        _ => Err(anyhow!("the folders of device {} are not known", device.id).into()),
    }
}

fn release(conn: &mut Conn, request: WipeRequest, device: &Device, now: Time) -> Result<()> {
    let from = request.state;
    let actor = Actor::system();
    let order = ordered(conn, &request, device)?;
    let ask = Ask { order: &order, request_key: None };
    let order = command::queue(conn, &actor, device, ask, now)?;
    let released = WipeRequest {
        state: WipeState::Released,
        command_id: Some(order.id),
        state_note: "the order is waiting for the device".to_owned(),
        ..request
    };
    write(conn, &released, from)?;
    record(
        conn,
        &actor,
        &released,
        &What::done(Action::WipeReleased, "the hold is over and the facts are no worse"),
        now,
    )
}

/// Moves a request that cannot continue to the state it belongs in, takes back its order, and reports it.
pub(super) fn settle(conn: &mut Conn, request: &WipeRequest, verdict: Verdict, now: Time) -> Result<WipeRequest> {
    let (state, action, outcome, note) = match verdict {
        Verdict::Go | Verdict::Wait => return Ok(request.clone()),
        Verdict::Hold(why) => (WipeState::Held, Action::WipeHeld, Outcome::Refused, why.reason().to_owned()),
        Verdict::Review => {
            let device = device(conn, request.device_id)?;
            let note = worse(request, &facts(conn, &device, now)?)?;
            (WipeState::ReviewAgain, Action::WipeNeedsReview, Outcome::Refused, note)
        }
        Verdict::Cancel => {
            let note = "the device has enrolled again or is no longer enrolled: this request was for an enrolment \
             that is over";
            (WipeState::Cancelled, Action::WipeStopped, Outcome::Refused, note.to_owned())
        }
        Verdict::Expire => {
            let note = "it was not delivered within 7 days";
            (WipeState::Expired, Action::WipeExpired, Outcome::Done, note.to_owned())
        }
    };
    if let Some(id) = request.command_id {
        // Also one that was handed out but did not reach the device.
        store::command::finish(conn, id, &CommandState::OPEN, CommandState::Cancelled, (&note, now))?;
    }
    let moved = WipeRequest {
        state,
        state_note: note,
        // Whoever comes here did not get the order, even if it was handed out: no report is owed.
        delivered_at: None,
        finished_at: state.is_final().then_some(now),
        ..request.clone()
    };
    write(conn, &moved, request.state)?;
    record(conn, &Actor::system(), &moved, &What { action, outcome, reason: &moved.state_note }, now)?;
    let device = device(conn, moved.device_id)?;
    tell(conn, (&moved, &device), &Actor::system().name, News::Stands, now)?;
    Ok(moved)
}

fn worse(request: &WipeRequest, current: &domain::wipe::Facts) -> Result<String> {
    let agreed = request.agreed()?;
    let names: Vec<_> = agreed.differences(current).iter().filter(|it| it.is_worse).map(|it| it.what).collect();
    Ok(format!("the facts have got worse: {}", names.join(", ").to_lowercase()))
}
