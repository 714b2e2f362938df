use super::*;
use crate::certificate::testing::{AUTHORITY, DEVICE, NOW, OTHER, P256, Party, REGISTRAR, YEAR, cpu_time};
use crate::certificate::{Certificate, KeyError, Leaf, Strength};
use crate::cms::{self, Attribute, Cipher, Form, Signer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use der::asn1::{AnyRef, OctetStringRef, PrintableStringRef};
use der::{Decode, Encode};
use rcgen::{CertificateParams, DnType};
use std::time::Duration;

const NONCE: &[u8] = &[7; 16];

fn request_of(party: &Party, name: &str, challenge: impl IntoIterator<Item = &'static str>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let value = |it: &str| {
        let text = PrintableStringRef::new(it).unwrap().to_der().unwrap();
        der::asn1::Any::new(der::Tag::Set, text).unwrap().to_der().unwrap()
    };
    let attributes = challenge
        .into_iter()
        .map(|it| rcgen::Attribute { oid: &[1, 2, 840, 113_549, 1, 9, 7], values: value(it) })
        .collect();
    params.serialize_request_with_attributes(&party.key, attributes).unwrap().der().to_vec()
}

fn printable(kind: ObjectIdentifier, value: &str) -> Attribute {
    Attribute::new(kind, &PrintableStringRef::new(value).unwrap()).unwrap()
}

fn attributes(code: &str) -> Vec<Attribute> {
    vec![
        printable(MESSAGE_TYPE, code),
        printable(TRANSACTION, "transaction-1"),
        Attribute::new(SENDER_NONCE, &OctetStringRef::new(NONCE).unwrap()).unwrap(),
    ]
}

fn signed(party: &Party, certificate: &Certificate, content: &[u8], attributes: &[Attribute]) -> Vec<u8> {
    let signer = Signer { certificate, key: &party.key, chain: &[] };
    cms::sign(&signer, content, Form::Attached, attributes, Some(NOW)).unwrap()
}

fn sent(party: &Party, code: &str, request: &[u8], cipher: Cipher) -> Vec<u8> {
    let content = cms::encrypt(request, &REGISTRAR.certificate, cipher).unwrap();
    signed(party, &party.certificate, &content, &attributes(code))
}

fn parsed(bytes: &[u8]) -> Message {
    Message::parse(bytes, Strength::WithLegacy).unwrap()
}

fn issued(request: &Request) -> Certificate {
    let leaf =
        Leaf { public_key: &request.public_key, common_name: "ours", organization: None, names: &[], validity: YEAR };
    AUTHORITY.issue_leaf(&leaf).unwrap()
}

#[test]
fn a_device_gets_a_certificate_with_our_name_and_its_key() {
    for cipher in Cipher::ALL {
        let bytes = sent(&DEVICE, "19", &request_of(&DEVICE, "somebody else", Some("secret")), cipher);
        let message = parsed(&bytes);
        assert_eq!((message.kind, message.transaction.as_str()), (Kind::Enroll, "transaction-1"));
        assert_eq!((message.nonce.as_slice(), &message.requester), (NONCE, &DEVICE.certificate));
        let request = message.request(&REGISTRAR).unwrap();
        assert_eq!(request.challenge.as_ref().map(|it| it.as_str()), Some("secret"));
        let certificate = issued(&request);
        let answer = reply(&message, &REGISTRAR, &Outcome::Issued(&certificate, &request)).unwrap();

        let signed = cms::verify(&answer, None, Strength::Modern).unwrap();
        assert_eq!(signed.signer, REGISTRAR.certificate);
        let text = |kind| signed.attributes.read::<PrintableStringRef<'_>>(kind).unwrap().to_string();
        assert_eq!(
            (text(MESSAGE_TYPE), text(STATUS), text(TRANSACTION)),
            ("3".into(), "0".into(), "transaction-1".into())
        );
        assert_eq!(signed.attributes.read::<&OctetStringRef>(RECIPIENT_NONCE).unwrap().as_bytes(), NONCE);
        let opened = cms::decrypt(&signed.content, &DEVICE.certificate, &DEVICE.key, Strength::WithLegacy).unwrap();
        assert_eq!(opened.cipher, cipher);
        let got = cms::read_certificates(&opened.content).unwrap();
        assert_eq!(got, [certificate]);
        assert_eq!(got[0].common_name(), Some("ours"));
        assert_eq!(got[0].public_key().as_ref(), Ok(DEVICE.key.public()));
    }
}

