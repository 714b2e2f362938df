use super::super::cbor::CborError;
use super::super::testing::{Attester, SERIAL, UDID, authority, curve_key, extension, head, leaf, object, text};
use super::super::*;
use crate::certificate::testing::{NOW, cpu_time};
use crate::certificate::{CertificateError, PrivateKey};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, date_time_ymd};
use std::sync::LazyLock;
use std::time::Duration;

static ATTESTER: LazyLock<Attester> = LazyLock::new(Attester::new);

fn roots() -> Roots {
    Roots::parse(&ATTESTER.root_pem()).unwrap()
}

fn verify(object: &[u8]) -> Result<Attestation, AttestationError> {
    Attestation::verify(object, "token", &roots(), NOW)
}

fn good() -> CertificateParams {
    leaf("F2LX001", "00008030-0001", "token")
}

#[test]
fn what_apple_attests_is_believed_up_to_the_trusted_root() {
    let key = PrivateKey::from_pkcs8(curve_key().serialized_der()).unwrap();
    let attested = verify(&ATTESTER.object(&key, &good())).unwrap();
    assert_eq!(&attested.public_key, key.public());
    assert_eq!((attested.serial.as_str(), attested.udid.as_str()), ("F2LX001", "00008030-0001"));
    assert_eq!(attested.os_version.as_deref(), Some("17.5"));
    let whole = [ATTESTER.chain(&key, &good()), vec![ATTESTER.root.clone()]].concat();
    assert!(verify(&object(&whole)).is_ok(), "with the root");
}

#[test]
fn apples_own_root_is_the_one_that_apple_publishes() {
    let roots = Roots::of_apple().unwrap();
    let [root] = roots.certificates() else { panic!("one") };
    assert_eq!(root.common_name(), Some("Apple Enterprise Attestation Root CA"));
    let fingerprint = root.fingerprint().map(|it| format!("{it:02x}")).concat();
    assert_eq!(fingerprint, "ccf59ef8fcb3017d97f8b5fa6fa90e7a3f9283f76b55ac6cf6eda8b8b949f05b");
}

#[test]
fn a_file_of_roots_has_roots_and_nothing_else() {
    let (root, key) = (ATTESTER.root_pem(), curve_key());
    assert_eq!(Roots::parse(&format!("{root}{root}")).unwrap().certificates().len(), 2);
    let pem = |der: &[u8]| root.replace(&base64_of(&ATTESTER.root), &base64_of(der));
    assert_eq!(Roots::parse(&pem(&ATTESTER.intermediate)).unwrap_err(), RootsError::NoRoot);
    assert_eq!(Roots::parse(&pem(good().self_signed(&key).unwrap().der())).unwrap_err(), RootsError::NoRoot);
    assert_eq!(Roots::parse(&pem(b"x")).unwrap_err(), RootsError::Certificate(CertificateError::Malformed));
    for wrong in ["", "rubbish", &format!("{root}rubbish"), &root[..100]] {
        assert_eq!(Roots::parse(wrong).unwrap_err(), RootsError::Form, "{wrong}");
    }
}

fn base64_of(der: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(der)
}

#[test]
fn an_attestation_of_somebody_else_or_of_another_time_is_not_believed() {
    let key = curve_key();
    let of = |attester: &Attester, leaf: &CertificateParams| {
        let roots = Roots::parse(&attester.root_pem()).unwrap();
        Attestation::verify(&attester.object(&key, leaf), "token", &roots, NOW).map(drop)
    };
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut leaf = good();
        change(&mut leaf);
        of(&ATTESTER, &leaf)
    };
    let (other, expired) =
        (Err(AttestationError::Chain(ChainError::OtherAuthority)), Err(AttestationError::Chain(ChainError::Expired)));
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);

    assert_eq!(with(&|_| ()), Ok(()));
    assert_eq!(verify(&Attester::new().object(&key, &good())).map(drop), other, "another root of the same name");
    assert_eq!(with(&|it| it.not_after = date_time_ymd(2026, 11, 1)), expired);
    assert_eq!(with(&|it| it.not_before = date_time_ymd(2027, 1, 1)), expired);
    assert_eq!(
        with(&|it| it.custom_extensions.push(critical.clone())),
        Err(AttestationError::Chain(ChainError::Critical))
    );
    assert_eq!(with(&|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), other);
    let mut nobody = authority("no authority");
    nobody.is_ca = IsCa::ExplicitNoCa;
    assert_eq!(of(&Attester::with(nobody), &good()), other);
    let mut signs_nothing = authority("signs no certificates");
    signs_nothing.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    assert_eq!(of(&Attester::with(signs_nothing), &good()), other);
    let mut old = authority("old");
    old.not_after = date_time_ymd(2026, 11, 1);
    assert_eq!(of(&Attester::with(old), &good()), expired);

    let chain = ATTESTER.chain(&key, &good());
    assert_eq!(verify(&object(&chain[..1])).map(drop), other, "without the one between");
    assert_eq!(verify(&object(&[chain[1].clone(), chain[0].clone()])).map(drop), other, "in another order");
    assert_eq!(verify(&object(std::slice::from_ref(&ATTESTER.root))).map(drop), other, "the root attests no device");
    let device = rcgen::Issuer::new(good(), &key);
    let below = good().signed_by(&curve_key(), &device).unwrap().der().to_vec();
    assert_eq!(verify(&object(&[below, chain[0].clone(), chain[1].clone()])).map(drop), other, "a device’s own word");
    let own = good().self_signed(&key).unwrap();
    assert_eq!(verify(&object(&[own.der().to_vec()])).map(drop), other);
}

