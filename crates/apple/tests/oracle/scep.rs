//! Two clients that are not ours get their certificates.
use crate::server::{Rules, Seen, Server};
use crate::tool::{Folder, LONG, Said, from_pem, is_absent, no_openssl};
use holdfast_apple::certificate::{Authority, Certificate, KeyError, PrivateKey, PublicKey, Strength};
use holdfast_apple::scep::{Kind, RequestError, read_request};

/// A server that does not list these is sent its messages in the address.
const NO_POST: &[&str] = &["POSTPKIOperation", "SCEPStandard"];

struct World {
    folder: Folder,
    server: Server,
    root: Certificate,
    registrar: Certificate,
}

impl World {
    fn new(without: &'static [&'static str], delays: usize) -> Self {
        let authority = Authority::create("Devices of Example", LONG).unwrap();
        let registrar = authority.issue_registrar("Device registration", LONG).unwrap();
        let (root, certificate) = (authority.certificate().clone(), registrar.certificate.clone());
        let server = Server::start(Rules { authority, registrar, without, delays });
        let folder = Folder::new();
        folder.certificate("root.pem", &root);
        folder.certificate("registrar.pem", &certificate);
        Self { folder, server, root, registrar: certificate }
    }

    fn seen(&self) -> Seen {
        self.server.seen.try_recv().unwrap()
    }

    /// The certificate has our name, the client's key, and is one of ours.
    fn check(&self, certificate: &Certificate, key: &PublicKey) {
        assert_eq!(certificate.common_name(), Some("chosen by us"));
        assert_eq!(certificate.public_key().as_ref(), Ok(key));
        self.folder.certificate("got.pem", certificate);
        let verified = self.folder.run("openssl verify -CAfile root.pem -purpose sslclient got.pem").text();
        assert_eq!(verified, "got.pem: OK\n");
    }
}

fn no_scepclient() -> bool {
    is_absent("scepclient", "-help", "-server-url", "scep")
}

fn no_pki() -> bool {
    let packages = "strongswan-pki libstrongswan-standard-plugins libstrongswan-extra-plugins";
    is_absent("pki", "--help", " curl", packages)
}

/// The client makes its own key, in a form of its own.
fn scepclient(world: &World, challenge: Option<&str>) -> Said {
    let fingerprint: String = world.registrar.fingerprint().iter().map(|it| format!("{it:02x}")).collect();
    let url = format!("http://{}/scep", world.server.address);
    let challenge = challenge.map(|it| format!("-challenge {it}")).unwrap_or_default();
    let line = format!(
        "scepclient -server-url {url} {challenge} -private-key client.key -certificate client.pem -cn somebody \
         -ca-fingerprint {fingerprint}"
    );
    world.folder.run_with(line.split_whitespace())
}

#[test]
fn scepclient_gets_a_certificate_by_post_and_by_get() {
    if no_scepclient() {
        return;
    }
    for (without, method) in [(&[][..], "POST"), (NO_POST, "GET")] {
        let world = World::new(without, 0);
        scepclient(&world, Some("secret")).well();
        let key = world.folder.run("openssl pkey -in client.key -pubout -outform DER").well();
        world.check(&from_pem(&world.folder.read("client.pem")), &PublicKey::parse(&key).unwrap());
        let seen = world.seen();
        assert_eq!((seen.method.as_str(), seen.kind, seen.status), (method, Kind::Enroll, "issued"));
        assert_eq!(seen.query > 2000, method == "GET", "{seen:?}");
    }
}

#[test]
fn scepclient_renews_and_is_told_of_a_refusal() {
    if no_scepclient() {
        return;
    }
    let world = World::new(&[], 0);
    let refused = scepclient(&world, Some("guessed"));
    assert!(!refused.is_success && !world.folder.path("client.pem").exists());
    assert_eq!(world.seen().status, "failed");
    let refusal = [refused.stderr, String::from_utf8(refused.stdout).unwrap()].concat();
    assert!(refusal.contains("badRequest"), "{refusal}");

    let world = World::new(&[], 0);
    scepclient(&world, Some("secret")).well();
    assert_eq!(world.seen().kind, Kind::Enroll);
    // With a certificate of ours, and no challenge, it asks for a renewal.
    let first = world.folder.read("client.pem");
    scepclient(&world, None).well();
    let seen = world.seen();
    assert_eq!((seen.kind, seen.status), (Kind::Renew, "issued"));
    assert_ne!(world.folder.read("client.pem"), first);
}

fn pki(world: &World, challenge: &str, more: &str) -> Said {
    let url = format!("http://{}/scep", world.server.address);
    let line = format!(
        "pki --scep --url {url} --in rsa.key --dn CN=somebody --password {challenge} --cacert-enc registrar.pem \
         --cacert-sig registrar.pem --cacert root.pem --outform pem {more}"
    );
    world.folder.run_with(line.split_whitespace())
}

