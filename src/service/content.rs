//! Reading what devices backed up: who may, that it is written down before anything is read, and how it ended.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::guard::{self, News};
use crate::service::{account, freeze, installation, reach};
use crate::store::content_read::ContentRead;
use crate::store::device::Device;
use crate::store::object;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Object, Outcome};
use domain::by::By;
use domain::content::{ReadKind, ReadOutcome};
use domain::guard::GuardedAct;
use domain::id::{ContentReadId, DeviceId, RestorePointId, UserId};
use domain::role::Permission;
use domain::time::Time;

/// What somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub kind: ReadKind,
    pub point: RestorePointId,
    /// In the manifest's spelling; empty for the top.
    pub path: String,
    /// Why; only a download needs a reason.
    pub reason: String,
}

/// What is read, after it was written down.
#[derive(Debug, Clone)]
pub struct Opened {
    pub read: ContentRead,
    pub device: Device,
    pub point: RestorePoint,
    pub repository: Repository,
}

/// Writes down that somebody reads, in the transaction that allows it.
///
/// # Errors
/// `Forbidden` or `NotFound` if they may not; `Refused` during a freeze, or if the server does not hold the point;
/// `Invalid` in `reason`.
pub fn open(conn: &mut Conn, by: &By, wanted: &Wanted, now: Time) -> Result<Opened> {
    freeze::check(conn)?;
    let (device, point, repository) = find(conn, by, wanted.point)?;
    if point.stored_at.is_none() {
        return Err(Error::Refused("the server does not hold this restore point: it is only reported".to_owned()));
    }
    let reason = match wanted.kind {
        ReadKind::Download => guard::reason(GuardedAct::DownloadContents, &wanted.reason)?,
        ReadKind::List => "",
    };
    let read = ContentRead {
        id: ContentReadId::generate(now),
        kind: wanted.kind,
        device_id: device.id,
        restore_point_id: point.id,
        user_id: by.user,
        user_name: by.actor.name.clone(),
        at: now,
        path: wanted.path.clone(),
        reason: reason.to_owned(),
        outcome: None,
        note: String::new(),
        byte_count: 0,
        finished_at: None,
    };
    store::content_read::insert(conn, &read)?;
    // No path: not everybody who may read the history may see the names of files.
    let act = Act::done(wanted.kind.action(), object_of(&read, &point)).on(device.id).because(reason);
    record(conn, &by.actor, &act, now)?;
    if wanted.kind == ReadKind::Download {
        tell(conn, by, (&read, &device, &point), now)?;
    }
    Ok(Opened { read, device, point, repository })
}

/// A restore point that somebody may look into, its device and its repository.
///
/// # Errors
/// `NotFound` if there is none within reach, `Forbidden` if they may look into none.
pub fn find(conn: &mut Conn, by: &By, point: RestorePointId) -> Result<(Device, RestorePoint, Repository)> {
    const NONE: Error = Error::NotFound("restore point");
    let reach = reach::of(by, Permission::ReadContents)?;
    let point = store::restore_point::find(conn, point)?.ok_or(NONE)?;
    let device = store::device::find(conn, point.device_id)?.filter(|it| reach.covers(it.team_id)).ok_or(NONE)?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(NONE)?;
    Ok((device, point, repository))
}

/// The repository's objects as they were when a point was received: what came later, such as an index that
/// leads nowhere, does not exist for whoever reads it.
///
/// # Errors
/// When the database refuses.
pub fn view(conn: &mut Conn, point: &RestorePoint) -> Result<Vec<object::Object>> {
    Ok(object::all(conn, point.repository_id, Some(point.as_of))?)
}

/// Whether a download that has begun may go on: the account still holds the permission, and nothing is frozen.
///
/// # Errors
/// When the database refuses.
pub fn may_go_on(conn: &mut Conn, user: UserId, device: DeviceId) -> Result<bool> {
    let Some(device) = store::device::find(conn, device)? else { return Ok(false) };
    Ok(freeze::standing(conn)?.is_none() && guard::still_holds(conn, user, Permission::ReadContents, device.team_id)?)
}

/// Writes down how a download ended.
///
/// # Errors
/// When the database refuses.
pub fn finish(
    conn: &mut Conn,
    by: &By,
    id: ContentReadId,
    (outcome, note, bytes): (ReadOutcome, &str, i64),
    now: Time,
) -> Result<()> {
    let Some(read) = store::content_read::find(conn, id)? else { return Ok(()) };
    let is_new = store::content_read::finish(conn, id, (outcome, note, bytes), now)?;
    if is_new && outcome == ReadOutcome::BrokenOff {
        let point = store::restore_point::find(conn, read.restore_point_id)?.ok_or(Error::NotFound("restore point"))?;
        let act = Act::done(Action::ContentsDownloadBrokenOff, object_of(&read, &point)).on(read.device_id);
        record(conn, &by.actor, &act.ended(Outcome::Failed), now)?;
    }
    Ok(())
}

fn object_of(read: &ContentRead, point: &RestorePoint) -> Object {
    Object::new("content_read", read.id, point.received_at.iso())
}

#[derive(Template)]
#[template(path = "mail/contents_downloaded.txt")]
struct ContentsDownloaded<'a> {
    by: &'a str,
    device_name: &'a str,
    serial: &'a str,
    person: &'a str,
    reason: &'a str,
    point: String,
    url: String,
}

fn tell(
    conn: &mut Conn,
    by: &By,
    (read, device, point): (&ContentRead, &Device, &RestorePoint),
    now: Time,
) -> Result<()> {
    let name = account::who(conn, &by.actor)?;
    let url = installation::public_url(conn)?.unwrap_or_default();
    let body = ContentsDownloaded {
        by: &name,
        device_name: &device.name,
        serial: &device.serial,
        person: &device.person,
        reason: &read.reason,
        point: point.received_at.iso(),
        url: format!("{url}/devices/{}", device.id),
    };
    let body = body.render().context("writing a mail")?;
    let subject = format!("A backup of {} is read", device.name);
    // One mail for each person, restore point and reason: taking ten files for one reason is one matter.
    let key = format!("{}/{}/{}", by.user, point.id, secret::hash(&read.reason));
    guard::tell(conn, News { act: GuardedAct::DownloadContents, key: &key, subject, body }, device, now)
}
