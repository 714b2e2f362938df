//! Signed and encrypted messages, exchanged with OpenSSL.
use crate::tool::{NOW, World, no_openssl};
use holdfast_apple::certificate::{KeyError, PrivateKey, Strength};
use holdfast_apple::cms::{
    Cipher, CmsError, Form, Signer, decrypt, encrypt, read_certificates, sign, verify, write_certificates,
};

/// With line ends and bytes that text mode would change.
const BODY: &[u8] = b"<plist>\r\n<string>\xc3\xbc</string>\n\x00\xff</plist>";

fn keys() -> [(&'static str, PrivateKey); 3] {
    let world = World::new();
    world.folder.run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -outform DER -out p384").well();
    world.folder.run("openssl pkcs8 -topk8 -nocrypt -inform DER -in p384 -outform DER -out p384.p8").well();
    [
        ("rsa", PrivateKey::generate_rsa().unwrap()),
        ("p256", PrivateKey::generate_p256().unwrap()),
        ("p384", PrivateKey::from_pkcs8(&world.folder.read("p384.p8")).unwrap()),
    ]
}

#[test]
fn openssl_verifies_what_we_sign() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    folder.write("body", BODY);
    for (name, key) in keys() {
        let certificate = world.device(name, &key);
        let chain = [world.authority.certificate().clone()];
        let signer = Signer { certificate: &certificate, key: &key, chain: &chain };
        let verify = "openssl cms -verify -binary -inform DER -in signed -CAfile root.pem -purpose any";
        for at in [None, Some(NOW)] {
            folder.write("signed", &sign(&signer, BODY, Form::Attached, &[], at).unwrap());
            assert_eq!(folder.run(verify).well(), BODY);
            folder.write("signed", &sign(&signer, BODY, Form::Detached, &[], at).unwrap());
            assert_eq!(folder.run(&format!("{verify} -content body")).well(), BODY);
            assert!(!folder.run(&format!("{verify} -content root.pem")).is_success);
        }
        let shown = folder.run("openssl cms -cmsout -print -noout -inform DER -in signed").text();
        let algorithm = if name == "rsa" { "algorithm: rsaEncryption" } else { "algorithm: ecdsa-with-SHA" };
        assert!(shown.contains(algorithm), "{shown}");
    }
}

#[test]
fn we_verify_what_openssl_signs() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    folder.write("body", BODY);
    for (name, key) in keys() {
        let certificate = world.device(name, &key);
        for digest in ["sha1", "sha256", "sha384", "sha512"] {
            // `-stream` leaves lengths open, as Apple's own library does.
            for more in ["", " -nodetach", " -nodetach -stream", " -stream", " -keyid -nodetach", " -nosmimecap"] {
                let sign =
                    format!("openssl cms -sign -binary -in body -signer {name}.pem -inkey {name}.key -md {digest}");
                let message = folder.run(&format!("{sign} -outform DER{more}")).well();
                let beside = Some(BODY).filter(|_| !more.contains("-nodetach"));
                let signed = |strength| verify(&message, beside, strength);
                if digest == "sha1" {
                    assert_eq!(signed(Strength::Modern).unwrap_err(), CmsError::Weak);
                    // Elliptic curves came after SHA-1 was broken.
                    if name != "rsa" {
                        assert_eq!(
                            signed(Strength::WithLegacy).unwrap_err(),
                            CmsError::Key(KeyError::Algorithm),
                            "{name} {more}"
                        );
                        continue;
                    }
                }
                let signed = signed(Strength::WithLegacy).unwrap_or_else(|why| panic!("{name} {digest}{more}: {why}"));
                assert_eq!((signed.content.as_slice(), &signed.signer), (BODY, &certificate));
                let other = verify(&message, Some(b"other"), Strength::WithLegacy).unwrap_err();
                assert!([CmsError::OtherContent, CmsError::Digest].contains(&other), "{other}");
            }
        }
    }
}

