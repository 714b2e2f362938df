use super::testing::{AUTHORITY, DEVICE, NOW, OTHER, P256, P384, Party, REGISTRAR, YEAR, cpu_time};
use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use der::Encode;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use std::time::Duration;

fn leaf<'a>(public_key: &'a PublicKey, names: &'a [AlternativeName]) -> Leaf<'a> {
    Leaf { public_key, common_name: "0190163d", organization: Some("Example"), names, validity: YEAR }
}

fn issued(by: &Authority, validity: Validity) -> Certificate {
    by.issue_leaf(&Leaf { validity, ..leaf(DEVICE.key.public(), &[]) }).unwrap()
}

#[test]
fn a_leaf_says_what_we_say_about_the_device_s_key() {
    for party in [&*DEVICE, &*P256, &*P384] {
        let names =
            [AlternativeName::Uri("urn:uuid:0190163d".to_owned()), AlternativeName::Dns("a.example".to_owned())];
        let made = AUTHORITY.issue_leaf(&leaf(party.key.public(), &names)).unwrap();
        assert_eq!(made.common_name(), Some("0190163d"));
        assert_eq!(made.public_key().as_ref(), Ok(party.key.public()));
        assert_eq!((made.not_before(), made.not_after()), (YEAR.from, YEAR.until));
        assert!(made.der().windows(17).any(|it| it == b"urn:uuid:0190163d"));
        assert_eq!(AUTHORITY.check(Some(made.der()), NOW).unwrap(), made);
        assert_eq!(made.fingerprint().to_vec(), Digest::Sha256.of(made.der()));
    }
}

#[test]
fn serials_are_positive_and_random() {
    let (one, other) = (issued(&AUTHORITY, YEAR), issued(&AUTHORITY, YEAR));
    assert_ne!(one.serial(), other.serial());
    for made in [one, other] {
        // A zero keeps it positive.
        assert_eq!((made.serial().len(), made.serial()[0]), (17, 0));
    }
}

#[test]
fn an_authority_and_a_registrar_come_back_from_what_was_stored() {
    let again = Authority::load(AUTHORITY.certificate().der(), &AUTHORITY.to_pkcs8()).unwrap();
    let made = issued(&again, YEAR);
    assert_eq!(AUTHORITY.check(Some(made.der()), NOW).unwrap(), made);
    let key = &REGISTRAR.key;
    Registrar::load(REGISTRAR.certificate.der(), &key.to_pkcs8()).unwrap();

    let load = |certificate: &Certificate, key: &PrivateKey| Authority::load(certificate.der(), &key.to_pkcs8());
    assert_eq!(load(AUTHORITY.certificate(), key).unwrap_err(), AuthorityError::OtherKey);
    assert_eq!(load(&REGISTRAR.certificate, key).unwrap_err(), AuthorityError::NoAuthority);
    let curve = Registrar::load(P256.certificate.der(), &P256.key.to_pkcs8());
    assert_eq!(curve.unwrap_err(), AuthorityError::Key(KeyError::Unsupported));
    let nothing = Authority::load(AUTHORITY.certificate().der(), b"");
    assert_eq!(nothing.unwrap_err(), AuthorityError::Key(KeyError::Unsupported));
    assert_ne!(REGISTRAR.key.public(), &AUTHORITY.certificate().public_key().unwrap());
}

#[test]
fn only_a_valid_certificate_of_ours_for_a_device_is_accepted() {
    let check = |it: &Certificate| AUTHORITY.check(Some(it.der()), NOW).unwrap_err();
    assert_eq!(AUTHORITY.check(None, NOW).unwrap_err(), Refused::Absent);
    assert_eq!(check(&DEVICE.certificate), Refused::SelfSigned);
    assert_eq!(check(AUTHORITY.certificate()), Refused::SelfSigned);
    assert_eq!(check(&REGISTRAR.certificate), Refused::Usage);
    // Of the same name.
    let other = Authority::create("Devices", YEAR).unwrap();
    assert_eq!(check(&issued(&other, YEAR)), Refused::OtherAuthority);
    assert_eq!(check(other.certificate()), Refused::SelfSigned);
    let named = Authority::create("Others", YEAR).unwrap();
    assert_eq!(check(&issued(&named, YEAR)), Refused::OtherAuthority);

    let made = issued(&AUTHORITY, YEAR);
    let at = |now: Timestamp| AUTHORITY.check(Some(made.der()), now).map(|_| ());
    assert_eq!(at(YEAR.from), Ok(()));
    assert_eq!(at(YEAR.until), Ok(()));
    assert_eq!(at(YEAR.from - Duration::from_secs(1)), Err(Refused::Early));
    assert_eq!(at(YEAR.until + Duration::from_secs(1)), Err(Refused::Expired));
}

