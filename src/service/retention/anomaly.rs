//! Looks at each restore test that ended for something unusual; then the last good point is held, and people are told.
use crate::error::Result;
use crate::service::activity::{Act, record_often};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{hold, installation};
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::setting::LOOKED_UNTIL;
use crate::store::{self, Conn, Store};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::id::RestorePointId;
use domain::proof::{TestResult, TestState};
use domain::retention::{Anomaly, COMPARED, Measured, anomalies};
use domain::role::Permission;
use domain::time::Time;

/// How many tests are looked at in one run.
const BATCH: i64 = 100;

/// Below this, what a change takes up in the store is not counted: it says nothing.
const FEW_BYTES: i64 = 10_000_000;

/// `look`, if there is anything to look at; returns how many tests were unusual.
///
/// # Errors
/// When the database refuses.
pub fn look_at_news(store: &Store, now: Time) -> Result<usize> {
    // Asked first without the lock for acts: most runs find nothing.
    match store.read_blocking(move |conn| has_news(conn, now))? {
        true => store.act_blocking(move |conn| look(conn, now)),
        false => Ok(0),
    }
}

/// Whether [`look`] has anything to look at.
fn has_news(conn: &mut Conn, now: Time) -> Result<bool> {
    let Some(since) = LOOKED_UNTIL.find(conn)? else { return Ok(true) };
    Ok(!store::restore_test::ended_after(conn, since.min(now), 1)?.is_empty())
}

/// Looks at the tests that ended since the last run; returns how many were unusual. An act.
fn look(conn: &mut Conn, now: Time) -> Result<usize> {
    // What ended before anybody looked is no news.
    let Some(since) = LOOKED_UNTIL.find(conn)? else {
        LOOKED_UNTIL.set(conn, &now, now)?;
        return Ok(0);
    };
    // A clock that was ahead must not keep everything from being looked at until then.
    let ended = store::restore_test::ended_after(conn, since.min(now), BATCH)?;
    let mut found = 0;
    for test in &ended {
        found += usize::from(look_at(conn, test, now)?);
    }
    if let Some(at) = ended.last().and_then(|it| it.finished_at) {
        LOOKED_UNTIL.set(conn, &at, now)?;
    }
    Ok(found)
}

fn look_at(conn: &mut Conn, test: &RestoreTest, now: Time) -> Result<bool> {
    let Some(point) = store::restore_point::find(conn, test.restore_point_id)? else { return Ok(false) };
    let Some(device) = store::device::find(conn, test.device_id)? else { return Ok(false) };
    let (before, last_good) = earlier(conn, test, &point)?;
    let found = anomalies(&measured(conn, test, &point)?, &before);
    if found.is_empty() {
        return Ok(false);
    }
    let why: Vec<String> = found.iter().map(Anomaly::sentence).collect();
    let why = why.join(" ");
    let pinned = match last_good {
        Some(last_good) => match hold::make_by_rule(conn, &device, last_good, &why, now)? {
            Some(_) => Pinned::Now,
            None => Pinned::Before,
        },
        None => Pinned::Nothing,
    };
    // Also while a hold stands: what comes after the first may be the worse one.
    let object = Object::new("restore_point", point.id, device.name.clone());
    let act = Act::done(Action::AnomalyFound, object).on(device.id).because(&why).ended(Outcome::Failed);
    record_often(conn, &Actor::system(), &act, now)?;
    tell(conn, &device, &found, pinned, now)?;
    Ok(true)
}

/// What is held because of something unusual.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pinned {
    /// The last good point, from now on.
    Now,
    /// What something unusual before it had held.
    Before,
    /// No point before it is good.
    Nothing,
}

/// What was measured in the points before one, newest first, and the last of them that was proven, or else read back.
fn earlier(
    conn: &mut Conn,
    test: &RestoreTest,
    point: &RestorePoint,
) -> Result<(Vec<Measured>, Option<RestorePointId>)> {
    let (mut found, mut proven, mut verified) = (Vec::new(), None, None);
    for it in store::restore_point::of_device(conn, test.device_id, 4 * i64::try_from(COMPARED).unwrap_or(10))? {
        // Of the same enrolment: another machine has other files.
        if it.sequence >= point.sequence || it.repository_id != point.repository_id || found.len() >= COMPARED {
            continue;
        }
        let Some(id) = it.test_id else { continue };
        let Some(before) = store::restore_test::find(conn, id)?.filter(is_good) else { continue };
        if it.verified_at.is_some() {
            verified = verified.or(Some(it.id));
        }
        if it.proven_at.is_some() {
            proven = proven.or(Some(it.id));
        }
        found.push(measured(conn, &before, &it)?);
    }
    Ok((found, proven.or(verified)))
}

fn is_good(test: &RestoreTest) -> bool {
    test.state == TestState::Finished && matches!(test.result, Some(TestResult::Passed | TestResult::Partial))
}

fn measured(conn: &mut Conn, test: &RestoreTest, point: &RestorePoint) -> Result<Measured> {
    let changed = test.beyond_files.zip(test.beyond_bytes);
    let mut stored = 0;
    if let (Some((_, bytes)), Some(base)) = (changed, test.base_point_id)
        && bytes >= FEW_BYTES
        && let Some(base) = store::restore_point::find(conn, base)?
    {
        stored = store::object::received_between(conn, point.repository_id, (base.as_of, point.as_of))?;
    }
    Ok(Measured { files: test.file_count, bytes: test.byte_count, changed, stored })
}

#[derive(Template)]
#[template(path = "mail/anomaly.txt")]
struct AnomalyMail<'a> {
    device: &'a Device,
    found: &'a [Anomaly],
    pinned: Pinned,
    url: String,
}

fn tell(conn: &mut Conn, device: &Device, found: &[Anomaly], pinned: Pinned, now: Time) -> Result<()> {
    let url = format!("{}/devices/{}", installation::public_url(conn)?.unwrap_or_default(), device.id);
    let body = AnomalyMail { device, found, pinned, url }.render().context("writing a mail")?;
    let subject = format!("Something unusual in a backup: {}", device.name);
    // A device decides how often that is: what holds nothing new is told once a day.
    let day = now.seconds() / 86_400;
    let dedupe_key = (pinned != Pinned::Now).then(|| format!("{}/{day}", device.id));
    let to = Recipients::Permission(Permission::RunBackups, device.team_id);
    mail::enqueue(conn, &Mail { to, kind: "anomaly", dedupe_key, subject, body }, now).map(drop)
}
