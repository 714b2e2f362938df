//! HTTP by ureq with rustls. A blocking client: an agent does one thing at a time.
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Method, Request, Response as HttpResponse};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

/// Which server to talk to, and whom to trust for it.
#[derive(Debug, Clone)]
pub struct Http {
    agent: Agent,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub method: &'static str,
    pub url: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub timeout: Duration,
    /// The largest answer that is read.
    pub limit: u64,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub content_type: String,
    pub content_length: Option<u64>,
    pub body: Vec<u8>,
}

/// The server could not be reached, or stopped in the middle.
#[derive(Debug, thiserror::Error)]
#[error("{server} cannot be reached: {cause}. {}", advice(.cause))]
pub struct Unreachable {
    pub server: String,
    pub cause: String,
}

fn advice(cause: &str) -> &'static str {
    if cause.contains("certificate") {
        "Its certificate is not trusted: if your own authority signed it, give that authority's file with --ca"
    } else {
        "Check the network, the address, and that the server is running"
    }
}

impl Http {
    /// A client that trusts the public certificate authorities, or only those in `ca` (PEM).
    ///
    /// # Errors
    /// When `ca` holds no certificate.
    pub fn new(ca: Option<&str>) -> Result<Self> {
        let roots = match ca {
            None => RootCerts::WebPki,
            Some(pem) => RootCerts::new_with_certs(&certificates(pem)?),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(roots)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // A redirect would carry the signature somewhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("holdfast-agent/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent() })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, call: &Call<'_>) -> Result<Answer, Unreachable> {
        let unreachable = |error: ureq::Error| Unreachable { server: host(call.url), cause: error.to_string() };
        let mut request = Request::builder().method(call.method).uri(call.url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let has_body = call.method == Method::POST.as_str();
        let answer = if has_body {
            let request = request.body(call.body).map_err(|error| unreachable(error.into()))?;
            let request = self.agent.configure_request(request).timeout_global(Some(call.timeout)).build();
            self.agent.run(request)
        } else {
            let request = request.body(()).map_err(|error| unreachable(error.into()))?;
            let request = self.agent.configure_request(request).timeout_global(Some(call.timeout)).build();
            self.agent.run(request)
        };
        read(answer.map_err(unreachable)?, call)
    }
}

fn read(mut answer: HttpResponse<Body>, call: &Call<'_>) -> Result<Answer, Unreachable> {
    let text = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
    let retry_after = text("retry-after").and_then(|it| it.trim().parse().ok()).map(Duration::from_secs);
    let content_type = text("content-type").unwrap_or_default();
    let content_length = text("content-length").and_then(|it| it.parse().ok());
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    if call.method != Method::HEAD.as_str() {
        let limit = call.limit;
        let read = answer.body_mut().with_config().limit(limit).reader().take(limit).read_to_end(&mut body);
        read.map_err(|error| Unreachable { server: host(call.url), cause: error.to_string() })?;
    }
    Ok(Answer { status, retry_after, content_type, content_length, body })
}

fn certificates(pem: &str) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.context("reading the certificates given with --ca")? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        bail!("the file given with --ca holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)");
    }
    Ok(found)
}

/// The scheme and host of an address, for messages.
fn host(url: &str) -> String {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    url.get(..end).unwrap_or(url).to_owned()
}

/// A server's address without a trailing slash.
///
/// # Errors
/// When it is not http or https, or has more than a host and a port. Plain http is accepted only on loopback:
/// an enrolment token sent in the clear enrolls whoever reads it first.
pub fn server_address(text: &str, allow_http: bool) -> Result<String> {
    let address = text.trim().trim_end_matches('/');
    let rest = match (address.strip_prefix("https://"), address.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) => {
            if !is_loopback(rest) && !allow_http {
                bail!("{address} is not encrypted. Use https://, or --allow-http on a network that you trust");
            }
            rest
        }
        (None, None) => bail!("`{text}` is not a server's address; an example is https://holdfast.example.org"),
    };
    if let Some(at) = rest.find(['/', '?', '#']) {
        let extra = rest.get(at..).unwrap_or_default();
        bail!(
            "`{text}` has `{extra}` after the host; a server's address ends with its host, such as \
             https://holdfast.example.org"
        );
    }
    // What comes before `@` would hide which host is meant.
    if rest.is_empty() || rest.contains(char::is_whitespace) || rest.contains('@') {
        bail!("`{text}` is not a server's address; an example is https://holdfast.example.org");
    }
    Ok(address.to_owned())
}

fn is_loopback(address: &str) -> bool {
    let host = address.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_loopback() {
        for good in ["https://h.example", "https://h.example/", "http://127.0.0.1:8080", "http://localhost"] {
            assert!(server_address(good, false).is_ok(), "{good}");
        }
        for bad in [
            "",
            "h.example",
            "ftp://h",
            "https://",
            "http://h.example",
            "http://127.evil.example",
            "https://a b",
            "http://localhost:x@h.example",
        ] {
            assert!(server_address(bad, false).is_err(), "{bad}");
        }
        assert_eq!(server_address("http://h.example/", true).unwrap(), "http://h.example");
        for path in ["/some/path", "/x/", "?x", "#x"] {
            let refused = server_address(&format!("https://h.example{path}"), false).unwrap_err().to_string();
            assert!(refused.contains("after the host"), "{refused}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let message = Http::new(Some("nothing")).unwrap_err().to_string();
        assert!(message.contains("--ca"), "{message}");
    }
}
