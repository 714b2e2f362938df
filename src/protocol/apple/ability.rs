//! Which orders reach a device through this protocol, and in words why the others do not.
use crate::protocol::apple::order;
use crate::service::apple::enrollment::Introduction;
use apple::command::Request;
use apple::target::{Rights, System, Target, Version};
use domain::channel::Channel;
use domain::command::CommandKind;
use domain::device::{Ownership, Platform};

/// A device as far as it decides what it may be asked. `os_version` is what we call its system, such as `iOS 17.5`.
pub fn target(platform: Platform, os_version: &str, is_supervised: bool, rights: i64) -> Target {
    let version = os_version.rsplit(' ').next().and_then(Version::parse);
    Target {
        system: if platform == Platform::Macos { System::Macos } else { System::Ios },
        version: version.unwrap_or(Version(0, 0, 0)),
        is_supervised,
        // Of a personal device Apple means one with an account of the organisation, which is another way to enroll.
        is_personal: false,
        rights: Rights(u32::try_from(rights).unwrap_or_default()),
    }
}

/// The channel of a device that has said no more than what it is: whether it is supervised it says later.
pub fn at_first(said: &Introduction, ownership: Ownership, rights: i64) -> Channel {
    channel(&target(said.platform, &said.os_version, false, rights), ownership)
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
    let limits = request.limits();
    let takes_personal = match target.system {
        System::Ios => limits.personal_ios,
        System::Macos => limits.personal_macos,
    };
    if ownership == Ownership::Personal && !takes_personal {
        return Err("this is a personal device".to_owned());
    }
    request.may_ask(target).map_err(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduction() -> Introduction {
        let text = |it: &str| it.to_owned();
        Introduction {
            platform: Platform::Ios,
            name: text("phone"),
            model: text("iPhone14,5"),
            serial: text("1"),
            os_version: text("iOS 17.5"),
        }
    }

    fn of(platform: Platform, os_version: &str, is_supervised: bool, rights: Rights) -> Channel {
        channel(&target(platform, os_version, is_supervised, rights.0.into()), Ownership::Company)
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
        let own = at_first(&introduction(), Ownership::Personal, Rights::ALL.0.into());
        assert!(own.cannot[&CommandKind::ClearPasscode].contains("personal"));
        let mac = of(Platform::Macos, "macOS 14.5", false, Rights::ALL);
        assert!(mac.carries.contains(&CommandKind::RotateRecoveryKey) && mac.carries.contains(&CommandKind::Lock));
        assert!(!mac.carries.contains(&CommandKind::BackUpNow), "that is the agent’s");
    }
}
