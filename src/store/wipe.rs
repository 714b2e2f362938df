//! Wipe requests on their way, and how many there were.
use crate::store::activity::Activity;
use crate::store::column::from_json;
use crate::store::schema::{activity, commands, devices, users, wipe_requests};
use crate::store::{Conn, approval};
use diesel::prelude::*;
use domain::command::CommandKind;
use domain::consent::{Approval, Proposal};
use domain::guard::GuardedAct;
use domain::id::{CommandId, DeviceId, TeamId, UserId, WipeRequestId};
use domain::role::Reach;
use domain::time::Time;
use domain::wipe::{BEFORE_DELIVERY, Erasure, Facts, Progress, Recent, WipeAction, WipeReason, WipeState};

/// A wipe request and its progress.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = wipe_requests, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct WipeRequest {
    pub id: WipeRequestId,
    pub device_id: DeviceId,
    /// The enrolment it is for.
    pub generation: i64,
    pub state: WipeState,
    pub action: WipeAction,
    pub reason: WipeReason,
    pub ticket: String,
    /// JSON; see [`WipeRequest::agreed`].
    pub facts: String,
    /// The hash of the facts that were agreed to.
    pub facts_digest: String,
    pub request_key: Option<String>,
    pub requested_by: UserId,
    pub requested_at: Time,
    /// When it last passed the limits; none while they hold it.
    pub passed_at: Option<Time>,
    pub approved_by: Option<UserId>,
    pub approved_at: Option<Time>,
    pub release_at: Option<Time>,
    pub command_id: Option<CommandId>,
    pub delivered_at: Option<Time>,
    pub acknowledged_at: Option<Time>,
    pub finished_at: Option<Time>,
    /// The name of whoever stopped it.
    pub stopped_by: Option<String>,
    /// Why it is in its current state, for a person.
    pub state_note: String,
    /// The device's report as JSON.
    pub report: Option<String>,
    pub expires_at: Time,
    /// JSON; see [`WipeRequest::erasure`].
    pub erasure: String,
}

/// A request as lists show it.
#[derive(Debug, Clone, Queryable)]
pub struct Listed {
    pub request: WipeRequest,
    pub device_name: String,
    pub serial: String,
    pub person: String,
    pub team_id: Option<TeamId>,
    pub requester: String,
}

impl WipeRequest {
    /// The facts the requester agreed to.
    pub fn agreed(&self) -> QueryResult<Facts> {
        from_json(&self.facts)
    }

    /// What was chosen of how the device erases itself.
    pub fn erasure(&self) -> QueryResult<Erasure> {
        from_json(&self.erasure)
    }

    /// Which facts the requester agreed to, and until when nothing was sent.
    pub fn proposal(&self) -> Proposal {
        Proposal { by: self.requested_by, digest: self.facts_digest.clone(), expires_at: self.expires_at }
    }

    /// The stored approval that the row names; none if there is none.
    pub fn approval(&self, conn: &mut Conn) -> QueryResult<Option<Approval>> {
        let Some(given) = self.approved_by.zip(self.approved_at) else { return Ok(None) };
        approval::find(conn, (GuardedAct::ApproveWipe, self.id.as_str()), given, &self.facts_digest)
    }

    /// The part of it that its steps depend on.
    pub fn progress(&self, conn: &mut Conn) -> QueryResult<Progress> {
        let (proposal, approval) = (self.proposal(), self.approval(conn)?);
        Ok(Progress { state: self.state, proposal, approval, release_at: self.release_at })
    }
}

/// A request by its id.
pub fn find(conn: &mut Conn, id: WipeRequestId) -> QueryResult<Option<WipeRequest>> {
    wipe_requests::table.find(id).select(WipeRequest::as_select()).first(conn).optional()
}

/// The request that was made with this key.
pub fn find_by_request_key(conn: &mut Conn, key: &str) -> QueryResult<Option<WipeRequest>> {
    wipe_requests::table
        .filter(wipe_requests::request_key.eq(key))
        .select(WipeRequest::as_select())
        .first(conn)
        .optional()
}

/// The request whose order is this command.
pub fn of_command(conn: &mut Conn, id: CommandId) -> QueryResult<Option<WipeRequest>> {
    wipe_requests::table
        .filter(wipe_requests::command_id.eq(id))
        .select(WipeRequest::as_select())
        .first(conn)
        .optional()
}

