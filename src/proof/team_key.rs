//! The proof side's work on team keys: makes them, seals each master key to its team's, and destroys those that are no
//! longer needed.
use crate::error::Result;
use crate::proof::keys::ProofKeys;
use crate::service::team_key;
use crate::store::Store;
use crate::store::repository::{Repository, master_key_context};
use crate::store::team_key::{TeamKey, team_key_context};
use anyhow::{Context, ensure};
use clock::Clock;
use domain::id::{TeamId, TeamKeyId};
use domain::time::Time;
use secret::seal::{self, PrivateKey, PublicKey};

/// What a voucher for a team key is for.
const VOUCHER: &str = "team-key";

impl ProofKeys {
    /// A new key of a team, or of the devices without one.
    fn make_team_key(&self, team: Option<TeamId>, now: Time) -> anyhow::Result<TeamKey> {
        let (public, private) = seal::generate()?;
        let id = TeamKeyId::generate(now);
        Ok(TeamKey {
            id,
            team_id: team,
            public_key: public.as_str().to_owned(),
            sealed_private_key: self.seal_team_key(id, &private)?,
            voucher: self.vouch_for_team_key(id, team, public.as_str())?,
            made_at: now,
            retired_at: None,
        })
    }

    /// The private half of a team key.
    ///
    /// # Errors
    /// When it was not sealed to this key, or does not belong to the public half.
    pub(super) fn open_team_key(&self, key: &TeamKey) -> anyhow::Result<PrivateKey> {
        let text = seal::open(self.private(), &team_key_context(key.id), &key.sealed_private_key)?;
        let text = std::str::from_utf8(&text).context("reading a team key")?;
        let private = PrivateKey::from_text(text.to_owned());
        ensure!(private.public()?.as_str() == key.public_key, "the halves of a team key do not belong together");
        Ok(private)
    }

    /// The private half of a team key, sealed to this key.
    pub(super) fn seal_team_key(&self, id: TeamKeyId, private: &PrivateKey) -> anyhow::Result<String> {
        seal::seal(self.public(), &team_key_context(id), private.expose().as_bytes())
    }

    pub(super) fn vouch_for_team_key(
        &self,
        id: TeamKeyId,
        team: Option<TeamId>,
        public: &str,
    ) -> anyhow::Result<String> {
        seal::vouch(self.private(), VOUCHER, &vouched(id, team, public))
    }

    /// Whether this key made it: anybody can write a row, and seal something to this key.
    pub(super) fn vouches_for_team_key(&self, key: &TeamKey) -> anyhow::Result<bool> {
        let text = vouched(key.id, key.team_id, &key.public_key);
        seal::is_vouched_for(self.private(), VOUCHER, &text, &key.voucher)
    }
}

fn vouched(id: TeamKeyId, team: Option<TeamId>, public: &str) -> String {
    format!("{id} {} {public}", team.map(|it| it.to_string()).unwrap_or_default())
}

/// Makes the keys that are missing, seals to its team's key each master key that is not, and destroys retired keys to
/// which nothing is sealed any more; returns how many master keys it sealed.
///
/// In short transactions, each of which may be the last: every master key is sealed either to the old key or to the new
/// one, both of which are there until none needs the old one, and the next call goes on.
///
/// # Errors
/// When the database refuses.
pub fn keep(store: &Store, keys: &ProofKeys, clock: &Clock) -> Result<usize> {
    let now = clock.now();
    let Some(began) = store.read_blocking(|conn| team_key::is_due(conn, now))? else { return Ok(0) };
    for team in store.read_blocking(team_key::without_key)? {
        let key = keys.make_team_key(team, now)?;
        store.act_blocking(move |conn| team_key::add(conn, &key, now))?;
    }
    let (mut count, all) = (0, store.read_blocking(crate::store::team_key::all)?);
    for key in all.iter().filter(|it| it.retired_at.is_none()) {
        if keys.vouches_for_team_key(key)? {
            count += wrap(store, keys, key)?;
        } else {
            tracing::error!(key = %key.id, "this team key was not made with the proof key: nothing is sealed to it");
        }
        if store.wake().is_stopping() {
            return Ok(count);
        }
    }
    for key in all.into_iter().filter(|it| it.retired_at.is_some()) {
        store.act_blocking(move |conn| team_key::destroy(conn, &key, now))?;
    }
    store.write_blocking(move |conn| team_key::looked(conn, began, now))?;
    Ok(count)
}

fn wrap(store: &Store, keys: &ProofKeys, key: &TeamKey) -> Result<usize> {
    let to = PublicKey::parse(&key.public_key)?;
    let (mut count, mut after, id) = (0, None, key.id);
    while !store.wake().is_stopping() {
        let last = after;
        let page = store.read_blocking(|conn| team_key::elsewhere(conn, key, last))?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let mut sealed = Vec::with_capacity(page.len());
        for repository in page {
            match seal_again(keys, &to, &repository) {
                Ok(text) => sealed.push((repository, text)),
                Err(error) => tracing::warn!(repository = %repository.id, error = format!("{error:#}"),
                    "a master key could not be sealed to its team's key"),
            }
        }
        count += sealed.len();
        store.write_blocking(move |conn| team_key::rewrap(conn, id, &sealed))?;
    }
    Ok(count)
}

fn seal_again(keys: &ProofKeys, to: &PublicKey, repository: &Repository) -> Result<String> {
    let master_key = keys.open_master_key(repository)?;
    Ok(seal::seal(to, &master_key_context(repository.id), master_key.to_base64().as_bytes())?)
}
