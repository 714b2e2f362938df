//! Devices that Apple says are ours, and that enroll by themselves while they are set up.
use super::World;
use crate::support::apple_service::AppleServiceServer;
use crate::support::device::apple::{Identity, SimApple};
use crate::support::http::Answer;
use apple::certificate::{Authority, Certificate, Leaf, Validity};
use apple::cms::{self, Cipher, Form, Signer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::activity::Actor;
use domain::device::Ownership;
use domain::time::{Time, minutes};
use holdfast::config::Options;
use holdfast::error::Error;
use holdfast::job::apple_service::run_once;
use holdfast::protocol::apple::Client;
use holdfast::service::apple::service;
use holdfast::store;
use holdfast::store::apple::service::AppleService;
use std::path::PathBuf;
use std::time::Duration;

const DOOR: &str = "/apple/enroll/automatic";

/// A server with an account at the service.
struct Office {
    world: World,
    apple: AppleServiceServer,
    client: Client,
}

impl Office {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(apple_device_roots: Option<PathBuf>) -> Self {
        let apple = AppleServiceServer::start();
        let world =
            World::with(Options { apple_service_url: Some(apple.url()), apple_device_roots, ..Options::default() });
        let client = Client::new(world.server.app.apple.clone().unwrap());
        let office = Self { world, apple, client };
        // Makes the key.
        assert!(!office.runs());
        assert!(office.apple.asked().is_empty(), "without a token nothing is asked");
        office.brings(&office.kept());
        office
    }

    /// Brings the token file for the key of this account.
    fn brings(&self, account: &AppleService) {
        let certificate = Certificate::parse(&BASE64_STANDARD.decode(&account.certificate).unwrap()).unwrap();
        let inside = "Content-Type: text/plain\n\n-----BEGIN MESSAGE-----\n{\"consumer_key\":\"CK_1\",\
            \"consumer_secret\":\"CS_1\",\"access_token\":\"AT_1\",\"access_secret\":\"AS_1\",\
            \"access_token_expiry\":\"2027-11-30T10:00:00Z\"}\n-----END MESSAGE-----\n";
        let sealed = cms::encrypt(inside.as_bytes(), &certificate, Cipher::TripleDes).unwrap();
        let mail = format!("Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", BASE64_STANDARD.encode(sealed));
        let now = self.now();
        self.world.server.act(move |conn| service::set_token(conn, &Actor::system(), mail.as_bytes(), now));
    }

    fn now(&self) -> Time {
        self.world.now()
    }

    /// Runs the job once; whether it wants to go on at once.
    fn runs(&self) -> bool {
        run_once(self.world.server.store(), &self.client, self.now()).unwrap().more
    }

    fn kept(&self) -> AppleService {
        self.world.server.read(|conn| Ok(store::apple::service::find(conn)?)).unwrap()
    }

    fn ours(&self) -> Vec<String> {
        let all = self.world.server.read(|conn| Ok(store::apple::service::devices(conn)?));
        all.into_iter().filter(|it| it.removed_at.is_none()).map(|it| it.serial).collect()
    }

    fn later(&self, by: Duration) {
        self.world.server.app.clock.advance(by);
    }

    fn asked(&self) -> Vec<String> {
        self.apple.asked().into_iter().map(|it| it.what).collect()
    }

    fn gives(&self, serial: &str) -> Result<(), Error> {
        let (serials, now) = ([serial.to_owned()], self.now());
        self.world.server.store().act_blocking(move |conn| service::give(conn, &Actor::system(), (&serials, None), now))
    }

    /// With one device that was given to somebody.
    fn with_one(serial: &str, roots: Option<PathBuf>) -> Self {
        let office = Self::with(roots);
        office.apple.has(&[(serial, "added"), ("OTHER1", "added")], "c1", false);
        assert!(!office.runs());
        office.gives(serial).unwrap();
        office
    }
}

/// What a device posts, signed with this identity.
fn posts(phone: &SimApple, serial: &str, identity: &Identity, chain: &[Certificate]) -> Answer {
    let said = format!(
        "<plist version=\"1.0\"><dict><key>SERIAL</key><string>{serial}</string><key>PRODUCT</key>\
         <string>iPhone14,5</string><key>UDID</key><string>{}</string></dict></plist>",
        phone.udid
    );
    let signer = Signer { certificate: &identity.certificate, key: &identity.key, chain };
    let body = cms::sign(&signer, said.as_bytes(), Form::Attached, &[], Some(phone.at)).unwrap();
    phone.send("POST", DOOR, &[("Content-Type", "application/pkcs7-signature")], &body)
}

#[test]
fn the_devices_of_the_account_are_read_page_by_page_and_then_what_changed() {
    let office = Office::new();
    office.apple.has(&[("AAA1", "added"), ("BBB2", "added")], "c1", true);
    office.apple.has(&[("CCC3", "added")], "c2", false);
    assert!(office.runs(), "there is more");
    assert!(!office.runs());
    assert_eq!(office.ours(), ["AAA1", "BBB2", "CCC3"]);
    let asked = office.apple.asked();
    let what: Vec<_> = asked.iter().map(|it| it.what.as_str()).collect();
    let expected = ["GET /session", "GET /account", "POST /profile", "POST /server/devices", "POST /server/devices"];
    assert_eq!(what, expected);
    assert!(asked[0].authorization.starts_with("OAuth realm=\"ADM\""), "{}", asked[0].authorization);
    assert_eq!(asked[2].body["url"], "https://devices.test/apple/enroll/automatic");
    assert_eq!((&asked[3].body["cursor"], &asked[4].body["cursor"]), (&serde_json::Value::Null, &"c1".into()));
    let kept = office.kept();
    assert_eq!((kept.organization.as_str(), kept.synced_at, kept.failure), ("Example Ltd", Some(office.now()), None));
    assert_eq!(kept.token_until.map(Time::iso).unwrap().get(..10), Some("2027-11-30"));

    assert!(!office.runs());
    assert_eq!(office.asked(), [""; 0], "not before it is time");
    office.later(minutes(31));
    office.apple.has(&[("BBB2", "deleted"), ("DDD4", "added"), ("NONE", "deleted")], "c3", false);
    assert!(!office.runs());
    assert_eq!(office.ours(), ["AAA1", "CCC3", "DDD4"]);
    assert_eq!(office.asked(), ["POST /devices/sync"]);
}

#[test]
fn a_list_that_begins_again_ends_what_apple_names_no_more() {
    let office = Office::new();
    office.apple.has(&[("AAA1", "added"), ("BBB2", "added")], "c1", false);
    office.runs();
    office.gives("AAA1").unwrap();
    office.runs();
    assert!(office.asked().contains(&"POST /profile/devices".to_owned()));
    office.later(minutes(31));
    office.apple.answers("POST /devices/sync", "400 Bad Request", "\"EXPIRED_CURSOR\"");
    assert!(office.runs(), "it begins again at once");
    office.apple.has(&[("BBB2", "added")], "c9", false);
    assert!(!office.runs());
    assert_eq!(office.asked(), ["POST /devices/sync", "POST /server/devices"]);
    assert_eq!(office.ours(), ["BBB2"]);
    assert!(office.gives("AAA1").is_err(), "it is another's");
}

#[test]
fn a_session_that_ends_is_begun_again_once_and_a_no_is_told_and_tried_later() {
    let office = Office::new();
    office.runs();
    office.asked();
    office.later(minutes(31));
    office.apple.ends_session();
    office.runs();
    assert_eq!(office.asked(), ["POST /devices/sync", "GET /session", "POST /devices/sync"]);

    for (status, body, after, words) in [
        ("403 Forbidden", "T_C_NOT_SIGNED", minutes(10), "terms"),
        ("429 Too Many Requests\r\nRetry-After: 120", "", Duration::from_secs(120), "120 s"),
        ("503 Service Unavailable\r\nRetry-After: 99999999", "", minutes(360), "come again"),
        ("200 OK", "<html>", minutes(10), "cannot be read"),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", "", minutes(10), "302"),
        ("500 Internal Server Error", "oops", minutes(10), "oops"),
    ] {
        office.later(minutes(400));
        office.apple.answers("POST /devices/sync", status, body);
        assert!(!office.runs());
        let kept = office.kept();
        assert!(kept.failure.as_ref().is_some_and(|it| it.contains(words)), "{status}: {:?}", kept.failure);
        assert_eq!(kept.due_at, office.now() + after, "{status}");
        assert_eq!(kept.sync_cursor.as_deref(), Some("end"), "{status}");
    }
    office.later(minutes(400));
    office.apple.answers("POST /devices/sync", "401 Unauthorized", "UNAUTHORIZED");
    office.apple.answers("POST /devices/sync", "401 Unauthorized", "UNAUTHORIZED");
    office.asked();
    assert!(!office.runs());
    assert_eq!(office.asked().len(), 3, "once, and not without end");
    office.later(minutes(400));
    office.runs();
    assert_eq!(office.kept().failure, None);
}

#[test]
fn a_list_without_an_end_is_not_read_without_end() {
    let office = Office::new();
    for _ in 0..2 {
        office.apple.answers("POST /server/devices", "400 Bad Request", "INVALID_CURSOR");
        assert!(!office.runs(), "it began at the beginning");
        assert_eq!(office.kept().due_at, office.now() + minutes(10));
        office.later(minutes(11));
    }
    office.apple.has(&[("AAA1", "added")], "c1", true);
    office.apple.has(&[("AAA1", "added")], "c1", true);
    assert!(office.runs());
    assert!(!office.runs(), "the same page again");
    assert!(office.kept().failure.is_some_and(|it| it.contains("same page")));
}

#[test]
fn a_token_file_for_another_key_is_told() {
    let office = Office::new();
    let other = Office::new();
    office.brings(&other.kept());
    office.runs();
    assert_eq!(office.asked(), [""; 0]);
    let failure = office.kept().failure.unwrap();
    assert!(failure.contains("token file"), "{failure}");
}

#[test]
fn a_device_that_was_given_to_a_team_enrolls_by_itself_as_the_companys() {
    let office = Office::with_one("F2LX001", None);
    assert!(!office.runs());
    let told = office.apple.asked().pop().unwrap();
    assert_eq!((told.what.as_str(), &told.body["devices"][0]), ("POST /profile/devices", &"F2LX001".into()));

    let mut phone = SimApple::phone(office.world.door, 1);
    let answer = posts(&phone, "F2LX001", &Identity::new(), &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let profile = phone.checked(&answer.body);
    phone.installs(&profile);
    assert_eq!(phone.authenticates().status, 200);
    assert_eq!(phone.says_where().status, 200);
    let (device, _) = office.world.device(&phone);
    assert_eq!((device.ownership, device.serial.as_str()), (Ownership::Company, "F2LX001"));
}

#[test]
fn a_profile_for_one_serial_number_is_for_no_other_and_the_history_says_who_tried() {
    let office = Office::with_one("F2LX001", None);
    let mut phone = SimApple::phone(office.world.door, 2);
    let answer = posts(&phone, "F2LX001", &Identity::new(), &[]);
    let profile = phone.checked(&answer.body);
    phone.installs(&profile);
    for _ in 0..2 {
        assert_eq!(phone.authenticates().status, 403, "its serial number is F2LX002");
    }
    assert!(office.world.find(&phone).is_none());
    let all = office.world.server.read(|conn| Ok(store::activity::all(conn)?));
    let refused: Vec<_> = all.iter().filter(|it| it.action.as_str() == "identity_refused").collect();
    assert_eq!(refused.len(), 1, "once an hour");
    phone.serial = "F2LX001".to_owned();
    assert_eq!(phone.authenticates().status, 200);
}

#[test]
fn what_apple_does_not_say_is_ours_or_was_given_to_nobody_gets_no_profile() {
    let office = Office::with_one("F2LX001", None);
    let phone = SimApple::phone(office.world.door, 1);
    let identity = Identity::new();
    let words: Vec<_> = ["OTHER1", "UNKNOWN1", ""]
        .map(|serial| {
            let answer = posts(&phone, serial, &identity, &[]);
            assert_eq!(answer.status, 403, "{serial}");
            answer.text()
        })
        .into();
    assert!(words.iter().all(|it| *it == words[0]), "whoever asks learns nothing: {words:?}");
    assert_eq!(phone.send("POST", DOOR, &[], b"<plist version=\"1.0\"><dict/></plist>").status, 400);
    assert_eq!(phone.send("POST", DOOR, &[], b"").status, 400);

    office.later(minutes(31));
    office.apple.has(&[("F2LX001", "deleted")], "c2", false);
    office.runs();
    assert_eq!(posts(&phone, "F2LX001", &identity, &[]).status, 403, "it was sold");
}

#[test]
fn with_a_root_only_keys_that_apple_built_in_are_taken() {
    let validity = {
        let at = SimApple::phone(([127, 0, 0, 1], 1).into(), 1).at;
        Validity { from: at, until: at.checked_add(jiff::SignedDuration::from_hours(24)).unwrap() }
    };
    let root = Authority::create("Device roots", validity).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roots.pem");
    let base64 = BASE64_STANDARD.encode(root.certificate().der());
    std::fs::write(&file, format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")).unwrap();
    let office = Office::with_one("F2LX001", Some(file));
    let phone = SimApple::phone(office.world.door, 1);

    let mut identity = Identity::new();
    assert_eq!(posts(&phone, "F2LX001", &identity, &[]).status, 403, "signed by itself");
    let leaf =
        Leaf { public_key: identity.key.public(), common_name: "device", organization: None, names: &[], validity };
    let other = Authority::create("Device roots", validity).unwrap();
    let (good, forged) = (root.issue_leaf(&leaf).unwrap(), other.issue_leaf(&leaf).unwrap());
    identity.certificate = forged;
    let with_root = [root.certificate().clone(), other.certificate().clone()];
    assert_eq!(posts(&phone, "F2LX001", &identity, &with_root).status, 403, "the root it brings is not the one known");
    identity.certificate = good;
    assert_eq!(posts(&phone, "F2LX001", &identity, &[]).status, 200);
}
