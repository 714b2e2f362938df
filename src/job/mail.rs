//! Sends what is waiting in the outbox, retrying until the server accepts it.
use crate::error::Result;
use crate::job::Summary;
use crate::mail::{Failure, Mailer, Message};
use crate::service;
use crate::service::activity::{self, Act};
use crate::store::mail::Mail;
use crate::store::{self, Store};
use clock::Clock;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::time::{Time, days, hours, minutes};
use std::time::Duration;

/// How often to look at the outbox without being woken.
pub const PERIOD: Duration = Duration::from_secs(30);

/// How many mails are sent in one run.
const BATCH: i64 = 20;

/// How long the server may refuse a mail before it is given up, which the activity records.
const GIVE_UP_AFTER: Duration = days(3);

/// How long finished mails are kept.
const KEEP: Duration = days(30);

/// Sends the mails that are due; without a mailer they wait.
///
/// A mail is claimed with a conditional update before it is handed over: two processes never send the same one,
/// and one that is killed in between tries again later instead of losing it.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, mailer: Option<&Mailer>, clock: &Clock) -> Result<Summary> {
    let cut = clock.now() - KEEP;
    store.write_blocking(move |conn| store::mail::prune(conn, cut))?;
    let Some(mailer) = mailer else { return Ok(Summary::default()) };
    give_up_old(store, clock.now())?;
    let now = clock.now();
    let due = store.read_blocking(|conn| store::mail::due(conn, now, BATCH))?;
    let more = i64::try_from(due.len()).unwrap_or(BATCH) == BATCH;
    let mut summary = Summary { more, ..Summary::default() };
    let mut unanswered: Option<String> = None;
    for mail in due {
        let recipient = mail.recipient.clone();
        // A stall may be due to this recipient: the next mail goes to another.
        if unanswered.as_ref() == Some(&recipient) {
            continue;
        }
        match attempt(store, mailer, clock, mail)? {
            Attempt::Sent => summary.done_count += 1,
            Attempt::Elsewhere => {}
            Attempt::Refused => summary.failed_count += 1,
            Attempt::Unanswered => {
                summary.failed_count += 1;
                // The server is down, rather than one mail bad: the others would each wait a minute for
                // nothing.
                if unanswered.replace(recipient).is_some() {
                    summary.more = false;
                    break;
                }
            }
        }
    }
    // If one stalled or all were refused, the server is left alone until the next run: the password may be
    // wrong.
    summary.more &= unanswered.is_none() && (summary.failed_count == 0 || summary.done_count > 0);
    service::mail::look_at_delivery(store, clock.now())?;
    Ok(summary)
}

enum Attempt {
    Sent,
    /// The server answered, but refused this one.
    Refused,
    Unanswered,
    Elsewhere,
}

fn attempt(store: &Store, mailer: &Mailer, clock: &Clock, mail: Mail) -> Result<Attempt> {
    let id = mail.id;
    let message = Message {
        id: id.to_string(),
        to: mail.recipient.clone(),
        subject: mail.subject.clone(),
        body: mail.body.clone(),
    };
    let next = clock.now() + backoff(mail.attempt_count);
    if !store.write_blocking(move |conn| store::mail::take(conn, &mail, next))? {
        return Ok(Attempt::Elsewhere);
    }
    match mailer.send(&message) {
        Ok(()) => {
            let now = clock.now();
            store.write_blocking(move |conn| service::mail::sent(conn, id, now))?;
            Ok(Attempt::Sent)
        }
        Err(error) => {
            let text = error.to_string();
            tracing::warn!(mail = %id, error = text, "a mail was not accepted; it will be tried again");
            store.write_blocking(move |conn| store::mail::failed(conn, id, &text))?;
            Ok(match error {
                Failure::Refused(_) => Attempt::Refused,
                Failure::Away(_) => Attempt::Unanswered,
            })
        }
    }
}

/// 1, 2, 4 … minutes, at most an hour.
fn backoff(attempts_before: i64) -> Duration {
    let doublings = u32::try_from(attempts_before.clamp(0, 6)).unwrap_or(6);
    minutes(2_u64.pow(doublings)).min(hours(1))
}

fn give_up_old(store: &Store, now: Time) -> Result<()> {
    let cut = now - GIVE_UP_AFTER;
    let old = store.read_blocking(|conn| store::mail::waiting_since(conn, cut, BATCH))?;
    for mail in old {
        store.act_blocking(move |conn| {
            if !store::mail::give_up(conn, mail.id)? {
                return Ok(());
            }
            let why = if mail.last_error.is_empty() { "it was never tried" } else { &mail.last_error };
            let object = Object::new("mail", mail.id, mail.subject.clone());
            let act = Act::done(Action::MailGivenUp, object).because(why).ended(Outcome::Failed);
            activity::record(conn, &Actor::system(), &act, now)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_between_attempts_doubles_up_to_an_hour() {
        assert_eq!(backoff(0), minutes(1));
        assert_eq!(backoff(3), minutes(8));
        assert_eq!(backoff(90), hours(1));
    }
}
