//! The nonce of an answer's scripts.

/// Fresh for each answer: only scripts that carry it run.
#[derive(Debug, Clone)]
pub struct Nonce(pub String);