#[test]
fn a_certificate_of_ours_is_refused_once_any_byte_of_it_is_changed_or_gone() {
    let made = issued(&AUTHORITY, YEAR);
    for len in 0..made.der().len() {
        assert!(AUTHORITY.check(Some(&made.der()[..len]), NOW).is_err(), "{len}");
    }
    for at in 0..made.der().len() {
        for mask in [0x01, 0x80] {
            let mut der = made.der().to_vec();
            der[at] ^= mask;
            assert!(AUTHORITY.check(Some(&der), NOW).is_err(), "byte {at}");
        }
    }
    let more = [made.der(), &[0]].concat();
    assert_eq!(AUTHORITY.check(Some(&more), NOW).unwrap_err(), Refused::Certificate(CertificateError::Malformed));
    let large = vec![0x30; MAX_LEN + 1];
    assert_eq!(AUTHORITY.check(Some(&large), NOW).unwrap_err(), Refused::Certificate(CertificateError::TooLarge));
}

#[test]
fn names_and_times_are_checked_before_anything_is_issued() {
    let key = DEVICE.key.public();
    let issue = |leaf: Leaf<'_>| AUTHORITY.issue_leaf(&leaf).unwrap_err();
    for name in ["", "a\nb", "a\0b", &"x".repeat(65)] {
        assert_eq!(issue(Leaf { common_name: name, ..leaf(key, &[]) }), AuthorityError::Name);
        assert_eq!(issue(Leaf { organization: Some(name), ..leaf(key, &[]) }), AuthorityError::Name);
    }
    for (from, until) in [(NOW, NOW), (YEAR.until, YEAR.from), (Timestamp::MIN, NOW)] {
        let validity = Validity { from, until };
        assert_eq!(issue(Leaf { validity, ..leaf(key, &[]) }), AuthorityError::Validity);
    }
    let names = [AlternativeName::Uri("ü".to_owned())];
    assert!(matches!(issue(leaf(key, &names)), AuthorityError::Write(_)));
}

/// A public RSA key of so many bits, of which nobody has the other half.
fn rsa_of(bits: usize) -> Vec<u8> {
    rsa(bits, &[1, 0, 1])
}

fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xab; bits / 8];
    *modulus.last_mut().unwrap() = 0xcd;
    let number = |bytes: &[u8]| UintRef::new(bytes).unwrap().to_der().unwrap();
    let inside = [number(&modulus), number(exponent)].concat();
    let key = der::asn1::Any::new(der::Tag::Sequence, inside).unwrap().to_der().unwrap();
    let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) };
    let key = BitStringRef::from_bytes(&key).unwrap();
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: key }.to_der().unwrap()
}

#[test]
fn keys_that_are_too_weak_or_too_large_are_refused() {
    assert_eq!(PublicKey::parse(&rsa_of(512)).unwrap_err(), KeyError::Weak);
    assert_eq!(PublicKey::parse(&rsa_of(1024)).unwrap_err(), KeyError::Weak);
    assert_eq!(PublicKey::parse(&rsa_of(2040)).unwrap_err(), KeyError::Weak);
    assert_eq!(PublicKey::parse(&rsa_of(2048)).unwrap().family(), Family::Rsa);
    assert_eq!(PublicKey::parse(&rsa_of(4096)).unwrap().family(), Family::Rsa);
    assert_eq!(PublicKey::parse(&rsa_of(4104)).unwrap_err(), KeyError::TooLarge);
    assert!(PublicKey::parse(&rsa_of(16_384)).is_err());
    assert_eq!(PublicKey::parse(&rsa(2048, &[3])).unwrap().family(), Family::Rsa);
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[1; 9]] {
        assert_eq!(PublicKey::parse(&rsa(2048, exponent)).unwrap_err(), KeyError::Malformed, "{exponent:?}");
    }
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = rcgen::PublicKeyData::subject_public_key_info(&other);
    assert_eq!(PublicKey::parse(&other).unwrap_err(), KeyError::Unsupported);
    let mut off_the_curve = P256.key.public().der().to_vec();
    *off_the_curve.last_mut().unwrap() ^= 1;
    assert_eq!(PublicKey::parse(&off_the_curve).unwrap_err(), KeyError::Malformed);
    assert_eq!(PublicKey::parse(b"").unwrap_err(), KeyError::Malformed);
}

