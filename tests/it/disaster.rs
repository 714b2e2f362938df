//! "If we lost…" on pages, in lists and as JSON: the numbers are the lists behind them.
use crate::support::NOW;
use crate::support::fleet::{self, Random};
use crate::support::people::{colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use domain::copy::SecondStore;
use domain::disaster::{Event, Fate, Reason};
use domain::failure_domain::StoreKind;
use domain::id::TeamId;
use domain::role::{Reach, Role};
use domain::time::{days, hours};
use holdfast::service::disaster::{Known, among};
use holdfast::store::device_list::{self, Filter};
use holdfast::store::setting::COPY;
use holdfast::store::team::Team;
use holdfast::{service, store};

/// A fleet of which each device is proven, only stored, or was never backed up.
fn fleet(server: &TestServer, count: u64) -> i64 {
    server.act(move |conn| {
        let mut random = Random::new(7);
        let mut never = 0;
        for number in 0..count {
            let (device, status, mut proof) = fleet::device(&format!("laptop-{number}"));
            match random.below(3) {
                0 => never += 1,
                1 => (proof.newest_at, proof.stored_at) = (Some(NOW - hours(2)), Some(NOW - hours(2))),
                _ => proof = fleet::proven(proof, NOW - hours(1), NOW + days(1)),
            }
            fleet::insert(conn, &(device, status, proof));
        }
        Ok(never)
    })
}

fn has_second_store(server: &TestServer, change: impl FnOnce(&mut SecondStore)) {
    let mut store = SecondStore {
        kind: StoreKind::Bucket,
        place: "s3://company/mdm".to_owned(),
        location: "Lyon".to_owned(),
        administration: "whoever has the key".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: Some(NOW),
    };
    change(&mut store);
    server.act(move |conn| Ok(COPY.set(conn, &store, NOW)?));
}

#[test]
fn each_number_on_the_overview_is_the_list_behind_it() {
    let server = TestServer::start();
    let never = fleet(&server, 60);
    has_second_store(&server, |_| {});
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let overview = text(&visit.get("/"));
    let known = server.read(|conn| Known::read(conn, &Reach::All, NOW));

    let events = Event::all(&known.means);
    assert!(events.contains(&Event::CloudAccount), "{events:?}");
    for event in events {
        let tally = known.tally(event);
        assert_eq!(tally.all(), 60, "{event}: every device has exactly one fate");
        assert!(tally.lose_all >= never, "{event}: what was never backed up comes back from nowhere");
        let page = text(&visit.get(&format!("/if-lost/{event}")));
        assert!(page.contains(&tally.sentence()), "{event}: {page}");
        for fate in Fate::ALL {
            let count = tally.of(*fate);
            let address = format!("/if-lost/{event}?fate={fate}");
            let cell = overview.split(&format!("<a href=\"{address}\"")).nth(1).and_then(|it| it.split("</a>").next());
            let cell = cell.unwrap_or_else(|| panic!("the overview leads to {address}"));
            assert!(cell.trim_end().ends_with(&format!(" {count}")), "{address}: {cell}");
            assert_eq!(known.list(event, Some(*fate)).len(), usize::try_from(count).unwrap(), "{address}");
            let listed = server.read(move |conn| {
                let among = vec![among(conn, (event, Some(*fate)), &Reach::All, NOW)?];
                Ok(device_list::count(conn, &Filter { among, ..Filter::default() }, &Reach::All, NOW)?)
            });
            assert_eq!(listed, count, "{address}");
            let json = visit.get(&format!("/if-lost/{event}.json?fate={fate}")).json();
            assert_eq!(json["devices"].as_array().unwrap().len(), usize::try_from(count).unwrap(), "{json}");
            assert_eq!(json[fate.as_str()], count, "{json}");
            let rows = text(&visit.get(&address)).matches("data-label=\"What is known\"").count();
            assert_eq!(rows, usize::try_from(count).unwrap(), "{address}");
        }
    }
}

#[test]
fn a_store_that_is_a_spare_or_away_or_none_saves_nothing() {
    let server = TestServer::start();
    fleet(&server, 30);
    let fates = |reason: Reason| {
        let known = server.read(|conn| Known::read(conn, &Reach::All, NOW));
        let list = known.list(Event::BackupStore, None);
        assert!(list.iter().all(|it| it.1.fate != Fate::ComesBack), "{list:?}");
        list.iter().filter(|it| it.1.reason == reason).count()
    };
    assert!(fates(Reason::NoSecondStore) > 0);
    has_second_store(&server, |it| it.shares = vec!["one disk".to_owned()]);
    assert!(fates(Reason::NoSecondStore) > 0);
    has_second_store(&server, |it| it.opened_at = None);
    assert!(fates(Reason::CopyAway) > 0);
    has_second_store(&server, |_| {});
    assert!(fates(Reason::CopyNotProven) > 0, "to be copied is not to be proven");
}

#[test]
fn a_reader_of_one_team_counts_only_its_devices_and_an_event_that_is_none_is_not_found() {
    let server = TestServer::start();
    fleet(&server, 5);
    let team = server.act(|conn| {
        let team = TeamId::generate(NOW);
        store::team::insert(conn, &Team { id: team, name: "Field".to_owned(), created_at: NOW })?;
        let mut of_team = fleet::device("field-1");
        of_team.0.team_id = Some(team);
        fleet::insert(conn, &of_team);
        Ok(team)
    });
    let known = server.read(|conn| Known::read(conn, &Reach::Teams(vec![team]), NOW));
    assert_eq!(known.tally(Event::Location).all(), 1);
    let visit = Visit::of(&server, person(&server, "owner", &[Role::Owner], None, NOW));
    assert_eq!(visit.get("/if-lost/earthquake").status, 404);
    assert_eq!(visit.get("/if-lost/earthquake.json").status, 404);
    let wrong = visit.get("/if-lost/location.json?fate=safe");
    assert!(wrong.status >= 400, "a list shows no more than its address says: {}", wrong.status);
}

#[test]
fn ten_thousand_devices_are_walked_within_a_page() {
    let server = TestServer::start();
    fleet(&server, 10_000);
    has_second_store(&server, |_| {});
    // Of this thread's own: other tests do not count.
    let cpu =
        || std::time::Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap();
    let (took, known) = server.read(move |conn| {
        let begun = cpu();
        let known = Known::read(conn, &Reach::All, NOW)?;
        Ok((cpu() - begun, known))
    });
    let begun = cpu();
    let tallies = known.tallies();
    let took = took + (cpu() - begun);
    assert!(tallies.iter().all(|it| it.1.all() == 10_000));
    // Without optimisation: a release build takes a tenth.
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    eprintln!("10,000 devices in {took:?}");
}

#[test]
fn where_the_store_stands_is_told_as_the_server_was_started() {
    let server = TestServer::start();
    let name = || {
        let known = server.read(|conn| Known::read(conn, &Reach::All, NOW));
        Event::Location.name(&known.means)
    };
    assert!(name().starts_with("the location of this server"), "{}", name());
    server.act(|conn| service::disaster::set_location(conn, "Paris", NOW));
    assert!(name().starts_with("Paris"), "{}", name());
    assert_eq!(server.read(|conn| Ok(store::setting::LOCATION.find(conn)?)).as_deref(), Some("Paris"));
}

#[test]
fn a_filter_of_what_is_lost_takes_its_fate_with_it() {
    let server = TestServer::start();
    fleet(&server, 5);
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));

    let page = text(&visit.get("/devices?lost=location&fate=lose_all"));

    let links = page.split("href=\"/devices?").skip(1).map(|it| it.split('"').next().unwrap_or_default());
    let fated: Vec<_> = links.filter(|it| it.contains("fate=")).collect();
    assert!(!fated.is_empty() && fated.iter().all(|it| it.contains("lost=")), "{fated:?}");
}
