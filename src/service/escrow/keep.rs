//! Keeps the records that the second store does not have, and reads back those that it has.
use super::area::{area, key};
use super::record::{AgentPart, DevicePart, MAX_BYTES, Record, Secret};
use crate::blob::{self, BlobStore, ReadFault, WriteFault};
use crate::error::{Error, Result};
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::escrow::Escrow;
use crate::store::recovery_key::RecoveryKey;
use crate::store::setting::{AUDIENCE, COPY, ESCROWS_FAILED, ESCROWS_READ, STATE_HOLDERS};
use crate::store::{self, Conn, Store};
use anyhow::Context;
use askama::Template;
use domain::console_copy::HolderKey;
use domain::escrow::{Coverage, READ_EVERY};
use domain::id::{RecoveryKeyId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::object::{ObjectKind, ObjectName, TokenKind};
use domain::role::Permission;
use domain::time::Time;
use domain::words::counted;

/// How many records are made between two looks at the clock of a stop.
const BATCH: i64 = 50;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    pub made: usize,
    /// Records that were found to be gone or damaged, and are made anew.
    pub lost: usize,
    pub failed: bool,
}

/// How the records stand.
///
/// # Errors
/// When the database refuses.
pub fn coverage(conn: &mut Conn) -> Result<Coverage> {
    Ok(Coverage {
        has_store: COPY.entry(conn)?.is_some(),
        kept: store::escrow::kept_count(conn)?,
        total: store::repository::count_of(conn, KeyHolder::Server)?,
        read_at: ESCROWS_READ.find(conn)?,
        failed: ESCROWS_FAILED.find(conn)?,
    })
}

/// Reads the records back if the last time was long ago, and makes those that are missing.
///
/// # Errors
/// When the database refuses. What goes wrong with the store is kept, and tried again.
pub fn keep(store: &Store, copy: &dyn BlobStore, now: Time) -> Result<Kept> {
    let mut kept = Kept::default();
    let outcome = read_back(store, copy, &mut kept, now).and_then(|()| make_missing(store, copy, &mut kept, now));
    // Whatever else happened: the next run does not see it any more.
    if kept.lost > 0 {
        let count = i64::try_from(kept.lost).unwrap_or(i64::MAX);
        let gone = format!("{} gone or damaged there", counted(count, "record was", "records were"));
        store.write_blocking(move |conn| tell(conn, "lost", &gone, now))?;
    }
    let why = match outcome {
        Ok(()) => None,
        // The replicator keeps and tells that.
        Err(Halt::Away) => return Ok(Kept { failed: true, ..kept }),
        Err(Halt::Failed(why)) => Some(why),
        Err(Halt::Database(error)) => return Err(error),
    };
    kept.failed = why.is_some();
    let known = store.read_blocking(|conn| ESCROWS_FAILED.find(conn))?;
    if known != why {
        if let Some(why) = &why {
            tracing::error!(why, "an escrow record could not be kept on the second store; it is tried again");
        }
        store.write_blocking(move |conn| match &why {
            Some(why) => {
                ESCROWS_FAILED.set(conn, why, now)?;
                // What it says may change with each try.
                if known.is_none() {
                    tell(conn, "failed", &format!("could not be kept there: {why}"), now)
                } else {
                    Ok(())
                }
            }
            None => Ok(ESCROWS_FAILED.remove(conn)?),
        })?;
    }
    Ok(kept)
}

#[derive(Template)]
#[template(path = "mail/escrow_lost.txt")]
struct EscrowLost<'a> {
    what: &'a str,
    url: String,
}

/// Tells whoever manages settings what is wrong with the records; each kind of it once a day, however often it comes and
/// goes.
fn tell(conn: &mut Conn, kind: &str, what: &str, now: Time) -> Result<()> {
    let url = format!("{}/stores", installation::public_url(conn)?.unwrap_or_default());
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageSettings, None),
        kind: "escrow_lost",
        dedupe_key: Some(format!("{kind}/{}", now.seconds() / 86_400)),
        subject: "Escrow records on the second store".to_owned(),
        body: EscrowLost { what, url }.render().context("writing a mail")?,
    };
    mail::enqueue(conn, &mail, now).map(drop)
}

/// Why a run ended early.
enum Halt {
    Away,
    Failed(String),
    Database(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

impl From<WriteFault> for Halt {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Away(_) => Self::Away,
            WriteFault::Stopped(_, why) | WriteFault::Failed(why) => Self::Failed(why),
            WriteFault::Taken => Self::Failed("something is there already".to_owned()),
        }
    }
}

fn read_back(store: &Store, copy: &dyn BlobStore, kept: &mut Kept, now: Time) -> Result<(), Halt> {
    let last = store.read_blocking(|conn| Ok::<_, Error>(ESCROWS_READ.find(conn)?))?;
    // A clock that was set back does not put it off.
    if last.is_some_and(|at| at <= now && now < at + READ_EVERY) {
        return Ok(());
    }
    for (repository, of, name) in store.read_blocking(|conn| Ok::<_, Error>(store::escrow::kept(conn)?))? {
        if store.wake().is_stopping() {
            return Ok(());
        }
        if !is_there(copy, &name)? {
            tracing::warn!(%repository, %name, "an escrow record is gone from the second store, or damaged there");
            note(store, (repository, of), None, now)?;
            kept.lost += 1;
        }
    }
    store.write_blocking(move |conn| Ok::<_, Error>(ESCROWS_READ.set(conn, &now, now)?))?;
    Ok(())
}

