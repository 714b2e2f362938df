//! What lets no wipe go ahead now: asked at each step, and shown by the page that says what stands still.
use crate::error::Result;
use crate::service::freeze;
use crate::store::{self, Conn};
use domain::time::Time;
use domain::wipe::WipeStop;

/// Every reason why all wipes wait; none if none does.
///
/// # Errors
/// When the database refuses.
pub fn stops(conn: &mut Conn, now: Time) -> Result<Vec<WipeStop>> {
    let mut stops = Vec::new();
    stops.extend(store::ground::away(conn)?.map(WipeStop::StoreAway));
    stops.extend(freeze::standing(conn)?.map(|_since| WipeStop::Frozen));
    stops.extend(freeze::calm_until(conn, now)?.map(WipeStop::Calm));
    Ok(stops)
}
