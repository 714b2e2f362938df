//! The last of each list that an Apple device gave, and where it last said that it was.
use crate::store::Conn;
use crate::store::schema::apple_reports;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::AppleEnrollmentId;
use domain::inventory::{Inventory, InventoryKind};
use domain::time::Time;

/// A list as a device gave it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_reports)]
pub struct AppleReport {
    pub enrollment_id: AppleEnrollmentId,
    pub kind: InventoryKind,
    pub at: Time,
    /// JSON; see [`AppleReport::inventory`].
    pub body: String,
}

impl AppleReport {
    /// What it says.
    pub fn inventory(&self) -> QueryResult<Inventory> {
        Inventory::parse(self.kind, &self.body).map_err(|it| diesel::result::Error::DeserializationError(it.into()))
    }
}

/// All of an enrolment.
pub fn all(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<AppleReport>> {
    apple_reports::table
        .filter(apple_reports::enrollment_id.eq(enrollment))
        .order(apple_reports::kind)
        .select(AppleReport::as_select())
        .load(conn)
}

/// All lists of an enrolment, each with when the device gave it.
pub fn inventories(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<(Time, Inventory)>> {
    all(conn, enrollment)?.iter().map(|it| Ok((it.at, it.inventory()?))).collect()
}

/// Keeps one, in the place of the last of its kind.
pub fn keep(conn: &mut Conn, report: &AppleReport) -> QueryResult<()> {
    diesel::insert_into(apple_reports::table)
        .values(report)
        .on_conflict_sql("(enrollment_id, kind) DO UPDATE SET at = excluded.at, body = excluded.body")
        .execute(conn)
        .map(drop)
}

/// Forgets one.
pub fn forget(conn: &mut Conn, enrollment: AppleEnrollmentId, kind: InventoryKind) -> QueryResult<()> {
    diesel::delete(apple_reports::table.find((enrollment, kind))).execute(conn).map(drop)
}
