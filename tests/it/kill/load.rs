//! Clients that write as fast as they are answered, and remember every answer.
use super::people::{Browser, queue_until, restore_until, wipe_until};
use super::server::{Server, World};
use crate::support::server::boss;
use agent::net::client::{Client, Signer};
use agent::net::door::Door;
use agent::net::http::Http;
use agent::platform::{Hardware, Platform};
use agent::progress::Silent;
use agent::state::{Credentials, State};
use agent::{Agent, EnrollRequest, Identity, Stop, Surroundings};
use clock::Clock;
use diesel::prelude::*;
use domain::account::UserState;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::By;
use domain::command::{CommandKind, CommandState};
use domain::device::{Ownership, Platform as Kind};
use domain::fact::{FactKind, FactValue};
use domain::id::{CommandId, DeviceId, RestoreId, RestorePointId, UserId, WipeRequestId};
use domain::restore::RestoreState;
use domain::role::{Role, Scope};
use domain::time::{Time, days, hours};
use domain::wipe::WipeState;
use holdfast::service::account::{Origin, open_session};
use holdfast::service::enrollment::{TokenDraft, make_token};
use holdfast::service::proof;
use holdfast::service::setting::{HOLD, WIPES_PER_HOUR};
use holdfast::store;
use holdfast::store::Store;
use holdfast::store::schema::activity;
use holdfast::store::user::User;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use wire::{CHECK_IN, CheckIn, CheckInAnswer, Command, CommandResult, DeviceFacts, Fact};

const DEVICES: usize = 3;

/// What the server said yes to.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// Each device's last counter.
    check_ins: BTreeMap<DeviceId, i64>,
    /// Device and object name.
    uploads: Vec<(usize, String)>,
    /// The request keys of commands that a person queued.
    pub commands: Vec<String>,
    /// Commands whose result a device has reported.
    results: Vec<CommandId>,
    pub wipes: Vec<WipeRequestId>,
    pub approvals: Vec<WipeRequestId>,
    pub restores: Vec<RestoreId>,
    /// The orders to wipe that a device was handed.
    wipe_orders: Vec<CommandId>,
    /// Wipes and restores that a device said it did not do.
    refused: Vec<CommandId>,
    check_in_count: usize,
}

impl Acknowledged {
    pub fn add(&mut self, other: Self) {
        self.check_ins.extend(other.check_ins);
        self.uploads.extend(other.uploads);
        self.commands.extend(other.commands);
        self.results.extend(other.results);
        self.wipes.extend(other.wipes);
        self.approvals.extend(other.approvals);
        self.restores.extend(other.restores);
        self.wipe_orders.extend(other.wipe_orders);
        self.refused.extend(other.refused);
        self.check_in_count += other.check_in_count;
    }

    pub fn has_each_kind(&self) -> bool {
        self.counts().iter().all(|(_, count)| *count > 0)
    }

