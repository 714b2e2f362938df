//! One answer to "what would be lost?": the database, the domain, and every surface.
use crate::support::NOW;
use crate::support::TestDatabase;
use crate::support::device::SimDevice;
use crate::support::fleet;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::wipe::World;
use domain::device::{DeviceState, Encryption};
use domain::fact::Changes;
use domain::ground::{Away, AwayCause};
use domain::id::DeviceId;
use domain::loss::{Loss, Part};
use domain::role::{Reach, Role};
use domain::time::{Time, days, minutes};
use holdfast::error::Error;
use holdfast::service::loss;
use holdfast::service::setting::CHECK_IN;
use holdfast::store;
use holdfast::store::device_list::{self, Filter, From, Query, Sort, View};
use serde_json::Value;
use wire::{DeviceFacts, Fact};

fn ids(conn: &mut store::Conn, base: &Filter, view: View, now: Time) -> Result<Vec<DeviceId>, Error> {
    let filter = Filter { view, ..base.clone() };
    let (reach, sort) = (Reach::All, Sort::Name);
    let query = Query { filter, reach, sort, is_descending: false, from: From::Start, limit: 5_000 };
    Ok(device_list::ids(conn, &query, now)?)
}

/// Each device's answer by the domain.
fn told(conn: &mut store::Conn, all: &[DeviceId], now: Time) -> Result<Vec<(DeviceId, Loss)>, Error> {
    let moment = loss::moment(conn, now)?;
    let listed = device_list::of_ids(conn, all)?;
    Ok(listed.iter().map(|it| (it.device.id, loss::of(it, &moment))).collect())
}

#[test]
fn the_database_puts_each_device_in_the_part_that_the_domain_tells() {
    let database = TestDatabase::new();
    let store = database.store();
    let fleet = store.write_blocking(|conn| Ok::<_, Error>(fleet::random(conn, 1_500, &[], 23))).unwrap();
    let all: Vec<_> = fleet.iter().map(|it| it.0.id).collect();
    for (is_away, now) in [(false, NOW), (false, NOW + minutes(11)), (false, NOW - days(1)), (true, NOW)] {
        if is_away {
            let away = Away { cause: AwayCause::Away, why: "it is not there".to_owned(), since: NOW };
            store.write_blocking(move |conn| Ok::<_, Error>(store::setting::AWAY.set(conn, &away, NOW)?)).unwrap();
        }
        let (told, base, counts) = store
            .read_blocking(|conn| {
                let base = loss::all_devices(conn, now)?.0;
                Ok::<_, Error>((
                    told(conn, &all, now)?,
                    base.clone(),
                    device_list::counts(conn, &base, &Reach::All, now)?,
                ))
            })
            .unwrap();
        let mut sum = 0;
        for (view, part) in [
            (View::LoseAll, Part::LoseAll),
            (View::AtRisk, Part::AtRisk),
            (View::CannotSay, Part::CannotSay),
            (View::Restorable, Part::Restorable),
        ] {
            let mut by_domain: Vec<_> = told.iter().filter(|it| it.1.part() == Some(part)).map(|it| it.0).collect();
            let mut by_database = store.read_blocking(|conn| ids(conn, &base, view, now)).unwrap();
            by_domain.sort();
            by_database.sort();
            assert_eq!(by_database, by_domain, "{view:?} at {now:?}");
            assert_eq!(counts.of(view), i64::try_from(by_domain.len()).ok(), "{view:?} at {now:?}");
            assert!(!by_domain.is_empty() || is_away || now != NOW, "{view:?} is met");
            sum += by_domain.len();
        }
        assert_eq!(i64::try_from(sum).unwrap(), counts.all, "each enrolled device is in one part");
    }
}

/// What a CSV file, a JSON list and the pages say about one device.
struct Surfaces {
    list: String,
    csv: String,
    json: Value,
    page: String,
    wipe: String,
}

