mod attestation;
mod request;
