//! A recovery key as a file in the age format, for people who keep a key of their own offline.
//!
//! Only writing, and only for X25519 recipients (C2SP `age.md`, version 1): `age --decrypt` reads it. Everything that is
//! written fits one chunk.
use super::RecoveryKey;
use anyhow::{Context, Result, anyhow, ensure};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{hmac, rand::SystemRandom};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;
use std::fmt;
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1";

/// The most bytes that one chunk holds.
const CHUNK: usize = 64 << 10;

/// Nobody seals to more: each has the whole key.
pub const MOST_RECIPIENTS: usize = 20;

/// Whose key opens the file: what `age-keygen` prints as the public key, `age1…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// A text that names no X25519 recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    #[error("this is a private key: give its public half, which begins with `age1`, and keep this one where it was")]
    Private,
    #[error("a recipient begins with `age1` and has 62 letters and digits, as `age-keygen` prints it")]
    Unknown,
    #[error("this recipient is mistyped: its check digits do not fit")]
    Mistyped,
}

impl Recipient {
    /// Reads one.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(RecipientError::Private);
        }
        if text.len() != 62 || !text.to_ascii_lowercase().starts_with("age1") {
            return Err(RecipientError::Unknown);
        }
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_digits| RecipientError::Mistyped)?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        Ok(Self(bytes.try_into().map_err(|_length| RecipientError::Unknown)?))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            bech32::encode::<Bech32>(bech32::Hrp::parse_unchecked("age"), &self.0).map_err(|_long| fmt::Error)?;
        f.write_str(&text)
    }
}

impl RecoveryKey {
    /// The whole key as an age file, which each of `recipients` opens alone.
    ///
    /// # Errors
    /// When there are none or more than [`MOST_RECIPIENTS`], one is a point on the curve that anybody could have
    /// computed, or the operating system provides no randomness.
    pub fn to_age(&self, recipients: &[Recipient]) -> Result<Vec<u8>> {
        ensure!(!recipients.is_empty(), "a file for nobody");
        ensure!(recipients.len() <= MOST_RECIPIENTS, "more than {MOST_RECIPIENTS} recipients");
        let whole = self.whole()?;
        let text = format!(
            "# Recovery key {}, whole. Whoever has this opens every backup.\n{}\n",
            self.name(),
            whole.as_str()
        );
        seal(recipients, Zeroizing::new(text).as_bytes())
    }
}

fn seal(recipients: &[Recipient], text: &[u8]) -> Result<Vec<u8>> {
    ensure!(text.len() <= CHUNK, "more than one chunk");
    let file_key = Zeroizing::new(crate::bytes::<16>()?);
    let mut header = format!("{VERSION}\n");
    for it in recipients {
        header += &stanza(it, &file_key)?;
    }
    header += "---";
    let mac_key = derive(&[], &*file_key, "header")?;
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*mac_key), header.as_bytes());
    header += &format!(" {}\n", BASE64_STANDARD_NO_PAD.encode(mac.as_ref()));

    let nonce = crate::bytes::<16>()?;
    let payload_key = derive(&nonce, &*file_key, "payload")?;
    // A counter of 11 bytes, and that this chunk is the last.
    let mut counter = [0; 12];
    counter[11] = 1;
    Ok([header.as_bytes(), &nonce, &encrypt(&payload_key, counter, text)?].concat())
}

/// The file key for one recipient.
fn stanza(to: &Recipient, file_key: &[u8; 16]) -> Result<String> {
    let failed = |_unspecified| anyhow!("{to} is no key that anything can be sealed to");
    let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).map_err(failed)?;
    let share = ephemeral.compute_public_key().map_err(failed)?;
    let salt = [share.as_ref(), &to.0].concat();
    let peer = UnparsedPublicKey::new(&X25519, &to.0);
    let wrap_key =
        agree_ephemeral(ephemeral, peer, anyhow!("{to} is no key that anything can be sealed to"), |secret| {
            derive(&salt, secret, "age-encryption.org/v1/X25519")
        })?;
    let body = encrypt(&wrap_key, [0; 12], file_key)?;
    let encode = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
    Ok(format!("-> X25519 {}\n{}\n", encode(share.as_ref()), encode(&body)))
}

fn derive(salt: &[u8], secret: &[u8], info: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let (from, info) = (Salt::new(HKDF_SHA256, salt).extract(secret), [info.as_bytes()]);
    let derived = from.expand(&info, HKDF_SHA256).and_then(|it| it.fill(key.as_mut_slice()));
    derived.map_err(|_unspecified| anyhow!("deriving a key failed"))?;
    Ok(key)
}

