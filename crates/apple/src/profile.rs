//! Configuration profiles: how a device enrolls, and what policies put on it.
//!
//! Source: Apple, `mdm/profiles` of the schema. Each is a property list that a device also takes unsigned; whoever sends it
//! signs it.
use crate::plist::{Dictionary, PlistFault, Value, write};
use crate::target::{Rights, Target, Version};

/// The size of the key that a device makes. Without it, some make one of 1,024 bits.
const KEY_BITS: i64 = 2048;
/// For signatures (1), and for what is sent encrypted to the device (4).
const KEY_USAGE: i64 = 5;
/// The larger of the two curves that secure processors have.
const CURVE_BITS: i64 = 384;
/// In the usage of a key.
const SIGNATURES: i64 = 1;
/// `id-kp-clientAuth`.
const CLIENT_AUTHENTICATION: &str = "1.3.6.1.5.5.7.3.2";

/// What tells one profile or payload from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Such as `org.example.mdm.enrolment`; the same again replaces what is there.
    pub identifier: String,
    /// A UUID, the same for the same content.
    pub uuid: String,
    /// What people read.
    pub title: String,
}

/// How a device gets the certificate that shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scep {
    pub name: Name,
    pub url: String,
    /// Good once, for this enrolment.
    pub challenge: String,
    /// What the request asks to be called. The server writes its own.
    pub subject: String,
}

/// How a device gets that certificate together with Apple's word for the device and its key: iOS 16, and macOS 14 on
/// Apple's own processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    pub name: Name,
    /// `https://…`, the server's directory.
    pub directory_url: String,
    /// Good once, for this enrolment.
    pub client_identifier: String,
    /// What the request asks to be called. The server writes its own.
    pub subject: String,
}

/// How a device gets the certificate that shows who it is: one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    Scep(Scep),
    Acme(Acme),
}

/// How a device is managed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mdm {
    pub name: Name,
    /// `https://…`, where it asks for commands.
    pub server_url: String,
    /// `https://…`, where it checks in.
    pub check_in_url: String,
    /// Of the push certificate: `com.apple.mgmt.External.…`.
    pub topic: String,
    pub rights: Rights,
    /// The device signs each message, for servers behind proxies that end TLS.
    pub signs_messages: bool,
    /// Of a personal device: its user's Managed Apple Account.
    pub managed_account: Option<String>,
}

/// All that a device needs to enroll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    pub name: Name,
    pub organization: String,
    /// What the user reads before agreeing.
    pub description: String,
    /// Certificates (DER) that the device trusts from then on: of the server, where it is not one that everybody trusts.
    pub roots: Vec<(Name, Vec<u8>)>,
    pub identity: Identity,
    pub mdm: Mdm,
}

impl Enrollment {
    /// The profile's bytes, unsigned.
    ///
    /// # Errors
    /// When a text has characters that no property list carries.
    pub fn bytes(&self, target: &Target) -> Result<Vec<u8>, PlistFault> {
        // The certificate comes first: what follows names it.
        let roots = self.roots.iter().map(|(name, der)| certificate(name, "com.apple.security.root", der));
        let payloads = roots.chain([self.identity.payload(), self.mdm.payload(self.identity.name(), target)]);
        let mut profile = profile(&self.name, payloads.collect());
        set(&mut profile, "PayloadOrganization", text(&self.organization));
        set(&mut profile, "PayloadDescription", text(&self.description));
        write(profile)
    }
}

impl Identity {
    fn name(&self) -> &Name {
        match self {
            Self::Scep(it) => &it.name,
            Self::Acme(it) => &it.name,
        }
    }

    fn payload(&self) -> Dictionary {
        match self {
            Self::Scep(it) => it.payload(),
            Self::Acme(it) => it.payload(),
        }
    }
}

impl Acme {
    fn payload(&self) -> Dictionary {
        let mut payload = payload(&self.name, "com.apple.security.acme");
        set(&mut payload, "DirectoryURL", text(&self.directory_url));
        set(&mut payload, "ClientIdentifier", text(&self.client_identifier));
        set(&mut payload, "Subject", subject(&self.subject));
        // The key stays in the secure processor, which takes this kind of key only.
        set(&mut payload, "HardwareBound", Value::Boolean(true));
        set(&mut payload, "KeyType", text("ECSECPrimeRandom"));
        set(&mut payload, "KeySize", number(CURVE_BITS));
        set(&mut payload, "Attest", Value::Boolean(true));
        set(&mut payload, "UsageFlags", number(SIGNATURES));
        set(&mut payload, "ExtendedKeyUsage", Value::Array(vec![text(CLIENT_AUTHENTICATION)]));
        payload
    }
}

