//! Restores: who gets whose data back, and the tickets that let them read it.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::{device_status, devices, restore_points, restores};
use crate::store::search::{lower, pattern};
use diesel::prelude::*;
use domain::crossing::Crossing;
use domain::device::{DeviceState, Encryption, Ownership};
use domain::id::{CommandId, DeviceId, RepositoryId, RestoreId, RestorePointId, UserId};
use domain::restore::{Conflict, RestoreState, Selection};
use domain::role::Reach;
use domain::shortfall::Shortfall;
use domain::time::Time;
use serde::{Deserialize, Serialize};

/// One restore and its progress.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = restores, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Restore {
    pub id: RestoreId,
    /// Whose data it is.
    pub device_id: DeviceId,
    /// Who gets it.
    pub target_device_id: DeviceId,
    pub target_generation: i64,
    pub repository_id: RepositoryId,
    pub restore_point_id: RestorePointId,
    /// JSON; see [`Restore::chosen`].
    pub selection: String,
    pub conflict: Conflict,
    pub state: RestoreState,
    pub request_key: Option<String>,
    pub requested_by: UserId,
    pub requested_at: Time,
    /// Why the data leaves its device; may be empty if it does not.
    pub reason: String,
    /// JSON of the [`Crossing`] that was agreed to; none for a device that gets its own data back.
    pub agreed: Option<String>,
    /// JSON of what was shown to whoever ordered that files be replaced; none for other restores.
    pub shown: Option<String>,
    /// JSON of the order while it is waiting for approval.
    pub waiting_order: Option<String>,
    pub approved_by: Option<UserId>,
    pub approved_at: Option<Time>,
    /// The hash of the ticket that opens the repository for reading.
    pub ticket_hash: Option<String>,
    pub expires_at: Time,
    pub command_id: Option<CommandId>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub file_count: i64,
    pub restored_count: i64,
    pub matched_count: i64,
    pub byte_count: i64,
    /// JSON; see [`Restore::outcome`].
    pub failures: String,
}

/// What is kept of a comparison besides its counts; each list is cut at [`RestoreFindings::NAMED`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreFindings {
    /// Why it ended without a comparison; empty otherwise.
    #[serde(default)]
    pub note: String,
    /// Paths, each with what went wrong on the device.
    #[serde(default)]
    pub failures: Vec<(String, String)>,
    #[serde(default)]
    pub differing: Vec<String>,
    #[serde(default)]
    pub missing: Vec<String>,
    #[serde(default)]
    pub kept: Vec<String>,
    /// What the device says it moved away for what was restored.
    #[serde(default)]
    pub replaced: Vec<String>,
    #[serde(default)]
    pub replaced_count: usize,
    #[serde(default)]
    pub not_compared: Vec<String>,
    /// What the device says came back different without being a failure.
    #[serde(default)]
    pub shortfalls: Vec<Shortfall>,
    /// The whole lengths of `differing`, `missing`, `kept` and `not_compared`.
    #[serde(default)]
    pub counts: [usize; 4],
}

impl RestoreFindings {
    /// How many names of each kind are kept.
    pub const NAMED: usize = 500;
}

impl Restore {
    /// What was chosen.
    pub fn chosen(&self) -> QueryResult<Selection> {
        from_json(&self.selection)
    }

    /// What was agreed to; none for a device that gets its own data back.
    pub fn crossing(&self) -> QueryResult<Option<Crossing>> {
        self.agreed.as_deref().map(from_json).transpose()
    }

    /// What was shown to whoever ordered that files be replaced.
    pub fn seen(&self) -> QueryResult<Option<Crossing>> {
        self.shown.as_deref().map(from_json).transpose()
    }

    /// What the comparison found, or why there was none.
    pub fn outcome(&self) -> QueryResult<RestoreFindings> {
        from_json(&self.failures)
    }
}

/// What a restore's ticket opens: one repository as it was when the restore point was received.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Ticket {
    /// What the repository held at this time is in view, and nothing later.
    pub as_of: Time,
    pub restore: Restore,
}

/// A restore as lists show it.
#[derive(Debug, Clone, Queryable)]
pub struct Listed {
    pub restore: Restore,
    pub device_name: String,
    pub target_name: String,
    pub point_at: Time,
}

/// The ticket with this hash, of a restore that has not ended, while its target is still the enrolment it was
/// sealed to.
pub fn find_ticket(conn: &mut Conn, hash: &str) -> QueryResult<Option<Ticket>> {
    restores::table
        .inner_join(restore_points::table.on(restore_points::id.eq(restores::restore_point_id)))
        .inner_join(devices::table.on(devices::id.eq(restores::target_device_id)))
        .filter(devices::state.eq(DeviceState::Enrolled).and(devices::generation.eq(restores::target_generation)))
        .filter(restores::ticket_hash.eq(hash))
        .filter(restores::state.eq_any([RestoreState::Queued, RestoreState::Running]))
        .select((restore_points::as_of, Restore::as_select()))
        .first(conn)
        .optional()
}

