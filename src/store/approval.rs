//! What second people agreed to.
use crate::store::Conn;
use crate::store::schema::approvals;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::consent::Approval;
use domain::guard::GuardedAct;
use domain::id::UserId;
use domain::time::Time;

/// Writes an approval of the request with the id `subject`; the same person's approval of the same is renewed.
pub fn insert(conn: &mut Conn, act: GuardedAct, subject: &str, approval: &Approval) -> QueryResult<()> {
    diesel::insert_into(approvals::table)
        .values((
            approvals::act.eq(act),
            approvals::subject_id.eq(subject),
            approvals::approver_id.eq(approval.by),
            approvals::digest.eq(&approval.digest),
            approvals::approved_at.eq(approval.at),
        ))
        .on_conflict_sql("(act, subject_id, approver_id, digest) DO UPDATE SET approved_at = excluded.approved_at")
        .execute(conn)
        .map(drop)
}

/// The approval that a request names: whose, of what digest, and when.
pub fn find(
    conn: &mut Conn,
    (act, subject): (GuardedAct, &str),
    (by, at): (UserId, Time),
    digest: &str,
) -> QueryResult<Option<Approval>> {
    let row: Option<(UserId, String, Time)> = approvals::table
        .find((act, subject, by, digest))
        .filter(approvals::approved_at.eq(at))
        .select((approvals::approver_id, approvals::digest, approvals::approved_at))
        .first(conn)
        .optional()?;
    Ok(row.map(|(by, digest, at)| Approval { by, digest, at }))
}
