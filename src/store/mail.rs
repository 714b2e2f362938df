//! The outbox: mails to be sent, and what became of them.
use crate::store::schema::{mail_outbox, user_roles, users};
use crate::store::upsert::UpsertExt;
use crate::store::{Conn, wanted};
use crate::wake::Wanted;
use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;
use domain::id::{MailId, TeamId, UserId};
use domain::role::{Grants, Role, Scope};
use domain::time::Time;
use std::collections::BTreeMap;

/// A mail in the outbox; `state` is `waiting`, `sent` or `given_up`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mail_outbox, treat_none_as_default_value = false)]
pub struct Mail {
    pub id: MailId,
    /// Two mails with the same key are one mail.
    pub dedupe_key: Option<String>,
    pub recipient: String,
    pub subject: String,
    pub body: String,
    pub state: String,
    pub created_at: Time,
    pub attempt_count: i64,
    pub next_attempt_at: Time,
    pub sent_at: Option<Time>,
    pub last_error: String,
}

/// A person mail can be sent to.
#[derive(Debug, Clone)]
pub struct Recipient {
    pub id: UserId,
    pub email: String,
    pub grants: Grants,
}

/// The state of the outbox, for the settings page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    pub waiting_count: i64,
    pub oldest_waiting_at: Option<Time>,
    pub given_up_count: i64,
    pub last_sent_at: Option<Time>,
    /// The newest error of a mail that is still waiting; empty if there is none.
    pub last_error: String,
}

/// Puts a mail into the outbox, whose sending is woken after the commit; false if one with the same key is already
/// there.
pub fn insert(conn: &mut Conn, mail: &Mail) -> QueryResult<bool> {
    let inserted = diesel::insert_into(mail_outbox::table)
        .values(mail)
        .on_conflict_sql("(dedupe_key) DO NOTHING")
        .execute(conn)?;
    if inserted == 1 {
        wanted::note(Wanted::Mail);
    }
    Ok(inserted == 1)
}

/// How many mails are waiting.
pub fn waiting_count(conn: &mut Conn) -> QueryResult<i64> {
    mail_outbox::table.filter(mail_outbox::state.eq("waiting")).select(count_star()).first(conn)
}

