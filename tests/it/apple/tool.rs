//! Other programs against the real listener: three SCEP clients, curl over TLS with a certificate, and OpenSSL.
use super::World;
use crate::support::device::apple::{SimApple, challenge, payload};
use crate::support::program::{Folder, Said, is_absent, pem};
use crate::support::skip;
use apple::cms::read_certificates;
use apple::plist::{Dictionary, Read, read, write};
use apple::schema::{check_command, check_profile};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::device::Ownership;
use domain::id::AppleEnrollmentId;
use holdfast::config::Options;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// A server, and a folder with what its clients know of it.
struct Place {
    world: World,
    folder: Folder,
    scheme: &'static str,
}

impl Place {
    fn new() -> Self {
        Self::with(Options::default(), Folder::new(), "http")
    }

    /// One that speaks TLS itself, with a certificate that clients trust by `trusted.pem`.
    fn tls() -> Self {
        let folder = Folder::new();
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        folder.write("trusted.pem", authority.pem());
        folder.write("server.pem", params.signed_by(&key, &authority).unwrap().pem());
        folder.write("server.key", key.serialize_pem());
        let options = Options {
            tls_certificate: Some(folder.path("server.pem")),
            tls_key: Some(folder.path("server.key")),
            apple_root: Some(folder.path("trusted.pem")),
            ..Options::default()
        };
        Self::with(options, folder, "https")
    }

