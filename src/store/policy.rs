//! Policies: what is required of devices.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::policies;
use diesel::prelude::*;
use domain::id::{PolicyId, TeamId};
use domain::policy::Requirement;
use domain::time::Time;

/// A set of requirements for all devices or those of one team.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = policies, treat_none_as_default_value = false)]
pub struct Policy {
    pub id: PolicyId,
    pub name: String,
    /// None: it applies to all devices.
    pub team_id: Option<TeamId>,
    /// Grows with each change.
    pub version: i64,
    /// JSON; see [`Policy::requirements`].
    pub requirements: String,
    pub created_by: String,
    pub created_at: Time,
    pub updated_at: Time,
    pub removed_at: Option<Time>,
}

impl Policy {
    /// What it requires.
    pub fn requirements(&self) -> QueryResult<Vec<Requirement>> {
        from_json(&self.requirements)
    }
}

/// A policy by its id, including removed ones.
pub fn find(conn: &mut Conn, id: PolicyId) -> QueryResult<Option<Policy>> {
    policies::table.find(id).select(Policy::as_select()).first(conn).optional()
}

/// All policies that are not removed, by name.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<Policy>> {
    policies::table
        .filter(policies::removed_at.is_null())
        .order((policies::name, policies::id))
        .select(Policy::as_select())
        .load(conn)
}

/// Adds a policy.
pub fn insert(conn: &mut Conn, policy: &Policy) -> QueryResult<()> {
    diesel::insert_into(policies::table).values(policy).execute(conn).map(drop)
}

/// Writes a new version over `old_version`; false if someone has changed or removed it in the meantime.
pub fn update(conn: &mut Conn, policy: &Policy, old_version: i64) -> QueryResult<bool> {
    let which = policies::table
        .find(policy.id)
        .filter(policies::version.eq(old_version))
        .filter(policies::removed_at.is_null());
    let changed = diesel::update(which)
        .set((
            policies::name.eq(&policy.name),
            policies::team_id.eq(policy.team_id),
            policies::version.eq(policy.version),
            policies::requirements.eq(&policy.requirements),
            policies::updated_at.eq(policy.updated_at),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Removes a policy; false if it was already removed.
pub fn remove(conn: &mut Conn, id: PolicyId, now: Time) -> QueryResult<bool> {
    let which = policies::table.find(id).filter(policies::removed_at.is_null());
    Ok(diesel::update(which).set(policies::removed_at.eq(Some(now))).execute(conn)? == 1)
}
