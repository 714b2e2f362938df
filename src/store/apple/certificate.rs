//! Certificates of Apple devices, each of one enrolment.
use crate::store::Conn;
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::schema::{apple_certificates, apple_enrollments};
use diesel::prelude::*;
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_certificates, treat_none_as_default_value = false)]
pub struct AppleCertificate {
    /// SHA-256 of its bytes, hex.
    pub fingerprint: String,
    pub enrollment_id: AppleEnrollmentId,
    /// Hex.
    pub serial: String,
    pub issued_at: Time,
    pub not_after: Time,
    /// When a device first showed it.
    pub used_at: Option<Time>,
    pub revoked_at: Option<Time>,
    /// What Apple said of the device that got it; none where it was not asked.
    pub attested_serial: Option<String>,
    pub attested_udid: Option<String>,
}

impl AppleCertificate {
    /// Whether Apple attested this device, or was not asked. A Mac has no `udid` to compare: the one that Apple attests is
    /// not the one by which it calls itself.
    pub fn is_of(&self, serial: &str, udid: Option<&str>) -> bool {
        let same =
            |attested: &Option<String>, said: &str| attested.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(said));
        same(&self.attested_serial, serial) && udid.is_none_or(|it| same(&self.attested_udid, it))
    }
}

/// A certificate with its enrolment.
pub fn find(conn: &mut Conn, fingerprint: &str) -> QueryResult<Option<(AppleCertificate, AppleEnrollment)>> {
    apple_certificates::table
        .find(fingerprint)
        .inner_join(apple_enrollments::table.on(apple_enrollments::id.eq(apple_certificates::enrollment_id)))
        .select((AppleCertificate::as_select(), AppleEnrollment::as_select()))
        .first(conn)
        .optional()
}

/// The certificates of an enrolment, the newest first.
pub fn of_enrollment(conn: &mut Conn, id: AppleEnrollmentId) -> QueryResult<Vec<AppleCertificate>> {
    apple_certificates::table
        .filter(apple_certificates::enrollment_id.eq(id))
        .order((apple_certificates::issued_at.desc(), apple_certificates::fingerprint))
        .select(AppleCertificate::as_select())
        .load(conn)
}

/// How many of an enrolment are not revoked.
pub fn open_count(conn: &mut Conn, id: AppleEnrollmentId) -> QueryResult<i64> {
    apple_certificates::table
        .filter(apple_certificates::enrollment_id.eq(id).and(apple_certificates::revoked_at.is_null()))
        .count()
        .get_result(conn)
}

/// Adds one.
pub fn insert(conn: &mut Conn, certificate: &AppleCertificate) -> QueryResult<()> {
    diesel::insert_into(apple_certificates::table).values(certificate).execute(conn).map(drop)
}

/// Notes that the device has it, and revokes those it had before.
pub fn begin_use(conn: &mut Conn, certificate: &AppleCertificate, now: Time) -> QueryResult<()> {
    diesel::update(apple_certificates::table.find(&certificate.fingerprint))
        .set(apple_certificates::used_at.eq(Some(now)))
        .execute(conn)?;
    diesel::update(apple_certificates::table)
        .filter(apple_certificates::enrollment_id.eq(certificate.enrollment_id))
        .filter(apple_certificates::fingerprint.ne(&certificate.fingerprint))
        .filter(apple_certificates::issued_at.le(certificate.issued_at))
        .filter(apple_certificates::revoked_at.is_null())
        .set(apple_certificates::revoked_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}

/// Revokes all of an enrolment.
pub fn revoke(conn: &mut Conn, enrollment: AppleEnrollmentId, now: Time) -> QueryResult<()> {
    diesel::update(apple_certificates::table)
        .filter(apple_certificates::enrollment_id.eq(enrollment).and(apple_certificates::revoked_at.is_null()))
        .set(apple_certificates::revoked_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}
