//! What can go wrong in a use case. Adapters decide how each case looks to their client: `problem` has
//! the words for people, each protocol sends its own status.
use domain::consent::ConsentRefusal;
pub use domain::fields::FieldErrors;
use domain::restore::RestoreRefusal;
use domain::wipe::WipeRefusal;
use std::borrow::Cow;
use std::time::Duration;

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A one-time link was used, has expired, or never existed.
    #[error("there is no such link")]
    LinkGone,
    #[error("sign in first")]
    SignInNeeded,
    #[error("your roles do not allow this")]
    Forbidden,
    /// What was sent cannot be used as it is.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// A rule says no; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// Something changed in the meantime.
    #[error("{0}")]
    Conflict(String),
    #[error("too many requests; try again in {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The server is too busy to answer now.
    #[error("the server is busy; try again in {} s", .0.as_secs().max(1))]
    Busy(Duration),
    /// The database cannot be reached, or the connection broke during a query: then nobody knows whether a
    /// change was kept.
    #[error("the server's database does not answer; try again in {} s", .0.as_secs().max(1))]
    DatabaseAway(Duration),
    /// The store of backups cannot be read, or takes nothing; the text says what whoever runs the server does.
    #[error("the backup store cannot be used at the moment. {0}")]
    StoreAway(&'static str),
    /// The disk or a quota is full.
    #[error("{0}")]
    Full(String),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<FieldErrors> for Error {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl Error {
    /// One wrong field.
    pub fn invalid(field: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        let mut errors = FieldErrors::new();
        errors.add(field, text);
        Self::Invalid(errors)
    }

    /// What the database refused; `taken` if something with that name appeared between the check and the write.
    pub fn or_taken(error: diesel::result::Error, taken: Self) -> Self {
        use diesel::result::{DatabaseErrorKind, Error as E};
        if matches!(error, E::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) { taken } else { error.into() }
    }
}

impl From<WipeRefusal> for Error {
    fn from(refusal: WipeRefusal) -> Self {
        use WipeRefusal as R;
        match refusal {
            R::Consent(refusal) => refusal.into(),
            R::NotWaiting(_) | R::TooLate(_) | R::AlreadyOpen => Self::Conflict(refusal.to_string()),
            R::NotEnrolled(_) | R::PersonalDevice | R::NotRequester | R::LimitReached { .. } => {
                Self::Refused(refusal.to_string())
            }
        }
    }
}

impl From<ConsentRefusal> for Error {
    fn from(refusal: ConsentRefusal) -> Self {
        use ConsentRefusal as R;
        match refusal {
            R::NotAsShown => Self::Conflict(refusal.to_string()),
            R::OwnRequest | R::CreatedRequester | R::CreatedByRequester | R::NewAccount(_) => {
                Self::Refused(refusal.to_string())
            }
        }
    }
}

impl From<RestoreRefusal> for Error {
    fn from(refusal: RestoreRefusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

impl From<diesel::result::Error> for Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is diesel's and may grow; the rest is internal")]
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind, Error as E};
        match &error {
            E::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Conflict(
                "this was already done, or something with that name exists: load the page again and \
                 check"
                    .to_owned(),
            ),
            E::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Self::DatabaseAway(Duration::from_secs(2)),
            E::DatabaseError(_, info) if info.message().contains("database or disk is full") => {
                Self::Full(DISK_FULL.to_owned())
            }
            E::DatabaseError(_, info) if info.message().contains("No space left on device") => {
                Self::Full(DISK_FULL.to_owned())
            }
            E::DatabaseError(_, info) if takes_no_writes(info.message()) => Self::Full(DISK_READ_ONLY.to_owned()),
            E::DatabaseError(_, info) if waited_too_long(info.message()) => Self::Busy(Duration::from_secs(2)),
            E::DatabaseError(_, info) if lost_connection(info.message()) => Self::DatabaseAway(Duration::from_secs(2)),
            _ => Self::Internal(error.into()),
        }
    }
}

/// What a person reads when the disk is full.
pub const DISK_FULL: &str = "the server's disk is full; nothing was changed. Free some space and try again";

/// What a person reads if the database's disk accepts no writes.
pub const DISK_READ_ONLY: &str = "the database of the server is read-only, so nothing was changed and nothing can be: \
    what is there can still be read. Check why its disk is read-only, mount it writable, then restart the server";

fn takes_no_writes(message: &str) -> bool {
    message.contains("attempt to write a readonly database") || message.contains("in a read-only transaction")
}

/// Someone else holds what this needs: a lock in PostgreSQL or SQLite. Nothing was changed.
fn waited_too_long(message: &str) -> bool {
    ["database is locked", "due to lock timeout", "due to statement timeout", "deadlock detected"]
        .iter()
        .any(|it| message.contains(it))
}

fn lost_connection(message: &str) -> bool {
    [
        "server closed the connection",
        "terminating connection",
        "connection to server",
        "no connection to the server",
        "the database system is",
    ]
    .iter()
    .any(|it| message.contains(it))
}

impl From<std::io::Error> for Error {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the list is the standard library's; the rest is internal")]
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full(DISK_FULL.to_owned()),
            _ => Self::Internal(error.into()),
        }
    }
}