    fn counts(&self) -> [(&'static str, usize); 9] {
        [
            ("check-ins", self.check_in_count),
            ("uploads", self.uploads.len()),
            ("commands", self.commands.len()),
            ("results", self.results.len()),
            ("wipe requests", self.wipes.len()),
            ("approvals", self.approvals.len()),
            ("wipe orders", self.wipe_orders.len()),
            ("restores", self.restores.len()),
            ("refused orders", self.refused.len()),
        ]
    }
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().map(|(name, count)| format!("{count} {name}"));
        f.write_str(&counts.join(", "))
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

/// The enrolled devices, a device with a backup, and two people who are signed in.
pub struct Fleet {
    devices: Vec<Arc<Device>>,
    source: (DeviceId, RestorePointId),
    sessions: [String; 2],
}

/// Says nothing about the machine the test runs on.
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
    /// Enrolls the devices on a server that is then stopped again.
    pub fn enroll(world: &World) -> Self {
        // The first start creates what a new server needs.
        drop(Server::start(world));
        let (mut tokens, sessions) = (tokens(world), ["asker", "second"].map(|it| sign_in(world, it)));
        let server = Server::start(world);
        let source = back_up(world, tokens.pop().unwrap());
        let join = |(at, token)| Arc::new(Device::of(&enroll(world, &format!("device-{at}"), token)));
        let devices = tokens.into_iter().enumerate().map(join).collect();
        drop(server);
        let store = Store::open_read_only(&world.database).unwrap();
        let points = store.read_blocking(move |conn| store::restore_point::of_device(conn, source, 1)).unwrap();
        Self { devices, source: (source, points[0].id), sessions }
    }

    /// Starts the load.
    pub fn start(&self, server: &str, door: &str) -> Load {
        let stop = Stop::default();
        let mut threads: Vec<_> = self
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
                let id = device.id;
                let queueing = self.person(server, &stop, move |[asker, _], stop| queue_until(id, asker, stop));
                [checking, uploading, queueing]
            })
            .collect();
        let (source, devices) = (self.source, self.devices.iter().map(|it| it.id).collect::<Vec<_>>());
        let targets = devices.clone();
        threads.push(self.person(server, &stop, move |people, stop| wipe_until(&devices, people, stop)));
        threads.push(self.person(server, &stop, move |[it, _], stop| restore_until(source, &targets, it, stop)));
        Load { stop, threads }
    }

    /// A separate thread in which both people are signed in.
    fn person(
        &self,
        server: &str,
        stop: &Stop,
        work: impl FnOnce([&Browser; 2], &Stop) -> Acknowledged + Send + 'static,
    ) -> JoinHandle<Acknowledged> {
        let (people, stop) = (self.sessions.each_ref().map(|it| Browser::new(server, it)), stop.clone());
        std::thread::spawn(move || work(people.each_ref(), &stop))
    }

    /// What was acknowledged but is missing.
    pub fn missing(&self, world: &World, acknowledged: &Acknowledged) -> Vec<String> {
        let mut missing = Vec::new();
        let store = Store::open_read_only(&world.database).unwrap();
        for (id, counter) in &acknowledged.check_ins {
            let id = *id;
            let status = store.read_blocking(move |conn| store::device_status::find(conn, id)).unwrap().unwrap();
            let kept = match status.facts().unwrap().get(FactKind::FreeBytes).map(|it| &it.value) {
                Some(FactValue::Number(count)) => *count,
                _ => -1,
            };
            if kept < *counter {
                missing.push(format!("check-in {counter} of {id}: the last one kept is {kept}"));
            }
        }
        let (keys, results) = (acknowledged.commands.clone(), acknowledged.results.clone());
        missing.extend(store.read_blocking(move |conn| missing_commands(conn, &keys, &results)).unwrap());
        let all = acknowledged.clone();
        missing.extend(store.read_blocking(move |conn| missing_wipes(conn, &all)).unwrap());
        let all = acknowledged.clone();
        missing.extend(store.read_blocking(move |conn| missing_restores(conn, &all)).unwrap());
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
        if !has_entry(conn, command.id)? {
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

fn has_entry(conn: &mut store::Conn, object: impl fmt::Display) -> QueryResult<bool> {
    let entries = activity::table.filter(activity::object_id.eq(object.to_string())).count();
    Ok(entries.get_result::<i64>(conn)? > 0)
}

/// Every state that somebody was told is kept, and what a device was handed is its request's only order.
fn missing_wipes(conn: &mut store::Conn, told: &Acknowledged) -> QueryResult<Vec<String>> {
    let mut missing = Vec::new();
    for id in &told.wipes {
        if store::wipe::find(conn, *id)?.is_none() || !has_entry(conn, id)? {
            missing.push(format!("wipe request {id}, or its activity entry"));
        }
    }
    for id in &told.approvals {
        let Some(request) = store::wipe::find(conn, *id)? else { continue };
        if request.progress(conn)?.approval.is_none() {
            missing.push(format!("the approval of wipe request {id}: it is {}", request.state));
        }
    }
    for id in &told.wipe_orders {
        let request = store::wipe::of_command(conn, *id)?;
        if request.is_none_or(|it| it.state.is_before_delivery()) {
            missing.push(format!("the wipe request whose order {id} a device has"));
        }
    }
    for id in &told.refused {
        let state = store::wipe::of_command(conn, *id)?.map(|it| it.state);
        if state.is_some_and(|it| it != WipeState::Failed) {
            missing.push(format!("the end of the wipe with order {id}: it is {state:?}"));
        }
    }
    Ok(missing)
}

fn missing_restores(conn: &mut store::Conn, told: &Acknowledged) -> QueryResult<Vec<String>> {
    let mut missing = Vec::new();
    for id in &told.restores {
        if store::restore::find(conn, *id)?.is_none() || !has_entry(conn, id)? {
            missing.push(format!("restore {id}, or its activity entry"));
        }
    }
    for id in &told.refused {
        let state = store::restore::of_command(conn, *id)?.map(|it| it.state);
        if state.is_some_and(|it| it != RestoreState::Failed) {
            missing.push(format!("the end of the restore with order {id}: it is {state:?}"));
        }
        let command = store::command::find(conn, *id)?.map(|it| it.state);
        if command != Some(CommandState::Failed) {
            missing.push(format!("the answer to order {id}: it is {command:?}"));
        }
    }
    Ok(missing)
}

/// Running load.
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

/// One token for each device and the source, made while no server runs.
fn tokens(world: &World) -> Vec<String> {
    let actor = Actor {
        kind: ActorKind::System,
        id: None,
        name: "test".to_owned(),
        via: Via::CommandLine,
        address: String::new(),
    };
    let by = By { actor, ..boss() };
    let store = Store::open(&world.database).unwrap();
    let now = Clock::System.now();
    store
        .write_blocking(move |conn| -> holdfast::error::Result<()> {
            if proof::public_key(conn)?.is_none() {
                let (public, _) = secret::seal::generate()?;
                proof::publish_key(conn, public.as_str(), now)?;
            }
            // A cycle is shorter than any hold that an owner can set.
            HOLD.key.set(conn, &0, now)?;
            WIPES_PER_HOUR.key.set(conn, &1_000_000, now)?;
            Ok(())
        })
        .unwrap();
    (0..=DEVICES)
        .map(|at| {
            let (by, now) = (by.clone(), Clock::System.now());
            let draft = TokenDraft {
                name: format!("device {at}"),
                team_id: None,
                ownership: Ownership::Company,
                use_limit: 1,
                valid_for: hours(1),
                device_id: None,
            };
            store.act_blocking(move |conn| make_token(conn, &by, &draft, now)).unwrap().1
        })
        .collect()
}

/// An owner with a session that outlives every kill; its id.
fn sign_in(world: &World, name: &str) -> String {
    let now = Clock::System.now();
    // Accounts and roles count for wipes and restores only after 72 hours.
    let since = now - days(4);
    let user = User {
        id: UserId::generate(since),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        password_hash: None,
        state: UserState::Active,
        time_zone: "UTC".to_owned(),
        created_by: None,
        created_at: since,
        password_changed_at: None,
    };
    let opened = Store::open(&world.database).unwrap().act_blocking(move |conn| {
        store::user::insert(conn, &user)?;
        store::user::grant(conn, user.id, (Role::Owner, Scope::Organisation), None, since)?;
        let origin = Origin { address: "127.0.0.1".to_owned(), user_agent: "test".to_owned() };
        open_session(conn, &user, &origin, None, now)
    });
    opened.unwrap().session
}

fn enroll(world: &World, name: &str, token: String) -> Agent {
    let around =
        Surroundings { platform: Box::new(Plain), clock: Clock::System, progress: Arc::new(Silent), home: None };
    let request = EnrollRequest {
        server: world.url(),
        token,
        protect: vec![world.folder(&format!("files-{name}"))],
        name: Some(name.to_owned()),
        ..EnrollRequest::default()
    };
    Agent::enroll(State::open(&world.folder(&format!("agent-{name}"))).unwrap(), around, &request).unwrap()
}

/// A device with a backup that can be restored to the others.
fn back_up(world: &World, token: String) -> DeviceId {
    std::fs::write(world.folder("files-source").join("a.txt"), b"one").unwrap();
    let agent = enroll(world, "source", token);
    agent.back_up(&Stop::default()).unwrap();
    agent.enrollment().device_id
}

impl Device {
    fn of(agent: &Agent) -> Self {
        let enrollment = agent.enrollment().clone();
        Self {
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
            continuity: None,
        };
        let Ok(answer) = client.post::<CheckInAnswer>(CHECK_IN, &message) else { break };
        done.check_ins.insert(device.id, counter);
        done.check_in_count += 1;
        for it in &message.results {
            (if it.done { &mut done.results } else { &mut done.refused }).push(it.id);
        }
        let wipes = answer.commands.iter().filter(|it| it.kind == CommandKind::Wipe);
        done.wipe_orders.extend(wipes.map(|it| it.id));
        results = answer.commands.iter().map(answered).collect();
    }
    done
}

/// Backups are done; wipes and restores are refused, so that the same device can be asked again.
fn answered(order: &Command) -> CommandResult {
    let done = !matches!(order.kind, CommandKind::Wipe | CommandKind::Restore);
    CommandResult { id: order.id, done, detail: "not now".to_owned(), finished_at: Clock::System.now() }
}

/// Uploads its own objects until a request fails.
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
