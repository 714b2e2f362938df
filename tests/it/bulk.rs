//! One act on many devices: a page that names them all, then the act, and one way to take it back.
use crate::device_page::{add, owner};
use crate::support::fleet;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, location, text};
use domain::command::CommandState;
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::role::Role;
use holdfast::store;

const LOCK: &str = "/devices/lock-commands";

fn three(server: &TestServer) -> Vec<DeviceId> {
    (0..3).map(|at| add(server, &format!("laptop-{at}"), |_| {})).collect()
}

/// How many commands are waiting.
fn queued(server: &TestServer) -> usize {
    let all = server.read(|conn| Ok(store::command::newest(conn, 99)?));
    all.iter().filter(|it| it.state == CommandState::Queued).count()
}

/// The fields that a confirming page sends on.
fn kept(page: &str, ids: &[DeviceId]) -> Vec<(String, String)> {
    let mut fields: Vec<_> =
        ["confirmed", "request_key", "query"].map(|it| (it.to_owned(), hidden(page, it))).into_iter().collect();
    fields.extend(ids.iter().map(|it| ("id".to_owned(), it.to_string())));
    fields
}

fn pairs(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn one_click_locks_nothing_and_a_second_on_the_page_that_names_them_does() {
    let server = TestServer::start();
    let ids = three(&server);
    colleague(&server, "auditor", Role::Auditor);
    let visit = Visit::of(&server, owner(&server));
    let chosen: Vec<_> = ids.iter().map(|it| ("id", it.as_str())).collect();

    let asked = visit.post(LOCK, &chosen);

    let page = text(&asked);
    assert_eq!((asked.status, queued(&server)), (200, 0), "{page}");
    assert!(page.contains("Lock 3 devices?"), "{page}");
    assert!((0..3).all(|at| page.contains(&format!(">laptop-{at}</a>"))), "{page}");
    let fields = kept(&page, &ids);
    let to = location(&visit.post(LOCK, &pairs(&fields)));
    assert_eq!(queued(&server), 3);
    assert_eq!(location(&visit.post(LOCK, &pairs(&fields))), to, "sent twice is one act");
    assert_eq!(queued(&server), 3);
    let mails = server.mails();
    let mail = mails.iter().find(|it| it.to == "auditor@example.org").expect("a mail to those who watch");
    assert!((0..3).all(|at| mail.body.contains(&format!("laptop-{at} (serial"))), "{}", mail.body);

    let list = text(&visit.get(&to));
    assert!(list.contains("Cancel all that still wait"), "{list}");
    let batch = hidden(&list, "batch");
    location(&visit.post("/commands/cancellations", &[("batch", &batch)]));
    let states = server.read(|conn| Ok(store::command::newest(conn, 9)?));
    assert!(states.iter().all(|it| it.state == CommandState::Cancelled), "{states:?}");
}

#[test]
fn cancel_all_leaves_what_others_queued_in_another_form() {
    let server = TestServer::start();
    let ids = three(&server);
    let visit = Visit::of(&server, owner(&server));
    let mut batches = Vec::new();
    for part in [&ids[..2], &ids[2..]] {
        let chosen: Vec<_> = part.iter().map(|it| ("id", it.as_str())).collect();
        let fields = kept(&text(&visit.post(LOCK, &chosen)), part);
        batches.push(location(&visit.post(LOCK, &pairs(&fields))));
    }

    let batch = hidden(&text(&visit.get(&batches[0])), "batch");
    location(&visit.post("/commands/cancellations", &[("batch", &batch)]));

    assert_eq!(queued(&server), 1);
    assert_eq!(visit.get("/commands?batch=%25").status, 200);
    location(&visit.post("/commands/cancellations", &[("batch", "%")]));
    assert_eq!(queued(&server), 1, "a percent sign is itself");
    let observer = Visit::of(&server, colleague(&server, "observer", Role::Observer));
    observer.post("/commands/cancellations", &[]);
    assert_eq!(queued(&server), 1, "who may not lock cancels nothing");
}

#[test]
fn devices_that_the_page_did_not_name_are_named_before_anything_is_done() {
    let server = TestServer::start();
    let ids = three(&server);
    let visit = Visit::of(&server, owner(&server));
    let fields = kept(&text(&visit.post(LOCK, &[("id", ids[0].as_str())])), &ids);

    let answer = visit.post(LOCK, &pairs(&fields));

    let page = text(&answer);
    assert_eq!((answer.status, queued(&server)), (200, 0), "{page}");
    assert!(page.contains("Nothing was done."), "{page}");
}

#[test]
fn locking_many_asks_for_a_password_entered_just_now_and_backing_up_does_not() {
    let server = TestServer::start();
    let ids = three(&server);
    let stale = Visit::stale(&server, owner(&server));
    let chosen: Vec<_> = ids.iter().map(|it| ("id", it.as_str())).collect();

    let page = text(&stale.post(LOCK, &chosen));
    assert!(page.contains("type=\"password\""), "{page}");
    let answer = stale.post(LOCK, &pairs(&kept(&page, &ids)));
    assert_eq!((answer.status, queued(&server)), (422, 0));
    assert!(text(&answer).contains("Enter your password"));

    let back_up = "/devices/backup-commands";
    let page = text(&stale.post(back_up, &chosen));
    location(&stale.post(back_up, &pairs(&kept(&page, &ids))));
    assert_eq!(queued(&server), 3);
}

#[test]
fn one_by_one_nobody_locks_more_than_twenty_within_an_hour() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    for at in 0..=20 {
        let id = add(&server, &format!("laptop-{at}"), |_| {});
        let answer = visit.post(&format!("/devices/{id}/lock-commands"), &[("request_key", &format!("form-{at}"))]);
        assert_eq!(answer.status, if at < 20 { 303 } else { 409 }, "{at}: {}", text(&answer));
    }
    assert_eq!(queued(&server), 20);
}

