//! What a person may do ends where their roles end: each act asks, and every route.
use crate::access::{Least, TABLE};
use crate::restore;
use crate::support::NOW;
use crate::support::people::{SINCE, by, person};
use crate::support::server::{TestServer, boss};
use crate::support::visit::{Visit, text};
use crate::wipe::World;
use domain::by::By;
use domain::command::Order;
use domain::device::Ownership;
use domain::device_secret::SecretKind;
use domain::guard::GuardedAct;
use domain::id::{ApiTokenId, DeviceId, PolicyId, TeamId, UserId};
use domain::policy::Requirement;
use domain::role::{Grants, Reach, Role, Scope};
use domain::time::hours;
use holdfast::error::{Error, Result};
use holdfast::service::command::{self, Ask};
use holdfast::service::device::Draft as DeviceDraft;
use holdfast::service::device_secret::{self, Sealed};
use holdfast::service::enrollment::{self, TokenDraft};
use holdfast::service::policy::Draft as PolicyDraft;
use holdfast::service::user::Invitation;
use holdfast::service::{api_token, device, mail, policy, proof, removal, repository, setting, team, user};
use holdfast::store::team::Team;
use holdfast::store::{self, Conn};

/// What belongs to Berlin has a name that begins with this.
const MARK: &str = "berlin-";

/// A device, and what belongs to it, of one team; and another team.
#[derive(Clone)]
struct Berlin {
    team: TeamId,
    other: TeamId,
    device: DeviceId,
    policy: PolicyId,
}

impl Berlin {
    fn of(server: &TestServer, device: DeviceId) -> Self {
        let (team, other) = (TeamId::generate(NOW), TeamId::generate(NOW));
        server.act(move |conn| {
            for (id, name) in [(team, "Berlin"), (other, "Paris")] {
                store::team::insert(conn, &Team { id, name: name.to_owned(), created_at: NOW })?;
            }
            device::change(conn, &boss(), device, &device_draft(Some(team)), NOW)?;
            let policy = policy::add(conn, &boss(), &policy_draft(Some(team)), NOW)?.id;
            Ok(Self { team, other, device, policy })
        })
    }
}

fn device_draft(team_id: Option<TeamId>) -> DeviceDraft {
    DeviceDraft { name: format!("{MARK}laptop"), person: format!("{MARK}person"), team_id, quota: None }
}

fn policy_draft(team_id: Option<TeamId>) -> PolicyDraft {
    let requirements = vec![Requirement::PasscodeSet];
    PolicyDraft { name: format!("{MARK}policy"), team_id, requirements }
}

type Act = fn(&mut Conn, &By, &Berlin) -> Result<()>;

