//! A simulated iPhone or Mac: what one says, and what it makes of the answers, as bytes. For the demo and for measuring; it is
//! no device, and whoever shows it says so.
use crate::certificate::{Certificate, Family, KeyError, PrivateKey, Strength};
use crate::cms::{self, Attribute, Cipher, CmsError, Form, Signer};
use crate::plist::{Dictionary, PlistFault, Read, Value, read, write};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use der::asn1::{ObjectIdentifier, OctetStringRef, PrintableStringRef};
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType};

const MESSAGE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
const SENDER_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
const TRANSACTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");

/// The types of SCEP messages: `PKCSReq` and `RenewalReq`.
const ENROLL: &str = "19";
const RENEW: &str = "17";

/// Why a simulated device could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    #[error(transparent)]
    Cms(#[from] CmsError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Plist(#[from] PlistFault),
    #[error(transparent)]
    Request(#[from] rcgen::Error),
    #[error(transparent)]
    Der(#[from] der::Error),
    #[error("{0}")]
    Missing(&'static str),
}

/// A key, and the certificate that shows whose it is.
#[derive(Debug)]
pub struct Identity {
    pub certificate: Certificate,
    pub key: PrivateKey,
}

impl Identity {
    /// A new RSA key with a certificate that it signed itself.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn generate() -> Result<Self, Stuck> {
        let key = PrivateKey::generate_rsa()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "device");
        let made = params.self_signed(&key)?;
        let certificate = Certificate::parse(made.der()).map_err(|_own| Stuck::Missing("a certificate of its own"))?;
        Ok(Self { certificate, key })
    }

    /// The same key with another certificate.
    ///
    /// # Errors
    /// When the key cannot be copied.
    pub fn with(&self, certificate: Certificate) -> Result<Self, Stuck> {
        Ok(Self { certificate, key: PrivateKey::from_pkcs8(&self.key.to_pkcs8())? })
    }

    /// Asks for a certificate for this key, as devices do with a one-time password: a SCEP message to `registrar`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn asks(&self, registrar: &Certificate, challenge: Option<&str>, at: Timestamp) -> Result<Vec<u8>, Stuck> {
        self.asks_for(self, ENROLL, challenge, (registrar, at))
    }

    /// Asks for a certificate for another key with the certificate that it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn renews(&self, next: &Self, registrar: &Certificate, at: Timestamp) -> Result<Vec<u8>, Stuck> {
        self.asks_for(next, RENEW, None, (registrar, at))
    }

    fn asks_for(
        &self,
        next: &Self,
        code: &str,
        challenge: Option<&str>,
        (registrar, at): (&Certificate, Timestamp),
    ) -> Result<Vec<u8>, Stuck> {
        let content = cms::encrypt(&next.request(challenge)?, registrar, Cipher::Aes128)?;
        let printable = |kind, text| Attribute::new(kind, &PrintableStringRef::new(text)?).map_err(Stuck::from);
        let attributes = [
            printable(MESSAGE_TYPE, code)?,
            printable(TRANSACTION, "1")?,
            Attribute::new(SENDER_NONCE, &OctetStringRef::new(&[7; 16])?)?,
        ];
        let signer = Signer { certificate: &self.certificate, key: &self.key, chain: &[] };
        Ok(cms::sign(&signer, &content, Form::Attached, &attributes, Some(at))?)
    }

    /// The certificate in the answer; none if the server said no.
    ///
    /// # Errors
    /// When it is no answer.
    pub fn certificate_in(&self, answer: &[u8]) -> Result<Option<Certificate>, Stuck> {
        let signed = match cms::verify(answer, None, Strength::Modern) {
            Err(CmsError::NoContent) => return Ok(None),
            signed => signed?,
        };
        let opened = cms::decrypt(&signed.content, &self.certificate, &self.key, Strength::Modern)?;
        Ok(cms::read_certificates(&opened.content)?.into_iter().next())
    }

    /// PKCS#10, with the password in a set of one printable string. It asks to be called somebody else, which no server heeds.
    fn request(&self, challenge: Option<&str>) -> Result<Vec<u8>, Stuck> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "somebody else");
        let attributes = challenge.map(password).transpose()?;
        Ok(params.serialize_request_with_attributes(&self.key, attributes.into_iter().collect())?.der().to_vec())
    }
}

fn password(text: &str) -> Result<rcgen::Attribute, Stuck> {
    let length = u8::try_from(text.len()).map_err(|_long| Stuck::Missing("a shorter password"))?;
    let outer = length.checked_add(2).ok_or(Stuck::Missing("a shorter password"))?;
    let values = [&[0x31, outer, 0x13, length], text.as_bytes()].concat();
    Ok(rcgen::Attribute { oid: &[1, 2, 840, 113_549, 1, 9, 7], values })
}

/// Of the server's certificates, that to whose key requests are encrypted.
///
/// # Errors
/// When there is none.
pub fn registrar(certificates: &[u8]) -> Result<Certificate, Stuck> {
    let is_rsa = |it: &Certificate| it.public_key().is_ok_and(|key| key.family() == Family::Rsa);
    cms::read_certificates(certificates)?.into_iter().find(is_rsa).ok_or(Stuck::Missing("a registrar with an RSA key"))
}

/// What a device learns from the profile that enrolls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    pub topic: String,
    pub challenge: String,
}

