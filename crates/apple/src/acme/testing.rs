//! What Apple and a device do, for tests here, of the server and of the parsers: attestations by a root of its own, and signed
//! requests.
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PublicKeyData, date_time_ymd,
};
use serde_json::{Value, json};

pub const SERIAL: u64 = 1;
pub const UDID: u64 = 2;

/// Who attests.
pub struct Attester {
    pub root: Vec<u8>,
    pub intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Attester {
    pub fn new() -> Self {
        Self::with(authority("Attestation Sub CA"))
    }

    /// With this intermediate authority.
    pub fn with(intermediate: CertificateParams) -> Self {
        let (params, key) = (authority("Attestation Root CA"), curve_key());
        let root = params.self_signed(&key).unwrap().der().to_vec();
        let (above, key) = (Issuer::new(params, key), curve_key());
        let made = intermediate.signed_by(&key, &above).unwrap().der().to_vec();
        Self { root, intermediate: made, issuer: Issuer::new(intermediate, key) }
    }

    pub fn root_pem(&self) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(&self.root))
    }

    /// A certificate about this key, and those above it.
    pub fn chain(&self, key: &impl PublicKeyData, leaf: &CertificateParams) -> Vec<Vec<u8>> {
        vec![leaf.signed_by(key, &self.issuer).unwrap().der().to_vec(), self.intermediate.clone()]
    }

    /// What a device sends to show that this key is its own.
    pub fn object(&self, key: &impl PublicKeyData, leaf: &CertificateParams) -> Vec<u8> {
        object(&self.chain(key, leaf))
    }
}

/// A key as secure processors make them.
pub fn curve_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}

pub fn authority(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2022, 1, 1), date_time_ymd(2040, 1, 1));
    params
}

/// What Apple says of a device that answers this challenge.
pub fn leaf(serial: &str, udid: &str, token: &str) -> CertificateParams {
    let mut params = named("device");
    params.custom_extensions = vec![
        extension(9, SERIAL, serial.as_bytes()),
        extension(9, UDID, udid.as_bytes()),
        extension(10, 1, b"17.5"),
        extension(11, 1, digest(&SHA256, token.as_bytes()).as_ref()),
    ];
    params
}

/// One of Apple's own, `1.2.840.113635.100.8.group.number`.
pub fn extension(group: u64, number: u64, content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 2, 840, 113_635, 100, 8, group, number], content.to_vec())
}

/// The object that carries certificates, in CBOR.
pub fn object(chain: &[Vec<u8>]) -> Vec<u8> {
    let certificates = chain.iter().flat_map(|it| [head(2, it.len()), it.clone()].concat());
    let inside = [&[0xa1], &text("x5c")[..], &head(4, chain.len())].concat();
    let statement: Vec<u8> = inside.into_iter().chain(certificates).collect();
    [&[0xa2], &text("fmt")[..], &text("apple"), &text("attStmt"), &statement].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [&head(3, text.len())[..], text.as_bytes()].concat()
}

/// How an element of CBOR begins.
pub fn head(kind: u8, len: usize) -> Vec<u8> {
    match u8::try_from(len) {
        Ok(len @ 0..=23) => vec![kind << 5 | len],
        Ok(len) => vec![kind << 5 | 24, len],
        Err(_) => [&[kind << 5 | 25][..], &u16::try_from(len).unwrap().to_be_bytes()].concat(),
    }
}

/// A client of ACME.
pub struct Client(EcdsaKeyPair);

impl Client {
    pub fn new() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap())
    }

    pub fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "x": base64(&point[1..33]), "y": base64(&point[33..]) })
    }

    /// The header of a request with its key, or of an account.
    pub fn header(&self, account: Option<&str>, url: &str, nonce: &str) -> Value {
        match account {
            Some(kid) => json!({ "alg": "ES256", "kid": kid, "url": url, "nonce": nonce }),
            None => json!({ "alg": "ES256", "jwk": self.jwk(), "url": url, "nonce": nonce }),
        }
    }

    /// A signed request.
    pub fn request(&self, header: &Value, payload: &str) -> Value {
        let (protected, payload) = (base64(header.to_string().as_bytes()), base64(payload.as_bytes()));
        let signed = format!("{protected}.{payload}");
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        json!({ "protected": protected, "payload": payload, "signature": base64(signature.as_ref()) })
    }
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
