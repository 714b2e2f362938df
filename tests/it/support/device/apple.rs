//! A simulated iPhone, iPad or Mac: it gets its certificate by SCEP, signs what it says, and misbehaves on request.
use crate::support::http::{Answer, exchange};
use apple::certificate::{Certificate, Strength};
use apple::cms::{self, Cipher, CmsError, Form, Signer};
use apple::plist::{Dictionary, Read, Value, read, write};
use apple::schema::{check_command, check_payload, check_profile};
use apple::target::{Rights, System, Target, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

pub use apple::simulated::Identity;

/// A device, as it speaks to one server.
pub struct SimApple {
    pub door: SocketAddr,
    pub udid: String,
    pub serial: String,
    pub product: &'static str,
    pub os_version: &'static str,
    pub topic: String,
    /// What it identifies itself with; none before it has a certificate of the server's.
    pub identity: Option<Identity>,
    /// What the server may ask, for the comparison with Apple's schema.
    pub rights: Rights,
    pub is_supervised: bool,
    /// The recovery key of a Mac's disk; none while FileVault is off.
    pub recovery_key: Mutex<Option<String>>,
    /// The settings that are installed, by their identifiers.
    pub settings: Mutex<BTreeMap<String, Dictionary>>,
    pub is_personal: bool,
    pub at: Timestamp,
}

/// What the server asks a device.
#[derive(Debug, Clone)]
pub struct Asked {
    pub id: String,
    pub kind: String,
    pub command: Dictionary,
}

impl SimApple {
    /// An iPhone that is not managed.
    pub fn phone(door: SocketAddr, number: u8) -> Self {
        Self {
            door,
            udid: format!("00008030-0000000000000{number:03}"),
            serial: format!("F2LX{number:03}"),
            product: "iPhone14,5",
            os_version: "17.5",
            topic: String::new(),
            identity: None,
            rights: Rights(0),
            is_supervised: false,
            recovery_key: Mutex::new(None),
            settings: Mutex::default(),
            is_personal: false,
            at: Timestamp::from_millisecond(crate::support::NOW.millis()).unwrap(),
        }
    }

    /// A Mac that is not managed.
    pub fn mac(door: SocketAddr, number: u8) -> Self {
        Self { product: "MacBookPro18,3", os_version: "14.5", ..Self::phone(door, number) }
    }

    /// Enrolls with a token, from the profile to where it is reached.
    pub fn enrolls(&mut self, token: &str) {
        let profile = self.profile(token);
        self.installs(&profile);
        assert_eq!(self.authenticates().status, 200);
        assert_eq!(self.says_where().status, 200);
    }

    /// The same with a key that others have too.
    pub fn enrolls_with(&mut self, token: &str, key: &Identity) {
        let profile = self.profile(token);
        self.reads(&profile);
        let certificate = self.certified(key, &challenge(&profile)).expect("a certificate");
        self.identity = Some(key.with(certificate).unwrap());
        assert_eq!(self.authenticates().status, 200);
        assert_eq!(self.says_where().status, 200);
    }

    /// The profile for a token, checked.
    pub fn profile(&self, token: &str) -> Dictionary {
        let answer = self.get(&format!("/apple/enroll/{token}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/x-apple-aspen-config");
        self.checked(&answer.body)
    }

    /// A signed profile's content.
    pub fn checked(&self, signed: &[u8]) -> Dictionary {
        let signed = cms::verify(signed, None, Strength::Modern).unwrap();
        let profile = read(&signed.content).unwrap();
        assert_eq!(check_profile(&profile, &self.target()), []);
        profile
    }

    /// Installs a profile: makes a key, and gets a certificate for it.
    pub fn installs(&mut self, profile: &Dictionary) {
        self.reads(profile);
        let challenge = challenge(profile);
        let mut identity = Identity::generate().unwrap();
        identity.certificate = self.certified(&identity, &challenge).expect("a certificate");
        self.identity = Some(identity);
    }

    /// Takes from a profile how it is managed.
    pub fn reads(&mut self, profile: &Dictionary) {
        let mdm = payload(profile, "com.apple.mdm");
        self.topic = mdm.text("Topic").unwrap().to_owned();
        self.rights = Rights(u32::try_from(mdm.number("AccessRights").unwrap()).unwrap());
    }

    /// Asks for a certificate with a one-time password; none if the server says no.
    pub fn certified(&self, identity: &Identity, challenge: &str) -> Option<Certificate> {
        self.sends(&self.request(identity, Some(challenge)), identity)
    }

    /// The bytes of a request, with or without a password.
    pub fn request(&self, identity: &Identity, challenge: Option<&str>) -> Vec<u8> {
        identity.asks(&self.registrar(), challenge, self.at).unwrap()
    }

    /// Asks for a certificate for another key with the one it has.
    pub fn renewed(&self, next: &Identity) -> Option<Certificate> {
        self.renewed_by(self.identity.as_ref().unwrap(), next)
    }

    /// The same with somebody's certificate.
    pub fn renewed_by(&self, sender: &Identity, next: &Identity) -> Option<Certificate> {
        self.sends(&sender.renews(next, &self.registrar(), self.at).unwrap(), sender)
    }

    /// What such a message is answered; none if the server says no.
    pub fn sends(&self, message: &[u8], sender: &Identity) -> Option<Certificate> {
        self.certificate_in(&self.send("POST", "/apple/scep?operation=PKIOperation", &[], message), sender)
    }

    /// The certificate that `sender` is answered; none if the server says no.
    pub fn certificate_in(&self, answer: &Answer, sender: &Identity) -> Option<Certificate> {
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-pki-message"));
        match cms::verify(&answer.body, None, Strength::Modern) {
            Err(CmsError::NoContent) => return None,
            signed => assert_eq!(signed.unwrap().signer, self.registrar()),
        }
        sender.certificate_in(&answer.body).unwrap()
    }

    fn registrar(&self) -> Certificate {
        apple::simulated::registrar(&self.get("/apple/scep?operation=GetCACert").body).unwrap()
    }

    /// Says its first words.
    pub fn authenticates(&self) -> Answer {
        self.says(self.introduction())
    }

    /// The first words of a device.
    pub fn introduction(&self) -> Dictionary {
        let mut message = self.message("MessageType", "Authenticate");
        for (key, text) in [
            ("Topic", self.topic.as_str()),
            ("DeviceName", "Grace’s device"),
            ("Model", "MLPF3LL"),
            ("ModelName", if self.product.contains("Mac") { "MacBook Pro" } else { "iPhone" }),
            ("ProductName", self.product),
            ("OSVersion", self.os_version),
            ("BuildVersion", "21F90"),
            ("SerialNumber", &self.serial),
        ] {
            message.insert(key.to_owned(), Value::String(text.to_owned()));
        }
        message
    }

    /// Says where it is reached.
    pub fn says_where(&self) -> Answer {
        self.says(self.whereabouts())
    }

    /// Where it is reached.
    pub fn whereabouts(&self) -> Dictionary {
        let mut message = self.message("MessageType", "TokenUpdate");
        message.insert("Topic".to_owned(), Value::String(self.topic.clone()));
        message.insert("PushMagic".to_owned(), Value::String("magic".to_owned()));
        message.insert("Token".to_owned(), Value::Data(vec![0xab; 32]));
        message.insert("UnlockToken".to_owned(), Value::Data(b"unlock me".to_vec()));
        message
    }

    /// Says that it is managed no more.
    pub fn leaves(&self) -> Answer {
        let mut message = self.message("MessageType", "CheckOut");
        message.insert("Topic".to_owned(), Value::String(self.topic.clone()));
        self.says(message)
    }

    /// A message of this device.
    pub fn message(&self, key: &str, word: &str) -> Dictionary {
        [("UDID", self.udid.as_str()), (key, word)]
            .into_iter()
            .map(|(key, text)| (key.to_owned(), Value::String(text.to_owned())))
            .collect()
    }

    /// A report; `more` is its answer.
    pub fn report(&self, status: &str, asked: Option<&Asked>, more: Dictionary) -> Dictionary {
        let mut message = self.message("Status", status);
        if let Some(asked) = asked {
            message.insert("CommandUUID".to_owned(), Value::String(asked.id.clone()));
        }
        message.extend(more);
        message
    }

    /// Asks for something to do.
    pub fn idles(&self) -> Option<Asked> {
        self.asked(&self.says(self.report("Idle", None, Dictionary::new())))
    }

    /// Reports how a command went, and gets the next.
    pub fn reports(&self, status: &str, asked: &Asked) -> Option<Asked> {
        self.asked(&self.says(self.report(status, Some(asked), Dictionary::new())))
    }

    /// Says that a command was done, with an answer, and gets the next.
    pub fn answers(&self, asked: &Asked, more: Dictionary) -> Option<Asked> {
        self.asked(&self.says(self.report("Acknowledged", Some(asked), more)))
    }

    /// Answers everything it is asked, as a device that is well; returns what that was.
    pub fn talks(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        let mut next = self.idles();
        while let Some(asked) = next {
            next = self.answers(&asked, self.words(&asked));
            all.push(asked);
            assert!(all.len() < 50, "the server asks without end");
        }
        all
    }

    /// What it answers to a command.
    pub fn words(&self, asked: &Asked) -> Dictionary {
        let inside = match asked.kind.as_str() {
            "DeviceInformation" => format!(
                "<key>QueryResponses</key><dict><key>OSVersion</key><string>{}</string><key>SerialNumber</key>\
                 <string>{}</string><key>ProductName</key><string>{}</string><key>BatteryLevel</key><real>0.5</real>\
                 <key>AvailableDeviceCapacity</key><real>32.5</real><key>IsSupervised</key><{}/>\
                 <key>IsCloudBackupEnabled</key><true/><key>LastCloudBackupDate</key><date>2026-11-12T03:04:05Z</date>\
                 </dict>",
                self.os_version, self.serial, self.product, self.is_supervised
            ),
            "SecurityInfo" => self.security(),
            "ProfileList" => self.profiles(),
            "InstallProfile" => self.is_set(asked),
            "RemoveProfile" => {
                self.loses(asked.command.text("Identifier").unwrap());
                String::new()
            }
            "DeviceLocation" => "<key>Latitude</key><real>48.2</real><key>Longitude</key><real>16.37</real>\
                 <key>HorizontalAccuracy</key><real>12</real>"
                .to_owned(),
            "ActivationLockBypassCode" => "<key>ActivationLockBypassCode</key><string>0AAAA-BBBBB</string>".to_owned(),
            "RotateFileVaultKey" => self.rotates(asked),
            _ => String::new(),
        };
        read(format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>").as_bytes()).unwrap()
    }

    fn security(&self) -> String {
        let key = self.recovery_key.lock().unwrap().as_ref().map(|it| {
            let sealed =
                BASE64_STANDARD.encode(cms::encrypt(it.as_bytes(), &self.registrar(), Cipher::Aes128).unwrap());
            format!("<key>FDE_PersonalRecoveryKeyCMS</key><data>{sealed}</data>")
        });
        let is_mac = self.product.contains("Mac");
        let vault = format!(
            "<key>FDE_Enabled</key><{0}/><key>FDE_HasPersonalRecoveryKey</key><{0}/>{1}",
            key.is_some(),
            key.as_deref().unwrap_or_default()
        );
        let phone = "<key>HardwareEncryptionCaps</key><integer>3</integer><key>PasscodePresent</key><true/>";
        format!("<key>SecurityInfo</key><dict>{}</dict>", if is_mac { &vault } else { phone })
    }

    fn profiles(&self) -> String {
        let settings = self.settings.lock().unwrap();
        let each = std::iter::once("net.holdfast.enrolment").chain(settings.keys().map(String::as_str)).map(|it| {
            format!(
                "<dict><key>PayloadIdentifier</key><string>{it}</string><key>PayloadDisplayName</key>\
                 <string>Device management</string><key>IsManaged</key><true/></dict>"
            )
        });
        format!("<key>ProfileList</key><array>{}</array>", each.collect::<String>())
    }

    /// Installs settings that pass Apple's schema; its next enrolment profile it only looks at.
    fn is_set(&self, asked: &Asked) -> String {
        let profile = self.checked(asked.command.data("Payload").unwrap());
        let identifier = profile.text("PayloadIdentifier").unwrap();
        if identifier.starts_with("net.holdfast.settings.") {
            let target = Target { is_personal: self.is_personal, ..self.target() };
            for payload in profile.list("PayloadContent").iter().filter_map(Value::as_dictionary) {
                assert_eq!(check_payload(payload, &target), []);
                self.encrypts(payload);
            }
            self.settings.lock().unwrap().insert(identifier.to_owned(), profile.clone());
        }
        String::new()
    }

    /// Its disk is encrypted once FileVault is on, with a key for whoever's certificate came with it.
    fn encrypts(&self, payload: &Dictionary) {
        match payload.text("PayloadType").unwrap() {
            "com.apple.security.pkcs1" => {
                assert_eq!(payload.data("PayloadContent"), Some(self.registrar().der()), "only the server reads it");
            }
            "com.apple.MCX.FileVault2" => {
                *self.recovery_key.lock().unwrap() = Some("MADE-BY-THE-MAC".to_owned());
            }
            _ => {}
        }
    }

    /// A setting is gone from it.
    pub fn loses(&self, identifier: &str) {
        self.settings.lock().unwrap().remove(identifier).expect("a setting that is there");
    }

    /// What is set on it: the keys of a payload, without those that each has.
    pub fn set(&self, identifier: &str) -> Option<Dictionary> {
        let settings = self.settings.lock().unwrap();
        let all = settings.get(identifier)?.list("PayloadContent");
        let last = all.last()?.as_dictionary()?;
        let own = last.iter().filter(|it| !it.0.starts_with("Payload"));
        Some(own.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Its disk gets a new key, if the old one is right.
    fn rotates(&self, asked: &Asked) -> String {
        let said = asked.command.dictionary("FileVaultUnlock").unwrap().text("Password").unwrap();
        let mut key = self.recovery_key.lock().unwrap();
        assert_eq!(Some(said), key.as_deref(), "the disk opens only with its key");
        let next = format!("NEXT-{said}");
        let to = Certificate::parse(asked.command.data("ReplyEncryptionCertificate").unwrap()).unwrap();
        let sealed = BASE64_STANDARD.encode(cms::encrypt(next.as_bytes(), &to, Cipher::Aes128).unwrap());
        *key = Some(next);
        format!("<key>RotateResult</key><dict><key>EncryptedNewRecoveryKey</key><data>{sealed}</data></dict>")
    }

    /// What an answer asks, checked against Apple's schema; none if there is nothing to do.
    pub fn asked(&self, answer: &Answer) -> Option<Asked> {
        assert_eq!(answer.status, 200, "{}", answer.text());
        if answer.body.is_empty() {
            assert_eq!(answer.header("content-length"), "0", "a chunked empty body is read as a command");
            return None;
        }
        let message = read(&answer.body).unwrap();
        assert_eq!(check_command(&message, &self.target()), []);
        let command = message.dictionary("Command").unwrap().clone();
        Some(Asked {
            id: message.text("CommandUUID").unwrap().to_owned(),
            kind: command.text("RequestType").unwrap().to_owned(),
            command,
        })
    }

    pub fn target(&self) -> Target {
        let system = if self.product.contains("Mac") { System::Macos } else { System::Ios };
        let version = Version::parse(self.os_version).unwrap();
        Target { system, version, is_supervised: self.is_supervised, is_personal: false, rights: self.rights }
    }

    /// Says something, signed.
    pub fn says(&self, message: Dictionary) -> Answer {
        let body = write(message).unwrap();
        let signature = self.signature(&body);
        self.send("PUT", "/apple/mdm", &[("Mdm-Signature", &signature)], &body)
    }

    /// Its signature over a body.
    pub fn signature(&self, body: &[u8]) -> String {
        let identity = self.identity.as_ref().expect("a certificate");
        let signer = Signer { certificate: &identity.certificate, key: &identity.key, chain: &[] };
        BASE64_STANDARD.encode(cms::sign(&signer, body, Form::Detached, &[], Some(self.at)).unwrap())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: devices.test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        exchange(self.door, &head, body)
    }
}

/// A payload of a profile by its type.
pub fn payload<'a>(profile: &'a Dictionary, kind: &str) -> &'a Dictionary {
    let all = profile.list("PayloadContent").iter().filter_map(Value::as_dictionary);
    all.into_iter().find(|it| it.text("PayloadType") == Some(kind)).expect("the payload")
}

/// The one-time password in a profile.
pub fn challenge(profile: &Dictionary) -> String {
    let scep = payload(profile, "com.apple.security.scep");
    scep.dictionary("PayloadContent").unwrap().text("Challenge").unwrap().to_owned()
}