/// Reads a signed profile.
///
/// # Errors
/// When something is missing in it.
pub fn learn(signed: &[u8]) -> Result<Learned, Stuck> {
    let profile = read(&cms::verify(signed, None, Strength::Modern)?.content)?;
    let payload = |kind: &str| {
        let all = profile.list("PayloadContent").iter().filter_map(Value::as_dictionary);
        all.into_iter().find(|it| it.text("PayloadType") == Some(kind))
    };
    let mdm = payload("com.apple.mdm").ok_or(Stuck::Missing("the payload for management"))?;
    let scep = payload("com.apple.security.scep").and_then(|it| it.dictionary("PayloadContent"));
    let challenge = scep.and_then(|it| it.text("Challenge")).ok_or(Stuck::Missing("a one-time password"))?;
    let topic = mdm.text("Topic").ok_or(Stuck::Missing("a topic"))?;
    Ok(Learned { topic: topic.to_owned(), challenge: challenge.to_owned() })
}

/// What a device is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub id: String,
    pub kind: String,
    pub command: Dictionary,
}

/// Reads an answer; none if there is nothing to do.
///
/// # Errors
/// When it is no command.
pub fn asked(answer: &[u8]) -> Result<Option<Asked>, Stuck> {
    if answer.is_empty() {
        return Ok(None);
    }
    let message = read(answer)?;
    let command = message.dictionary("Command").ok_or(Stuck::Missing("a command"))?.clone();
    let kind = command.text("RequestType").ok_or(Stuck::Missing("the command’s name"))?.to_owned();
    let id = message.text("CommandUUID").ok_or(Stuck::Missing("the command’s id"))?.to_owned();
    Ok(Some(Asked { id, kind, command }))
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub udid: String,
    pub serial: String,
    pub name: String,
    /// Such as `iPhone14,5`.
    pub product: String,
    /// Such as `17.5`.
    pub os_version: String,
    pub is_supervised: bool,
}

impl Device {
    pub fn is_mac(&self) -> bool {
        self.product.contains("Mac")
    }

    /// A message of this device, with these texts.
    pub fn message(&self, texts: &[(&str, &str)]) -> Dictionary {
        let texts = [("UDID", self.udid.as_str())].into_iter().chain(texts.iter().copied());
        texts.map(|(key, text)| (key.to_owned(), Value::String(text.to_owned()))).collect()
    }

    /// Its first words.
    pub fn authenticate(&self, topic: &str) -> Dictionary {
        self.message(&[
            ("MessageType", "Authenticate"),
            ("Topic", topic),
            ("DeviceName", &self.name),
            ("Model", &self.product),
            ("ModelName", if self.is_mac() { "MacBook Pro" } else { "iPhone" }),
            ("ProductName", &self.product),
            ("OSVersion", &self.os_version),
            ("BuildVersion", "21F90"),
            ("SerialNumber", &self.serial),
        ])
    }

    /// Where it is reached.
    pub fn token_update(&self, topic: &str, token: &[u8]) -> Dictionary {
        let mut message = self.message(&[("MessageType", "TokenUpdate"), ("Topic", topic), ("PushMagic", &self.udid)]);
        message.insert("Token".to_owned(), Value::Data(token.to_vec()));
        message
    }

    /// That it has nothing to say.
    pub fn idle(&self) -> Dictionary {
        self.message(&[("Status", "Idle")])
    }

    /// That it did what it was asked, with the answer of a device that is well.
    pub fn acknowledges(&self, asked: &Asked) -> Dictionary {
        let mut report = self.message(&[("Status", "Acknowledged"), ("CommandUUID", &asked.id)]);
        report.extend(self.answer(&asked.kind));
        report
    }

    fn answer(&self, kind: &str) -> Dictionary {
        let one = |key: &str, inside: Dictionary| [(key, Value::Dictionary(inside))].into_iter().collect();
        match kind {
            "DeviceInformation" => one("QueryResponses", self.information()),
            "SecurityInfo" if self.is_mac() => {
                one("SecurityInfo", [("FDE_Enabled", Value::Boolean(true))].into_iter().collect())
            }
            "SecurityInfo" => {
                let caps = ("HardwareEncryptionCaps", Value::Integer(3.into()));
                one("SecurityInfo", [caps, ("PasscodePresent", Value::Boolean(true))].into_iter().collect())
            }
            "DeviceLocation" => [
                ("Latitude", Value::Real(48.2)),
                ("Longitude", Value::Real(16.37)),
                ("HorizontalAccuracy", Value::Real(12.0)),
            ]
            .into_iter()
            .collect(),
            "ProfileList" | "CertificateList" | "InstalledApplicationList" => {
                [(kind, Value::Array(Vec::new()))].into_iter().collect()
            }
            _ => Dictionary::new(),
        }
    }

    fn information(&self) -> Dictionary {
        let text = |it: &str| Value::String(it.to_owned());
        let mut said: Dictionary = [
            ("OSVersion", text(&self.os_version)),
            ("SerialNumber", text(&self.serial)),
            ("ProductName", text(&self.product)),
            ("BatteryLevel", Value::Real(0.5)),
            ("AvailableDeviceCapacity", Value::Real(32.5)),
            ("IsSupervised", Value::Boolean(self.is_supervised)),
        ]
        .into_iter()
        .collect();
        if !self.is_mac() {
            said.insert("IsCloudBackupEnabled".to_owned(), Value::Boolean(true));
        }
        said
    }
}

/// A message as it is sent, and the `Mdm-Signature` beside it.
///
/// # Errors
/// When it cannot be written or signed.
pub fn signed(message: Dictionary, identity: &Identity, at: Timestamp) -> Result<(Vec<u8>, String), Stuck> {
    let body = write(message)?;
    let signer = Signer { certificate: &identity.certificate, key: &identity.key, chain: &[] };
    let signature = cms::sign(&signer, &body, Form::Detached, &[], Some(at))?;
    Ok((body, BASE64_STANDARD.encode(signature)))
}
