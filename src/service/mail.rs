//! Puts mails into the outbox, in the transaction of the act they report.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::reach;
use crate::store::mail::Recipient;
use crate::store::setting::{MAIL_WORKED, UNDELIVERED};
use crate::store::{self, Conn, Store};
use domain::account::UserState;
use domain::activity::{Action, Object};
use domain::by::By;
use domain::ground::Undelivered;
use domain::id::{MailId, TeamId, UserId};
use domain::name::{self, plain};
use domain::role::{Grants, Permission};
use domain::time::Time;

/// How many mails of all kinds may wait; beyond that each person gets one mail a day that says so.
pub const MAX_WAITING: i64 = 5_000;

/// Extra room reserved for mails of guards: filling the queue with others silences none of these.
pub const RESERVED: i64 = 1_000;

/// The longest body, in characters.
const MAX_BODY: usize = 20_000;

/// Who gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    /// Everyone for whom the permission holds on devices of this team.
    Permission(Permission, Option<TeamId>),
    User(UserId),
    /// Somebody who may not have signed in yet; nobody once the account is disabled.
    Account(UserId),
    /// Everyone who manages people, and the person it is about.
    Overseers(UserId),
    /// Everyone who can sign in.
    Everyone,
}

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: Recipients,
    /// A word for what it reports, such as `wipe_requested`.
    pub kind: &'static str,
    /// Each person is told once for the same kind and key; none to tell them every time.
    pub dedupe_key: Option<String>,
    pub subject: String,
    pub body: String,
}

/// Puts a mail into the outbox, once for each recipient; returns how many were added.
///
/// # Errors
/// When the database refuses; then the act in the same transaction is undone too.
pub fn enqueue(conn: &mut Conn, mail: &Mail, now: Time) -> Result<usize> {
    Ok(put(conn, mail, MAX_WAITING, now)?.added)
}

/// Puts a guard's mail into the outbox, which has room reserved for it. What it reports goes ahead in any case:
/// it takes power away, has already happened, or is done on the server's own machine.
///
/// # Errors
/// When the database refuses.
pub fn enqueue_guard(conn: &mut Conn, mail: &Mail, now: Time) -> Result<()> {
    // Half of it, so that what goes ahead in any case cannot use up the room for what must be reported.
    put(conn, mail, MAX_WAITING + RESERVED / 2, now).map(drop)
}

/// Puts a guard's mail into the outbox, or refuses what it reports: a change nobody would hear about is not
/// made. What the server's own machine does needs no such mail: it takes [`enqueue_guard`].
///
/// # Errors
/// `Refused` if the outbox has no room for one of the recipients.
pub fn enqueue_or_refuse(conn: &mut Conn, mail: &Mail, now: Time) -> Result<()> {
    let put = put(conn, mail, MAX_WAITING + RESERVED, now)?;
    if put.left_out == 0 { Ok(()) } else { Err(Error::Refused(CANNOT_TELL.to_owned())) }
}

/// What a person reads if nobody can be told about their change.
const CANNOT_TELL: &str = "too many mails are waiting, so nobody could be told about this; nothing was changed. \
 Settings shows why mail is not being sent. On the server’s own machine `holdfast admin` still works";

/// How many recipients a mail was queued for, and how many it had no room for.
struct Put {
    added: usize,
    left_out: usize,
}

fn put(conn: &mut Conn, mail: &Mail, most: i64, now: Time) -> Result<Put> {
    let people = people(conn, mail.to)?;
    let mut room = most - store::mail::waiting_count(conn)?;
    let mut put = Put { added: 0, left_out: 0 };
    for person in &people {
        let row = if room > 0 {
            let key = mail.dedupe_key.as_ref().map(|key| format!("{}/{key}/{}", mail.kind, person.id));
            row(person, key, &mail.subject, &mail.body, now)
        } else {
            put.left_out += 1;
            overflow(person, now)
        };
        let is_added = store::mail::insert(conn, &row)?;
        put.added += usize::from(is_added);
        room -= i64::from(is_added);
    }
    Ok(put)
}

/// The address of a device's person who has no account, if their name is an address.
///
/// # Errors
/// When the database refuses.
pub(super) fn outside(conn: &mut Conn, person: &str) -> Result<Option<String>> {
    let Some(address) = name::address(person) else { return Ok(None) };
    Ok(store::user::find_by_email(conn, &address)?.is_none().then_some(address))
}

/// [`enqueue_or_refuse`] for an address without an account; the mail's recipients are ignored.
///
/// # Errors
/// `Refused` if the outbox has no room for it.
pub(super) fn enqueue_to_address(conn: &mut Conn, address: &str, mail: &Mail, now: Time) -> Result<()> {
    if store::mail::waiting_count(conn)? >= MAX_WAITING + RESERVED {
        return Err(Error::Refused(CANNOT_TELL.to_owned()));
    }
    let key = mail.dedupe_key.as_ref().map(|key| format!("{}/{key}/{address}", mail.kind));
    let to = Recipient { id: UserId::generate(now), email: address.to_owned(), grants: Grants::default() };
    store::mail::insert(conn, &row(&to, key, &mail.subject, &mail.body, now))?;
    Ok(())
}

