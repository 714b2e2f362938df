//! Settings as profiles: which devices take them, and what is in them.
use crate::error::Result;
use crate::protocol::apple::authority::Opened;
use crate::protocol::apple::profile::{signed_bytes, uuid};
use crate::protocol::apple::received::Received;
use crate::service::apple::setting_state::{Change, Fit};
use anyhow::{Context, anyhow};
use apple::command::{Limits, Request};
use apple::plist::{Dictionary, write};
use apple::profile::{FileVault, Name, profile};
use apple::setting::{self, FILE_VAULT, TIME_MACHINE, restrictions, time_machine};
use apple::target::Target;
use domain::apple_settings::{LeftOut, Passcode, Restriction, Setting, SettingKind};
use domain::device::Ownership;
use std::collections::BTreeMap;

/// What of a setting a device takes.
pub fn fit(setting: &Setting, target: &Target, ownership: Ownership) -> Fit {
    // What Apple keeps from organisations on personal devices is kept from them here too, however such a one enrolled.
    let target = Target { is_personal: ownership == Ownership::Personal, ..*target };
    match setting {
        Setting::Passcode(_) => whole(setting, setting::Passcode::LIMITS, &target),
        Setting::FileVault => whole(setting, FILE_VAULT, &target),
        Setting::TimeMachine(_) => whole(setting, TIME_MACHINE, &target),
        Setting::Restrictions(all) => each(all, &target),
    }
}

fn whole(setting: &Setting, limits: Limits, target: &Target) -> Fit {
    match limits.check(target) {
        Ok(()) => Fit { setting: Some(setting.clone()), left_out: Vec::new() },
        Err(why) => {
            let what = setting.kind().name().to_owned();
            Fit { setting: None, left_out: vec![LeftOut { what, why: why.to_string() }] }
        }
    }
}

fn each(all: &BTreeMap<Restriction, bool>, target: &Target) -> Fit {
    let (mut taken, mut left_out) = (BTreeMap::new(), Vec::new());
    for (restriction, is_on) in all {
        let checked = match setting::Restriction::find(restriction.as_str()) {
            Some(known) => known.may_set(target).map_err(|it| it.to_string()),
            None => Err("this server does not know how".to_owned()),
        };
        match checked {
            Ok(()) => drop(taken.insert(*restriction, *is_on)),
            Err(why) => left_out.push(LeftOut { what: restriction.name().to_owned(), why }),
        }
    }
    Fit { setting: (!taken.is_empty()).then_some(Setting::Restrictions(taken)), left_out }
}

/// The request that makes a change.
///
/// # Errors
/// When a profile cannot be written or signed.
pub fn request(received: &Received, change: &Change) -> Result<Request> {
    let Some(setting) = &change.setting else {
        return Ok(Request::RemoveProfile { identifier: change.kind.identifier() });
    };
    let opened = received.door.opened().map_err(|fault| anyhow!("{fault}"))?;
    let profile = profile(&name(setting, "", "profile")?, payloads(setting, opened)?);
    let bytes = write(profile).context("writing a profile of settings")?;
    Ok(Request::InstallProfile { payload: signed_bytes(opened, &bytes, received.now)? })
}

fn payloads(setting: &Setting, opened: &Opened) -> Result<Vec<Dictionary>> {
    let own = || name(setting, ".payload", "payload");
    Ok(match setting {
        Setting::Passcode(Passcode { minimum_length, allows_simple }) => {
            let passcode = setting::Passcode { minimum_length: *minimum_length, allows_simple: *allows_simple };
            vec![passcode.payload(&own()?)]
        }
        Setting::Restrictions(all) => {
            let found = all.iter().filter_map(|(it, is_on)| Some((setting::Restriction::find(it.as_str())?, *is_on)));
            vec![restrictions(&own()?, &found.collect::<Vec<_>>())]
        }
        Setting::TimeMachine(url) => vec![time_machine(&own()?, url)],
        Setting::FileVault => {
            let vault = FileVault {
                name: own()?,
                escrow: name(setting, ".escrow", "escrow")?,
                certificate: name(setting, ".certificate", "certificate")?,
                certificate_der: opened.registrar.certificate.der().to_vec(),
                location: "Your organisation keeps the recovery key of this disk.".to_owned(),
            };
            vault.payloads()
        }
    })
}

