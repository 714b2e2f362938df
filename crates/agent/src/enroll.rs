//! Joining a server: keys are made here, and only their public halves leave.
//!
//! Each enrolment has its own keys. They are kept beside those in use until the server answers, and the answer
//! is written down completely before anything of the previous enrolment is touched: a kill at any moment leaves
//! either the old agent or the new one.
use super::identity::Identity;
use super::net::backoff::random;
use super::net::client::{Client, Signer};
use super::net::http::Http;
use super::own_key::OwnKey;
use super::progress::Event;
use super::protect::{self, Forbidden};
use super::state::{
    Away, BackupAnswer, BackupIndex, BackupRequest, ClockOffset, Credentials, Enrollment, Held, Journal, LastBackup,
    LastFailure, Marks, Outbox, Policy, Record, RestoreJournal, Roots, State, UndoJournal, WipeJournal, Wiped,
};
use super::wipe::finish_wiped;
use super::{Agent, Surroundings};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wire::{ENROLL, Enroll, Enrolled, OwnRepository, RepositoryCredentials, credentials_context};

/// What a person provides to join a device.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The server's address, without a trailing slash.
    pub server: String,
    pub token: String,
    pub protect: Vec<PathBuf>,
    /// The device's name; the host's if none is given.
    pub name: Option<String>,
    /// Who uses the device.
    pub person: String,
    /// Certificates to trust instead of the public ones, PEM.
    pub ca: Option<String>,
    /// Whether what is mounted in the protected folders is backed up with them.
    pub mounts: bool,
    /// Whether to join even though this device is already enrolled.
    pub again: bool,
    /// Where the key to the backups is, or is to be written, if the customer keeps it.
    pub key_file: Option<PathBuf>,
}

/// An enrolment under way.
#[derive(Serialize, Deserialize)]
struct Joining {
    /// The token the keys were made for: with another token, the server would take them for another device's.
    token_hash: String,
    identity: Identity,
    /// The key that the customer keeps, and the repository that was made with it.
    #[serde(default)]
    own: Option<(OwnKey, OwnRepository)>,
    /// None until the server has answered.
    joined: Option<Joined>,
}

impl Record for Joining {
    const FILE: &'static str = "joining.json";
}

/// What this device becomes by the server's answer.
#[derive(Serialize, Deserialize)]
struct Joined {
    enrollment: Enrollment,
    credentials: Credentials,
    #[serde(default)]
    own_key: Option<OwnKey>,
    clock: ClockOffset,
    roots: Roots,
    policy: Policy,
}

impl Agent {
    /// Joins a server and opens the agent.
    ///
    /// # Errors
    /// When the device is already enrolled, a folder may not be protected, or the server refuses.
    pub fn enroll(state: State, around: Surroundings, request: &Request) -> Result<Self> {
        finish_joining(&state)?;
        // Otherwise the wiped device's key would be replaced instead of destroyed.
        finish_wiped(&state)?;
        if state.find::<Enrollment>()?.is_some() && state.find::<Wiped>()?.is_none() && !request.again {
            bail!("this device is already enrolled; to enroll it again (dropping its old commands), add --again");
        }
        let forbidden = Forbidden { state: state.dir().to_owned(), home: around.home.clone() };
        let folders = protect::check(&request.protect, &forbidden)?;
        let mut joining = keys(&state, request.token.trim())?;
        bring_own(&state, &mut joining, request)?;
        let mut marks: Marks = state.find()?.unwrap_or_default();
        protect::invent(&mut marks, &folders)?;
        state.put(&marks)?;
        let marked = protect::mark(&folders, &marks)?;
        match join(&state, &around, request, &joining, &folders) {
            Ok((enrolled, clock)) => {
                let roots = Roots { roots: marked.roots, mounts: request.mounts };
                joining.joined = Some(read(enrolled, &joining, &around, request, (roots, clock))?);
                state.put(&joining)?;
                Self::open(state, around)
            }
            Err(error) => {
                protect::unmark(&marked.made);
                Err(error)
            }
        }
    }
}