/// Sends a mail to the person who asks for it, to check whether mail works.
///
/// # Errors
/// `Refused` for a second one within a minute, `Forbidden` for somebody who does not manage settings.
pub fn test(conn: &mut Conn, by: &By, now: Time) -> Result<()> {
    let actor = reach::organisation(by.into(), Permission::ManageSettings)?;
    let mail = Mail {
        to: Recipients::User(by.user),
        kind: "test",
        // Otherwise one session could fill the outbox with them, and nothing that matters would be mailed.
        dedupe_key: Some((now.seconds() / 60).to_string()),
        subject: "Holdfast: test mail".to_owned(),
        body: format!(
            "This is the test mail that {} asked for.

Mail from Holdfast reaches you.
",
            actor.name
        ),
    };
    if enqueue(conn, &mail, now)? == 0 {
        return Err(Error::Refused(
            "a test mail was requested within the last minute; check whether it has \
         arrived"
                .to_owned(),
        ));
    }
    activity::record(conn, actor, &Act::done(Action::TestMailAsked, Object::new("user", by.user, &*actor.name)), now)
}

/// Notes that the mail server accepted a mail.
///
/// # Errors
/// When the database refuses.
pub fn sent(conn: &mut Conn, id: MailId, now: Time) -> Result<()> {
    store::mail::sent(conn, id, now)?;
    // Once is enough: each later mail would write the same row again.
    if !has_worked(conn)? {
        MAIL_WORKED.set(conn, &true, now)?;
    }
    Ok(())
}

/// Whether a mail server has ever accepted a mail of ours.
///
/// # Errors
/// When the database refuses.
pub fn has_worked(conn: &mut Conn) -> Result<bool> {
    Ok(MAIL_WORKED.find(conn)?.unwrap_or(false))
}

fn people(conn: &mut Conn, to: Recipients) -> Result<Vec<Recipient>> {
    if let Recipients::Account(id) = to {
        let user = store::user::find(conn, id)?.filter(|it| it.state != UserState::Disabled);
        let person = user.map(|it| Recipient { id, email: it.email, grants: Grants::default() });
        return Ok(person.into_iter().collect());
    }
    let mut people = store::mail::recipients(conn)?;
    people.retain(|person| match to {
        Recipients::User(id) | Recipients::Account(id) => person.id == id,
        Recipients::Overseers(id) => person.id == id || person.grants.allows_everywhere(Permission::ManageUsers),
        Recipients::Everyone => true,
        Recipients::Permission(permission, team) => {
            person.grants.reach(permission).is_some_and(|reach| reach.covers(team))
        }
    });
    Ok(people)
}

fn row(person: &Recipient, dedupe_key: Option<String>, subject: &str, body: &str, now: Time) -> store::mail::Mail {
    store::mail::Mail {
        id: MailId::generate(now),
        dedupe_key,
        recipient: person.email.clone(),
        subject: plain(subject).chars().take(200).collect(),
        body: lines(body).chars().take(MAX_BODY).collect(),
        state: "waiting".to_owned(),
        created_at: now,
        attempt_count: 0,
        next_attempt_at: now,
        sent_at: None,
        last_error: String::new(),
    }
}

/// A body in which no name, not even one stored before names were checked, breaks or reverses a line.
fn lines(body: &str) -> String {
    body.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn overflow(person: &Recipient, now: Time) -> store::mail::Mail {
    let day = now.seconds() / 86_400;
    row(
        person,
        Some(format!("overflow/{day}/{}", person.id)),
        "Holdfast: more has happened than was mailed",
        "Too many mails are waiting, so further ones were left out.\n\
         Sign in to Holdfast: Activity and Overview show everything that happened.\n",
        now,
    )
}

/// Keeps whether mails are accepted at all, for the pages and `/health`: the mail that would say so is the one that is
/// not. True if they are not.
///
/// # Errors
/// When the database refuses.
pub fn look_at_delivery(store: &Store, now: Time) -> Result<bool> {
    let cut = now - Undelivered::AFTER;
    let (found, before) = store.read_blocking(|conn| {
        let found = store::mail::undelivered(conn, cut)?.map(|(since, why)| Undelivered { since, why });
        Ok::<_, Error>((found, UNDELIVERED.find(conn)?))
    })?;
    let is_stuck = found.is_some();
    match (found, before) {
        (Some(found), before) if before.as_ref() != Some(&found) => {
            if before.is_none() {
                tracing::error!(why = found.why, "no mail is accepted: nobody hears of anything by mail");
            }
            store.write_blocking(move |conn| UNDELIVERED.set(conn, &found, now))?;
        }
        (None, Some(_)) => store.write_blocking(|conn| UNDELIVERED.remove(conn))?,
        (Some(_) | None, _) => {}
    }
    Ok(is_stuck)
}
