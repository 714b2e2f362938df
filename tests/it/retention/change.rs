//! Changes of what is kept: longer at once, shorter only with two people and a week.
use super::world::SHORTEST;
use crate::support::people::{SINCE, act_as, disable, person, take_roles};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, location, text};
use domain::id::UserId;
use domain::retention::{Keep, Rule, SHORTER_AFTER};
use domain::role::Role;
use domain::time::{days, hours};
use holdfast::error::Error;
use holdfast::service::retention::{self, Draft};
use holdfast::store::retention::Change;

const LONG: Rule = Rule { last: 100, daily: 100, weekly: 50, monthly: 50, yearly: 10, within_days: 100 };

struct World {
    server: TestServer,
    owner: UserId,
    second: UserId,
}

impl World {
    fn new() -> Self {
        let server = TestServer::start();
        let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
        let second = person(&server, "second", &[Role::Approver], None, SINCE + days(1));
        Self { server, owner, second }
    }

    fn current(&self) -> Keep {
        let now = self.server.app.clock.now();
        self.server.act(move |conn| retention::take_effect(conn, now));
        self.server.read(retention::current).unwrap()
    }

    fn ask(&self, keep: Keep) -> Result<Change, Error> {
        let (now, draft) = (self.server.app.clock.now(), Draft { keep, reason: "the disk is full".to_owned() });
        act_as(&self.server, self.owner, move |conn, by| retention::request(conn, by, &draft, now))
    }

    fn approve(&self, by: UserId, change: &Change) -> Result<Change, Error> {
        let (now, id, seen) = (self.server.app.clock.now(), change.id, retention::shown(change).unwrap());
        act_as(&self.server, by, move |conn, by| retention::approve(conn, by, id, &seen, now))
    }

    /// Two people agreed on a rule, and its week is over.
    fn in_force(&self, rule: Rule) {
        let change = self.ask(Keep::By(rule)).unwrap();
        self.approve(self.second, &change).unwrap();
        self.server.app.clock.advance(SHORTER_AFTER);
        assert_eq!(self.current(), Keep::By(rule));
    }
}

#[test]
fn keeping_less_takes_two_people_and_a_week_and_keeping_more_neither() {
    let world = World::new();
    assert_eq!(world.current(), Keep::Everything);

    let change = world.ask(Keep::By(LONG)).unwrap();
    assert_eq!(world.current(), Keep::Everything, "nobody has agreed");
    world.approve(world.second, &change).unwrap();
    world.server.app.clock.advance(SHORTER_AFTER - hours(1));
    assert_eq!(world.current(), Keep::Everything, "not yet");
    world.server.app.clock.advance(hours(1));
    assert_eq!(world.current(), Keep::By(LONG));

    let longer = Rule { daily: 200, ..LONG };
    world.ask(Keep::By(longer)).unwrap();
    assert_eq!(world.current(), Keep::By(longer), "at once");

    // Some of it longer and some shorter is shorter.
    let mixed = Rule { daily: 300, weekly: 49, ..LONG };
    world.ask(Keep::By(mixed)).unwrap();
    assert_eq!(world.current(), Keep::By(longer));
    world.server.app.clock.advance(days(30));
    assert_eq!(world.current(), Keep::By(longer), "nobody agreed, and nobody can any more");

    world.ask(Keep::Everything).unwrap();
    assert_eq!(world.current(), Keep::Everything);
    let mails = world.server.mails();
    assert!(mails.iter().any(|it| it.to == "owner@example.org" && it.subject.starts_with("Retention:")), "{mails:?}");
}

