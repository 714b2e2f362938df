//! What a server knows of its second store when it starts.
use crate::blob::home::{Identity, Opening};
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::ground;
use crate::store::setting::{
    COPY, COPY_AWAY, COPY_FAILED, COPY_ID, COPY_LOCK_FAILED, COPY_PROTECTION, COPY_SEEN, COPY_TOLD,
};
use crate::store::{self, Store};
use domain::activity::{Action, Actor, Object};
use domain::copy::SecondStore;
use domain::time::Time;

/// How the second store is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub identity: Identity,
    pub opening: Opening,
}

/// Makes the second store known. `is_new` says that another one took its place, whatever is in it: what was copied
/// before is forgotten, and everything is copied anew, or found to be there.
///
/// # Errors
/// When the database refuses.
pub fn begin(store: &Store, second: &SecondStore, is_new: bool, now: Time) -> Result<Begun> {
    if is_new {
        // Before the new id: a stop in between leaves the earlier store without copies, which is seen and made good.
        for repository in store.read_blocking(store::ground::repositories)? {
            store.write_blocking(move |conn| {
                store::copy_lock::forget(conn, repository)?;
                store::copy::forget(conn, repository)
            })?;
        }
        store.write_blocking(store::escrow::forget_kept)?;
    }
    let second = second.clone();
    store.act_blocking(move |conn| {
        let known = COPY_ID.find(conn)?.filter(|_| !is_new);
        let id = match known {
            Some(id) => id,
            None => {
                let id = hex::encode(secret::bytes::<16>()?);
                COPY_ID.set(conn, &id, now)?;
                COPY_PROTECTION.remove(conn)?;
                COPY_LOCK_FAILED.remove(conn)?;
                let act = Act::done(Action::SecondStoreSet, Object::new("store", "copy", &second.place));
                record(conn, &Actor::system(), &act.because(&standing(&second)), now)?;
                id
            }
        };
        COPY.set(conn, &second, now)?;
        let opening = match (is_new, store::copy::has_any(conn)?) {
            (true, _) => Opening::Adopted,
            (false, true) => Opening::Known,
            (false, false) => Opening::New,
        };
        Ok::<_, Error>(Begun { identity: Identity { copy: Some(id), ..ground::identity(conn, now)? }, opening })
    })
}

fn standing(second: &SecondStore) -> String {
    match second.counts() {
        true => format!("it stands at “{}”", second.location),
        false => format!("it counts as no second copy: {}", second.shares.join("; ")),
    }
}

/// Keeps what was found of the second store once it was there: what it shares with the first, and whether it keeps
/// versions.
///
/// # Errors
/// When the database refuses.
pub fn found(store: &Store, shares: Vec<String>, versions: Option<bool>) -> Result<()> {
    let Some(known) = store.read_blocking(|conn| COPY.entry(conn))? else { return Ok(()) };
    let (now, Some(before)) = (known.updated_at, known.value) else { return Ok(()) };
    let after = SecondStore { shares, versions, ..before.clone() };
    if after == before {
        return Ok(());
    }
    store.write_blocking(move |conn| COPY.set(conn, &after, now))
}

/// Makes known that there is no second store; what was copied to an earlier one is not forgotten.
///
/// # Errors
/// When the database refuses.
pub fn none(store: &Store, now: Time) -> Result<()> {
    if store.read_blocking(|conn| COPY.entry(conn))?.is_none() {
        return Ok(());
    }
    store.act_blocking(move |conn| {
        let place = COPY.find(conn)?.map_or_else(String::new, |it| it.place);
        COPY.remove(conn)?;
        COPY_AWAY.remove(conn)?;
        COPY_SEEN.remove(conn)?;
        COPY_TOLD.remove(conn)?;
        COPY_FAILED.remove(conn)?;
        COPY_LOCK_FAILED.remove(conn)?;
        let act = Act::done(Action::SecondStoreLeft, Object::new("store", "copy", place));
        record(conn, &Actor::system(), &act.because("the server was started without a second store"), now)
    })
}
