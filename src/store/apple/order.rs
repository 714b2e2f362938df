//! Requests of Apple devices for certificates with an attestation.
use crate::store::Conn;
use crate::store::schema::apple_orders;
use diesel::prelude::*;
use domain::certification::OrderState;
use domain::id::{AppleEnrollmentId, AppleOrderId};
use domain::time::Time;

/// One request, from the identifier it came with to its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_orders, treat_none_as_default_value = false)]
pub struct AppleOrder {
    pub id: AppleOrderId,
    pub enrollment_id: AppleEnrollmentId,
    /// SHA-256 of the key that its messages are signed with, hex.
    pub account: String,
    /// What the one-time password hashes to.
    pub challenge: String,
    /// The one-time password, which its client is shown again; encrypted, base64.
    pub identifier: String,
    /// What the attestation has to be made for.
    pub token: String,
    pub state: OrderState,
    /// Why what the device showed is not believed; empty otherwise.
    pub detail: String,
    /// That was attested; DER, base64.
    pub public_key: Option<String>,
    pub attested_serial: Option<String>,
    pub attested_udid: Option<String>,
    pub attested_at: Option<Time>,
    /// DER, base64.
    pub certificate: Option<String>,
    pub made_at: Time,
    pub expires_at: Time,
}

/// An account's request by its id, as long as it is kept.
pub fn find(conn: &mut Conn, account: &str, id: AppleOrderId, now: Time) -> QueryResult<Option<AppleOrder>> {
    apple_orders::table
        .find(id)
        .filter(apple_orders::account.eq(account).and(apple_orders::expires_at.gt(now)))
        .select(AppleOrder::as_select())
        .first(conn)
        .optional()
}

/// How many an enrolment has at the moment.
pub fn count(conn: &mut Conn, enrollment: AppleEnrollmentId, now: Time) -> QueryResult<i64> {
    apple_orders::table
        .filter(apple_orders::enrollment_id.eq(enrollment).and(apple_orders::expires_at.gt(now)))
        .count()
        .get_result(conn)
}

/// Adds one.
pub fn insert(conn: &mut Conn, order: &AppleOrder) -> QueryResult<()> {
    diesel::insert_into(apple_orders::table).values(order).execute(conn).map(drop)
}

/// What was attested of a device and its key.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = apple_orders)]
pub struct Attested {
    pub public_key: String,
    pub attested_serial: String,
    pub attested_udid: String,
    pub attested_at: Time,
}

/// Keeps what the device showed, once.
pub fn attest(conn: &mut Conn, id: AppleOrderId, attested: &Attested) -> QueryResult<()> {
    diesel::update(apple_orders::table.find(id).filter(apple_orders::state.eq(OrderState::Pending)))
        .set((apple_orders::state.eq(OrderState::Ready), attested))
        .execute(conn)
        .map(drop)
}

/// Ends one that is not done, with the reason.
pub fn refuse(conn: &mut Conn, id: AppleOrderId, detail: &str) -> QueryResult<()> {
    diesel::update(apple_orders::table.find(id).filter(apple_orders::state.ne(OrderState::Valid)))
        .set((apple_orders::state.eq(OrderState::Invalid), apple_orders::detail.eq(detail)))
        .execute(conn)
        .map(drop)
}

/// Keeps the certificate that was made for one.
pub fn certify(conn: &mut Conn, id: AppleOrderId, certificate: &str) -> QueryResult<()> {
    diesel::update(apple_orders::table.find(id).filter(apple_orders::state.eq(OrderState::Ready)))
        .set((apple_orders::state.eq(OrderState::Valid), apple_orders::certificate.eq(Some(certificate))))
        .execute(conn)
        .map(drop)
}

/// Forgets those whose time is over.
pub fn prune(conn: &mut Conn, now: Time) -> QueryResult<usize> {
    diesel::delete(apple_orders::table.filter(apple_orders::expires_at.le(now))).execute(conn)
}
