//! How a simulated device gets its certificate by ACME, with an attestation of whoever the test trusts.
#[path = "../../../../crates/apple/src/acme/testing.rs"]
pub mod made;

use super::apple::{Identity, SimApple, payload};
use crate::support::http::Answer;
use apple::certificate::{Certificate, PrivateKey};
use apple::plist::{Dictionary, Read};
use made::{Attester, Client, base64, curve_key, leaf};
use rcgen::CertificateParams;
use serde_json::{Value, json};
use std::cell::RefCell;

/// One client's conversation with a server.
pub struct Acme<'a> {
    phone: &'a SimApple,
    pub client: Client,
    pub account: String,
    pub directory: Value,
    nonce: RefCell<String>,
}

impl<'a> Acme<'a> {
    /// With an account.
    pub fn new(phone: &'a SimApple) -> Self {
        let answer = phone.get("/apple/acme/directory");
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        let directory: Value = serde_json::from_slice(&answer.body).unwrap();
        let (client, nonce) = (Client::new(), RefCell::default());
        let mut acme = Self { phone, client, account: String::new(), directory, nonce };
        let nonce = phone.send("HEAD", path(acme.directory["newNonce"].as_str().unwrap()), &[], b"");
        assert_eq!((nonce.status, nonce.header("cache-control")), (200, "no-store"));
        nonce.header("replay-nonce").clone_into(&mut acme.nonce.borrow_mut());
        let made = acme.post(&acme.at("newAccount"), "{\"termsOfServiceAgreed\":true}");
        assert_eq!(made.status, 201, "{}", made.text());
        made.header("location").clone_into(&mut acme.account);
        acme
    }

    /// An address in the directory.
    pub fn at(&self, name: &str) -> String {
        self.directory[name].as_str().unwrap().to_owned()
    }

    /// The nonce of the last answer.
    pub fn nonce(&self) -> String {
        self.nonce.borrow().clone()
    }

    /// A request of this account.
    pub fn post(&self, url: &str, payload: &str) -> Answer {
        let account = Some(self.account.as_str()).filter(|it| !it.is_empty());
        let header = self.client.header(account, url, &self.nonce());
        self.send(url, &self.client.request(&header, payload))
    }

    /// Any request.
    pub fn send(&self, url: &str, request: &Value) -> Answer {
        let kind = [("Content-Type", "application/jose+json")];
        let answer = self.phone.send("POST", path(url), &kind, request.to_string().as_bytes());
        answer.header("replay-nonce").clone_into(&mut self.nonce.borrow_mut());
        answer
    }

    /// A request that is done; its answer.
    pub fn done(&self, url: &str, payload: &str) -> Result<Value, Refused> {
        refused_or(self.post(url, payload)).map(|it| serde_json::from_slice(&it.body).unwrap())
    }

