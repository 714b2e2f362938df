//! `holdfast devices`, `holdfast device ID`, `holdfast commands`: what the pages
//! show, read beside a running server.
mod print;

pub(super) use print::tests;

use crate::blob::disk::is_read_only;
use crate::cli::output::{note, print, print_json};
use crate::config::{Config, Options};
use crate::error::Error;
use crate::service::report::{self, CommandRow, DeviceRow};
use crate::service::{compliance, loss};
use crate::store::device_list::{self, Filter, From, Query, Sort, View};
use crate::store::{self, Conn, Database, Store};
use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clock::Clock;
use domain::device::{DeviceState, Encryption};
use domain::id::DeviceId;
use domain::role::Reach;
use domain::time::Time;
use domain::words::number;
use print::{command_table, print_device, print_devices};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the data is, and how to print it.
#[derive(Debug, clap::Args)]
pub struct ReadOptions {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", env = "HOLDFAST_DATA")]
    data: Option<PathBuf>,
    /// SQLite file, or `postgres://USER@HOST/NAME` [default: DATA/holdfast.db]
    #[arg(long, value_name = "URL", env = "HOLDFAST_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What `holdfast devices` takes.
#[derive(Debug, clap::Args)]
pub struct DevicesOptions {
    #[command(flatten)]
    read: ReadOptions,
    /// Which view of the list
    #[arg(long, value_name = "VIEW", value_parser = words(View::ALL, View::as_str, View::parse), default_value = "all")]
    view: View,
    /// Words that must be in the name, person or serial number
    #[arg(long, value_name = "WORDS", default_value = "")]
    search: String,
    /// Only devices of this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Only devices with this state of storage encryption
    #[arg(long, value_name = "STATE", value_parser = words(Encryption::ALL, Encryption::as_str, Encryption::parse))]
    encryption: Option<Encryption>,
    /// Only devices in this state [default: enrolled; with --search every state]
    #[arg(long, value_name = "STATE", value_parser = words(DeviceState::ALL, DeviceState::as_str, DeviceState::parse))]
    state: Option<DeviceState>,
    /// The order
    #[arg(long, value_name = "ORDER", value_parser = words(Sort::ALL, Sort::as_str, Sort::parse), default_value = "worst")]
    sort: Sort,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
}

/// What `holdfast device` takes.
#[derive(Debug, clap::Args)]
pub struct DeviceOptions {
    /// The device's id, its serial number or its name
    device: String,
    #[command(flatten)]
    read: ReadOptions,
}

/// What `holdfast commands` takes.
#[derive(Debug, clap::Args)]
pub struct CommandsOptions {
    #[command(flatten)]
    read: ReadOptions,
    /// Only commands of this device: its id, serial number or name
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// At most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// An option that is one of the words of an enum; `--help` lists them.
fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
    parse: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|it| word(*it)))
        .try_map(move |text| parse(&text).ok_or("this is not one of the words"))
}

impl ReadOptions {
    /// Opens the database for reading; a server may be writing.
    pub fn open(&self, file: Options) -> anyhow::Result<Store> {
        let given = Options { data: self.data.clone(), database: self.database.clone(), ..Options::default() };
        let database = Config::new(given.or(Options { no_prove: None, ..file }))?.database;
        match &database {
            Database::Sqlite(path) if is_read_only(path) => Store::open_on_read_only_disk(path),
            Database::Sqlite(_) | Database::Postgres(_) => Store::open_read_only(&database),
        }
    }
}

/// Prints the list of devices.
///
/// # Errors
/// When the database cannot be read.
pub fn devices(options: &DevicesOptions, file: Options) -> anyhow::Result<ExitCode> {
    let store = options.read.open(file)?;
    let now = Clock::System.now();
    let (rows, is_cut) = store.read_blocking(|conn| -> Result<(Vec<DeviceRow>, bool), Error> {
        let mut filter = Filter {
            view: options.view,
            q: options.search.clone(),
            team: team(conn, options.team.as_deref())?,
            encryption: options.encryption,
            state: options.state.or_else(|| options.search.trim().is_empty().then_some(DeviceState::Enrolled)),
            ..loss::all_devices(conn, now)?.0
        };
        if options.sort == Sort::Failing {
            filter.scores = compliance::scores(conn, &Reach::All, now)?;
        }
        let limit = options.limit;
        let query =
            Query { filter, reach: Reach::All, sort: options.sort, is_descending: false, from: From::Start, limit };
        let page = device_list::page(conn, &query, now)?;
        let moment = loss::moment(conn, now)?;
        Ok((report::rows(conn, &page.devices, &moment)?, page.after.is_some()))
    })?;
    if is_cut {
        note(&format!("These are the first {}; there are more. See them with --limit.", number(rows.len())));
    }
    if options.read.json {
        print_json(&rows)?;
    } else {
        print_devices(&rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn team(conn: &mut Conn, name: Option<&str>) -> Result<Option<domain::id::TeamId>, Error> {
    let Some(name) = name else { return Ok(None) };
    let team = store::team::find_by_name(conn, name)?;
    team.map(|it| Some(it.id)).ok_or_else(|| Error::Refused(format!("there is no team `{name}`")))
}

/// Prints one device.
///
/// # Errors
/// When there is no such device, or the database cannot be read.
pub fn device(options: &DeviceOptions, file: Options) -> anyhow::Result<ExitCode> {
    let store = options.read.open(file)?;
    let now = Clock::System.now();
    let told = store.read_blocking(|conn| -> Result<_, Error> {
        let id = find(conn, &options.device)?;
        report::device(conn, id, now)
    })?;
    let told = told.ok_or_else(|| anyhow!("there is no device `{}`", options.device))?;
    if options.read.json {
        print_json(&told)?;
    } else {
        print_device(&told);
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints commands, the newest first.
///
/// # Errors
/// When there is no such device, or the database cannot be read.
pub fn commands(options: &CommandsOptions, file: Options) -> anyhow::Result<ExitCode> {
    let store = options.read.open(file)?;
    let rows = store.read_blocking(|conn| -> Result<Vec<CommandRow>, Error> {
        let limit = i64::from(options.limit);
        let commands = match &options.device {
            Some(device) => {
                let id = find(conn, device)?;
                store::command::of_device(conn, id, limit)?
            }
            None => store::command::newest(conn, limit)?,
        };
        Ok(commands.iter().map(CommandRow::new).collect())
    })?;
    if options.read.json {
        print_json(&rows)?;
    } else {
        print(&command_table(&rows).text());
    }
    Ok(ExitCode::SUCCESS)
}

/// A device by id, serial number or name; an error if several match.
fn find(conn: &mut Conn, text: &str) -> Result<DeviceId, Error> {
    if let Some(id) = DeviceId::parse(text) {
        return Ok(id);
    }
    let filter = Filter { q: text.to_owned(), ..Filter::default() };
    let query =
        Query { filter, reach: Reach::All, sort: Sort::Name, is_descending: false, from: From::Start, limit: 200 };
    let found = device_list::page(conn, &query, Time::from_millis(0))?.devices;
    let exact: Vec<_> =
        found.iter().filter(|it| it.device.name == text || it.device.serial.eq_ignore_ascii_case(text)).collect();
    match exact.as_slice() {
        [only] => Ok(only.device.id),
        [] => Err(Error::Refused(format!("there is no enrolled device with the id, serial number or name `{text}`"))),
        _ => Err(Error::Refused(format!("{} devices are called `{text}`; name one by its id", exact.len()))),
    }
}
