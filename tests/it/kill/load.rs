//! Clients that write as fast as they are answered, and remember every answer.
use super::server::{Server, World};
use diesel::prelude::*;
use holdfast::agent::net::client::{Client, Signer};
use holdfast::agent::net::door::Door;
use holdfast::agent::net::http::Http;
use holdfast::agent::platform::{Hardware, Platform};
use holdfast::agent::progress::Silent;
use holdfast::agent::state::{Credentials, State};
use holdfast::agent::{Agent, EnrollRequest, Identity, Stop, Surroundings};
use holdfast::clock::Clock;
use holdfast::domain::account::UserState;
use holdfast::domain::activity::{Actor, ActorKind, Via};
use holdfast::domain::command::{CommandKind, CommandState};
use holdfast::domain::device::{DeviceFacts, Fact, Ownership, Platform as Kind};
use holdfast::domain::id::{CommandId, DeviceId, UserId};
use holdfast::domain::message::{CHECK_IN, CheckIn, CheckInAnswer, CommandResult};
use holdfast::domain::role::{Role, Scope};
use holdfast::domain::time::{Time, hours};
use holdfast::service::account::{Origin, open_session};
use holdfast::service::enrollment::{PROOF_PUBLIC_KEY, TokenDraft, make_token};
use holdfast::store::Store;
use holdfast::store::schema::activity;
use holdfast::store::user::User;
use holdfast::web::session::csrf_token;
use holdfast::{secret, store};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

const DEVICES: usize = 3;

/// What the server said yes to.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// Each device's last counter.
    check_ins: BTreeMap<DeviceId, i64>,
    /// Device and object name.
    uploads: Vec<(usize, String)>,
    /// The request keys of commands that a person queued.
    commands: Vec<String>,
    /// Commands whose result a device has reported.
    results: Vec<CommandId>,
    check_in_count: usize,
}

impl Acknowledged {
    pub fn add(&mut self, other: Self) {
        self.check_ins.extend(other.check_ins);
        self.uploads.extend(other.uploads);
        self.commands.extend(other.commands);
        self.results.extend(other.results);
        self.check_in_count += other.check_in_count;
    }

    pub fn has_each_kind(&self) -> bool {
        let lists = [self.uploads.len(), self.commands.len(), self.results.len()];
        self.check_in_count > 0 && lists.iter().all(|it| *it > 0)
    }
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (commands, results) = (self.commands.len(), self.results.len());
        let (check_ins, uploads) = (self.check_in_count, self.uploads.len());
        write!(f, "{check_ins} check-ins, {uploads} uploads, {commands} commands, {results} results")
    }
}

struct Device {
    id: DeviceId,
    generation: i64,
    audience: String,
    identity: Identity,
    repository_path: String,
    repository_user: String,
    token: String,
    /// Goes up with each check-in; stored as the free bytes.
    counter: AtomicI64,
}

/// The enrolled devices, and a person who is signed in.
pub struct Fleet {
    devices: Vec<Arc<Device>>,
    session: String,
}

/// Says nothing of the machine that the test runs on.
struct Plain;

impl Platform for Plain {
    fn kind(&self) -> Kind {
        Kind::Linux
    }
    fn hardware(&self) -> Hardware {
        Hardware::default()
    }
    fn facts(&self, _: &[PathBuf], _: Time) -> DeviceFacts {
        DeviceFacts::default()
    }
    fn lock(&self) -> Result<String, String> {
        Err("no lock".to_owned())
    }
}

impl Fleet {
    /// Enrolls the devices at a server that is stopped again.
    pub fn enroll(world: &World) -> Self {
        // The first start makes what a new server needs.
        drop(Server::start(world));
        let (tokens, session) = (tokens(world), sign_in(world));
        let server = Server::start(world);
        let devices = tokens.into_iter().enumerate().map(|(at, token)| Arc::new(enroll(world, at, token))).collect();
        drop(server);
        Self { devices, session }
    }

    /// Starts the load.
    pub fn start(&self, server: &str, door: &str) -> Load {
        let stop = Stop::default();
        let threads = self
            .devices
            .iter()
            .enumerate()
            .flat_map(|(at, device)| {
                let checking = {
                    let (device, stop, server) = (Arc::clone(device), stop.clone(), server.to_owned());
                    std::thread::spawn(move || check_in_until(&device, &server, &stop))
                };
                let uploading = {
                    let (device, stop, door) = (Arc::clone(device), stop.clone(), door.to_owned());
                    std::thread::spawn(move || upload_until(&device, at, &door, &stop))
                };
                let queueing = {
                    let (session, stop, server, id) =
                        (self.session.clone(), stop.clone(), server.to_owned(), device.id);
                    std::thread::spawn(move || queue_until(id, &session, &server, &stop))
                };
                [checking, uploading, queueing]
            })
            .collect();
        Load { stop, threads }
    }