fn surfaces(visit: &Visit<'_>, id: DeviceId) -> Surfaces {
    let page = |path: &str| {
        let answer = visit.get(path);
        assert_eq!(answer.status, 200, "{path}");
        text(&answer)
    };
    let csv = page("/devices.csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let at = reader.headers().unwrap().iter().position(|it| it == "if_wiped_now").unwrap();
    let row = reader.records().map(Result::unwrap).find(|it| &it[0] == id.as_str()).unwrap();
    let wipe = page(&format!("/devices/{id}/wipe"));
    let device = page(&format!("/devices/{id}"));
    Surfaces {
        list: page("/devices"),
        csv: row[at].to_owned(),
        json: visit.get(&format!("/devices/{id}.json")).json(),
        page: device.split_once("id=\"a3\"").unwrap().1.split_once("</section>").unwrap().0.to_owned(),
        wipe: wipe.split_once("<main").unwrap().1.to_owned(),
    }
}

/// The same words everywhere; times differ, because a page uses the reader's zone.
fn all_say(surfaces: &Surfaces, words: &str) {
    let json = surfaces.json["if_wiped_now"].as_str().unwrap();
    for (name, said) in [
        ("list", surfaces.list.as_str()),
        ("csv", &surfaces.csv),
        ("json", json),
        ("page", &surfaces.page),
        ("wipe", &surfaces.wipe),
    ] {
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[test]
fn a_silent_device_is_not_known_on_any_surface() {
    let world = World::new();
    world.says(0);
    world.proves(Some(1), 0);
    let id = world.device.id();
    let visit = Visit::of(&world.server, world.asker);
    assert_eq!(surfaces(&visit, id).csv, "Nothing");
    assert!(surfaces(&visit, id).wipe.contains("A wipe is safe"));

    world.server.app.clock.advance(minutes(29));
    assert_eq!(surfaces(&visit, id).csv, "Nothing", "one check-in was missed");
    world.server.app.clock.advance(minutes(1));

    let said = surfaces(&visit, id);
    all_say(&said, "Not known since");
    assert!(said.csv.contains(&NOW.iso()), "{}", said.csv);
    assert!(!said.wipe.contains("is safe") && !said.wipe.contains("Nothing would be lost"), "{}", said.wipe);
    assert!(!said.page.contains("t-proven"), "{}", said.page);
    assert_eq!(said.json["if_lost"], "cannot_say");
    let overview = text(&visit.get("/"));
    assert!(overview.contains("Not known since") && overview.contains("1 we cannot say"), "{overview}");
}

#[test]
fn a_longer_schedule_does_not_stretch_a_count_that_came_with_a_shorter() {
    let world = World::new();
    world.says(0);
    world.proves(Some(1), 0);
    let id = world.device.id();
    world.server.act(|conn| Ok(CHECK_IN.key.set(conn, &86_400, NOW)?));
    // A session does not last as long as this test.
    let visit = || Visit::of(&world.server, world.asker);

    world.server.app.clock.advance(minutes(31));
    all_say(&surfaces(&visit(), id), "Not known since");

    // It checks in on the long schedule without counting: what it counted on the short one has expired.
    world.fetches();
    all_say(&surfaces(&visit(), id), "Not known since");
    world.says(0);
    assert_eq!(surfaces(&visit(), id).csv, "Nothing");
    // A short schedule again: the count of the long one lasts no longer than that.
    world.server.act(|conn| Ok(CHECK_IN.key.set(conn, &900, NOW)?));
    world.fetches();
    world.server.app.clock.advance(minutes(31));
    all_say(&surfaces(&visit(), id), "Not known since");
}

#[test]
fn a_folder_that_is_away_makes_the_count_unknown_by_its_name() {
    let world = World::new();
    world.says(100);
    world.proves(Some(1), 0);
    let id = world.device.id();
    let visit = Visit::of(&world.server, world.asker);
    assert_eq!(surfaces(&visit, id).csv, "Lose 100");
    let away = |roots: Vec<String>| DeviceFacts {
        roots_away: Some(Fact { value: roots, source: "mark".to_owned(), measured_at: world.now() }),
        ..DeviceFacts::default()
    };

    world.device.check_in(&world.server, away(vec!["/mnt/disk".to_owned()]));

    all_say(&surfaces(&visit, id), "Not known: /mnt/disk does not carry its mark");
    // A check-in that says nothing about it, or counts only the other folders, changes nothing.
    world.fetches();
    let changes = Fact { value: Changes { files: 0, bytes: 0 }, source: "walk".to_owned(), measured_at: world.now() };
    let both = DeviceFacts { changes: Some(changes), ..away(vec!["/mnt/disk".to_owned()]) };
    world.device.check_in(&world.server, both);
    all_say(&surfaces(&visit, id), "Not known: /mnt/disk does not carry its mark");
    assert!(world.ask().consent.starts_with("unknown lost"));
    assert_eq!(surfaces(&visit, id).json["if_lost"], "cannot_say");

    world.device.check_in(&world.server, away(Vec::new()));
    world.says(100);
    assert_eq!(surfaces(&visit, id).csv, "Lose 100");
}

#[test]
fn a_folder_that_goes_away_before_delivery_brings_the_wipe_back_to_the_people() {
    let world = World::new();
    let released = world.released();
    let roots_away =
        Some(Fact { value: vec!["/mnt/disk".to_owned()], source: "mark".to_owned(), measured_at: world.now() });

    let answer = world.device.check_in(&world.server, DeviceFacts { roots_away, ..DeviceFacts::default() });

    assert!(answer.commands.is_empty());
    let request = world.find(released.id);
    assert_eq!(request.state, domain::wipe::WipeState::ReviewAgain);
    assert!(request.state_note.contains("folders without their mark"), "{}", request.state_note);
}

#[test]
fn no_two_pages_count_proven_devices_differently() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    server.act(|conn| {
        for at in 0..10 {
            let mut any = fleet::device(&format!("laptop-{at}"));
            any.2 = fleet::proven(any.2, NOW - days(1), NOW + days(1));
            // Six are as they were proven; the others have changed since, or are silent.
            fleet::counts(&mut any.1, i64::from(at == 7 || at == 8), if at == 9 { NOW - days(1) } else { NOW });
            if at == 6 {
                (any.2.not_proven_files, any.2.not_proven_bytes) = (Some(3), Some(3));
            }
            fleet::insert(conn, &any);
        }
        Ok(())
    });

    let overview = text(&visit.get("/"));
    let tile = overview.split_once("view=restorable").unwrap().1.split_once("</section>").unwrap().0;
    assert!(tile.contains("6 devices"), "{tile}");
    assert!(overview.contains("At least 3 of 10 devices would lose data"), "{overview}");
    assert!(text(&visit.get("/restore-tests")).contains("6 of 10 devices</a> proven to come back"));
    assert!(text(&visit.get("/devices?view=restorable")).contains("Proven to come back 6"));
    let csv = text(&visit.get("/devices.csv"));
    assert_eq!(csv.matches(",restorable").count(), 6, "{csv}");
    let at_risk = visit.get("/devices.json?view=at_risk").json();
    assert_eq!(at_risk["devices"].as_array().unwrap().len(), 3);
    let who = overview.split_once("Who would lose what").unwrap().1;
    assert_eq!(who.matches("href=\"/devices/0").count() / 2, 4, "{who}");
}

#[test]
fn a_device_that_is_gone_shows_no_loss_and_what_became_of_it() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    for (state, short, line) in [
        (DeviceState::Wiped, "Wiped", "has been wiped"),
        (DeviceState::Removed, "Removed", "was removed from the lists"),
        (DeviceState::WipeFailed, "Wipe failed", "erase it by hand"),
    ] {
        let id = server.act(move |conn| {
            let mut any = fleet::device(state.as_str());
            any.0.state = state;
            fleet::counts(&mut any.1, 7, NOW);
            fleet::insert(conn, &any);
            Ok(any.0.id)
        });
        let json = visit.get(&format!("/devices/{id}.json")).json();
        assert_eq!((&json["if_wiped_now"], &json["if_lost"]), (&short.into(), &Value::Null));
        assert_eq!((&json["lost"], &json["not_proven"]), (&Value::Null, &Value::Null));
        let page = text(&visit.get(&format!("/devices/{id}")));
        assert!(page.contains(line) && !page.contains("would be lost"), "{page}");
        for offered in ["backup-commands", "lock-commands", "Back up and prove starts"] {
            assert!(!page.contains(offered), "{offered}: {page}");
        }
        let wipe = text(&visit.get(&format!("/devices/{id}/wipe")));
        assert!(!wipe.contains("will be lost") && !wipe.contains("Lock instead"), "{wipe}");
        assert!(text(&visit.get(&format!("/devices?state={state}"))).contains(short));
        for view in ["lose_all", "at_risk", "cannot_say", "restorable", "not_restorable"] {
            let listed = visit.get(&format!("/devices.json?view={view}&state={state}")).json();
            assert_eq!(listed["devices"].as_array().unwrap().len(), 0, "{view}");
        }
    }
}

#[test]
fn an_empty_fresh_device_has_no_data_yet() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let device = SimDevice::join(&server);
    let id = device.id();

    device.check_in(&server, crate::wipe::said(0, Encryption::On, NOW));
    all_say(&surfaces(&visit, id), "No data yet");
    assert_eq!(surfaces(&visit, id).json["if_lost"], "cannot_say");
    device.check_in(&server, crate::wipe::said(5, Encryption::On, NOW));
    let said = surfaces(&visit, id);
    assert_eq!((said.csv.as_str(), &said.json["if_lost"]), ("Lose everything", &"lose_all".into()));
}