/// Each act of a person on a device or on what belongs to a team.
const ACTS: &[(&str, Act)] = &[
    ("write a policy", |conn, by, it| {
        let draft = PolicyDraft { name: "Another".to_owned(), ..policy_draft(Some(it.team)) };
        policy::add(conn, by, &draft, NOW).map(drop)
    }),
    ("change a policy", |conn, by, it| {
        policy::change(conn, by, (it.policy, 1), &policy_draft(Some(it.team)), NOW).map(drop)
    }),
    ("make a policy one's own", |conn, by, it| {
        policy::change(conn, by, (it.policy, 1), &policy_draft(Some(it.other)), NOW).map(drop)
    }),
    ("look whether a policy is guarded", |conn, by, it| policy::is_guarded(conn, by, it.policy, None).map(drop)),
    ("remove a policy", |conn, by, it| policy::remove(conn, by, it.policy, &format!("{MARK}policy"), NOW)),
    ("have a backup tested", |conn, by, it| proof::ask(conn, by, it.device, NOW).map(drop)),
    ("change a device", |conn, by, it| {
        device::change(conn, by, it.device, &device_draft(Some(it.team)), NOW).map(drop)
    }),
    ("make a device one's own", |conn, by, it| {
        device::change(conn, by, it.device, &device_draft(Some(it.other)), NOW).map(drop)
    }),
    ("lock a device", |conn, by, it| {
        command::queue_one(conn, by, it.device, Ask { order: &Order::lock(), request_key: None }, NOW).map(drop)
    }),
    ("lock many devices", |conn, by, it| {
        command::queue_many(conn, by, (GuardedAct::LockMany, &Order::lock()), (&[it.device], "key"), NOW).map(drop)
    }),
    ("back a device up", |conn, by, it| {
        command::queue_one(conn, by, it.device, Ask { order: &Order::BackUpNow, request_key: None }, NOW).map(drop)
    }),
    ("cancel a command", |conn, by, it| {
        let device = store::device::find(conn, it.device)?.unwrap();
        let ask = Ask { order: &Order::lock(), request_key: None };
        let command = command::queue(conn, &boss().actor, &device, ask, NOW)?;
        command::cancel(conn, by, command.id, NOW).map(drop)
    }),
    ("make an enrolment token", |conn, by, it| {
        enrollment::make_token(conn, by, &token_draft(it.team, None), NOW).map(drop)
    }),
    ("make a token for a device to enroll again", |conn, by, it| {
        enrollment::make_token_again(conn, by, it.device, NOW).map(drop)
    }),
    ("make a token for a device to enroll again into one's own", |conn, by, it| {
        enrollment::make_token(conn, by, &token_draft(it.other, Some(it.device)), NOW).map(drop)
    }),
    ("revoke an enrolment token", |conn, by, it| {
        let token = enrollment::make_token(conn, &boss(), &token_draft(it.team, None), NOW)?.0;
        enrollment::revoke_token(conn, by, token.id, NOW)
    }),
    ("revoke a token of a repository", |conn, by, it| {
        let repository = store::repository::active_of_device(conn, it.device)?.unwrap();
        let token = store::repository::tokens(conn, repository.id)?.remove(0);
        repository::revoke_token(conn, by, token.id, NOW).map(drop)
    }),
    ("remove a device", |conn, by, it| removal::request(conn, by, it.device, &format!("{MARK}laptop"), NOW).map(drop)),
    ("stop a removal", |conn, by, it| {
        hold_removal(conn, it)?;
        removal::stop(conn, by, it.device, NOW)
    }),
];

fn token_draft(team: TeamId, device_id: Option<DeviceId>) -> TokenDraft {
    TokenDraft {
        name: format!("{MARK}token"),
        team_id: Some(team),
        ownership: Ownership::Company,
        use_limit: 1,
        valid_for: hours(1),
        device_id,
    }
}

fn hold_removal(conn: &mut Conn, it: &Berlin) -> Result<()> {
    let removal = store::removal::Removal {
        device_id: it.device,
        generation: 1,
        requested_by: String::new(),
        requested_name: String::new(),
        requested_at: NOW,
        due_at: NOW,
    };
    Ok(store::removal::insert(conn, &removal)?)
}

/// Runs an act and takes it back, whatever came of it.
fn tries(server: &TestServer, act: Act, by: &By, berlin: &Berlin) -> Result<()> {
    struct Undone(Result<()>);
    let (by, berlin) = (by.clone(), berlin.clone());
    let done = std::sync::Arc::new(std::sync::Mutex::new(None));
    let said = std::sync::Arc::clone(&done);
    let undone: Result<()> = server.store().act_blocking(move |conn| {
        *said.lock().unwrap() = Some(Undone(act(conn, &by, &berlin)));
        Err(Error::Refused("taken back".to_owned()))
    });
    assert!(undone.is_err());
    let Undone(result) = done.lock().unwrap().take().unwrap();
    result
}

