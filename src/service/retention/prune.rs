//! What moves to the trash, in one transaction, and how it comes back.
use super::change::current;
use super::facts::{of, points, state};
use crate::blob::BlobKey;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::{backup, freeze, proof, reach};
use crate::store::device::Device;
use crate::store::object::Object as StoredObject;
use crate::store::prune::Prune;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::id::{PruneId, RepositoryId, RestorePointId};
use domain::object::{ObjectKind, ObjectName};
use domain::retention::{Brake, Decision, Facts, Keep, PruneState, WINDOW, brakes, decide};
use domain::role::Permission;
use domain::time::Time;
use domain::words::{bytes, counted};
use std::collections::HashSet;

/// What becomes of a repository.
#[derive(Debug)]
pub enum Verdict {
    /// No point of it ends.
    Nothing,
    /// Points would end, but something stops that.
    Stopped(Vec<Brake>),
    /// What is kept cannot be read.
    Unreadable(String),
    Go(Box<Plan>),
}

/// What would move to the trash, while everything is as it was read.
#[derive(Debug)]
pub struct Plan {
    pub device: Device,
    pub repository: Repository,
    /// Oldest first.
    pub ends: Vec<RestorePoint>,
    /// The snapshots of everything else.
    pub snapshots: Vec<ObjectName>,
    /// Packs older than the window: what none of the snapshots needs may go.
    pub may_go: Vec<ObjectName>,
    pub ledger: Vec<StoredObject>,
    pub keep: Keep,
}

/// What a walk of everything that is kept found.
#[derive(Debug, Default)]
pub struct Found {
    pub packs: Vec<ObjectName>,
    /// Each index that named one of them.
    pub indexes: Vec<ObjectName>,
    /// Their successors, durable but without a row: of which index, where, and how long.
    pub published: Vec<(ObjectName, BlobKey, i64)>,
}

/// What would end of a repository now, and what stops it.
///
/// # Errors
/// When the database refuses.
pub fn plan(conn: &mut Conn, id: RepositoryId, now: Time) -> Result<Verdict> {
    let keep = match current(conn)? {
        Err(why) => return Ok(Verdict::Unreadable(why.to_string())),
        Ok(Keep::Everything) => return Ok(Verdict::Nothing),
        Ok(keep) => keep,
    };
    // One at a time: what comes back must find everything else as it was left.
    if store::prune::open_of(conn, id)?.is_some() {
        return Ok(Verdict::Nothing);
    }
    let (device, repository) = of(conn, id)?;
    let ending = ending(conn, (&device, &repository), &keep, now)?;
    if ending.is_empty() {
        return Ok(Verdict::Nothing);
    }
    let stops = brakes(&state(conn, &device, &repository, now)?, now);
    if !stops.is_empty() {
        return Ok(Verdict::Stopped(stops));
    }
    let ledger = store::object::all(conn, id, None)?;
    let (ends, kept): (Vec<_>, Vec<_>) =
        store::restore_point::stored_of_repository(conn, id)?.into_iter().partition(|it| ending.contains(&it.id));
    let gone: HashSet<&ObjectName> = ends.iter().map(|it| &it.snapshot_name).collect();
    let of_kind = |kind| ledger.iter().filter(move |it| it.kind == kind);
    // Also those that are no restore point: whatever they are, nothing that they need goes.
    let snapshots: Vec<_> =
        of_kind(ObjectKind::Snapshots).filter(|it| !gone.contains(&it.name)).map(|it| it.name.clone()).collect();
    if !kept.iter().all(|it| snapshots.contains(&it.snapshot_name)) {
        return Ok(Verdict::Stopped(vec![Brake::Damaged]));
    }
    let is_old = |it: &&StoredObject| it.received_at <= now && now.since(it.received_at) >= WINDOW;
    let may_go = of_kind(ObjectKind::Data).filter(is_old).map(|it| it.name.clone()).collect();
    Ok(Verdict::Go(Box::new(Plan { device, repository, ends, snapshots, may_go, ledger, keep })))
}

fn ending(
    conn: &mut Conn,
    (device, repository): (&Device, &Repository),
    keep: &Keep,
    now: Time,
) -> Result<HashSet<RestorePointId>> {
    let points = points(conn, device, repository)?;
    let decided = decide(keep, &points, now);
    let ends = points.iter().zip(decided).filter(|(_, it)| *it == Decision::Ends);
    Ok(ends.map(|(it, _)| it.id).collect())
}

/// Moves what a plan ends to the trash, with what only that needed. An act; the bytes stay where they are until
/// [`settle`](super::settle) moves them.
///
/// Everything is looked at once more: what came in between stops it.
///
/// # Errors
/// When the database refuses.
pub fn commit(conn: &mut Conn, made: &Plan, found: &Found, now: Time) -> Result<Verdict> {
    let plan = match plan(conn, made.repository.id, now)? {
        Verdict::Go(plan) => plan,
        other @ (Verdict::Nothing | Verdict::Stopped(_) | Verdict::Unreadable(_)) => return Ok(other),
    };
    let ids = |it: &Plan| it.ends.iter().map(|it| it.id).collect::<Vec<_>>();
    // A backup may have begun, ended or been removed: whoever walked did not see it.
    if plan.repository != made.repository || ids(&plan) != ids(made) || plan.keep != made.keep {
        return Ok(Verdict::Stopped(vec![Brake::InUse]));
    }
    let facts = state(conn, &plan.device, &plan.repository, now)?;
    let ending_bytes = goes(&plan, found);
    let stops = brakes(&Facts { ending_bytes, ..facts }, now);
    if !stops.is_empty() {
        return Ok(Verdict::Stopped(stops));
    }
    trash(conn, &plan, found, now)?;
    Ok(Verdict::Go(plan))
}

