//! The last messages between the server and an Apple device, for whoever looks for why something does not work.
use crate::error::Result;
use crate::store::apple::message::AppleMessage;
use crate::store::{self, Conn};
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// What is kept of a longer message, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// A message as it is kept: whoever brings it has taken its secrets out.
#[derive(Debug, Clone)]
pub struct Line {
    pub is_ours: bool,
    pub kind: String,
    pub body: String,
}

/// Keeps a message.
///
/// # Errors
/// When the database refuses.
pub fn keep(conn: &mut Conn, enrollment: AppleEnrollmentId, line: &Line, now: Time) -> Result<()> {
    let message = AppleMessage {
        enrollment_id: enrollment,
        number: 0,
        at: now,
        sender: if line.is_ours { "server" } else { "device" }.to_owned(),
        kind: line.kind.clone(),
        body: shortened(&line.body),
    };
    Ok(store::apple::message::append(conn, message)?)
}

fn shortened(body: &str) -> String {
    if body.len() <= MAX_BODY {
        return body.to_owned();
    }
    let end = body.floor_char_boundary(MAX_BODY);
    format!("{}\n… and {} more bytes", &body[..end], body.len() - end)
}
