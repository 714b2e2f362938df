//! Every request and every limit, compared with Apple's schema.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
use holdfast_apple::command::{
    Erasure, LostNote, Obliteration, QUERIES, QUERIES_BY_ACCOUNT, QUERIES_OF_COMPANY_PHONES, QUERIES_OF_MACS, Request,
    ReturnToService,
};
use holdfast_apple::declaration::{Declared, subscriptions};
use holdfast_apple::plist::{Dictionary, Value, read};
use holdfast_apple::profile::{Enrollment, FileVault, Mdm, Name, Scep, profile};
use holdfast_apple::schema::{
    Limit, Schema, check_command, check_declaration, check_payload, check_profile, check_protocol,
};
use holdfast_apple::target::{Rights, System, Target, Version};

const NEW_PHONE: Target = Target {
    system: System::Ios,
    version: Version(18, 1, 0),
    is_supervised: true,
    is_personal: false,
    rights: Rights::ALL,
};
const NEW_MAC: Target = Target { system: System::Macos, version: Version(15, 1, 0), ..NEW_PHONE };

fn requests() -> Vec<Request> {
    let text = |it: &str| Some(it.to_owned());
    let erasure = Erasure {
        pin: text("123456"),
        preserve_data_plan: true,
        disallow_proximity_setup: true,
        obliteration: Some(Obliteration::DoNotObliterate),
        return_to_service: Some(ReturnToService { wifi_profile: Some(vec![1]), mdm_profile: Some(vec![2]) }),
    };
    vec![
        Request::DeviceInformation(QUERIES.iter().map(|it| (*it).to_owned()).collect()),
        Request::SecurityInfo,
        Request::ProfileList,
        Request::CertificateList,
        Request::InstalledApplicationList,
        Request::DeviceLock { message: text("Lost"), phone_number: text("1"), pin: text("123456") },
        Request::EraseDevice(Erasure::default()),
        Request::EraseDevice(erasure),
        Request::ClearPasscode { unlock_token: vec![1] },
        Request::EnableLostMode(LostNote { message: text("a"), phone_number: text("b"), footnote: text("c") }),
        Request::DisableLostMode,
        Request::PlayLostModeSound,
        Request::DeviceLocation,
        Request::InstallProfile { payload: vec![1] },
        Request::RemoveProfile { identifier: "a".to_owned() },
        Request::RestartDevice,
        Request::ShutDownDevice,
        Request::RotateFileVaultKey { password: "a".to_owned(), certificate: vec![1] },
        Request::SetRecoveryLock { current: text("a"), new: "b".to_owned() },
        Request::ActivationLockBypassCode,
        Request::DeclarativeManagement { tokens: Some(vec![b'{']) },
    ]
}

/// Devices of every kind: systems, versions around each limit, supervised or not, personal or not, with and without rights.
fn targets() -> Vec<Target> {
    let phones = ["4.0", "7.0", "9.3", "10.2", "10.3", "11.0", "11.3", "14.8", "15.0", "16.0", "17.0", "18.1"];
    let macs = ["10.7", "10.8", "10.9", "10.12", "10.13", "10.14", "11.4", "11.5", "12.0", "13.0", "15.1"];
    let mut found = Vec::new();
    for (system, versions) in [(System::Ios, &phones[..]), (System::Macos, &macs[..])] {
        for version in versions {
            let version = Version::parse(version).unwrap();
            for (is_supervised, is_personal) in [(true, false), (false, false), (false, true)] {
                for rights in [Rights::ALL, Rights(0)] {
                    found.push(Target { system, version, is_supervised, is_personal, rights });
                }
            }
        }
    }
    found
}

#[test]
fn whatever_a_device_may_be_asked_is_what_the_schema_allows_it() {
    let mut allowed = 0;
    for target in targets() {
        for request in requests() {
            if request.may_ask(&target).is_err() {
                continue;
            }
            let message = read(&request.message("id", &target).unwrap()).unwrap();
            let faults = check_command(&message, &target);
            assert!(faults.is_empty(), "{} for {target:?}: {faults:?}", request.name());
            allowed += 1;
        }
    }
    assert!(allowed > 400, "{allowed}");
}

