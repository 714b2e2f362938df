//! Joining a server: keys are made here, and only their public halves leave.
use super::identity::Identity;
use super::net::backoff::random;
use super::net::client::{Client, Signer};
use super::net::http::Http;
use super::progress::Event;
use super::protect::{self, Forbidden};
use super::state::{
    BackupAnswer, BackupIndex, BackupRequest, ClockOffset, Credentials, Enrollment, Journal, LastBackup, Marks, Outbox,
    Policy, RestoreJournal, Roots, State, WipeJournal, Wiped,
};
use super::wipe::finish_wiped;
use super::{Agent, Surroundings};
use crate::protocol::agent::message::{ENROLL, Enroll, Enrolled, RepositoryCredentials, credentials_context};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// What a person says to join a device.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The server's address, without a trailing slash.
    pub server: String,
    pub token: String,
    pub protect: Vec<PathBuf>,
    /// The device's name; the host's where none is given.
    pub name: Option<String>,
    /// Who uses the device.
    pub person: String,
    /// Certificates to trust instead of the public ones, PEM.
    pub ca: Option<String>,
    /// Whether to join although this device is enrolled already.
    pub again: bool,
}

impl Agent {
    /// Joins a server and opens the agent.
    ///
    /// # Errors
    /// When the device is enrolled already, a folder may not be protected, or the server refuses.
    pub fn enroll(state: State, around: Surroundings, request: &Request) -> Result<Self> {
        // Else the wiped device's key would join, and the server takes only a new one.
        finish_wiped(&state)?;
        if state.find::<Enrollment>()?.is_some() && state.find::<Wiped>()?.is_none() && !request.again {
            bail!("this device is enrolled already; to enroll it anew (its old commands are dropped), add --again");
        }
        let forbidden = Forbidden { state: state.dir().to_owned(), home: around.home.clone() };
        let folders = protect::check(&request.protect, &forbidden)?;
        let identity = keys(&state)?;
        let mut marks: Marks = state.find()?.unwrap_or_default();
        protect::invent(&mut marks, &folders)?;
        state.put(&marks)?;
        let marked = protect::mark(&folders, &marks)?;
        match join(&state, &around, request, identity, &folders) {
            Ok((enrolled, offset)) => {
                keep(&state, &around, request, Roots { roots: marked.roots }, &enrolled, offset)?;
                Self::open(state, around)
            }
            Err(error) => {
                protect::unmark(&marked.made);
                Err(error)
            }
        }
    }
}

/// The keys of the device: those that it has, so that a second try after a lost answer is the same device.
fn keys(state: &State) -> Result<Identity> {
    if let Some(identity) = state.find::<Identity>()? {
        return Ok(identity);
    }
    let identity = Identity::generate()?;
    state.put(&identity)?;
    Ok(identity)
}

fn join(
    state: &State,
    around: &Surroundings,
    request: &Request,
    identity: Identity,
    folders: &[PathBuf],
) -> Result<(Enrolled, i64)> {
    let hardware = around.platform.hardware();
    let name = request.name.clone().filter(|it| !it.trim().is_empty()).unwrap_or(hardware.host_name);
    let message = Enroll {
        token: request.token.trim().to_owned(),
        name: if name.is_empty() { format!("device-{:04x}", random() & 0xffff) } else { name },
        person: request.person.clone(),
        platform: around.platform.kind(),
        model: hardware.model,
        serial: hardware.serial,
        os_version: hardware.os_version,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        signing_key: identity.signing_public()?,
        sealing_key: identity.sealing_public()?.as_str().to_owned(),
        protected_roots: folders.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
    };
    let signer = Signer { identity, subject: "enroll".to_owned(), audience: request.server.clone() };
    let offset = state.find::<ClockOffset>()?.unwrap_or_default().millis;
    let http = Http::new(request.ca.as_deref())?;
    let client = Client::new(http, &request.server, signer, around.clock.clone(), offset);
    around.progress.event(Event::Note(format!("Enrolling {} at {}", message.name, request.server)));
    let enrolled: Enrolled = client.post(ENROLL, &message).context("enrolling")?;
    client.learn(enrolled.server_time);
    Ok((enrolled, client.offset_millis()))
}

/// Writes down what the server answered; the enrolment itself last, so that a kill in between leaves the device as not
/// enrolled.
fn keep(
    state: &State,
    around: &Surroundings,
    request: &Request,
    roots: Roots,
    enrolled: &Enrolled,
    offset: i64,
) -> Result<()> {
    let identity: Identity = state.get()?;
    let context = credentials_context(enrolled.device_id, enrolled.generation);
    let opened = identity.open(&context, &enrolled.sealed_credentials)?;
    let credentials: RepositoryCredentials =
        serde_json::from_slice(&opened).context("reading the repository's credentials")?;
    state.put(&Credentials(credentials))?;
    state.put(&ClockOffset { millis: offset })?;
    state.put(&roots)?;
    let next_check_in_seconds = enrolled.next_check_in_seconds;
    state.put(&Policy { policy: enrolled.policy.clone(), next_check_in_seconds })?;
    // What belongs to an older generation is of no use to the new one.
    state.remove::<Journal>()?;
    state.remove::<Outbox>()?;
    state.remove::<LastBackup>()?;
    state.remove::<BackupRequest>()?;
    state.remove::<BackupAnswer>()?;
    state.remove::<BackupIndex>()?;
    state.remove::<RestoreJournal>()?;
    state.remove::<WipeJournal>()?;
    state.put(&Enrollment {
        server: request.server.clone(),
        ca: request.ca.clone(),
        device_id: enrolled.device_id,
        name: request.name.clone().unwrap_or_default(),
        generation: enrolled.generation,
        audience: enrolled.audience.clone(),
        ownership: enrolled.ownership,
        repository_id: enrolled.repository_id,
        repository_path: enrolled.repository_path.clone(),
        enrolled_at: around.clock.now(),
    })?;
    state.remove::<Wiped>()
}
