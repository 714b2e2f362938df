//! Random secrets, what is stored for them, encrypting with a secret key, sealing to a public key, and keys that come back
//! from shares.
pub mod cipher;
#[cfg(feature = "recovery")]
pub mod recovery;
pub mod seal;

use anyhow::{Result, anyhow};
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A new random secret of 256 bits as URL-safe text after `prefix`, such as `hf_enroll_`.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn generate(prefix: &str) -> Result<String> {
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes::<32>()?)))
}

/// Makes aws-lc-rs this process's provider for TLS.
pub fn install_crypto() {
    // Fails only if a default is already installed, which is then the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Random bytes.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_unspecified| anyhow!("the operating system provided no randomness"))?;
    Ok(bytes)
}

/// Closes a file of secrets to everyone except its owner, and says so in the log.
pub fn keep_private(path: &Path) {
    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode();
    if mode & 0o077 == 0 {
        return;
    }
    let file = path.display();
    match std::fs::set_permissions(path, Permissions::from_mode(mode & 0o600)) {
        Ok(()) => tracing::warn!(%file, "other users of this machine could open this file; now only its owner can"),
        // The file may belong to someone else, or the disk may be read-only: then it stays as whoever put it
        // there wants it.
        Err(error) => {
            tracing::warn!(%file, %error, "other users of this machine can open this file: run `chmod 600 {file}`");
        }
    }
}

/// The SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// What is stored for a random secret: its SHA-256 in hex. A secret of 256 bits needs no slow hash.
pub fn hash(secret: &str) -> String {
    hex::encode(sha256(secret.as_bytes()))
}

/// Whether two texts are equal, in a time that does not depend on where they differ.
pub fn is_equal(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}
