//! What is set on Apple devices: it reaches them, is put back when it is gone, and is taken away again.
use super::World;
use crate::support::device::apple::{Asked, SimApple};
use crate::support::people::colleague;
use crate::support::server::boss;
use crate::support::visit::{Visit, hidden, location, text};
use apple::plist::Read;
use domain::apple_settings::{Passcode, Restriction, SettingKind, Settings, Standing};
use domain::device::Ownership;
use domain::device_secret::SecretKind;
use domain::id::TeamId;
use domain::role::Role;
use domain::time::{days, hours, minutes};
use holdfast::service::apple::{push, settings};
use holdfast::store;

const PASSCODE: &str = "net.holdfast.settings.passcode";
const RESTRICTIONS: &str = "net.holdfast.settings.restrictions";

fn passcode(minimum_length: u8) -> Settings {
    let passcode = Passcode { minimum_length: Some(minimum_length), allows_simple: false };
    Settings { passcode: Some(passcode), ..Settings::default() }
}

fn restricted(restrictions: &[(Restriction, bool)]) -> Settings {
    Settings { restrictions: restrictions.iter().copied().collect(), ..Settings::default() }
}

fn set(world: &World, team: Option<TeamId>, settings: &Settings) {
    let (now, new) = (world.now(), settings.clone());
    world.server.act(move |conn| {
        let name = settings::editable(conn, &boss(), team)?;
        let version = settings::shown(&settings::in_force(conn, team)?, &name).version();
        settings::change(conn, &boss(), team, (&new, &version), now)
    });
}

fn mac(world: &World) -> SimApple {
    let mut mac = SimApple::mac(world.door, 2);
    mac.enrolls(&world.token(Ownership::Company));
    mac
}

/// Only what was set or taken away.
fn changes(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|it| it.kind.as_str()).filter(|it| it.ends_with("Profile")).collect()
}

fn standings(world: &World, sim: &SimApple) -> Vec<(SettingKind, Standing)> {
    let (device, _) = world.device(sim);
    let found = world.server.read(move |conn| settings::of_device(conn, &device));
    // Since when is the clock's.
    let timeless = |it: Standing| if matches!(it, Standing::InForce { .. }) { IN_FORCE } else { it };
    found.into_iter().map(|it| (it.setting.kind(), timeless(it.standing))).collect()
}

const IN_FORCE: Standing = Standing::InForce { since: None };

fn count(world: &World, sim: &SimApple, action: &str) -> usize {
    world.history(world.device(sim).0.id).iter().filter(|it| *it == action).count()
}

#[test]
fn a_setting_reaches_a_phone_and_a_mac_and_is_sent_again_only_when_it_changes() {
    let world = World::new();
    let (phone, mac) = (world.phone(1), mac(&world));
    assert!(changes(&phone.talks()).is_empty() && changes(&mac.talks()).is_empty(), "nothing is set");
    let both = Settings { passcode: passcode(8).passcode, ..restricted(&[(Restriction::CloudBackup, true)]) };
    set(&world, None, &both);
    assert_eq!(standings(&world, &phone)[0].1, Standing::Waits);
    world.server.app.clock.advance(minutes(2));
    let now = world.now();
    assert_eq!(world.server.read(|conn| push::due(conn, now)).len(), 2, "they are woken");

    assert_eq!(changes(&phone.talks()), ["InstallProfile"; 2]);
    assert_eq!(changes(&mac.talks()), ["InstallProfile"]);
    assert_eq!(phone.set(PASSCODE).unwrap().number("minLength"), Some(8));
    assert_eq!(phone.set(PASSCODE).unwrap().flag("forcePIN"), Some(true));
    assert_eq!(phone.set(RESTRICTIONS).unwrap().flag("allowCloudBackup"), Some(true));
    assert_eq!(mac.set(PASSCODE), phone.set(PASSCODE));
    let of_mac = standings(&world, &mac);
    assert_eq!(
        of_mac,
        [(SettingKind::Passcode, IN_FORCE), (SettingKind::Restrictions, Standing::LeftOut)],
        "a Mac has no backup to iCloud"
    );
    assert!(changes(&phone.talks()).is_empty() && changes(&mac.talks()).is_empty());
    world.server.app.clock.advance(minutes(2));
    let now = world.now();
    assert!(world.server.read(|conn| push::due(conn, now)).is_empty(), "they came");

    set(&world, None, &Settings { passcode: passcode(10).passcode, ..both });
    assert_eq!(standings(&world, &phone)[0].1, Standing::Waits, "what it has is older");
    assert_eq!(changes(&phone.talks()), ["InstallProfile"], "the restrictions are the same");
    assert_eq!(phone.set(PASSCODE).unwrap().number("minLength"), Some(10));
}

