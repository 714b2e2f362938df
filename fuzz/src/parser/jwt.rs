//! Tokens as anyone may send them: with whatever header and claims, signed by the device's own key or not.
use super::{ID, NOW, ONE};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::time::Time;
use holdfast::protocol::agent::token::{Expected, Token, check as check_claims, forget_at, public_key};
use serde::Deserialize;
use serde_json::json;

const PATH: &str = "/agent/v1/check-in";

pub fn seeds() -> Vec<Vec<u8>> {
    let claims = json!({"sub": "d", "aud": "holdfast:x", "iat": NOW, "exp": NOW + 60, "jti": "01234567-89ab",
        "htm": "POST", "htu": PATH, "body_sha256": ONE});
    let head = json!({"alg": "EdDSA", "kid": ID, "typ": "JWT"});
    let text = |it: String| BASE64_URL_SAFE_NO_PAD.encode(it);
    let anyones = format!("Bearer {}.{}.{}", text(head.to_string()), text(claims.to_string()), text("x".repeat(64)));
    vec![claims.to_string().into_bytes(), format!("{head}\n{claims}").into_bytes(), anyones.into_bytes()]
}

#[derive(Deserialize)]
struct Head {
    alg: String,
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()).unwrap();
    let _ = public_key(text);
    if let Ok(token) = Token::parse(text) {
        assert!(token.verify(&key).is_err(), "nobody else has the key");
        return true;
    }
    // The claims of a device that is hostile but enrolled: the key is right, the rest is anything.
    let (head, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"EdDSA","kid":"x"}"#, text));
    let signed = [head, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it)).join(".");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
    let whole = format!("Bearer {signed}.{signature}");
    let Ok(token) = Token::parse(&whole) else { return false };
    assert_eq!(serde_json::from_str::<Head>(head).unwrap().alg, "EdDSA", "no other algorithm is taken");
    let Ok(claims) = token.verify(&key) else { return false };
    let now = Time::from_millis(NOW * 1000);
    let is_taken = check_claims(&claims, &Expected { sub: "d", method: "POST", path: PATH, now }).is_ok();
    if is_taken {
        assert_eq!((&*claims.sub, &*claims.htm, &*claims.htu), ("d", "POST", PATH));
        assert!((claims.iat - NOW).abs() <= 180 && claims.exp > claims.iat);
        assert!(forget_at(&claims) > now, "it would be accepted again");
    }
    is_taken
}