#[test]
fn a_device_renews_with_its_current_certificate_and_a_new_key() {
    let first = parsed(&sent(&DEVICE, "19", &request_of(&DEVICE, "x", None), Cipher::Aes128));
    let current = issued(&first.request(&REGISTRAR).unwrap());
    let content = cms::encrypt(&request_of(&OTHER, "x", None), &REGISTRAR.certificate, Cipher::Aes128).unwrap();
    let message = parsed(&signed(&DEVICE, &current, &content, &attributes("17")));
    assert_eq!(message.kind, Kind::Renew);
    assert_eq!(AUTHORITY.check(Some(message.requester.der()), NOW).unwrap(), current);
    let request = message.request(&REGISTRAR).unwrap();
    assert_eq!((&request.public_key, request.challenge.is_none()), (OTHER.key.public(), true));
    // A first request is signed with the key that it is for.
    let first = parsed(&signed(&DEVICE, &current, &content, &attributes("19")));
    assert_eq!(first.request(&REGISTRAR).unwrap_err(), RequestError::OtherKey);
}

#[test]
fn refusals_and_delays_are_signed_and_carry_no_certificate() {
    let message = parsed(&sent(&DEVICE, "20", b"anything", Cipher::Aes128));
    for (outcome, status, why) in [
        (Outcome::Pending, "3", None),
        (Outcome::Failed(FailInfo::BadAlgorithm), "2", Some("0")),
        (Outcome::Failed(FailInfo::BadMessageCheck), "2", Some("1")),
        (Outcome::Failed(FailInfo::BadRequest), "2", Some("2")),
        (Outcome::Failed(FailInfo::BadTime), "2", Some("3")),
        (Outcome::Failed(FailInfo::BadCertificate), "2", Some("4")),
    ] {
        let answer = reply(&message, &REGISTRAR, &outcome).unwrap();
        let signed = cms::verify(&answer, Some(b""), Strength::Modern).unwrap();
        let text = |kind| signed.attributes.read::<PrintableStringRef<'_>>(kind).ok().map(|it| it.to_string());
        assert_eq!((text(STATUS).as_deref(), text(FAIL_INFO).as_deref()), (Some(status), why));
        assert_eq!(cms::verify(&answer, None, Strength::Modern).unwrap_err(), CmsError::NoContent);
    }
}

#[test]
fn what_is_no_request_is_none() {
    for (code, kind) in [("20", Kind::Poll), ("21", Kind::Certificate), ("22", Kind::Revoked)] {
        let message = parsed(&sent(&DEVICE, code, &request_of(&DEVICE, "x", None), Cipher::Aes128));
        assert_eq!(message.kind, kind);
        assert_eq!(message.request(&REGISTRAR).unwrap_err(), RequestError::Kind);
    }
    let answer = parsed(&sent(&DEVICE, "19", b"no request", Cipher::Aes128)).request(&REGISTRAR);
    assert_eq!(answer.unwrap_err(), RequestError::Malformed);
    let elsewhere = cms::encrypt(&request_of(&DEVICE, "x", None), &OTHER.certificate, Cipher::Aes128).unwrap();
    let message = parsed(&signed(&DEVICE, &DEVICE.certificate, &elsewhere, &attributes("19")));
    assert_eq!(message.request(&REGISTRAR).unwrap_err(), RequestError::Envelope(CmsError::Recipient));
}

#[test]
fn old_forms_are_taken_only_where_they_are_asked_for() {
    let bytes = sent(&DEVICE, "19", &request_of(&DEVICE, "x", None), Cipher::Des);
    let message = Message::parse(&bytes, Strength::Modern).unwrap();
    assert_eq!(message.request(&REGISTRAR).unwrap_err(), RequestError::Envelope(CmsError::Weak));
    parsed(&bytes).request(&REGISTRAR).unwrap();
}