/// The bytes of the packs that go; what else goes is small.
fn goes(plan: &Plan, found: &Found) -> i64 {
    let packs: HashSet<&ObjectName> = found.packs.iter().collect();
    let of_pack = |it: &&StoredObject| it.kind == ObjectKind::Data && packs.contains(&it.name);
    plan.ledger.iter().filter(of_pack).map(|it| it.size_bytes).sum()
}

fn trash(conn: &mut Conn, plan: &Plan, found: &Found, now: Time) -> Result<()> {
    let (id, repository, device) = (PruneId::generate(now), plan.repository.id, plan.device.id);
    let names: Vec<_> = found.published.iter().map(|it| it.1.name.clone()).collect();
    let newest = store::restore_point::newest_stored(conn, repository)?;
    let mut prune = Prune {
        id,
        repository_id: repository,
        device_id: device,
        state: PruneState::Trashed,
        rule: plan.keep.text(),
        sequence: newest.map_or(0, |it| it.sequence),
        point_count: i64::try_from(plan.ends.len()).unwrap_or(i64::MAX),
        object_count: 0,
        byte_count: 0,
        published: serde_json::to_string(&names).context("writing the names of indexes")?,
        trashed_at: now,
        erase_at: now + WINDOW,
        ended_at: None,
    };
    store::prune::insert(conn, &prune)?;
    let ids: Vec<_> = plan.ends.iter().map(|it| it.id).collect();
    store::restore_point::trash(conn, &ids, id)?;
    store::restore_test::remove_queued(conn, &ids)?;
    let in_use = store::restore_point::manifests(conn, repository)?;
    let manifests = plan.ends.iter().filter_map(|it| it.manifest_name.clone()).filter(|it| !in_use.contains(it));
    let snapshots: Vec<_> = plan.ends.iter().map(|it| it.snapshot_name.clone()).collect();
    backup::publish_indexes(conn, repository, &plan.ledger, &found.published)?;
    // The new ones may name what no store has intact.
    store::avoided_pack::forget(conn, repository)?;
    for (kind, names) in [
        (ObjectKind::Data, &found.packs),
        (ObjectKind::Index, &found.indexes),
        (ObjectKind::Snapshots, &snapshots),
        (ObjectKind::Manifests, &manifests.collect()),
    ] {
        let (count, bytes) = store::prune::trash(conn, (id, repository), kind, names)?;
        (prune.object_count, prune.byte_count) = (prune.object_count + count, prune.byte_count + bytes);
    }
    store::prune::set_sizes(conn, &prune)?;
    store::repository::count_out_many(conn, repository, (prune.object_count, prune.byte_count))?;
    proof::refresh(conn, device)?;
    let what = format!(
        "{} and {} moved to the trash; they can be put back until {}",
        counted(prune.point_count, "restore point", "restore points"),
        bytes(prune.byte_count),
        prune.erase_at.iso()
    );
    write(conn, &Actor::system(), Action::PointsTrashed, &prune, &what, now)
}

pub(super) fn write(conn: &mut Conn, actor: &Actor, action: Action, prune: &Prune, why: &str, now: Time) -> Result<()> {
    let device = store::device::find(conn, prune.device_id)?.ok_or(Error::NotFound("device"))?;
    let act = Act::done(action, Object::new("prune", prune.id, device.name)).on(prune.device_id);
    record(conn, actor, &act.because(why), now)
}

/// Begins to put back what is in the trash. An act; [`settle`](super::settle) completes it.
///
/// # Errors
/// When there is none within reach, or it is no longer there.
pub fn undo(conn: &mut Conn, by: &By, id: PruneId, now: Time) -> Result<()> {
    let prune = store::prune::find(conn, id)?.ok_or(Error::NotFound("prune"))?;
    match reach::acted_on(conn, by, Permission::Restore, prune.device_id) {
        Err(Error::NotFound(_)) => return Err(Error::NotFound("prune")),
        found => drop(found?),
    }
    begin_undo(conn, &by.actor, &prune, "", now)
}

/// The same by a rule, for the reason in words.
///
/// # Errors
/// When it is no longer in the trash.
pub fn undo_by_rule(conn: &mut Conn, id: PruneId, why: &str, now: Time) -> Result<()> {
    let prune = store::prune::find(conn, id)?.ok_or(Error::NotFound("prune"))?;
    begin_undo(conn, &Actor::system(), &prune, why, now)
}

fn begin_undo(conn: &mut Conn, actor: &Actor, prune: &Prune, why: &str, now: Time) -> Result<()> {
    let (from, to) = (PruneState::Trashed, PruneState::Undoing);
    if prune.state != from || !store::prune::advance(conn, prune.id, (from, to), None)? {
        return Err(Error::Conflict(format!("this is no longer in the trash: {}", prune.state.name().to_lowercase())));
    }
    write(conn, actor, Action::PointsPutBack, prune, why, now)
}

/// Whether a freeze stops what is about to be erased; for the erasing of what is in the trash.
pub(super) fn require_no_freeze(conn: &mut Conn) -> Result<()> {
    freeze::check(conn)
}