    /// Asks for a certificate with an identifier, up to the challenge.
    pub fn order(&self, identifier: &str) -> Result<Order, Refused> {
        let wanted = json!({ "identifiers": [{ "type": "permanent-identifier", "value": identifier }] });
        let answer = refused_or(self.post(&self.at("newOrder"), &wanted.to_string()))?;
        let url = answer.header("location").to_owned();
        let order: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&order["status"], &order["identifiers"]), (&json!("pending"), &wanted["identifiers"]));
        let authorization = self.done(order["authorizations"][0].as_str().unwrap(), "")?;
        let challenge = &authorization["challenges"][0];
        assert_eq!((&challenge["type"], &authorization["status"]), (&json!("device-attest-01"), &json!("pending")));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (challenge, token) = (text(&challenge["url"]), text(&challenge["token"]));
        Ok(Order { url, challenge, token, finalize: text(&order["finalize"]) })
    }

    /// Answers the challenge with an attestation object.
    pub fn attest(&self, order: &Order, object: &[u8]) -> Result<Value, Refused> {
        self.done(&order.challenge, &json!({ "attObj": base64(object) }).to_string())
    }

    /// Asks for the certificate of this key.
    pub fn finalize(&self, order: &Order, key: &PrivateKey) -> Result<Value, Refused> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "somebody else");
        let request = params.serialize_request(key).unwrap();
        self.done(&order.finalize, &json!({ "csr": base64(request.der()) }).to_string())
    }

    /// The whole way, for this key and whatever `said` says of the device.
    pub fn certified(
        &self,
        key: &PrivateKey,
        identifier: &str,
        (attester, said): (&Attester, &dyn Fn(&str) -> CertificateParams),
    ) -> Result<Certificate, Refused> {
        let order = self.order(identifier)?;
        let shown = self.attest(&order, &attester.object(key, &said(&order.token)))?;
        assert_eq!((&shown["status"], shown["validated"].is_string()), (&json!("valid"), true));
        assert_eq!(self.done(&order.url, "")?["status"], "ready");
        let made = self.finalize(&order, key)?;
        assert_eq!(made["status"], "valid");
        let answer = refused_or(self.post(made["certificate"].as_str().unwrap(), ""))?;
        assert_eq!(answer.header("content-type"), "application/pem-certificate-chain");
        Ok(first(&answer.text()))
    }
}

/// A request for a certificate.
pub struct Order {
    pub url: String,
    pub challenge: String,
    pub token: String,
    pub finalize: String,
}

/// What a client was told when it was told no.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// Without what is the same of all.
    pub kind: String,
    pub detail: String,
}

/// The problem in an answer, or the answer.
pub fn refused_or(answer: Answer) -> Result<Answer, Refused> {
    assert!(!answer.header("replay-nonce").is_empty(), "{}", answer.head);
    if answer.status < 400 {
        return Ok(answer);
    }
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["status"], answer.status);
    let kind = problem["type"].as_str().unwrap().strip_prefix("urn:ietf:params:acme:error:").unwrap().to_owned();
    Err(Refused { status: answer.status, kind, detail: problem["detail"].as_str().unwrap().to_owned() })
}

/// A key that does not leave the device.
pub fn hardware_key() -> PrivateKey {
    PrivateKey::from_pkcs8(curve_key().serialized_der()).unwrap()
}

/// The one-time password in a profile with attestation.
pub fn identifier(profile: &Dictionary) -> String {
    payload(profile, "com.apple.security.acme").text("ClientIdentifier").unwrap().to_owned()
}

impl SimApple {
    /// The profile for a token with which it is attested, checked.
    pub fn attested_profile(&self, token: &str) -> Dictionary {
        self.profile(&format!("{token}?by=acme"))
    }

    /// What Apple says of it.
    pub fn attested(&self, token: &str) -> CertificateParams {
        leaf(&self.serial, &self.udid, token)
    }

    /// Installs a profile with attestation: makes a key, has it attested, and gets a certificate for it.
    pub fn installs_attested(&mut self, profile: &Dictionary, attester: &Attester) {
        self.reads(profile);
        let key = hardware_key();
        let said = |token: &str| self.attested(token);
        let certificate = Acme::new(self).certified(&key, &identifier(profile), (attester, &said)).unwrap();
        self.identity = Some(Identity { certificate, key });
    }

    /// Enrolls with a token and an attestation, from the profile to where it is reached.
    pub fn enrolls_attested(&mut self, token: &str, attester: &Attester) {
        let profile = self.attested_profile(token);
        self.installs_attested(&profile, attester);
        assert_eq!(self.authenticates().status, 200);
        assert_eq!(self.says_where().status, 200);
    }
}

fn path(url: &str) -> &str {
    url.strip_prefix("https://devices.test").expect("an address of this server")
}

fn first(pem: &str) -> Certificate {
    use base64::Engine;
    let inside = pem.split("-----").nth(2).unwrap().split_ascii_whitespace().collect::<String>();
    Certificate::parse(&base64::prelude::BASE64_STANDARD.decode(inside).unwrap()).unwrap()
}
