//! How far each setting is on an Apple device.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::apple_setting_states;
use diesel::prelude::*;
use domain::apple_settings::{LeftOut, SettingKind};
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// How far a setting is. Contents are digests: the same for the same.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_setting_states, treat_none_as_default_value = false)]
pub struct SettingState {
    pub enrollment_id: AppleEnrollmentId,
    pub kind: SettingKind,
    /// What the organisation set when the device last came; none if nothing.
    pub asked_for: Option<String>,
    /// What of it this device takes; none if nothing.
    pub wanted: Option<String>,
    /// JSON; see [`SettingState::left_out`].
    pub left_out: String,
    /// What was sent and may be there.
    pub sent: Option<String>,
    /// What its answer repeats; none once it was answered.
    pub sent_as: Option<String>,
    pub sent_at: Time,
    /// What the device said that it has.
    pub installed: Option<String>,
    pub installed_at: Option<Time>,
    /// Its words when it last said no to what is wanted.
    pub failure: Option<String>,
    pub failed_at: Option<Time>,
    /// When it was last written down that it had gone.
    pub missed_at: Option<Time>,
}

impl SettingState {
    /// Nothing is known of it yet.
    pub fn new(enrollment_id: AppleEnrollmentId, kind: SettingKind) -> Self {
        Self {
            enrollment_id,
            kind,
            asked_for: None,
            wanted: None,
            left_out: "[]".to_owned(),
            sent: None,
            sent_as: None,
            sent_at: Time::from_millis(0),
            installed: None,
            installed_at: None,
            failure: None,
            failed_at: None,
            missed_at: None,
        }
    }

    /// What of it the device does not take.
    pub fn left_out(&self) -> QueryResult<Vec<LeftOut>> {
        from_json(&self.left_out)
    }
}

/// All of these enrolments.
pub fn of(conn: &mut Conn, enrollments: &[AppleEnrollmentId]) -> QueryResult<Vec<SettingState>> {
    apple_setting_states::table
        .filter(apple_setting_states::enrollment_id.eq_any(enrollments.to_vec()))
        .order((apple_setting_states::enrollment_id, apple_setting_states::kind))
        .select(SettingState::as_select())
        .load(conn)
}

/// All of one enrolment.
pub fn of_enrollment(conn: &mut Conn, enrollment: AppleEnrollmentId) -> QueryResult<Vec<SettingState>> {
    // Not `eq_any`: SQLite would parse such a statement again with each poll.
    apple_setting_states::table
        .filter(apple_setting_states::enrollment_id.eq(enrollment))
        .order(apple_setting_states::kind)
        .select(SettingState::as_select())
        .load(conn)
}

/// The one that was sent as this; none if nothing was.
pub fn sent_as(conn: &mut Conn, enrollment: AppleEnrollmentId, sent_as: &str) -> QueryResult<Option<SettingState>> {
    apple_setting_states::table
        .filter(apple_setting_states::enrollment_id.eq(enrollment).and(apple_setting_states::sent_as.eq(sent_as)))
        .select(SettingState::as_select())
        .first(conn)
        .optional()
}

/// Keeps one in the place of the last.
pub fn put(conn: &mut Conn, state: &SettingState) -> QueryResult<()> {
    remove(conn, state)?;
    diesel::insert_into(apple_setting_states::table).values(state).execute(conn).map(drop)
}

/// Forgets one: nothing of it is on the device.
pub fn remove(conn: &mut Conn, state: &SettingState) -> QueryResult<()> {
    diesel::delete(apple_setting_states::table.find((state.enrollment_id, state.kind))).execute(conn).map(drop)
}