    fn with(options: Options, folder: Folder, scheme: &'static str) -> Self {
        let world = World::at(Clock::System, options);
        let door = world.server.app.apple.as_ref().unwrap();
        folder.write("authority.pem", pem(door.authority_certificate().unwrap()));
        Self { world, folder, scheme }
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.world.door)
    }

    fn phone(&self, number: u8) -> SimApple {
        SimApple::phone(self.world.door, number)
    }

    /// Runs curl; what comes after the body is the status.
    fn curl(&self, more: &str, path: &str) -> Said {
        self.folder.run(&format!("curl --silent --show-error --cacert trusted.pem {more} {}", self.url(path)))
    }

    /// A message with a certificate in the folder, and no signature.
    fn says(&self, name: &str, message: Dictionary) -> (String, Vec<u8>) {
        self.folder.write("message", write(message).unwrap());
        let with = format!("--cert {name}.pem --key {name}.key --upload-file message");
        let answer = self.curl(&format!("{with} --write-out %{{http_code}}"), "/apple/mdm").well();
        let (body, status) = answer.split_at(answer.len() - 3);
        (String::from_utf8(status.to_vec()).unwrap(), body.to_vec())
    }

    /// A signed profile, as a browser gets it and OpenSSL reads it.
    fn profile(&self) -> Dictionary {
        let path = format!("/apple/enroll/{}", self.world.token(Ownership::Company));
        let got = self.curl("--fail --output profile", &path);
        got.well();
        let verify = "openssl cms -verify -binary -inform DER -in profile -CAfile authority.pem -purpose any";
        let profile = read(&self.folder.run(verify).well()).unwrap();
        assert_eq!(check_profile(&profile, &self.phone(1).target()), []);
        profile
    }

    /// The registrar's certificate, by what the server says of itself.
    fn fetch_registrar(&self) {
        self.curl("--fail --output list", "/apple/scep?operation=GetCACert").well();
        let authority = self.folder.certificate("authority.pem");
        let all = read_certificates(&self.folder.read("list")).unwrap();
        let registrar = all.into_iter().find(|it| *it != authority).unwrap();
        self.folder.write("registrar.pem", pem(registrar.der()));
    }

    /// Debian's `scepclient` makes a key and gets a certificate for it.
    fn scepclient(&self, password: &str) -> Said {
        self.fetch_registrar();
        for name in ["client.key", "client.pem", "self.pem", "csr.pem"] {
            // What it did before, which it would go on with.
            let _ = std::fs::remove_file(self.folder.path(name));
        }
        let fingerprint = hex::encode(self.folder.certificate("registrar.pem").fingerprint());
        self.folder.run(&format!(
            "scepclient -server-url {} -challenge {password} -private-key client.key -certificate client.pem \
             -cn somebody -ca-fingerprint {fingerprint}",
            self.url("/apple/scep")
        ))
    }

    fn pki(&self, password: &str) -> Said {
        self.fetch_registrar();
        self.folder.run("openssl genrsa -out client.key 2048").well();
        let said = self.folder.run(&format!(
            "pki --scep --url {} --in client.key --dn CN=somebody --password {password} --cacert-enc registrar.pem \
             --cacert-sig registrar.pem --cacert authority.pem --outform pem",
            self.url("/apple/scep")
        ));
        self.folder.write("client.pem", &said.stdout);
        said
    }

    fn scepreq(&self, python: &str, password: &str) -> Said {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tool/scep_request.py");
        self.folder.run(&format!("{python} {script} {} {password}", self.url("/apple/scep")))
    }

    /// The certificate in the folder is what the authority says, and carries our name; the password is used up.
    fn check(&self, again: impl FnOnce() -> Said) {
        let verify = "openssl verify -CAfile authority.pem -purpose sslclient client.pem";
        assert_eq!(self.folder.run(verify).text(), "client.pem: OK\n");
        let certificate = self.folder.certificate("client.pem");
        let name = certificate.common_name().unwrap();
        assert!(AppleEnrollmentId::parse(name).is_some(), "{name}: the request asked for another");
        let ours = self.folder.run("openssl x509 -in client.pem -noout -pubkey").text();
        assert_eq!(self.folder.run("openssl pkey -in client.key -pubout").text(), ours);
        assert!(!again().is_success, "one password, one certificate");
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn no_openssl() -> bool {
    is_absent("openssl", "version", "OpenSSL 3") || is_absent("curl", "--version", "OpenSSL")
}

fn no_scepclient() -> bool {
    no_openssl() || is_absent("scepclient", "-help", "-server-url")
}

#[test]
fn scepclient_gets_a_certificate_with_the_password_of_a_profile() {
    if no_scepclient() {
        return;
    }
    let place = Place::new();
    let password = challenge(&place.profile());
    place.scepclient(&password).well();
    place.check(|| place.scepclient(&password));
}

#[test]
fn strongswan_gets_a_certificate_with_the_password_of_a_profile() {
    if no_openssl() || is_absent("pki", "--help", " curl") {
        return;
    }
    let place = Place::new();
    let password = challenge(&place.profile());
    place.pki(&password).well();
    place.check(|| place.pki(&password));
}

#[test]
fn scepreq_gets_a_certificate_with_the_password_of_a_profile() {
    let Ok(python) = std::env::var("TEST_SCEPREQ_PYTHON") else {
        skip("scepreq (PyPI; TEST_SCEPREQ_PYTHON names its Python)");
        return;
    };
    if no_openssl() {
        return;
    }
    let place = Place::new();
    let password = challenge(&place.profile());
    place.scepreq(&python, &password).well();
    place.check(|| place.scepreq(&python, &password));
}

/// What `phone` says to enroll, over TLS with the certificate `name` and nothing else.
fn enrolls(place: &Place, name: &str, phone: &SimApple) {
    place.scepclient(&challenge(&place.profile())).well();
    for end in ["pem", "key"] {
        std::fs::rename(place.folder.path(&format!("client.{end}")), place.folder.path(&format!("{name}.{end}")))
            .unwrap();
    }
    for message in [phone.introduction(), phone.whereabouts()] {
        assert_eq!(place.says(name, message), ("200".to_owned(), Vec::new()));
    }
}

#[test]
fn curl_enrolls_and_checks_in_over_tls_with_nothing_but_its_certificate() {
    if no_scepclient() {
        return;
    }
    let place = Place::tls();
    let mut phone = place.phone(1);
    let profile = place.profile();
    let root = payload(&profile, "com.apple.security.root").data("PayloadContent").unwrap();
    place.folder.write("trusted.pem", pem(root));
    phone.reads(&profile);
    enrolls(&place, "one", &phone);
    let (device, _) = place.world.device(&phone);
    assert_eq!(device.serial.as_str(), phone.serial);
    let (status, body) = place.says("one", phone.report("Idle", None, Dictionary::new()));
    assert_eq!(status, "200");
    let asked = read(&body).unwrap();
    assert_eq!(check_command(&asked, &phone.target()), []);

    let mut other = place.phone(2);
    other.reads(&profile);
    enrolls(&place, "two", &other);
    let (status, why) = place.says("one", other.report("Idle", None, Dictionary::new()));
    assert_eq!((status.as_str(), why.as_slice()), ("403", "the certificate is another device’s\n".as_bytes()));
    assert!(place.world.history(device.id).iter().any(|it| it == "identity_refused"));
}

#[test]
fn tls_lets_in_whoever_shows_no_certificate_and_nobody_with_a_foreign_one() {
    if no_openssl() {
        return;
    }
    let place = Place::tls();
    // Whoever opens the page of a token with a browser has none, and a browser that is not sent away asks nobody for one.
    place.profile();
    place.folder.write("message", write(place.phone(1).report("Idle", None, Dictionary::new())).unwrap());
    let answer = place.curl("--upload-file message --write-out %{http_code}", "/apple/mdm").text();
    assert_eq!(answer, "the message came without a certificate\n403");

    let stranger = authority();
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    place.folder.write("foreign.pem", params.signed_by(&key, &stranger).unwrap().pem());
    place.folder.write("foreign.key", key.serialize_pem());
    let refused = place.curl("--cert foreign.pem --key foreign.key --upload-file message", "/apple/mdm");
    assert!(!refused.is_success && refused.stdout.is_empty());
    assert!(refused.stderr.contains("alert"), "{}", refused.stderr);
}

#[test]
fn a_signature_that_openssl_makes_is_taken_and_counts_for_one_body() {
    if no_scepclient() {
        return;
    }
    let place = Place::new();
    let mut phone = place.phone(1);
    let profile = place.profile();
    phone.reads(&profile);
    place.scepclient(&challenge(&profile)).well();
    let send = |message: Dictionary, more: &str, sent: Option<&[u8]>| {
        let body = write(message).unwrap();
        place.folder.write("body", &body);
        let sign = "openssl cms -sign -binary -in body -signer client.pem -inkey client.key -outform DER";
        let signature = BASE64_STANDARD.encode(place.folder.run(&format!("{sign} {more}")).well());
        phone.send("PUT", "/apple/mdm", &[("Mdm-Signature", &signature)], sent.unwrap_or(&body)).status
    };
    assert_eq!(send(phone.introduction(), "-md sha256", None), 200);
    assert_eq!(send(phone.whereabouts(), "-md sha1", None), 200);
    let idle = || phone.report("Idle", None, Dictionary::new());
    assert_eq!(send(idle(), "-md sha512 -nodetach -stream", None), 200);
    assert_eq!(send(idle(), "-md sha256", Some(b"another body")), 403);
    assert_eq!(send(idle(), "-md sha256 -noattr", None), 403, "the signature says nothing of the body's digest");
    place.folder.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.pem -subj /CN=own").well();
    assert_eq!(send(idle(), "-md sha256 -signer own.pem -inkey own.key", None), 403, "two signers");
    assert_eq!(place.world.device(&phone).0.serial.as_str(), phone.serial);
}
