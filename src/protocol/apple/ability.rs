//! Which orders reach a device through this protocol, and in words why the others do not.
use crate::protocol::apple::order;
use crate::service::apple::enrollment::Introduction;
use crate::store::apple::enrollment::AppleEnrollment;
use apple::command::Request;
use apple::target::{Rights, System, Target, Version};
use domain::channel::Channel;
use domain::command::CommandKind;
use domain::device::{Ownership, Platform};

/// A device as far as it decides what it may be asked. `os_version` is what we call its system, such as `iOS 17.5`.
pub fn target(
    platform: Platform,
    os_version: &str,
    is_supervised: bool,
    (rights, is_by_account): (i64, bool),
) -> Target {
    let version = os_version.rsplit(' ').next().and_then(Version::parse);
    Target {
        system: if platform == Platform::Macos { System::Macos } else { System::Ios },
        version: version.unwrap_or(Version(0, 0, 0)),
        is_supervised,
        // Apple means one with an account of the organisation.
        is_personal: is_by_account,
        rights: Rights(u32::try_from(rights).unwrap_or_default()),
    }
}

/// The channel of a device that has said no more than what it is: whether it is supervised it says later.
pub fn at_first(said: &Introduction, ownership: Ownership, enrollment: &AppleEnrollment) -> Channel {
    let given = (enrollment.rights, enrollment.is_by_account());
    channel(&target(said.platform, &said.os_version, false, given), ownership)
}

/// The channel of such a device.
pub fn channel(target: &Target, ownership: Ownership) -> Channel {
    let mut channel = Channel::new(Channel::APPLE, &[]);
    for kind in CommandKind::ALL {
        let Some(request) = order::example(*kind) else { continue };
        match may_ask(&request, target, ownership) {
            Ok(()) => channel.carries.push(*kind),
            Err(why) => {
                channel.cannot.insert(*kind, why);
            }
        }
    }
    channel
}

fn may_ask(request: &Request, target: &Target, ownership: Ownership) -> Result<(), String> {
    if ownership == Ownership::Personal && matches!(request, Request::ClearPasscode { .. }) {
        return Err("this is a personal device: its passcode is its owner’s".to_owned());
    }
    request.may_ask(target).map_err(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(platform: Platform, os_version: &str, is_supervised: bool, rights: Rights) -> Channel {
        channel(&target(platform, os_version, is_supervised, (rights.0.into(), false)), Ownership::Company)
    }

    #[test]
    fn a_device_is_offered_what_it_can_do_and_the_rest_has_a_reason() {
        let plain = of(Platform::Ios, "iOS 17.5", false, Rights::ALL);
        assert!(plain.carries.contains(&CommandKind::Wipe) && plain.carries.contains(&CommandKind::ClearPasscode));
        assert_eq!(plain.cannot[&CommandKind::LostModeOn], "only a supervised device takes it");
        let supervised = of(Platform::Ios, "iOS 17.5", true, Rights::ALL);
        assert!(supervised.carries.contains(&CommandKind::LostModeOn));
        let old = of(Platform::Ios, "iOS 9.2", true, Rights::ALL);
        assert!(old.cannot[&CommandKind::LostModeOn].contains("9.3"), "{:?}", old.cannot);
        let personal = of(Platform::Ios, "iOS 17.5", false, Rights::LOCK_AND_CLEAR_PASSCODE);
        assert_eq!(personal.cannot[&CommandKind::Wipe], "the enrolment did not give this right");
        let all = Rights::ALL.0.into();
        let own = |is_by_account| {
            channel(&target(Platform::Ios, "iOS 17.5", false, (all, is_by_account)), Ownership::Personal)
        };
        assert!(own(false).cannot[&CommandKind::ClearPasscode].contains("personal"));
        let account = own(true);
        assert!(account.cannot[&CommandKind::Wipe].contains("personal"), "whatever its rights: {:?}", account.cannot);
        assert!(account.carries.contains(&CommandKind::RemoveCompanyData));
        let mac = of(Platform::Macos, "macOS 14.5", false, Rights::ALL);
        assert!(mac.carries.contains(&CommandKind::RotateRecoveryKey) && mac.carries.contains(&CommandKind::Lock));
        assert!(!mac.carries.contains(&CommandKind::BackUpNow), "that is the agent’s");
    }
}
