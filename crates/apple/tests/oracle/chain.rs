//! Certificates, as OpenSSL reads them.
use crate::tool::{Folder, LONG, NOW, World, no_openssl};
use holdfast_apple::certificate::{AlternativeName, Certificate, KeyError, Leaf, PrivateKey, PublicKey, Refused};

#[test]
fn openssl_finds_nothing_wrong_with_root_registrar_and_leaves() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    let registrar = world.authority.issue_registrar("Device registration", LONG).unwrap();
    folder.certificate("registrar.pem", &registrar.certificate);
    for key in ["rsa_keygen_bits:3072", "ec_paramgen_curve:P-256", "ec_paramgen_curve:P-384"] {
        let kind = if key.starts_with("rsa") { "RSA" } else { "EC" };
        folder.run(&format!("openssl genpkey -algorithm {kind} -pkeyopt {key} -out key.pem")).well();
        let public = folder.run("openssl pkey -in key.pem -pubout -outform DER").well();
        let public = PublicKey::parse(&public).unwrap();
        let names =
            [AlternativeName::Uri("urn:uuid:0190163d".to_owned()), AlternativeName::Dns("a.example".to_owned())];
        let leaf = Leaf {
            public_key: &public,
            common_name: "Ünser Gerät",
            organization: Some("Example"),
            names: &names,
            validity: LONG,
        };
        let leaf = world.authority.issue_leaf(&leaf).unwrap();
        folder.certificate("leaf.pem", &leaf);
        let verify = "openssl verify -x509_strict -CAfile root.pem";
        for purpose in ["sslclient", "any"] {
            assert_eq!(folder.run(&format!("{verify} -purpose {purpose} leaf.pem")).text(), "leaf.pem: OK\n");
        }
        assert!(!folder.run(&format!("{verify} -purpose sslserver leaf.pem")).is_success);
        assert!(!folder.run(&format!("{verify} -attime 1500000000 leaf.pem")).is_success);
        assert!(!folder.run(&format!("{verify} -attime 2600000000 leaf.pem")).is_success);

        let text = folder.run("openssl x509 -in leaf.pem -noout -text -fingerprint -sha256 -nameopt utf8").text();
        for part in [
            "Issuer: CN=Devices of Example",
            "Subject: CN=Ünser Gerät, O=Example",
            "Not After : Jan  1 00:00:00 2049 GMT",
            "CA:FALSE",
            "TLS Web Client Authentication",
            "URI:urn:uuid:0190163d, DNS:a.example",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let fingerprint: Vec<_> = leaf.fingerprint().iter().map(|it| format!("{it:02X}")).collect();
        assert!(text.contains(&fingerprint.join(":")), "{text}");
        let serial = folder.run("openssl x509 -in leaf.pem -noout -serial").text();
        let ours: String = leaf.serial().iter().skip(1).map(|it| format!("{it:02X}")).collect();
        assert_eq!(serial, format!("serial={ours}\n"));
        assert_eq!(ours.len(), 32);
    }
    let verify = "openssl verify -x509_strict -CAfile root.pem";
    assert_eq!(folder.run(&format!("{verify} registrar.pem")).text(), "registrar.pem: OK\n");
    assert!(!folder.run(&format!("{verify} -purpose crlsign registrar.pem")).is_success);
    assert_eq!(folder.run(&format!("{verify} root.pem")).text(), "root.pem: OK\n");
    let text = folder.run("openssl x509 -in root.pem -noout -text").text();
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign, CRL Sign"), "{text}");
    let text = folder.run("openssl x509 -in registrar.pem -noout -text").text();
    assert!(text.contains("Digital Signature, Key Encipherment") && text.contains("CA:FALSE"), "{text}");
    folder.certificate("other.pem", World::new().authority.certificate());
    assert!(!folder.run("openssl verify -CAfile other.pem leaf.pem").is_success);
}

#[test]
fn keys_are_exchanged_with_openssl() {
    if no_openssl() {
        return;
    }
    let folder = Folder::new();
    for (name, key) in [("rsa", PrivateKey::generate_rsa().unwrap()), ("ec", PrivateKey::generate_p256().unwrap())] {
        folder.key(name, &key);
        let public = folder.run(&format!("openssl pkey -in {name} -pubout -outform DER")).well();
        assert_eq!(&PublicKey::parse(&public).unwrap(), key.public());
    }
    for (bits, refused) in [(1024, KeyError::Weak), (1536, KeyError::Weak), (4160, KeyError::TooLarge)] {
        folder.run(&format!("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out weak.key")).well();
        let public = folder.run("openssl pkey -in weak.key -pubout -outform DER").well();
        assert_eq!(PublicKey::parse(&public).unwrap_err(), refused, "{bits}");
    }
    folder.run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out curve.key").well();
    let public = folder.run("openssl pkey -in curve.key -pubout -outform DER").well();
    assert_eq!(PublicKey::parse(&public).unwrap_err(), KeyError::Unsupported);
}

#[test]
fn a_certificate_that_openssl_made_is_none_of_ours() {
    if no_openssl() {
        return;
    }
    let world = World::new();
    let folder = &world.folder;
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout made.key -days 3 -outform DER -out made.der -batch";
    for more in
        ["-subj /CN=made", "-subj /CN=made/CN=twice -sha1", "-subj /CN=made -addext extendedKeyUsage=clientAuth"]
    {
        folder.run(&format!("{make} {more}")).well();
        let made = Certificate::parse(&folder.read("made.der")).unwrap();
        assert_eq!(made.common_name(), Some("made").filter(|_| !more.contains("twice")));
        assert!(made.is_self_signed());
        assert_eq!(world.authority.check(Some(made.der()), NOW).unwrap_err(), Refused::SelfSigned);
    }
}
