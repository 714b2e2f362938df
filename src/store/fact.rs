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
    /// From 1 on, in the order of arrival.
    pub number: i64,
    /// By the server's clock.
    pub since: Time,
    /// JSON of a [`domain::fact::FactValue`]; none if it was no longer known.
    pub value: Option<String>,
    pub source: String,
}

/// Adds a change, or writes it over the row with its number.
pub fn set(conn: &mut Conn, fact: &PastFact) -> QueryResult<()> {
    let over = "(device_id, kind, number) DO UPDATE SET since = excluded.since, value = excluded.value, \
                source = excluded.source";
    diesel::insert_into(facts::table).values(fact).on_conflict_sql(over).execute(conn).map(drop)
}

/// The number of the newest change of a kind; 0 if there is none.
pub fn newest(conn: &mut Conn, device: DeviceId, kind: FactKind) -> QueryResult<i64> {
    let newest: Option<i64> = facts::table
        .filter(facts::device_id.eq(device).and(facts::kind.eq(kind)))
        .select(diesel::dsl::max(facts::number))
        .first(conn)?;
    Ok(newest.unwrap_or(0))
}

/// When the change with this number came.
pub fn since(conn: &mut Conn, device: DeviceId, kind: FactKind, number: i64) -> QueryResult<Option<Time>> {
    facts::table.find((device, kind, number)).select(facts::since).first(conn).optional()
}

/// What a device has said of a kind, oldest first.
pub fn history(conn: &mut Conn, device: DeviceId, kind: FactKind) -> QueryResult<Vec<PastFact>> {
    facts::table
        .filter(facts::device_id.eq(device).and(facts::kind.eq(kind)))
        .order(facts::number)
        .select(PastFact::as_select())
        .load(conn)
}