#[test]
fn a_shorter_rule_waits_among_the_approvals_of_whoever_may_agree() {
    let world = World::new();
    let (owner, second) = (Visit::of(&world.server, world.owner), Visit::of(&world.server, world.second));
    assert!(text(&second.get("/approvals")).contains("Nothing is waiting for you."));

    let change = world.ask(Keep::By(LONG)).unwrap();

    let page = text(&second.get("/approvals"));
    assert!(page.contains("Keep less of every device") && page.contains("the disk is full"), "{page}");
    assert!(!page.contains("Nothing is waiting for you."), "{page}");
    let overview = text(&second.get("/"));
    assert!(overview.contains("1 request to keep less waits for approval"), "{overview}");
    assert!(!text(&owner.get("/")).contains("request to keep less waits"), "it is their own");
    world.approve(world.second, &change).unwrap();
    assert!(!text(&second.get("/")).contains("request to keep less waits"), "it was decided");
    // One that nobody agreed to in time is none.
    world.ask(Keep::By(Rule { daily: 99, ..LONG })).unwrap();
    world.server.app.clock.advance(days(30));
    assert!(!text(&second.get("/approvals")).contains("Keep less of every device"));
}

#[test]
fn a_longer_rule_ends_a_shorter_one_that_waits() {
    let world = World::new();
    world.in_force(LONG);
    let shorter = world.ask(Keep::By(SHORTEST)).unwrap();
    world.approve(world.second, &shorter).unwrap();
    let longer = Rule { yearly: 11, ..LONG };

    world.ask(Keep::By(longer)).unwrap();

    world.server.app.clock.advance(days(60));
    assert_eq!(world.current(), Keep::By(longer));
}

#[test]
fn after_a_freeze_a_shorter_rule_waits_again() {
    use holdfast::store::setting::FROZEN_UNTIL;
    let world = World::new();
    let change = world.ask(Keep::By(LONG)).unwrap();
    world.approve(world.second, &change).unwrap();
    world.server.app.clock.advance(days(6));
    let now = world.server.app.clock.now();
    world.server.act(move |conn| Ok(FROZEN_UNTIL.set(conn, &now, now)?));
    world.server.app.clock.advance(days(2));
    assert_eq!(world.current(), Keep::Everything, "nobody could look at it meanwhile");
    world.server.app.clock.advance(days(5));
    assert_eq!(world.current(), Keep::By(LONG));
}

#[test]
fn a_shorter_rule_takes_effect_only_if_both_people_may_still_do_their_part() {
    for (gone, how) in [(0, "disabled"), (1, "disabled"), (0, "without a role"), (1, "without a role")] {
        let world = World::new();
        person(&world.server, "other", &[Role::Owner], None, SINCE);
        let change = world.ask(Keep::By(LONG)).unwrap();
        world.approve(world.second, &change).unwrap();
        let who = [world.owner, world.second][gone];
        world.server.app.clock.advance(days(6));
        if how == "disabled" {
            disable(&world.server, who)
        } else {
            take_roles(&world.server, who)
        }
        assert_eq!(world.current(), Keep::Everything);
        let mails = world.server.mails();
        assert!(
            mails.iter().any(|it| it.to == "other@example.org" && it.subject.contains("will not take effect")),
            "{mails:?}"
        );
        world.server.app.clock.advance(days(60));
        assert_eq!(world.current(), Keep::Everything, "{gone} {how}");
        let waiting = world.server.read({
            let now = world.server.app.clock.now();
            move |conn| retention::waiting(conn, now)
        });
        assert_eq!(waiting, [], "it is over, also if they come back");
    }
}

#[test]
fn a_rule_in_force_stays_when_people_leave() {
    let world = World::new();
    world.in_force(LONG);
    disable(&world.server, world.owner);
    disable(&world.server, world.second);
    world.server.app.clock.advance(days(1));
    assert_eq!(world.current(), Keep::By(LONG));
}