fn encrypt(key: &[u8; 32], nonce: [u8; 12], text: &[u8]) -> Result<Vec<u8>> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_unspecified| anyhow!("a key has 32 bytes"))?;
    let mut sealed = text.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
        .map_err(|_unspecified| anyhow!("encrypting failed"))
        .context("writing an age file")?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Of the format's own documentation.
    const DOCUMENTED: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    fn generated(dir: &std::path::Path) -> Option<Recipient> {
        let made = Command::new("age-keygen").arg("-o").arg(dir.join("key")).output().ok()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let text = std::fs::read_to_string(dir.join("key")).unwrap();
        let public = text.lines().find_map(|it| it.strip_prefix("# public key: ")).unwrap();
        Some(Recipient::parse(public).unwrap())
    }

    fn opened(dir: &std::path::Path, file: &[u8]) -> Option<String> {
        std::fs::write(dir.join("file"), file).unwrap();
        let mut age = Command::new("age");
        age.args(["--decrypt", "-i"]).args([dir.join("key"), dir.join("file")]);
        let output = age.stdin(Stdio::null()).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn age_itself_opens_the_file_for_each_recipient_and_for_nobody_else() {
        let (one, other, stranger) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let Some(first) = generated(one.path()) else {
            assert!(std::env::var_os("CI").is_none(), "age is needed under CI (Debian package age)");
            println!("skipped: age (Debian package age)");
            return;
        };
        let (second, _) = (generated(other.path()).unwrap(), generated(stranger.path()));
        let key = RecoveryKey::make().unwrap();

        let file = key.to_age(&[first, second]).unwrap();

        for dir in [&one, &other] {
            let text = opened(dir.path(), &file).unwrap();
            let line = text.lines().find(|it| !it.starts_with('#')).unwrap();
            assert_eq!(RecoveryKey::parse_whole(line).unwrap().public(), key.public());
        }
        assert_eq!(opened(stranger.path(), &file), None);
        let (at, mut altered) = (file.len() / 2, file);
        altered[at] ^= 1;
        assert_eq!(opened(one.path(), &altered), None);
    }

    #[test]
    fn nothing_of_the_key_is_in_the_file() {
        let key = RecoveryKey::make().unwrap();
        let file = key.to_age(&[Recipient::parse(DOCUMENTED).unwrap()]).unwrap();
        let whole = key.whole().unwrap();
        for part in [whole.as_bytes(), key.private().bytes().unwrap().as_slice()] {
            assert!(!file.windows(8).any(|it| part.windows(8).any(|of| of == it)));
        }
    }

    #[test]
    fn a_recipient_is_read_as_it_is_printed_and_what_is_wrong_is_said() {
        assert_eq!(Recipient::parse(DOCUMENTED).unwrap().to_string(), DOCUMENTED);
        assert_eq!(Recipient::parse(&format!(" {DOCUMENTED}\n")).unwrap().to_string(), DOCUMENTED);
        let (unknown, mistyped) = (Err(RecipientError::Unknown), Err(RecipientError::Mistyped));
        for (text, error) in [
            ("", unknown.clone()),
            ("age1", unknown.clone()),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", unknown.clone()),
            (&DOCUMENTED[..61], unknown.clone()),
            (&format!("{DOCUMENTED}q"), unknown.clone()),
            (&DOCUMENTED.replace("age1zvk", "age1zvl"), mistyped.clone()),
            (&DOCUMENTED.replace("zvk", "zvb"), mistyped.clone()),
            (&DOCUMENTED.replacen('e', "E", 1), mistyped),
            (&format!("age1{}", "é".repeat(29)), Err(RecipientError::Mistyped)),
            ("AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQ", Err(RecipientError::Private)),
        ] {
            assert_eq!(Recipient::parse(text), error, "{text}");
        }
    }

    #[test]
    fn nothing_is_sealed_for_nobody_for_too_many_or_to_a_point_that_anybody_knows() {
        let (key, one) = (RecoveryKey::make().unwrap(), Recipient::parse(DOCUMENTED).unwrap());
        assert!(key.to_age(&[]).is_err());
        assert!(key.to_age(&vec![one.clone(); MOST_RECIPIENTS + 1]).is_err());
        // Of low order: every shared secret with it is zero.
        assert!(key.to_age(&[one, Recipient([0; 32])]).is_err());
    }
}