/// The same for the same content, so that a profile that is sent again is the one that is there.
fn name(setting: &Setting, part: &str, of: &str) -> Result<Name> {
    let content = serde_json::to_string(setting).context("writing a setting")?;
    let title = match setting.kind() {
        SettingKind::Passcode => "Passcode of your organisation",
        SettingKind::Restrictions => "Restrictions of your organisation",
        SettingKind::FileVault => "Encryption of the disk",
        SettingKind::TimeMachine => "Backup with Time Machine",
    };
    Ok(Name {
        identifier: format!("{}{part}", setting.kind().identifier()),
        uuid: uuid(&format!("settings/{of}/{content}")),
        title: title.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::apple::ability::target;
    use domain::device::Platform;

    fn restrictions() -> Setting {
        let all = [Restriction::CloudBackup, Restriction::ManagedAppsCloudSync, Restriction::HostPairing];
        Setting::Restrictions(all.into_iter().map(|it| (it, false)).collect())
    }

    fn taken(setting: &Setting, of: (Platform, &str, bool), ownership: Ownership) -> (Vec<String>, Vec<String>) {
        let target = target(of.0, of.1, of.2, 8191);
        let fit = fit(setting, &target, ownership);
        let left_out = fit.left_out.iter().map(|it| format!("{}: {}", it.what, it.why)).collect();
        (fit.setting.map(|it| it.sentences()).unwrap_or_default(), left_out)
    }

    #[test]
    fn what_a_device_does_not_take_is_left_out_with_the_reason() {
        let phone = (Platform::Ios, "iOS 17.5", false);
        let (set, left_out) = taken(&restrictions(), phone, Ownership::Company);
        assert_eq!(set.len(), 2, "{set:?}");
        assert_eq!(left_out, ["Connecting to other computers: only a supervised device takes it"]);
        let (set, _) = taken(&restrictions(), (Platform::Ios, "iOS 17.5", true), Ownership::Company);
        assert_eq!(set.len(), 3);
        let (set, left_out) = taken(&restrictions(), phone, Ownership::Personal);
        assert_eq!((set.len(), left_out.len()), (1, 2), "{left_out:?}");
        let mac = (Platform::Macos, "macOS 14.5", false);
        assert_eq!(taken(&restrictions(), mac, Ownership::Company).0, [""; 0]);
        assert_eq!(taken(&Setting::FileVault, mac, Ownership::Company).0.len(), 1);
        for (setting, of) in [(Setting::FileVault, phone), (Setting::TimeMachine("smb://a/b".to_owned()), phone)] {
            let (set, left_out) = taken(&setting, of, Ownership::Company);
            assert!(set.is_empty() && left_out[0].contains("iOS does not have it"), "{left_out:?}");
        }
        let (set, left_out) = taken(&Setting::FileVault, mac, Ownership::Personal);
        assert!(set.is_empty() && left_out[0].contains("a personal device does not take it"), "{left_out:?}");
        let passcode = Setting::Passcode(Passcode { minimum_length: Some(8), allows_simple: false });
        assert_eq!(taken(&passcode, phone, Ownership::Personal).0.len(), 1);
    }

    #[test]
    fn a_name_is_the_same_for_the_same_content_and_another_for_another() {
        let of = |length| Setting::Passcode(Passcode { minimum_length: Some(length), allows_simple: false });
        let uuid = |length, part: &str| name(&of(length), "", part).unwrap().uuid;
        assert_eq!(uuid(8, "a"), uuid(8, "a"));
        assert!(uuid(8, "a") != uuid(9, "a") && uuid(8, "a") != uuid(8, "b"));
        assert_eq!(name(&of(8), "", "a").unwrap().identifier, name(&of(9), "", "a").unwrap().identifier);
    }
}