#[test]
fn what_an_out_of_date_proof_leaves_is_counted_alike_by_all() {
    let world = World::new();
    world.server.app.clock.advance(days(8));
    world.says(4);
    let visit = Visit::of(&world.server, world.asker);

    let said = surfaces(&visit, world.device.id());

    // 92 files are beyond the proof; because it does not hold, all 100 in the backup are not proven.
    assert_eq!(said.csv, "Lose 4, risk all 100");
    assert_eq!(said.json["not_proven"]["files"], 100);
    assert!(said.page.contains("4 files lost, 100 not proven") && said.page.contains("Another 100 files"));
    assert!(said.wipe.contains("value=\"4 lost, 100 not proven\""), "{}", said.wipe);
    assert!(said.wipe.contains("Another 100 files"), "{}", said.wipe);
    let request = world.requested();
    let approvals = text(&Visit::of(&world.server, world.second).get("/approvals"));
    assert!(approvals.contains("Lose 4, risk all 100"), "{approvals}");
    let log = text(&visit.get("/wipe-requests"));
    assert!(log.contains("Lose 4, risk all 100"), "{log}");
    let mails = world.server.read(|conn| Ok(store::mail::due(conn, world.now(), 50)?));
    assert!(mails.iter().any(|it| it.body.contains("Another 100 files")), "{request:?}");
}
