//! What makes the certificates of Apple devices: made once, when one is first needed.
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::store::apple::authority::AppleAuthority;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::time::Time;
use secret::cipher::Cipher;

/// Where the secret key of the authority is sealed: whoever has the proof key.
pub trait Sealer: Send + Sync {
    /// Seals the key.
    ///
    /// # Errors
    /// When there is no randomness.
    fn seal(&self, key: &Cipher) -> Result<String>;

    /// Opens what [`Sealer::seal`] made.
    ///
    /// # Errors
    /// When it was sealed to another proof key, or changed.
    fn open(&self, sealed: &str) -> Result<Cipher>;
}

/// Keeps an authority that was just made, unless there is one; returns the one that stays. An act.
///
/// # Errors
/// When the database refuses.
pub fn keep(conn: &mut Conn, made: &AppleAuthority, now: Time) -> Result<AppleAuthority> {
    if store::apple::authority::insert(conn, made)? {
        let object = Object::new("server", "", "the authority for Apple devices");
        activity::record(conn, &Actor::system(), &Act::done(Action::DeviceAuthorityMade, object), now)?;
    }
    let kept = store::apple::authority::find(conn)?;
    Ok(kept.unwrap_or_else(|| made.clone()))
}
