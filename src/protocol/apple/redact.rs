//! Messages as the protocol log keeps them: without what whoever reads it could use.
use apple::plist::{Dictionary, Value, read, write};

/// What is taken out, wherever it is.
const SECRET: &[&str] = &[
    "Token",
    "PushMagic",
    "UnlockToken",
    "BootstrapToken",
    "PIN",
    "Password",
    "NewPassword",
    "CurrentPassword",
    "Challenge",
    "Payload",
    "FDE_PersonalRecoveryKeyCMS",
    "FDE_PersonalRecoveryKeyDeviceKey",
    "DigestResponse",
    "TokenData",
    "MDMProfileData",
    "WiFiProfileData",
    "ActivationLockBypassCode",
    "EncryptedNewRecoveryKey",
    "Latitude",
    "Longitude",
];

/// The message in XML without its secrets; nothing of one that cannot be read.
pub fn without_secrets(bytes: &[u8]) -> String {
    let Ok(mut message) = read(bytes) else { return String::new() };
    clean(&mut message);
    write(message).ok().and_then(|it| String::from_utf8(it).ok()).unwrap_or_default()
}

fn clean(dictionary: &mut Dictionary) {
    for (key, value) in dictionary.iter_mut() {
        if SECRET.contains(&key.as_str()) {
            *value = Value::String("(not kept)".to_owned());
        } else {
            clean_value(value);
        }
    }
}

fn clean_value(value: &mut Value) {
    if let Value::Dictionary(inner) = value {
        clean(inner);
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(clean_value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_takes_a_reason_to_read_is_in_the_log() {
        for key in SECRET {
            let message =
                format!("<plist version=\"1.0\"><dict><key>{key}</key><string>secret</string></dict></plist>");
            assert!(!without_secrets(message.as_bytes()).contains("secret"), "{key}");
        }
    }

    #[test]
    fn no_secret_of_a_message_is_kept_however_deep_it_lies() {
        let message = br#"<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>
            <key>MessageType</key><string>TokenUpdate</string><key>Token</key><data>c2VjcmV0</data>
            <key>PushMagic</key><string>secret</string>
            <key>Deep</key><array><dict><key>PIN</key><string>secret</string><key>Kept</key><string>yes</string></dict></array>
            </dict></plist>"#;
        let kept = without_secrets(message);
        assert!(kept.contains("TokenUpdate") && kept.contains("<string>yes</string>"), "{kept}");
        assert!(!kept.contains("secret") && !kept.contains("c2VjcmV0"), "{kept}");
        assert_eq!(without_secrets(b"secret"), "");
    }
}