/// The newest request of a device that has not ended.
pub fn open_of_device(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<WipeRequest>> {
    let ended = WipeState::ALL.iter().copied().filter(|it| it.is_final());
    wipe_requests::table
        .filter(wipe_requests::device_id.eq(device).and(wipe_requests::state.ne_all(ended)))
        .order(wipe_requests::id.desc())
        .select(WipeRequest::as_select())
        .first(conn)
        .optional()
}

/// Adds a request.
pub fn insert(conn: &mut Conn, request: &WipeRequest) -> QueryResult<()> {
    diesel::insert_into(wipe_requests::table).values(request).execute(conn).map(drop)
}

/// Rewrites a request if it is still in the state `from`; false if something came in between.
pub fn update(conn: &mut Conn, request: &WipeRequest, from: WipeState) -> QueryResult<bool> {
    let which = wipe_requests::table.find(request.id).filter(wipe_requests::state.eq(from));
    Ok(diesel::update(which).set(request).execute(conn)? == 1)
}

/// How many requests passed the limits after `since` and up to `until`: by one person, for devices of one team,
/// and in total.
pub fn recent(
    conn: &mut Conn,
    (actor, team): (UserId, Option<TeamId>),
    since: Time,
    until: Time,
) -> QueryResult<Recent> {
    let passed = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .filter(wipe_requests::passed_at.gt(since).and(wipe_requests::passed_at.le(until)))
        .select((wipe_requests::requested_by, devices::team_id));
    Ok(count_of(&passed.load(conn)?, actor, team))
}

/// How many orders to erase were made after `since`: for requests by one person, for devices of one team, and
/// in total.
pub fn released(conn: &mut Conn, (actor, team): (UserId, Option<TeamId>), since: Time) -> QueryResult<Recent> {
    // By the order, because the state of its request moves on while it still counts.
    let orders = commands::table
        .filter(commands::kind.eq_any(CommandKind::ERASING).and(commands::created_at.gt(since)))
        .select(commands::id.nullable());
    let left = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .filter(wipe_requests::command_id.eq_any(orders))
        .select((wipe_requests::requested_by, devices::team_id));
    Ok(count_of(&left.load(conn)?, actor, team))
}

/// Counts requests by person and team; a device without a team does not count towards any team's share.
fn count_of(requests: &[(UserId, Option<TeamId>)], actor: UserId, team: Option<TeamId>) -> Recent {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Recent {
        by_actor: number(requests.iter().filter(|it| it.0 == actor).count()),
        by_team: number(requests.iter().filter(|it| team.is_some() && it.1 == team).count()),
        by_all: number(requests.len()),
    }
}

/// How many wipes a person requested after `since`, held or not.
pub fn requested_count(conn: &mut Conn, actor: UserId, since: Time) -> QueryResult<i64> {
    wipe_requests::table
        .filter(wipe_requests::requested_by.eq(actor).and(wipe_requests::requested_at.gt(since)))
        .count()
        .get_result(conn)
}

/// Requests whose hold is over, or that were never sent in time, oldest first.
pub fn due(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<WipeRequest>> {
    let is_cooled = wipe_requests::state.eq(WipeState::Cooling).and(wipe_requests::release_at.le(now));
    // The clock was set back: included, so that it is held instead of waiting for a year.
    let is_from_future = wipe_requests::state.eq(WipeState::Cooling).and(wipe_requests::approved_at.gt(now));
    let is_over = wipe_requests::state.eq_any(BEFORE_DELIVERY).and(wipe_requests::expires_at.le(now));
    wipe_requests::table
        .filter(is_cooled.or(is_from_future).or(is_over))
        .order(wipe_requests::id)
        .limit(limit)
        .select(WipeRequest::as_select())
        .load(conn)
}

/// Requests whose order ended in another way, so that no device will fetch it and no report is due any more.
pub fn orphaned(conn: &mut Conn, limit: i64) -> QueryResult<Vec<WipeRequest>> {
    use domain::command::CommandState as S;
    let ended = commands::table
        .filter(commands::kind.eq_any(CommandKind::ERASING))
        .filter(commands::state.eq_any([S::Acknowledged, S::Failed, S::Expired, S::Cancelled]))
        .select(commands::id.nullable());
    wipe_requests::table
        .filter(wipe_requests::state.eq_any([WipeState::Released, WipeState::Delivered]))
        .filter(wipe_requests::command_id.eq_any(ended))
        .order(wipe_requests::id)
        .limit(limit)
        .select(WipeRequest::as_select())
        .load(conn)
}

/// Requests in one of `states` within reach, newest first; only older ones than `before`.
pub fn list(
    conn: &mut Conn,
    states: &[WipeState],
    reach: &Reach,
    before: Option<WipeRequestId>,
    limit: i64,
) -> QueryResult<Vec<Listed>> {
    let mut query = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .inner_join(users::table.on(users::id.eq(wipe_requests::requested_by)))
        .filter(wipe_requests::state.eq_any(states.to_vec()))
        .order(wipe_requests::id.desc())
        .limit(limit)
        .select((
            WipeRequest::as_select(),
            devices::name,
            devices::serial,
            devices::person,
            devices::team_id,
            users::name,
        ))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    if let Some(before) = before {
        query = query.filter(wipe_requests::id.lt(before));
    }
    query.load(conn)
}

/// How many requests in one of `states` are within reach.
pub fn count(conn: &mut Conn, states: &[WipeState], reach: &Reach) -> QueryResult<i64> {
    let mut query = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .filter(wipe_requests::state.eq_any(states.to_vec()))
        .select(diesel::dsl::count_star())
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query.first(conn)
}

/// Every act on a request, oldest first.
pub fn timeline(conn: &mut Conn, request: &WipeRequest) -> QueryResult<Vec<Activity>> {
    activity::table
        .filter(activity::device_id.eq(request.device_id))
        .filter(activity::object_kind.eq("wipe_request").and(activity::object_id.eq(request.id.as_str())))
        .order(activity::seq)
        .select(Activity::as_select())
        .load(conn)
}
