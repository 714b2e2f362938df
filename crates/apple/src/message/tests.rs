use super::*;
use crate::plist::write;
use std::fs;
use std::path::PathBuf;

fn recorded(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn body(values: &[(&str, Value)]) -> Vec<u8> {
    write(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()).unwrap()
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

#[test]
fn every_recorded_body_is_understood_under_the_name_it_came_with() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "xml") {
            continue;
        }
        let message =
            Message::parse(&fs::read(&path).unwrap()).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
        assert!(matches!(&message.speaker.name, EnrollmentName::Udid(it) if it.len() >= 36), "{message:?}");
        assert_eq!(message.speaker.user.is_some(), path.to_string_lossy().contains("-user"), "{message:?}");
        read += 1;
    }
    assert!(read >= 12, "{read}");
}

#[test]
fn what_a_mac_says_of_itself_is_read_with_what_is_documented_nowhere_beside_it() {
    let Content::CheckIn(CheckIn::Authenticate(identity)) =
        Message::parse(&recorded("authenticate-10.12.2.xml")).unwrap().content
    else {
        panic!("no Authenticate")
    };
    assert_eq!((identity.model_name.as_str(), identity.product_name.as_str()), ("iMac", "iMac17,1"));
    assert_eq!((identity.os_version.as_str(), identity.serial_number.as_str()), ("10.12.2", "000000000000"));
}

#[test]
fn an_error_keeps_its_chain_of_causes() {
    let Content::Report(report) =
        Message::parse(&recorded("errors-ios-11.3.1-availableosupdatesfailure.xml")).unwrap().content
    else {
        panic!("no report")
    };
    assert_eq!((report.status, report.causes.len()), (Status::Error, 2));
    assert_eq!(report.causes[0].to_string(), "No update available. (DeviceManagement.error 2213)");
    assert_eq!(report.command.as_deref(), Some("93289d88-c8da-4732-9a7e-33dd51851b6e"));
}

#[test]
fn a_personal_device_speaks_by_its_enrolment_alone() {
    let message = Message::parse(&body(&[("EnrollmentID", text("E-1")), ("Status", text("Idle"))])).unwrap();
    assert!(message.speaker.name.is_personal());
    let Content::Report(report) = message.content else { panic!("no report") };
    assert_eq!((report.status, report.command), (Status::Idle, None));
}

#[test]
fn a_user_of_a_mac_is_not_its_device() {
    let user = [("UDID", text("A")), ("UserID", text("B")), ("Status", text("Idle"))];
    assert_eq!(Message::parse(&body(&user)).unwrap().speaker.user.as_deref(), Some("B"));
}

#[test]
fn no_debug_line_shows_a_token() {
    let message = Message::parse(&body(&[
        ("UDID", text("A")),
        ("MessageType", text("TokenUpdate")),
        ("Topic", text("com.apple.mgmt.External.1")),
        ("Token", Value::Data(b"TOKENBYTES".to_vec())),
        ("PushMagic", text("MAGIC")),
        ("UnlockToken", Value::Data(b"UNLOCKBYTES".to_vec())),
    ]));
    let shown = format!("{:?}", message.unwrap());
    let bytes = format!("{:?}", b"UNLOCKBYTES");
    assert!(shown.contains("11 bytes") && !shown.contains(&bytes[1..bytes.len() - 1]), "{shown}");
}

#[test]
fn what_is_missing_or_odd_is_named() {
    let udid = ("UDID", text("A"));
    for (values, fault) in [
        (vec![("Status", text("Idle"))], MessageFault::Missing("UDID")),
        (vec![udid.clone()], MessageFault::Neither),
        (vec![udid.clone(), ("Status", text("Fine"))], MessageFault::UnknownStatus("Fine".to_owned())),
        (vec![udid.clone(), ("Status", text("Acknowledged"))], MessageFault::Missing("CommandUUID")),
        (vec![udid.clone(), ("MessageType", text("Hello"))], MessageFault::UnknownType("Hello".to_owned())),
        (vec![udid.clone(), ("MessageType", text("TokenUpdate"))], MessageFault::Missing("Topic")),
        (vec![("UDID", text("")), ("Status", text("Idle"))], MessageFault::Odd("UDID")),
        (vec![("UDID", text("a b")), ("Status", text("Idle"))], MessageFault::Odd("UDID")),
        (vec![("UDID", text(&"a".repeat(300))), ("Status", text("Idle"))], MessageFault::Odd("UDID")),
        (vec![("UDID", Value::Boolean(true)), ("Status", text("Idle"))], MessageFault::Missing("UDID")),
    ] {
        assert_eq!(Message::parse(&body(&values)), Err(fault), "{values:?}");
    }
    let long =
        [udid, ("MessageType", text("SetBootstrapToken")), ("BootstrapToken", Value::Data(vec![0; MAX_TOKEN + 1]))];
    assert_eq!(Message::parse(&body(&long)), Err(MessageFault::Odd("BootstrapToken")));
}
