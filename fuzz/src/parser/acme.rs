//! Requests for certificates as ACME signs them, what is in them, and attestations. The valid ones were made by the tests of
//! the crate `apple`, with a root of their own.
use apple::acme::{Attestation, AttestationError, Jws, Roots, Signer, answer, finalize, new_account, new_order};
use jiff::Timestamp;

const REQUEST: &[u8] = include_bytes!("seed/acme.json");
const ATTESTATION: &[u8] = include_bytes!("seed/attestation.cbor");
const ROOT: &str = include_str!("seed/attestation.pem");

pub fn seeds() -> Vec<Vec<u8>> {
    let order = br#"{"identifiers":[{"type":"permanent-identifier","value":"once"}]}"#;
    vec![REQUEST.to_vec(), ATTESTATION.to_vec(), order.to_vec(), br#"{"attObj":"oQ"}"#.to_vec()]
}

pub fn check(bytes: &[u8]) -> bool {
    let signed = Jws::parse(bytes);
    let is_request = signed.is_ok();
    if let Ok(request) = signed.and_then(|it| it.verify(&ours().0)) {
        assert_eq!(request, ours().1, "nobody else has the key");
    }
    let attested = verify(bytes);
    if attested.is_ok() {
        assert_eq!(attested, verify(ATTESTATION), "nobody else attests");
    }
    let _ = (new_account(bytes), finalize(bytes));
    is_request || attested.is_ok() || new_order(bytes).is_ok() || answer(bytes).is_ok()
}

fn ours() -> (apple::certificate::PublicKey, apple::acme::Request) {
    let signed = Jws::parse(REQUEST).expect("a request");
    let Signer::Key(key) = signed.signer().clone() else { panic!("a key") };
    let request = signed.verify(&key).expect("a request");
    (key, request)
}

fn verify(object: &[u8]) -> Result<Attestation, AttestationError> {
    let now = Timestamp::from_second(super::NOW).expect("a time");
    Attestation::verify(object, "token", &Roots::parse(ROOT).expect("a root"), now)
}
