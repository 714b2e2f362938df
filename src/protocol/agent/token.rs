//! The JWT that signs a request: what it must look like, before anyone looks at the body.
//!
//! One algorithm, one place for the key: the header's `alg` is compared and
//! never followed, and `jwk`, `jku` or `x5u` are not even read.
use crate::protocol::agent::fault::Fault;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::fact::CLOCK_SKEW;
use domain::time::Time;
use serde::Deserialize;
use wire::{Claims, ErrorCode};

/// A JWT is small; anything larger is not ours.
const MAX_BYTES: usize = 4096;
/// [`CLOCK_SKEW`] in seconds.
const SKEW: i64 = CLOCK_SKEW.as_secs().cast_signed();
/// How many seconds after `iat` the `exp` may be at most.
const MAX_LIFE: i64 = 120;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// A well-formed token; nothing in it is believed yet.
pub struct Token<'a> {
    /// Whose key it claims to be signed with.
    pub kid: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// When it is not a JWT, or one with an algorithm other than `EdDSA`.
    pub fn parse(header: &'a str) -> Result<Self, Fault> {
        let text = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token)
            .filter(|token| token.len() <= MAX_BYTES)
            .ok_or_else(|| bad("sign the request: `Authorization: Bearer` and a JWT"))?;
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| bad("the token is not a JWT"))?;
        let (head, payload) = signed.split_once('.').ok_or_else(|| bad("the token is not a JWT"))?;
        let head: Header =
            serde_json::from_slice(&decode(head)?).map_err(|error| bad(format!("the token's header: {error}")))?;
        if head.alg != "EdDSA" {
            return Err(Fault::new(ErrorCode::WrongAlgorithm, "the token must be signed with EdDSA (Ed25519)"));
        }
        // What is marked as critical and not understood makes a token invalid (RFC 7515, 4.1.11).
        if head.crit.is_some() {
            return Err(bad("the token's header has `crit`, which this server does not know"));
        }
        Ok(Self { kid: head.kid, signed, payload, signature: decode(signature)? })
    }

    /// Checks the signature; only then are the claims read.
    ///
    /// # Errors
    /// When it was signed with another key or changed, or a claim is missing or of a wrong type.
    pub fn verify(&self, key: &ParsedPublicKey) -> Result<Claims, Fault> {
        key.verify_sig(self.signed.as_bytes(), &self.signature).map_err(|_why| {
            bad("the signature does not match the key this device last enrolled with; enroll it again")
        })?;
        serde_json::from_slice(&decode(self.payload)?).map_err(|error| bad(format!("the token's claims: {error}")))
    }
}

/// What the claims must say.
pub struct Expected<'a> {
    pub sub: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub now: Time,
}

/// Checks claims against the request; `aud` and the body's hash are up to the caller.
///
/// # Errors
/// When a claim does not fit the request or the server's clock.
pub fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), Fault> {
    for (name, said, is) in [
        ("sub", claims.sub.as_str(), expected.sub),
        ("htm", claims.htm.as_str(), expected.method),
        ("htu", claims.htu.as_str(), expected.path),
    ] {
        if said != is {
            return Err(bad(format!("the token's `{name}` is `{said}`, but this request is `{is}`")));
        }
    }
    if !(8..=64).contains(&claims.jti.len()) || !claims.jti.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(bad("the token's `jti` must have 8 to 64 visible characters"));
    }
    let life = claims.exp.saturating_sub(claims.iat);
    if !(1..=MAX_LIFE).contains(&life) {
        return Err(bad("the token's `exp` must be 1 to 120 s after its `iat`"));
    }
    let now = expected.now.seconds();
    if claims.iat > now.saturating_add(SKEW) || claims.exp < now.saturating_sub(SKEW) {
        return Err(Fault::new(
            ErrorCode::ClockOff,
            "the device's clock differs from the server's by more than a minute; sign again using `server_time`",
        ));
    }
    Ok(())
}

/// When the id of a request may be forgotten: once it would be refused for its age.
pub fn forget_at(claims: &Claims) -> Time {
    Time::from_millis(claims.exp.saturating_add(SKEW).saturating_add(1).saturating_mul(1000))
}

/// Reads an Ed25519 public key in base64url.
///
/// # Errors
/// When it is not 32 bytes.
pub fn public_key(text: &str) -> Option<ParsedPublicKey> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().filter(|it| it.len() == 32)?;
    ParsedPublicKey::new(&ED25519, bytes).ok()
}

fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_why| bad("a part of the token is not base64url"))
}

fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(ErrorCode::BadSignature, message)
}
