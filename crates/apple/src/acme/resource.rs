//! What a client is shown (RFC 8555, 7.1).
use super::problem::Problem;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

/// The only kind of identifier, and the only challenge (draft-ietf-acme-device-attest, 3 and 5).
pub(super) const PERMANENT: &str = "permanent-identifier";
const DEVICE_ATTEST: &str = "device-attest-01";

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    pub new_nonce: String,
    pub new_account: String,
    pub new_order: String,
}

/// An account: whoever has its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    pub status: Status,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Ready,
    Valid,
    Invalid,
}

/// What a certificate is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub value: String,
}

impl Identifier {
    /// The one that a device's profile gave it.
    #[must_use]
    pub fn permanent(value: String) -> Self {
        Self { kind: PERMANENT.to_owned(), value }
    }
}

/// A certificate that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    pub status: Status,
    #[serde(serialize_with = "time")]
    pub expires: Timestamp,
    pub identifiers: [Identifier; 1],
    pub authorizations: [String; 1],
    pub finalize: String,
    /// Once it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// What has to be shown for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authorization {
    pub status: Status,
    #[serde(serialize_with = "time")]
    pub expires: Timestamp,
    pub identifier: Identifier,
    pub challenges: [Challenge; 1],
}

/// How that is shown: by an attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Challenge {
    #[serde(rename = "type")]
    kind: &'static str,
    pub url: String,
    pub token: String,
    pub status: Status,
    /// Once it was shown.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_time")]
    pub validated: Option<Timestamp>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "document")]
    pub error: Option<Problem>,
}

impl Challenge {
    /// One that waits for its attestation.
    #[must_use]
    pub fn new(url: String, token: String) -> Self {
        Self { kind: DEVICE_ATTEST, url, token, status: Status::Pending, validated: None, error: None }
    }
}

/// As RFC 3339 has it.
fn time<S: Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(time)
}

fn some_time<S: Serializer>(time: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
    time.map(|it| it.to_string()).serialize(out)
}

fn document<S: Serializer>(problem: &Option<Problem>, out: S) -> Result<S::Ok, S::Error> {
    problem.as_ref().map(Problem::document).serialize(out)
}
