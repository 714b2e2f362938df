//! Personal devices whose person signs in with a Managed Apple Account.
use super::World;
use crate::support::device::apple::{SimApple, payload};
use crate::support::http::Answer;
use crate::support::people::colleague;
use crate::support::server::{admin, boss};
use crate::support::visit::{Visit, text};
use apple::certificate::Strength;
use apple::cms;
use apple::plist::{Dictionary, Read, Value};
use domain::command::{CommandKind, Order};
use domain::device::Ownership;
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::error::Error;
use holdfast::service::apple::account;
use holdfast::service::command::{self, Ask};
use holdfast::service::enrollment::TokenDraft;

const GRACE: &str = "grace@example.org";
const DOOR: &str = "/apple/enroll/account";
const SIGN_IN: &str = "/apple/enroll/account/sign-in";

fn draft() -> TokenDraft {
    TokenDraft {
        name: "Grace’s own phone".to_owned(),
        team_id: None,
        ownership: Ownership::Personal,
        use_limit: 1,
        valid_for: hours(24),
        device_id: None,
    }
}

fn token(world: &World) -> String {
    let now = world.now();
    world.server.act(move |conn| account::make_token(conn, &boss(), (&draft(), "Grace@Example.org"), now)).1
}

fn phone(world: &World) -> SimApple {
    let udid = "b6b0c0ffee".to_owned();
    SimApple { is_by_account: true, udid, ..SimApple::phone(world.door, 1) }
}

fn signs_in(phone: &SimApple, account: &str, token: &str) -> Answer {
    let body = format!("account={}&token={token}", account.replace('@', "%40"));
    phone.send("POST", SIGN_IN, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
}

fn access(answer: &Answer) -> String {
    assert_eq!(answer.status, 308, "{}", answer.text());
    let to = answer.header("location");
    to.strip_prefix("apple-remotemanagement-user-login://authentication-results?access-token=").unwrap().to_owned()
}

fn asks(phone: &SimApple, access: &str) -> Answer {
    phone.send("POST", DOOR, &[("Authorization", &format!("Bearer {access}"))], b"")
}

fn profile(phone: &SimApple, answer: &Answer) -> Dictionary {
    assert_eq!(answer.status, 200, "{}", answer.text());
    phone.checked(&answer.body)
}

fn enrolled(world: &World) -> SimApple {
    let mut phone = phone(world);
    let access = access(&signs_in(&phone, GRACE, &token(world)));
    let profile = profile(&phone, &asks(&phone, &access));
    phone.installs(&profile);
    assert_eq!(phone.authenticates().status, 200);
    assert_eq!(phone.says_where().status, 200);
    phone
}

#[test]
fn a_device_finds_the_server_and_its_person_signs_in() {
    let world = World::new();
    let phone = phone(&world);
    let found = phone.get("/.well-known/com.apple.remotemanagement?user-identifier=grace%40example.org");
    let found: serde_json::Value = serde_json::from_slice(&found.body).unwrap();
    let server = &found["Servers"][0];
    assert_eq!(
        (server["Version"].as_str(), server["BaseURL"].as_str()),
        (Some("mdm-byod"), Some("https://devices.test/apple/enroll/account"))
    );

    let first = phone.send("POST", DOOR, &[], b"");
    assert_eq!(first.status, 401);
    let asked = "Bearer method=\"apple-as-web\", url=\"https://devices.test/apple/enroll/account/sign-in\"";
    assert_eq!(first.header("www-authenticate"), asked);
    let page = phone.get(&format!("{SIGN_IN}?user-identifier=%22%3E%3Cb%3E"));
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("\"><b>") && page.header("content-security-policy").contains("default-src 'none'"));
    assert!(page.text().contains("/apple/enroll/account/style.css"));
    assert_eq!(phone.get("/apple/enroll/account/style.css").header("content-type"), "text/css; charset=utf-8");

    let access = access(&signs_in(&phone, "GRACE@example.org", &token(&world)));
    let profile = profile(&phone, &asks(&phone, &access));
    let mdm = payload(&profile, "com.apple.mdm");
    assert_eq!((mdm.text("AssignedManagedAppleID"), mdm.text("EnrollmentMode")), (Some(GRACE), Some("BYOD")));
    assert_eq!(mdm.get("AccessRights"), None, "Apple decides");
    assert_eq!(asks(&phone, &access).status, 401, "once");
}

