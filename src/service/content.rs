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
use domain::id::{ContentReadId, DeviceId, RepositoryId, RestorePointId, UserId};
use domain::key_holder::KeyedAct;
use domain::manifest::MAX_PATH;
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
    // No spelling of a path is longer.
    if wanted.path.len() > 3 * MAX_PATH {
        return Err(Error::NotFound("file or folder"));
    }
    let (device, point, repository) = find(conn, by, wanted.point)?;
    check_key(&repository)?;
    if point.stored_at.is_none() {
        return Err(Error::Refused("the server does not hold this restore point: it is only reported".to_owned()));
    }
    let reason = match wanted.kind {
        ReadKind::Download => guard::reason(GuardedAct::DownloadContents, &wanted.reason)?,
        ReadKind::List | ReadKind::Search | ReadKind::Compare => "",
    };
    let read = note(conn, by, &point, (wanted.kind, &wanted.path, reason), now)?;
    if wanted.kind == ReadKind::Download {
        tell(conn, by, (&read, &device, &point), now)?;
    }
    Ok(Opened { read, device, point, repository })
}

/// Writes down what is read, once for those who may see the names of files, and without them in the history.
fn note(
    conn: &mut Conn,
    by: &By,
    point: &RestorePoint,
    (kind, path, reason): (ReadKind, &str, &str),
    now: Time,
) -> Result<ContentRead> {
    let read = ContentRead {
        id: ContentReadId::generate(now),
        kind,
        device_id: point.device_id,
        restore_point_id: point.id,
        user_id: by.user,
        user_name: by.actor.name.clone(),
        at: now,
        path: path.to_owned(),
        reason: reason.to_owned(),
        outcome: None,
        note: String::new(),
        byte_count: 0,
        finished_at: None,
    };
    store::content_read::insert(conn, &read)?;
    let act = Act::done(kind.action(), object_of(&read, point)).on(point.device_id).because(reason);
    record(conn, &by.actor, &act, now)?;
    Ok(read)
}

/// A search over a device's restore points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub device: DeviceId,
    /// Part of a name.
    pub text: String,
    /// Points received after this do not exist for it.
    pub as_of: Option<Time>,
    /// How many of the newest points are left out: they were searched before.
    pub skip: i64,
    /// Where the search goes on within the first of the others, as the one before said, after that point's id and a dot;
    /// empty for its beginning.
    pub from: String,
}

/// The points that a search goes through.
#[derive(Debug, Clone)]
pub struct Searched {
    pub device: Device,
    /// Newest first, all of one repository; none if there is nothing to search.
    pub points: Vec<RestorePoint>,
    pub repository: Option<Repository>,
    /// The point after the newest of these, and its repository: what a name's absence there says was searched before.
    pub newer: Option<(RestorePoint, Repository)>,
    /// How many points there are besides, older ones.
    pub older: i64,
    /// Where the search goes on within the first; empty for its beginning.
    pub from: String,
}

/// The most restore points that one search goes through.
const SEARCHED: i64 = 400;

/// The longest place to go on from: as many numbers as folders may be nested.
const LONGEST_FROM: usize = 64 << 10;

/// Writes down that somebody searches, in the transaction that allows it.
///
/// # Errors
/// `Forbidden` or `NotFound` if they may not; `Refused` during a freeze; `Invalid` in `q`.
pub fn search(conn: &mut Conn, by: &By, wanted: &Search, now: Time) -> Result<Searched> {
    freeze::check(conn)?;
    let device = reach::acted_on(conn, by, Permission::ReadContents, wanted.device)?;
    if let Some(why) = store::repository::key_holder_of(conn, device.id)?.refusal(KeyedAct::LookInside) {
        return Err(Error::Refused(why.to_owned()));
    }
    let length = wanted.text.chars().count();
    if length == 0 || length > 200 {
        return Err(Error::invalid("q", "Enter part of a name: 1 to 200 characters."));
    }
    let (begun, from) = begun(&wanted.from)?;
    let skip = wanted.skip.max(0);
    let mut points = store::restore_point::stored_until(conn, device.id, wanted.as_of, (skip, SEARCHED))?;
    let all = store::restore_point::count_stored_until(conn, device.id, wanted.as_of)?;
    let Some(newest) = points.first().cloned() else {
        return Ok(Searched { device, points, repository: None, newer: None, older: 0, from });
    };
    if begun.is_some_and(|it| it != newest.id) {
        let why = "restore points came or ended meanwhile: search again from the newest";
        return Err(Error::Conflict(why.to_owned()));
    }
    // Each enrolment has its own repository, with its own key: the next one is the next search. So is the next point
    // while the rest of one is searched.
    let own = points.iter().take_while(|it| it.repository_id == newest.repository_id).count();
    points.truncate(if from.is_empty() { own } else { 1 });
    let older = all - skip - i64::try_from(points.len()).unwrap_or(i64::MAX);
    let repository = store::repository::find(conn, newest.repository_id)?;
    let newer = newer(conn, device.id, (wanted.as_of, skip))?;
    note(conn, by, &newest, (ReadKind::Search, &wanted.text, ""), now)?;
    Ok(Searched { device, points, repository, newer, older: older.max(0), from })
}

