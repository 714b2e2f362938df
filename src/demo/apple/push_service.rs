//! A push service on loopback, for the simulated devices: as Apple's, it takes HTTP/2 with the push certificate and nothing else.
use actix_web::http::StatusCode;
use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The tokens, in hex, of the devices that were woken and have not come since. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Woken(Arc<Mutex<BTreeSet<String>>>);

impl Woken {
    /// Whether a device was woken since it last asked.
    pub fn take(&self, token: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token)
    }

    fn add(&self, token: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token);
    }
}

/// The service, before it answers.
pub struct PushService {
    listener: TcpListener,
    tls: ServerConfig,
    /// PEM: the push certificate with its key, and whom the service's own certificate is from.
    pub certificate: PathBuf,
    pub root: PathBuf,
    pub url: String,
}

impl PushService {
    /// Takes a free port, and leaves what its client needs in `folder`.
    ///
    /// # Errors
    /// When there is no port, or the folder cannot be written.
    pub fn prepare(folder: &Path) -> Result<Self> {
        secret::install_crypto();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let leaf = |name: &str| -> Result<_> {
            let key = KeyPair::generate()?;
            Ok((CertificateParams::new([name.to_owned()])?.signed_by(&key, &authority)?, key))
        };
        let (client, client_key) = leaf("push.demo.example")?;
        let (certificate, root) = (folder.join("push.pem"), folder.join("push-root.pem"));
        write(&certificate, &format!("{}{}", client.pem(), client_key.serialize_pem()))?;
        write(&root, &authority.pem())?;
        let (own, key) = leaf("localhost")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.der().to_vec())).context("trusting the push certificate")?;
        let verifier =
            WebPkiClientVerifier::builder(Arc::new(roots)).build().context("asking for the push certificate")?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let mut tls = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![CertificateDer::from(own.der().to_vec())], key)
            .context("preparing the push service")?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").context("finding a free port for the push service")?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        Ok(Self { listener, tls, certificate, root, url })
    }

    /// Answers until the program ends.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn serve(self) -> Result<Woken> {
        let woken = Woken::default();
        let data = woken.clone();
        let tls = TlsAcceptor::from(Arc::new(self.tls));
        self.listener.set_nonblocking(true).context("preparing the push service")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("push service".to_owned()).spawn(move || {
            let served: std::io::Result<std::convert::Infallible> = runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(self.listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(answer(tls.clone(), stream, data.clone()));
                }
            });
            let Err(error) = served;
            tracing::warn!(%error, "the demo's push service ended");
        })?;
        Ok(woken)
    }
}

/// Answers all requests of a connection.
async fn answer(tls: TlsAcceptor, stream: TcpStream, woken: Woken) {
    let connected = async {
        let mut connection = h2::server::handshake(tls.accept(stream).await?).await?;
        while let Some(request) = connection.accept().await {
            let (request, mut respond) = request?;
            let token = request.uri().path().strip_prefix("/3/device/").map(str::to_owned);
            let is_push = request.headers().get("apns-push-type").is_some_and(|it| it == "mdm");
            let status = match token.filter(|_| is_push) {
                // All that is said to a device is that it is to come.
                Some(token) => {
                    woken.add(token);
                    StatusCode::OK
                }
                None => StatusCode::BAD_REQUEST,
            };
            let head = ureq::http::Response::builder().status(status.as_u16()).body(())?;
            respond.send_response(head, true)?;
        }
        Ok::<_, anyhow::Error>(())
    };
    if let Err(error) = connected.await {
        tracing::debug!(error = format!("{error:#}"), "a connection to the demo's push service ended");
    }
}

/// Only its owner may see the folder; the same goes for the key.
fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
