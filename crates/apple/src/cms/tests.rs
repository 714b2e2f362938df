use super::asn1::{
    CONTENT_TYPE, ContentInfo, ID_DATA, ID_SIGNED, MESSAGE_DIGEST, RawSet, SIGNING_TIME, SignedData, SignerInfo,
};
use super::*;
use crate::certificate::testing::{DEVICE, NOW, OTHER, P256, P384, Party, REGISTRAR, cpu_time};
use crate::certificate::{Certificate, Digest, KeyError, Strength};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};
use spki::AlgorithmIdentifierRef;
use std::time::Duration;

const BODY: &[u8] = b"<plist><dict><key>Status</key><string>Idle</string></dict></plist>";

fn signed_by(party: &Party, form: Form) -> Vec<u8> {
    let signer = Signer { certificate: &party.certificate, key: &party.key, chain: &[] };
    sign(&signer, BODY, form, &[], Some(NOW)).unwrap()
}

/// A signed message with its parts changed, and signed once more where that is asked for.
fn changed<'a>(message: &'a [u8], change: impl FnOnce(&mut SignedData<'a>)) -> Vec<u8> {
    let mut data = verify::signed_data(message).unwrap();
    change(&mut data);
    ContentInfo::write(ID_SIGNED, &data).unwrap()
}

/// A message by the device's key, with these attributes and this digest's name.
fn forged(attributes: Option<&[Attribute]>, digest: Digest) -> Vec<u8> {
    let whole = signed_by(&DEVICE, Form::Attached);
    let data = verify::signed_data(&whole).unwrap();
    let mut info = SignerInfo::from_der(data.signers.0).unwrap();
    let written = attributes.map(|it| attribute::write(it).unwrap());
    info.attributes = written.as_deref().map(RawSet);
    let signature = match info.attributes {
        Some(it) => DEVICE.key.sign(&it.to_der().unwrap()).unwrap(),
        None => DEVICE.key.sign(BODY).unwrap(),
    };
    info.signature = OctetStringRef::new(&signature).unwrap();
    info.digest = AlgorithmIdentifierRef { oid: digest.oid(), parameters: None };
    let info = info.to_der().unwrap();
    changed(&whole, |it| it.signers = RawSet(&info))
}

fn attribute(kind: ObjectIdentifier, digest: &[u8]) -> Attribute {
    Attribute::new(kind, &OctetStringRef::new(digest).unwrap()).unwrap()
}

fn content_type(kind: ObjectIdentifier) -> Attribute {
    Attribute::new(CONTENT_TYPE, &kind).unwrap()
}

fn refused(message: &[u8]) -> CmsError {
    verify(message, None, Strength::WithLegacy).unwrap_err()
}

#[test]
fn what_is_signed_can_be_verified_with_its_content_inside_or_beside() {
    for party in [&*DEVICE, &*P256, &*P384] {
        let attached = signed_by(party, Form::Attached);
        let detached = signed_by(party, Form::Detached);
        for (message, beside) in [(&attached, None), (&attached, Some(BODY)), (&detached, Some(BODY))] {
            let signed = verify(message, beside, Strength::Modern).unwrap();
            assert_eq!(signed.content, BODY);
            assert_eq!(signed.signer, party.certificate);
            assert!(signed.attributes.get(SIGNING_TIME).is_some());
        }
        assert_eq!(verify(&detached, None, Strength::Modern).unwrap_err(), CmsError::NoContent);
        assert_eq!(verify(&detached, Some(b"other"), Strength::Modern).unwrap_err(), CmsError::Digest);
        assert_eq!(verify(&attached, Some(b"other"), Strength::Modern).unwrap_err(), CmsError::OtherContent);
    }
}

#[test]
fn there_is_exactly_one_signer() {
    let message = signed_by(&DEVICE, Form::Attached);
    let one = verify::signed_data(&message).unwrap().signers.0.to_vec();
    let other = signed_by(&OTHER, Form::Attached);
    let other = verify::signed_data(&other).unwrap().signers.0.to_vec();
    for (signers, count) in [(vec![], 0), ([one.clone(), one.clone()].concat(), 2), ([one, other].concat(), 2)] {
        assert_eq!(refused(&changed(&message, |it| it.signers = RawSet(&signers))), CmsError::Signers(count));
    }
}

