//! What one session may not do alone: the table of `domain::guard`, checked against every route that changes
//! something.
use crate::access::TABLE;
use crate::support::people::{SINCE, person};
use crate::support::visit::{Visit, text};
use crate::wipe::World;
use domain::guard::{GuardedAct as Act, Told};
use domain::role::Role;
use holdfast::store;
use std::collections::BTreeSet;

/// What a route is in the table of guards.
enum Route {
    /// One of these acts.
    Guarded(&'static [Act]),
    /// None, and why not.
    Free(&'static str),
}
use Route::{Free, Guarded};

const OWN: &str = "it is about whoever is signed in, and gives nobody more than before";
const STOPS: &str = "it only stops something, which must never wait";
const SAME: &str = "the device does what it does by itself; nothing is lost, read or given away";
const WIZARD: &str = "a step that shows a page, and changes nothing";
const POLICY: &str = "a new policy only asks for more";

/// Every route that takes a form of a person.
const ROUTES: &[(&str, Route)] = &[
    ("/account", Free(OWN)),
    ("/account/appearance", Free(OWN)),
    ("/account/password", Guarded(&[Act::ChangePassword])),
    ("/account/sessions/end", Free(STOPS)),
    ("/account/sign-out-everywhere", Free(STOPS)),
    ("/api-tokens", Guarded(&[Act::MakeApiToken])),
    ("/api-tokens/{id}/revoke", Free(STOPS)),
    ("/commands/cancellations", Free(STOPS)),
    ("/commands/{id}/cancellations", Free(STOPS)),
    ("/device-secrets/{id}/readings", Guarded(&[Act::RevealDeviceSecret])),
    ("/devices/backup-commands", Guarded(&[Act::BackUpMany])),
    ("/devices/columns", Free(OWN)),
    ("/devices/lock-commands", Guarded(&[Act::LockMany])),
    ("/devices/restore-tests", Guarded(&[Act::ProveMany])),
    ("/devices/{id}", Guarded(&[Act::ChangePerson])),
    ("/devices/{id}/backup-commands", Free(SAME)),
    ("/devices/{id}/enrollment-tokens", Guarded(&[Act::EnrollAgain])),
    ("/devices/{id}/holds", Guarded(&[Act::MakeHold])),
    (
        "/devices/{id}/orders/{kind}",
        Guarded(&[Act::LostMode, Act::LocateDevice, Act::TurnOffDevice, Act::ChangeRecoveryKey]),
    ),
    ("/devices/{id}/passcode-clearings", Guarded(&[Act::ClearPasscode])),
    ("/devices/{id}/lock-commands", Free("one device locks its screen, which its person opens again")),
    ("/devices/{id}/removals", Guarded(&[Act::RemoveDevice])),
    ("/devices/{id}/removals/stops", Free(STOPS)),
    ("/devices/{id}/repository-tokens", Guarded(&[Act::MakeAppendingToken, Act::MakeReadingToken])),
    ("/devices/{id}/restore/preview", Free(WIZARD)),
    ("/devices/{id}/restore/what", Free(WIZARD)),
    ("/devices/{id}/restore/where", Free(WIZARD)),
    ("/devices/{id}/restore-tests", Free(SAME)),
    (
        "/devices/{id}/restores",
        Guarded(&[Act::RestoreToItself, Act::RestoreReplacing, Act::RestoreElsewhere, Act::RestoreToAnotherPerson]),
    ),
    ("/devices/{id}/wipe-requests", Guarded(&[Act::RequestWipe])),
    ("/enrollment-tokens", Guarded(&[Act::MakeEnrollmentToken, Act::MakeWideEnrollmentToken])),
    ("/enrollment-tokens/{id}/revocations", Free(STOPS)),
    ("/holds/{id}/approvals", Guarded(&[Act::ApproveHoldLift])),
    ("/holds/{id}/lifts", Guarded(&[Act::LiftHold])),
    ("/holds/{id}/refusals", Free("it only lets a hold stand")),
    ("/invite/{token}", Free("whoever has the link was told of to all who manage people when it was made")),
    ("/policies", Free(POLICY)),
    ("/policies/apple/{scope}", Guarded(&[Act::LoosenPolicy])),
    ("/policies/apple/{scope}/removals", Guarded(&[Act::LoosenPolicy])),
    ("/policies/{id}", Guarded(&[Act::LoosenPolicy])),
    ("/policies/{id}/removals", Guarded(&[Act::LoosenPolicy])),
    ("/prunes/{id}/undos", Free("it only brings back what had ended")),
    ("/push-certificate", Guarded(&[Act::ChangePushCertificate])),
    ("/push-certificate/requests", Guarded(&[Act::ChangePushCertificate])),
    ("/repository-tokens/{id}/revocations", Free(STOPS)),
    ("/restore-points/{id}/downloads", Guarded(&[Act::DownloadContents])),
    ("/restores/{id}/approvals", Guarded(&[Act::ApproveRestore])),
    ("/restores/{id}/cancellations", Free(STOPS)),
    ("/restores/{id}/refusals", Free(STOPS)),
    ("/restores/{id}/undos", Guarded(&[Act::UndoRestore])),
    ("/retention", Guarded(&[Act::LengthenRetention, Act::ShortenRetention])),
    ("/retention/previews", Free(WIZARD)),
    ("/retention/{id}/approvals", Guarded(&[Act::ApproveShorterRetention])),
    ("/retention/{id}/cancellations", Free(STOPS)),
    ("/set-up/{token}", Free("the link comes from the host, and works until there is an owner")),
    ("/settings", Guarded(&[Act::ChangeSettings])),
    ("/settings/test-mails", Free("it mails whoever asks, once a minute")),
    ("/settings/{name}/take-backs", Free(STOPS)),
    ("/sign-in", Free(OWN)),
    ("/sign-out", Free(STOPS)),
    ("/teams", Free("a new team has no devices and no people")),
    ("/teams/{id}/key-handovers", Guarded(&[Act::HandOverKeys])),
    ("/teams/{id}/quotas", Free("it removes nothing; what is full is told")),
    ("/users", Guarded(&[Act::InviteUser])),
    ("/users/{id}/disable", Guarded(&[Act::DisableUser])),
    ("/users/{id}/enable", Guarded(&[Act::EnableUser])),
    ("/users/{id}/links", Guarded(&[Act::MakeUserLink])),
    ("/users/{id}/roles", Guarded(&[Act::ChangeRoles])),
    ("/wipe-requests/stops", Free(STOPS)),
    ("/wipe-requests/{id}/approvals", Guarded(&[Act::ApproveWipe])),
    ("/wipe-requests/{id}/hold-ends", Guarded(&[Act::EndWipeHold])),
    ("/wipe-requests/{id}/reviews", Guarded(&[Act::ReviewWipe])),
    ("/wipe-requests/{id}/stops", Free(STOPS)),
];

#[test]
fn every_route_that_changes_something_names_its_guard_or_says_why_it_needs_none() {
    use crate::access::Least;
    let posts: BTreeSet<_> = TABLE.iter().filter(|it| it.0 != "get" && it.2 != Least::Device).map(|it| it.1).collect();
    let named: BTreeSet<_> = ROUTES.iter().map(|it| it.0).collect();
    assert_eq!(posts, named);
    let acts: BTreeSet<_> = ROUTES
        .iter()
        .flat_map(|(_, it)| match it {
            Guarded(acts) => *acts,
            Free(why) => {
                assert!(!why.is_empty());
                &[]
            }
        })
        .map(|it| it.as_str())
        .collect();
    assert_eq!(acts, Act::ALL.iter().map(|it| it.as_str()).collect(), "each act has a route");
}

#[test]
fn a_route_opens_with_the_permission_that_the_table_of_guards_names() {
    use crate::access::Least::{May, SignedIn};
    for (path, route) in ROUTES {
        let Guarded([first, ..]) = route else { continue };
        let least = TABLE.iter().find(|it| it.0 == "post" && it.1 == *path).unwrap().2;
        assert_eq!(least, first.guard().permission.map_or(SignedIn, May), "{path}");
    }
}

type Fields = &'static [(&'static str, &'static str)];

/// What reaches the password check of each guarded route: `{device}`, `{user}`, `{wipe}` stand for existing
/// ones.
const FORMS: &[(&str, Act, Fields)] = &[
    ("/api-tokens", Act::MakeApiToken, &[("name", "script"), ("days", "30")]),
    ("/devices/{device}/enrollment-tokens", Act::EnrollAgain, &[]),
    ("/devices/{device}", Act::ChangePerson, &[("name", "laptop-1"), ("person", "Eve"), ("team", "")]),
    ("/devices/{device}/removals", Act::RemoveDevice, &[("confirm", "laptop-1")]),
    ("/devices/{device}/wipe-requests", Act::RequestWipe, &[("action", "wipe"), ("reason", "lost_or_stolen")]),
    ("/wipe-requests/{wipe}/approvals", Act::ApproveWipe, &[]),
    ("/wipe-requests/{wipe}/hold-ends", Act::EndWipeHold, &[]),
    ("/wipe-requests/{wipe}/reviews", Act::ReviewWipe, &[]),
    ("/devices/{device}/repository-tokens", Act::MakeAppendingToken, &[("name", "NAS")]),
    (
        "/devices/{device}/repository-tokens",
        Act::MakeReadingToken,
        &[("name", "laptop"), ("reads", "yes"), ("hours", "24"), ("reason", "a file is missed")],
    ),
    (
        "/enrollment-tokens",
        Act::MakeWideEnrollmentToken,
        &[("name", "Sales"), ("team", ""), ("ownership", "company"), ("use_limit", "21"), ("valid_hours", "24")],
    ),
    ("/users", Act::InviteUser, &[("name", "Carl"), ("email", "carl@example.org"), ("roles", "operator@organisation")]),
    ("/users/{user}/roles", Act::ChangeRoles, &[("roles", "owner@organisation")]),
    ("/users/{user}/links", Act::MakeUserLink, &[]),
    ("/users/{user}/disable", Act::DisableUser, &[]),
    ("/users/{user}/enable", Act::EnableUser, &[]),
];

#[test]
fn a_guarded_act_of_a_session_whose_password_is_old_asks_for_it_and_does_nothing() {
    let world = World::new();
    let owner = person(&world.server, "owner", &[Role::Owner], None, SINCE);
    let wipe = world.requested();
    let stale = Visit::stale(&world.server, owner);
    let seq = || world.server.read(|conn| Ok(store::activity::newest_seq(conn)?));
    for (path, act, fields) in FORMS {
        assert!(act.guard().fresh, "{act}");
        let path = path
            .replace("{device}", world.device.id().as_str())
            .replace("{user}", world.second.as_str())
            .replace("{wipe}", wipe.id.as_str());
        let before = seq();

        let answer = stale.post(&path, fields);

        let page = text(&answer);
        assert_eq!(answer.status, 422, "{act}: {page}");
        // The page of a device whose wipe has already been requested has no form to show the field in.
        let has_field = page.contains("type=\"password\"") || *act == Act::RequestWipe;
        assert!(has_field && page.contains("Enter your password"), "{act}: {page}");
        assert_eq!(seq(), before, "{act} did something");
    }
}

/// The acts whose forms have to be checked in their own tests, and where.
const ELSEWHERE: &[(Act, &str)] = &[
    (Act::RestoreToItself, "restore"),
    (Act::RestoreElsewhere, "restore"),
    (Act::RestoreToAnotherPerson, "restore"),
    (Act::ApproveRestore, "crossing"),
    (Act::RestoreReplacing, "incident/d05"),
    (Act::UndoRestore, "incident/d05"),
    (Act::DownloadContents, "content/mod"),
    (Act::HandOverKeys, "key_holder/mod"),
    (Act::LostMode, "apple/guard"),
    (Act::LocateDevice, "apple/guard"),
    (Act::ClearPasscode, "apple/guard"),
    (Act::TurnOffDevice, "apple/guard"),
    (Act::ChangeRecoveryKey, "apple/guard"),
    (Act::RevealDeviceSecret, "apple/escrow"),
    (Act::ChangePushCertificate, "apple/push_certificate"),
    (Act::LockMany, "bulk"),
    (Act::LoosenPolicy, "policy_page"),
    (Act::ChangeSettings, "setting"),
    (Act::ChangePassword, "account"),
    (Act::LengthenRetention, "retention/change"),
    (Act::ShortenRetention, "retention/change"),
    (Act::ApproveShorterRetention, "retention/change"),
    (Act::MakeHold, "retention/hold"),
    (Act::LiftHold, "retention/hold"),
    (Act::ApproveHoldLift, "retention/hold"),
];

#[test]
fn each_act_that_asks_for_the_password_is_looked_at_here_or_in_its_own_tests() {
    for act in Act::ALL.iter().filter(|it| it.guard().fresh) {
        let is_here = FORMS.iter().any(|it| it.1 == *act);
        let is_elsewhere = ELSEWHERE
            .iter()
            .any(|it| it.0 == *act && std::path::Path::new("tests/it").join(format!("{}.rs", it.1)).exists());
        assert!(is_here != is_elsewhere, "{act}");
    }
}

#[test]
fn whoever_the_table_names_is_mailed_of_an_act_in_its_own_transaction() {
    for act in [
        Act::ChangePerson,
        Act::RemoveDevice,
        Act::MakeReadingToken,
        Act::MakeWideEnrollmentToken,
        Act::InviteUser,
        Act::ChangeRoles,
        Act::MakeUserLink,
        Act::DisableUser,
    ] {
        let world = World::new();
        let owner = person(&world.server, "owner", &[Role::Owner], None, SINCE);
        person(&world.server, "overseer", &[Role::Owner], None, SINCE);
        let (_, path, fields) = FORMS.iter().find(|it| it.1 == act).map(|it| (it.1, it.0, it.2)).unwrap();
        let path = path.replace("{device}", world.device.id().as_str()).replace("{user}", world.second.as_str());
        world.server.mails();

        let answer = Visit::of(&world.server, owner).post(&path, fields);

        assert!(matches!(answer.status, 200 | 303), "{act}: {} {}", answer.status, text(&answer));
        let mails = world.server.mails();
        let told = mails.iter().filter(|it| it.to == "overseer@example.org").count();
        assert_eq!(told > 0, act.guard().told != Told::Nobody, "{act}: {mails:?}");
    }
}
