//! Asks Apple which devices are ours, and tells it how those that were given to somebody here enroll.
use crate::error::{Error, Result};
use crate::job::Summary;
use crate::service::apple::service::{self, DeviceService, Failure};
use crate::store::Store;
use crate::store::apple::service::AppleService;
use domain::time::Time;
use std::time::Duration;

/// How often it is looked whether it is time.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Reads one page of the list, or does what comes after the last.
///
/// # Errors
/// When the database cannot be reached. What Apple refuses is kept, and tried again.
pub fn run_once(store: &Store, apple: &dyn DeviceService, now: Time) -> Result<Summary> {
    if store.read_blocking(crate::store::apple::service::find)?.is_none() {
        let made = apple.make(now)?;
        store.act_blocking(move |conn| service::keep_key(conn, &made, now))?;
    }
    let Some(kept) = store.read_blocking(move |conn| service::due(conn, now))? else { return Ok(Summary::default()) };
    match ask(store, apple, &kept, now) {
        Ok(more) => Ok(Summary { more, ..Summary::done(1) }),
        Err(Broken::Apple(failure)) => {
            tracing::warn!(%failure, "Apple’s device-enrolment service was not asked to the end");
            let begins_again = failure == Failure::Cursor && kept.sync_cursor.is_some();
            store.write_blocking(move |conn| service::failed(conn, &failure, now))?;
            Ok(Summary { failed_count: 1, more: begins_again, ..Summary::default() })
        }
        Err(Broken::Here(error)) => Err(error),
    }
}

/// Which side did not do it.
enum Broken {
    Apple(Failure),
    Here(Error),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Apple(failure)
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

fn ask(store: &Store, apple: &dyn DeviceService, kept: &AppleService, now: Time) -> std::result::Result<bool, Broken> {
    let profile = match &kept.profile_uuid {
        Some(profile) => profile.clone(),
        None => {
            let (known, profile) = (apple.account(kept, now)?, apple.define(kept, now)?);
            let of = profile.clone();
            store.write_blocking(move |conn| service::keep_account(conn, &known, &of))?;
            profile
        }
    };
    let page = apple.list(kept, now)?;
    if store.write_blocking(move |conn| service::keep_page(conn, &page, now))? {
        return Ok(true);
    }
    let of = profile.clone();
    let untold = store.read_blocking(move |conn| service::untold(conn, &of))?;
    if !untold.is_empty() {
        let told = apple.assign(kept, (&profile, &untold), now)?;
        store.write_blocking(move |conn| {
            Ok::<_, Error>(crate::store::apple::service::set_profile(conn, &told, &profile)?)
        })?;
    }
    Ok(false)
}
