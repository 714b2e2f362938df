//! Who is told about a wipe, in the transaction of its act.
use crate::error::Result;
use crate::service::alert::{self, WipeNotice};
use crate::store::Conn;
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use domain::time::Time;
use std::collections::BTreeMap;

/// What is to be reported.
#[derive(Debug, Clone, Copy)]
pub(super) enum News {
    Requested,
    Held,
    Approved {
        release_at: Time,
    },
    /// It is waiting for people, or ended before it was sent.
    Stands,
    Done {
        complete: bool,
    },
}

/// Reports that requests were stopped by a person, to each team about its own: one mail, however many there
/// are.
pub(super) fn tell_stopped(conn: &mut Conn, stopped: &[(WipeRequest, Device)], by: &str, now: Time) -> Result<()> {
    let mut teams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (request, device) in stopped {
        teams.entry(device.team_id).or_default().push((request, device));
    }
    for (team, requests) in teams {
        // Those held by the limit were reported once an hour, however many there were; so is their end.
        let was_told = requests.iter().any(|(request, _)| request.passed_at.is_some());
        let notices: Vec<_> = requests.iter().map(|it| notice(*it, by, "")).collect();
        alert::wipes_stopped(conn, team, &notices, was_told, now)?;
    }
    Ok(())
}

fn notice<'a>((request, device): (&'a WipeRequest, &'a Device), by: &'a str, loss: &'a str) -> WipeNotice<'a> {
    WipeNotice {
        request: request.id,
        device_name: &device.name,
        serial: &device.serial,
        person: &device.person,
        team: device.team_id,
        by,
        action: request.action,
        reason: request.reason,
        loss,
        note: &request.state_note,
    }
}

pub(super) fn tell(
    conn: &mut Conn,
    (request, device): (&WipeRequest, &Device),
    by: &str,
    news: News,
    now: Time,
) -> Result<()> {
    let loss = request.agreed()?.loss_sentence(request.action, &Time::iso);
    let notice = notice((request, device), by, &loss);
    match news {
        News::Requested => alert::wipe_requested(conn, &notice, now),
        News::Held => alert::wipe_held(conn, &notice, now),
        News::Approved { release_at } => alert::wipe_approved(conn, &notice, release_at, now),
        News::Stands => alert::wipe_stands(conn, &notice, now),
        News::Done { complete } => alert::wipe_done(conn, &notice, complete, now),
    }
}
