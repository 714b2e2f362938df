//! The space that the backups of a team's devices take together.
use crate::store::Conn;
use crate::store::schema::{devices, repositories, team_quotas};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::{DeviceId, TeamId};
use domain::space::Space;
use domain::time::Time;

/// The most that the backups of a team may take.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = team_quotas, treat_none_as_default_value = false)]
pub struct TeamQuota {
    pub team_id: TeamId,
    pub quota_bytes: i64,
    /// As last summed up, up to a minute ago.
    pub stored_bytes: i64,
    /// Since when they fill it; none while there is room.
    pub full_at: Option<Time>,
}

impl TeamQuota {
    /// What they take, and the most they may.
    pub const fn space(&self) -> Space {
        Space { stored_bytes: self.stored_bytes, quota_bytes: self.quota_bytes }
    }
}

/// Every team that has one.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<TeamQuota>> {
    team_quotas::table.order(team_quotas::team_id).select(TeamQuota::as_select()).load(conn)
}

/// The quota of a team.
pub fn find(conn: &mut Conn, team: TeamId) -> QueryResult<Option<TeamQuota>> {
    team_quotas::table.find(team).select(TeamQuota::as_select()).first(conn).optional()
}

/// Writes the quota of a team.
pub fn set(conn: &mut Conn, quota: &TeamQuota) -> QueryResult<()> {
    diesel::insert_into(team_quotas::table)
        .values(quota)
        .on_conflict_sql(
            "(team_id) DO UPDATE SET quota_bytes = excluded.quota_bytes, stored_bytes = excluded.stored_bytes, \
             full_at = excluded.full_at",
        )
        .execute(conn)
        .map(drop)
}

/// Removes the quota of a team: then only each device has one.
pub fn remove(conn: &mut Conn, team: TeamId) -> QueryResult<()> {
    diesel::delete(team_quotas::table.find(team)).execute(conn).map(drop)
}

/// What the backups of a team's devices take now.
pub fn sum(conn: &mut Conn, team: TeamId) -> QueryResult<i64> {
    let sizes = repositories::table
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .filter(devices::team_id.eq(team))
        .select(repositories::stored_bytes)
        .load::<i64>(conn)?;
    Ok(sizes.into_iter().fold(0, i64::saturating_add))
}

/// The full team of the repository that a statement is about: for a condition within it.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn full_of() -> _ {
    devices::table
        .inner_join(team_quotas::table.on(team_quotas::team_id.nullable().eq(devices::team_id)))
        .filter(devices::id.eq(repositories::device_id))
        .filter(team_quotas::full_at.is_not_null())
}

/// Whether the team of a device has no space left.
pub fn is_full_of(conn: &mut Conn, device: DeviceId) -> QueryResult<bool> {
    let full = devices::table
        .inner_join(team_quotas::table.on(team_quotas::team_id.nullable().eq(devices::team_id)))
        .filter(devices::id.eq(device).and(team_quotas::full_at.is_not_null()));
    diesel::select(diesel::dsl::exists(full)).get_result(conn)
}
