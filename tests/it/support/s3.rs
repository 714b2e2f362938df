//! A bucket on the S3 server of `TEST_S3_URL` (`http://KEY:SECRET@HOST:PORT`), which `tests/run` starts.
use super::skip;
use holdfast::blob::bucket::{Access, Bucket, Patience};
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::http::Method;

/// What a bucket is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// It keeps versions, and none can be deleted for a day, by nobody.
    Locked,
}

/// A part of a bucket that no other test uses; none, said aloud, without a server.
pub fn bucket(kind: Kind) -> Option<Access> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Ok(url) = std::env::var("TEST_S3_URL") else {
        skip("an S3 server (TEST_S3_URL)");
        return None;
    };
    let rest = url.strip_prefix("http://").expect("http://KEY:SECRET@HOST:PORT");
    let (keys, host) = rest.split_once('@').expect("a key before the host");
    let (access_key, secret_key) = keys.split_once(':').expect("a secret after the key");
    let access = Access {
        endpoint: format!("http://{host}"),
        bucket: match kind {
            Kind::Plain => "holdfast".to_owned(),
            Kind::Locked => "holdfast-locked".to_owned(),
        },
        prefix: format!("test/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
        region: "us-east-1".to_owned(),
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
    };
    make(&access, kind);
    Some(access)
}

/// The way to it, as a server has it.
pub fn open(access: &Access) -> Bucket {
    Bucket::new(access, Patience::default()).unwrap()
}

fn make(access: &Access, kind: Kind) {
    // The server does not bear it when two make and configure one bucket at once.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = SignedUrlOptions::default();
    if kind == Kind::Locked {
        options.signed_headers.insert("x-amz-bucket-object-lock-enabled", "true".parse().unwrap());
    }
    let made = send(access, Method::PUT, "", &options, b"");
    // Another test may have made it.
    assert!(made == 200 || made == 409, "making the bucket {}: {made}", access.bucket);
    if kind == Kind::Locked {
        let rule = b"<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode>\
            <Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        let set = send(access, Method::PUT, "", &with("object-lock", ""), rule);
        assert_eq!(set, 200, "setting the retention of {}", access.bucket);
    }
}

/// A request's own part of its address.
pub fn with(name: &str, value: &str) -> SignedUrlOptions {
    let mut options = SignedUrlOptions::default();
    options.extra_query.push((name.to_owned(), value.to_owned()));
    options
}

/// The version of what is at a path.
pub fn version(access: &Access, path: &str) -> String {
    let (store, path) = (client(access), Path::from(path));
    wait(async move { store.head(&path).await }).unwrap().version.expect("a bucket that keeps versions")
}

fn client(access: &Access) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(&access.endpoint)
        .with_allow_http(true)
        .with_region(&access.region)
        .with_bucket_name(&access.bucket)
        .with_access_key_id(&access.access_key)
        .with_secret_access_key(&access.secret_key)
        .build()
        .unwrap()
}

fn wait<T>(call: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(call)
}

/// Sends one request, with the right signature; returns its status.
pub fn send(access: &Access, method: Method, path: &str, options: &SignedUrlOptions, body: &[u8]) -> u16 {
    let (s3, path) = (client(access), Path::from(path));
    let url = wait(s3.signed_url_opts(method.clone(), &path, Duration::from_secs(60), options)).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = ureq::http::Request::builder().method(method).uri(url.as_str());
    for (name, value) in &options.signed_headers {
        request = request.header(name.as_str(), value.as_bytes());
    }
    agent.run(request.body(body.to_vec()).unwrap()).unwrap().status().as_u16()
}
