//! The skeleton of another platform's channel: it enrolls, brings facts, takes an order and says how that ended, with
//! nothing but what the services offer to every channel.
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::people::colleague;
use crate::support::server::{TestServer, admin};
use crate::support::visit::{Visit, text};
use domain::activity::Via;
use domain::channel::Channel;
use domain::command::{CommandKind, CommandState, Ending, Order};
use domain::device::{Encryption, Platform};
use domain::fact::{EncryptionFact, FactKind, FactValue, Reported};
use domain::id::{CommandId, DeviceId};
use domain::object::RepositoryState;
use domain::role::Role;
use holdfast::error::{Error, Result};
use holdfast::service::check_in::{self, Answer, Caller, Report};
use holdfast::service::command::{self, Ask};
use holdfast::service::enrollment::join::{self, Newcomer};
use holdfast::store;
use holdfast::store::device::Device;

/// A device whose messages are function calls.
struct Loopback<'a> {
    server: &'a TestServer,
    identity: &'static str,
    id: DeviceId,
}

impl<'a> Loopback<'a> {
    fn newcomer(token: String, identity: &str) -> Newcomer {
        Newcomer {
            token_hash: secret::hash(&token),
            name: "tablet-1".to_owned(),
            person: "Grace Hopper".to_owned(),
            platform: Platform::Ipados,
            model: "iPad".to_owned(),
            serial: "LOOP-1".to_owned(),
            os_version: "19.1".to_owned(),
            via: Via::Agent,
            channel: Channel::new("loopback", &[CommandKind::Lock, CommandKind::BackUpNow]),
            identity: identity.to_owned(),
            device_id: None,
            device_generation: None,
        }
    }

    fn enroll(server: &'a TestServer, identity: &'static str) -> Self {
        let newcomer = Self::newcomer(token(server, |_| {}), identity);
        let joined = server.act(move |conn| join::join(conn, &newcomer, "192.0.2.7", NOW)).unwrap();
        Self { server, identity, id: joined.id }
    }

    /// Who it is, by what its channel knows of it.
    fn device(&self) -> Device {
        let identity = self.identity;
        let holder = self.server.read(move |conn| Ok(store::enrollment::holder(conn, "loopback", identity)?));
        holder.unwrap().0
    }

    fn check_in(&self, facts: Vec<Reported>, endings: Vec<Ending>) -> Answer {
        let report = Report { facts, endings, policy_version: String::new(), continuity: None };
        check_in::check(&report, NOW).unwrap();
        let device = self.device();
        self.server.act(move |conn| {
            let caller = Caller { device: &device, roots: Vec::new(), address: "192.0.2.7" };
            check_in::run(conn, caller, &report, NOW)
        })
    }

    fn order(&self, order: Order) -> Result<CommandId> {
        let device = self.device();
        self.server.app.store.act_blocking(move |conn| {
            let ask = Ask { order: &order, request_key: None };
            command::queue(conn, &admin(), &device, ask, NOW).map(|it| it.id)
        })
    }
}

fn encrypted() -> Reported {
    let value = FactValue::Encryption(EncryptionFact { state: Encryption::On, method: "Data Protection".to_owned() });
    Reported { kind: FactKind::Encryption, value, source: "SecurityInfo".to_owned(), measured_at: NOW }
}

#[test]
fn another_channel_enrolls_reports_takes_an_order_and_ends_it() {
    let server = TestServer::start();
    let tablet = Loopback::enroll(&server, "loop-1");

    assert!(tablet.check_in(vec![encrypted()], vec![]).instructions.is_empty());
    let id = tablet.order(Order::lock()).unwrap();
    let orders = tablet.check_in(vec![], vec![]).instructions;
    assert_eq!(orders.iter().map(|it| (it.id, &it.order)).collect::<Vec<_>>(), [(id, &Order::lock())]);
    let ending = Ending { id, done: true, detail: "locked".to_owned() };
    assert!(tablet.check_in(vec![], vec![ending]).instructions.is_empty());

    let command = server.read(move |conn| Ok(store::command::find(conn, id)?)).unwrap();
    assert_eq!((command.state, command.result.as_deref()), (CommandState::Acknowledged, Some("locked")));
    let reader = Visit::of(&server, colleague(&server, "ada", Role::Operator));
    let page = text(&reader.get(&format!("/devices/{}", tablet.id)));
    for word in ["tablet-1", "Data Protection", "SecurityInfo", "Lock"] {
        assert!(page.contains(word), "{word}");
    }
    assert!(!page.contains("Back up and prove"), "what can never reach it is not offered");
}

#[test]
fn what_a_platform_or_a_channel_cannot_do_is_refused_before_it_is_queued() {
    let server = TestServer::start();
    let tablet = Loopback::enroll(&server, "loop-1");

    for (order, why) in [
        (Order::BackUpNow, "“Back up now” is not possible on iPadOS"),
        (Order::RemoveCompanyData, "enrolled through “loopback”, which does not carry “Remove company data”"),
    ] {
        match tablet.order(order) {
            Err(Error::Refused(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(tablet.check_in(vec![], vec![]).instructions.is_empty());
}

#[test]
fn an_agent_that_another_channel_replaces_reaches_nothing_any_more() {
    let server = TestServer::start();
    let agent = SimDevice::join(&server);
    let id = agent.id();
    let again = Loopback::newcomer(token(&server, |it| it.device_id = Some(id)), "loop-1");
    let joined = server.act(move |conn| join::join(conn, &again, "192.0.2.7", NOW)).unwrap();

    assert_eq!((joined.id, joined.generation), (id, 2));
    let repository = server.read(move |conn| Ok(store::repository::of_device(conn, id)?)).remove(0);
    assert_ne!(repository.state, RepositoryState::Active, "the older machine adds no backup");
    let tokens = server.read(move |conn| Ok(store::repository::tokens(conn, repository.id)?));
    assert!(tokens.iter().all(|it| it.revoked_at.is_some()));
    let refused = agent.send(&server, wire::CHECK_IN, &agent.check_in_message(wire::DeviceFacts::default(), vec![]));
    assert_eq!(refused.status, 401);
}

#[test]
fn one_identity_is_one_device_on_its_channel() {
    let server = TestServer::start();
    let tablet = Loopback::enroll(&server, "loop-1");
    let again = Loopback::newcomer(token(&server, |_| {}), "loop-1");
    let taken = server.app.store.act_blocking(move |conn| join::join(conn, &again, "192.0.2.8", NOW).map(drop));
    assert!(matches!(taken, Err(Error::Refused(_))), "{taken:?}");

    let other = Loopback::enroll(&server, "loop-2");
    assert_ne!(other.id, tablet.id);
}
