//! One stolen session cannot remove many devices before somebody notices.
use crate::device_page::{add, owner};
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use domain::activity::Actor;
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::role::Role;
use domain::time::{Time, hours, minutes};
use holdfast::cli::control;
use holdfast::error::Result;
use holdfast::store::Conn;
use holdfast::{job, service, store};

fn removes(visit: &Visit<'_>, id: DeviceId, name: &str) -> u16 {
    visit.post(&format!("/devices/{id}/removals"), &[("confirm", name)]).status
}

fn removed(server: &TestServer) -> usize {
    let all = server.read(|conn| Ok(store::device::all(conn)?));
    all.iter().filter(|it| it.state == DeviceState::Removed).count()
}

fn job(server: &TestServer) {
    job::wipe::run_once(&server.app.store, &server.app.clock).unwrap();
}

#[test]
fn removals_that_follow_each_other_have_the_hold_and_the_limit_of_wipes_and_a_mail_each() {
    let server = TestServer::start();
    colleague(&server, "auditor", Role::Auditor);
    let observer = Visit::of(&server, colleague(&server, "observer", Role::Observer));
    let owner = owner(&server);
    let visit = Visit::of(&server, owner);
    let ids: Vec<_> = (0..10).map(|at| add(&server, &format!("laptop-{at}"), |_| {})).collect();

    let answers: Vec<_> =
        ids.iter().enumerate().map(|(at, id)| removes(&visit, *id, &format!("laptop-{at}"))).collect();

    assert_eq!(removed(&server), 1, "the first at once");
    assert_eq!(answers, [303, 303, 303, 409, 409, 409, 409, 409, 409, 409], "one person's share of five is three");
    let named: Vec<_> = server.mails().into_iter().filter(|it| it.to == "auditor@example.org").collect();
    assert!((0..3).all(|at| named.iter().any(|it| it.subject.contains(&format!("laptop-{at}")))), "{named:?}");

    let held = format!("/devices/{}", ids[1]);
    assert!(text(&observer.get(&held)).contains("Stop the removal"));
    assert_eq!(location(&observer.post(&format!("{held}/removals/stops"), &[])), held);
    server.app.clock.advance(minutes(10));
    job(&server);
    assert_eq!(removed(&server), 2, "one was stopped, one went on");
    let ended = |id| {
        let enrollment = server.read(move |conn| Ok(store::enrollment::find(conn, id, 1)?)).unwrap();
        enrollment.ended_at.is_some()
    };
    assert_eq!((ended(ids[0]), ended(ids[1])), (true, false), "what was stopped is enrolled as before");
    server.app.clock.advance(hours(1));
    let visit = Visit::of(&server, owner);
    assert_eq!(removes(&visit, ids[1], "laptop-1"), 303, "the next hour has room again");
}

#[test]
fn after_a_freeze_the_hold_of_a_removal_begins_again() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    for name in ["laptop-0", "laptop-1"] {
        removes(&visit, add(&server, name, |_| {}), name);
    }
    assert_eq!(removed(&server), 1, "the other is on hold");
    let host = |act: fn(&mut Conn, &Actor, Time) -> Result<()>| {
        let now = server.app.clock.now();
        server.act(move |conn| act(conn, &control::actor(0), now));
    };
    // Twice: each time the same hold, and not one that grows.
    for _ in 0..2 {
        host(service::host::freeze);
        server.app.clock.advance(hours(2));
        job(&server);
        host(service::host::unfreeze);
    }
    job(&server);
    assert_eq!(removed(&server), 1, "nobody could look at it meanwhile");
    server.app.clock.advance(minutes(10));
    job(&server);
    assert_eq!(removed(&server), 2);
}