#[test]
fn the_signer_signs_the_content_s_type_and_digest_once_each() {
    let right = Digest::Sha256.of(BODY);
    let wrong = Digest::Sha256.of(b"other");
    let all = [content_type(ID_DATA), attribute(MESSAGE_DIGEST, &right)];
    verify(&forged(Some(&all), Digest::Sha256), None, Strength::Modern).unwrap();

    assert_eq!(refused(&forged(None, Digest::Sha256)), CmsError::NoAttributes);
    assert_eq!(refused(&forged(Some(&[]), Digest::Sha256)), CmsError::Attribute);
    assert_eq!(refused(&forged(Some(&all[..1]), Digest::Sha256)), CmsError::Attribute);
    assert_eq!(refused(&forged(Some(&all[1..]), Digest::Sha256)), CmsError::Attribute);
    let other = [content_type(ID_DATA), attribute(MESSAGE_DIGEST, &wrong)];
    assert_eq!(refused(&forged(Some(&other), Digest::Sha256)), CmsError::Digest);
    let other = [content_type(ID_SIGNED), attribute(MESSAGE_DIGEST, &right)];
    assert_eq!(refused(&forged(Some(&other), Digest::Sha256)), CmsError::ContentType);
    let twice = [content_type(ID_DATA), attribute(MESSAGE_DIGEST, &right), attribute(MESSAGE_DIGEST, &wrong)];
    assert_eq!(refused(&forged(Some(&twice), Digest::Sha256)), CmsError::Attribute);
    let mut two = all.clone();
    two[1].value.extend_from_slice(&attribute(MESSAGE_DIGEST, &wrong).value);
    assert_eq!(refused(&forged(Some(&two), Digest::Sha256)), CmsError::Attribute);
}

#[test]
fn a_digest_is_the_one_that_is_named_and_strong_enough() {
    let sha1 = [content_type(ID_DATA), attribute(MESSAGE_DIGEST, &Digest::Sha1.of(BODY))];
    let message = forged(Some(&sha1), Digest::Sha1);
    assert_eq!(verify(&message, None, Strength::Modern).unwrap_err(), CmsError::Weak);
    // The attributes were signed with SHA-256.
    assert_eq!(refused(&message), CmsError::Key(KeyError::Signature));
}

#[test]
fn the_signer_s_certificate_is_in_the_message_once() {
    let message = signed_by(&DEVICE, Form::Attached);
    assert_eq!(refused(&changed(&message, |it| it.certificates = None)), CmsError::SignerCertificate);
    let other = OTHER.certificate.der();
    assert_eq!(refused(&changed(&message, |it| it.certificates = Some(RawSet(other)))), CmsError::SignerCertificate);
    let twice = [DEVICE.certificate.der(), DEVICE.certificate.der()].concat();
    assert_eq!(refused(&changed(&message, |it| it.certificates = Some(RawSet(&twice)))), CmsError::SignerCertificate);
    // What else is there may be odd.
    let odd = [DEVICE.certificate.der(), &[0x30, 2, 5, 0], &[0xa3, 0]].concat();
    verify(&changed(&message, |it| it.certificates = Some(RawSet(&odd))), None, Strength::Modern).unwrap();
    let many = DEVICE.certificate.der().repeat(9);
    assert_eq!(refused(&changed(&message, |it| it.certificates = Some(RawSet(&many)))), CmsError::TooMany);
}

#[test]
fn a_message_that_is_cut_off_or_goes_on_is_refused() {
    let message = signed_by(&P256, Form::Attached);
    for len in 0..message.len() {
        refused(&message[..len]);
    }
    for more in [&[0][..], &[0, 0], &message] {
        refused(&[&message, more].concat());
    }
}

#[test]
fn no_changed_byte_makes_it_another_content_or_another_signer() {
    for (party, form, beside) in [(&*DEVICE, Form::Attached, None), (&*P256, Form::Detached, Some(BODY))] {
        let message = signed_by(party, form);
        for at in 0..message.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut message = message.clone();
                message[at] ^= mask;
                let Ok(signed) = verify(&message, beside, Strength::WithLegacy) else { continue };
                assert_eq!(signed.content, BODY, "byte {at}");
                // A certificate that was changed where its key is not is known by nobody.
                assert_eq!(signed.signer.public_key(), party.certificate.public_key(), "byte {at}");
            }
        }
    }
}

