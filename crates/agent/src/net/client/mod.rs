//! The agent API: each request signed with the device's key.
mod error;

pub use error::CallError;

use super::backoff::{Failed, Stop, patiently};
use super::http::{Answer, Call, Http};
use crate::identity::Identity;
use clock::Clock;
use domain::time::Time;
use error::{Failure, check, parse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use wire::{Claims, ErrorCode, IDEMPOTENCY_KEY};

/// A request is accepted for this long.
const VALID_SECONDS: i64 = 60;

/// Answers are small, but the order of a restore may name many files; nothing larger is read.
const ANSWER_LIMIT: u64 = 64 << 20;

const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is signed again at once: for a clock that was off, and for a request a proxy sent twice.
const SIGNED_ANEW: u32 = 3;

/// Signs and sends requests, and keeps the server's time.
#[derive(Debug)]
pub struct Client {
    http: Http,
    server: String,
    identity: Identity,
    subject: String,
    audience: String,
    clock: Clock,
    /// How many milliseconds the server's clock is ahead.
    offset: AtomicI64,
}

/// Who signs, and for whom.
#[derive(Debug)]
pub struct Signer {
    pub identity: Identity,
    /// The device's id, or `enroll`.
    pub subject: String,
    pub audience: String,
}

/// What a request carries besides its signature.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    method: &'static str,
    path: &'a str,
    query: &'a str,
    content_type: &'static str,
    body: &'a [u8],
    timeout: Duration,
}

impl Client {
    pub fn new(http: Http, server: &str, signer: Signer, clock: Clock, offset_millis: i64) -> Self {
        Self {
            http,
            server: server.to_owned(),
            identity: signer.identity,
            subject: signer.subject,
            audience: signer.audience,
            clock,
            offset: AtomicI64::new(offset_millis),
        }
    }

    /// How many milliseconds the server's clock is ahead of this device's, as last learned.
    pub fn offset_millis(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// The server's time, as far as known.
    pub fn server_now(&self) -> Time {
        Time::from_millis(self.clock.now().millis().saturating_add(self.offset_millis()))
    }

    pub fn http(&self) -> &Http {
        &self.http
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Posts a message and reads the answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, message: &impl Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(message).map_err(anyhow::Error::from)?;
        let message = Message {
            method: "POST",
            path,
            query: "",
            content_type: "application/json",
            body: &body,
            timeout: TIMEOUT,
        };
        parse(&self.call(&message)?)
    }

    /// Posts a message whose answer is empty.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn tell(&self, path: &str, message: &impl Serialize) -> Result<(), CallError> {
        let body = serde_json::to_vec(message).map_err(anyhow::Error::from)?;
        let message = Message {
            method: "POST",
            path,
            query: "",
            content_type: "application/json",
            body: &body,
            timeout: TIMEOUT,
        };
        self.call(&message).map(|_| ())
    }

    /// Posts bytes, with retries: each try is signed anew.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: &[u8], stop: &Stop) -> Result<T, CallError> {
        let content_type = "application/octet-stream";
        let timeout = TIMEOUT * 10;
        with_patience(stop, || {
            parse(&self.call(&Message { method: "POST", path, query: "", content_type, body, timeout })?)
        })
    }

    /// Asks, and waits for the answer up to `timeout`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &str, timeout: Duration) -> Result<T, CallError> {
        let content_type = "application/json";
        parse(&self.call(&Message { method: "GET", path, query, content_type, body: &[], timeout })?)
    }

    /// Adopts the server's time if this device's is more than a few seconds off; says whether it did.
    pub fn learn(&self, server_time: Time) -> bool {
        let off = server_time.millis() - self.server_now().millis();
        let is_off = off.abs() > 5_000;
        if is_off {
            self.offset.store(server_time.millis() - self.clock.now().millis(), Ordering::Relaxed);
        }
        is_off
    }

    fn call(&self, message: &Message<'_>) -> Result<Answer, CallError> {
        let mut clock_was_off = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let Failure { error, server_time } = match check(self.send(message)?) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match (error.code(), server_time) {
                // The clock here is off: use the server's, and sign once more.
                (Some(ErrorCode::ClockOff), Some(server_time)) if !clock_was_off => {
                    clock_was_off = true;
                    self.offset.store(server_time.millis() - self.clock.now().millis(), Ordering::Relaxed);
                }
                // Something in between sent it twice: another signature makes it another request.
                (Some(ErrorCode::Replayed), _) if tries < SIGNED_ANEW => {}
                _ => return Err(error),
            }
        }
    }

    fn send(&self, message: &Message<'_>) -> Result<Answer, CallError> {
        let iat = self.server_now().seconds();
        let jti = secret::generate("")?;
        let claims = Claims {
            sub: self.subject.clone(),
            aud: self.audience.clone(),
            iat,
            exp: iat + VALID_SECONDS,
            jti: jti.clone(),
            htm: message.method.to_owned(),
            htu: message.path.to_owned(),
            body_sha256: hex::encode(secret::sha256(message.body)),
        };
        let authorization = format!("Bearer {}", self.identity.sign(&claims)?);
        let url = format!("{}{}{}", self.server, message.path, message.query);
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", message.content_type),
            // A proxy that sends this twice should get one answer for both.
            (IDEMPOTENCY_KEY, jti.as_str()),
        ];
        let call = Call {
            method: message.method,
            url: &url,
            headers: &headers,
            body: message.body,
            timeout: message.timeout,
            limit: ANSWER_LIMIT,
        };
        Ok(self.http.send(&call)?)
    }
}