    /// What was acknowledged and is not there.
    pub fn missing(&self, world: &World, acknowledged: &Acknowledged) -> Vec<String> {
        let mut missing = Vec::new();
        let store = Store::open_read_only(&world.database).unwrap();
        for (id, counter) in &acknowledged.check_ins {
            let id = *id;
            let status = store.read_blocking(move |conn| store::device_status::find(conn, id)).unwrap().unwrap();
            let facts: DeviceFacts = serde_json::from_str(&status.facts).unwrap();
            let kept = facts.free_bytes.map_or(-1, |it| it.value);
            if kept < *counter {
                missing.push(format!("check-in {counter} of {id}: the last one kept is {kept}"));
            }
        }
        let (keys, results) = (acknowledged.commands.clone(), acknowledged.results.clone());
        missing.extend(store.read_blocking(move |conn| missing_commands(conn, &keys, &results)).unwrap());
        for (at, name) in &acknowledged.uploads {
            let door = self.devices[*at].door(&world.url(), Stop::default());
            match door.read(&format!("data/{name}")) {
                Ok(bytes) if hex::encode(secret::sha256(&bytes)) == *name => {}
                Ok(_) => missing.push(format!("upload {name}: its bytes are others")),
                Err(error) => missing.push(format!("upload {name}: {error}")),
            }
        }
        missing
    }
}

fn missing_commands(conn: &mut store::Conn, keys: &[String], results: &[CommandId]) -> QueryResult<Vec<String>> {
    let mut missing = Vec::new();
    for key in keys {
        let Some(command) = store::command::find_by_request_key(conn, key)? else {
            missing.push(format!("command {key}"));
            continue;
        };
        let entries = activity::table.filter(activity::object_id.eq(command.id.to_string())).count();
        if entries.get_result::<i64>(conn)? == 0 {
            missing.push(format!("the activity entry of command {key}"));
        }
    }
    for id in results {
        let state = store::command::find(conn, *id)?.map(|it| it.state);
        if state != Some(CommandState::Acknowledged) {
            missing.push(format!("the result of command {id}: it is {state:?}"));
        }
    }
    Ok(missing)
}

/// Load that runs.
pub struct Load {
    stop: Stop,
    threads: Vec<JoinHandle<Acknowledged>>,
}

impl Load {
    pub fn stop(self) -> Acknowledged {
        self.stop.stop();
        let mut all = Acknowledged::default();
        for thread in self.threads {
            all.add(thread.join().unwrap());
        }
        all
    }
}

/// One token for each device, made while no server runs.
fn tokens(world: &World) -> Vec<String> {
    let actor = Actor {
        kind: ActorKind::System,
        id: None,
        name: "test".to_owned(),
        via: Via::CommandLine,
        address: String::new(),
    };
    let store = Store::open(&world.database).unwrap();
    let now = Clock::System.now();
    store
        .write_blocking(move |conn| -> holdfast::error::Result<()> {
            if store::setting::find(conn, PROOF_PUBLIC_KEY)?.is_none() {
                let (public, _) = holdfast::seal::generate()?;
                store::setting::set(conn, PROOF_PUBLIC_KEY, public.as_str(), now)?;
            }
            Ok(())
        })
        .unwrap();
    (0..DEVICES)
        .map(|at| {
            let (actor, now) = (actor.clone(), Clock::System.now());
            let draft = TokenDraft {
                name: format!("device {at}"),
                team_id: None,
                ownership: Ownership::Company,
                use_limit: 1,
                valid_for: hours(1),
                device_id: None,
            };
            store.act_blocking(move |conn| make_token(conn, &actor, &draft, now)).unwrap().1
        })
        .collect()
}

