//! One row per device that sums up its evidence.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::{device_proof, repositories};
use crate::store::upsert::UpsertExt;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::id::{DeviceId, RestorePointId, RestoreTestId};
use domain::key_holder::KeyHolder;
use domain::proof::{Evidence, Grade, Held, part_in_words};
use domain::time::Time;

/// What is known about a device's backups; the grade is computed from it when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = device_proof, treat_none_as_default_value = false)]
pub struct DeviceProof {
    pub device_id: DeviceId,
    /// 0 failed, 1 never, 2 reported, 3 stored, 4 verified, 5 partly proven, 6 proven; whatever holds only for a time is compared when read.
    pub rank: i64,
    pub newest_point_id: Option<RestorePointId>,
    /// When the newest restore point was received.
    pub newest_at: Option<Time>,
    /// When the newest point with all its objects was received.
    pub stored_at: Option<Time>,
    /// When the newest verified point was received.
    pub verified_at: Option<Time>,
    /// When it was tested.
    pub verified_tested_at: Option<Time>,
    pub verified_until: Option<Time>,
    /// When the newest partly proven point was received, if it is newer than the proven one.
    pub partial_at: Option<Time>,
    pub partial_tested_at: Option<Time>,
    pub partial_until: Option<Time>,
    /// Files of that point, and how many of them matched.
    pub partial_file_count: i64,
    pub partial_matched_count: i64,
    pub proven_point_id: Option<RestorePointId>,
    /// When the newest proven point was received.
    pub proven_at: Option<Time>,
    /// When it was tested.
    pub proven_tested_at: Option<Time>,
    pub proven_until: Option<Time>,
    /// Files of the proven point, and how many of them matched.
    pub file_count: i64,
    pub matched_count: i64,
    /// What the point that changes are counted from ([`baseline`](crate::store::evidence::baseline)) holds that
    /// is not proven; none while nothing has been compared.
    pub not_proven_files: Option<i64>,
    pub not_proven_bytes: Option<i64>,
    /// That point: its id, when it was received, and what it holds, as far as the device has said.
    pub baseline_id: Option<RestorePointId>,
    pub baseline_at: Option<Time>,
    pub baseline_files: Option<i64>,
    pub baseline_bytes: Option<i64>,
    /// How many restore points hold a file, or may hold one.
    pub filled_points: i64,
    /// When a restore test failed that no later good test has made up for.
    pub failed_at: Option<Time>,
    pub failed_test_id: Option<RestoreTestId>,
    /// When the last of this was learned: a backup arrived, or a test showed something.
    pub noted_at: Option<Time>,
    /// Files that failed a restore test and that no later one found intact: no backup holds them intact.
    pub damaged_files: i64,
    /// Since when the store cannot be read, if it holds something from the device.
    pub store_away_since: Option<Time>,
    #[diesel(embed)]
    pub more: More,
}

/// What else is known: a row of one tuple has 32 parts at most.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = device_proof, treat_none_as_default_value = false)]
pub struct More {
    /// The first of the names of damaged files, as JSON; see [`DeviceProof::damaged`].
    pub damaged_names: String,
    /// Whether the customer keeps the key to any of its backups: asked of the repositories each time, so that no row of
    /// this table can say more than that allows.
    #[diesel(select_expression = is_of_customer(), select_expression_type = is_of_customer, skip_insertion)]
    pub is_of_customer: bool,
}

#[diesel::dsl::auto_type]
fn is_of_customer() -> _ {
    let customer: KeyHolder = KeyHolder::Customer;
    exists(
        repositories::table
            .filter(repositories::device_id.eq(device_proof::device_id).and(repositories::key_holder.eq(customer))),
    )
}

impl DeviceProof {
    /// The evidence, for grading.
    pub fn evidence(&self) -> Evidence {
        let held = |at: Option<Time>, tested: Option<Time>, until: Option<Time>| {
            Some(Held { point_at: at?, tested_at: tested?, until: until? })
        };
        let key_holder = if self.more.is_of_customer { KeyHolder::Customer } else { KeyHolder::Server };
        // Nobody here can have compared anything, whatever is written down.
        let compared = |it: Option<Held>| it.filter(|_| key_holder.can_prove());
        Evidence {
            newest_at: self.newest_at,
            stored_at: self.stored_at,
            verified: held(self.verified_at, self.verified_tested_at, self.verified_until),
            partial: compared(held(self.partial_at, self.partial_tested_at, self.partial_until)),
            proven: compared(held(self.proven_at, self.proven_tested_at, self.proven_until)),
            failed_at: self.failed_at,
            noted_at: self.noted_at,
            store_away_since: self.store_away_since,
            key_holder,
        }
    }
}