#[test]
fn a_signature_s_algorithm_is_one_for_the_key_and_strong_enough() {
    let (key, message) = (DEVICE.key.public(), b"message");
    let signature = DEVICE.key.sign(message).unwrap();
    let rsa = |digest| Some(Scheme { is_rsa: true, digest });
    let check = |scheme, beside, strength| key.verify_by(scheme, beside, strength, message, &signature);
    let (sha1, sha256, sha384) = (Some(Digest::Sha1), Some(Digest::Sha256), Some(Digest::Sha384));
    assert_eq!(check(rsa(sha256), None, Strength::Modern), Ok(()));
    assert_eq!(check(rsa(None), sha256, Strength::Modern), Ok(()));
    assert_eq!(check(rsa(sha256), sha256, Strength::Modern), Ok(()));
    assert_eq!(check(rsa(sha256), sha384, Strength::Modern), Err(KeyError::Algorithm));
    assert_eq!(check(rsa(None), None, Strength::Modern), Err(KeyError::Algorithm));
    assert_eq!(check(None, sha256, Strength::Modern), Err(KeyError::Algorithm));
    let curve = Some(Scheme { is_rsa: false, digest: sha256 });
    assert_eq!(check(curve, sha256, Strength::Modern), Err(KeyError::Algorithm));
    assert_eq!(check(rsa(sha384), None, Strength::Modern), Err(KeyError::Signature));
    assert_eq!(check(rsa(sha1), None, Strength::Modern), Err(KeyError::Digest));
    assert_eq!(check(rsa(None), sha1, Strength::Modern), Err(KeyError::Digest));
    assert_eq!(check(rsa(sha1), None, Strength::WithLegacy), Err(KeyError::Signature));
}

#[test]
fn not_all_that_our_key_signed_is_a_device_s() {
    let ours = PrivateKey::from_pkcs8(&AUTHORITY.to_pkcs8()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(&AUTHORITY.certificate().der().into(), &ours).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let made = |params: &rcgen::CertificateParams| params.signed_by(&DEVICE.key, &issuer).unwrap();
    AUTHORITY.check(Some(made(&params).der()), NOW).unwrap();
    let elsewhere = rcgen::Issuer::new(rcgen::CertificateParams::default(), &ours);
    let named = params.signed_by(&DEVICE.key, &elsewhere).unwrap();
    assert_eq!(AUTHORITY.check(Some(named.der()), NOW).unwrap_err(), Refused::OtherAuthority);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    assert_eq!(AUTHORITY.check(Some(made(&params).der()), NOW).unwrap_err(), Refused::Usage);
    params.is_ca = rcgen::IsCa::NoCa;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::Any];
    assert_eq!(AUTHORITY.check(Some(made(&params).der()), NOW).unwrap_err(), Refused::Usage);
}

#[test]
fn a_private_key_shows_nothing_of_itself() {
    let shown = format!("{:?}", Party::new("x", PrivateKey::from_pkcs8(&P256.key.to_pkcs8()).unwrap()).key);
    assert!(shown.contains("P256") && !shown.contains("pkcs8"), "{shown}");
}

/// As nginx escapes it: everything but letters, digits, `-`, `.`, `_` and `~`.
fn escaped(text: &str) -> String {
    let escape = |it: u8| match it {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(it).to_string(),
        _ => format!("%{it:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn a_header_carries_one_certificate_in_either_form() {
    let der = DEVICE.certificate.der();
    let base64 = BASE64_STANDARD.encode(der);
    let forms = [
        format!(":{base64}:"),
        format!(" :{}: ", base64.trim_end_matches('=')),
        escaped(&pem(der)),
        escaped(&pem(der).replace('\n', "\r\n")),
        // As Go's `url.QueryEscape` does it.
        escaped(&pem(der)).replace("%20", "+"),
        pem(der).replace('\n', "%0A"),
    ];
    for form in forms {
        assert_eq!(from_header(&form).unwrap(), DEVICE.certificate, "{form}");
    }
}

#[test]
fn a_header_that_carries_no_or_two_certificates_is_refused() {
    let one = pem(DEVICE.certificate.der());
    let two = format!("{one}{}", pem(OTHER.certificate.der()));
    let base64 = BASE64_STANDARD.encode(DEVICE.certificate.der());
    let forms = [
        String::new(),
        ":".to_owned(),
        base64.clone(),
        format!(":{base64}"),
        format!(":{base64}:;a=1"),
        format!(":{base64}:, :{base64}:"),
        escaped(&two),
        escaped(&one.replace("CERTIFICATE", "CERTIFICATE REQUEST")),
        escaped(&one).replace("%0A", "%0"),
        escaped(&one).replace("%0A", "%+A"),
        escaped(&one).replace("%0A", "%ZZ"),
        escaped(&one).replace("%0A", "%FF"),
        "%".to_owned(),
        "%é".to_owned(),
    ];
    for form in forms {
        assert_eq!(from_header(&form).unwrap_err(), HeaderError::Form, "{form}");
    }
    assert_eq!(from_header("::").unwrap_err(), HeaderError::Certificate(CertificateError::Malformed));
    assert_eq!(from_header(&"%41".repeat(20_000)).unwrap_err(), HeaderError::TooLarge);
    let (took, result) = cpu_time(|| from_header(&format!(":{}:", "A".repeat(32 * 1024 - 2))));
    assert!(result.is_err() && took < Duration::from_millis(50), "{took:?}");
}
