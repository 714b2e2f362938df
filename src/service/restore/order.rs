//! Ordering a restore: what may be ordered, the ticket that is sealed to the target, and the order itself.
use super::cross::{self, WAITS_FOR, act_of, current};
use super::report::{MAX_REPORT, report_bytes};
use super::{VALID_FOR, is_proven, record, undo};
use crate::error::{Error, Result};
use crate::service::command::{self, Ask};
use crate::service::{freeze, guard, identity, reach};
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::restore::Restore;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Outcome};
use domain::by::By;
use domain::command::{CommandKind, Order};
use domain::guard::GuardedAct;
use domain::id::{DeviceId, RestoreId, RestorePointId};
use domain::key_holder::NO_RESTORE_ACROSS;
use domain::manifest::Manifest;
use domain::object::ObjectName;
use domain::restore::{self, Conflict, Landing, RestoreOrder, RestoreRefusal, RestoreState, Selection, Start};
use domain::role::Permission;
use domain::time::Time;
use domain::words;

/// What to restore, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whose data it is.
    pub device: DeviceId,
    pub point: RestorePointId,
    pub selection: Selection,
    pub target: DeviceId,
    pub conflict: Conflict,
    /// Somebody ticked that they know the point is not proven.
    pub accepts_unproven: bool,
    /// Why the data leaves its device; required if it does.
    pub reason: String,
    /// The same key again means the same restore.
    pub request_key: Option<String>,
}

/// The rows a restore is about.
#[derive(Debug, Clone)]
pub struct Plan {
    pub device: Device,
    pub target: Device,
    /// X25519 public key of the target's agent, base64.
    pub sealing_key: String,
    pub point: RestorePoint,
    pub repository: Repository,
    pub manifest: ObjectName,
    pub conflict: Conflict,
}

impl Plan {
    /// Its row in the table of guards.
    pub fn act(&self) -> GuardedAct {
        match (act_of(&self.device, &self.repository, &self.target), self.conflict) {
            (GuardedAct::RestoreToItself, Conflict::Replace) => GuardedAct::RestoreReplacing,
            (act, Conflict::KeepBoth | Conflict::Merge | Conflict::Replace) => act,
        }
    }

    /// Whether the data leaves the enrolment that backed it up.
    pub fn crosses(&self) -> bool {
        act_of(&self.device, &self.repository, &self.target) != GuardedAct::RestoreToItself
    }
}

/// What is made without the database: the ticket, and what is sealed to the target.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub id: RestoreId,
    ticket_hash: String,
    sealed: String,
    paths: Vec<String>,
    file_count: i64,
    byte_count: i64,
}

/// Seals a ticket and the repository's master key to the target device; only the proof side can.
pub trait Reseal {
    /// What goes into the order.
    ///
    /// # Errors
    /// When the master key cannot be opened, or the target's key is not valid.
    fn reseal(
        &self,
        repository: &Repository,
        restore: RestoreId,
        target: (DeviceId, &str),
        ticket: &str,
    ) -> Result<String>;
}

/// Loads what a restore is about, and says whether it may begin.
///
/// # Errors
/// When something it needs is missing or out of reach, or a rule refuses.
pub fn plan(conn: &mut Conn, by: &By, draft: &Draft) -> Result<Plan> {
    let device = reach::acted_on(conn, by, Permission::Restore, draft.device)?;
    let target = reach::acted_on(conn, by, Permission::Restore, draft.target)?;
    let point = store::restore_point::find(conn, draft.point)?
        .filter(|it| it.device_id == device.id && it.trashed_by.is_none())
        .ok_or(Error::NotFound("restore point"))?;
    identity::require_one_machine(conn, &target)?;
    let proof = store::device_proof::find(conn, device.id)?;
    let is_newest_proven = proof.is_some_and(|it| it.proven_point_id == Some(point.id));
    restore::may_start(&Start {
        target: target.state,
        is_stored: point.stored_at.is_some(),
        has_manifest: point.manifest_name.is_some(),
        is_proven: is_proven(&point) || is_newest_proven,
        accepts_unproven: draft.accepts_unproven,
        selection: &draft.selection,
    })?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(Error::NotFound("repository"))?;
    let manifest = point.manifest_name.clone().ok_or(RestoreRefusal::NoManifest)?;
    // Neither a key changes hands, nor what a customer's key closes.
    if store::team::is_apart(conn, device.team_id, target.team_id)? {
        return Err(Error::Refused(NO_RESTORE_ACROSS.to_owned()));
    }
    command::require_order(conn, &target, CommandKind::Restore)?;
    let agent = store::agent_enrollment::find(conn, target.id, target.generation)?;
    let sealing_key = agent.ok_or(Error::NotFound("agent of this device"))?.sealing_key;
    let conflict = draft.conflict;
    let plan = Plan { device, target, sealing_key, point, repository, manifest, conflict };
    may_replace(conn, &plan)?;
    cross::may_ask(conn, by, plan.act(), [&plan.device, &plan.target])?;
    Ok(plan)
}

/// Whether a restore that replaces files may: only in place, and by an agent that can put them back.
fn may_replace(conn: &mut Conn, plan: &Plan) -> Result<()> {
    if plan.conflict != Conflict::Replace {
        return Ok(());
    }
    if plan.crosses() {
        return Err(RestoreRefusal::ReplacesElsewhere.into());
    }
    match command::require_order(conn, &plan.target, CommandKind::UndoRestore) {
        Err(Error::Refused(_)) => Err(Error::Refused(undo::OLD_AGENT.to_owned())),
        asked => asked,
    }
}

