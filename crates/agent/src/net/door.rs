//! The backup door: the restic REST protocol, as a client that retries while a server is away and gives up at
//! once on a refusal.
use super::backoff::{Again, Failed, Stop, patiently};
use super::http::{Answer, Call, Http, Unreachable};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The version of the listing that includes sizes.
const LISTING: &str = "application/vnd.x.restic.rest.v2";
/// The largest object; data is at most 132 MiB.
const OBJECT_LIMIT: u64 = 136 << 20;
const LISTING_LIMIT: u64 = 512 << 20;
const TIMEOUT: Duration = Duration::from_secs(600);

/// One repository behind the door.
#[derive(Debug, Clone)]
pub struct Door {
    http: Http,
    /// Ends in `/`.
    address: Arc<str>,
    authorization: Arc<str>,
    stop: Stop,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    pub name: String,
    pub size: u64,
}

/// Why the door did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DoorError {
    #[error("the backup was stopped")]
    Stopped,
    #[error("{0}")]
    Away(String),
    #[error("there is no {0} in the repository")]
    Missing(String),
    #[error(
        "the server refuses the token of this repository; if the device has been enrolled elsewhere since, enroll it \
         again"
    )]
    Unauthorized,
    #[error("the server has no space left for this device's backups: {0}")]
    Full(String),
    #[error("the server answered {status} to {what}: {reason}")]
    Refused { status: u16, what: String, reason: String },
}

impl Door {
    /// `address` is the repository's URL; `user` its id.
    pub fn new(http: Http, address: &str, user: &str, password: &str, stop: Stop) -> Self {
        let address = format!("{}/", address.trim_end_matches('/'));
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        Self { http, address: address.into(), authorization: authorization.into(), stop }
    }

