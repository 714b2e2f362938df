//! Recovery keys: their public halves, and what is known about the shares of their private ones.
use crate::store::schema::recovery_keys;
use crate::store::{Conn, wanted};
use crate::wake::Wanted;
use diesel::prelude::*;
use domain::id::RecoveryKeyId;
use domain::time::Time;

/// The public half of a key pair whose private half exists only in shares.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = recovery_keys, treat_none_as_default_value = false)]
pub struct RecoveryKey {
    pub id: RecoveryKeyId,
    /// Six characters that each share bears.
    pub name: String,
    /// X25519, base64 (32 bytes).
    pub public_key: String,
    /// By which the proof side knows that whoever has the proof key wants this; hex.
    pub voucher: String,
    pub made_at: Time,
    pub made_by: String,
    /// When three shares were typed back the last time.
    pub confirmed_at: Option<Time>,
    pub confirmed_by: Option<String>,
    /// Since when nothing is sealed to it any more.
    pub retired_at: Option<Time>,
    /// When the proof side looks for repositories without a record; none if each has one.
    pub seal_again_at: Option<Time>,
}

/// All of them, newest first.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<RecoveryKey>> {
    recovery_keys::table.order(recovery_keys::id.desc()).select(RecoveryKey::as_select()).load(conn)
}

/// Those that are not retired, oldest first.
pub fn standing(conn: &mut Conn) -> QueryResult<Vec<RecoveryKey>> {
    recovery_keys::table
        .filter(recovery_keys::retired_at.is_null())
        .order(recovery_keys::id)
        .select(RecoveryKey::as_select())
        .load(conn)
}

/// The one with this public half.
pub fn find_by_public(conn: &mut Conn, public_key: &str) -> QueryResult<Option<RecoveryKey>> {
    recovery_keys::table
        .filter(recovery_keys::public_key.eq(public_key))
        .select(RecoveryKey::as_select())
        .first(conn)
        .optional()
}

/// The one that people call this.
pub fn find_by_name(conn: &mut Conn, name: &str) -> QueryResult<Option<RecoveryKey>> {
    recovery_keys::table.filter(recovery_keys::name.eq(name)).select(RecoveryKey::as_select()).first(conn).optional()
}

/// Adds one.
pub fn insert(conn: &mut Conn, key: &RecoveryKey) -> QueryResult<()> {
    wanted::note(Wanted::Proof);
    diesel::insert_into(recovery_keys::table).values(key).execute(conn).map(drop)
}

/// Records that its shares were typed back.
pub fn confirm(conn: &mut Conn, id: RecoveryKeyId, by: &str, now: Time) -> QueryResult<()> {
    diesel::update(recovery_keys::table.find(id))
        .set((recovery_keys::confirmed_at.eq(now), recovery_keys::confirmed_by.eq(by)))
        .execute(conn)
        .map(drop)
}

/// Records that nothing is sealed to it any more.
pub fn retire(conn: &mut Conn, id: RecoveryKeyId, now: Time) -> QueryResult<()> {
    diesel::update(recovery_keys::table.find(id)).set(recovery_keys::retired_at.eq(now)).execute(conn).map(drop)
}

/// Says when the proof side looks for repositories without a record; none for never.
pub fn seal_again(conn: &mut Conn, id: RecoveryKeyId, at: Option<Time>) -> QueryResult<()> {
    if at.is_some() {
        wanted::note(Wanted::Proof);
    }
    diesel::update(recovery_keys::table.find(id)).set(recovery_keys::seal_again_at.eq(at)).execute(conn).map(drop)
}

/// Keeps the word of a new proof key for a recovery key.
pub fn set_voucher(conn: &mut Conn, id: RecoveryKeyId, voucher: &str) -> QueryResult<()> {
    diesel::update(recovery_keys::table.find(id)).set(recovery_keys::voucher.eq(voucher)).execute(conn).map(drop)
}
