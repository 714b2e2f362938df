//! Sidekick, 2009: servers that had lost their data emptied the devices that still had it.
use crate::agent::{Device, listing, order_wipe};
use crate::support::people::colleague;
use crate::support::server::TestServer;
use agent::Stop;
use agent::state::State;
use domain::activity::Actor;
use domain::epoch::{KnownEpoch, READ_ONLY};
use domain::role::Role;
use domain::wipe::WipeState;
use holdfast::{service, store};

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