#[test]
fn a_client_is_told_the_same_of_whatever_is_wrong_inside() {
    let inside = [
        RequestError::Envelope(CmsError::Decrypt),
        RequestError::Envelope(CmsError::Malformed),
        RequestError::Malformed,
        RequestError::Key(KeyError::Weak),
        RequestError::Proof(KeyError::Signature),
        RequestError::OtherKey,
    ];
    assert!(inside.iter().all(|it| it.fail_info() == FailInfo::BadMessageCheck));
    assert_eq!(RequestError::Kind.fail_info(), FailInfo::BadRequest);
}

#[test]
fn the_attributes_that_an_answer_needs_must_be_there() {
    let content = cms::encrypt(b"x", &REGISTRAR.certificate, Cipher::Aes128).unwrap();
    let parse = |attributes: &[Attribute]| {
        Message::parse(&signed(&DEVICE, &DEVICE.certificate, &content, attributes), Strength::Modern).unwrap_err()
    };
    let all = attributes("19");
    assert_eq!(parse(&all[1..]), ScepError::Kind);
    assert_eq!(parse(&[&all[..1], &all[2..]].concat()), ScepError::Transaction);
    assert_eq!(parse(&all[..2]), ScepError::Nonce);
    assert_eq!(parse(&attributes("3")), ScepError::Kind);
    assert_eq!(parse(&attributes("019")), ScepError::Kind);
    let mut long = all.clone();
    long[1] = printable(TRANSACTION, &"x".repeat(129));
    assert_eq!(parse(&long), ScepError::Transaction);
    let mut long = all;
    long[2] = Attribute::new(SENDER_NONCE, &OctetStringRef::new(&[1; 65]).unwrap()).unwrap();
    assert_eq!(parse(&long), ScepError::Nonce);
}

#[test]
fn a_request_has_one_challenge_at_the_most() {
    let read = |challenges: &[&'static str]| {
        let request = request_of(&DEVICE, "x", challenges.iter().copied());
        read_request(&request, Strength::Modern).map(|(_, challenge)| challenge.map(|it| it.to_string()))
    };
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&["one"]), Ok(Some("one".to_owned())));
    assert_eq!(read(&["one", "two"]), Err(RequestError::Malformed));
    assert_eq!(read(&[""]), Err(RequestError::Malformed));
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let mut forged = request_of(&DEVICE, "x", Some("secret"));
    *forged.last_mut().unwrap() ^= 1;
    let refused = parsed(&sent(&DEVICE, "19", &forged, Cipher::Aes128)).request(&REGISTRAR).unwrap_err();
    assert_eq!(refused, RequestError::Proof(KeyError::Signature));
    // Another's request, in a message of one's own.
    let stolen = request_of(&DEVICE, "x", Some("secret"));
    let refused = parsed(&sent(&OTHER, "19", &stolen, Cipher::Aes128)).request(&REGISTRAR).unwrap_err();
    assert_eq!(refused, RequestError::OtherKey);
}

#[test]
fn no_changed_byte_of_a_request_gets_another_key_certified() {
    let request = request_of(&DEVICE, "x", Some("secret"));
    for at in 0..request.len() {
        for mask in [0x01, 0x80] {
            let mut request = request.clone();
            request[at] ^= mask;
            assert!(read_request(&request, Strength::WithLegacy).is_err(), "byte {at}");
        }
        assert!(read_request(&request[..at], Strength::WithLegacy).is_err(), "byte {at}");
    }
}

#[test]
fn a_key_on_a_curve_can_ask_but_is_answered_with_an_error() {
    let message = parsed(&sent(&P256, "19", &request_of(&P256, "x", None), Cipher::Aes128));
    let request = message.request(&REGISTRAR).unwrap();
    let certificate = issued(&request);
    let answer = reply(&message, &REGISTRAR, &Outcome::Issued(&certificate, &request));
    assert_eq!(answer.unwrap_err(), CmsError::Key(KeyError::Unsupported));
}

