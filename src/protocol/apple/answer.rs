//! What a device is answered.
use actix_web::HttpResponse;
use actix_web::http::StatusCode;

/// An answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All is well, and there is nothing to do. An empty body with its length: a chunked one is read as a command.
    Nothing,
    /// A property list, and what it is.
    Plist { kind: &'static str, bytes: Vec<u8> },
    /// Apple's way to say that users of a Mac have no channel of their own.
    Gone,
    /// This server does not do that.
    Absent,
}

impl Answer {
    pub fn response(self) -> HttpResponse {
        match self {
            Self::Nothing => HttpResponse::Ok().finish(),
            Self::Plist { bytes, .. } => HttpResponse::Ok().content_type("application/xml").body(bytes),
            Self::Gone => HttpResponse::new(StatusCode::GONE),
            Self::Absent => HttpResponse::new(StatusCode::NOT_FOUND),
        }
    }
}
