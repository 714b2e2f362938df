//! What came back, device by device.
use super::blobs::Back;
use super::rebuilt::{Origin, Rebuilt};
use crate::cli::output::{Table, print, print_json};
use crate::error::Error;
use crate::store::{self, Store};
use domain::id::RepositoryId;
use domain::key_holder::KeyHolder;
use domain::words;
use serde::Serialize;

/// A console that was brought back, in figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was committed until then is there; none if no state was used.
    pub console_as_of: Option<String>,
    /// What did not come back without a state, and what to do next; empty if one was used.
    pub without_state: Vec<String>,
    /// Whether each repository there could be taken.
    #[serde(skip)]
    is_whole: bool,
    /// Newer states that were not whole.
    pub passed: Vec<String>,
    pub devices: Vec<DeviceBack>,
}

/// What came back of a device.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceBack {
    pub name: String,
    pub serial: String,
    pub objects: usize,
    pub bytes: u64,
    /// Objects that the second store does not have intact either.
    pub missing: usize,
    /// Objects that are newer than the state of the console.
    pub newer: usize,
    /// When the newest backup that is there was received.
    pub newest_backup: Option<String>,
    /// Why its backups cannot be opened; none if they can.
    pub closed: Option<String>,
    /// Whether the customer keeps the key: nothing here opens them, as before.
    pub is_of_customer: bool,
}

impl Report {
    /// Reads it from the database that was brought back. What cannot be read is said in its place.
    pub fn of(done: &Rebuilt) -> Self {
        let Rebuilt { store, from, closed, back, blobs: _ } = done;
        let devices = back.iter().map(|(id, back)| {
            let closed = closed.iter().find(|it| it.repository.id == *id).map(|it| it.why.clone());
            device(store, *id, *back, closed).unwrap_or_else(|error| DeviceBack {
                name: format!("repository {id}"),
                serial: String::new(),
                objects: back.objects,
                bytes: back.bytes,
                missing: back.missing,
                newer: back.newer,
                newest_backup: None,
                closed: Some(format!("{error:#}")),
                is_of_customer: false,
            })
        });
        let devices = devices.collect();
        match from {
            Origin::State(fetched) => Self {
                console_as_of: Some(fetched.head.taken_at.iso()),
                without_state: Vec::new(),
                is_whole: true,
                passed: fetched.passed.iter().map(|(at, why)| format!("{}: {why}", at.iso())).collect(),
                devices,
            },
            Origin::Records(catalogue) => Self {
                console_as_of: None,
                without_state: catalogue.sentences(),
                is_whole: catalogue.is_whole(),
                passed: Vec::new(),
                devices,
            },
        }
    }

    /// Whether everything is there and can be opened.
    pub fn is_complete(&self) -> bool {
        self.is_whole && self.devices.iter().all(|it| it.missing == 0 && it.closed.is_none())
    }
}

fn device(store: &Store, id: RepositoryId, back: Back, closed: Option<String>) -> Result<DeviceBack, Error> {
    store.read_blocking(move |conn| {
        let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
        let device = store::device::find(conn, repository.device_id)?.ok_or(Error::NotFound("device"))?;
        let newest = store::restore_point::newest_stored(conn, id)?;
        Ok::<_, Error>(DeviceBack {
            name: device.name,
            serial: device.serial,
            objects: back.objects,
            bytes: back.bytes,
            missing: back.missing,
            newer: back.newer,
            newest_backup: newest.map(|it| it.received_at.iso()),
            closed,
            is_of_customer: repository.key_holder == KeyHolder::Customer,
        })
    })
}

/// Prints it.
///
/// # Errors
/// When standard output is closed.
pub fn print_report(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(report)?;
        return Ok(());
    }
    let mut table = Table::new(&["DEVICE", "SERIAL", "NEWEST BACKUP", "OBJECTS", "SIZE", "MISSING", "OPENS"]);
    for it in &report.devices {
        let opens = match &it.closed {
            Some(why) => format!("no: {why}"),
            None if it.is_of_customer => "only with the customer’s key".to_owned(),
            None => "yes".to_owned(),
        };
        let newest = it.newest_backup.clone().unwrap_or_else(|| "none".to_owned());
        let (objects, size) = (words::number(it.objects as u64), words::bytes(it.bytes));
        table.row([it.name.clone(), it.serial.clone(), newest, objects, size, words::number(it.missing as u64), opens]);
    }
    print(&format!("{}\n", table.text()));
    if let Some(as_of) = &report.console_as_of {
        print(&format!("The console is that of {as_of}.\n"));
    }
    for it in &report.without_state {
        print(&format!("{it}\n"));
    }
    for it in &report.passed {
        print(&format!("A newer state is not whole: {it}\n"));
    }
    if !report.is_complete() {
        print("Not everything came back. Do not reset devices: they may hold the only copy.\n");
    }
    Ok(())
}