/// A restore by its id.
pub fn find(conn: &mut Conn, id: RestoreId) -> QueryResult<Option<Restore>> {
    restores::table.find(id).select(Restore::as_select()).first(conn).optional()
}

/// The restore that was asked for with this key.
pub fn find_by_request_key(conn: &mut Conn, key: &str) -> QueryResult<Option<Restore>> {
    restores::table.filter(restores::request_key.eq(key)).select(Restore::as_select()).first(conn).optional()
}

/// The restore whose order is this command.
pub fn of_command(conn: &mut Conn, id: CommandId) -> QueryResult<Option<Restore>> {
    restores::table.filter(restores::command_id.eq(id)).select(Restore::as_select()).first(conn).optional()
}

/// Adds a restore.
pub fn insert(conn: &mut Conn, restore: &Restore) -> QueryResult<()> {
    diesel::insert_into(restores::table).values(restore).execute(conn).map(drop)
}

/// Rewrites a restore if it is still in the state `from`; false if something came in between.
pub fn update(conn: &mut Conn, restore: &Restore, from: RestoreState) -> QueryResult<bool> {
    let which = restores::table.find(restore.id).filter(restores::state.eq(from));
    Ok(diesel::update(which).set(restore).execute(conn)? == 1)
}

/// The newest restore to a device of which all came back.
pub fn newest_compared(conn: &mut Conn, target: DeviceId) -> QueryResult<Option<Restore>> {
    restores::table
        .filter(restores::target_device_id.eq(target).and(restores::state.eq(RestoreState::Compared)))
        .order(restores::id.desc())
        .select(Restore::as_select())
        .first(conn)
        .optional()
}

/// Restores to a device that have not ended, oldest first.
pub fn open_to(conn: &mut Conn, target: DeviceId) -> QueryResult<Vec<Restore>> {
    restores::table
        .filter(restores::target_device_id.eq(target))
        .filter(restores::state.eq_any(OPEN))
        .order(restores::id)
        .select(Restore::as_select())
        .load(conn)
}

/// The condition that a restore has not ended.
const OPEN: [RestoreState; 3] = [RestoreState::Requested, RestoreState::Queued, RestoreState::Running];

/// Whether something of a repository is being restored, or waits for it.
pub fn is_open_of(conn: &mut Conn, repository: RepositoryId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        restores::table.filter(restores::repository_id.eq(repository).and(restores::state.eq_any(OPEN))),
    ))
    .get_result(conn)
}

/// Restores whose ticket expired before they ended, oldest first.
pub fn overdue(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<Restore>> {
    restores::table
        .filter(restores::state.eq_any(OPEN))
        .filter(restores::expires_at.le(now))
        .order(restores::id)
        .limit(limit)
        .select(Restore::as_select())
        .load(conn)
}

/// The newest restores in these states whose source and target are both within reach.
pub fn list(conn: &mut Conn, states: &[RestoreState], reach: &Reach, limit: i64) -> QueryResult<Vec<Listed>> {
    let target = diesel::alias!(devices as target);
    let mut query = restores::table
        .inner_join(devices::table.on(devices::id.eq(restores::device_id)))
        .inner_join(target.on(target.field(devices::id).eq(restores::target_device_id)))
        .inner_join(restore_points::table.on(restore_points::id.eq(restores::restore_point_id)))
        .filter(restores::state.eq_any(states.to_vec()))
        .order(restores::id.desc())
        .limit(limit)
        .select((Restore::as_select(), devices::name, target.field(devices::name), restore_points::received_at))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
        query = query.filter(target.field(devices::team_id).eq_any(teams.clone()));
    }
    query.load(conn)
}

/// A device a restore may go to, with what distinguishes it from others.
#[derive(Debug, Clone, Queryable)]
pub struct Target {
    pub id: DeviceId,
    pub name: String,
    pub serial: String,
    pub person: String,
    pub ownership: Ownership,
    pub enrolled_at: Time,
    /// As it reports itself; none before its first check-in.
    pub encryption: Option<Encryption>,
    pub last_seen_at: Option<Time>,
    /// When two of its check-ins are missed.
    pub heard_until: Option<Time>,
}

/// Enrolled devices within reach to which something can be restored, newest first.
pub fn targets(conn: &mut Conn, reach: &Reach, search: &str, limit: i64) -> QueryResult<Vec<Target>> {
    let pattern = pattern(search);
    let status = device_status::table.on(device_status::device_id.eq(devices::id));
    let mut query = devices::table
        .left_join(status)
        .filter(devices::state.eq(DeviceState::Enrolled))
        .filter(
            lower(devices::name)
                .like(pattern.clone())
                .escape('!')
                .or(lower(devices::serial).like(pattern.clone()).escape('!'))
                .or(lower(devices::person).like(pattern).escape('!')),
        )
        .order((devices::enrolled_at.desc(), devices::id))
        .limit(limit)
        .select((
            devices::id,
            devices::name,
            devices::serial,
            devices::person,
            devices::ownership,
            devices::enrolled_at,
            device_status::encryption.nullable(),
            device_status::last_seen_at.nullable(),
            device_status::heard_until.nullable(),
        ))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query.load(conn)
}