#[test]
fn more_than_five_hundred_at_once_are_refused() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let ids: Vec<_> = (0..501).map(|at| DeviceId::generate(domain::time::Time::from_millis(at)).to_string()).collect();
    let chosen: Vec<_> = ids.iter().map(|it| ("id", it.as_str())).collect();

    assert_eq!(visit.post(LOCK, &chosen).status, 422);
}

#[test]
fn more_than_five_hundred_that_match_are_refused_with_their_number() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    server.act(|conn| {
        (0..501).for_each(|at| fleet::insert(conn, &fleet::device(&format!("laptop-{at}"))));
        Ok(())
    });
    for (path, expected) in [
        (LOCK, "expected_lock"),
        ("/devices/backup-commands", "expected_run"),
        ("/devices/restore-tests", "expected_run"),
    ] {
        let all = [("scope", "all"), ("query", "q=laptop"), (expected, "501"), ("request_key", "k")];

        let answer = visit.post(path, &all);

        let page = text(&answer);
        assert_eq!((answer.status, queued(&server)), (409, 0), "{path}: {page}");
        assert!(page.contains("501 devices match; filter the list to at most 500 at once"), "{path}: {page}");
    }
}

#[test]
fn a_device_that_is_gone_gets_no_command_by_itself_or_among_others() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let here = add(&server, "laptop-here", |_| {});
    let gone = [DeviceState::Wiped, DeviceState::Removed, DeviceState::WipeFailed]
        .map(|state| add(&server, &format!("laptop-{state}"), move |any| any.0.state = state));
    for act in ["lock-commands", "backup-commands"] {
        for id in &gone {
            let alone = visit.post(&format!("/devices/{id}/{act}"), &[("request_key", &format!("{act} {id}"))]);
            let ticked = visit.post(&format!("/devices/{act}"), &[("id", here.as_str()), ("id", id.as_str())]);
            for answer in [alone, ticked] {
                let page = text(&answer);
                assert_eq!((answer.status, queued(&server)), (409, 0), "{act} {id}: {page}");
                assert!(page.contains("accepts no commands"), "{act} {id}: {page}");
            }
        }
    }

    let list = text(&visit.get("/devices?q=laptop"));
    assert!(gone.iter().all(|id| list.contains(&format!("/devices/{id}\""))), "a search finds them: {list}");
    let boxes = |id: &DeviceId| list.matches(&format!("name=\"id\" value=\"{id}\"")).count();
    assert_eq!((boxes(&here), gone.iter().map(boxes).sum::<usize>()), (1, 0), "there is nothing to tick: {list}");
    let all = [("scope", "all"), ("query", "q=laptop"), ("expected_lock", "1"), ("request_key", "k")];
    let named = text(&visit.post(LOCK, &all));
    assert!(named.contains("Lock 1 device?") && named.contains(">laptop-here</a>"), "{named}");
}
