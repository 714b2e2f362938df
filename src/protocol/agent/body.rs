//! Bodies: bounded before and while they are read, and errors that name the field.
use crate::error::Error;
use crate::protocol::agent::fault::Fault;
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut};
use aws_lc_rs::digest::{Context as Hasher, SHA256};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use std::time::Duration;
use wire::ErrorCode;

/// A device that sends nothing for this long has gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Refuses a body that says it is larger than `limit`, before a byte of it is read.
///
/// Returns its declared length, if there is one.
///
/// # Errors
/// When it is larger, or its length is not a number.
pub fn check_length(request: &HttpRequest, limit: usize) -> Result<Option<u64>, Fault> {
    let Some(length) = request.headers().get(CONTENT_LENGTH) else { return Ok(None) };
    match length.to_str().ok().and_then(|it| it.parse::<u64>().ok()) {
        Some(length) if length <= limit as u64 => Ok(Some(length)),
        Some(_) => Err(too_large(limit)),
        None => Err(Fault::new(ErrorCode::BadMessage, "`Content-Length` is not a number")),
    }
}

/// Reads a body of at most `limit` bytes; `holds` is told how many more bytes are kept.
///
/// # Errors
/// When it is larger, breaks off, or stalls, or as `holds`.
pub async fn read<E: std::fmt::Display>(
    mut payload: impl Stream<Item = Result<Bytes, E>> + Unpin,
    limit: usize,
    mut holds: impl FnMut(usize) -> Result<(), Fault>,
) -> Result<Bytes, Fault> {
    let Some(first) = next(&mut payload).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut payload).await? else {
        // Nearly every body comes in one piece: no copy.
        return if first.len() > limit { Err(too_large(limit)) } else { Ok(first) };
    };
    holds(first.len())?;
    let mut body = BytesMut::from(first);
    let mut chunk = Some(second);
    while let Some(bytes) = chunk {
        holds(bytes.len())?;
        body.extend_from_slice(&bytes);
        if body.len() > limit {
            return Err(too_large(limit));
        }
        chunk = next(&mut payload).await?;
    }
    Ok(body.freeze())
}

/// The SHA-256 of a body of at most `limit` bytes, without keeping any of it.
///
/// # Errors
/// When it is larger, breaks off, or stalls.
pub async fn hash<E: std::fmt::Display>(
    payload: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    limit: usize,
) -> Result<[u8; 32], Fault> {
    let (mut hasher, mut size) = (Hasher::new(&SHA256), 0_usize);
    while let Some(chunk) = next(payload).await? {
        size = size.saturating_add(chunk.len());
        if size > limit {
            return Err(too_large(limit));
        }
        hasher.update(&chunk);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(hasher.finish().as_ref());
    Ok(hash)
}

/// The next piece of a body; none at its end.
///
/// # Errors
/// When it breaks off or stalls.
pub async fn next<E: std::fmt::Display>(
    payload: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Option<Bytes>, Fault> {
    match tokio::time::timeout(PATIENCE, payload.next()).await {
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(Fault::new(ErrorCode::BadMessage, format!("the body broke off: {error}"))),
        Ok(None) => Ok(None),
        Err(_) => Err(Fault::new(ErrorCode::BadMessage, "the body stalled for 30 s")),
    }
}

/// Reads a message; errors name the field's path.
///
/// # Errors
/// When it is not JSON, or a field is missing or of a wrong type.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|_explained| explain::<T>(body))
}

/// Reads once more, slowly, to find the path of the wrong field.
fn explain<T: DeserializeOwned>(body: &[u8]) -> Fault {
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => Fault::new(ErrorCode::BadMessage, "something follows the end of the message"),
        Err(error) => {
            let reason = error.inner().to_string();
            let path = error.path().to_string();
            let field = match missing(&reason) {
                Some(name) if path == "." => name.to_owned(),
                Some(name) => format!("{path}.{name}"),
                None if path == "." => return Fault::new(ErrorCode::BadMessage, format!("not a message: {reason}")),
                None => path,
            };
            Fault::message(field, reason)
        }
    }
}

/// The name in serde's "missing field `name` …".
fn missing(reason: &str) -> Option<&str> {
    reason.strip_prefix("missing field `")?.split('`').next()
}

/// Runs `work` on a thread where it may take its time.
///
/// # Errors
/// What `work` returns.
pub async fn off_the_worker<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match actix_web::web::block(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Busy(Duration::from_secs(2)).into()),
    }
}

/// The answer to a body over the limit.
pub fn too_large(limit: usize) -> Fault {
    Fault::new(ErrorCode::TooLarge, format!("the body may have at most {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::CheckIn;

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (body, field) in [
            (r#"{"agent_version":"1","facts":{}}"#, "generation"),
            (r#"{"generation":"1","agent_version":"1","facts":{}}"#, "generation"),
            (
                r#"{"generation":1,"agent_version":"1","facts":{"passcode_set":{"value":3,"source":"s","measured_at":1}}}"#,
                "facts.passcode_set.value",
            ),
            (
                r#"{"generation":1,"agent_version":"1","facts":{"passcode_set":{"value":true,"source":"s"}}}"#,
                "facts.passcode_set.measured_at",
            ),
            (r#"{"generation":1,"agent_version":"1","facts":{},"results":[{"id":"x"}]}"#, "results[0].id"),
        ] {
            let fault = parse::<CheckIn>(body.as_bytes()).unwrap_err();
            assert!(format!("{fault:?}").contains(&format!("Some({field:?})")), "{field}: {fault:?}");
        }
    }

    #[actix_web::test]
    async fn a_body_is_bounded_while_it_is_read() {
        let body = || futures_util::stream::iter((0..10).map(|_| Ok::<_, String>(Bytes::from_static(b"12345"))));
        assert_eq!(read(body(), 50, |_| Ok(())).await.unwrap().len(), 50);
        assert!(read(body(), 49, |_| Ok(())).await.is_err());
    }
}