#[test]
fn an_attestation_is_for_one_challenge_and_says_which_device_it_is() {
    let key = curve_key();
    let of = |leaf: &CertificateParams| verify(&ATTESTER.object(&key, leaf)).map(drop);
    let without = |index: usize, more: Option<CustomExtension>| {
        let mut leaf = good();
        leaf.custom_extensions.remove(index);
        leaf.custom_extensions.extend(more);
        of(&leaf)
    };
    let (freshness, device) = (Err(AttestationError::Freshness), Err(AttestationError::Device));
    assert_eq!(of(&leaf("F2LX001", "00008030-0001", "another token")), freshness);
    assert_eq!(without(3, None), freshness, "none");
    assert_eq!(without(3, Some(extension(11, 1, b"token"))), freshness, "the token itself");
    assert_eq!(without(0, None), device, "no serial");
    assert_eq!(without(1, None), device, "no identifier");
    assert_eq!(without(0, Some(extension(9, SERIAL, b""))), device);
    assert_eq!(without(0, Some(extension(9, SERIAL, &[b'A'; 65]))), device);
    assert_eq!(without(1, Some(extension(9, UDID, b"a b"))), device);
    assert_eq!(without(1, Some(extension(9, UDID, &[0xff]))), device);
    assert_eq!(without(2, None), Ok(()), "the version is not every device's");
}

#[test]
fn an_object_that_is_not_apples_is_refused_without_much_work() {
    let chain = ATTESTER.chain(&curve_key(), &good());
    let whole = object(&chain);
    let fault = |object: &[u8]| match verify(object) {
        Err(AttestationError::Object(why)) => Some(why),
        Ok(_) | Err(_) => None,
    };
    for len in 0..whole.len() {
        assert!(fault(&whole[..len]).is_some(), "cut off at {len}");
    }
    assert_eq!(fault(&[&whole[..], &[0]].concat()), Some(CborError::Length));
    let of = |parts: &[&[u8]]| fault(&parts.concat());
    let statement = &whole[1 + text("fmt").len() + text("apple").len()..];
    assert_eq!(of(&[&[0xa2], &text("fmt"), &text("packed"), statement]), Some(CborError::Format));
    assert_eq!(of(&[&[0xa1], statement]), Some(CborError::Format));
    assert_eq!(of(&[&[0xa1], &text("fmt"), &text("apple")]), Some(CborError::Certificates));
    assert_eq!(of(&[&[0xa3], &whole[1..], statement]), Some(CborError::Certificates), "twice");
    assert_eq!(of(&[&[0xbf], &whole[1..], &[0xff]]), Some(CborError::Form), "without a length");
    assert_eq!(fault(&object(&[])), Some(CborError::Certificates));
    assert_eq!(fault(&object(&vec![chain[0].clone(); 5])), Some(CborError::Certificates));
    let more = [&[0xa3], &whole[1..], &text("authData"), &[0x58, 3, 1, 2, 3]].concat();
    assert!(verify(&more).is_ok(), "what is not known is left out");

    for bomb in [
        vec![0x81; 30_000],
        [&[0xa1], &text("a")[..], &[0x81; 30_000]].concat(),
        [&[0xa1], &text("a")[..], &head(4, 60_000), &[0; 30_000]].concat(),
        [&[0xa1], &text("a")[..], &[0xbb], &[0xff; 8]].concat(),
        [&[0xa1], &text("a")[..], &[0x5b], &[0xff; 8]].concat(),
        [&[0xbb], &[0xff; 8][..], &whole].concat(),
        [&[0xa1], &text("attStmt")[..], &[0xa1], &text("x5c"), &[0x9b], &[0xff; 8]].concat(),
    ] {
        let (time, found) = cpu_time(|| fault(&bomb));
        assert!(found.is_some() && time < Duration::from_millis(50), "{time:?}");
    }
    assert_eq!(verify(&vec![0xa1; 40_000]).unwrap_err(), AttestationError::TooLarge);
}
