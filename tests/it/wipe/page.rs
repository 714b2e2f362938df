//! The pages of a wipe, without scripts.
use super::world::{World, restore_point};
use crate::support::NOW;
use crate::support::people::{self, colleague, person};
use crate::support::visit::{Visit, hidden, location, text};
use domain::command::CommandKind;
use domain::device::{DeviceState, Ownership};
use domain::object::TokenKind;
use domain::role::Role;
use domain::wipe::{WipeAction, WipeState};
use holdfast::service::wipe::Ask;
use holdfast::store;
use holdfast::store::restore_point::RestorePoint;
use wire::Payload;

fn ask_fields<'a>(token: &'a str, serial: &'a str, consent: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("action", "wipe"),
        ("reason", "lost_or_stolen"),
        ("ticket", "INC <17>"),
        ("facts_token", token),
        ("serial", serial),
        ("consent", consent),
        ("request_key", "one"),
    ]
}

#[test]
fn two_people_wipe_a_device_by_its_pages() {
    let world = World::new();
    let (asker, second) = (Visit::of(&world.server, world.asker), Visit::of(&world.server, world.second));
    let path = format!("/devices/{}/wipe", world.device.id());

    let page = text(&asker.get(&path));
    for said in ["4 files (4.0 kB) exist only on this device and will be lost.", "Another 92 files", "Lock instead"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let token = hidden(&page, "facts_token");
    let sent = asker.post(&format!("{path}-requests"), &ask_fields(&token, "SN-1", "4 lost, 92 not proven"));
    let request = location(&sent);
    let shown = text(&second.get(&request));
    assert!(shown.contains("Approve wipe") && shown.contains("INC &#60;17&#62;"), "{shown}");
    assert!(text(&second.get("/approvals")).contains(&request));
    let mine = text(&asker.get(&request));
    assert!(!mine.contains("Approve wipe"));
    let approval = [("agreed", hidden(&shown, "agreed")), ("current", hidden(&shown, "current"))];
    let fields: Vec<_> = approval.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(location(&second.post(&format!("{request}/approvals"), &fields)), request);
    assert!(text(&asker.get(&request)).contains("unless it is stopped"));
    world.cools();

    assert_eq!(world.fetches().len(), 1);
    let log = text(&second.get("/wipe-requests"));
    assert!(log.contains("Delivered") && log.contains("asker") && log.contains("second"), "{log}");
}

#[test]
fn what_is_done_instead_of_a_wipe_is_done_once_however_often_it_is_pressed() {
    let world = World::new();
    let asker = Visit::of(&world.server, world.asker);
    let device = world.device.id();
    let page = text(&asker.get(&format!("/devices/{device}/wipe")));

    for (act, kind) in [("lock-commands", CommandKind::Lock), ("backup-commands", CommandKind::BackUpNow)] {
        let form = page.split_once(&format!("action=\"/devices/{device}/{act}\"")).unwrap().1;
        let key = hidden(form, "request_key");
        for _ in 0..2 {
            asker.post(&format!("/devices/{device}/{act}"), &[("request_key", &key)]);
        }
        let queued = world.server.read(|conn| Ok(store::command::of_device(conn, device, 20)?));
        assert_eq!(queued.iter().filter(|it| it.kind == kind).count(), 1, "{kind}");
    }
}

#[test]
fn what_was_typed_stays_when_something_is_wrong() {
    let world = World::new();
    let asker = Visit::of(&world.server, world.asker);
    let path = format!("/devices/{}/wipe", world.device.id());
    let token = hidden(&text(&asker.get(&path)), "facts_token");

    let answer = asker.post(&format!("{path}-requests"), &ask_fields(&token, "SN-9", ""));

    let page = text(&answer);
    assert_eq!(answer.status, 422);
    assert!(page.contains("Type the serial number exactly: SN-1") && page.contains("Tick this box"), "{page}");
    assert!(page.contains("value=\"SN-9\"") && page.contains("INC &#60;17&#62;"));
    assert!(page.contains("value=\"lost_or_stolen\" selected"));
}

#[test]
fn facts_that_changed_are_shown_again_with_the_reason() {
    let world = World::new();
    let asker = Visit::of(&world.server, world.asker);
    let path = format!("/devices/{}/wipe", world.device.id());
    let token = hidden(&text(&asker.get(&path)), "facts_token");
    world.says(7);

    let answer = asker.post(&format!("{path}-requests"), &ask_fields(&token, "SN-1", "4 lost, 92 not proven"));

    let page = text(&answer);
    assert_eq!(answer.status, 409);
    assert!(page.contains("The facts have changed since this page was shown") && page.contains("7 files"), "{page}");
}

#[test]
fn a_wipe_needs_a_password_entered_just_now() {
    let world = World::new();
    let asker = Visit::stale(&world.server, world.asker);
    let path = format!("/devices/{}/wipe", world.device.id());

    let page = text(&asker.get(&path));
    let sent = asker
        .post(&format!("{path}-requests"), &ask_fields(&hidden(&page, "facts_token"), "SN-1", "4 lost, 92 not proven"));

    assert!(page.contains("name=\"password\""), "{page}");
    assert_eq!(sent.status, 422);
    assert!(text(&sent).contains("value=\"SN-1\""), "what was typed stays");
    assert!(text(&asker.get("/wipe-requests")).contains("No wipe has been requested yet"));
    let request = world.requested();
    let second = Visit::stale(&world.server, world.second);
    for act in ["approvals", "hold-ends"] {
        let answer = second.post(&format!("/wipe-requests/{}/{act}", request.id), &[]);
        assert_eq!(answer.status, 422);
        assert!(text(&answer).contains("Enter your password"), "{}", text(&answer));
    }
    assert_eq!(world.state(request.id), WipeState::Requested);
}

#[test]
fn a_personal_device_offers_no_full_wipe_and_takes_none() {
    let world = World::with(Ownership::Personal);
    let asker = Visit::of(&world.server, world.asker);
    let path = format!("/devices/{}/wipe", world.device.id());

    let page = text(&asker.get(&path));
    let token = hidden(&page, "facts_token");
    let answer = asker.post(&format!("{path}-requests"), &ask_fields(&token, "SN-1", "4 lost, 92 not proven"));

    assert!(!page.contains("value=\"wipe\"") && page.contains("personal device"), "{page}");
    assert!(page.contains("No file on the device is touched") && !page.contains("will be lost"), "{page}");
    assert!(page.contains("Remove company data</button>"), "{page}");
    assert_eq!(answer.status, 409);
    assert!(text(&answer).contains("it has no full wipe"));
}

#[test]
fn removing_company_data_is_told_as_what_it_is() {
    let world = World::with(Ownership::Personal);
    let second = Visit::of(&world.server, world.second);

    let request = world.requests(removal(&world)).unwrap();

    let page = text(&second.get(&format!("/wipe-requests/{}", request.id)));
    assert!(page.contains("No file on the device is touched") && !page.contains("will be lost"), "{page}");
    let waiting = text(&second.get("/approvals"));
    assert!(waiting.contains("The keys, no files"), "{waiting}");
    let mails = world.server.read(|conn| Ok(store::mail::due(conn, world.now(), 50)?));
    let mail = mails.iter().find(|it| it.subject == "Removal of company data requested: laptop-1").unwrap();
    assert!(mail.body.contains("Wipe requested by "), "{}", mail.body);
    assert!(mail.body.contains("What would be lost: No files on the device"), "{}", mail.body);
}

fn removal(world: &World) -> Ask {
    Ask { action: WipeAction::RemoveCompanyData, ..world.ask() }
}

#[test]
fn a_device_whose_company_data_was_removed_is_nowhere_called_wiped() {
    let world = World::with(Ownership::Personal);
    let released = world.releases(removal(&world));
    let orders = world.fetches();
    assert_eq!((orders[0].kind, &orders[0].payload), (CommandKind::RemoveCompanyData, &Payload::None));
    let mut report = world.report(&released, &[]);
    report.roots.clear();
    assert_eq!(world.sends(&report).status, 200);

    let device = world.server.read(|conn| Ok(store::device::find(conn, world.device.id())?)).unwrap();
    assert_eq!((device.state, device.erased_at), (DeviceState::CompanyDataRemoved, Some(world.now())));
    assert_eq!(world.find(released.id).state_note, "key destroyed, no folder touched");
    let visit = Visit::of(&world.server, person(&world.server, "reader", &[Role::Owner], None, people::SINCE));
    let (one, list) = (format!("/devices/{}", device.id), "/devices?state=company_data_removed");
    for path in [one.as_str(), list, "/wipe-requests", "/commands?kind=remove_company_data"] {
        let page = text(&visit.get(path));
        assert!(page.contains("laptop-1"), "{path}: {page}");
        let shown = page.replace("<option value=\"wiped\">Wiped</option>", "").replace("If wiped now", "");
        assert!(shown.contains("ompany data") && !shown.to_lowercase().contains("wiped"), "{path}: {shown}");
    }
    let json = visit.get(&format!("{one}.json")).json();
    assert_eq!(
        (&json["state"], &json["commands"][0]["kind"]),
        (&"company_data_removed".into(), &"remove_company_data".into())
    );
    for what in ["requested", "approved", "confirmed"] {
        assert_eq!(world.told(&format!("Removal of company data {what}: laptop-1")), 2, "{what}");
    }
}

#[test]
fn why_a_wipe_was_stopped_is_on_its_page() {
    let world = World::new();
    let visit = Visit::of(&world.server, world.second);
    let path = format!("/wipe-requests/{}", world.requested().id);

    let refused = visit.post(&format!("{path}/stops"), &[("why", &"x".repeat(201))]);
    assert_eq!(refused.status, 422);
    assert!(text(&refused).contains(&"x".repeat(201)), "what was typed stays");
    assert_eq!(location(&visit.post(&format!("{path}/stops"), &[("why", "found <again>")])), path);

    let page = text(&visit.get(&path));
    assert!(page.contains("Found &#60;again&#62;. Nothing was erased."), "{page}");
}

#[test]
fn what_was_typed_to_request_again_stays() {
    let world = World::new();
    let asker = Visit::of(&world.server, world.asker);
    let request = world.requested();
    world.says(7);
    world.approves_as(world.second, &request).unwrap();
    let path = format!("/wipe-requests/{}", request.id);
    let token = hidden(&text(&asker.get(&path)), "facts_token");

    let answer = asker.post(&format!("{path}/reviews"), &[("facts_token", &token), ("serial", "SN-9")]);

    assert_eq!(answer.status, 422);
    assert!(text(&answer).contains("value=\"SN-9\""), "{}", text(&answer));
}

#[test]
fn what_came_to_nothing_says_so_and_can_be_asked_again() {
    let world = World::new();
    let request = world.requested();
    world.stops(request.id).unwrap();
    let (asker, second) = (Visit::of(&world.server, world.asker), Visit::of(&world.server, world.second));

    let [mine, theirs] = [asker, second].map(|it| text(&it.get(&format!("/wipe-requests/{}", request.id))));
    assert!(mine.contains("Nothing was erased.") && mine.contains("Request it again"), "{mine}");
    assert!(theirs.contains("Nothing was erased.") && !theirs.contains("Request it again"), "{theirs}");
}

#[test]
fn the_page_of_a_device_leads_to_its_wipe_as_long_as_that_is_under_way() {
    let world = World::new();
    let request = world.requested();
    let asker = Visit::of(&world.server, world.asker);
    let page = || text(&asker.get(&format!("/devices/{}", world.device.id())));
    let [followed, asked] =
        [format!("/wipe-requests/{}", request.id), format!("/devices/{}/wipe\"", world.device.id())];

    let under_way = page();
    assert!(under_way.contains(&followed) && under_way.contains("Requested") && !under_way.contains(&asked));
    world.stops(request.id).unwrap();

    let stopped = page();
    assert!(!stopped.contains(&followed) && stopped.contains(&asked));
}

#[test]
fn a_first_layer_of_nothing_is_not_followed_by_another() {
    let world = World::new();
    world.says(0);
    let asker = Visit::of(&world.server, world.asker);

    let page = text(&asker.get(&format!("/devices/{}/wipe", world.device.id())));

    assert!(page.contains("counted no files") && page.contains(" 92 files") && !page.contains("Another"), "{page}");
}

#[test]
fn who_may_not_is_told_so_and_who_sees_it_can_stop_it() {
    let world = World::new();
    let observer = colleague(&world.server, "observer", Role::Observer);
    let observer = Visit::of(&world.server, observer);
    let request = world.requested();
    let path = format!("/wipe-requests/{}", request.id);

    assert_eq!(observer.get(&format!("/devices/{}/wipe", world.device.id())).status, 403);
    assert_eq!(observer.post(&format!("{path}/approvals"), &[]).status, 403);
    let asker = Visit::of(&world.server, world.asker);
    assert_eq!(asker.post(&format!("{path}/approvals"), &[]).status, 403, "an operator approves nothing");
    assert!(text(&observer.get(&path)).contains("Stop, keep device"));
    assert_eq!(location(&observer.post(&format!("{path}/stops"), &[])), path);

    assert_eq!(world.state(request.id), WipeState::Cancelled);
}

#[test]
fn an_owner_reads_why_they_cannot_approve_their_own() {
    let world = World::new();
    let owner = person(&world.server, "owner", &[Role::Owner], None, people::SINCE);
    let owner = Visit::of(&world.server, owner);
    let path = format!("/devices/{}/wipe", world.device.id());
    let token = hidden(&text(&owner.get(&path)), "facts_token");
    let sent = owner.post(&format!("{path}-requests"), &ask_fields(&token, "SN-1", "4 lost, 92 not proven"));
    let request = location(&sent);

    let page = text(&owner.get(&request));
    let tried = owner.post(&format!("{request}/approvals"), &[("agreed", "x"), ("current", "y")]);

    assert!(page.contains("you requested this") && !page.contains("Approve wipe"), "{page}");
    assert_eq!(tried.status, 409);
}

#[test]
fn who_may_not_decide_reads_that_requests_wait_for_somebody_else() {
    let world = World::new();
    let newcomer = person(&world.server, "newcomer", &[Role::Owner], None, world.now());
    let visit = Visit::of(&world.server, newcomer);
    assert!(text(&visit.get("/approvals")).contains("Nothing is waiting for you."));
    world.requested();

    let page = text(&visit.get("/approvals"));

    assert!(page.contains("1 <span class=\"wide\">waiting"), "{page}");
    assert!(page.contains("1 request waits for a decision that is not yours"), "{page}");
    assert!(!page.contains("Nothing is waiting for you"), "{page}");
}

#[test]
fn worse_facts_are_marked_and_the_requester_looks_again() {
    let world = World::new();
    let request = world.requested();
    world.says(9);
    let (asker, second) = (Visit::of(&world.server, world.asker), Visit::of(&world.server, world.second));
    let path = format!("/wipe-requests/{}", request.id);
    let shown = text(&second.get(&path));
    assert!(shown.contains("Worse"), "{shown}");

    let fields = [("agreed", hidden(&shown, "agreed")), ("current", hidden(&shown, "current"))];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    second.post(&format!("{path}/approvals"), &fields);
    assert_eq!(world.state(request.id), WipeState::ReviewAgain);
    let again = text(&asker.get(&path));
    let token = hidden(&again, "facts_token");
    let wrong = asker.post(&format!("{path}/reviews"), &[("facts_token", &token), ("serial", "SN-1"), ("consent", "")]);
    assert_eq!(wrong.status, 422);
    let right = [("facts_token", token.as_str()), ("serial", "SN-1"), ("consent", "9 lost, 92 not proven")];
    location(&asker.post(&format!("{path}/reviews"), &right));

    assert_eq!(world.state(request.id), WipeState::Requested);
}

#[test]
fn everything_stops_with_one_button() {
    let world = World::new();
    let request = world.requested();
    let second = Visit::of(&world.server, world.second);
    assert!(text(&second.get("/approvals")).contains("Stop all wipes"));

    assert_eq!(location(&second.post("/wipe-requests/stops", &[])), "/approvals");

    assert_eq!(world.state(request.id), WipeState::Cancelled);
    assert!(text(&second.get("/approvals")).contains("Nothing is waiting for you."));
}

#[test]
fn an_own_clients_backup_changes_nothing_of_what_a_wipe_would_lose() {
    let world = World::new();
    let id = world.device.id();
    let receives = |sent_by| {
        world.server.act(move |conn| {
            let repository = store::repository::active_of_device(conn, id)?.unwrap();
            let point = RestorePoint { sent_by, file_count: None, ..restore_point(repository.id, id, NOW) };
            store::restore_point::insert(conn, &point)?;
            Ok(point.id)
        })
    };

    let refreshes = || world.server.act(move |conn| holdfast::service::proof::refresh(conn, id));
    // What the points themselves show, before and after.
    refreshes();
    let agreed = world.facts();
    receives(TokenKind::OwnClient);
    refreshes();
    assert_eq!((world.facts(), world.facts().loss()), (agreed.clone(), agreed.loss()));

    // What the agent sent counts at once, even before the device says what is in it.
    let by_agent = receives(TokenKind::Agent);
    refreshes();
    assert_eq!(world.facts().known.newest.map(|it| it.id), Some(by_agent));
}