/// Makes the ticket and seals it. Needs no database.
///
/// # Errors
/// When nothing in the point is chosen, or it cannot be sealed.
pub fn prepare(
    plan: &Plan,
    manifest: &Manifest,
    selection: &Selection,
    keys: &dyn Reseal,
    now: Time,
) -> Result<Prepared> {
    let chosen = selection.chosen();
    let files = manifest.files.iter().filter(|it| chosen.covers(&it.path));
    let (count, bytes) = files.fold((0i64, 0u64), |(count, bytes), it| (count + 1, bytes.saturating_add(it.size)));
    if count == 0 {
        return Err(RestoreRefusal::NoSuchFiles.into());
    }
    if report_bytes(manifest.files.iter().map(|it| it.path.as_str()).filter(|it| chosen.covers(it))) > MAX_REPORT {
        return Err(RestoreRefusal::MoreThanOneReport.into());
    }
    let id = RestoreId::generate(now);
    let ticket = secret::generate("hf_restore_")?;
    Ok(Prepared {
        id,
        ticket_hash: secret::hash(&ticket),
        sealed: keys.reseal(&plan.repository, id, (plan.target.id, &plan.sealing_key), &ticket)?,
        paths: selection.paths(&manifest.files),
        file_count: count,
        byte_count: i64::try_from(bytes).unwrap_or(i64::MAX),
    })
}

/// Orders a restore; an act.
///
/// # Errors
/// As [`plan`]; everything is checked again.
pub fn request(conn: &mut Conn, by: &By, draft: &Draft, prepared: Prepared, now: Time) -> Result<Restore> {
    if let Some(earlier) = sent_before(conn, by, draft)? {
        return Ok(earlier);
    }
    freeze::check(conn)?;
    let plan = plan(conn, by, draft)?;
    let crosses = plan.crosses();
    let reason = guard::reason(plan.act(), &draft.reason)?;
    let order = Order::Restore(RestoreOrder {
        restore_id: prepared.id,
        repository_id: plan.repository.id,
        snapshot: plan.point.snapshot_name.clone(),
        sealed: prepared.sealed.clone(),
        selection: prepared.paths.clone(),
        conflict: draft.conflict,
        landing: Landing::of((plan.device.id, plan.repository.generation), (plan.target.id, plan.target.generation)),
        file_count: u64::try_from(prepared.file_count).unwrap_or(0),
        size_bytes: u64::try_from(prepared.byte_count).unwrap_or(0),
    });
    // Kept as it is until it is approved, so that what is sent then is what was asked for.
    let (command_id, waiting_order) = if crosses {
        (None, Some(serde_json::to_string(&order).context("writing a restore's order")?))
    } else {
        let ask = Ask { order: &order, request_key: None };
        (Some(command::queue(conn, &by.actor, &plan.target, ask, now)?.id), None)
    };
    let mut restore =
        Restore { reason: reason.to_owned(), waiting_order, command_id, ..ordered(by, draft, &plan, prepared, now)? };
    let crossing = current(conn, &restore)?;
    if crosses {
        restore.agreed = Some(serde_json::to_string(&crossing).context("writing what a restore does")?);
    } else if draft.conflict == Conflict::Replace {
        restore.shown = Some(serde_json::to_string(&crossing).context("writing what a restore does")?);
    }
    store::restore::insert(conn, &restore)?;
    let why = format!(
        "{} as of {} to {}{}{}",
        words::files(restore.file_count),
        plan.point.received_at.iso(),
        plan.target.name,
        if draft.accepts_unproven && !is_proven(&plan.point) {
            ", from a restore point that is not proven"
        } else {
            ""
        },
        if crosses { format!(": {reason}") } else { String::new() }
    );
    record(conn, &by.actor, &restore, Action::RestoreRequested, (Outcome::Done, &why), now)?;
    if crosses {
        cross::tell(conn, &by.actor, (&restore, &crossing), "requested", now)?;
    } else if draft.conflict == Conflict::Replace {
        let what = (plan.act(), "ordered a restore that replaces files");
        undo::tell(conn, &by.actor, what, (&restore, restore.id.as_str()), now)?;
    }
    Ok(restore)
}

/// The row of a restore that was just requested.
fn ordered(by: &By, draft: &Draft, plan: &Plan, prepared: Prepared, now: Time) -> Result<Restore> {
    let crosses = plan.crosses();
    Ok(Restore {
        id: prepared.id,
        device_id: plan.device.id,
        target_device_id: plan.target.id,
        target_generation: plan.target.generation,
        repository_id: plan.repository.id,
        restore_point_id: plan.point.id,
        selection: serde_json::to_string(&draft.selection).context("writing a selection")?,
        conflict: draft.conflict,
        state: if crosses { RestoreState::Requested } else { RestoreState::Queued },
        request_key: draft.request_key.clone(),
        requested_by: by.user,
        requested_at: now,
        reason: String::new(),
        agreed: None,
        shown: None,
        waiting_order: None,
        approved_by: None,
        approved_at: None,
        ticket_hash: Some(prepared.ticket_hash),
        expires_at: now + if crosses { WAITS_FOR } else { VALID_FOR },
        command_id: None,
        started_at: None,
        finished_at: None,
        file_count: prepared.file_count,
        restored_count: 0,
        matched_count: 0,
        byte_count: prepared.byte_count,
        failures: "{}".to_owned(),
    })
}

/// What the same form ordered when it was sent before.
fn sent_before(conn: &mut Conn, by: &By, draft: &Draft) -> Result<Option<Restore>> {
    let Some(key) = &draft.request_key else { return Ok(None) };
    let Some(earlier) = store::restore::find_by_request_key(conn, key)? else { return Ok(None) };
    let is_same = earlier.device_id == draft.device && earlier.target_device_id == draft.target;
    if !is_same || earlier.requested_by != by.user {
        return Err(Error::Conflict("this form was already used for another restore; reload the page".to_owned()));
    }
    Ok(Some(earlier))
}
