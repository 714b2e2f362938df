//! What every request of a person passes, whether a page or the API answers it.
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// HEAD is GET without the body, which the protocol's encoder leaves out by itself (RFC 9110, 9.3.2).
pub fn head_is_get(request: &mut ServiceRequest) {
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
}

/// Whether an address is spelt in a way that servers and proxies read differently, or holds a NUL.
pub fn is_odd(request: &ServiceRequest) -> bool {
    // No text typed by a person contains a NUL, and PostgreSQL accepts none.
    let has_nul = request.uri().query().is_some_and(|it| it.contains("%00"));
    // The router reads a path decoded: in any other spelling of one, a page's guards would not find the page.
    has_nul || is_odd_path(request.uri().path()) || request.match_info().as_str() != request.uri().path()
}

/// The number of a request, for the log and for whoever asks about it.
///
/// # Errors
/// When the system gives no random bytes.
pub fn request_id() -> anyhow::Result<String> {
    Ok(hex::encode(secret::bytes::<8>()?))
}

/// Spellings of a path that servers and proxies read differently.
fn is_odd_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["//", "/./", "/../", "%2f", "%5c", "%00", "%2e", "%25", ";", "\\"].iter().any(|it| lower.contains(it))
        || lower.ends_with("/..")
        || lower.ends_with("/.")
        || !path.is_ascii()
        || !is_utf8_when_decoded(path)
}

fn is_utf8_when_decoded(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let Some((pair, tail)) = rest.split_at_checked(2) else { return false };
        let Ok(byte) = hex::decode(pair) else { return false };
        bytes.extend(byte);
        rest = tail;
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// Keeps an answer to this server's own pages, and out of caches.
pub fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, browsers send `Origin: null` with forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spellings_of_a_path_are_found() {
        for path in [
            "//devices",
            "/devices//",
            "/a/../b",
            "/a/..",
            "/a/./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a;b",
            "/a%2e%2e/b",
            "/a%252e",
            "/%ff",
            "/%zz",
            "/a%2",
        ] {
            assert!(is_odd_path(path), "{path}");
        }
        for path in
            ["/", "/devices", "/devices.csv", "/devices/0190163d-8694-739b-aea5-966c26f8ad91", "/static/a/js/x.min.js"]
        {
            assert!(!is_odd_path(path), "{path}");
        }
    }
}