#[test]
fn what_is_gone_is_put_back_and_written_down_once_a_day() {
    let world = World::new();
    let phone = world.phone(1);
    set(&world, None, &passcode(6));
    phone.talks();
    for _ in 0..2 {
        phone.loses(PASSCODE);
        assert!(changes(&phone.talks()).is_empty(), "nobody knows yet");
        world.server.app.clock.advance(hours(6));
        assert_eq!(changes(&phone.talks()), ["InstallProfile"]);
        assert_eq!(standings(&world, &phone), [(SettingKind::Passcode, IN_FORCE)]);
    }
    assert_eq!(count(&world, &phone, "apple_setting_missing"), 1);
    world.server.app.clock.advance(days(1));
    assert!(changes(&phone.talks()).is_empty(), "what it lists is there");
    assert_eq!(count(&world, &phone, "apple_setting_missing"), 1);
}

#[test]
fn what_is_set_no_more_is_taken_away_even_if_nobody_heard_that_it_arrived() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    set(&world, None, &passcode(6));
    let install = phone.idles().unwrap();
    phone.words(&install);
    set(&world, None, &Settings::default());
    assert_eq!(changes(&phone.talks()), ["RemoveProfile"], "its answer was lost");
    assert_eq!(phone.set(PASSCODE), None);
    assert!(changes(&phone.talks()).is_empty() && standings(&world, &phone).is_empty());
    let (_, enrollment) = world.device(&phone);
    let left = world.server.read(move |conn| Ok(store::apple::setting_state::of(conn, &[enrollment.id])?));
    assert_eq!(left, [], "nothing is kept of it");
}

#[test]
fn what_a_device_refuses_is_kept_with_its_words_and_tried_again_the_next_day_or_when_it_changes() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    set(&world, None, &Settings { passcode: passcode(6).passcode, ..restricted(&[(Restriction::CloudPhotos, false)]) });
    let refused = phone.idles().unwrap();
    let other = phone.reports("Error", &refused).expect("one that fails keeps no other away");
    phone.answers(&other, phone.words(&other));
    let failed = Standing::Failed("the device gave no reason".to_owned());
    let expected = [(SettingKind::Passcode, failed), (SettingKind::Restrictions, IN_FORCE)];
    assert_eq!(standings(&world, &phone), expected);
    world.server.app.clock.advance(hours(12));
    assert!(changes(&phone.talks()).is_empty(), "not more often than once a day");
    world.server.app.clock.advance(hours(12));
    assert_eq!(changes(&phone.talks()), ["InstallProfile"]);
    set(&world, None, &passcode(7));
    let again = phone.idles().unwrap();
    phone.reports("Error", &again);
    set(&world, None, &passcode(8));
    assert!(changes(&phone.talks()).contains(&"InstallProfile"), "it is something else now");
    assert_eq!(standings(&world, &phone), [(SettingKind::Passcode, IN_FORCE)]);
}

#[test]
fn what_cannot_be_now_is_asked_when_the_device_comes_by_itself() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    set(&world, None, &passcode(6));
    let install = phone.idles().unwrap();
    assert!(phone.reports("NotNow", &install).is_none());
    assert_eq!(standings(&world, &phone), [(SettingKind::Passcode, Standing::Waits)]);
    assert_eq!(changes(&phone.talks()), ["InstallProfile"]);
}

#[test]
fn a_personal_device_gets_only_what_its_owner_would_expect() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 3);
    phone.is_personal = true;
    phone.enrolls(&world.token(Ownership::Personal));
    let restrictions = [(Restriction::CloudBackup, false), (Restriction::ManagedAppsCloudSync, false)];
    let all = Settings { passcode: passcode(6).passcode, file_vault: true, ..restricted(&restrictions) };
    set(&world, None, &all);
    assert_eq!(changes(&phone.talks()), ["InstallProfile"; 2]);
    let set = phone.set(RESTRICTIONS).unwrap();
    assert_eq!((set.flag("allowManagedAppsCloudSync"), set.flag("allowCloudBackup")), (Some(false), None));
    let (device, _) = world.device(&phone);
    let owner = Visit::of(&world.server, colleague(&world.server, "grace", Role::Owner));
    let page = text(&owner.get(&format!("/devices/{}/inventory", device.id)));
    assert!(page.contains("Passcode: in force, by the device’s word"), "{page}");
    assert!(page.contains("Left out: Backup to iCloud, because a personal device does not take it"), "{page}");
    assert!(page.contains("FileVault: not for this device"), "{page}");
}

