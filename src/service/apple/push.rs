//! Waking Apple devices: who is to be woken, how often, and what becomes of where they are reached.
use crate::error::Result;
use crate::store::apple::push::{self, Due};
use crate::store::{self, Conn};
use domain::id::AppleEnrollmentId;
use domain::time::{Time, hours, minutes};
use std::time::Duration;

/// After how long a device that did not come is woken again: twice as long each time.
const FIRST: Duration = minutes(1);

/// The longest such time.
const LONGEST: Duration = hours(4);

/// How long a device is left alone that could not do something.
const NOT_NOW: Duration = minutes(30);

/// How many are woken at once: what they then ask has to be answered too.
const WAVE: i64 = 200;

/// What became of waking a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// It is not reached there any more.
    Gone,
    Failed(String),
}

/// What wakes devices.
pub trait Push: Send + Sync {
    /// Wakes each of them; the outcomes are in the same order.
    fn wake(&self, devices: &[Due]) -> Vec<Outcome>;
}

/// The devices that are to be woken now: something waits for them, or they were to be heard from.
///
/// # Errors
/// When the database refuses.
pub fn due(conn: &mut Conn, now: Time) -> Result<Vec<Due>> {
    Ok(push::due(conn, now, WAVE)?)
}

/// Whether there may be more than [`due`] gave.
pub fn is_full(found: usize) -> bool {
    i64::try_from(found).unwrap_or(WAVE) >= WAVE
}

/// Keeps what became of waking a device.
///
/// # Errors
/// When the database refuses.
pub fn done(conn: &mut Conn, device: &Due, outcome: &Outcome, now: Time) -> Result<()> {
    match outcome {
        Outcome::Gone => Ok(store::apple::enrollment::forget_push(conn, device.id, &device.token)?),
        Outcome::Sent | Outcome::Failed(_) => {
            Ok(push::again(conn, device.id, now + backoff(device.tries), device.tries.saturating_add(1))?)
        }
    }
}

fn backoff(tries: i64) -> Duration {
    let doubled = u32::try_from(tries.clamp(0, 16)).map_or(u32::MAX, |it| 1 << it);
    FIRST.saturating_mul(doubled).min(LONGEST)
}

/// A device came: it is not woken again at once, and later if it cannot do what it is asked.
///
/// # Errors
/// When the database refuses.
pub fn came(conn: &mut Conn, id: AppleEnrollmentId, is_busy: bool, now: Time) -> Result<()> {
    match is_busy {
        true => Ok(push::again(conn, id, now + NOT_NOW, 0)?),
        false => Ok(push::came(conn, id, now + FIRST)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_come_is_woken_less_and_less_often() {
        let minutes: Vec<_> = (0..10).map(|it| backoff(it).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 240, 240]);
        assert_eq!((backoff(i64::MAX), backoff(-1)), (LONGEST, FIRST));
    }
}