impl Scep {
    fn payload(&self) -> Dictionary {
        let mut content = Dictionary::new();
        set(&mut content, "URL", text(&self.url));
        set(&mut content, "Challenge", text(&self.challenge));
        set(&mut content, "Subject", subject(&self.subject));
        set(&mut content, "Keysize", number(KEY_BITS));
        set(&mut content, "Key Type", text("RSA"));
        set(&mut content, "Key Usage", number(KEY_USAGE));
        set(&mut content, "Retries", number(3));
        set(&mut content, "RetryDelay", number(10));
        let mut payload = payload(&self.name, "com.apple.security.scep");
        set(&mut payload, "PayloadContent", Value::Dictionary(content));
        payload
    }
}

impl Mdm {
    fn payload(&self, identity: &Name, target: &Target) -> Dictionary {
        let mut payload = payload(&self.name, "com.apple.mdm");
        set(&mut payload, "IdentityCertificateUUID", text(&identity.uuid));
        set(&mut payload, "Topic", text(&self.topic));
        set(&mut payload, "ServerURL", text(&self.server_url));
        set(&mut payload, "CheckInURL", text(&self.check_in_url));
        set(&mut payload, "SignMessage", Value::Boolean(self.signs_messages));
        set(&mut payload, "CheckOutWhenRemoved", Value::Boolean(true));
        set(&mut payload, "ServerCapabilities", Value::Array(vec![text("com.apple.mdm.bootstraptoken")]));
        match &self.managed_account {
            // Apple decides what is allowed there.
            Some(account) => {
                let key = match target.is_at_least(Some(Version(15, 0, 0)), Some(Version(14, 0, 0))) {
                    true => "AssignedManagedAppleID",
                    false => "ManagedAppleID",
                };
                set(&mut payload, key, text(account));
                if key == "AssignedManagedAppleID" {
                    set(&mut payload, "EnrollmentMode", text("BYOD"));
                }
            }
            None => set(&mut payload, "AccessRights", number(self.rights.0.into())),
        }
        payload
    }
}

/// A profile of these payloads.
pub fn profile(name: &Name, payloads: Vec<Dictionary>) -> Dictionary {
    let mut profile = payload(name, "Configuration");
    let payloads = payloads.into_iter().map(Value::Dictionary).collect();
    set(&mut profile, "PayloadContent", Value::Array(payloads));
    profile
}

/// A payload with what every payload has.
pub fn payload(name: &Name, kind: &str) -> Dictionary {
    let mut payload = Dictionary::new();
    set(&mut payload, "PayloadType", text(kind));
    set(&mut payload, "PayloadVersion", number(1));
    set(&mut payload, "PayloadIdentifier", text(&name.identifier));
    set(&mut payload, "PayloadUUID", text(&name.uuid));
    set(&mut payload, "PayloadDisplayName", text(&name.title));
    payload
}

/// FileVault, switched on when its user next signs in or out, with a recovery key that only the server reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVault {
    pub name: Name,
    pub escrow: Name,
    pub certificate: Name,
    /// To whose key the recovery key is encrypted (DER).
    pub certificate_der: Vec<u8>,
    /// What the Mac tells its user about where the key is.
    pub location: String,
}

impl FileVault {
    /// Its payloads.
    pub fn payloads(&self) -> Vec<Dictionary> {
        let mut vault = payload(&self.name, "com.apple.MCX.FileVault2");
        set(&mut vault, "Enable", text("On"));
        set(&mut vault, "Defer", Value::Boolean(true));
        set(&mut vault, "UseRecoveryKey", Value::Boolean(true));
        // It is in escrow: shown to its user, it would be on paper somewhere.
        set(&mut vault, "ShowRecoveryKey", Value::Boolean(false));
        set(&mut vault, "DeferForceAtUserLoginMaxBypassAttempts", number(0));
        let mut escrow = payload(&self.escrow, "com.apple.security.FDERecoveryKeyEscrow");
        set(&mut escrow, "Location", text(&self.location));
        set(&mut escrow, "EncryptCertPayloadUUID", text(&self.certificate.uuid));
        let certificate = certificate(&self.certificate, "com.apple.security.pkcs1", &self.certificate_der);
        vec![certificate, escrow, vault]
    }
}

fn certificate(name: &Name, kind: &str, der: &[u8]) -> Dictionary {
    let mut payload = payload(name, kind);
    set(&mut payload, "PayloadContent", Value::Data(der.to_vec()));
    payload
}

/// `CN=…` as Apple writes it.
fn subject(common_name: &str) -> Value {
    let pair = Value::Array(vec![text("CN"), text(common_name)]);
    Value::Array(vec![Value::Array(vec![pair])])
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn number(value: i64) -> Value {
    Value::Integer(value.into())
}

fn set(payload: &mut Dictionary, key: &str, value: Value) {
    payload.insert(key.to_owned(), value);
}