#[test]
fn filevault_is_set_switched_on_and_its_key_comes_here() {
    let world = World::new();
    let mac = mac(&world);
    mac.talks();
    set(&world, None, &Settings { file_vault: true, ..Settings::default() });
    let asked: Vec<_> = mac.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(asked, ["InstallProfile", "SecurityInfo"]);
    let (device, _) = world.device(&mac);
    let of = (device.id, device.generation);
    let kept = world.server.read(move |conn| Ok(store::device_secret::current(conn, of, SecretKind::RecoveryKey)?));
    assert!(kept.is_some(), "the key is in escrow");
}

#[test]
fn one_session_sends_no_macs_backups_elsewhere_before_somebody_could_take_it_back() {
    let world = World::new();
    let mac = mac(&world);
    mac.talks();
    let target =
        || mac.set("net.holdfast.settings.time_machine").map(|it| it.text("BackupDestURL").unwrap().to_owned());
    let destination = |url: &str| {
        set(&world, None, &Settings { time_machine: Some(url.to_owned()), ..Settings::default() });
        mac.talks();
    };
    let later = |span| {
        world.server.app.clock.advance(span);
        mac.talks();
    };

    destination("smb://ours/macs");
    later(hours(71));
    assert_eq!(target(), None);
    later(hours(1));
    assert_eq!(target().as_deref(), Some("smb://ours/macs"));
    destination("smb://theirs/macs");
    later(hours(71));
    assert_eq!(target().as_deref(), Some("smb://ours/macs"), "what is there stays meanwhile");
    destination("smb://ours/macs");
    later(hours(100));
    assert_eq!(target().as_deref(), Some("smb://ours/macs"), "it was taken back in time");
}

#[test]
fn settings_are_written_on_a_page_counted_and_loosened_only_with_the_password() {
    let world = World::new();
    let phone = world.phone(1);
    colleague(&world.server, "watcher", Role::Owner);
    let editor = colleague(&world.server, "grace", Role::Owner);
    let (stale, fresh) = (Visit::stale(&world.server, editor), Visit::of(&world.server, editor));
    assert!(text(&fresh.get("/policies/apple")).contains("Nothing is set"));
    let version = || hidden(&text(&fresh.get("/policies/apple/all")), "version");
    let post = |visit: &Visit<'_>, length: &str, version: &str| {
        let fields =
            [("version", version), ("passcode", "on"), ("minimum_length", length), ("allowCloudPhotoLibrary", "no")];
        visit.post("/policies/apple/all", &fields)
    };
    let first = version();
    assert_eq!(post(&stale, "99", &first).status, 422);
    assert_eq!(location(&post(&stale, "8", &first)), "/policies/apple", "it only asks for more");
    assert_eq!(post(&fresh, "9", &first).status, 409, "somebody changed it");
    phone.talks();
    let page = text(&fresh.get("/policies/apple"));
    assert!(page.contains("A passcode of at least 8 characters") && page.contains("Photos in iCloud: not allowed"));
    let devices = text(&fresh.get("/policies/apple/devices/passcode"));
    assert!(devices.contains("in force, by the device’s word"), "{devices}");
    world.server.mails();

    let refused = post(&stale, "6", &version());
    assert!(refused.status == 422 && text(&refused).contains("Enter your password"), "{}", text(&refused));
    assert_eq!(post(&fresh, "6", &version()).status, 303);
    let mails = world.server.mails();
    assert!(mails.iter().any(|it| it.to == "watcher@example.org" && it.body.contains("6 characters")), "{mails:?}");
    let observer = Visit::of(&world.server, colleague(&world.server, "oscar", Role::Auditor));
    assert_eq!(post(&observer, "8", &version()).status, 403);
}

#[test]
fn a_team_with_settings_of_its_own_follows_those_alone() {
    let world = World::new();
    let phone = world.phone(1);
    let (device, _) = world.device(&phone);
    let now = world.now();
    let team = world.server.act(move |conn| {
        let team = store::team::Team { id: TeamId::generate(now), name: "Sales".to_owned(), created_at: now };
        store::team::insert(conn, &team)?;
        Ok(team.id)
    });
    set(&world, None, &passcode(8));
    set(&world, Some(team), &restricted(&[(Restriction::CloudPhotos, false)]));
    phone.talks();
    assert!(phone.set(PASSCODE).is_some() && phone.set(RESTRICTIONS).is_none());
    world.server.act(move |conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::devices;
        diesel::update(devices::table.find(device.id)).set(devices::team_id.eq(Some(team))).execute(conn)?;
        Ok(())
    });
    let asked = phone.talks();
    assert_eq!(changes(&asked), ["RemoveProfile", "InstallProfile"]);
    assert!(phone.set(PASSCODE).is_none() && phone.set(RESTRICTIONS).is_some());
    let now = world.now();
    world.server.act(move |conn| settings::remove(conn, &boss(), team, now));
    phone.talks();
    assert!(phone.set(PASSCODE).is_some() && phone.set(RESTRICTIONS).is_none());
}
