//! With what Apple devices are woken: at most one certificate in use, and one request for the next.
use crate::store::Conn;
use crate::store::schema::{apple_push_certificate, apple_push_request};
use diesel::prelude::*;
use domain::time::Time;

/// A key for which a certificate is asked.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_push_request)]
pub struct PushRequest {
    /// PKCS#8, encrypted, base64.
    pub key: String,
    /// PKCS#10 in PEM.
    pub request: String,
    pub made_at: Time,
}

/// The certificate in use, with its key.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_push_certificate)]
pub struct StoredPushCertificate {
    /// PKCS#8, encrypted, base64.
    pub key: String,
    /// In PEM.
    pub certificate: String,
    pub topic: String,
    pub until: Time,
    pub put_in_at: Time,
}

/// The request that waits for its certificate.
pub fn find_request(conn: &mut Conn) -> QueryResult<Option<PushRequest>> {
    apple_push_request::table.find(1).select(PushRequest::as_select()).first(conn).optional()
}

/// Keeps a request in the place of the one before it.
pub fn put_request(conn: &mut Conn, request: &PushRequest) -> QueryResult<()> {
    end_request(conn)?;
    diesel::insert_into(apple_push_request::table)
        .values((apple_push_request::id.eq(1), request))
        .execute(conn)
        .map(drop)
}

/// Forgets the request and its key.
pub fn end_request(conn: &mut Conn) -> QueryResult<()> {
    diesel::delete(apple_push_request::table).execute(conn).map(drop)
}

/// The certificate in use.
pub fn find(conn: &mut Conn) -> QueryResult<Option<StoredPushCertificate>> {
    apple_push_certificate::table.find(1).select(StoredPushCertificate::as_select()).first(conn).optional()
}

/// Puts a certificate in the place of the one before it.
pub fn put(conn: &mut Conn, certificate: &StoredPushCertificate) -> QueryResult<()> {
    diesel::delete(apple_push_certificate::table).execute(conn)?;
    diesel::insert_into(apple_push_certificate::table)
        .values((apple_push_certificate::id.eq(1), certificate))
        .execute(conn)
        .map(drop)
}
