//! What a device says of itself before it enrolls, signed with the key that Apple built into it.
//!
//! Source: Apple, `MachineInfo` in “Authenticating through web views” and “Device assignment”.
use crate::certificate::{Certificate, Strength};
use crate::cms::{CmsError, verify_all};
use crate::plist::{Dictionary, PlistFault, Read, read};

/// The longest text that is taken, in characters.
const MAX_TEXT: usize = 256;

/// Why bytes are no such message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineInfoFault {
    #[error("what the device says of itself: {0}")]
    Signature(#[from] CmsError),
    #[error("what the device says of itself: {0}")]
    Plist(#[from] PlistFault),
}

/// What it says. Texts that it leaves out are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MachineInfo {
    /// Not of a personal device whose person signs in.
    pub serial: String,
    pub udid: String,
    /// Such as `iPhone14,5`.
    pub product: String,
    /// Such as `17.5`.
    pub os_version: String,
    /// Of the build, such as `21F90`.
    pub version: String,
}

/// What a device says, with whose signature. Anybody can sign: whose certificate it is, is for the caller to know.
#[derive(Debug, Clone)]
pub struct SignedMachineInfo {
    pub info: MachineInfo,
    pub signer: Certificate,
    /// The other certificates that came with it, with which [`Certificate::leads_to`] goes on.
    pub others: Vec<Certificate>,
}

impl SignedMachineInfo {
    /// Reads what a device posts.
    ///
    /// # Errors
    /// When its signature is not good, or it is no property list.
    pub fn parse(body: &[u8]) -> Result<Self, MachineInfoFault> {
        // Devices sign with SHA-1.
        let (signed, others) = verify_all(body, None, Strength::WithLegacy)?;
        Ok(Self { info: info(&read(&signed.content)?), signer: signed.signer, others })
    }
}

fn info(said: &Dictionary) -> MachineInfo {
    let text = |key| {
        let plain = said.text(key).unwrap_or_default().chars().filter(|it| !it.is_control());
        plain.take(MAX_TEXT).collect::<String>().trim().to_owned()
    };
    MachineInfo {
        serial: text("SERIAL"),
        udid: text("UDID"),
        product: text("PRODUCT"),
        os_version: text("OS_VERSION"),
        version: text("VERSION"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::testing::{DEVICE, NOW, OTHER};
    use crate::cms::{Form, Signer, sign};

    fn posted(inside: &str, form: Form) -> Vec<u8> {
        let text = format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>");
        let signer = Signer { certificate: &DEVICE.certificate, key: &DEVICE.key, chain: &[] };
        sign(&signer, text.as_bytes(), form, &[], Some(NOW)).unwrap()
    }

    fn say(key: &str, text: &str) -> String {
        format!("<key>{key}</key><string>{text}</string>")
    }

    #[test]
    fn a_device_says_its_serial_number_with_its_signature() {
        let body = posted(&[say("SERIAL", " F2LX001 "), say("PRODUCT", "iPhone14,5")].concat(), Form::Attached);
        let read = SignedMachineInfo::parse(&body).unwrap();
        assert_eq!((read.info.serial.as_str(), read.info.product.as_str()), ("F2LX001", "iPhone14,5"));
        assert_eq!(read.info.os_version, "");
        assert_eq!(read.signer, DEVICE.certificate);
        assert_ne!(read.signer, OTHER.certificate);
    }

    #[test]
    fn what_is_not_signed_or_was_changed_is_refused() {
        let good = posted(&say("SERIAL", "F2LX001"), Form::Attached);
        let at = good.windows(7).position(|it| it == b"F2LX001").unwrap();
        let mut changed = good.clone();
        changed[at] = b'G';
        assert_eq!(SignedMachineInfo::parse(&changed).unwrap_err(), CmsError::Digest.into());
        let beside = posted(&say("SERIAL", "F2LX001"), Form::Detached);
        assert_eq!(SignedMachineInfo::parse(&beside).unwrap_err(), CmsError::NoContent.into());
        for cut in 0..good.len() {
            assert!(SignedMachineInfo::parse(&good[..cut]).is_err(), "{cut}");
        }
        assert!(SignedMachineInfo::parse(b"<plist version=\"1.0\"><dict/></plist>").is_err());
        let list = sign(
            &Signer { certificate: &DEVICE.certificate, key: &DEVICE.key, chain: &[] },
            b"<plist version=\"1.0\"><array/></plist>",
            Form::Attached,
            &[],
            Some(NOW),
        );
        assert_eq!(SignedMachineInfo::parse(&list.unwrap()).unwrap_err(), PlistFault::NoDictionary.into());
    }

    #[test]
    fn odd_texts_are_shortened_and_wrong_kinds_are_not_there() {
        let long = "x".repeat(10_000);
        let body = posted(
            &[say("PRODUCT", &long), "<key>SERIAL</key><integer>1</integer>".to_owned()].concat(),
            Form::Attached,
        );
        let info = SignedMachineInfo::parse(&body).unwrap().info;
        assert_eq!((info.product.len(), info.serial.as_str()), (MAX_TEXT, ""));
    }
}
