//! What the server asks Apple devices by itself, and what they put off.
use crate::store::Conn;
use crate::store::schema::{apple_deferrals, apple_queries};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// A question, and when it was last asked and answered.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = apple_queries, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct AppleQuery {
    pub enrollment_id: AppleEnrollmentId,
    /// Apple's name of it.
    pub kind: String,
    /// What an answer repeats; none once it was answered.
    pub asked_as: Option<String>,
    pub asked_at: Time,
    pub answered_at: Option<Time>,
}

/// All that a device was asked.
pub fn all(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<AppleQuery>> {
    apple_queries::table
        .filter(apple_queries::enrollment_id.eq(enrollment))
        .order(apple_queries::kind)
        .select(AppleQuery::as_select())
        .load(conn)
}

/// Keeps that something was asked.
pub fn ask(conn: &mut Conn, query: &AppleQuery) -> QueryResult<()> {
    diesel::insert_into(apple_queries::table)
        .values(query)
        .on_conflict_sql(
            "(enrollment_id, kind) DO UPDATE SET asked_as = excluded.asked_as, asked_at = excluded.asked_at",
        )
        .execute(conn)
        .map(drop)
}

/// Ends the question that was asked as this; its kind, or none if nothing was.
pub fn answer(
    conn: &mut Conn,
    enrollment: AppleEnrollmentId,
    asked_as: &str,
    answered_at: Option<Time>,
) -> QueryResult<Option<String>> {
    let which = apple_queries::enrollment_id.eq(enrollment).and(apple_queries::asked_as.eq(asked_as));
    let found: Option<String> =
        apple_queries::table.filter(which).select(apple_queries::kind).first(conn).optional()?;
    let asked = diesel::update(apple_queries::table).filter(which);
    match answered_at {
        Some(_) => asked
            .set((apple_queries::asked_as.eq(None::<String>), apple_queries::answered_at.eq(answered_at)))
            .execute(conn)?,
        None => asked.set(apple_queries::asked_as.eq(None::<String>)).execute(conn)?,
    };
    Ok(found)
}

/// The device did not do what was asked as this: it is due as if it had never been asked. Its kind, or none if nothing was.
pub fn forget_asked(conn: &mut Conn, enrollment: AppleEnrollmentId, asked_as: &str) -> QueryResult<Option<String>> {
    let kind = answer(conn, enrollment, asked_as, None)?;
    if let Some(kind) = &kind {
        make_due(conn, enrollment, kind)?;
    }
    Ok(kind)
}

/// A question is due as if it had never been asked.
pub fn make_due(conn: &mut Conn, enrollment: AppleEnrollmentId, kind: &str) -> QueryResult<()> {
    diesel::update(apple_queries::table.find((enrollment, kind)))
        .set((apple_queries::asked_as.eq(None::<String>), apple_queries::asked_at.eq(Time::from_millis(0))))
        .execute(conn)
        .map(drop)
}

/// What a device put off until it asks again by itself.
pub fn deferred(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<String>> {
    apple_deferrals::table
        .filter(apple_deferrals::enrollment_id.eq(enrollment))
        .select(apple_deferrals::asked_as)
        .load(conn)
}

/// The device cannot do it at the moment.
pub fn defer(conn: &mut Conn, enrollment: AppleEnrollmentId, asked_as: &str) -> QueryResult<()> {
    diesel::insert_into(apple_deferrals::table)
        .values((apple_deferrals::enrollment_id.eq(enrollment), apple_deferrals::asked_as.eq(asked_as)))
        .on_conflict_sql("(enrollment_id, asked_as) DO NOTHING")
        .execute(conn)
        .map(drop)
}

/// The device asks again: nothing is put off any more.
pub fn resume(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<()> {
    diesel::delete(apple_deferrals::table.filter(apple_deferrals::enrollment_id.eq(enrollment))).execute(conn).map(drop)
}