#[test]
fn a_message_comes_in_the_body_or_in_the_address() {
    let bytes = sent(&DEVICE, "19", &request_of(&DEVICE, "x", Some("secret")), Cipher::Des);
    let base64 = BASE64_STANDARD.encode(&bytes);
    let whole = Operation::Message(bytes.clone());
    let parse = |query: &str, body: &[u8]| Operation::parse(query, body);
    let escaped = base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(parse("operation=PKIOperation", &bytes), Ok(whole.clone()));
    assert_eq!(parse(&format!("operation=PKIOperation&message={escaped}"), b""), Ok(whole.clone()));
    assert_eq!(parse(&format!("message={base64}&operation=PKIOperation"), b""), Ok(whole.clone()));
    let for_addresses = base64.replace('+', "-").replace('/', "_");
    assert_eq!(parse(&format!("operation=PKIOperation&message={for_addresses}"), b""), Ok(whole.clone()));
    let spaces = base64.replace('+', "%20");
    assert_eq!(parse(&format!("operation=PKIOperation&message={spaces}"), b""), Ok(whole.clone()));
    let broken =
        base64.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect::<Vec<_>>().join("%0A");
    assert_eq!(parse(&format!("operation=PKIOperation&message={broken}"), b""), Ok(whole.clone()));
    assert_eq!(parse("operation=PKIOperation&message=AAAA", &bytes), Ok(whole));
    assert_eq!(parse("operation=GetCACaps&message=x", b""), Ok(Operation::Capabilities));
    assert_eq!(parse("operation=GetCACert", b""), Ok(Operation::Certificates));

    assert_eq!(parse("", b""), Err(ScepError::Operation));
    assert_eq!(parse("operation=GetNextCACert", b""), Err(ScepError::Operation));
    assert_eq!(parse("operation=PKIOperation", b""), Err(ScepError::NoMessage));
    assert_eq!(parse("operation=PKIOperation&message=", b""), Err(ScepError::NoMessage));
    assert_eq!(parse("operation=PKIOperation&message=%zz", b""), Err(ScepError::Base64));
    assert_eq!(parse("operation=PKIOperation&message=A", b""), Err(ScepError::Base64));
    assert_eq!(parse("operation=PKIOperation", &[0; MAX_LEN + 1]), Err(ScepError::TooLarge));
    let large = format!("operation=PKIOperation&message={}", "A".repeat((MAX_LEN / 3 + 2) * 4));
    assert_eq!(parse(&large, b""), Err(ScepError::TooLarge));
    assert_eq!(parse(&"x".repeat(4 * MAX_LEN + 1), b""), Err(ScepError::TooLarge));
}

#[test]
fn bombs_cost_no_time() {
    let nested = |len: usize| [0x30, 0x80].repeat(len / 2);
    let content = cms::encrypt(&nested(40_000), &REGISTRAR.certificate, Cipher::Aes128).unwrap();
    let inside = signed(&DEVICE, &DEVICE.certificate, &content, &attributes("19"));
    for bytes in [nested(MAX_LEN), vec![0x24; MAX_LEN], vec![0; MAX_LEN + 1], inside] {
        let (took, ()) = cpu_time(|| {
            if let Ok(message) = Message::parse(&bytes, Strength::WithLegacy) {
                assert_eq!(message.request(&REGISTRAR).unwrap_err(), RequestError::Malformed);
            }
        });
        assert!(took < Duration::from_millis(50), "{took:?} for {:02x?}", &bytes[..8]);
    }
}

#[test]
fn clients_learn_what_we_can_and_whom_to_encrypt_to() {
    assert!(capabilities(Strength::WithLegacy).lines().any(|it| it == "SHA-1"));
    assert!(!capabilities(Strength::Modern).contains("SHA-1\n"));
    for line in ["Renewal", "SHA-256", "AES", "DES3", "SCEPStandard", "POSTPKIOperation"] {
        assert!(capabilities(Strength::Modern).lines().any(|it| it == line), "{line}");
    }
    let both = authority_certificates(&REGISTRAR, AUTHORITY.certificate()).unwrap();
    let both = cms::read_certificates(&both).unwrap();
    assert!(both.contains(&REGISTRAR.certificate) && both.contains(AUTHORITY.certificate()));
}

#[test]
fn strings_of_any_type_are_read_and_only_printable_ones() {
    let read = |tag: u8, value: &[u8]| {
        let der = [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
        AnyRef::from_der(&der).unwrap();
        message::text(&der, 8)
    };
    for tag in [0x0c, 0x13, 0x14, 0x16] {
        assert_eq!(read(tag, b"a=b").as_deref(), Some("a=b"));
    }
    for (tag, value) in [(0x13, &b""[..]), (0x13, b"123456789"), (0x13, b"a\n"), (0x0c, "ü".as_bytes()), (0x04, b"a")]
    {
        assert_eq!(read(tag, value), None);
    }
}
