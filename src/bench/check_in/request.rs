//! A check-in as a device signs it.
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::command::CommandKind;
use domain::device::Encryption;
use domain::fact::{Changes, EncryptionFact};
use domain::id::DeviceId;
use domain::time::Time;
use std::net::SocketAddr;
use wire::{CHECK_IN, CheckIn, Claims, DeviceFacts, Fact};

fn facts(now: Time, at: usize) -> DeviceFacts {
    fn fact<T>(value: T, source: &str, measured_at: Time) -> Option<Fact<T>> {
        Some(Fact { value, source: source.to_owned(), measured_at })
    }
    let small = i64::try_from(at % 100).unwrap_or(0);
    let encryption = EncryptionFact { state: Encryption::On, method: "LUKS2".to_owned() };
    DeviceFacts {
        encryption: fact(encryption, "dm-crypt", now),
        passcode_set: fact(true, "pam", now),
        os_version: fact("Debian GNU/Linux 12.5".to_owned(), "os-release", now),
        model: fact("ThinkPad X1".to_owned(), "dmi", now),
        serial: fact("SN-1".to_owned(), "dmi", now),
        free_bytes: fact(200_000_000_000 + small, "statvfs", now),
        battery_percent: fact(small, "power_supply", now),
        changes: fact(Changes { files: small, bytes: small * 4096 }, "file times", now),
        roots_away: None,
    }
}

/// The bytes of one, ready to be sent.
pub(super) fn request(
    id: DeviceId,
    key: &Ed25519KeyPair,
    audience: &str,
    (address, now, at): (&SocketAddr, Time, usize),
) -> anyhow::Result<Vec<u8>> {
    let message = CheckIn {
        generation: 1,
        agent_version: "0.1.0".to_owned(),
        facts: facts(now, at),
        results: Vec::new(),
        policy_version: String::new(),
        orders: CommandKind::OF_AGENTS.iter().map(ToString::to_string).collect(),
        continuity: None,
    };
    let body = serde_json::to_vec(&message)?;
    let claims = Claims {
        sub: id.to_string(),
        aud: audience.to_owned(),
        iat: now.seconds(),
        exp: now.seconds() + 120,
        jti: secret::generate("")?,
        htm: "POST".to_owned(),
        htu: CHECK_IN.to_owned(),
        body_sha256: hex::encode(secret::sha256(&body)),
    };
    let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{id}"}}"#));
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    let mut request = format!(
        "POST {CHECK_IN} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {signed}.{signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    Ok(request)
}
