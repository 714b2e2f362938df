//! Who is at the door: HTTP Basic, the repository's id and a token.
use crate::error::Result;
use crate::service;
use crate::store::repository::Repository;
use crate::store::{self, Conn};
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, TokenKind};
use domain::time::Time;

/// What a client presented; the token only as its hash.
#[derive(Debug, Clone)]
pub struct Credentials {
    repository: RepositoryId,
    token_hash: String,
}

/// What a client may do with which repository.
#[derive(Debug, Clone)]
pub struct Access {
    pub repository: Repository,
    pub right: Right,
}

/// What a token grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Append, and remove locks; read what [`TokenKind::reads`] says.
    Append(TokenKind),
    /// Read what was received up to this time: a restore's ticket, or a person's token for a moment of the past.
    ReadUntil(Time),
}

impl Right {
    /// The time at which the view ends; none for everything.
    pub fn until(self) -> Option<Time> {
        match self {
            Self::Append(_) => None,
            Self::ReadUntil(until) => Some(until),
        }
    }

    /// Whether what is stored under `kind` may be read.
    pub const fn reads(self, kind: ObjectKind) -> bool {
        match self {
            Self::Append(token) => token.reads(kind),
            Self::ReadUntil(_) => true,
        }
    }

    /// Whether something of `kind` received `at` is in view.
    pub fn shows(self, kind: ObjectKind, at: Time) -> bool {
        self.until_of(kind).is_none_or(|until| at <= until)
    }

    /// The time at which the view of a kind ends. Only the server makes keys, so none of them can mislead, and a
    /// token's own is made with it.
    pub fn until_of(self, kind: ObjectKind) -> Option<Time> {
        self.until().filter(|_| kind != ObjectKind::Keys)
    }
}

/// Reads the header; none if it is missing or wrong.
pub fn credentials(request: &HttpRequest) -> Option<Credentials> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, token) = decoded.split_once(':')?;
    Some(Credentials { repository: RepositoryId::parse(user)?, token_hash: secret::hash(token) })
}

/// Looks up the token; none if it is not this repository's, was revoked or has expired, or if whoever made it
/// no longer may.
///
/// # Errors
/// When the database refuses.
pub fn find(conn: &mut Conn, shown: &Credentials, now: Time) -> Result<Option<Access>> {
    let access = match store::repository::find_token(conn, &shown.token_hash)? {
        Some((token, repository)) => service::repository::may_use(conn, &token, &repository, now)?
            .then(|| Access { repository, right: token.as_of.map_or(Right::Append(token.kind), Right::ReadUntil) }),
        None => ticket(conn, shown, now)?,
    };
    Ok(access.filter(|it| it.repository.id == shown.repository))
}

fn ticket(conn: &mut Conn, shown: &Credentials, now: Time) -> Result<Option<Access>> {
    let Some(ticket) = store::restore::find_ticket(conn, &shown.token_hash)? else { return Ok(None) };
    // Not even what is under way reads on while everything is frozen.
    let is_frozen = service::freeze::standing(conn)?.is_some();
    if is_frozen || now >= ticket.restore.expires_at || !service::restore::is_backed(conn, &ticket.restore)? {
        return Ok(None);
    }
    let repository = store::repository::find(conn, ticket.restore.repository_id)?;
    Ok(repository.map(|repository| Access { repository, right: Right::ReadUntil(ticket.as_of) }))
}