/// Mails whose time has come, the one waiting longest first.
pub fn due(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<Mail>> {
    mail_outbox::table
        .filter(mail_outbox::state.eq("waiting").and(mail_outbox::next_attempt_at.le(now)))
        .order((mail_outbox::next_attempt_at.asc(), mail_outbox::id.asc()))
        .limit(limit)
        .select(Mail::as_select())
        .load(conn)
}

/// Claims a mail for one attempt; false if another process has claimed it. Until `next_attempt_at` nobody else
/// tries.
pub fn take(conn: &mut Conn, mail: &Mail, next_attempt_at: Time) -> QueryResult<bool> {
    // The count is the fence: of two processes that read the same row, one finds it changed.
    let taken = diesel::update(mail_outbox::table.find(mail.id))
        .filter(mail_outbox::state.eq("waiting").and(mail_outbox::attempt_count.eq(mail.attempt_count)))
        .set((
            mail_outbox::attempt_count.eq(mail_outbox::attempt_count + 1),
            mail_outbox::next_attempt_at.eq(next_attempt_at),
        ))
        .execute(conn)?;
    Ok(taken == 1)
}

/// Notes that a mail was handed to the server.
pub fn sent(conn: &mut Conn, id: MailId, now: Time) -> QueryResult<()> {
    diesel::update(mail_outbox::table.find(id))
        .filter(mail_outbox::state.eq("waiting"))
        .set((mail_outbox::state.eq("sent"), mail_outbox::sent_at.eq(Some(now)), mail_outbox::last_error.eq("")))
        .execute(conn)
        .map(drop)
}

/// Notes why an attempt failed.
pub fn failed(conn: &mut Conn, id: MailId, error: &str) -> QueryResult<()> {
    diesel::update(mail_outbox::table.find(id)).set(mail_outbox::last_error.eq(error)).execute(conn).map(drop)
}

/// Ends the attempts; false if the mail was no longer waiting.
pub fn give_up(conn: &mut Conn, id: MailId) -> QueryResult<bool> {
    let ended = diesel::update(mail_outbox::table.find(id))
        .filter(mail_outbox::state.eq("waiting"))
        .set(mail_outbox::state.eq("given_up"))
        .execute(conn)?;
    Ok(ended == 1)
}

/// Mails that have waited since before `cut`.
pub fn waiting_since(conn: &mut Conn, cut: Time, limit: i64) -> QueryResult<Vec<Mail>> {
    mail_outbox::table
        .filter(mail_outbox::state.eq("waiting").and(mail_outbox::created_at.le(cut)))
        .order(mail_outbox::created_at.asc())
        .limit(limit)
        .select(Mail::as_select())
        .load(conn)
}

/// Removes finished mails made before `cut`.
pub fn prune(conn: &mut Conn, cut: Time) -> QueryResult<usize> {
    diesel::delete(mail_outbox::table.filter(mail_outbox::state.ne("waiting").and(mail_outbox::created_at.lt(cut))))
        .execute(conn)
}

/// The mail that has waited since before `cut` although it was tried, if none was accepted after it was made; when
/// that was, and why.
pub fn undelivered(conn: &mut Conn, cut: Time) -> QueryResult<Option<(Time, String)>> {
    let oldest: Option<(Time, String)> = mail_outbox::table
        .filter(mail_outbox::state.eq("waiting").and(mail_outbox::last_error.ne("")))
        .filter(mail_outbox::created_at.le(cut))
        .order(mail_outbox::created_at.asc())
        .select((mail_outbox::created_at, mail_outbox::last_error))
        .first(conn)
        .optional()?;
    let last_sent_at: Option<Time> = mail_outbox::table.select(max(mail_outbox::sent_at)).first(conn)?;
    Ok(oldest.filter(|(since, _)| last_sent_at.is_none_or(|at| at < *since)))
}

/// The state of the outbox.
pub fn status(conn: &mut Conn) -> QueryResult<OutboxStatus> {
    let (waiting_count, oldest_waiting_at) = mail_outbox::table
        .filter(mail_outbox::state.eq("waiting"))
        .select((count_star(), min(mail_outbox::created_at)))
        .first(conn)?;
    let given_up_count =
        mail_outbox::table.filter(mail_outbox::state.eq("given_up")).select(count_star()).first(conn)?;
    let last_sent_at = mail_outbox::table.select(max(mail_outbox::sent_at)).first(conn)?;
    let last_error = mail_outbox::table
        .filter(mail_outbox::state.eq("waiting").and(mail_outbox::last_error.ne("")))
        .order(mail_outbox::next_attempt_at.desc())
        .select(mail_outbox::last_error)
        .first(conn)
        .optional()?
        .unwrap_or_default();
    Ok(OutboxStatus { waiting_count, oldest_waiting_at, given_up_count, last_sent_at, last_error })
}

/// Every person who can sign in, with their roles.
pub fn recipients(conn: &mut Conn) -> QueryResult<Vec<Recipient>> {
    let rows: Vec<(UserId, String, Option<Role>, Option<String>)> = users::table
        .left_join(user_roles::table.on(user_roles::user_id.eq(users::id)))
        .filter(users::state.eq("active"))
        .order(users::id.asc())
        .select((users::id, users::email, user_roles::role.nullable(), user_roles::scope.nullable()))
        .load(conn)?;
    let mut people: BTreeMap<UserId, (String, Vec<(Role, Scope)>)> = BTreeMap::new();
    for (id, email, role, scope) in rows {
        let (_, grants) = people.entry(id).or_insert_with(|| (email, Vec::new()));
        if let (Some(role), Some(scope)) = (role, scope.as_deref().and_then(read_scope)) {
            grants.push((role, scope));
        }
    }
    Ok(people.into_iter().map(|(id, (email, it))| Recipient { id, email, grants: Grants::new(it) }).collect())
}

fn read_scope(text: &str) -> Option<Scope> {
    if text == "organisation" { Some(Scope::Organisation) } else { TeamId::parse(text).map(Scope::Team) }
}
