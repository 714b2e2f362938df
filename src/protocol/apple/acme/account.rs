//! Who asks: whoever has the key of an account.
use super::reply::Reply;
use super::{Place, url};
use crate::protocol::apple::shared::Door;
use apple::acme::{Account, Jws, Problem, ProblemKind, Signer, Status, new_account};
use apple::certificate::PublicKey;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// In base64: RSA of 4,096 bits.
const MAX_KEY: usize = 1024;

/// A request whose signature, address and nonce are right.
pub struct Asked {
    key: PublicKey,
    /// Empty where something is only read.
    pub payload: Vec<u8>,
}

impl Asked {
    /// Checks a request for this place.
    pub fn open(door: &Door, (place, path): (&Place, &str), body: &[u8]) -> Result<Self, Problem> {
        let signed = Jws::parse(body)?;
        let key = match (signed.signer().clone(), place) {
            (Signer::Key(key), Place::NewAccount) => key,
            (Signer::Account(address), it) if *it != Place::NewAccount => key_of(door, &address)?,
            (Signer::Key(_) | Signer::Account(_), _) => {
                let detail = "an account is asked for with its key (jwk), and everything else by its address (kid)";
                return Err(Problem::new(ProblemKind::Malformed, detail));
            }
        };
        let request = signed.verify(&key)?;
        if request.url != url(door.settings(), path) {
            return Err(Problem::new(ProblemKind::Unauthorized, "the request was signed for another address"));
        }
        if !door.nonces().take(&request.nonce, door.now()) {
            return Err(Problem::new(ProblemKind::BadNonce, "the nonce is not this server’s, was used, or is too old"));
        }
        Ok(Self { key, payload: request.payload })
    }

    /// What orders are kept by: the SHA-256 of the key, hex.
    pub fn account(&self) -> String {
        hex::encode(secret::sha256(self.key.der()))
    }
}

fn key_of(door: &Door, address: &str) -> Result<PublicKey, Problem> {
    let text = address.strip_prefix(&address_of(door, "")).filter(|it| it.len() <= MAX_KEY);
    let key = text.and_then(|it| BASE64_URL_SAFE_NO_PAD.decode(it).ok()).and_then(|it| PublicKey::parse(&it).ok());
    key.ok_or_else(|| Problem::new(ProblemKind::AccountDoesNotExist, "the account is not one of this server’s"))
}

fn address_of(door: &Door, key: &str) -> String {
    url(door.settings(), &format!("account/{key}"))
}

/// Everybody has an account who has a key: it alone gives nothing.
pub fn new(door: &Door, asked: &Asked) -> Result<Reply, Problem> {
    let status = if new_account(&asked.payload)? { 200 } else { 201 };
    let address = address_of(door, &BASE64_URL_SAFE_NO_PAD.encode(asked.key.der()));
    Ok(Reply::json(status, &Account { status: Status::Valid }).at(address))
}

/// It is only read: there is nothing of it that could change.
pub fn show(asked: &Asked) -> Result<Reply, Problem> {
    if asked.payload.is_empty() {
        return Ok(Reply::json(200, &Account { status: Status::Valid }));
    }
    Err(Problem::new(ProblemKind::Malformed, "an account cannot be changed: it is whoever has its key"))
}
