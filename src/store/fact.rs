//! What devices said about themselves, and since when: a row for each change.
use crate::store::Conn;
use crate::store::schema::facts;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::fact::FactKind;
use domain::id::DeviceId;
use domain::time::Time;

/// What a device has said since a time; it holds until the next row of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = facts, treat_none_as_default_value = false)]
pub struct PastFact {
    pub device_id: DeviceId,
    pub kind: FactKind,
    /// By the server's clock.
    pub since: Time,
    /// JSON of a [`domain::fact::FactValue`]; none if it was no longer known.
    pub value: Option<String>,
    pub source: String,
}

/// Adds a change.
pub fn note(conn: &mut Conn, fact: &PastFact) -> QueryResult<()> {
    // Two changes within a millisecond: the later word stands.
    let later = "(device_id, kind, since) DO UPDATE SET value = excluded.value, source = excluded.source";
    diesel::insert_into(facts::table).values(fact).on_conflict_sql(later).execute(conn).map(drop)
}

/// How many changes of a device were kept since a time.
pub fn count_since(conn: &mut Conn, device: DeviceId, since: Time) -> QueryResult<i64> {
    facts::table.filter(facts::device_id.eq(device).and(facts::since.gt(since))).count().get_result(conn)
}

/// What a device has said of a kind, oldest first.
pub fn history(conn: &mut Conn, device: DeviceId, kind: FactKind) -> QueryResult<Vec<PastFact>> {
    facts::table
        .filter(facts::device_id.eq(device).and(facts::kind.eq(kind)))
        .order(facts::since)
        .select(PastFact::as_select())
        .load(conn)
}
