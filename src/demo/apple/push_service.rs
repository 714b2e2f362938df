//! A push service on loopback, for the simulated devices: as Apple's, it takes HTTP/2 with the push certificate and nothing else.
use actix_web::web::{Bytes, Data, Path as Parts, post};
use actix_web::{App as HttpApp, HttpRequest, HttpResponse, HttpServer};
use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
        let tls = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![CertificateDer::from(own.der().to_vec())], key)
            .context("preparing the push service")?;
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
        let build =
            move || HttpApp::new().app_data(Data::new(data.clone())).route("/3/device/{token}", post().to(wake));
        let (listener, tls) = (self.listener, self.tls);
        std::thread::Builder::new().name("push service".to_owned()).spawn(move || {
            let served = actix_web::rt::System::new().block_on(async move {
                HttpServer::new(build).workers(1).disable_signals().listen_rustls_0_23(listener, tls)?.run().await
            });
            if let Err(error) = served {
                tracing::warn!(%error, "the demo's push service ended");
            }
        })?;
        Ok(woken)
    }
}

/// Wakes a device: all that is said to it is that it is to come.
async fn wake(request: HttpRequest, token: Parts<String>, woken: Data<Woken>, body: Bytes) -> HttpResponse {
    let is_push =
        request.headers().get("apns-push-type").is_some_and(|it| it == "mdm") && body.starts_with(b"{\"mdm\":");
    if !is_push {
        return HttpResponse::BadRequest().finish();
    }
    woken.add(token.into_inner());
    HttpResponse::Ok().finish()
}

/// Only its owner may see the folder; the same goes for the key.
fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
