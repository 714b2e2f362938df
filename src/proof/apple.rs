//! The secret key of the authority for Apple devices, sealed to the proof key.
use crate::error::Result;
use crate::proof::keys::ProofKeys;
use crate::service::apple::authority::Sealer;
use anyhow::Context;
use secret::cipher::Cipher;
use secret::seal;

/// The sealing context of that key.
const CONTEXT: &str = "holdfast/apple-authority/1";

impl Sealer for ProofKeys {
    fn seal(&self, key: &Cipher) -> Result<String> {
        Ok(seal::seal(self.public(), CONTEXT, key.expose().as_bytes())?)
    }

    fn open(&self, sealed: &str) -> Result<Cipher> {
        let plain = seal::open(self.private(), CONTEXT, sealed).context("opening the key of the Apple authority")?;
        let text = std::str::from_utf8(&plain).context("reading the key of the Apple authority")?;
        Ok(Cipher::parse(text)?)
    }
}