    /// The objects of a kind, such as `data`.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn list(&self, kind: &str) -> Result<Vec<Listed>, DoorError> {
        let what = format!("a list of {kind}");
        let answer = match self.ask("GET", &format!("{kind}/"), &[("accept", LISTING)], &[], LISTING_LIMIT) {
            Err(DoorError::Missing(_)) => return Ok(Vec::new()),
            answer => answer?,
        };
        serde_json::from_slice(&answer.body).map_err(|error| DoorError::Refused {
            status: answer.status,
            what,
            reason: format!("the listing is not readable: {error}"),
        })
    }

    /// The size of an object; none if it is not there.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn size(&self, path: &str) -> Result<Option<u64>, DoorError> {
        match self.ask("HEAD", path, &[], &[], 0) {
            Ok(answer) => Ok(Some(answer.content_length.unwrap_or(0))),
            Err(DoorError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole object.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, DoorError> {
        self.ask("GET", path, &[], &[], OBJECT_LIMIT).map(|it| it.body)
    }

    /// `length` bytes of an object from `offset`.
    ///
    /// # Errors
    /// Also when the object is shorter.
    pub fn read_part(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, DoorError> {
        let body = self.read_up_to(path, offset, length)?;
        if (body.len() as u64) < length {
            let reason = format!("{} bytes instead of {length}", body.len());
            return Err(DoorError::Refused { status: 200, what: path.to_owned(), reason });
        }
        Ok(body)
    }

    /// `length` bytes of an object from `offset`, or fewer where it ends.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn read_up_to(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>, DoorError> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let range = format!("bytes={offset}-{}", offset.saturating_add(length - 1));
        let answer = match self.ask("GET", path, &[("range", &range)], &[], OBJECT_LIMIT) {
            // Past the end.
            Err(DoorError::Refused { status: 416, .. }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let mut body = answer.body;
        if answer.status != 206 {
            // A proxy may ignore the range and send everything.
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
            body.drain(..from);
        }
        body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(body)
    }

    /// Stores an object; one that is already there is fine.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn write(&self, path: &str, body: &[u8]) -> Result<(), DoorError> {
        self.ask("POST", path, &[("content-type", "application/octet-stream")], body, 1 << 16).map(|_| ())
    }

    /// Removes an object; the door allows it for locks only.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn remove(&self, path: &str) -> Result<(), DoorError> {
        match self.ask("DELETE", path, &[], &[], 1 << 16) {
            // An earlier try, whose answer was lost, has removed it.
            Ok(_) | Err(DoorError::Missing(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn ask(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        limit: u64,
    ) -> Result<Answer, DoorError> {
        let url = format!("{}{path}", self.address);
        let mut all = vec![("authorization", self.authorization.as_ref())];
        all.extend_from_slice(headers);
        let call = Call { method, url: &url, headers: &all, body, timeout: TIMEOUT, limit };
        patiently(
            &self.stop,
            || DoorError::Stopped,
            || self.http.send(&call).map_err(away).and_then(|it| judge(it, path)),
        )
    }
}

fn away(error: Unreachable) -> Failed<DoorError> {
    Failed { error: DoorError::Away(error.to_string()), again: Again::After(None) }
}

fn judge(answer: Answer, path: &str) -> Result<Answer, Failed<DoorError>> {
    let reason = || String::from_utf8_lossy(&answer.body).chars().take(300).collect::<String>();
    let refused = |reason: String| DoorError::Refused { status: answer.status, what: path.to_owned(), reason };
    let (error, again) = match answer.status {
        200..=299 => return Ok(answer),
        401 => (DoorError::Unauthorized, Again::Never),
        404 => (DoorError::Missing(path.to_owned()), Again::Never),
        507 => (DoorError::Full(reason()), Again::Never),
        408 | 429 | 500..=599 => (refused(reason()), Again::After(answer.retry_after)),
        _ => (refused(reason()), Again::Never),
    };
    Err(Failed { error, again })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Answers each connection with the next of `answers`; returns the requests' first lines and ranges.
    fn server(answers: Vec<&'static str>) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/restic/r", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(&stream);
                let mut length = 0;
                let mut request = String::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let line = line.trim_end().to_owned();
                    if line.is_empty() {
                        break;
                    }
                    if request.is_empty() || line.to_lowercase().starts_with("range") {
                        request.push_str(&line.replace(" HTTP/1.1", " "));
                    }
                    length =
                        line.to_lowercase().strip_prefix("content-length: ").map_or(length, |it| it.parse().unwrap());
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                seen.push(request);
                let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
                let head = head.replace('\n', "\r\n");
                write!(&stream, "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                    .unwrap();
            }
            seen
        });
        (address, thread)
    }

    fn door(address: &str) -> Door {
        Door::new(Http::new(None).unwrap(), address, "r", "t", Stop::default())
    }

    #[test]
    fn a_busy_server_is_asked_again_and_a_refusal_is_not_repeated() {
        let (address, thread) = server(vec![
            "503 Busy\nretry-after: 0",
            "200 OK",
            "403 Forbidden\n\nappend only",
            "401 Unauthorized",
            "507 Full\n\nquota",
        ]);
        let door = door(&address);

        door.write("data/aa", b"x").unwrap();
        assert!(matches!(door.write("keys/aa", b"x"), Err(DoorError::Refused { status: 403, .. })));
        assert!(matches!(door.write("data/aa", b"x"), Err(DoorError::Unauthorized)));
        assert!(matches!(door.write("data/aa", b"x"), Err(DoorError::Full(reason)) if reason == "quota"));

        let seen = thread.join().unwrap();
        assert_eq!(seen[0], "POST /restic/r/data/aa ");
        assert_eq!(seen[1], "POST /restic/r/data/aa ");
    }

    #[test]
    fn a_part_is_asked_for_by_range_and_never_shorter() {
        let (address, thread) = server(vec![
            "206 Partial\n\nbcd",
            "200 OK\n\nabcdef",
            "206 Partial\n\nb",
            "404 Not Found",
            "404 Not Found",
        ]);
        let door = door(&address);

        assert_eq!(door.read_part("data/aa", 1, 3).unwrap(), b"bcd");
        assert_eq!(door.read_part("data/aa", 1, 3).unwrap(), b"bcd");
        assert!(door.read_part("data/aa", 1, 3).is_err());
        assert!(door.list("snapshots").unwrap().is_empty());
        assert!(matches!(door.read("data/aa"), Err(DoorError::Missing(_))));

        assert_eq!(thread.join().unwrap()[0].to_lowercase(), "get /restic/r/data/aa range: bytes=1-3");
    }

    #[test]
    fn a_stopped_door_does_not_wait() {
        let stop = Stop::default();
        stop.stop();
        let door = Door::new(Http::new(None).unwrap(), "http://127.0.0.1:1/", "r", "t", stop);
        assert!(matches!(door.read("config"), Err(DoorError::Stopped)));
    }
}
