//! From Apple's words to what the server works with.
use crate::error::{Error, Result};
use crate::service::apple::enrollment::Introduction;
use crate::service::apple::identity::{Claim, Claimed};
use apple::message::{Cause, CheckIn, Content, Identity, Message};
use apple::plist::{Dictionary, Read};
use domain::device::{Encryption, Platform};
use domain::fact::{EncryptionFact, FactKind, FactValue, Reported};
use domain::time::Time;
use std::time::UNIX_EPOCH;

/// What a device says of itself when it first speaks.
///
/// # Errors
/// `Refused` if it is of a kind that is not managed here.
pub fn introduction(said: &Identity) -> Result<Introduction> {
    let is = |word: &str| [&said.product_name, &said.model, &said.model_name].iter().any(|it| it.contains(word));
    let platform = if is("iPad") {
        Platform::Ipados
    } else if is("iPhone") || is("iPod") {
        Platform::Ios
    } else if is("Mac") {
        Platform::Macos
    } else {
        return Err(Error::Refused("only iPhones, iPads and Macs are managed here".to_owned()));
    };
    let first = |texts: [&str; 3]| texts.into_iter().find(|it| !it.is_empty()).unwrap_or_default().to_owned();
    Ok(Introduction {
        platform,
        name: first([&said.device_name, &said.model_name, platform.name()]),
        model: first([&said.product_name, &said.model_name, &said.model]),
        serial: said.serial_number.clone(),
        os_version: os_version(platform, &said.os_version),
    })
}

/// Who a message says it is from.
pub fn claim(message: &Message) -> Claim {
    let name = message.speaker.name.as_str().to_owned();
    let Content::CheckIn(CheckIn::Authenticate(said)) = &message.content else { return Claim { name, hardware: None } };
    // Apple attests another identifier of a Mac than the one by which it calls itself.
    let is_mac = introduction(said).is_ok_and(|it| it.platform == Platform::Macos);
    let udid = (!is_mac).then(|| name.clone());
    Claim { hardware: Some(Claimed { serial: said.serial_number.clone(), udid }), name }
}

fn os_version(platform: Platform, said: &str) -> String {
    format!("{} {said}", platform.name()).trim_end().to_owned()
}

/// What the chain of causes of an error says, from the first to the last.
pub fn causes(causes: &[Cause]) -> String {
    let all: Vec<_> = causes.iter().map(ToString::to_string).collect();
    match all.is_empty() {
        true => "the device gave no reason".to_owned(),
        false => all.join("; "),
    }
}

/// The facts in an answer, whatever was asked.
pub fn facts(answer: &Dictionary, platform: Platform, now: Time) -> Vec<Reported> {
    let mut facts = Vec::new();
    if let Some(said) = answer.dictionary("QueryResponses") {
        information(said, platform, &mut |kind, value| facts.push(reported(kind, value, "DeviceInformation", now)));
    }
    if let Some(said) = answer.dictionary("SecurityInfo") {
        security(said, platform, &mut |kind, value| facts.push(reported(kind, value, "SecurityInfo", now)));
    }
    facts
}

fn reported(kind: FactKind, value: FactValue, source: &str, now: Time) -> Reported {
    Reported { kind, value, source: source.to_owned(), measured_at: now }
}

fn information(said: &Dictionary, platform: Platform, fact: &mut dyn FnMut(FactKind, FactValue)) {
    if let Some(version) = said.text("OSVersion") {
        fact(FactKind::OsVersion, FactValue::Text(os_version(platform, version)));
    }
    for (key, kind) in [("ProductName", FactKind::Model), ("SerialNumber", FactKind::Serial)] {
        if let Some(text) = said.text(key) {
            fact(kind, FactValue::Text(text.to_owned()));
        }
    }
    for (key, kind) in [
        ("IsSupervised", FactKind::Supervised),
        ("IsCloudBackupEnabled", FactKind::CloudBackup),
        ("IsMDMLostModeEnabled", FactKind::LostMode),
        ("IsActivationLockEnabled", FactKind::ActivationLock),
    ] {
        if let Some(flag) = said.flag(key) {
            fact(kind, FactValue::Flag(flag));
        }
    }
    // In units of 10⁹ bytes, with a fraction.
    if let Some(free) = said.real("AvailableDeviceCapacity").and_then(|it| whole(it * 1e9)) {
        fact(FactKind::FreeBytes, FactValue::Number(free));
    }
    // From 0 to 1; −1 where it is not known.
    if let Some(level) = said.real("BatteryLevel").and_then(|it| whole(it * 100.0)) {
        fact(FactKind::BatteryPercent, FactValue::Number(level));
    }
    if let Some(at) = moment(said, "LastCloudBackupDate") {
        fact(FactKind::LastCloudBackup, FactValue::Number(at));
    }
}

