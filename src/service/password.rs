//! Passwords: what is stored of them, and whether one is right.
//!
//! Each of these takes tens of milliseconds and 19 MiB; `web::hashing` bounds how many run at once.
use crate::error::Result;
use anyhow::anyhow;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::LazyLock;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| anyhow!("setting up argon2: {error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What is stored of a password.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn hash(password: &str) -> Result<String> {
    let hash = argon2()?.hash_password(password.as_bytes()).map_err(|error| anyhow!("hashing a password: {error}"))?;
    Ok(hash.to_string())
}

/// Whether a password matches `stored`. Without a stored one it takes just as long and says no, so that the
/// time does not reveal which accounts exist.
///
/// # Errors
/// When `stored` is not a hash.
pub fn is_right(password: &str, stored: Option<&str>) -> Result<bool> {
    let hash =
        PasswordHash::new(stored.unwrap_or(&DUMMY)).map_err(|error| anyhow!("reading a stored hash: {error}"))?;
    let right = argon2()?.verify_password(password.as_bytes(), &hash).is_ok();
    Ok(right && stored.is_some())
}

/// Whether a hash was made with parameters other than today's.
pub fn is_outdated(stored: &str) -> bool {
    !stored.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"))
}

static DUMMY: LazyLock<String> = LazyLock::new(|| hash("no account has this password").unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_is_right() {
        let stored = hash("lantern gravel oboe tuesday").unwrap();

        assert!(is_right("lantern gravel oboe tuesday", Some(&stored)).unwrap());
        assert!(!is_right("lantern gravel oboe monday", Some(&stored)).unwrap());
        assert!(!is_right("no account has this password", None).unwrap(), "an unknown account is never right");
        assert!(!is_outdated(&stored), "{stored}");
        assert!(is_outdated("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"));
    }
}
