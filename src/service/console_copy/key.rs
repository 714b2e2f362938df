//! The key that states are encrypted with, and who can get it back.
use crate::error::Result;
use crate::store::setting::{STATE_HOLDERS, STATE_KEY};
use crate::store::{Conn, Store};
use anyhow::anyhow;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::{Holder, HolderKey};
use domain::time::Time;
use secret::cipher::Cipher;
use secret::seal::PrivateKey;
use serde::{Deserialize, Serialize};

/// What a key derived for this is derived for.
const PURPOSE: &str = "holdfast/console-copy/1";

/// The key of states, encrypted for one holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    pub holder: Holder,
    pub public: String,
    sealed: String,
}

/// The key of whoever has a private key.
///
/// # Errors
/// When it is not a key.
pub fn holder_key(holder: Holder, public: &str, private: &PrivateKey) -> Result<HolderKey> {
    let key = private.derive(PURPOSE)?.expose().to_string();
    Ok(HolderKey { holder, public: public.to_owned(), key })
}

fn wrap(holder: &HolderKey, key: &Cipher) -> Result<Wrapped> {
    let sealed = Cipher::parse(&holder.key)?.seal(PURPOSE.as_bytes(), key.expose().as_bytes())?;
    let sealed = BASE64_STANDARD.encode(sealed);
    Ok(Wrapped { holder: holder.holder, public: holder.public.clone(), sealed })
}

/// The key of states; none if it was not encrypted for this holder.
pub(super) fn unwrap(holder: &HolderKey, wrapped: &[Wrapped]) -> Option<Cipher> {
    let mine = wrapped.iter().find(|it| it.public == holder.public)?;
    let sealed = BASE64_STANDARD.decode(&mine.sealed).ok()?;
    let text = Cipher::parse(&holder.key).ok()?.open(PURPOSE.as_bytes(), &sealed).ok()?;
    Cipher::parse(std::str::from_utf8(&text).ok()?).ok()
}

/// The key of states and for whom it is encrypted.
#[derive(Debug)]
pub struct StateKey {
    pub cipher: Cipher,
    pub wrapped: Vec<Wrapped>,
}

impl Wrapped {
    /// What somebody would write who knows only the public half of another holder.
    #[cfg(test)]
    pub(super) fn posing_as(self, public: &str) -> Self {
        Self { public: public.to_owned(), ..self }
    }
}

impl StateKey {
    /// A new key for these holders.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn made_for(holders: &[HolderKey]) -> Result<Self> {
        Self::of(Cipher::generate()?, holders)
    }

    fn of(cipher: Cipher, holders: &[HolderKey]) -> Result<Self> {
        let wrapped = holders.iter().map(|it| wrap(it, &cipher)).collect::<Result<_>>()?;
        Ok(Self { cipher, wrapped })
    }

    /// Whether the holders of shares could open what is encrypted with it.
    pub fn by_shares(&self) -> bool {
        self.wrapped.iter().any(|it| it.holder == Holder::Recovery)
    }
}

/// Makes a holder known: from the next state on, that one's key opens it. The server has one root key; another one's
/// takes its place.
///
/// # Errors
/// When the database refuses.
pub fn set_holder(conn: &mut Conn, holder: &HolderKey, now: Time) -> Result<()> {
    let holders = STATE_HOLDERS.find(conn)?.unwrap_or_default();
    if holders.contains(holder) {
        return Ok(());
    }
    let replaced =
        |it: &HolderKey| it.public == holder.public || (it.holder == Holder::Root && holder.holder == Holder::Root);
    let others = holders.into_iter().filter(|it| !replaced(it));
    change(conn, others.chain([holder.clone()]).collect(), now)
}

/// Forgets a holder: the states from now on do not open with that one's key.
///
/// # Errors
/// When the database refuses.
pub fn remove_holder(conn: &mut Conn, public: &str, now: Time) -> Result<()> {
    let holders = STATE_HOLDERS.find(conn)?.unwrap_or_default();
    change(conn, holders.into_iter().filter(|it| it.public != public).collect(), now)
}

fn change(conn: &mut Conn, mut holders: Vec<HolderKey>, now: Time) -> Result<()> {
    holders.sort_by_key(|it| it.holder);
    // Whoever was a holder has the old key.
    STATE_KEY.set(conn, &Cipher::generate()?.expose(), now)?;
    Ok(STATE_HOLDERS.set(conn, &holders, now)?)
}

/// The key of states, as of now.
///
/// # Errors
/// When the database refuses, or nobody could open what is encrypted.
pub(super) fn current(store: &Store) -> Result<StateKey> {
    let (key, holders) =
        store.read_blocking(|conn| Ok::<_, crate::error::Error>((STATE_KEY.find(conn)?, STATE_HOLDERS.find(conn)?)))?;
    let (Some(key), Some(holders)) = (key, holders) else {
        return Err(anyhow!("this server has no key for the copy of its state: start it once with its root key").into());
    };
    StateKey::of(Cipher::parse(&key)?, &holders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_gets_the_key_back_and_nobody_else() {
        let holder = |kind| {
            let (public, private) = secret::seal::generate().unwrap();
            holder_key(kind, public.as_str(), &private).unwrap()
        };
        let (root, recovery, stranger) = (holder(Holder::Root), holder(Holder::Recovery), holder(Holder::Recovery));
        let key = Cipher::generate().unwrap();
        let wrapped = [wrap(&root, &key).unwrap(), wrap(&recovery, &key).unwrap()];

        for it in [&root, &recovery] {
            assert_eq!(unwrap(it, &wrapped).unwrap().expose(), key.expose());
        }
        assert!(unwrap(&stranger, &wrapped).is_none());
        let posing = HolderKey { public: recovery.public.clone(), ..stranger };
        assert!(unwrap(&posing, &wrapped).is_none(), "the public half opens nothing");
    }
}
