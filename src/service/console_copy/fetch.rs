//! Brings a state back from the second store: the newest one that is whole.
use super::area::Day;
use super::generation::{Body, Head, Record, Source};
use super::piece;
use crate::blob::{self, BlobStore, ReadFault};
use crate::error::Result;
use crate::store::console_copy::Counts;
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::HolderKey;
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use secret::cipher::Cipher;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many records are read at once: a day has up to 1,440.
const PARALLEL: usize = 16;

/// How many changes a state may be put together from: one for each minute of a day, and some for a clock that was set.
const LONGEST: usize = 4_000;

/// A state that the second store has.
#[derive(Debug, Clone)]
pub struct Found {
    pub day: Day,
    pub name: ObjectName,
    pub record: Record,
}

/// A state that was written to a file.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub source: Source,
    pub head: Head,
    pub counts: Option<Counts>,
    /// How many bytes the file has.
    pub length: u64,
    /// Newer states that are not whole, and why: what was committed between this one and them is not in it.
    pub passed: Vec<(Time, String)>,
}

/// How many days are put together: a clock that was a day ahead for a moment left a state in tomorrow's area, and
/// everything since is in today's.
const TOGETHER: usize = 3;

/// The states of the newest days that have any that `holders` open, the newest first; empty if there is none.
///
/// The newest is the one with the highest number: no clock changes that.
///
/// # Errors
/// When the store cannot be read.
pub fn newest(copy: &dyn BlobStore, holders: &[HolderKey], now: Time) -> Result<Vec<Found>> {
    let mut days = Day::back_from(now);
    let mut found = Vec::new();
    for day in days.by_ref() {
        found = of_day(copy, day, holders)?;
        if !found.is_empty() {
            break;
        }
    }
    for day in days.take(TOGETHER - 1) {
        found.extend(of_day(copy, day, holders)?);
    }
    found.sort_by_key(|it| std::cmp::Reverse((it.record.head.sequence, it.record.head.taken_at)));
    Ok(found)
}

fn of_day(copy: &dyn BlobStore, day: Day, holders: &[HolderKey]) -> Result<Vec<Found>> {
    let Some(area) = day.area() else { return Ok(Vec::new()) };
    let listed = copy.list(area).context("looking for states in the second store")?;
    let names: Vec<_> = listed.into_iter().map(|it| it.0).filter(|it| it.kind == ObjectKind::Snapshots).collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL.min(names.len()))
            .map(|_| {
                scope.spawn(|| {
                    while let Some(key) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match read(copy, key) {
                            Ok(bytes) => {
                                // Anybody may have put something there: only what the holders open is one of ours.
                                let record = Record::parse(&bytes).ok().filter(|it| it.open(holders).is_ok());
                                let record = record.map(|record| Found { day, name: key.name.clone(), record });
                                found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(record);
                            }
                            Err(ReadFault::Away(fault)) => return Err(fault),
                            Err(ReadFault::Lost | ReadFault::Unreadable(_)) => {}
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_panic| anyhow!("reading states failed"))?.map_err(Into::into))
    })
    .map_err(|error: anyhow::Error| error.context("reading states from the second store"))?;
    Ok(found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// An object of the area whose bytes are what its name says.
fn read(copy: &dyn BlobStore, key: &blob::BlobKey) -> Result<Vec<u8>, ReadFault> {
    let bytes = blob::read_all(copy, key, key.kind.max_bytes())?;
    match key.name.hash() == Some(secret::sha256(&bytes)) {
        true => Ok(bytes),
        false => Err(ReadFault::Unreadable("its bytes are not what they were".to_owned())),
    }
}

/// Writes the newest state that is whole to `path`, which must not exist; none if there is no state at all.
///
/// # Errors
/// When states are there and none is whole, the store cannot be read, or the file cannot be written.
pub fn fetch(copy: &dyn BlobStore, holders: &[HolderKey], path: &Path, now: Time) -> Result<Option<Fetched>> {
    let found = newest(copy, holders, now)?;
    let by_name: HashMap<_, _> = found.iter().map(|it| (it.name.clone(), it)).collect();
    let mut passed = Vec::new();
    for candidate in &found {
        let taken_at = candidate.record.head.taken_at;
        // What is there already is somebody's: it is neither written over nor removed.
        let mut file = File::create_new(path).with_context(|| format!("making {}", path.display()))?;
        match write_one(copy, holders, candidate, &by_name, &mut file) {
            Ok((body, length)) => {
                let head = candidate.record.head.clone();
                return Ok(Some(Fetched { source: body.source, head, counts: body.counts, length, passed }));
            }
            Err(error) => {
                tracing::warn!(taken_at = taken_at.iso(), error = format!("{error:#}"), "a state is not whole");
                // Half a database is none.
                std::fs::remove_file(path).ok();
                passed.push((taken_at, format!("{error:#}")));
            }
        }
    }
    match passed.into_iter().next() {
        None => Ok(None),
        Some((at, why)) => Err(anyhow!("no state is whole; of the newest, of {}: {why}", at.iso()).into()),
    }
}

fn write_one(
    copy: &dyn BlobStore,
    holders: &[HolderKey],
    newest: &Found,
    by_name: &HashMap<ObjectName, &Found>,
    file: &mut File,
) -> Result<(Body, u64)> {
    let mut chain = vec![newest];
    while let Some(previous) = chain.last().and_then(|it| it.record.head.previous.as_ref()) {
        let before = by_name.get(previous).ok_or_else(|| anyhow!("the state before it, {previous}, is not there"))?;
        if before.record.head.database != newest.record.head.database || chain.len() > LONGEST {
            return Err(anyhow!("it follows a state that is not of the same database").into());
        }
        chain.push(before);
    }
    let mut last = None;
    // The oldest first: later pages take the place of earlier ones.
    for one in chain.into_iter().rev() {
        let (cipher, body) = one.record.open(holders)?;
        write_pages(copy, one.day, &cipher, &body, file)?;
        last = Some(body);
    }
    let body = last.ok_or_else(|| anyhow!("there is no state"))?;
    file.set_len(body.length).context("writing the database")?;
    file.sync_all().context("writing the database")?;
    let length = body.length;
    Ok((body, length))
}

fn write_pages(copy: &dyn BlobStore, day: Day, cipher: &Cipher, body: &Body, file: &mut File) -> Result<()> {
    let size = u64::from(body.page_size);
    let most = body.length.div_ceil(size);
    let mut write = |sealed: &[u8]| {
        let mut pages = BTreeMap::new();
        piece::unpack(cipher, body.page_size, sealed, |number, page| {
            if number == 0 || u64::from(number) > most {
                return Err(anyhow!("page {number} is none of {most}").into());
            }
            pages.insert(number, page.to_vec());
            Ok(())
        })?;
        for (number, page) in pages {
            file.seek(SeekFrom::Start(u64::from(number - 1) * size)).context("writing the database")?;
            file.write_all(&page).context("writing the database")?;
        }
        Ok::<_, crate::error::Error>(())
    };
    for piece in &body.pieces {
        let key = day.key(ObjectKind::Data, piece.name.clone()).context("the day has no area")?;
        let sealed = read(copy, &key).map_err(|fault| anyhow!("a piece of it cannot be read: {fault}"))?;
        write(&sealed)?;
    }
    if let Some(inline) = &body.inline {
        write(&BASE64_STANDARD.decode(inline).context("reading a state")?)?;
    }
    Ok(())
}