#[test]
fn each_limit_is_the_schemas() {
    for request in requests() {
        let item = Schema::get().command(request.name()).unwrap_or_else(|| panic!("{}", request.name()));
        let limits = request.limits();
        for (system, ours, personal) in
            [(System::Ios, limits.ios, limits.personal_ios), (System::Macos, limits.macos, limits.personal_macos)]
        {
            let theirs = item.limit(system);
            assert_eq!(ours, theirs.and_then(Limit::version), "{} on {}", request.name(), system.name());
            let Some(theirs) = theirs else { continue };
            let is_allowed = theirs.personal.as_deref() != Some("forbidden");
            assert_eq!(personal, is_allowed, "{} on a personal {}", request.name(), system.name());
            // Each query needs a right of its own; without this one nearly none is answered.
            if theirs.rights.as_deref() != Some("Special Case") {
                assert_eq!(limits.rights, theirs.right(), "{}: {:?}", request.name(), theirs.rights);
            }
            if system == System::Ios {
                assert_eq!(limits.supervised_only, theirs.supervised, "{}", request.name());
            }
        }
    }
}

#[test]
fn each_query_is_one_that_the_schema_has_on_such_a_device() {
    let item = Schema::get().command("DeviceInformation").unwrap();
    let allowed = &item.keys.iter().find(|it| it.key == "Queries").unwrap().keys[0].keys;
    let check = |name: &str, target: &Target| {
        let key = allowed.iter().find(|it| it.key == name).unwrap_or_else(|| panic!("no query {name}"));
        let limit = key.on.get(target.system.name());
        limit.is_none_or(|it| {
            it.since.as_deref() != Some("n/a") && !(target.is_personal && it.personal.as_deref() == Some("forbidden"))
        })
    };
    for name in QUERIES_OF_COMPANY_PHONES {
        assert!(check(name, &NEW_PHONE) && !check(name, &NEW_MAC), "{name}");
        assert!(!check(name, &Target { is_personal: true, ..NEW_PHONE }), "{name} of a personal device");
    }
    for name in QUERIES_OF_MACS {
        assert!(check(name, &NEW_MAC), "{name}");
    }
    for name in QUERIES_BY_ACCOUNT {
        let personal = |target| Target { is_personal: true, ..target };
        assert!(check(name, &personal(NEW_PHONE)) && check(name, &personal(NEW_MAC)), "{name}");
    }
    for name in QUERIES {
        assert!(check(name, &NEW_PHONE) || check(name, &NEW_MAC), "{name}");
    }
}

#[test]
fn the_check_finds_each_planted_fault() {
    let message = |change: &dyn Fn(&mut Dictionary)| {
        let request = Request::EraseDevice(Erasure { obliteration: Some(Obliteration::Always), ..Erasure::default() });
        let mut message = read(&request.message("id", &NEW_MAC).unwrap()).unwrap();
        change(message.get_mut("Command").unwrap().as_dictionary_mut().unwrap());
        check_command(&message, &NEW_MAC).into_iter().map(|it| format!("{} {}", it.at, it.why)).collect::<Vec<_>>()
    };
    let text = |it: &str| Value::String(it.to_owned());
    assert!(message(&|_| {}).is_empty());
    for (change, said) in [
        (("Obliterate", text("Always")), "EraseDevice.Obliterate is no key of it"),
        (("PIN", Value::Integer(1.into())), "EraseDevice.PIN is no string"),
        (("ObliterationBehavior", text("Never")), "is `Never`, which is none of its values"),
        (("PreserveDataPlan", Value::Boolean(true)), "EraseDevice.PreserveDataPlan is not there on macOS"),
    ] {
        let found = message(&|it| drop(it.insert(change.0.to_owned(), change.1.clone())));
        assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
    }
    // What is missing, what the device is too old for, and what its enrolment does not allow.
    let lost = read(&Request::ClearPasscode { unlock_token: vec![1] }.message("id", &NEW_PHONE).unwrap()).unwrap();
    let mut without = lost.clone();
    without.get_mut("Command").unwrap().as_dictionary_mut().unwrap().remove("UnlockToken");
    assert_eq!(check_command(&without, &NEW_PHONE)[0].why, "is missing");
    assert_eq!(check_command(&lost, &NEW_MAC)[0].why, "is not there on macOS");
    let old = Target { version: Version(3, 2, 0), ..NEW_PHONE };
    assert_eq!(check_command(&lost, &old)[0].why, "needs iOS 4.0");
    assert!(!check_command(&lost, &Target { rights: Rights(0), ..NEW_PHONE }).is_empty());
    assert!(!check_command(&lost, &Target { is_personal: true, ..NEW_PHONE }).is_empty());
}

fn name(what: &str, digit: char) -> Name {
    let digits = |count| digit.to_string().repeat(count);
    let uuid = format!("{}-{}-{}-{}-{}", digits(8), digits(4), digits(4), digits(4), digits(12));
    Name { identifier: format!("org.example.{what}"), uuid, title: what.to_owned() }
}