/// Which point a search had begun with, and where it goes on in it.
fn begun(from: &str) -> Result<(Option<RestorePointId>, String)> {
    if from.is_empty() {
        return Ok((None, String::new()));
    }
    let none = || Error::invalid("from", "This is no place to go on from.");
    let (id, place) = from.split_once('.').ok_or_else(none)?;
    if place.is_empty() || place.len() > LONGEST_FROM || !place.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
        return Err(none());
    }
    Ok((Some(id.parse().ok().ok_or_else(none)?), place.to_owned()))
}

/// The last of the points that were left out, with its repository.
fn newer(
    conn: &mut Conn,
    device: DeviceId,
    (as_of, skip): (Option<Time>, i64),
) -> Result<Option<(RestorePoint, Repository)>> {
    if skip == 0 {
        return Ok(None);
    }
    let last = store::restore_point::stored_until(conn, device, as_of, (skip - 1, 1))?.pop();
    let Some(point) = last else { return Ok(None) };
    Ok(store::repository::find(conn, point.repository_id)?.map(|it| (point, it)))
}

/// Two points that are compared, the older first.
#[derive(Debug, Clone)]
pub struct Compared {
    pub device: Device,
    pub old: RestorePoint,
    pub new: RestorePoint,
    pub repository: Repository,
}

/// Writes down that somebody compares two points, in the transaction that allows it.
///
/// # Errors
/// `Forbidden` or `NotFound` if they may not; `Refused` during a freeze, or if the two cannot be compared.
pub fn compare(conn: &mut Conn, by: &By, points: (RestorePointId, RestorePointId), now: Time) -> Result<Compared> {
    freeze::check(conn)?;
    let (device, one, repository) = find(conn, by, points.0)?;
    check_key(&repository)?;
    let (_, other, _) = find(conn, by, points.1)?;
    if one.repository_id != other.repository_id {
        let why = "these two restore points belong to different enrolments: only points of one enrolment are compared";
        return Err(Error::Refused(why.to_owned()));
    }
    if one.stored_at.is_none() || other.stored_at.is_none() {
        return Err(Error::Refused("the server does not hold both of these restore points".to_owned()));
    }
    let (old, new) = if one.sequence <= other.sequence { (one, other) } else { (other, one) };
    note(conn, by, &new, (ReadKind::Compare, "", ""), now)?;
    Ok(Compared { device, old, new, repository })
}

fn check_key(repository: &Repository) -> Result<()> {
    let refusal = repository.key_holder.refusal(KeyedAct::LookInside);
    refusal.map_or(Ok(()), |why| Err(Error::Refused(why.to_owned())))
}

/// A restore point that somebody may look into, its device and its repository.
///
/// # Errors
/// `NotFound` if there is none within reach, `Forbidden` if they may look into none.
pub fn find(conn: &mut Conn, by: &By, point: RestorePointId) -> Result<(Device, RestorePoint, Repository)> {
    const NONE: Error = Error::NotFound("restore point");
    let reach = reach::of(by, Permission::ReadContents)?;
    let point = store::restore_point::find(conn, point)?.filter(|it| it.trashed_by.is_none()).ok_or(NONE)?;
    let device = store::device::find(conn, point.device_id)?.filter(|it| reach.covers(it.team_id)).ok_or(NONE)?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(NONE)?;
    Ok((device, point, repository))
}

/// The repository's objects as they were when a point of it was received, which is its `as_of`: what came later, such as an index that
/// leads nowhere, does not exist for whoever reads it.
///
/// # Errors
/// When the database refuses.
pub fn view(conn: &mut Conn, repository: RepositoryId, as_of: Time) -> Result<Vec<object::Object>> {
    Ok(object::all(conn, repository, Some(as_of))?)
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
