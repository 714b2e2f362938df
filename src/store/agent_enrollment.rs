//! What our agent adds to an enrolment: where secrets are sealed to, and which folders it protects.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::agent_enrollments;
use diesel::prelude::*;
use domain::id::DeviceId;

/// One enrolment through our agent.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = agent_enrollments, treat_none_as_default_value = false)]
pub struct AgentEnrollment {
    pub device_id: DeviceId,
    pub generation: i64,
    /// X25519, base64.
    pub sealing_key: String,
    /// A JSON list; see [`AgentEnrollment::roots`].
    pub protected_roots: String,
    /// Of the agent, as it last said.
    pub version: String,
}

impl AgentEnrollment {
    /// The folders that are backed up and that a wipe erases, as recorded at enrolment.
    pub fn roots(&self) -> QueryResult<Vec<String>> {
        from_json(&self.protected_roots)
    }
}

/// The agent of a device's enrolment; none if it enrolled through another channel.
pub fn find(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<Option<AgentEnrollment>> {
    agent_enrollments::table.find((device, generation)).select(AgentEnrollment::as_select()).first(conn).optional()
}

/// The folders protected on a device in an enrolment; none if it is not reached through our agent.
pub fn roots(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<Vec<String>> {
    find(conn, device, generation)?.map_or_else(|| Ok(Vec::new()), |it| it.roots())
}

/// Adds the agent of an enrolment.
pub fn insert(conn: &mut Conn, agent: &AgentEnrollment) -> QueryResult<()> {
    diesel::insert_into(agent_enrollments::table).values(agent).execute(conn).map(drop)
}

/// Records which version of the agent runs; false if the enrolment has no agent.
pub fn set_version(conn: &mut Conn, device: DeviceId, generation: i64, version: &str) -> QueryResult<bool> {
    let changed = diesel::update(agent_enrollments::table.find((device, generation)))
        .set(agent_enrollments::version.eq(version))
        .execute(conn)?;
    Ok(changed == 1)
}
