//! Waking devices: HTTP/2 with a client certificate, against a push service on loopback.
use super::World;
use crate::support::server::admin;
use bytes::Bytes;
use domain::command::Order;
use domain::time::{hours, minutes};
use holdfast::config::{AppleSettings, Options};
use holdfast::job::{self, Summary};
use holdfast::protocol::apple::Apns;
use holdfast::service::command::{self, Ask};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What the service was asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    path: String,
    pub topic: String,
    kind: String,
    body: String,
}

/// A push service that only takes the push certificate.
pub struct Service {
    address: SocketAddr,
    pub authority: Issuer,
    pub root: String,
    pub seen: Receiver<Seen>,
    /// What it answers, one after the other; then 200.
    answers: Arc<Mutex<Vec<u16>>>,
    folder: tempfile::TempDir,
}

/// Who signs push certificates.
pub type Issuer = CertifiedIssuer<'static, KeyPair>;

pub fn issuer() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Service {
    pub fn start() -> Self {
        let authority = issuer();
        let leaf = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
            let key = KeyPair::generate().unwrap();
            (CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap(), key)
        };
        let (client, client_key) = leaf(&["push"]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("push.pem"), format!("{}{}", client.pem(), client_key.serialize_pem()))
            .unwrap();

        let (server, key) = leaf(&["localhost"]);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.der().to_vec())).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut tls = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![CertificateDer::from(server.der().to_vec())], key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let (sender, seen) = channel();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let address = listen(tls, sender, Arc::clone(&answers));
        Self { address, root: authority.pem(), authority, seen, answers, folder }
    }

    pub fn options(&self) -> Options {
        Options {
            apple_push_certificate: Some(self.folder.path().join("push.pem")),
            apple_push_url: Some(format!("https://localhost:{}", self.address.port())),
            ..Options::default()
        }
    }
}

fn listen(tls: ServerConfig, sender: Sender<Seen>, answers: Arc<Mutex<Vec<u16>>>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // Ends with the test's process.
        runtime().block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(tls.clone(), stream, sender.clone(), Arc::clone(&answers)));
            }
        });
    });
    address
}

async fn serve(tls: tokio_rustls::TlsAcceptor, stream: TcpStream, sender: Sender<Seen>, answers: Arc<Mutex<Vec<u16>>>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (sender, answers) = (sender.clone(), Arc::clone(&answers));
        tokio::spawn(async move {
            let header = |name: &str| request.headers().get(name).map_or("", |it| it.to_str().unwrap()).to_owned();
            let (topic, kind, path) = (header("apns-topic"), header("apns-push-type"), request.uri().path().to_owned());
            let mut incoming = request.into_body();
            let mut body = Vec::new();
            while let Some(Ok(piece)) = incoming.data().await {
                body.extend_from_slice(&piece);
            }
            sender.send(Seen { path, topic, kind, body: String::from_utf8(body).unwrap() }).unwrap();
            let status = answers.lock().unwrap().pop().unwrap_or(200);
            let answer = ureq::http::Response::builder().status(status).body(()).unwrap();
            let mut stream = respond.send_response(answer, false).unwrap();
            stream.send_data(Bytes::from_static(b"{\"reason\":\"Test\"}"), true).unwrap();
        });
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The server's side, with its connection.
pub struct Waker {
    apns: Apns,
    runtime: Runtime,
}

impl Waker {
    fn of(settings: &AppleSettings, root: &str) -> Self {
        Self::with(Apns::open(settings, Some(root.as_bytes())).unwrap().unwrap())
    }

    pub fn with(apns: Apns) -> Self {
        Self { apns, runtime: runtime() }
    }

    pub fn wakes(&self, world: &World) -> Summary {
        let (apns, store, now) = (self.apns.clone(), world.server.store().clone(), world.now());
        let job = tokio::task::spawn_blocking;
        self.runtime
            .block_on(async move { job(move || job::push::run_once(&store, &apns, now)).await.unwrap().unwrap() })
    }
}

#[test]
fn a_device_is_woken_for_what_waits_and_less_often_while_it_does_not_come() {
    let service = Service::start();
    let world = World::with(service.options());
    let waker = Waker::of(world.server.app.config.apple.as_ref().unwrap(), &service.root);
    let phone = world.phone(1);
    assert_eq!(waker.wakes(&world).done_count, 1, "it has said nothing yet");
    let seen = service.seen.try_recv().unwrap();
    assert_eq!((seen.topic.as_str(), seen.kind.as_str()), ("com.apple.mgmt.External.test", "mdm"));
    assert_eq!((seen.path, seen.body.as_str()), (format!("/3/device/{}", "ab".repeat(32)), r#"{"mdm":"magic"}"#));
    phone.talks();
    world.server.app.clock.advance(minutes(1));
    assert_eq!(waker.wakes(&world).done_count, 0, "nothing waits");

    let ((device, _), now) = (world.device(&phone), world.now());
    world.server.act(move |conn| {
        command::queue(conn, &admin(), &device, Ask { order: &Order::lock(), request_key: None }, now)
    });
    for wait in [0, 1, 2, 4, 8] {
        if wait > 0 {
            world.server.app.clock.advance(minutes(wait) - std::time::Duration::from_secs(1));
            assert_eq!(waker.wakes(&world).done_count, 0, "not before {wait} minutes");
            world.server.app.clock.advance(std::time::Duration::from_secs(1));
        }
        assert_eq!(waker.wakes(&world).done_count, 1, "after {wait} minutes");
    }
    let asked = phone.idles().unwrap();
    phone.reports("NotNow", &asked);
    world.server.app.clock.advance(minutes(29));
    assert_eq!(waker.wakes(&world).done_count, 0, "it asks by itself");
    world.server.app.clock.advance(minutes(1));
    assert_eq!(waker.wakes(&world).done_count, 1);
    phone.talks();
    world.server.app.clock.advance(hours(6));
    assert_eq!(waker.wakes(&world).done_count, 1, "it is to be heard from");
}

#[test]
fn an_address_that_apple_ends_is_used_no_more_and_another_refusal_is_tried_again() {
    let service = Service::start();
    let world = World::with(service.options());
    let waker = Waker::of(world.server.app.config.apple.as_ref().unwrap(), &service.root);
    let phone = world.phone(1);

    service.answers.lock().unwrap().push(503);
    assert_eq!(waker.wakes(&world).failed_count, 1);
    world.server.app.clock.advance(minutes(1));
    service.answers.lock().unwrap().push(410);
    assert_eq!(waker.wakes(&world).done_count, 1);
    assert_eq!(world.device(&phone).1.push_token, None);
    world.server.app.clock.advance(hours(12));
    assert_eq!(waker.wakes(&world).done_count, 0);
    assert_eq!(phone.says_where().status, 200);
    world.server.app.clock.advance(hours(12));
    assert_eq!(waker.wakes(&world).done_count, 1);
}

#[test]
fn without_the_push_certificate_nobody_is_woken() {
    let (service, other) = (Service::start(), Service::start());
    let options = Options { apple_push_certificate: other.options().apple_push_certificate, ..service.options() };
    let world = World::with(options);
    let waker = Waker::of(world.server.app.config.apple.as_ref().unwrap(), &service.root);
    world.phone(1);
    assert_eq!(waker.wakes(&world).failed_count, 1);
    assert!(service.seen.try_recv().is_err());
}
