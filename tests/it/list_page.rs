//! The list of devices as a page: its columns, orders and positions, and what is printed.
use crate::device_page::{add, owner};
use crate::support::fleet;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, location, text};
use domain::device::DeviceState;
use domain::role::Role;
use domain::time::days;
use holdfast::store;

const COLUMNS: [&str; 7] =
    ["Person", "Encrypted", "Proven as of", "Newest backup", "If wiped now", "Policies failing", "Checked in"];

/// The headings of the table, without the one of the boxes.
fn headings(page: &str) -> Vec<String> {
    let head = page.split_once("<thead>").unwrap().1.split_once("</thead>").unwrap().0;
    let links = head.split("<a href=").skip(1).map(|it| it.split_once('>').unwrap().1.split_once("</a>").unwrap().0);
    links.map(|it| it.split(" <span").next().unwrap().to_owned()).collect()
}

/// The address that a heading links to.
fn link_of(page: &str, heading: &str) -> String {
    let head = page.split_once("<thead>").unwrap().1;
    let before = head.split_once(&format!("\">{heading}")).unwrap().0;
    before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&")
}

#[test]
fn every_column_sorts_both_ways_over_all_pages() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let fleet = server.act(|conn| Ok(fleet::random(conn, 130, &[], 4)));
    location(&visit.post(
        "/policies",
        &[
            ("name", "Basics"),
            ("encrypted", "on"),
            ("check_in", "on"),
            ("check_in_number", "1"),
            ("check_in_unit", "d"),
        ],
    ));
    let enrolled = fleet.iter().filter(|it| it.0.state == DeviceState::Enrolled).count();
    let first = text(&visit.get("/devices"));
    assert_eq!(headings(&first), [&["Device"][..], &COLUMNS[..]].concat());

    for heading in headings(&first) {
        let mut address = link_of(&first, &heading);
        let mut orders = Vec::new();
        for _ in 0..2 {
            let (mut found, mut at) = (Vec::new(), address.clone());
            loop {
                let page = text(&visit.get(&at));
                let ids: Vec<_> =
                    page.split("form=\"bulk\" name=\"id\" value=\"").skip(1).map(|it| it[..36].to_owned()).collect();
                let position = format!("{} to {} of {enrolled}", found.len() + 1, found.len() + ids.len());
                assert!(page.contains(&position), "{position} of {heading}: {page}");
                found.extend(ids);
                let Some((before, _)) = page.split_once("\" rel=\"next\"") else { break };
                at = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&");
            }
            assert_eq!(found.len(), enrolled, "{heading}");
            orders.push(found);
            address = link_of(&text(&visit.get(&address)), &heading);
        }
        orders[1].reverse();
        assert_eq!(orders[0], orders[1], "{heading}");
    }
}

#[test]
fn each_person_keeps_the_columns_that_they_want_to_see() {
    let server = TestServer::start();
    add(&server, "laptop", |it| it.0.person = "Ada Lovelace".to_owned());
    let visit = Visit::of(&server, owner(&server));
    let other = Visit::of(&server, colleague(&server, "observer", Role::Observer));
    let seq = || server.read(|conn| Ok(store::activity::newest_seq(conn)?));
    let before = seq();
    let query = hidden(&text(&visit.get("/devices?q=lap&sort=name")), "query");

    let to = location(&visit.post("/devices/columns", &[("query", &query), ("column", "person"), ("column", "loss")]));

    assert_eq!(to, "/devices?q=lap&sort=name", "the list as it was");
    let page = text(&visit.get(&to));
    assert_eq!(headings(&page), ["Device", "Person", "If wiped now"]);
    assert!(page.contains("Ada Lovelace") && !page.contains("data-label=\"Checked in\""), "{page}");
    assert!(page.contains("value=\"person\" checked") && !page.contains("value=\"checked_in\" checked"), "{page}");
    assert_eq!(headings(&text(&Visit::of(&server, visit_user(&server)).get("/devices"))).len(), 3, "in each session");
    assert_eq!(headings(&text(&other.get("/devices"))).len(), 8, "nobody else's");
    assert_eq!(seq(), before, "it is no act");

    location(&visit.post("/devices/columns", &[("query", "")]));
    assert_eq!(headings(&text(&visit.get("/devices"))), ["Device"]);
    let all = ["person", "encrypted", "proven", "newest_backup", "loss", "policies", "checked_in"];
    let all: Vec<_> = all.iter().map(|it| ("column", *it)).collect();
    location(&visit.post("/devices/columns", &all));
    assert_eq!(headings(&text(&visit.get("/devices"))).len(), 8);
    for wrong in [&[("column", "serial")][..], &[("column", "person"), ("column", "<b>")]] {
        assert_eq!(visit.post("/devices/columns", wrong).status, 422);
    }
    assert_eq!(headings(&text(&visit.get("/devices"))).len(), 8, "a wrong form keeps nothing");
    assert_eq!(text(&visit.get("/devices.csv")).lines().next().unwrap().split(',').count(), 27, "a file has all");
}

fn visit_user(server: &TestServer) -> domain::id::UserId {
    server.read(|conn| Ok(store::user::find_by_email(conn, "owner@example.org")?)).unwrap().id
}

#[test]
fn a_long_name_is_cut_by_the_page_and_whole_in_its_title() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let name = "long-".repeat(15);
    add(&server, &name, |it| it.0.person = "Graf von \"und\" zu ".repeat(4));

    let page = text(&visit.get("/devices"));

    assert!(page.contains(&format!("<td class=\"name\" title=\"{name}\">")), "{page}");
    assert!(page.contains("title=\"Graf von &#34;und&#34; zu Graf"), "{page}");
}

#[test]
fn a_time_on_a_page_has_its_year_and_zone_for_paper_and_for_whoever_points_at_it() {
    let server = TestServer::start();
    let id = add(&server, "laptop", |it| fleet::seen(&mut it.1, it.0.enrolled_at + days(1)));
    let visit = Visit::of(&server, owner(&server));

    let list = text(&visit.get("/devices"));
    assert!(list.contains("<time "), "{list}");
    let device = text(&visit.get(&format!("/devices/{id}")));
    assert!(device.contains("<dt>Enrolled</dt><dd>23 Sep 2026 14:06 UTC</dd>"), "{device}");
    for page in [list, device] {
        for time in page.split("<time ").skip(1) {
            let title = time.split_once("title=\"").unwrap().1.split_once('"').unwrap().0;
            assert!(title.contains(" 2026 ") && title.ends_with(" UTC"), "{time}");
        }
        let printed = page.split_once("<span class=\"printed\">").unwrap().1.split_once('<').unwrap().0;
        assert!(printed.contains("2026") && printed.contains("Times are in UTC; dates without a year are in 2026."));
    }
}
