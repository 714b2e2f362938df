//! A small simulated device: real keys, real signatures, real HTTP.
pub mod acme;
pub mod apple;

use super::NOW;
use super::server::{Answer, TestServer, boss};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::command::CommandKind;
use domain::device::{Ownership, Platform};
use domain::id::DeviceId;
use domain::manifest::{Header, Manifest, ManifestFile};
use domain::time::{Time, hours};
use holdfast::service::enrollment::{self, TokenDraft};
use secret::seal;
use serde::Serialize;
use serde_json::{Value, json};
use wire::{self, CheckIn, CheckInAnswer, Claims, CommandResult, DeviceFacts, Enroll, Enrolled};

/// Keys, and what the server answered when they joined.
pub struct SimDevice {
    pub key: Ed25519KeyPair,
    pub sealing: seal::PrivateKey,
    pub sealing_public: seal::PublicKey,
    pub enrolled: Option<Enrolled>,
}

impl SimDevice {
    /// A device that nobody knows.
    pub fn new() -> Self {
        let (sealing_public, sealing) = seal::generate().unwrap();
        Self { key: Ed25519KeyPair::generate().unwrap(), sealing, sealing_public, enrolled: None }
    }

    /// A device that has joined as the company's.
    pub fn join(server: &TestServer) -> Self {
        let mut device = Self::new();
        let answer = device.enroll(server, &token(server, |_| {}));
        device.enrolled = Some(answer.message());
        device
    }

    pub fn id(&self) -> DeviceId {
        self.enrolled.as_ref().unwrap().device_id
    }

    pub fn generation(&self) -> i64 {
        self.enrolled.as_ref().unwrap().generation
    }

    pub fn public_key(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref())
    }

    /// The message with which this device joins.
    pub fn enroll_message(&self, token: &str) -> Enroll {
        Enroll {
            token: token.to_owned(),
            name: "laptop-1".to_owned(),
            person: "Grace Hopper".to_owned(),
            platform: Platform::Linux,
            model: "ThinkPad".to_owned(),
            serial: "SN-1".to_owned(),
            os_version: "Debian GNU/Linux 12.5".to_owned(),
            agent_version: "0.1.0".to_owned(),
            signing_key: self.public_key(),
            sealing_key: self.sealing_public.as_str().to_owned(),
            protected_roots: vec!["/home/grace".to_owned()],
            orders: agent_orders(),
            device_id: None,
            device_generation: None,
            own_repository: None,
        }
    }

    /// Asks to join.
    pub fn enroll(&self, server: &TestServer, token: &str) -> Answer {
        self.send_enroll(server, &self.enroll_message(token))
    }

    /// Asks to join with any message.
    pub fn send_enroll(&self, server: &TestServer, message: &impl Serialize) -> Answer {
        self.send_enroll_to(server, &server.app.config.public_url, message)
    }

    /// Asks to join the server of some address.
    pub fn send_enroll_to(&self, server: &TestServer, aud: &str, message: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(message).unwrap();
        let mut claims = claims(server.app.clock.now(), "POST", wire::ENROLL, &body);
        claims.sub = "enroll".to_owned();
        claims.aud = aud.to_owned();
        let token = self.sign(&json!({"alg": "EdDSA", "typ": "JWT"}), &serde_json::to_value(claims).unwrap());
        post(server, wire::ENROLL, &token, &body)
    }

    /// The claims of a request as the device makes them.
    pub fn claims(&self, now: Time, method: &str, path: &str, body: &[u8]) -> Claims {
        let mut claims = claims(now, method, path, body);
        let enrolled = self.enrolled.as_ref().unwrap();
        claims.sub = enrolled.device_id.to_string();
        claims.aud = enrolled.audience.clone();
        claims
    }

    /// A JWT of this device's key over any header and claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// [`SimDevice::sign`] over texts, which need not be JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The token of a good request.
    pub fn token(&self, now: Time, method: &str, path: &str, body: &[u8]) -> String {
        let claims = serde_json::to_value(self.claims(now, method, path, body)).unwrap();
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id().to_string()}), &claims)
    }

    /// Posts bytes, signed.
    pub fn post(&self, server: &TestServer, path: &str, body: &[u8]) -> Answer {
        post(server, path, &self.token(server.app.clock.now(), "POST", path, body), body)
    }

    /// Posts a message, signed.
    pub fn send(&self, server: &TestServer, path: &str, message: &impl Serialize) -> Answer {
        self.post(server, path, &serde_json::to_vec(message).unwrap())
    }

    /// Asks whether a command waits.
    pub fn wait(&self, server: &TestServer, seconds: u64) -> Answer {
        let token = self.token(server.app.clock.now(), "GET", wire::WAIT, b"");
        let path = format!("{}?seconds={seconds}", wire::WAIT);
        server.request("GET", &path, &[("Authorization", &format!("Bearer {token}"))], b"")
    }

    /// A check-in without results.
    pub fn check_in(&self, server: &TestServer, facts: DeviceFacts) -> CheckInAnswer {
        self.send(server, wire::CHECK_IN, &self.check_in_message(facts, vec![])).message()
    }

    /// A check-in with the results of commands.
    pub fn report(&self, server: &TestServer, results: Vec<CommandResult>) -> CheckInAnswer {
        self.send(server, wire::CHECK_IN, &self.check_in_message(DeviceFacts::default(), results)).message()
    }

    pub fn check_in_message(&self, facts: DeviceFacts, results: Vec<CommandResult>) -> CheckIn {
        CheckIn {
            generation: self.generation(),
            agent_version: "0.1.0".to_owned(),
            facts,
            results,
            policy_version: String::new(),
            orders: agent_orders(),
            continuity: None,
        }
    }
}

/// The words of all orders, as an agent of today says them.
pub fn agent_orders() -> Vec<String> {
    CommandKind::ALL.iter().map(ToString::to_string).collect()
}

/// The manifest of some files of a device, as it is uploaded before a backup.
pub fn manifest_of(device: &SimDevice, files: Vec<ManifestFile>) -> Vec<u8> {
    let header = Header {
        version: 1,
        device_id: device.id().to_string(),
        roots: vec!["/home/grace".to_owned()],
        away: vec![],
        made_at: NOW.millis(),
        file_count: files.len() as u64,
    };
    Manifest { header, files }.encode().unwrap()
}

/// Posts bytes with a token.
pub fn post(server: &TestServer, path: &str, token: &str, body: &[u8]) -> Answer {
    let authorization = format!("Bearer {token}");
    server.request("POST", path, &[("Authorization", &authorization), ("Content-Type", "application/json")], body)
}

/// A fresh one-time token; `change` makes it another.
pub fn token(server: &TestServer, change: impl FnOnce(&mut TokenDraft)) -> String {
    let mut draft = TokenDraft {
        name: "Office".to_owned(),
        team_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        valid_for: hours(24),
        device_id: None,
    };
    change(&mut draft);
    let now = server.app.clock.now();
    server.act(move |conn| enrollment::make_token(conn, &boss(), &draft, now)).1
}

fn claims(now: Time, method: &str, path: &str, body: &[u8]) -> Claims {
    Claims {
        sub: String::new(),
        aud: String::new(),
        iat: now.seconds(),
        exp: now.seconds() + 60,
        jti: secret::generate("").unwrap(),
        htm: method.to_owned(),
        htu: path.to_owned(),
        body_sha256: hex::encode(secret::sha256(body)),
    }
}
