//! The profile with which a device enrolls, and with which it gets its next certificate.
use crate::config::AppleSettings;
use crate::error::Result;
use crate::protocol::apple::authority::{Opened, timestamp};
use crate::store::apple::enrollment::AppleEnrollment;
use anyhow::Context;
use apple::cms::{Form, Signer, sign};
use apple::profile::{Enrollment, Mdm, Name, Scep};
use apple::target::{Rights, System, Target, Version};
use domain::device::Ownership;
use domain::time::Time;

/// What names the profile on a device: the same again replaces it, and removing it ends management.
pub const IDENTIFIER: &str = "net.holdfast.enrolment";

/// What the server allows itself: never to erase a personal device, nor to see what is installed on it.
pub fn rights(ownership: Ownership) -> i64 {
    let common = Rights::INSPECT_PROFILES
        .and(Rights::INSTALL_PROFILES)
        .and(Rights::LOCK_AND_CLEAR_PASSCODE)
        .and(Rights::QUERY_DEVICE)
        .and(Rights::QUERY_SECURITY);
    let rights = match ownership {
        Ownership::Company => common.and(Rights::ERASE).and(Rights::QUERY_APPLICATIONS),
        Ownership::Personal => common,
    };
    rights.0.into()
}

/// The signed profile of an enrolment.
///
/// # Errors
/// When it cannot be written or signed.
pub fn signed(
    settings: &AppleSettings,
    opened: &Opened,
    (enrollment, ownership): (&AppleEnrollment, Ownership),
    challenge: &str,
    now: Time,
) -> Result<Vec<u8>> {
    let profile = profile(settings, enrollment, ownership, challenge);
    // What is in it is the same on every system.
    let target = Target {
        system: System::Ios,
        version: Version(15, 0, 0),
        is_supervised: false,
        is_personal: enrollment.is_by_account(),
        rights: profile.mdm.rights,
    };
    let bytes = profile.bytes(&target).context("writing a profile")?;
    let chain = [opened.authority.certificate().clone()];
    let signer = Signer { certificate: &opened.registrar.certificate, key: &opened.registrar.key, chain: &chain };
    Ok(sign(&signer, &bytes, Form::Attached, &[], Some(timestamp(now)?)).context("signing a profile")?)
}

fn profile(
    settings: &AppleSettings,
    enrollment: &AppleEnrollment,
    ownership: Ownership,
    challenge: &str,
) -> Enrollment {
    let name = |part: &str, title: &str| Name {
        identifier: if part.is_empty() { IDENTIFIER.to_owned() } else { format!("{IDENTIFIER}.{part}") },
        uuid: uuid(&format!("{}/{part}", enrollment.id)),
        title: title.to_owned(),
    };
    let description = match ownership {
        Ownership::Personal if enrollment.is_by_account() => {
            "The organisation manages what it puts on this device. It sees neither its serial number nor what is \
             yours, and can only take away what it put there."
        }
        Ownership::Company => "The organisation manages this device: it sees its state, and can lock and erase it.",
        Ownership::Personal => {
            "The organisation manages what it puts on this device: it sees the device’s state and can lock it, but \
             neither erase it nor see what is installed."
        }
    };
    Enrollment {
        name: name("", "Device management"),
        organization: "Holdfast".to_owned(),
        description: description.to_owned(),
        roots: Vec::new(),
        scep: Scep {
            name: name("scep", "Device certificate"),
            url: format!("{}/apple/scep", settings.url),
            challenge: challenge.to_owned(),
            subject: enrollment.id.to_string(),
        },
        mdm: Mdm {
            name: name("mdm", "Device management"),
            server_url: format!("{}/apple/mdm", settings.url),
            check_in_url: format!("{}/apple/mdm", settings.url),
            topic: enrollment.topic.clone(),
            rights: Rights(u32::try_from(enrollment.rights).unwrap_or_default()),
            signs_messages: true,
            managed_account: enrollment.account.clone(),
        },
    }
}

/// The same for the same text: a profile that is sent again replaces the one that is there.
fn uuid(of: &str) -> String {
    let hash = secret::sha256(of.as_bytes());
    let hex = hex::encode_upper(hash.iter().take(16).copied().collect::<Vec<_>>());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