/// An owner with a session that outlives every kill; its id.
fn sign_in(world: &World) -> String {
    let now = Clock::System.now();
    let user = User {
        id: UserId::generate(now),
        email: "owner@example.org".to_owned(),
        name: "Owner".to_owned(),
        password_hash: None,
        state: UserState::Active,
        time_zone: "UTC".to_owned(),
        created_by: None,
        created_at: now,
        password_changed_at: None,
    };
    let opened = Store::open(&world.database).unwrap().act_blocking(move |conn| {
        store::user::insert(conn, &user)?;
        store::user::grant(conn, user.id, (Role::Owner, Scope::Organisation), None, now)?;
        let origin = Origin { address: "127.0.0.1".to_owned(), user_agent: "test".to_owned() };
        open_session(conn, &user, &origin, None, now)
    });
    opened.unwrap().session
}

fn enroll(world: &World, at: usize, token: String) -> Device {
    let around =
        Surroundings { platform: Box::new(Plain), clock: Clock::System, progress: Arc::new(Silent), home: None };
    let request = EnrollRequest {
        server: world.url(),
        token,
        protect: vec![world.folder(&format!("files-{at}"))],
        name: Some(format!("device-{at}")),
        ..EnrollRequest::default()
    };
    let agent = Agent::enroll(State::open(&world.folder(&format!("agent-{at}"))).unwrap(), around, &request).unwrap();
    let enrollment = agent.enrollment().clone();
    Device {
        id: enrollment.device_id,
        generation: enrollment.generation,
        audience: enrollment.audience,
        identity: agent.state().get::<Identity>().unwrap(),
        repository_path: enrollment.repository_path,
        repository_user: enrollment.repository_id.to_string(),
        token: agent.state().get::<Credentials>().unwrap().0.token,
        counter: AtomicI64::new(0),
    }
}

impl Device {
    fn door(&self, server: &str, stop: Stop) -> Door {
        let address = format!("{server}{}", self.repository_path);
        Door::new(Http::new(None).unwrap(), &address, &self.repository_user, &self.token, stop)
    }
}

/// Checks in with a counter that grows, until a request fails.
fn check_in_until(device: &Device, server: &str, stop: &Stop) -> Acknowledged {
    let signer =
        Signer { identity: device.identity.clone(), subject: device.id.to_string(), audience: device.audience.clone() };
    let client = Client::new(Http::new(None).unwrap(), server, signer, Clock::System, 0);
    let mut done = Acknowledged::default();
    let mut results = Vec::new();
    while !stop.is_stopped() {
        let counter = device.counter.fetch_add(1, Ordering::Relaxed);
        let free = Fact { value: counter, source: "test".to_owned(), measured_at: Clock::System.now() };
        let message = CheckIn {
            generation: device.generation,
            agent_version: "test".to_owned(),
            facts: DeviceFacts { free_bytes: Some(free), ..DeviceFacts::default() },
            results: std::mem::take(&mut results),
            policy_version: String::new(),
        };
        let Ok(answer) = client.post::<CheckInAnswer>(CHECK_IN, &message) else { break };
        done.check_ins.insert(device.id, counter);
        done.check_in_count += 1;
        done.results.extend(message.results.iter().map(|it| it.id));
        let ended = |id| CommandResult { id, done: true, detail: String::new(), finished_at: Clock::System.now() };
        results = answer.commands.iter().map(|it| ended(it.id)).collect();
    }
    done
}

/// Queues commands by the device's page, as a person does, until a request fails.
fn queue_until(device: DeviceId, session: &str, server: &str, stop: &Stop) -> Acknowledged {
    let agent: ureq::Agent = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false).build().into();
    let mut done = Acknowledged::default();
    while !stop.is_stopped() {
        let key = secret::generate("form_").unwrap();
        let form = [("csrf", csrf_token(session)), ("request_key", key.clone())];
        let answer = agent
            .post(format!("{server}/devices/{device}/backup-commands"))
            .header("Cookie", format!("holdfast={session}"))
            .header("Sec-Fetch-Site", "same-origin")
            .send_form(form);
        let Ok(answer) = answer else { break };
        assert_eq!(answer.status(), 303, "a command was not queued");
        done.commands.push(format!("{key}/{}", CommandKind::BackUpNow));
    }
    done
}

/// Uploads objects of its own until a request fails.
fn upload_until(device: &Device, at: usize, server: &str, stop: &Stop) -> Acknowledged {
    let door = device.door(server, stop.clone());
    let mut done = Acknowledged::default();
    while !stop.is_stopped() {
        let bytes = secret::bytes::<8192>().unwrap();
        let name = hex::encode(secret::sha256(&bytes));
        if door.write(&format!("data/{name}"), &bytes).is_err() {
            break;
        }
        done.uploads.push((at, name));
    }
    done
}