/// Whether the record of this name is there, with the bytes that it says.
fn is_there(copy: &dyn BlobStore, name: &ObjectName) -> Result<bool, Halt> {
    let key = key(name).context("records have an area")?;
    match blob::read_all(copy, &key, MAX_BYTES as u64) {
        Ok(bytes) => Ok(name.hash() == Some(secret::sha256(&bytes))),
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(false),
        Err(ReadFault::Away(_)) => Err(Halt::Away),
    }
}

fn make_missing(store: &Store, copy: &dyn BlobStore, kept: &mut Kept, now: Time) -> Result<(), Halt> {
    loop {
        let (holders, some) = store.read_blocking(|conn| {
            let holders = STATE_HOLDERS.find(conn)?.unwrap_or_default();
            let public: Vec<_> = holders.iter().map(|it| it.public.clone()).collect();
            Ok::<_, Error>((holders, store::escrow::unkept(conn, &public, BATCH)?))
        })?;
        let (before, mut failed) = (kept.made, None);
        for (escrow, of) in some {
            if store.wake().is_stopping() {
                return Ok(());
            }
            let Some(holder) = holders.iter().find(|it| it.public == of.public_key).cloned() else { continue };
            let at = (escrow.repository_id, of.id);
            match store.read_blocking(move |conn| make(conn, &holder, &escrow, &of, now)) {
                Ok(record) => {
                    let name = put(copy, &record)?;
                    note(store, at, Some(name), now)?;
                    kept.made += 1;
                }
                // One that cannot be made keeps no other waiting.
                Err(error) => failed = Some(format!("repository {}: {error:#}", at.0)),
            }
        }
        if kept.made == before {
            return failed.map_or(Ok(()), |why| Err(Halt::Failed(why)));
        }
    }
}

fn note(store: &Store, at: (RepositoryId, RecoveryKeyId), name: Option<ObjectName>, now: Time) -> Result<(), Halt> {
    store.write_blocking(move |conn| Ok::<_, Error>(store::escrow::note_kept(conn, at, name.as_ref(), now)?))?;
    Ok(())
}

fn put(copy: &dyn BlobStore, record: &Record) -> Result<ObjectName, Halt> {
    let bytes = record.bytes()?;
    let name = ObjectName::from_hash(&secret::sha256(&bytes));
    let mut upload = copy.begin(&key(&name).context("records have an area")?)?;
    upload.write(&bytes)?;
    upload.commit()?.settle();
    Ok(name)
}

fn make(conn: &mut Conn, holder: &HolderKey, escrow: &Escrow, of: &RecoveryKey, now: Time) -> Result<Record> {
    let id = escrow.repository_id;
    let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
    let device = store::device::find(conn, repository.device_id)?.ok_or(Error::NotFound("device"))?;
    let config = store::kept_object::find(conn, id, ObjectKind::Config, &ObjectName::config())?;
    let config = config.context("a config has no copy in the database")?;
    let about = DevicePart {
        name: device.name,
        person: device.person,
        platform: device.platform.as_str().to_owned(),
        model: device.model,
        serial: device.serial,
        os_version: device.os_version,
        ownership: device.ownership.as_str().to_owned(),
        enrolled_at: device.enrolled_at,
    };
    let secret = Secret {
        master_key: escrow.sealed_master_key.clone(),
        made_at: now,
        created_at: repository.created_at,
        config: ObjectName::from_hash(&secret::sha256(&config)),
        audience: AUDIENCE.find(conn)?,
        about,
        agent: agent(conn, &repository)?,
    };
    Ok(Record::seal(holder, (id, repository.device_id, repository.generation), &of.name, &secret)?)
}

fn agent(conn: &mut Conn, repository: &store::repository::Repository) -> Result<Option<AgentPart>> {
    let (device, generation) = (repository.device_id, repository.generation);
    let enrolled = store::enrollment::find(conn, device, generation)?.filter(|it| it.ended_at.is_none());
    let agent = store::agent_enrollment::find(conn, device, generation)?;
    let (Some(enrolled), Some(agent)) = (enrolled, agent) else { return Ok(None) };
    let tokens = store::repository::tokens(conn, repository.id)?;
    let token = tokens.into_iter().find(|it| it.kind == TokenKind::Agent && it.revoked_at.is_none());
    Ok(Some(AgentPart {
        channel: enrolled.channel,
        identity: enrolled.identity,
        carries: enrolled.carries,
        sealing_key: agent.sealing_key,
        protected_roots: agent.protected_roots,
        version: agent.version,
        token_hash: token.map(|it| it.token_hash),
    }))
}

/// The objects of the area where records are.
pub(super) fn listed(copy: &dyn BlobStore) -> Result<Vec<ObjectName>> {
    let area = area().context("records have an area")?;
    let listed = copy.list(area).context("looking for escrow records in the second store")?;
    Ok(listed.into_iter().filter(|it| it.0.kind == ObjectKind::Snapshots).map(|it| it.0.name).collect())
}