fn security(said: &Dictionary, platform: Platform, fact: &mut dyn FnMut(FactKind, FactValue)) {
    let passcode = said.flag("PasscodePresent");
    if let Some(is_set) = passcode {
        fact(FactKind::PasscodeSet, FactValue::Flag(is_set));
    }
    if let Some(is_set) = said.flag("FDE_HasPersonalRecoveryKey") {
        fact(FactKind::RecoveryKeySet, FactValue::Flag(is_set));
    }
    let encryption = match platform {
        Platform::Macos => said.flag("FDE_Enabled").map(|it| (it, "FileVault")),
        // Files are encrypted with the passcode: without one, whoever has the device reads them.
        Platform::Ios | Platform::Ipados | Platform::Android | Platform::Linux | Platform::Windows => said
            .number("HardwareEncryptionCaps")
            .zip(passcode)
            .map(|(caps, is_set)| (caps & FILES != 0 && is_set, "Data Protection")),
    };
    if let Some((is_on, method)) = encryption {
        let state = if is_on { Encryption::On } else { Encryption::Off };
        fact(FactKind::Encryption, FactValue::Encryption(EncryptionFact { state, method: method.to_owned() }));
    }
}

/// In `HardwareEncryptionCaps`: each file has a key of its own.
const FILES: i64 = 2;

/// A number from a device, not below 0, without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "beyond any device, `as` gives the nearest")]
fn whole(number: f64) -> Option<i64> {
    (number >= 0.0).then(|| number.round() as i64)
}

pub(super) fn moment(said: &Dictionary, key: &str) -> Option<i64> {
    let date = std::time::SystemTime::from(said.get(key)?.as_date()?);
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apple::plist::read;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn said(inside: &str) -> Vec<(FactKind, FactValue)> {
        let text = format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>");
        let found = facts(&read(text.as_bytes()).unwrap(), Platform::Ios, NOW);
        found.into_iter().map(|it| (it.kind, it.value)).collect()
    }

    fn encryption(inside: &str) -> Option<Encryption> {
        let all = said(&format!("<key>SecurityInfo</key><dict>{inside}</dict>"));
        all.into_iter().find_map(|(_, value)| if let FactValue::Encryption(it) = value { Some(it.state) } else { None })
    }

    #[test]
    fn a_phone_is_encrypted_only_with_a_passcode_and_unknown_if_it_does_not_say() {
        let caps = "<key>HardwareEncryptionCaps</key><integer>3</integer>";
        let passcode = |it| format!("<key>PasscodePresent</key><{it}/>");
        assert_eq!(encryption(&format!("{caps}{}", passcode("true"))), Some(Encryption::On));
        assert_eq!(encryption(&format!("{caps}{}", passcode("false"))), Some(Encryption::Off));
        assert_eq!(encryption(caps), None);
        assert_eq!(encryption(&passcode("true")), None);
    }

    #[test]
    fn what_a_device_does_not_say_is_no_fact() {
        let none = said("<key>QueryResponses</key><dict><key>BatteryLevel</key><real>-1</real></dict>");
        assert_eq!(none, []);
        let some = said(
            "<key>QueryResponses</key><dict><key>LastCloudBackupDate</key><date>2026-11-12T03:04:05Z</date>\
             <key>AvailableDeviceCapacity</key><real>12.5</real></dict>",
        );
        assert_eq!(
            some,
            [
                (FactKind::FreeBytes, FactValue::Number(12_500_000_000)),
                (FactKind::LastCloudBackup, FactValue::Number(1_794_452_645_000))
            ]
        );
    }
}