/// Sends with the retries that everything gets that something waits for.
fn with_patience<T>(stop: &Stop, mut attempt: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
    patiently(
        stop,
        || CallError::Internal(anyhow::anyhow!("stopped before the server answered")),
        || {
            attempt().map_err(|error| {
                let again = error.again();
                Failed { error, again }
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::backoff::Again;
    use domain::time::hours;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;
    use wire::ErrorAnswer;

    const SERVER_NOW: Time = Time::from_millis(1_795_356_371_000);

    /// Answers each request with what `answer` makes of its claims.
    fn server(
        count: usize,
        answer: impl Fn(usize, &Claims) -> (u16, String) + Send + 'static,
    ) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            for number in 0..count {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(&stream);
                let (mut length, mut claims) = (0, None);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim_end().to_ascii_lowercase().replace("bearer", "Bearer");
                    if line.is_empty() {
                        break;
                    }
                    length = line.strip_prefix("content-length: ").map_or(length, |it| it.parse().unwrap());
                    if line.starts_with("authorization") {
                        claims = Some(());
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                assert!(claims.is_some());
                let claims: Claims = serde_json::from_slice(&body).unwrap();
                let (status, text) = answer(number, &claims);
                write!(
                    &stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                )
                .unwrap();
            }
        });
        (address, thread)
    }

    fn client(server: &str, clock: Clock) -> Client {
        let identity = Identity::generate().unwrap();
        let signer = Signer { identity, subject: "d".to_owned(), audience: "a".to_owned() };
        Client::new(Http::new(None).unwrap(), server, signer, clock, 0)
    }

    fn claims_as_body() -> Claims {
        let text = String::new;
        Claims { sub: text(), aud: text(), iat: 0, exp: 0, jti: text(), htm: text(), htu: text(), body_sha256: text() }
    }

    fn refusal(error: ErrorCode) -> String {
        let message = "no".to_owned();
        serde_json::to_string(&ErrorAnswer { error, message, field: None, server_time: SERVER_NOW }).unwrap()
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_by_the_servers_answer() {
        let (address, thread) = server(2, |number, _| match number {
            0 => (401, refusal(ErrorCode::ClockOff)),
            _ => (200, "{}".to_owned()),
        });
        let client = client(&address, Clock::fixed(SERVER_NOW - hours(24 * 365)));

        client.tell("/x", &claims_as_body()).unwrap();

        thread.join().unwrap();
        assert_eq!(client.server_now(), SERVER_NOW);
        assert_eq!(client.offset_millis(), 365 * 24 * 3_600_000);
    }

    #[test]
    fn a_server_that_never_likes_the_clock_is_asked_twice_only() {
        let (address, thread) = server(2, |_, _| (401, refusal(ErrorCode::ClockOff)));
        let client = client(&address, Clock::fixed(SERVER_NOW));

        let error = client.tell("/x", &claims_as_body()).unwrap_err();

        thread.join().unwrap();
        assert_eq!(error.code(), Some(ErrorCode::ClockOff));
        assert!(error.is_temporary());
    }

    #[test]
    fn what_was_received_twice_is_signed_again_and_sent_again() {
        let (address, thread) = server(2, |number, _| match number {
            0 => (401, refusal(ErrorCode::Replayed)),
            _ => (200, "{}".to_owned()),
        });
        let client = client(&address, Clock::fixed(SERVER_NOW));

        client.tell("/x", &claims_as_body()).unwrap();

        thread.join().unwrap();
    }

    #[test]
    fn a_server_that_calls_everything_a_replay_is_asked_three_times_only() {
        let (address, thread) = server(3, |_, _| (401, refusal(ErrorCode::Replayed)));
        let client = client(&address, Clock::fixed(SERVER_NOW));

        let error = client.tell("/x", &claims_as_body()).unwrap_err();

        thread.join().unwrap();
        assert!(error.is_temporary());
    }

    #[test]
    fn what_went_wrong_is_told_apart() {
        let (address, thread) = server(2, |number, _| match number {
            0 => (404, refusal(ErrorCode::UnknownDevice)),
            _ => (502, "<html>".to_owned()),
        });
        let client = client(&address, Clock::fixed(SERVER_NOW));

        let unknown = client.tell("/x", &claims_as_body()).unwrap_err();
        let proxy = client.tell("/x", &claims_as_body()).unwrap_err();
        thread.join().unwrap();
        let away = client.tell("/x", &claims_as_body()).unwrap_err();

        assert!(unknown.is_temporary() && unknown.is_disowned(), "a server on an empty folder has no last word");
        assert_eq!(unknown.again(), Again::Never, "but it is not asked at once");
        assert!(proxy.is_temporary());
        assert!(away.is_temporary() && away.again() == Again::After(None));
        assert!(away.to_string().contains("cannot be reached"), "{away}");
    }
}
