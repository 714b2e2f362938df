//! Every setting and every limit, compared with Apple's schema.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
use holdfast_apple::command::Limits;
use holdfast_apple::plist::Dictionary;
use holdfast_apple::profile::Name;
use holdfast_apple::schema::{Item, Limit, Schema, check_payload};
use holdfast_apple::setting::{FILE_VAULT, Passcode, RESTRICTIONS, TIME_MACHINE, restrictions, time_machine};
use holdfast_apple::target::{Rights, System, Target, Version};

fn name() -> Name {
    Name { identifier: "a".to_owned(), uuid: "00000000-0000-0000-0000-000000000000".to_owned(), title: "A".to_owned() }
}

/// Devices of every kind: systems, versions around each limit, supervised or not, personal or not.
fn targets() -> Vec<Target> {
    let phones = ["4.0", "4.3", "5.0", "6.1", "7.0", "8.0", "9.0", "13.0", "18.1"];
    let macs = ["10.7", "10.8", "10.9", "10.11", "10.12", "10.12.4", "11.0", "12.0", "15.1"];
    let kinds = [(System::Ios, phones), (System::Macos, macs)];
    let each = kinds.iter().flat_map(|(system, versions)| versions.iter().map(move |it| (*system, it)));
    let each = each.map(|(system, it)| (system, Version::parse(it).unwrap()));
    let owners = [(true, false), (false, false), (false, true)];
    each.flat_map(|(system, version)| {
        owners.map(|(is_supervised, is_personal)| Target {
            system,
            version,
            is_supervised,
            is_personal,
            rights: Rights::ALL,
        })
    })
    .collect()
}

fn item(name: &str) -> &'static Item {
    Schema::get().profiles.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}"))
}

/// Whether the schema has nothing against this payload there.
fn is_taken(payload: &Dictionary, target: &Target) -> bool {
    check_payload(payload, target).is_empty()
}

#[test]
fn each_setting_is_sent_to_exactly_the_devices_that_the_schema_names() {
    let passcode = Passcode { minimum_length: Some(8), allows_simple: false }.payload(&name());
    let time_machine = time_machine(&name(), "smb://backup.example.org/macs");
    let mut taken = 0;
    for target in targets() {
        for it in RESTRICTIONS {
            for is_on in [true, false] {
                let payload = restrictions(&name(), &[(it, is_on)]);
                assert_eq!(it.may_set(&target).is_ok(), is_taken(&payload, &target), "{} on {target:?}", it.key);
            }
        }
        for (limits, payload) in [(Passcode::LIMITS, &passcode), (TIME_MACHINE, &time_machine)] {
            assert_eq!(limits.check(&target).is_ok(), is_taken(payload, &target), "{payload:?} on {target:?}");
            taken += usize::from(limits.check(&target).is_ok());
        }
    }
    assert!(taken > 50, "{taken}");
}

#[test]
fn the_limits_of_filevault_are_the_schemas() {
    let Limits { ios, macos, personal_macos, .. } = FILE_VAULT;
    let both = ["com.apple.MCX.FileVault2", "com.apple.security.FDERecoveryKeyEscrow"];
    let theirs = both.map(|it| item(it).limit(System::Macos).unwrap());
    assert_eq!(macos, theirs.iter().filter_map(|it| it.version()).max());
    assert_eq!(personal_macos, theirs.iter().all(|it| it.personal.as_deref() != Some("forbidden")));
    assert_eq!(ios, item("com.apple.MCX.FileVault2").limit(System::Ios).and_then(Limit::version));
}

#[test]
fn no_passcode_setting_lets_a_device_erase_itself() {
    for minimum_length in [None, Some(4), Some(16)] {
        let payload = Passcode { minimum_length, allows_simple: true }.payload(&name());
        assert!(!payload.contains_key("maxFailedAttempts"), "{payload:?}");
        assert_eq!(payload.contains_key("minLength"), minimum_length.is_some());
    }
}