fn enrollment(managed_account: Option<&str>) -> Enrollment {
    Enrollment {
        name: name("enrolment", '0'),
        organization: "Example & Sons".to_owned(),
        description: "Your employer manages this device".to_owned(),
        roots: vec![(name("root", '1'), vec![0x30, 0])],
        scep: Scep {
            name: name("scep", '2'),
            url: "https://mdm.example.org/apple/scep".to_owned(),
            challenge: "once".to_owned(),
            subject: "device".to_owned(),
        },
        mdm: Mdm {
            name: name("mdm", '3'),
            server_url: "https://mdm.example.org/apple/connect".to_owned(),
            check_in_url: "https://mdm.example.org/apple/check-in".to_owned(),
            topic: "com.apple.mgmt.External.1".to_owned(),
            rights: Rights::ALL,
            signs_messages: true,
            managed_account: managed_account.map(ToOwned::to_owned),
        },
    }
}

/// What is wrong with a profile and all its payloads.
fn faults(profile: &Dictionary, target: &Target) -> Vec<String> {
    let payloads = profile["PayloadContent"].as_array().unwrap().iter().map(|it| it.as_dictionary().unwrap());
    let found = payloads.flat_map(|it| check_payload(it, target)).chain(check_profile(profile, target));
    found.map(|it| format!("{} {}", it.at, it.why)).collect()
}

#[test]
fn each_enrolment_profile_is_what_the_schema_allows() {
    for target in targets() {
        let account = target.is_personal.then_some("ada@example.org");
        let is_too_old = account.is_some() && !target.is_at_least(Some(Version(13, 1, 0)), Some(Version(10, 15, 0)));
        // Older Macs do not know what a SCEP payload says of its key.
        if is_too_old || !target.is_at_least(Some(Version(4, 0, 0)), Some(Version(10, 11, 0))) {
            continue;
        }
        let profile = read(&enrollment(account).bytes(&target).unwrap()).unwrap();
        assert_eq!(faults(&profile, &target), [""; 0], "{target:?}");
        let kinds = profile["PayloadContent"].as_array().unwrap().iter();
        let kinds: Vec<_> = kinds.map(|it| it.as_dictionary().unwrap()["PayloadType"].as_string().unwrap()).collect();
        assert_eq!(kinds, ["com.apple.security.root", "com.apple.security.scep", "com.apple.mdm"], "in this order");
    }
    let mut bad = enrollment(None);
    bad.mdm.server_url = "http://mdm.example.org".to_owned();
    bad.scep.name.uuid = "1".to_owned();
    let profile = read(&bad.bytes(&NEW_PHONE).unwrap()).unwrap();
    assert_eq!(faults(&profile, &NEW_PHONE).len(), 2, "{:?}", faults(&profile, &NEW_PHONE));
}

#[test]
fn filevault_with_escrow_is_what_the_schema_allows_a_company_mac() {
    let vault = FileVault {
        name: name("vault", '4'),
        escrow: name("escrow", '5'),
        certificate: name("certificate", '6'),
        certificate_der: vec![0x30, 0],
        location: "Holdfast keeps it".to_owned(),
    };
    let profile = profile(&name("filevault", '7'), vault.payloads());
    assert_eq!(faults(&profile, &NEW_MAC), [""; 0]);
    assert!(!faults(&profile, &NEW_PHONE).is_empty());
    assert!(!faults(&profile, &Target { is_personal: true, ..NEW_MAC }).is_empty());
}

#[test]
fn what_is_declared_is_what_the_schema_allows() {
    let digest = |bytes: &[u8]| bytes.len().to_string();
    let items = ["device.operating-system.version", "passcode.is-compliant", "diskmanagement.filevault.enabled"];
    let known: Vec<_> = Schema::get().statuses.iter().map(|it| it.name.as_str()).collect();
    assert!(items.iter().all(|it| known.contains(it)), "{known:?}");
    let declared = Declared::activated("holdfast.on", vec![subscriptions("holdfast.status", &items)]);
    for it in &declared.0 {
        assert_eq!(check_declaration(&it.json(&digest), &NEW_MAC), [], "{it:?}");
    }
    assert_eq!(check_protocol("declarationitemsresponse", &declared.items(&digest), &NEW_MAC), []);
    assert_eq!(check_protocol("tokensresponse", &declared.tokens("2026-11-30T10:00:00Z", &digest), &NEW_MAC), []);
    let mut bad = declared.0[0].json(&digest);
    bad["Payload"]["More"] = true.into();
    assert_eq!(check_declaration(&bad, &NEW_MAC).len(), 1);
}
