//! Each device's last attempt at a backup: one row per device.
use crate::store::Conn;
use crate::store::column::{from_json, to_json};
use crate::store::schema::backup_attempts;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::backup::{LeftOut, RootAway};
use domain::id::DeviceId;
use domain::time::Time;

/// What a device reports about its last attempt at a backup.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = backup_attempts, treat_none_as_default_value = false)]
pub struct BackupAttempt {
    pub device_id: DeviceId,
    /// When the server learned about it.
    pub tried_at: Time,
    /// Since when they have failed; none while they succeed.
    pub failing_since: Option<Time>,
    /// How many in a row have failed.
    pub failed_count: i64,
    /// Why, in the device's words.
    pub reason: String,
    /// JSON, of the last successful one; see [`BackupAttempt::left_out`].
    pub left_out: String,
    /// JSON; see [`BackupAttempt::away`].
    pub away: String,
}

impl BackupAttempt {
    /// The row of a device whose backup succeeded.
    ///
    /// # Errors
    /// Never, except for a lack of memory.
    pub fn done(device_id: DeviceId, left_out: &LeftOut, away: &[RootAway], now: Time) -> QueryResult<Self> {
        Ok(Self {
            device_id,
            tried_at: now,
            failing_since: None,
            failed_count: 0,
            reason: String::new(),
            left_out: to_json(left_out)?,
            away: to_json(&away)?,
        })
    }

    /// What the last successful backup does not hold.
    pub fn left_out(&self) -> QueryResult<LeftOut> {
        from_json(&self.left_out)
    }

    /// The protected folders that were away then.
    pub fn away(&self) -> QueryResult<Vec<RootAway>> {
        from_json(&self.away)
    }
}

/// The row of a device; none before its first attempt.
pub fn find(conn: &mut Conn, id: DeviceId) -> QueryResult<Option<BackupAttempt>> {
    backup_attempts::table.find(id).select(BackupAttempt::as_select()).first(conn).optional()
}

/// Writes the row of a device.
pub fn set(conn: &mut Conn, row: &BackupAttempt) -> QueryResult<()> {
    diesel::insert_into(backup_attempts::table)
        .values(row)
        .on_conflict_sql(
            "(device_id) DO UPDATE SET tried_at = excluded.tried_at, failing_since = excluded.failing_since, \
             failed_count = excluded.failed_count, reason = excluded.reason, left_out = excluded.left_out, \
             away = excluded.away",
        )
        .execute(conn)
        .map(drop)
}