impl DeviceProof {
    /// The row of a device without a backup.
    pub fn none(device: DeviceId) -> Self {
        Self {
            device_id: device,
            rank: 1,
            newest_point_id: None,
            newest_at: None,
            stored_at: None,
            verified_at: None,
            verified_tested_at: None,
            verified_until: None,
            partial_at: None,
            partial_tested_at: None,
            partial_until: None,
            partial_file_count: 0,
            partial_matched_count: 0,
            proven_point_id: None,
            proven_at: None,
            proven_tested_at: None,
            proven_until: None,
            file_count: 0,
            matched_count: 0,
            not_proven_files: None,
            not_proven_bytes: None,
            baseline_id: None,
            baseline_at: None,
            baseline_files: None,
            baseline_bytes: None,
            filled_points: 0,
            failed_at: None,
            failed_test_id: None,
            noted_at: None,
            damaged_files: 0,
            store_away_since: None,
            more: More { damaged_names: "[]".to_owned(), is_of_customer: false },
        }
    }

    /// The first names of the files that no backup holds intact.
    pub fn damaged(&self) -> QueryResult<Vec<String>> {
        from_json(&self.more.damaged_names)
    }

    /// How much is proven, if only a part is: "1 of 201 files proven"; none at any other grade.
    pub fn part(&self, now: Time) -> Option<String> {
        let is_part = self.evidence().grade(now) == Grade::Partial;
        is_part.then(|| part_in_words(self.partial_matched_count, self.partial_file_count))
    }
}

/// The row of a device.
pub fn find(conn: &mut Conn, id: DeviceId) -> QueryResult<Option<DeviceProof>> {
    device_proof::table.find(id).select(DeviceProof::as_select()).first(conn).optional()
}

/// Writes the row of a device.
pub fn set(conn: &mut Conn, row: &DeviceProof) -> QueryResult<()> {
    diesel::insert_into(device_proof::table)
        .values(row)
        .on_conflict_sql(
            "(device_id) DO UPDATE SET rank = excluded.rank, newest_point_id = excluded.newest_point_id, \
             newest_at = excluded.newest_at, stored_at = excluded.stored_at, verified_at = excluded.verified_at, \
             verified_tested_at = excluded.verified_tested_at, verified_until = excluded.verified_until, \
             partial_at = excluded.partial_at, partial_tested_at = excluded.partial_tested_at, \
             partial_until = excluded.partial_until, partial_file_count = excluded.partial_file_count, \
             partial_matched_count = excluded.partial_matched_count, proven_point_id = excluded.proven_point_id, \
             proven_at = excluded.proven_at, proven_tested_at = excluded.proven_tested_at, \
             proven_until = excluded.proven_until, file_count = excluded.file_count, \
             matched_count = excluded.matched_count, not_proven_files = excluded.not_proven_files, \
             not_proven_bytes = excluded.not_proven_bytes, baseline_id = excluded.baseline_id, \
             baseline_at = excluded.baseline_at, baseline_files = excluded.baseline_files, \
             baseline_bytes = excluded.baseline_bytes, filled_points = excluded.filled_points, failed_at = excluded.failed_at, \
             failed_test_id = excluded.failed_test_id, noted_at = excluded.noted_at, \
             damaged_files = excluded.damaged_files, damaged_names = excluded.damaged_names, \
             store_away_since = excluded.store_away_since",
        )
        .execute(conn)
        .map(drop)
}

/// Devices whose proof expires before `cut`, soonest first.
pub fn expiring(conn: &mut Conn, cut: Time, limit: i64) -> QueryResult<Vec<DeviceProof>> {
    device_proof::table
        .filter(device_proof::proven_until.le(cut).or(device_proof::partial_until.le(cut)))
        .filter(device_proof::failed_at.is_null())
        .order((device_proof::proven_until, device_proof::device_id))
        .limit(limit)
        .select(DeviceProof::as_select())
        .load(conn)
}

/// Devices whose evidence was dated by a clock that was ahead: it is tested again with the correct one.
pub fn tested_after(conn: &mut Conn, cut: Time, limit: i64) -> QueryResult<Vec<DeviceProof>> {
    device_proof::table
        .filter(
            device_proof::proven_tested_at
                .gt(cut)
                .or(device_proof::partial_tested_at.gt(cut))
                .or(device_proof::verified_tested_at.gt(cut)),
        )
        .filter(device_proof::failed_at.is_null())
        .order(device_proof::device_id)
        .limit(limit)
        .select(DeviceProof::as_select())
        .load(conn)
}
