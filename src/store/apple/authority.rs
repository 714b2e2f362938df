//! What makes the certificates of Apple devices: one authority, made once.
use crate::store::Conn;
use crate::store::schema::apple_authority;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::time::Time;

/// The authority and the registrar, each with its key.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_authority)]
pub struct AppleAuthority {
    /// DER, base64.
    pub certificate: String,
    /// DER, base64: to whose key devices encrypt, and which signs what they are answered.
    pub registrar: String,
    /// A secret key, sealed to the proof key. Whatever is secret here and of the enrolments is encrypted with it.
    pub sealed_key: String,
    /// PKCS#8, encrypted, base64.
    pub authority_key: String,
    pub registrar_key: String,
    pub made_at: Time,
}

/// The authority; none if no device has needed it yet.
pub fn find(conn: &mut Conn) -> QueryResult<Option<AppleAuthority>> {
    apple_authority::table.find(1).select(AppleAuthority::as_select()).first(conn).optional()
}

/// Adds the authority; false if there is one, which stays.
pub fn insert(conn: &mut Conn, authority: &AppleAuthority) -> QueryResult<bool> {
    let added = diesel::insert_into(apple_authority::table)
        .values((apple_authority::id.eq(1), authority))
        .on_conflict_sql("(id) DO NOTHING")
        .execute(conn)?;
    Ok(added == 1)
}

/// Seals the secret key to another proof key.
pub fn reseal(conn: &mut Conn, sealed_key: &str) -> QueryResult<()> {
    diesel::update(apple_authority::table.find(1))
        .set(apple_authority::sealed_key.eq(sealed_key))
        .execute(conn)
        .map(drop)
}
