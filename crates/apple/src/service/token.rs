//! The token file that Apple gives out for a public key: what signs in at its service.
use crate::certificate::{Certificate, PrivateKey, Strength};
use crate::cms::{CmsError, decrypt};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use std::fmt;

/// A file of more bytes is refused unread: Apple's have three thousand.
const MAX_FILE: usize = 64 * 1024;
/// The longest key or secret.
const MAX_TEXT: usize = 512;

/// Why a file is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the file is larger than 64 KiB")]
    TooLarge,
    #[error("the file is no encrypted message")]
    Form,
    #[error("the file was not made for the current certificate: {0}")]
    Sealed(#[from] CmsError),
    #[error("what is in the file is no token")]
    Content,
}

/// What signs in at the service. No log shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ServerToken {
    pub consumer_key: String,
    pub consumer_secret: String,
    pub access_token: String,
    pub access_secret: String,
    /// A year after it was made; none if Apple's date cannot be read.
    #[serde(rename = "access_token_expiry", default, deserialize_with = "date")]
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for ServerToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServerToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

fn date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(String::deserialize(from)?.parse().ok())
}

impl ServerToken {
    /// Opens a file `….p7m`: a message of mail whose body is encrypted, or that body alone.
    ///
    /// # Errors
    /// Why it is none, or is for another key.
    pub fn open(file: &[u8], certificate: &Certificate, key: &PrivateKey) -> Result<Self, TokenFault> {
        if file.len() > MAX_FILE {
            return Err(TokenFault::TooLarge);
        }
        let opened = decrypt(&envelope(file)?, certificate, key, Strength::WithLegacy)?;
        Self::read(&opened.content)
    }

    /// Reads what was encrypted: again a message of mail, with JSON between two lines.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(content: &[u8]) -> Result<Self, TokenFault> {
        let text = std::str::from_utf8(content).map_err(|_odd| TokenFault::Content)?;
        let (from, to) = (text.find('{'), text.rfind('}'));
        let json = from.zip(to).and_then(|(from, to)| text.get(from..=to)).ok_or(TokenFault::Content)?;
        let token: Self = serde_json::from_str(json).map_err(|_other| TokenFault::Content)?;
        let all = [&token.consumer_key, &token.consumer_secret, &token.access_token, &token.access_secret];
        let is_sound = |it: &&String| (1..=MAX_TEXT).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_graphic());
        if all.iter().all(is_sound) { Ok(token) } else { Err(TokenFault::Content) }
    }
}

/// The encrypted message in a message of mail, whose body is base64.
fn envelope(file: &[u8]) -> Result<Vec<u8>, TokenFault> {
    const SEQUENCE: u8 = 0x30;
    if file.first() == Some(&SEQUENCE) {
        return Ok(file.to_vec());
    }
    let text = std::str::from_utf8(file).map_err(|_odd| TokenFault::Form)?.replace("\r\n", "\n");
    let body = text.split_once("\n\n").map_or(text.as_str(), |(_, body)| body);
    let base64: String = body.chars().filter(|it| !it.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(base64).ok().filter(|it| !it.is_empty()).ok_or(TokenFault::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::testing::{DEVICE, OTHER};
    use crate::cms::{Cipher, encrypt};

    const INSIDE: &str = "Content-Type: text/plain;charset=UTF-8\nContent-Transfer-Encoding: 7bit\n\n-----BEGIN MESSAGE-----\n\
        {\"consumer_key\":\"CK_1\",\"consumer_secret\":\"CS_1\",\"access_token\":\"AT_1\",\"access_secret\":\"AS_1\",\
        \"access_token_expiry\":\"2027-11-30T10:00:00Z\"}\n-----END MESSAGE-----\n";

    fn mail(cipher: Cipher, inside: &str) -> Vec<u8> {
        let sealed = encrypt(inside.as_bytes(), &DEVICE.certificate, cipher).unwrap();
        let head = "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\n\
            Content-Transfer-Encoding: base64\r\n\r\n";
        let lines: Vec<_> = BASE64_STANDARD
            .encode(sealed)
            .as_bytes()
            .chunks(64)
            .map(|it| String::from_utf8(it.to_vec()).unwrap())
            .collect();
        format!("{head}{}\r\n", lines.join("\r\n")).into_bytes()
    }

    #[test]
    fn a_token_file_opens_with_the_key_that_it_was_made_for() {
        for cipher in [Cipher::TripleDes, Cipher::Aes128, Cipher::Aes256] {
            let token = ServerToken::open(&mail(cipher, INSIDE), &DEVICE.certificate, &DEVICE.key).unwrap();
            assert_eq!((token.consumer_key.as_str(), token.access_secret.as_str()), ("CK_1", "AS_1"));
            assert_eq!(token.expires_at, Some("2027-11-30T10:00:00Z".parse().unwrap()));
            assert!(!format!("{token:?}").contains("_1"), "{token:?}");
        }
        let other = ServerToken::open(&mail(Cipher::Aes128, INSIDE), &OTHER.certificate, &OTHER.key);
        assert_eq!(other, Err(TokenFault::Sealed(CmsError::Recipient)));
    }

    #[test]
    fn what_is_no_token_file_is_refused() {
        let open = |file: &[u8]| ServerToken::open(file, &DEVICE.certificate, &DEVICE.key);
        let good = mail(Cipher::Aes128, INSIDE);
        for cut in (0..good.len()).step_by(7) {
            assert!(open(&good[..cut]).is_err(), "{cut}");
        }
        for bad in [&b""[..], b"{}", b"\n\n", b"\n\n====", &[0x30, 0x80], &[0xff; 64]] {
            assert!(open(bad).is_err(), "{bad:?}");
        }
        assert_eq!(open(&vec![b'a'; MAX_FILE + 1]), Err(TokenFault::TooLarge));
        for bad in ["", "{", "}{", "{}", &INSIDE.replace("CK_1", ""), &INSIDE.replace("AS_1", "a b")] {
            assert_eq!(open(&mail(Cipher::Aes128, bad)), Err(TokenFault::Content), "{bad}");
        }
    }
}
