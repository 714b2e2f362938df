//! How a session begins: a request signed with what is in the token file (OAuth 1.0a, RFC 5849).
use super::ServerToken;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The header `Authorization` of a GET of `url`, which has no query. `nonce` is new each time; `at` is in seconds since 1970.
pub fn authorization(token: &ServerToken, url: &str, nonce: &str, at: i64) -> String {
    let at = at.to_string();
    let mut said = vec![
        ("oauth_consumer_key", token.consumer_key.as_str()),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &at),
        ("oauth_token", &token.access_token),
        ("oauth_version", "1.0"),
    ];
    let signature = signature(url, &mut said, (&token.consumer_secret, &token.access_secret));
    said.push(("oauth_signature", &signature));
    let all = said.iter().map(|(key, value)| format!("{key}=\"{}\"", encoded(value))).collect::<Vec<_>>();
    format!("OAuth realm=\"ADM\", {}", all.join(", "))
}

fn signature(url: &str, said: &mut [(&str, &str)], (consumer, access): (&str, &str)) -> String {
    said.sort_unstable();
    let pairs: Vec<_> = said.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
    let base = format!("GET&{}&{}", encoded(url), encoded(&pairs.join("&")));
    let secret = format!("{}&{}", encoded(consumer), encoded(access));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, base.as_bytes()))
}

/// RFC 5849, 3.6: all but letters, digits, and four others.
fn encoded(text: &str) -> String {
    let mut all = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => all.push(char::from(byte)),
            other => all.push_str(&format!("%{other:02X}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_the_example_of_the_rfc_is() {
        // RFC 5849, 1.2: the request for the photo.
        let mut said = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
            ("file", "vacation.jpg"),
            ("size", "original"),
        ];
        let found = signature("http://photos.example.net/photos", &mut said, ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00"));
        assert_eq!(found, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    #[test]
    fn the_header_names_all_that_was_signed_and_no_secret() {
        let text = |it: &str| it.to_owned();
        let token = ServerToken {
            consumer_key: text("CK_1"),
            consumer_secret: text("CS_secret"),
            access_token: text("AT_1"),
            access_secret: text("AS_secret"),
            expires_at: None,
        };
        let header = authorization(&token, "https://mdmenrollment.apple.com/session", "n", 1_795_356_371);
        assert!(header.starts_with("OAuth realm=\"ADM\", oauth_consumer_key=\"CK_1\", oauth_nonce=\"n\""), "{header}");
        assert!(header.contains("oauth_signature=\"") && !header.contains("secret"), "{header}");
        assert_eq!(encoded("a b/ü~"), "a%20b%2F%C3%BC~");
    }
}
