//! Sidekick, 2009: servers that had lost their data emptied the devices that still had it.
use crate::agent::{Device, listing, order_wipe};
use crate::support::device::{SimDevice, token};
use crate::support::people::colleague;
use crate::support::server::TestServer;
use agent::Stop;
use agent::state::State;
use domain::activity::Actor;
use domain::epoch::{KnownEpoch, READ_ONLY};
use domain::role::Role;
use domain::wipe::WipeState;
use holdfast::{service, store};
use wire::{DeviceFacts, Enroll};

/// What `holdfast dr restore` does once an older database is in place.
fn comes_back_older(server: &TestServer) {
    let now = server.app.clock.now();
    server.act(move |conn| service::epoch::begin(conn, &Actor::system(), now));
}

#[test]
fn d02_no_device_loses_anything_to_a_server_that_came_back_from_an_older_copy() {
    let server = TestServer::start();
    let devices = [(); 3].map(|()| Device::new());
    let agents = devices.each_ref().map(|it| it.enroll(&server, &server.url()));
    let before = devices.each_ref().map(|it| listing(&it.docs()));
    for agent in &agents {
        agent.back_up(&Stop::default()).unwrap();
        agent.check_in().unwrap();
    }
    // The older copy holds an order that was withdrawn after it was made: nothing in it tells that.
    let wipe = order_wipe(&server, agents[0].enrollment().device_id);

    comes_back_older(&server);
    let now = server.app.clock.now();
    // Even if the server itself stopped nothing.
    server.act(move |conn| Ok(store::setting::FROZEN_SINCE.remove(conn)?));
    for agent in &agents {
        for _ in 0..3 {
            let answer = agent.check_in().unwrap();
            assert_eq!(answer.epoch.map(|it| it.confirmed), Some(false));
            for order in &answer.commands {
                assert_eq!(agent.accept(order).unwrap(), agent::Order::Nothing, "{order:?}");
            }
        }
        agent.back_up(&Stop::default()).unwrap();
    }

    assert_eq!(devices.each_ref().map(|it| listing(&it.docs())), before);
    let wipe = server.read(move |conn| Ok(store::wipe::find(conn, wipe)?)).unwrap();
    assert_eq!(wipe.state, WipeState::Failed);
    assert!(wipe.state_note.contains(READ_ONLY), "{}", wipe.state_note);

    // Once people have looked, orders count again.
    server.act(move |conn| {
        service::host::freeze(conn, &Actor::system(), now)?;
        service::host::unfreeze(conn, &Actor::system(), now)
    });
    for (agent, device) in agents.iter().zip(&devices) {
        assert_eq!(agent.check_in().unwrap().epoch.map(|it| it.confirmed), Some(true));
        assert!(!State::view(&device.state()).unwrap().get::<KnownEpoch>().unwrap().is_read_only());
    }
}

/// How many devices check in, and how many do at once.
const DEVICES: usize = 100;
const AT_ONCE: usize = 8;

/// A device that does only what an agent decides by the server's word: whether it may erase anything.
struct Simulated {
    device: SimDevice,
    epoch: KnownEpoch,
}

impl Simulated {
    fn join(server: &TestServer, token: &str, number: usize) -> Self {
        let mut device = SimDevice::new();
        let serial = format!("SN-{number}");
        let message = Enroll { serial, name: format!("laptop-{number}"), ..device.enroll_message(token) };
        device.enrolled = Some(device.send_enroll(server, &message).message());
        Self { device, epoch: KnownEpoch::default() }
    }

    /// Checks in; returns how many orders came that take something from it, and how many of them it would carry out.
    fn checks_in(&mut self, server: &TestServer) -> [usize; 2] {
        let answer = self.device.check_in(server, DeviceFacts::default());
        self.epoch = std::mem::take(&mut self.epoch).hears(answer.epoch.as_ref());
        let orders = answer.commands.iter().filter(|it| it.kind.overwrites()).count();
        [orders, if self.epoch.is_read_only() { 0 } else { orders }]
    }
}

/// Does something for each device, several at once; returns the sums.
fn for_each<const N: usize>(fleet: &mut [Simulated], work: impl Fn(&mut Simulated) -> [usize; N] + Sync) -> [usize; N] {
    let (each, work) = (fleet.len().div_ceil(AT_ONCE), &work);
    let add = |all: [usize; N], some: [usize; N]| std::array::from_fn(|at| all[at] + some[at]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = fleet
            .chunks_mut(each)
            .map(|some| scope.spawn(move || some.iter_mut().map(work).fold([0; N], add)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).fold([0; N], add)
    })
}

#[test]
fn d02_a_hundred_devices_that_check_in_at_a_restored_server_erase_nothing() {
    let server = TestServer::start();
    let token = token(&server, |it| it.use_limit = 100_000);
    let mut fleet: Vec<_> = (0..DEVICES).map(|it| Simulated::join(&server, &token, it)).collect();
    assert_eq!(for_each(&mut fleet, |it| it.checks_in(&server)), [0, 0]);
    let is_read_only = |it: &mut Simulated| [usize::from(it.epoch.is_read_only())];
    assert_eq!(for_each(&mut fleet, is_read_only), [0]);
    order_wipe(&server, fleet[0].device.id());

    comes_back_older(&server);
    // Even if the server itself stopped nothing.
    server.act(move |conn| Ok(store::setting::FROZEN_SINCE.remove(conn)?));

    for _ in 0..2 {
        let [came, carried_out] = for_each(&mut fleet, |it| it.checks_in(&server));
        assert_eq!((came, carried_out), (1, 0), "the server sends it, and the device refuses");
        assert_eq!(for_each(&mut fleet, is_read_only), [DEVICES]);
    }
    // Once people have looked, orders count again: what held them was this.
    let now = server.app.clock.now();
    server.act(move |conn| {
        service::host::freeze(conn, &Actor::system(), now)?;
        service::host::unfreeze(conn, &Actor::system(), now)
    });
    let [_, carried_out] = for_each(&mut fleet, |it| it.checks_in(&server));
    assert_eq!((carried_out, for_each(&mut fleet, is_read_only)), (1, [0]));
}

#[test]
fn d02_a_restored_server_is_frozen_and_everyone_is_told() {
    let server = TestServer::start();
    colleague(&server, "owner", Role::Owner);
    comes_back_older(&server);

    let refused = server.app.store.read_blocking(service::freeze::check).unwrap_err().to_string();
    assert!(refused.contains("frozen"), "{refused}");
    let told = server.mails().into_iter().filter(|it| it.subject.contains("Restored from an older copy")).count();
    assert_eq!(told, 1);
}