/// New keys for this token, or those of the last try: a second try after a lost answer is the same device.
fn keys(state: &State, token: &str) -> Result<Joining> {
    let token_hash = secret::hash(token);
    if let Some(joining) = state.find::<Joining>()?.filter(|it| it.token_hash == token_hash) {
        return Ok(joining);
    }
    let joining = Joining { token_hash, identity: Identity::generate()?, own: None, joined: None };
    state.put(&joining)?;
    Ok(joining)
}

/// Reads or makes the key that the customer keeps, and the repository that goes with it: the same at a second try.
fn bring_own(state: &State, joining: &mut Joining, request: &Request) -> Result<()> {
    let Some(path) = &request.key_file else {
        // Otherwise whoever runs the server could have what comes next sealed to its own key.
        if state.find::<OwnKey>()?.is_some() {
            bail!("the customer keeps the key to this device’s backups: name its file with --key-file");
        }
        joining.own = None;
        return Ok(());
    };
    let key = OwnKey::read_or_make(path)?;
    if state.find::<OwnKey>()?.is_some_and(|it| it != key) {
        bail!(
            "{} has another key than this device has, which opens its earlier backups: keep that one \
             (`holdfast-agent key show`), and name its file, or choose another state directory",
            path.display()
        );
    }
    if joining.own.as_ref().is_none_or(|(had, _)| *had != key) {
        let made = key.make_repository()?;
        joining.own = Some((key, made));
        state.put(&*joining)?;
    }
    Ok(())
}

fn join(
    state: &State,
    around: &Surroundings,
    request: &Request,
    joining: &Joining,
    folders: &[PathBuf],
) -> Result<(Enrolled, ClockOffset)> {
    let identity = &joining.identity;
    let (hardware, enrollment) = (around.platform.hardware(), state.find::<Enrollment>()?);
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
        orders: crate::check_in::orders(),
        protected_roots: folders.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
        device_id: enrollment.as_ref().map(|it| it.device_id),
        device_generation: enrollment.map(|it| it.generation),
        own_repository: joining.own.as_ref().map(|(_, it)| it.clone()),
    };
    let signer = Signer { identity: identity.clone(), subject: "enroll".to_owned(), audience: request.server.clone() };
    let offset = state.find::<ClockOffset>()?.unwrap_or_default().millis;
    let http = Http::new(request.ca.as_deref())?;
    let client = Client::new(http, &request.server, signer, around.clock.clone(), offset);
    around.progress.event(Event::Note(format!("Enrolling {} at {}", message.name, request.server)));
    let enrolled: Enrolled = client.post(ENROLL, &message).context("enrolling")?;
    client.learn(enrolled.server_time);
    Ok((enrolled, ClockOffset { millis: client.offset_millis() }))
}

/// Reads the server's answer: only this device can open the credentials.
fn read(
    enrolled: Enrolled,
    joining: &Joining,
    around: &Surroundings,
    request: &Request,
    (roots, clock): (Roots, ClockOffset),
) -> Result<Joined> {
    let context = credentials_context(enrolled.device_id, enrolled.generation);
    let opened = joining.identity.open(&context, &enrolled.sealed_credentials)?;
    let mut credentials: RepositoryCredentials =
        serde_json::from_slice(&opened).context("reading the repository's credentials")?;
    let own_key = joining.own.as_ref().map(|(key, _)| key.clone());
    match &own_key {
        // It made a repository itself, and so has its key.
        Some(_) if !credentials.password.is_empty() => bail!(
            "the server does not know of keys that the customer keeps: it would have the key to these backups. Nothing \
             was enrolled here; remove the device in the console"
        ),
        Some(key) => key.password().clone_into(&mut credentials.password),
        None if credentials.password.is_empty() => bail!("the server sent no password for the repository"),
        None => {}
    }
    Ok(Joined {
        enrollment: Enrollment {
            server: request.server.clone(),
            ca: request.ca.clone(),
            device_id: enrolled.device_id,
            name: request.name.clone().unwrap_or_default(),
            generation: enrolled.generation,
            audience: enrolled.audience,
            ownership: enrolled.ownership,
            repository_id: enrolled.repository_id,
            repository_path: enrolled.repository_path,
            enrolled_at: around.clock.now(),
        },
        credentials: Credentials(credentials),
        own_key,
        clock,
        roots,
        policy: Policy { policy: enrolled.policy, next_check_in_seconds: enrolled.next_check_in_seconds },
    })
}

