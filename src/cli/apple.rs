//! `holdfast apple`: the devices that Apple says are ours, and that enroll by themselves.
use crate::cli::control::{HostAct, Request};
use crate::cli::device::ReadOptions;
use crate::cli::output::{Table, print, print_json};
use crate::cli::write::WriteOptions;
use crate::config::Options;
use crate::store;
use crate::store::Conn;
use crate::store::apple::service::{AppleService, AppleServiceDevice};
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// What can be done with them.
#[derive(Debug, clap::Subcommand)]
pub enum AppleCommand {
    /// Print the certificate to upload in Apple Business Manager, where you then get the token file
    Certificate(ReadOptions),
    /// Take the token file (`….p7m`) that Apple Business Manager gives out for the certificate
    Token {
        #[arg(value_name = "FILE")]
        path: PathBuf,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// List the devices that Apple says are yours, and to whom each was given here
    Devices(ReadOptions),
    /// Give devices to a team: each enrolls by itself from then on, when it is set up
    Give {
        /// Their serial numbers
        #[arg(value_name = "SERIAL", required = true)]
        serials: Vec<String>,
        /// The team; none if they are of no team
        #[arg(long, value_name = "NAME")]
        team: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

impl AppleCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the data cannot be read, or the server does not answer.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        match self {
            Self::Certificate(read) => certificate(&read, file),
            Self::Token { path, write } => {
                let token = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                let act = HostAct::SetAppleToken { file: BASE64_STANDARD.encode(token) };
                write.run(Request::Host { act }, file)
            }
            Self::Devices(read) => devices(&read, file),
            Self::Give { serials, team, write } => {
                write.run(Request::Host { act: HostAct::GiveAppleDevices { serials, team } }, file)
            }
        }
    }
}

fn certificate(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let kept =
        read.open(file)?.read_blocking(|conn| Ok::<_, crate::error::Error>(store::apple::service::find(conn)?))?;
    let kept = kept.ok_or_else(|| anyhow!("there is none yet: start the server with --apple-listen"))?;
    let lines: Vec<_> = kept.certificate.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    print(&format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")));
    Ok(ExitCode::SUCCESS)
}

/// What `apple devices --json` prints of each.
#[derive(Serialize)]
struct Shown {
    serial: String,
    model: String,
    description: String,
    given_to: Option<String>,
    apple_knows: bool,
}

fn devices(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let (service, all) = read.open(file)?.read_blocking(listed)?;
    if read.json {
        print_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["SERIAL", "MODEL", "DESCRIPTION", "GIVEN TO", "TOLD APPLE"]);
    for it in all {
        let told = if it.apple_knows { "yes" } else { "no" };
        table.row([
            it.serial,
            it.model,
            it.description,
            it.given_to.unwrap_or_else(|| "-".to_owned()),
            told.to_owned(),
        ]);
    }
    print(&table.text());
    print(&state(service.as_ref()));
    Ok(ExitCode::SUCCESS)
}

fn listed(conn: &mut Conn) -> crate::error::Result<(Option<AppleService>, Vec<Shown>)> {
    let service = store::apple::service::find(conn)?;
    let all = store::apple::service::devices(conn)?;
    let ours = all.into_iter().filter(|it| it.removed_at.is_none());
    let shown = ours.map(|it| shown(conn, service.as_ref(), it)).collect::<crate::error::Result<_>>()?;
    Ok((service, shown))
}

fn shown(conn: &mut Conn, service: Option<&AppleService>, device: AppleServiceDevice) -> crate::error::Result<Shown> {
    let token = device.token_id.map(|it| store::enrollment_token::find(conn, it)).transpose()?.flatten();
    let team = token.as_ref().and_then(|it| it.team_id).map(|it| store::team::find(conn, it)).transpose()?.flatten();
    let given_to = token.map(|_| team.map_or_else(|| "no team".to_owned(), |it| it.name));
    let apple_knows = device.profile_uuid.is_some()
        && device.profile_uuid.as_ref() == service.and_then(|it| it.profile_uuid.as_ref());
    Ok(Shown { serial: device.serial, model: device.model, description: device.description, given_to, apple_knows })
}

/// When Apple was last asked, and what it said.
fn state(service: Option<&AppleService>) -> String {
    let Some(service) = service else {
        return "Apple was never asked: start the server with --apple-listen.\n".to_owned();
    };
    if service.token_file.is_none() {
        return "Apple was never asked: there is no token file yet. `holdfast apple certificate` says what to upload.\n".to_owned();
    }
    let asked = service
        .synced_at
        .map_or_else(|| "The list was never read to its end".to_owned(), |it| format!("As of {}", it.iso()));
    let whose = if service.organization.is_empty() { String::new() } else { format!(", of {}", service.organization) };
    let until = service.token_until.map_or_else(String::new, |it| format!("; the token ends on {}", it.iso()));
    let failure =
        service.failure.as_ref().map_or_else(String::new, |it| format!("The last time did not work: {it}.\n"));
    format!("{asked}{whose}{until}.\n{failure}")
}