#[test]
fn bombs_cost_no_time() {
    let deep = |tag: u8, len: u8| [tag, len].repeat(400_000);
    let claims = [
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        vec![0x30, 0x83, 0xff, 0xff, 0xff, 0x30, 0x80],
        vec![0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        deep(0x30, 0x80),
        deep(0xa0, 0x80),
        deep(0x24, 0x80),
        vec![0x30; MAX_LEN],
        vec![0; MAX_LEN],
        vec![0; MAX_LEN + 1],
        // A set of so many small elements.
        [&[0x31, 0x83, 0x0f, 0xff, 0xf0][..], &[5, 0].repeat(0x7_fff8)].concat(),
        // The same within open lengths, so that all of it is written anew.
        [&[0x30, 0x80].repeat(20)[..], &[5, 0].repeat(400_000), &[0, 0].repeat(20)].concat(),
        [&[0x24, 0x80].repeat(20)[..], &[4, 0].repeat(400_000), &[0, 0].repeat(20)].concat(),
    ];
    // Its keys are made at first use.
    assert!(decrypt(&[], &REGISTRAR.certificate, &REGISTRAR.key, Strength::WithLegacy).is_err());
    for claim in claims {
        let (took, ()) = cpu_time(|| {
            assert!(verify(&claim, None, Strength::WithLegacy).is_err());
            assert!(decrypt(&claim, &REGISTRAR.certificate, &REGISTRAR.key, Strength::WithLegacy).is_err());
            assert!(read_certificates(&claim).is_err());
        });
        assert!(took / 3 < Duration::from_millis(50), "{took:?} for {:02x?}", &claim[..8.min(claim.len())]);
    }
}

#[test]
fn open_lengths_and_pieces_are_made_definite() {
    let pieces = [0x30, 0x80, 0x24, 0x80, 0x04, 1, b'a', 0x24, 0x80, 0x04, 2, b'b', b'c', 0, 0, 0, 0, 5, 0, 0, 0];
    assert_eq!(ber::definite(&pieces).unwrap().as_ref(), [0x30, 7, 0x04, 3, b'a', b'b', b'c', 5, 0]);
    for len in 0..pieces.len() {
        assert!(ber::definite(&pieces[..len]).is_err(), "{len}");
    }
    let definite = [0x30, 2, 5, 0];
    assert!(matches!(ber::definite(&definite).unwrap(), std::borrow::Cow::Borrowed(it) if it == definite));
    // A string in pieces that are none.
    assert_eq!(ber::definite(&[0x24, 0x80, 0x05, 0, 0, 0]).unwrap_err(), CmsError::Malformed);
    // A primitive element whose length is open.
    assert_eq!(ber::definite(&[0x04, 0x80, 0, 0]).unwrap_err(), CmsError::Malformed);
    let long = [&[0x30, 0x80, 0x04, 0x82, 1, 0][..], &[7; 256], &[0, 0]].concat();
    assert_eq!(ber::definite(&long).unwrap().as_ref(), [&[0x30, 0x82, 1, 4, 0x04, 0x82, 1, 0][..], &[7; 256]].concat());
}

#[test]
fn an_envelope_opens_for_its_recipient_alone() {
    for cipher in Cipher::ALL {
        for content in [&b""[..], b"x", &[7; 16], &[9; 5000]] {
            let message = encrypt(content, &DEVICE.certificate, cipher).unwrap();
            let opened = decrypt(&message, &DEVICE.certificate, &DEVICE.key, Strength::WithLegacy).unwrap();
            assert_eq!((opened.content.as_slice(), opened.cipher), (content, cipher));
            let other = decrypt(&message, &OTHER.certificate, &OTHER.key, Strength::WithLegacy);
            assert_eq!(other.unwrap_err(), CmsError::Recipient);
        }
    }
    let weak = encrypt(BODY, &DEVICE.certificate, Cipher::Des).unwrap();
    let opened = decrypt(&weak, &DEVICE.certificate, &DEVICE.key, Strength::Modern);
    assert_eq!(opened.unwrap_err(), CmsError::Weak);
    let to_curve = encrypt(BODY, &P256.certificate, Cipher::Aes128);
    assert_eq!(to_curve.unwrap_err(), CmsError::Key(KeyError::Unsupported));
}

#[test]
fn a_wrong_key_and_a_wrong_padding_are_one_error() {
    let message = encrypt(BODY, &DEVICE.certificate, Cipher::Aes128).unwrap();
    let open = |message: &[u8]| decrypt(message, &DEVICE.certificate, &OTHER.key, Strength::Modern);
    let with_other_key: Vec<_> = (0..20)
        .map(|_| open(&encrypt(BODY, &DEVICE.certificate, Cipher::Aes128).unwrap()))
        .filter_map(Result::err)
        .collect();
    // One in 256 random contents ends like a padded one.
    assert!(with_other_key.len() > 15);
    assert!(with_other_key.iter().all(|it| *it == CmsError::Decrypt));
    let mut padding = message.clone();
    // The block before the last one changes the last one's bits, of which the last are padding.
    assert_eq!(BODY.len() % 16, 2);
    *padding.iter_mut().nth_back(16).unwrap() ^= 1;
    let opened = decrypt(&padding, &DEVICE.certificate, &DEVICE.key, Strength::Modern);
    assert_eq!(opened.unwrap_err(), CmsError::Decrypt);
    // Nothing that depends on chance: the same bytes always fail, or succeed, in the same way.
    for at in 0..message.len() {
        let mut message = message.clone();
        message[at] ^= 0x10;
        let open = || decrypt(&message, &DEVICE.certificate, &DEVICE.key, Strength::Modern).map(|it| it.content);
        assert_eq!(open(), open(), "byte {at}");
    }
}

#[test]
fn a_content_key_of_the_wrong_length_is_replaced_by_one_that_nobody_knows() {
    let short = encrypt(BODY, &DEVICE.certificate, Cipher::Aes128).unwrap();
    let sent = {
        let info = ContentInfo::from_der(&short).unwrap();
        let data: asn1::EnvelopedData<'_> = info.content.decode_as().unwrap();
        asn1::KeyTransport::from_der(data.recipients.single().unwrap()).unwrap().key.as_bytes().to_vec()
    };
    let right = DEVICE.key.open_content_key(&sent, 16).unwrap();
    let longer = DEVICE.key.open_content_key(&sent, 32).unwrap();
    assert_eq!((right.len(), longer.len()), (16, 32));
    assert_ne!(right[..], longer[..16]);
    assert_eq!(longer, DEVICE.key.open_content_key(&sent, 32).unwrap());
    let garbage = vec![1; 256];
    assert_eq!(DEVICE.key.open_content_key(&garbage, 24).unwrap(), DEVICE.key.open_content_key(&garbage, 24).unwrap());
    assert_ne!(DEVICE.key.open_content_key(&garbage, 24).unwrap(), OTHER.key.open_content_key(&garbage, 24).unwrap());
    assert_eq!(DEVICE.key.open_content_key(&[1; 7], 24).unwrap().len(), 24);
    assert_eq!(P256.key.open_content_key(&garbage, 16).unwrap_err(), KeyError::Unsupported);
}

#[test]
fn an_envelope_that_is_cut_off_is_refused() {
    let message = encrypt(BODY, &DEVICE.certificate, Cipher::Aes256).unwrap();
    for len in 0..message.len() {
        let opened = decrypt(&message[..len], &DEVICE.certificate, &DEVICE.key, Strength::Modern);
        assert_eq!(opened.unwrap_err(), CmsError::Malformed, "{len}");
    }
}

#[test]
fn a_number_that_is_negative_names_its_certificate_too() {
    // Other numbers of the same length: the signatures of these two certificates are of no interest here.
    let at = DEVICE.certificate.der().windows(2).position(|it| it == [2, 20]).unwrap();
    for first in [0x80, 0xff] {
        let mut der = DEVICE.certificate.der().to_vec();
        der[at + 2] = first;
        let certificate = Certificate::parse(&der).unwrap();
        let signer = Signer { certificate: &certificate, key: &DEVICE.key, chain: &[] };
        let message = sign(&signer, BODY, Form::Attached, &[], None).unwrap();
        assert_eq!(verify(&message, None, Strength::Modern).unwrap().signer, certificate);
        let message = encrypt(BODY, &certificate, Cipher::Aes128).unwrap();
        assert_eq!(decrypt(&message, &certificate, &DEVICE.key, Strength::Modern).unwrap().content[..], *BODY);
        let other = decrypt(&message, &DEVICE.certificate, &DEVICE.key, Strength::Modern);
        assert_eq!(other.unwrap_err(), CmsError::Recipient);
    }
}

#[test]
fn certificates_alone_are_read_as_they_were_written() {
    let written = write_certificates(&[&DEVICE.certificate, &P256.certificate]).unwrap();
    let read = read_certificates(&written).unwrap();
    assert_eq!(read.len(), 2);
    assert!(read.contains(&DEVICE.certificate) && read.contains(&P256.certificate));
    assert_eq!(read_certificates(&signed_by(&DEVICE, Form::Attached)).unwrap_err(), CmsError::Signers(1));
    assert_eq!(refused(&written), CmsError::Signers(0));
}