/// `alone.rs` has what else one pair of hands can try.
#[test]
fn the_form_has_a_floor_and_what_it_asks_for_waits_for_a_second_person() {
    let world = World::new();
    world.in_force(LONG);
    let operator = person(&world.server, "operator", &[Role::Operator], None, SINCE);
    let kept = |way: &str| assert_eq!(world.current(), Keep::By(LONG), "{way}");

    // Through the pages, each number lower and each at its lowest.
    let visit = Visit::of(&world.server, world.owner);
    let form = |rule: Rule, reason: &str| -> Vec<(&'static str, String)> {
        let values = Rule::LIMITS.into_iter().zip(rule.values());
        let mut fields: Vec<_> = values.map(|(limits, value)| (limits.field, value.to_string())).collect();
        fields.extend([("keep", "rule".to_owned()), ("reason", reason.to_owned())]);
        fields
    };
    let post = |visit: &Visit<'_>, path: &str, fields: &[(&'static str, String)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visit.post(path, &fields)
    };
    for at in 0..6 {
        let mut values = LONG.values();
        values[at] -= 1;
        let answer = post(&visit, "/retention", &form(Rule::of(values), "space"));
        assert_eq!(answer.status, 303, "asked for: {}", text(&answer));
        kept("one number lower waits for a second person");
    }
    for (rule, why) in [
        (Rule { last: 0, ..LONG }, "below the floor"),
        (Rule { last: 2, ..LONG }, "below the floor"),
        (Rule { within_days: 0, ..LONG }, "below the window"),
        (Rule { within_days: 13, ..LONG }, "below the window"),
        (Rule::of([0; 6]), "nothing at all"),
    ] {
        let answer = post(&visit, "/retention", &form(rule, "space"));
        assert_eq!(answer.status, 422, "{why}");
        kept(why);
    }
    for field in Rule::LIMITS.map(|it| it.field) {
        let mut fields = form(SHORTEST, "space");
        fields.retain(|it| it.0 != field);
        assert_eq!(post(&visit, "/retention", &fields).status, 422, "without {field}");
        kept("a number is missing");
    }
    assert_eq!(post(&visit, "/retention", &form(SHORTEST, "")).status, 422);
    kept("no reason");
    let stale = Visit::stale(&world.server, world.owner);
    assert_eq!(post(&stale, "/retention", &form(SHORTEST, "space")).status, 422);
    kept("an old password");
    assert_eq!(post(&Visit::of(&world.server, operator), "/retention", &form(SHORTEST, "space")).status, 403);
    kept("without the permission");

    world.server.app.clock.advance(days(400));
    kept("a year later");
}

#[test]
fn the_page_shows_what_would_end_and_takes_two_people_through_a_change() {
    let world = World::new();
    let owner = Visit::of(&world.server, world.owner);
    let page = text(&owner.get("/retention"));
    for said in ["every restore point", "Nothing is in the trash", "Nothing is on hold"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("Ask a second person") && !page.contains("Keep more, at once"), "not before it was shown");
    let mut fields: Vec<(&str, String)> =
        Rule::LIMITS.into_iter().zip(SHORTEST.values()).map(|(it, value)| (it.field, value.to_string())).collect();
    fields.extend([("keep", "rule".to_owned()), ("reason", "the disk is full".to_owned())]);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();

    let previewed = owner.post("/retention/previews", &fields);
    assert_eq!(previewed.status, 200);
    let page = text(&previewed);
    assert!(page.contains("What this would end") && page.contains("none would end now"), "{page}");
    assert_eq!(location(&owner.post("/retention", &fields)), "/retention");

    let page = text(&owner.get("/retention"));
    assert!(page.contains("It waits for a second person") && !page.contains("Agree to keep less"), "{page}");
    let second = Visit::of(&world.server, world.second);
    let page = text(&second.get("/retention"));
    assert!(page.contains("Agree to keep less") && !page.contains("Show what would end"), "{page}");
    let action = page.split("action=\"/retention/").nth(1).unwrap().split("/approvals").next().unwrap();
    let answer = second.post(&format!("/retention/{action}/approvals"), &[("seen", &hidden(&page, "seen"))]);
    assert_eq!(location(&answer), "/retention");
    assert!(text(&second.get("/retention")).contains("In force from"));
    let answer = second.post(&format!("/retention/{action}/cancellations"), &[]);
    assert_eq!(location(&answer), "/retention");
    world.server.app.clock.advance(days(30));
    assert_eq!(world.current(), Keep::Everything, "taken back while it waited");
}