/// Replaces the previous enrolment with one that the server has answered. The record of it goes last: until
/// then a kill means that this is done again.
///
/// # Errors
/// When the file system refuses.
pub(super) fn finish_joining(state: &State) -> Result<()> {
    let Some(Joining { identity, joined: Some(joined), .. }) = state.find()? else { return Ok(()) };
    state.put(&identity)?;
    state.put(&joined.credentials)?;
    if let Some(key) = &joined.own_key {
        state.put(key)?;
    }
    state.put(&joined.clock)?;
    state.put(&joined.roots)?;
    state.put(&joined.policy)?;
    // What belongs to an older generation is of no use to the new one.
    state.remove::<Away>()?;
    state.remove::<Held>()?;
    state.remove::<Journal>()?;
    state.remove::<Outbox>()?;
    state.remove::<LastBackup>()?;
    state.remove::<LastFailure>()?;
    state.remove::<BackupRequest>()?;
    state.remove::<BackupAnswer>()?;
    state.remove::<BackupIndex>()?;
    // Their trails stay: the agent ends them when it looks through them next.
    state.remove::<RestoreJournal>()?;
    state.remove::<UndoJournal>()?;
    state.remove::<WipeJournal>()?;
    state.put(&joined.enrollment)?;
    state.remove::<Wiped>()?;
    state.remove::<Joining>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, NOWHERE, enrolled, open};
    use clock::Clock;

    #[test]
    fn an_agent_is_the_old_one_until_the_answer_is_written_down_and_then_the_new_one() {
        let temp = tempfile::tempdir().unwrap();
        let (docs, dir) = (temp.path().canonicalize().unwrap().join("docs"), temp.path().join("state"));
        std::fs::create_dir(&docs).unwrap();
        enrolled(&dir, NOWHERE, &[docs]);
        let key = |agent: &Agent| agent.client.identity().signing_public().unwrap();
        let reopen = || open(&dir, &Clock::fixed(NOW), None);
        let old = key(&reopen());

        let state = State::open(&dir).unwrap();
        let mut joining = keys(&state, "token").unwrap();
        let new = joining.identity.signing_public().unwrap();
        drop(state);
        assert_eq!(key(&reopen()), old);

        let state = State::open(&dir).unwrap();
        let again = |token| keys(&state, token).unwrap().identity.signing_public().unwrap();
        assert_eq!(again("token"), new, "a second try has the same keys");
        let enrollment = Enrollment { generation: 2, ..state.get().unwrap() };
        let (credentials, roots) = (state.get().unwrap(), state.get().unwrap());
        let (clock, policy) = (ClockOffset::default(), Policy::default());
        joining.joined = Some(Joined { enrollment, credentials, own_key: None, clock, roots, policy });
        state.put(&joining).unwrap();
        let (command_id, restore_id) = (domain::id::CommandId::generate(NOW), domain::id::RestoreId::generate(NOW));
        state.put(&UndoJournal { command_id, restore_id, report: None }).unwrap();
        // As after a kill in the middle of the change.
        state.put(&joining.identity).unwrap();
        drop(state);

        let agent = reopen();
        assert_eq!((key(&agent), agent.enrollment().generation), (new.clone(), 2));
        assert!(agent.state().find::<Joining>().unwrap().is_none());
        assert!(!agent.has_unfinished_undo().unwrap(), "the new server has ordered no undo");
        let other = keys(agent.state(), "other").unwrap().identity.signing_public().unwrap();
        assert!(other != new && other != old, "each enrolment has its own keys");
    }
}
