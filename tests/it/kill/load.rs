//! Clients that write as fast as they are answered, and remember every answer.
use super::people::{Browser, queue_until, restore_until, wipe_until};
use super::server::{Server, World};
use super::told::{Ack, Acknowledged};
use crate::support::disk::Meter;
use crate::support::server::boss;
use agent::net::client::{Client, Signer};
use agent::net::door::Door;
use agent::net::http::Http;
use agent::platform::{Hardware, Platform};
use agent::progress::Silent;
use agent::state::{Credentials, State};
use agent::{Agent, EnrollRequest, Identity, Stop, Surroundings};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::account::UserState;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::By;
use domain::command::CommandKind;
use domain::device::{Ownership, Platform as Kind};
use domain::id::{DeviceId, RestorePointId, UserId};
use domain::role::{Role, Scope};
use domain::time::{Time, days, hours};
use holdfast::service::account::{Origin, open_session};
use holdfast::service::enrollment::{TokenDraft, make_token};
use holdfast::service::proof;
use holdfast::service::setting::{HOLD, WIPES_PER_HOUR};
use holdfast::store;
use holdfast::store::Store;
use holdfast::store::user::User;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;
use wire::{CHECK_IN, CheckIn, CheckInAnswer, Command, CommandResult, DeviceFacts, Fact};

const DEVICES: usize = 3;

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

    /// Starts the load; what is acknowledged is noted with the record of a disk.
    pub fn start(&self, server: &str, door: &str, meter: &Meter) -> Load {
        let (stop, mut threads) = (Stop::default(), Vec::new());
        let work = || Work { stop: stop.clone(), done: Acknowledged::on(meter) };
        for (at, device) in self.devices.iter().enumerate() {
            let (checks, to, it) = (Arc::clone(device), server.to_owned(), work());
            threads.push(std::thread::spawn(move || check_in_until(&checks, &to, it)));
            let (uploads, to, it) = (Arc::clone(device), door.to_owned(), work());
            threads.push(std::thread::spawn(move || upload_until(&uploads, at, &to, it)));
            let (id, it) = (device.id, work());
            threads.push(self.person(server, move |[asker, _]| queue_until(id, asker, it)));
        }
        let (source, devices) = (self.source, self.devices.iter().map(|it| it.id).collect::<Vec<_>>());
        let (targets, it) = (devices.clone(), work());
        threads.push(self.person(server, move |people| wipe_until(&devices, people, it)));
        let it = work();
        threads.push(self.person(server, move |[asker, _]| restore_until(source, &targets, asker, it)));
        Load { stop, threads }
    }

    /// A separate thread in which both people are signed in.
    fn person(
        &self,
        server: &str,
        act: impl FnOnce([&Browser; 2]) -> Acknowledged + Send + 'static,
    ) -> JoinHandle<Acknowledged> {
        let people = self.sessions.each_ref().map(|it| Browser::new(server, it));
        std::thread::spawn(move || act(people.each_ref()))
    }

    /// Whether a server takes no new object, or does not answer.
    pub fn is_refused(&self, server: &str) -> bool {
        self.devices[0].offers(server).is_none_or(|status| status != 200)
    }

    /// What was acknowledged but is missing.
    pub fn missing(&self, world: &World, acknowledged: &Acknowledged) -> Vec<String> {
        let store = Store::open_read_only(&world.database).unwrap();
        let mut missing = acknowledged.missing_rows(&store);
        for (at, name) in acknowledged.uploads() {
            let door = self.devices[at].door(&world.url(), Stop::default());
            match door.read(&format!("data/{name}")) {
                Ok(bytes) if hex::encode(secret::sha256(&bytes)) == name => {}
                Ok(_) => missing.push(format!("upload {name}: its bytes are others")),
                Err(error) => missing.push(format!("upload {name}: {error}")),
            }
        }
        missing
    }
}

/// What a client does until it is stopped, and what it was told so far.
pub struct Work {
    pub stop: Stop,
    pub done: Acknowledged,
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

    /// Offers an object once; the answer's status.
    fn offers(&self, server: &str) -> Option<u16> {
        let bytes = secret::bytes::<8192>().unwrap();
        let name = hex::encode(secret::sha256(&bytes));
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let who = BASE64_STANDARD.encode(format!("{}:{}", self.repository_user, self.token));
        let request = ureq::Agent::from(config).post(format!("{server}{}data/{name}", self.repository_path));
        let answer = request.header("Authorization", format!("Basic {who}")).send(&bytes[..]).ok()?;
        Some(answer.status().as_u16())
    }

    fn door(&self, server: &str, stop: Stop) -> Door {
        let address = format!("{server}{}", self.repository_path);
        Door::new(Http::new(None).unwrap(), &address, &self.repository_user, &self.token, stop)
    }
}

/// Checks in with a counter that grows, until a request fails.
fn check_in_until(device: &Device, server: &str, work: Work) -> Acknowledged {
    let Work { stop, mut done } = work;
    let signer =
        Signer { identity: device.identity.clone(), subject: device.id.to_string(), audience: device.audience.clone() };
    let client = Client::new(Http::new(None).unwrap(), server, signer, Clock::System, 0);
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
            orders: CommandKind::ALL.iter().map(ToString::to_string).collect(),
            continuity: None,
        };
        let Ok(answer) = client.post::<CheckInAnswer>(CHECK_IN, &message) else { break };
        done.note(Ack::CheckIn(device.id, counter));
        for it in &message.results {
            done.note(if it.done { Ack::Result(it.id) } else { Ack::Refused(it.id) });
        }
        for order in answer.commands.iter().filter(|it| it.kind == CommandKind::Wipe) {
            done.note(Ack::WipeOrder(order.id));
        }
        results = answer.commands.iter().map(answered).collect();
    }
    done
}

/// Backups are done; wipes and restores are refused, so that the same device can be asked again.
fn answered(order: &Command) -> CommandResult {
    let done = !matches!(order.kind, CommandKind::Wipe | CommandKind::Restore | CommandKind::UndoRestore);
    CommandResult { id: order.id, done, detail: "not now".to_owned(), finished_at: Clock::System.now() }
}

/// Uploads its own objects until a request fails.
fn upload_until(device: &Device, at: usize, server: &str, work: Work) -> Acknowledged {
    let Work { stop, mut done } = work;
    let door = device.door(server, stop.clone());
    while !stop.is_stopped() {
        let bytes = secret::bytes::<8192>().unwrap();
        let name = hex::encode(secret::sha256(&bytes));
        if door.write(&format!("data/{name}"), &bytes).is_err() {
            break;
        }
        done.note(Ack::Upload(at, name));
    }
    done
}