#[test]
fn we_refuse_what_openssl_signs_in_other_ways() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    folder.write("body", BODY);
    for (name, key) in keys() {
        world.device(name, &key);
    }
    let one = "openssl cms -sign -nodetach -binary -in body -outform DER -signer rsa.pem -inkey rsa.key";
    for (more, refused) in [
        ("-noattr", CmsError::NoAttributes),
        ("-signer p256.pem -inkey p256.key", CmsError::Signers(2)),
        ("-nocerts", CmsError::SignerCertificate),
        ("-keyopt rsa_padding_mode:pss", CmsError::Key(KeyError::Algorithm)),
        ("-econtent_type 1.2.840.113549.1.7.2", CmsError::Kind),
        ("-md md5", CmsError::Algorithm),
    ] {
        let message = folder.run(&format!("{one} {more}")).well();
        assert_eq!(verify(&message, None, Strength::WithLegacy).unwrap_err(), refused, "{more}");
    }
    let encrypted = folder.run("openssl cms -encrypt -binary -in body -outform DER rsa.pem").well();
    assert_eq!(verify(&encrypted, None, Strength::WithLegacy).unwrap_err(), CmsError::Kind);
}

#[test]
fn envelopes_are_exchanged_with_openssl() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    let key = PrivateKey::generate_rsa().unwrap();
    let certificate = world.device("rsa", &key);
    let large = BODY.repeat(1000);
    // Single DES is no longer in OpenSSL's default provider.
    let legacy = "-provider legacy -provider default";
    for body in [BODY, b"", &large] {
        folder.write("body", body);
        for (option, cipher) in [
            ("-des", Cipher::Des),
            ("-des3", Cipher::TripleDes),
            ("-aes128", Cipher::Aes128),
            ("-aes256", Cipher::Aes256),
        ] {
            for more in ["", "-stream", "-keyid"] {
                let encrypt =
                    format!("openssl cms -encrypt -binary {legacy} -in body -outform DER {option} {more} rsa.pem");
                let message = folder.run_with(encrypt.split_whitespace()).well();
                let opened = decrypt(&message, &certificate, &key, Strength::WithLegacy).unwrap();
                assert_eq!((opened.content.as_slice(), opened.cipher), (body, cipher), "{option} {more}");
            }
            folder.write("message", &encrypt(body, &certificate, cipher).unwrap());
            let decrypt = "openssl cms -decrypt -binary -inform DER -in message -recip rsa.pem -inkey rsa.key";
            assert_eq!(folder.run(&format!("{decrypt} {legacy}")).well(), body, "{option}");
        }
    }
    folder.write("body", BODY);
    let encrypt = "openssl cms -encrypt -binary -in body -outform DER";
    for (more, refused) in [
        ("-aes192 rsa.pem", CmsError::Algorithm),
        ("-recip rsa.pem -keyopt rsa_padding_mode:oaep", CmsError::Algorithm),
        ("root.pem", CmsError::Recipient),
        ("-secretkey 000102030405060708090a0b0c0d0e0f -secretkeyid 00 -aes128", CmsError::Recipient),
    ] {
        let message = folder.run(&format!("{encrypt} {more}")).well();
        let refusal = decrypt(&message, &certificate, &key, Strength::WithLegacy).unwrap_err();
        assert_eq!(refusal, refused, "{more}");
    }
}

#[test]
fn lists_of_certificates_are_exchanged_with_openssl() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    let device = world.device("ec", &PrivateKey::generate_p256().unwrap());
    let both = [world.authority.certificate(), &device];
    folder.write("list", &write_certificates(&both).unwrap());
    let shown = folder.run("openssl pkcs7 -inform DER -in list -print_certs -noout").text();
    assert!(
        shown.contains("subject=CN = ec, O = Example") && shown.contains("subject=CN = Devices of Example"),
        "{shown}"
    );
    folder.run("openssl crl2pkcs7 -nocrl -certfile root.pem -certfile ec.pem -outform DER -out made").well();
    let read = read_certificates(&folder.read("made")).unwrap();
    assert!(read.len() == 2 && both.iter().all(|it| read.contains(it)));
}
