//! What a start opens: the database, the backup folder, the certificate.
use crate::blob::BlobStore;
use crate::blob::disk::is_read_only;
use crate::blob::fs::FsBlobs;
use crate::blob::home::{self, Identity, Opening};
use crate::blob::seen;
use crate::config::{Config, Tls};
use crate::service;
use crate::store::{self, Database, Store};
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::time::Time;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Opens the database; creates a new one only if nothing suggests that there was one before.
pub(super) fn open_database(config: &Config) -> anyhow::Result<Store> {
    if Store::is_new(&config.database)? {
        refuse_beside_others(config)?;
    }
    match &config.database {
        Database::Sqlite(path) if is_read_only(path) => {
            tracing::error!(
                database = %path.display(),
                "the disk of the database is read-only: what is there is served, but nothing can be changed"
            );
            Store::open_on_read_only_disk(path).context("reading the database on its read-only disk")
        }
        Database::Sqlite(_) | Database::Postgres(_) => Store::open_upgrading(&config.database, config.upgrade),
    }
}

/// A new database beside existing backups or a key would know nothing about them: the old one is missing.
fn refuse_beside_others(config: &Config) -> anyhow::Result<()> {
    let found = if home::holds_backups(&config.blobs).context("looking for backups")? {
        format!("{} holds backups", config.blobs.display())
    } else if config.prove && config.proof_key.try_exists()? {
        format!("the proof key {} is there", config.proof_key.display())
    } else {
        return Ok(());
    };
    let server = home::read_marker(&config.blobs)
        .map_or_else(String::new, |it| format!(" (server {}, database {})", it.server, it.database));
    Err(anyhow!(
        "there is no database at {}, but {found}{server}: the database is missing, and a new one would know \
         nothing about them. Is its disk mounted, and is --database right? Otherwise restore the database from \
         its copy. To start over, move {} and {} to a safe place first, or name others with --blobs and \
         --proof-key",
        config.database.name(),
        config.blobs.display(),
        config.proof_key.display()
    ))
}

/// Opens the backup folder: the right one, or none.
pub(super) fn open_blobs(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<Arc<dyn BlobStore>> {
    let now = clock.now();
    let identity = match store.is_read_only() {
        true => {
            store.read_blocking(service::ground::known_identity)?.context("no server has used this database yet")?
        }
        false => store.write_blocking(move |conn| service::ground::identity(conn, now))?,
    };
    let has_objects = store.read_blocking(store::ground::has_objects)?;
    if let Some(typed) = &config.adopt_blobs {
        refuse_unnamed(&config.blobs, &identity, typed)?;
    }
    let opening = match (config.adopt_blobs.is_some(), has_objects) {
        (true, _) => Opening::Adopted,
        (false, true) => Opening::Known,
        (false, false) => Opening::New,
    };
    let blobs = FsBlobs::open_home(&config.blobs, &identity, opening).with_context(|| {
        format!(
            "opening the backup store {}; this is server {}, database {}. Mount the right disk, or name the \
             right folder with --blobs. If the backups were restored from a copy without its folder \
             `holdfast`, or are lost for good, start once with --adopt-blobs",
            config.blobs.display(),
            identity.server,
            identity.database
        )
    })?;
    if store.is_read_only() {
        return Ok(Arc::new(blobs));
    }
    if !is_read_only(&config.blobs) {
        blobs.keep_reserve()?;
    }
    notice_put_back(config, store, now)?;
    let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
    service::repository::reconcile(store, &*blobs, now).context("looking at interrupted uploads")?;
    if config.adopt_blobs.is_some() {
        for id in store.read_blocking(store::ground::repositories)? {
            let done = service::repository::reconcile_repository(store, &*blobs, id, now)?;
            tracing::info!(repository = %id, ?done, "the adopted folder was checked against the ledger");
        }
    }
    Ok(blobs)
}

/// What a database that was put back in time orders may be out of date, and it does not know that itself.
fn notice_put_back(config: &Config, store: &Store, now: Time) -> anyhow::Result<()> {
    let seen = match seen::read(&config.blobs) {
        Ok(Some(seen)) => seen,
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::error!(
                %error,
                "what the backup store saw of the database cannot be read: if the database was put back in time, run \
                 `holdfast admin freeze`"
            );
            return Ok(());
        }
    };
    let noted = seen.seq;
    if store.act_blocking(move |conn| service::console_copy::put_back(conn, &seen, now))? {
        tracing::error!(
            entry = noted,
            "the database is older than what the backup store has seen of it: everything that erases, removes or \
             restores is frozen until `holdfast admin unfreeze`"
        );
    }
    Ok(())
}

/// Another server's folder is taken over only by its name: the prompt of the wrong machine looks like the right one.
fn refuse_unnamed(blobs: &Path, ours: &Identity, typed: &str) -> anyhow::Result<()> {
    match home::read_marker(blobs) {
        Some(found) if found.server != ours.server && found.server != typed => Err(anyhow!(
            "{} holds the backups of another server. If they are to become this server's, and no other one uses them, \
             start once with --adopt-blobs={}",
            blobs.display(),
            found.server
        )),
        Some(_) | None => Ok(()),
    }
}

/// Creates a folder that only its owner can look into.
///
/// # Errors
/// When it cannot be made.
pub fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("making the data folder {}", path.display()))
}

/// The certificate and its key.
pub(super) fn tls_config(tls: &Tls) -> anyhow::Result<rustls::ServerConfig> {
    secret::install_crypto();
    with_certificate(rustls::ServerConfig::builder().with_no_client_auth(), tls)
}

/// The same for Apple devices, which may show a certificate of their authority. Those without one are let in: they ask for
/// theirs here.
pub(super) fn apple_tls(tls: &Tls, authority: &[u8]) -> anyhow::Result<rustls::ServerConfig> {
    secret::install_crypto();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority)).context("using the authority for Apple devices")?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
    let verifier = verifier.context("using the authority for Apple devices")?;
    with_certificate(rustls::ServerConfig::builder().with_client_cert_verifier(verifier), tls)
}

fn with_certificate(
    builder: ConfigBuilder<rustls::ServerConfig, WantsServerCert>,
    tls: &Tls,
) -> anyhow::Result<rustls::ServerConfig> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow!("reading the certificate {}: {error}", tls.certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| anyhow!("reading the private key {}: {error}", tls.key.display()))?;
    builder
        .with_single_cert(certificates, key)
        .with_context(|| format!("using {tls}: do the certificate and the key belong together?"))
}
