//! How a device gets its certificate with Apple's word for it: ACME (RFC 8555), the server's side, with an attestation of the
//! device and its key (`device-attest-01`, draft-ietf-acme-device-attest).
//!
//! As with SCEP, what the certificate will say is not taken from the request.
mod attestation;
mod cbor;
mod chain;
mod jwk;
mod jws;
mod nonce;
mod problem;
mod request;
mod resource;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use attestation::{Attestation, AttestationError};
pub use chain::{ChainError, Roots, RootsError};
pub use jws::{Jws, JwsError, MAX_LEN, Request, Signer};
pub use nonce::{NonceError, NonceKey};
pub use problem::{Problem, ProblemKind};
pub use request::{answer, finalize, new_account, new_order};
pub use resource::{Account, Authorization, Challenge, Directory, Identifier, Order, Status};