#[test]
fn a_personal_device_shows_less_and_is_never_erased() {
    let world = World::new();
    let phone = enrolled(&world);
    let (device, enrollment) = world.device(&phone);
    assert_eq!((device.ownership, enrollment.account.as_deref()), (Ownership::Personal, Some(GRACE)));
    assert!(device.serial.starts_with("HF-"), "what is typed to confirm: {}", device.serial);
    let asked = phone.talks();
    let queries = asked[0].command.list("Queries").to_vec();
    for never in ["SerialNumber", "UDID", "LastCloudBackupDate", "IsCloudBackupEnabled"] {
        assert!(!queries.contains(&Value::String(never.to_owned())), "{never}");
    }
    assert!(asked.iter().all(|it| it.kind != "InstalledApplicationList"), "{asked:?}");
    let of = device.clone();
    let channel = world.server.read(move |conn| command::channel(conn, &of)).unwrap();
    assert!(
        channel.cannot.contains_key(&CommandKind::Wipe) && channel.cannot.contains_key(&CommandKind::ClearPasscode)
    );
    let now = world.now();
    let of = device.clone();
    world
        .server
        .act(move |conn| command::queue(conn, &admin(), &of, Ask { order: &Order::lock(), request_key: None }, now));
    assert!(phone.talks().iter().any(|it| it.kind == "DeviceLock"));
}

#[test]
fn a_profile_for_an_account_is_not_for_a_device_that_names_itself() {
    let world = World::new();
    let mut phone = phone(&world);
    let access = access(&signs_in(&phone, GRACE, &token(&world)));
    let profile = profile(&phone, &asks(&phone, &access));
    phone.installs(&profile);
    phone.is_by_account = false;
    assert_eq!(phone.authenticates().status, 403);
    assert!(world.find(&phone).is_none());
}

#[test]
fn a_token_is_for_its_account_alone_and_a_sign_in_ends() {
    let world = World::new();
    let (phone, token) = (phone(&world), token(&world));
    for (account, token) in [
        ("ada@example.org", token.as_str()),
        ("grace", &token),
        ("", &token),
        (GRACE, "hf_enroll_x"),
        (GRACE, &world.token(Ownership::Personal)),
    ] {
        let answer = signs_in(&phone, account, token);
        assert_eq!(answer.status, 403, "{account} {token}");
    }
    assert_eq!(phone.get(&format!("/apple/enroll/{token}")).status, 403, "no profile that shows more");

    let early = access(&signs_in(&phone, GRACE, &token));
    let late = access(&signs_in(&phone, GRACE, &token));
    assert_eq!(asks(&phone, &early).status, 401, "the later ends the earlier");
    world.server.app.clock.advance(minutes(11));
    assert_eq!(asks(&phone, &late).status, 401);
    assert_eq!(asks(&phone, "").status, 401);
}

#[test]
fn what_a_device_says_of_itself_has_to_be_signed() {
    let world = World::new();
    let phone = phone(&world);
    let plain = b"<plist version=\"1.0\"><dict/></plist>";
    assert_eq!(phone.send("POST", DOOR, &[], plain).status, 400);
    let identity = crate::support::device::apple::Identity::new();
    let signer = cms::Signer { certificate: &identity.certificate, key: &identity.key, chain: &[] };
    let signed = cms::sign(&signer, plain, cms::Form::Attached, &[], Some(phone.at)).unwrap();
    assert!(cms::verify(&signed, None, Strength::Modern).is_ok());
    assert_eq!(phone.send("POST", DOOR, &[], &signed).status, 401);
}

#[test]
fn only_tokens_for_personal_devices_name_an_account() {
    let world = World::new();
    let now = world.now();
    for (draft, account) in [(TokenDraft { ownership: Ownership::Company, ..draft() }, GRACE), (draft(), "grace")] {
        let store = world.server.store();
        let made = store.act_blocking(move |conn| account::make_token(conn, &boss(), (&draft, account), now));
        assert!(matches!(made, Err(Error::Invalid(_))));
    }
}

#[test]
fn the_page_makes_a_token_for_an_account_and_says_what_its_person_does() {
    let world = World::new();
    let visit = Visit::of(&world.server, colleague(&world.server, "operator", Role::Operator));
    let post = |ownership, account| {
        let fields = [
            ("name", "Grace’s own phone"),
            ("team", ""),
            ("ownership", ownership),
            ("use_limit", "1"),
            ("valid_hours", "24"),
            ("account", account),
        ];
        visit.post("/enrollment-tokens", &fields)
    };
    let html = text(&post("personal", GRACE));
    assert!(html.contains("Sign In to Work or School Account") && html.contains(GRACE), "{html}");
    assert!(!html.contains("/apple/enroll/"), "no profile that shows more");
    assert!(text(&post("personal", "")).contains("https://devices.test/apple/enroll/hf_enroll_"));
    let refused = post("company", GRACE);
    assert_eq!(refused.status, 422);
    assert!(text(&refused).contains("Only personal devices"));
}