#[test]
fn each_act_asks_how_far_the_person_reaches() {
    let world = World::new();
    let berlin = Berlin::of(&world.server, world.device.id());
    let someone = UserId::generate(NOW);
    let elsewhere = by(world.asker, &Reach::Teams(vec![berlin.other]));
    let observer = By { grants: Grants::new(vec![(Role::Observer, Scope::Organisation)]), ..by(someone, &Reach::All) };
    let mut faults = Vec::new();
    for (name, act) in ACTS {
        let all = tries(&world.server, *act, &by(world.asker, &Reach::All), &berlin);
        all.unwrap_or_else(|error| panic!("{name}, by somebody who may: {error}"));
        let here = tries(&world.server, *act, &by(world.asker, &Reach::Teams(vec![berlin.team])), &berlin);
        if here.is_ok() == name.ends_with("one's own") {
            faults.push(format!("{name}, by the team itself: {here:?}"));
        }
        let is_new = ["write a policy", "make an enrolment token"].contains(name);
        match tries(&world.server, *act, &elsewhere, &berlin) {
            Err(Error::NotFound(_)) if !is_new => {}
            Err(Error::Invalid(errors)) if is_new && errors.of("team").is_some() => {}
            other => faults.push(format!("{name}, by another team: {other:?}")),
        }
        // Whoever sees a device may stop its removal.
        let is_free = *name == "stop a removal";
        match tries(&world.server, *act, &observer, &berlin) {
            Err(Error::Forbidden) if !is_free => {}
            Ok(()) if is_free => {}
            other => faults.push(format!("{name}, by an observer: {other:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

type OfAll = fn(&mut Conn, &By) -> Result<()>;

/// Each act of a person on what belongs to the whole organisation.
const OF_ALL: &[(&str, OfAll)] = &[
    ("invite somebody", |conn, by| {
        let (email, name) = ("x@example.org".to_owned(), "X".to_owned());
        let roles = vec![(Role::Owner, Scope::Organisation)];
        user::invite(conn, by.into(), &Invitation { email, name, roles }, NOW).map(drop)
    }),
    ("make a link", |conn, by| user::invite_again(conn, by.into(), by.user, NOW).map(drop)),
    ("set roles", |conn, by| user::set_roles(conn, by.into(), by.user, &[(Role::Owner, Scope::Organisation)], NOW)),
    ("close an account", |conn, by| user::disable(conn, by.into(), by.user, NOW)),
    ("open an account", |conn, by| user::enable(conn, by.into(), by.user, NOW).map(drop)),
    ("make an API token", |conn, by| api_token::make(conn, by.into(), by.user, "x", 1, NOW).map(drop)),
    ("revoke an API token", |conn, by| api_token::revoke(conn, by.into(), ApiTokenId::generate(NOW), NOW)),
    ("add a team", |conn, by| team::add(conn, by, "Rome", NOW).map(drop)),
    ("change a setting", |conn, by| setting::set_numbers(conn, by, &[(setting::NUMBERS[0], 1)], NOW).map(drop)),
    ("send a test mail", |conn, by| mail::test(conn, by, NOW)),
    ("take a setting back", |conn, by| setting::take_back(conn, by, setting::NUMBERS[0].key.name, NOW)),
];

#[test]
fn what_belongs_to_the_whole_organisation_is_not_for_who_manages_a_part_of_it() {
    let server = TestServer::start();
    let user = person(&server, "local", &[Role::Owner], None, SINCE);
    for (name, act) in OF_ALL {
        let by = by(user, &Reach::Teams(vec![TeamId::generate(NOW)]));
        let refused: Result<()> = server.store().act_blocking(move |conn| act(conn, &by));
        assert!(matches!(refused, Err(Error::Forbidden)), "{name}: {refused:?}");
    }
}

/// Somebody with every role that a team can give, in one team.
fn local(server: &TestServer, team: TeamId) -> UserId {
    let user = person(server, "local", &[], None, SINCE);
    server.act(move |conn| {
        for role in Role::ALL.iter().filter(|it| it.is_for_teams()) {
            store::user::grant(conn, user, (*role, Scope::Team(team)), None, SINCE)?;
        }
        Ok(user)
    })
}

/// Everything of Berlin that a route could change.
fn everything(server: &TestServer, device: DeviceId) -> String {
    server.read(|conn| {
        let repository = store::repository::active_of_device(conn, device)?.unwrap();
        Ok(format!(
            "{:#?}",
            (
                store::device::all(conn)?,
                store::policy::all(conn)?,
                store::command::newest(conn, 99)?,
                store::enrollment_token::newest(conn, &Reach::All, 99)?,
                store::repository::tokens(conn, repository.id)?,
                store::wipe::open_of_device(conn, device)?,
                store::restore::list(conn, domain::restore::RestoreState::ALL, &Reach::All, 99)?.len(),
                store::restore_test::of_device(conn, device, 99)?,
                store::removal::find(conn, device)?,
                store::user::all(conn)?,
                store::device_secret::of_device(conn, device)?,
                (repository, store::activity::of_device(conn, device, 99)?),
            )
        ))
    })
}

/// Sends everything that a session of another team can send, to every route.
fn attack(server: &TestServer, berlin: &Berlin, ids: &[(&str, String)]) {
    let visit = Visit::of(server, local(server, berlin.other));
    let before = everything(server, berlin.device);
    let (device, team) = (berlin.device.to_string(), berlin.team.to_string());
    let name = format!("{MARK}laptop");
    let fields: Vec<(&str, &str)> = vec![
        ("id", device.as_str()),
        ("team", team.as_str()),
        ("name", "mine"),
        ("person", "mine"),
        ("confirm", name.as_str()),
        ("action", "wipe"),
        ("reason", "lost_or_stolen"),
        ("request_key", "key"),
        ("passcode", "on"),
        ("use_limit", "1"),
        ("valid_hours", "1"),
        ("ownership", "company"),
        ("target", device.as_str()),
        ("version", "1"),
    ];
    for (method, pattern, least) in TABLE {
        if matches!(least, Least::Public | Least::Device) {
            continue;
        }
        let area = pattern.split('/').nth(1).unwrap_or_default();
        let id =
            ids.iter().find(|(it, _)| *it == area).map_or("0190163d-8694-739b-aea5-966c26f8ad91", |it| it.1.as_str());
        let path = pattern.replace("{id}", id).replace("{name}", "none").replace("{kind}", "lock");
        if path == "/sign-out" || path.starts_with("/account") {
            continue;
        }
        let answer = if *method == "get" { visit.get(&path) } else { visit.post(&path, &fields) };
        assert!(answer.status < 500, "{method} {path}: {}", answer.status);
        let said = text(&answer).replace(&format!("value=\"{name}\""), "");
        assert!(!said.contains(MARK), "{method} {path}: {}: {said}", answer.status);
        if pattern.contains("{id}") {
            assert!(matches!(answer.status, 403 | 404 | 422), "{method} {path}: {}", answer.status);
        }
        assert_eq!(everything(server, berlin.device), before, "{method} {path}");
    }
}

#[test]
fn one_session_of_another_team_changes_and_learns_nothing_on_any_route() {
    let world = World::new();
    let berlin = Berlin::of(&world.server, world.device.id());
    let request = world.requested();
    let device = berlin.device;
    let token = world.server.read(|conn| {
        let repository = store::repository::active_of_device(conn, device)?.unwrap();
        Ok(store::repository::tokens(conn, repository.id)?[0].id)
    });
    let command = world.server.act(move |conn| {
        let device = store::device::find(conn, device)?.unwrap();
        let ask = Ask { order: &Order::lock(), request_key: None };
        Ok(command::queue(conn, &boss().actor, &device, ask, NOW)?.id)
    });
    let enrolls = world
        .server
        .act(move |conn| Ok(enrollment::make_token(conn, &boss(), &token_draft(berlin.team, None), NOW)?.0.id));
    let test = world.server.act(move |conn| proof::ask(conn, &boss(), device, NOW));
    let secret = world.server.act(move |conn| {
        let device = store::device::find(conn, device)?.unwrap();
        let (kind, fingerprint) = (SecretKind::BypassCode, "f".to_owned());
        let given = Sealed { kind, sealed: "sealed".to_owned(), fingerprint };
        device_secret::keep(conn, (&boss().actor, &device), &given, NOW)?;
        Ok(store::device_secret::of_device(conn, device.id)?[0].id)
    });
    attack(
        &world.server,
        &berlin,
        &[
            ("devices", device.to_string()),
            ("policies", berlin.policy.to_string()),
            ("wipe-requests", request.id.to_string()),
            ("repository-tokens", token.to_string()),
            ("commands", command.to_string()),
            ("enrollment-tokens", enrolls.to_string()),
            ("restore-tests", test.to_string()),
            ("device-secrets", secret.to_string()),
        ],
    );
}

#[test]
fn a_restore_of_another_team_is_out_of_reach_on_every_route() {
    let world = restore::World::new();
    let restore = world.orders(&world.draft).unwrap();
    let berlin = Berlin::of(&world.server, world.source.id());
    let ids = [("devices", berlin.device.to_string()), ("restores", restore.id.to_string())];
    attack(&world.server, &berlin, &ids);
}

#[test]
fn nobody_asks_for_a_wipe_or_a_restore_as_for_any_other_command() {
    let world = World::new();
    let device = world.device.id();
    for order in [Order::wipe(vec![]), Order::RemoveCompanyData] {
        let one = world.server.store().act_blocking(move |conn| {
            command::queue_one(conn, &boss(), device, Ask { order: &order, request_key: None }, NOW)
        });
        assert!(matches!(one, Err(Error::Refused(_))), "{one:?}");
    }
}