#[test]
fn strongswan_gets_a_certificate_in_every_strength_it_knows() {
    if no_pki() {
        return;
    }
    let key = PrivateKey::generate_rsa().unwrap();
    for more in ["", "--cipher des3", "--digest sha1", "--digest sha384", "--digest sha512 --cipher aes"] {
        let world = World::new(&[], 0);
        world.folder.key("rsa.key", &key);
        let got = pki(&world, "secret", more).well();
        world.check(&from_pem(&got), key.public());
        let seen = world.seen();
        assert_eq!((seen.kind, seen.status, seen.challenge.as_deref()), (Kind::Enroll, "issued", Some("secret")));
    }
}

#[test]
fn strongswan_waits_is_refused_and_renews() {
    if no_pki() {
        return;
    }
    let key = PrivateKey::generate_rsa().unwrap();
    let world = World::new(&[], 1);
    world.folder.key("rsa.key", &key);
    assert!(!pki(&world, "guessed", "").is_success);
    assert_eq!(world.seen().status, "failed");
    let got = pki(&world, "secret", "--interval 1").well();
    let first = from_pem(&got);
    world.check(&first, key.public());
    let (pending, polled) = (world.seen(), world.seen());
    assert_eq!((pending.kind, pending.status), (Kind::Enroll, "pending"));
    assert_eq!((polled.kind, polled.status), (Kind::Poll, "issued"));

    let next = PrivateKey::generate_rsa().unwrap();
    world.folder.certificate("old.pem", &first);
    world.folder.key("old.key", &key);
    world.folder.key("rsa.key", &next);
    let got = pki(&world, "none", "--cert old.pem --key old.key").well();
    world.check(&from_pem(&got), next.public());
    let renewed = world.seen();
    assert_eq!((renewed.kind, renewed.status), (Kind::Renew, "issued"));
}

#[test]
fn strongswan_reads_whom_to_ask() {
    if no_pki() {
        return;
    }
    let world = World::new(&[], 0);
    let url = format!("http://{}/scep", world.server.address);
    world.folder.run(&format!("pki --scepca --url {url} --caout ca.der --raout ra.der")).well();
    assert_eq!(world.folder.read("ca.der"), world.root.der());
    assert_eq!(world.folder.read("ra.der"), world.registrar.der());
}

const REQUEST_CONFIG: &str = "\
[req]
prompt = no
distinguished_name = name
attributes = attributes
req_extensions = extensions
[name]
CN = somebody
[attributes]
challengePassword = s3cret-_=/+ *
[extensions]
subjectAltName = DNS:somebody.example
";

#[test]
fn requests_that_openssl_makes_are_read_if_their_key_is_fit() {
    if no_openssl() {
        return;
    }
    let folder = Folder::new();
    folder.write("config", REQUEST_CONFIG.as_bytes());
    let make = |key: &str, more: &str| {
        folder.run(&format!("openssl genpkey -out key.pem -algorithm {key}")).well();
        let line = format!("openssl req -new -config config -key key.pem -outform DER {more}");
        folder.run_with(line.split_whitespace()).well()
    };
    for (key, more) in [
        ("RSA -pkeyopt rsa_keygen_bits:2048", ""),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "-sha1"),
        ("RSA -pkeyopt rsa_keygen_bits:3072", "-sha512"),
        ("EC -pkeyopt ec_paramgen_curve:P-256", ""),
        ("EC -pkeyopt ec_paramgen_curve:P-384", "-sha384"),
        ("EC -pkeyopt ec_paramgen_curve:P-256", "-utf8"),
    ] {
        let request = make(key, more);
        let public = PublicKey::parse(&folder.run("openssl pkey -in key.pem -pubout -outform DER").well()).unwrap();
        let (found, challenge) = read_request(&request, Strength::WithLegacy).unwrap();
        assert_eq!((&found, challenge.as_ref().map(|it| it.as_str())), (&public, Some("s3cret-_=/+ *")));
        let modern = read_request(&request, Strength::Modern);
        assert_eq!(modern.err(), Some(RequestError::Proof(KeyError::Digest)).filter(|_| more == "-sha1"));
    }
    for (key, more, why) in [
        ("RSA -pkeyopt rsa_keygen_bits:1024", "", RequestError::Key(KeyError::Weak)),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "-md5", RequestError::Proof(KeyError::Algorithm)),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "-sigopt rsa_padding_mode:pss", RequestError::Proof(KeyError::Algorithm)),
        ("EC -pkeyopt ec_paramgen_curve:P-521", "", RequestError::Key(KeyError::Unsupported)),
        ("EC -pkeyopt ec_paramgen_curve:P-256", "-sha1", RequestError::Proof(KeyError::Algorithm)),
        ("ED25519", "", RequestError::Key(KeyError::Unsupported)),
    ] {
        assert_eq!(read_request(&make(key, more), Strength::WithLegacy).unwrap_err(), why, "{key} {more}");
    }
}
