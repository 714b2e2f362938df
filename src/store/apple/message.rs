//! The last messages between the server and an Apple device.
use crate::store::Conn;
use crate::store::schema::apple_messages;
use diesel::dsl::max;
use diesel::prelude::*;
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// How many of an enrolment are kept.
const KEPT: i64 = 100;

/// One message, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_messages)]
pub struct AppleMessage {
    pub enrollment_id: AppleEnrollmentId,
    /// 1, 2, 3 …
    pub number: i64,
    pub at: Time,
    /// `device` or `server`.
    pub sender: String,
    /// Apple's name of what it is.
    pub kind: String,
    pub body: String,
}

/// Adds one, and forgets what is too old; its number is given to it.
pub fn append(conn: &mut Conn, message: AppleMessage) -> QueryResult<()> {
    let of = apple_messages::enrollment_id.eq(message.enrollment_id);
    let last: Option<i64> = apple_messages::table.filter(of).select(max(apple_messages::number)).first(conn)?;
    let number = last.unwrap_or(0) + 1;
    diesel::insert_into(apple_messages::table).values(&AppleMessage { number, ..message }).execute(conn)?;
    let old = apple_messages::table.filter(of).filter(apple_messages::number.le(number - KEPT));
    diesel::delete(old).execute(conn).map(drop)
}

/// The newest first, of an enrolment.
pub fn newest(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<AppleMessage>> {
    apple_messages::table
        .filter(apple_messages::enrollment_id.eq(enrollment))
        .order(apple_messages::number.desc())
        .limit(KEPT)
        .select(AppleMessage::as_select())
        .load(conn)
}
