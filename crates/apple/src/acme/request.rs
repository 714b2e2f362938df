//! What a client asks, inside of its signature.
use super::problem::{Problem, ProblemKind};
use super::resource::{Identifier, PERMANENT};
use crate::certificate::{PublicKey, Strength};
use crate::scep::read_request;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// An identifier of more bytes is none of ours.
const MAX_IDENTIFIER: usize = 128;

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(payload)
        .map_err(|why| Problem::new(ProblemKind::Malformed, format_args!("the payload: {why}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    #[serde(default)]
    only_return_existing: bool,
}

/// Whether somebody who asks for an account wants none made.
///
/// # Errors
/// When it is no such request.
pub fn new_account(payload: &[u8]) -> Result<bool, Problem> {
    read(payload).map(|it: NewAccount| it.only_return_existing)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Identifier>,
    not_before: Option<IgnoredAny>,
    not_after: Option<IgnoredAny>,
}

/// The identifier of the device that wants a certificate: the one its profile gave it.
///
/// # Errors
/// When there is not exactly one, or it is of another kind.
pub fn new_order(payload: &[u8]) -> Result<String, Problem> {
    let order: NewOrder = read(payload)?;
    if order.not_before.is_some() || order.not_after.is_some() {
        return Err(Problem::new(
            ProblemKind::Malformed,
            "how long a certificate is good is not for the client to say",
        ));
    }
    match order.identifiers.as_slice() {
        [one] if one.kind == PERMANENT => match one.value.len() {
            1..=MAX_IDENTIFIER => Ok(one.value.clone()),
            _ => Err(Problem::new(ProblemKind::RejectedIdentifier, "the identifier is none of this server’s")),
        },
        _ => Err(Problem::new(
            ProblemKind::UnsupportedIdentifier,
            "an order is for one identifier of the type permanent-identifier",
        )),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    att_obj: Option<String>,
}

/// The attestation object with which a client answers its challenge.
///
/// # Errors
/// When there is none: the device cannot, or will not, show that it is one of Apple's.
pub fn answer(payload: &[u8]) -> Result<Vec<u8>, Problem> {
    let bad = |why| Problem::new(ProblemKind::BadAttestationStatement, why);
    let answer: Answer = read(payload)?;
    let text = answer.att_obj.ok_or_else(|| bad("there is no attestation, and without one there is no certificate"))?;
    let object = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    object.map_err(|_no_base64| bad("the attestation is no base64"))
}

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

/// The key that is to be certified: whoever asks has it. Nothing else of the request is read.
///
/// # Errors
/// When there is no request, or its own key did not sign it.
pub fn finalize(payload: &[u8]) -> Result<PublicKey, Problem> {
    let asked: Finalize = read(payload)?;
    let bad = |why: String| Problem::new(ProblemKind::BadCsr, why);
    let der = BASE64_URL_SAFE_NO_PAD.decode(&asked.csr).map_err(|_no_base64| bad("the csr is no base64".to_owned()))?;
    let (public_key, _) = read_request(&der, Strength::Modern).map_err(|why| bad(why.to_string()))?;
    Ok(public_key)
}
