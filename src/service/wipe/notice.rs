//! Who is told of a wipe, in the transaction of its act.
use crate::domain::time::Time;
use crate::error::Result;
use crate::service::alert::{self, WipeNotice};
use crate::store::Conn;
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) enum News {
    Requested,
    Held,
    Approved {
        release_at: Time,
    },
    /// It waits for people, or ended before it was sent.
    Stands,
    Done {
        complete: bool,
    },
}

pub(super) fn tell(
    conn: &mut Conn,
    (request, device): (&WipeRequest, &Device),
    by: &str,
    news: News,
    now: Time,
) -> Result<()> {
    let loss = request.agreed()?.loss().sentence(request.action);
    let notice = WipeNotice {
        request: request.id,
        device_name: &device.name,
        serial: &device.serial,
        person: &device.person,
        team: device.team_id,
        by,
        action: request.action,
        reason: request.reason,
        loss: &loss,
        note: &request.state_note,
    };
    match news {
        News::Requested => alert::wipe_requested(conn, &notice, now),
        News::Held => alert::wipe_held(conn, &notice, now),
        News::Approved { release_at } => alert::wipe_approved(conn, &notice, release_at, now),
        News::Stands => alert::wipe_stands(conn, &notice, now),
        News::Done { complete } => alert::wipe_done(conn, &notice, complete, now),
    }
}
