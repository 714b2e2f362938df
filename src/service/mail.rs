//! Puts mails into the outbox, in the transaction of the act that they tell of.
use crate::domain::account::UserState;
use crate::domain::activity::{Action, Actor, Object, Via};
use crate::domain::id::{MailId, TeamId, UserId};
use crate::domain::name::{self, plain};
use crate::domain::role::{Grants, Permission};
use crate::domain::time::Time;
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::store::mail::Recipient;
use crate::store::{self, Conn};

/// How many mails of every kind may wait; beyond it each person gets one mail a day that says so.
pub const MAX_WAITING: i64 = 5_000;

/// Further room that only mails of guards may take: whoever fills the queue with others silences none of these.
pub const RESERVED: i64 = 1_000;

/// The longest body, in characters.
const MAX_BODY: usize = 20_000;

/// Who gets a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    /// Everyone for whom the permission holds on devices of this team.
    Permission(Permission, Option<TeamId>),
    User(UserId),
    /// Somebody who may not have come yet; nobody once the account is disabled.
    Account(UserId),
    /// Everyone who manages people, and the person whom it is about.
    Overseers(UserId),
    /// Everyone who can sign in.
    Everyone,
}

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: Recipients,
    /// A word for what it tells, such as `wipe_requested`.
    pub kind: &'static str,
    /// The same kind and key are told once to each person; none to tell again each time.
    pub dedupe_key: Option<String>,
    pub subject: String,
    pub body: String,
}

/// Puts a mail into the outbox, once for each recipient; gives how many were added.
///
/// # Errors
/// When the database refuses; then the act in the same transaction is undone too.
pub fn enqueue(conn: &mut Conn, mail: &Mail, now: Time) -> Result<usize> {
    Ok(put(conn, mail, MAX_WAITING, now)?.added)
}

/// Puts the mail of a guard into the outbox, where room is kept for it. What it tells of goes on in any case: it takes
/// power away, or has happened already.
///
/// # Errors
/// When the database refuses.
pub fn enqueue_guard(conn: &mut Conn, mail: &Mail, now: Time) -> Result<()> {
    // Half of it, so that what goes on in any case cannot take the room of what must be told.
    put(conn, mail, MAX_WAITING + RESERVED / 2, now).map(drop)
}

/// Puts the mail of a guard into the outbox, or refuses what it tells of: a change that nobody hears of is not made.
/// Only the server's own machine has its way without.
///
/// # Errors
/// `Refused` where the outbox has no room for one of the recipients.
pub fn enqueue_or_refuse(conn: &mut Conn, by: Via, mail: &Mail, now: Time) -> Result<()> {
    let put = put(conn, mail, MAX_WAITING + RESERVED, now)?;
    match by {
        Via::CommandLine | Via::Job => Ok(()),
        Via::Web | Via::Api | Via::Agent | Via::Restic if put.left_out == 0 => Ok(()),
        Via::Web | Via::Api | Via::Agent | Via::Restic => Err(Error::Refused(CANNOT_TELL.to_owned())),
    }
}

/// What a person reads whose change cannot be told.
const CANNOT_TELL: &str = "too many mails are waiting, so nobody could be told of this; nothing was changed. See under \
    Settings why mail does not leave. On the server’s own machine `holdfast admin` works all the same";

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

/// The address of a device's person who has no account, where their name is one.
///
/// # Errors
/// When the database refuses.
pub(super) fn outside(conn: &mut Conn, person: &str) -> Result<Option<String>> {
    let Some(address) = name::address(person) else { return Ok(None) };
    Ok(store::user::find_by_email(conn, &address)?.is_none().then_some(address))
}

/// [`enqueue_or_refuse`] to an address without an account; the mail's recipients are not looked at.
///
/// # Errors
/// `Refused` where the outbox has no room for it.
pub(super) fn enqueue_to_address(conn: &mut Conn, by: Via, address: &str, mail: &Mail, now: Time) -> Result<()> {
    if store::mail::waiting_count(conn)? >= MAX_WAITING + RESERVED {
        return match by {
            Via::CommandLine | Via::Job => Ok(()),
            Via::Web | Via::Api | Via::Agent | Via::Restic => Err(Error::Refused(CANNOT_TELL.to_owned())),
        };
    }
    let key = mail.dedupe_key.as_ref().map(|key| format!("{}/{key}/{address}", mail.kind));
    let to = Recipient { id: UserId::generate(now), email: address.to_owned(), grants: Grants::default() };
    store::mail::insert(conn, &row(&to, key, &mail.subject, &mail.body, now))?;
    Ok(())
}

/// Sends a mail to the person who asks for it, to see whether mail works.
///
/// # Errors
/// `Refused` for a second one within a minute.
pub fn test(conn: &mut Conn, actor: &Actor, user: UserId, now: Time) -> Result<()> {
    let mail = Mail {
        to: Recipients::User(user),
        kind: "test",
        // Else one session could fill the outbox with them, and nothing that matters would be mailed.
        dedupe_key: Some((now.seconds() / 60).to_string()),
        subject: "Holdfast: test mail".to_owned(),
        body: format!("This is the test mail that {} asked for.\n\nMail from Holdfast reaches you.\n", actor.name),
    };
    if enqueue(conn, &mail, now)? == 0 {
        return Err(Error::Refused("a test mail was asked for within this minute; look whether it came".to_owned()));
    }
    activity::record(conn, actor, &Act::done(Action::TestMailAsked, Object::new("user", user, &*actor.name)), now)
}

/// Notes that the mail server took a mail.
///
/// # Errors
/// When the database refuses.
pub fn sent(conn: &mut Conn, id: MailId, now: Time) -> Result<()> {
    store::mail::sent(conn, id, now)?;
    if !has_worked(conn)? {
        store::setting::set(conn, WORKED, "yes", now)?;
    }
    Ok(())
}

/// Whether a mail server ever took a mail of ours.
///
/// # Errors
/// When the database refuses.
pub fn has_worked(conn: &mut Conn) -> Result<bool> {
    Ok(store::setting::find(conn, WORKED)?.is_some())
}

/// A setting, because mails that ended are forgotten after a while.
const WORKED: &str = "mail.worked";

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

/// A body whose names, also those of before they were checked, neither break nor turn its lines.
fn lines(body: &str) -> String {
    body.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn overflow(person: &Recipient, now: Time) -> store::mail::Mail {
    let day = now.seconds() / 86_400;
    row(
        person,
        Some(format!("overflow/{day}/{}", person.id)),
        "Holdfast: more happened than is mailed",
        "Too many mails are waiting, so further ones were left out.\n\
         Sign in to Holdfast: Activity and Overview show everything that happened.\n",
        now,
    )
}
