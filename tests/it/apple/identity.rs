//! Who speaks is what the certificate says, and nothing else.
use super::World;
use crate::support::device::apple::{Identity, SimApple};
use apple::plist::{Dictionary, write};
use domain::device::Ownership;
use holdfast::config::Options;

#[test]
fn one_devices_certificate_in_anothers_name_is_refused_and_written_down_once() {
    let world = World::new();
    let (mut one, two) = (world.phone(1), world.phone(2));
    let (device, _) = world.device(&one);
    one.udid.clone_from(&two.udid);

    for (key, word) in [("Status", "Idle"), ("MessageType", "CheckOut"), ("Status", "Idle")] {
        assert_eq!(one.says(one.message(key, word)).status, 403, "{word}");
    }
    assert_eq!((one.authenticates().status, one.says_where().status, one.leaves().status), (403, 403, 403));

    let refused: Vec<_> = world.history(device.id).into_iter().filter(|it| it == "identity_refused").collect();
    assert_eq!(refused.len(), 1, "a device must not fill the history");
    let (other, _) = world.device(&two);
    assert!(!world.history(other.id).iter().any(|it| it == "device_left_management"));
}

#[test]
fn a_message_without_a_good_signature_is_refused() {
    let world = World::new();
    let mut phone = world.phone(1);
    let body = write(phone.report("Idle", None, Dictionary::new())).unwrap();
    let signature = phone.signature(&body);
    let send = |headers: &[(&str, &str)], body: &[u8]| phone.send("PUT", "/apple/mdm", headers, body).status;

    assert_eq!(send(&[("Mdm-Signature", &signature)], &body), 200);
    assert_eq!(send(&[], &body), 403, "none");
    assert_eq!(send(&[("Mdm-Signature", &signature)], b"another body"), 403);
    assert_eq!(send(&[("Mdm-Signature", "rubbish!")], &body), 400);
    assert_eq!(send(&[("Mdm-Signature", &signature), ("Mdm-Signature", &signature)], &body), 400, "two");

    phone.identity = Some(Identity::generate().unwrap());
    assert_eq!(phone.says(phone.report("Idle", None, Dictionary::new())).status, 403, "nobody's certificate");
}

#[test]
fn a_certificate_of_another_server_is_refused() {
    let (world, other) = (World::new(), World::new());
    let mut phone = world.phone(1);
    phone.identity = other.phone(1).identity;
    assert_eq!(phone.says(phone.report("Idle", None, Dictionary::new())).status, 403);
}

#[test]
fn a_header_with_a_certificate_counts_only_from_a_trusted_proxy() {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    let trusting = |proxy: Option<&str>| {
        let world = World::with(Options {
            apple_certificate_header: Some("Client-Cert".to_owned()),
            trusted_proxy: proxy.map(|it| vec![it.parse().unwrap()]),
            ..Options::default()
        });
        let phone = world.phone(1);
        let body = write(phone.report("Idle", None, Dictionary::new())).unwrap();
        let certificate = &phone.identity.as_ref().unwrap().certificate;
        let header = format!(":{}:", BASE64_STANDARD.encode(certificate.der()));
        let alone = phone.send("PUT", "/apple/mdm", &[("Client-Cert", &header)], &body).status;
        let other = world.phone(2);
        let other = format!(":{}:", BASE64_STANDARD.encode(other.identity.as_ref().unwrap().certificate.der()));
        let signature = phone.signature(&body);
        let both = [("Client-Cert", other.as_str()), ("Mdm-Signature", signature.as_str())];
        (alone, phone.send("PUT", "/apple/mdm", &both, &body).status)
    };
    assert_eq!(trusting(Some("127.0.0.1")), (200, 403), "two different certificates are none");
    assert_eq!(trusting(None), (403, 200), "anybody can write a header");
}

#[test]
fn what_is_no_message_is_refused() {
    let world = World::new();
    let phone = world.phone(1);
    for body in [&b"rubbish"[..], b"", b"<plist version=\"1.0\"><dict/></plist>"] {
        let signature = phone.signature(body);
        assert_eq!(phone.send("POST", "/apple/mdm", &[("Mdm-Signature", &signature)], body).status, 400);
    }
}

#[test]
fn the_certificate_alone_enrolls_nobody() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    let profile = phone.profile(&world.token(Ownership::Company));
    phone.installs(&profile);
    assert_eq!(phone.says(phone.report("Idle", None, Dictionary::new())).status, 403);
    assert_eq!(phone.says_where().status, 403, "it has not said what it is");
}
