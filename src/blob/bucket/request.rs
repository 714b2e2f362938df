//! Requests that no store of objects in general knows: of versions, locks and holds. Signed like all others, by the same
//! library, and sent by its client.
use super::call::Patience;
use super::fault::CallFault;
use super::xml;
use super::{Access, Bucket};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::path::Path;
use object_store::signer::{HeaderName, HeaderValue, Method, SignedUrlOptions, Signer};
use object_store::{ClientOptions, Error};
use std::sync::Arc;
use std::time::Duration;

/// How long a signature holds: as long as a call may take, and what clocks differ.
const SIGNED_FOR: Duration = Duration::from_secs(300);

/// How often a request is sent whose other side failed, and how long it waits first; twice as long each time.
const TRIES: u32 = 4;
const WAIT: Duration = Duration::from_millis(200);

/// What signs and sends.
#[derive(Clone)]
pub(super) struct Requests {
    signer: Arc<AmazonS3>,
    client: HttpClient,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    path: Path,
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Of an object, or of the bucket itself if the path is empty.
    pub(super) fn new(method: Method, path: Path, query: &[(&str, &str)]) -> Self {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { method, path, query, body: Vec::new() }
    }

    /// With an XML document, whose hash goes with it: S3 takes no rule without one.
    pub(super) fn with(self, body: String) -> Self {
        Self { body: body.into_bytes(), ..self }
    }
}

impl Requests {
    /// # Errors
    /// When the settings make no client.
    pub(super) fn new(signer: Arc<AmazonS3>, options: &ClientOptions) -> object_store::Result<Self> {
        Ok(Self { signer, client: ReqwestConnector::default().connect(options)? })
    }

    async fn send(self, request: Request) -> object_store::Result<Result<Vec<u8>, CallFault>> {
        let mut wait = WAIT;
        for _ in 1..TRIES {
            match self.send_once(&request).await {
                Ok((status, answer)) if status < 500 && status != 429 => return Ok(judge(status, answer)),
                Ok(_) | Err(_) => tokio::time::sleep(wait).await,
            }
            wait *= 2;
        }
        self.send_once(&request).await.map(|(status, answer)| judge(status, answer))
    }

    async fn send_once(&self, request: &Request) -> object_store::Result<(u16, Vec<u8>)> {
        let mut options = SignedUrlOptions::new();
        options.extra_query.clone_from(&request.query);
        if !request.body.is_empty() {
            let hash = BASE64_STANDARD.encode(secret::sha256(&request.body));
            options.signed_headers.insert(HeaderName::from_static("x-amz-checksum-sha256"), value(&hash)?);
            options.signed_headers.insert(HeaderName::from_static("x-amz-sdk-checksum-algorithm"), value("SHA256")?);
        }
        let url = self.signer.signed_url_opts(request.method.clone(), &request.path, SIGNED_FOR, &options).await?;
        let mut http = HttpRequest::new(HttpRequestBody::from(request.body.clone()));
        *http.method_mut() = request.method.clone();
        *http.uri_mut() = url.as_str().parse().map_err(|error| generic(Box::new(error)))?;
        *http.headers_mut() = options.signed_headers;
        let response = self.client.execute(http).await.map_err(|error| generic(Box::new(error)))?;
        let (status, mut pieces, mut answer) =
            (response.status().as_u16(), response.into_body().bytes_stream(), Vec::new());
        while let Some(piece) = pieces.next().await {
            answer.extend_from_slice(&piece.map_err(|error| generic(Box::new(error)))?);
            if answer.len() > xml::MOST {
                return Err(generic("its answer is too long".into()));
            }
        }
        Ok((status, answer))
    }
}

fn value(text: &str) -> object_store::Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| generic(Box::new(error)))
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "S3", source }
}

/// What an answer says.
fn judge(status: u16, answer: Vec<u8>) -> Result<Vec<u8>, CallFault> {
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let code = xml::first(&answer, "Code").ok().flatten().unwrap_or_default();
    let why = match xml::first(&answer, "Message").ok().flatten() {
        Some(message) if !message.is_empty() => format!("{status} {code}: {message}"),
        Some(_) | None => format!("{status} {code}"),
    };
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect();
    Err(match status {
        404 if code == "NoSuchBucket" => CallFault::NoBucket,
        // Where a marker hides it, a bucket says that nothing can be done there.
        404 | 405 => CallFault::NotFound,
        401 | 403 => CallFault::Forbidden(why),
        409 | 412 => CallFault::Taken,
        507 => CallFault::Full(why),
        _ => CallFault::Failed(why),
    })
}

impl Bucket {
    /// Sends a request that is no store's in general.
    ///
    /// # Errors
    /// What the bucket said; that it is none, if this is another kind of store.
    pub(super) fn ask(&self, request: Request) -> Result<Vec<u8>, CallFault> {
        let Some(requests) = self.0.requests.clone() else {
            return Err(CallFault::Failed("it is no bucket of an S3 server".to_owned()));
        };
        self.0.caller.wait(xml::MOST as u64, requests.send(request))?
    }
}

/// The client that is used for everything: each call has its own limit, by its size.
pub(super) fn client(access: &Access, patience: Patience) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(access.endpoint.starts_with("http://"))
        .with_timeout_disabled()
        .with_connect_timeout(patience.call)
}
