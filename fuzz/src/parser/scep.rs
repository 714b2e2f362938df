//! Requests for certificates: the address, the message in it, and what the message has inside. Debian's `scepclient` made
//! the valid ones.
use apple::certificate::Strength;
use apple::scep::{Message, Operation, RequestError, read_request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const MESSAGE: &[u8] = include_bytes!("seed/message.der");
const REQUEST: &[u8] = include_bytes!("seed/request.der");

pub fn seeds() -> Vec<Vec<u8>> {
    let address = |message: &str| format!("operation=PKIOperation&message={message}").into_bytes();
    let base64 = BASE64_STANDARD.encode(MESSAGE);
    vec![
        MESSAGE.to_vec(),
        REQUEST.to_vec(),
        address(&base64),
        address(&base64.replace('+', "%2B").replace('/', "%2F")),
        b"operation=GetCACaps".to_vec(),
    ]
}

pub fn check(bytes: &[u8]) -> bool {
    let operation = std::str::from_utf8(bytes).ok().and_then(|it| Operation::parse(it, b"").ok());
    let message = match &operation {
        Some(Operation::Message(inside)) => Message::parse(inside, Strength::WithLegacy),
        Some(Operation::Capabilities | Operation::Certificates) | None => Message::parse(bytes, Strength::WithLegacy),
    };
    let (key, challenge) = read_request(REQUEST, Strength::WithLegacy).expect("a request");
    if let Ok(message) = &message {
        assert_eq!(message.requester.public_key().as_ref(), Ok(&key), "nobody else signed");
    }
    let request = read_request(bytes, Strength::WithLegacy);
    if let Ok(request) = &request {
        assert_eq!(request, &(key, challenge), "nobody can sign for another key, or with another challenge");
    }
    operation.is_some() || message.is_ok() || matches!(request, Ok(_) | Err(RequestError::Proof(_)))
}
