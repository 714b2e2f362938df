//! The profile with which a device enrolls, and with which it gets its next certificate.
use crate::config::AppleSettings;
use crate::error::Result;
use crate::protocol::apple::acme;
use crate::protocol::apple::authority::{Opened, timestamp};
use crate::protocol::apple::shared::Door;
use crate::store::apple::enrollment::AppleEnrollment;
use anyhow::Context;
use apple::certificate::Certificate;
use apple::cms::{Form, Signer, sign};
use apple::profile::{Acme, Enrollment, Identity, Mdm, Name, Scep};
use apple::target::{Rights, System, Target, Version};
use domain::certification::Certification;
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
    door: &Door,
    opened: &Opened,
    (enrollment, ownership): (&AppleEnrollment, Ownership),
    challenge: &str,
    now: Time,
) -> Result<Vec<u8>> {
    let profile = profile(door, enrollment, ownership, challenge);
    // Either form is the same on every system that knows it.
    let target = Target {
        system: System::Ios,
        version: Version(15, 0, 0),
        is_supervised: false,
        is_personal: ownership == Ownership::Personal,
        rights: profile.mdm.rights,
    };
    signed_bytes(opened, &profile.bytes(&target).context("writing a profile")?, now)
}

/// A profile's bytes, signed so that devices know whose it is.
///
/// # Errors
/// When it cannot be signed.
pub fn signed_bytes(opened: &Opened, bytes: &[u8], now: Time) -> Result<Vec<u8>> {
    let chain = [opened.authority.certificate().clone()];
    let signer = Signer { certificate: &opened.registrar.certificate, key: &opened.registrar.key, chain: &chain };
    Ok(sign(&signer, bytes, Form::Attached, &[], Some(timestamp(now)?)).context("signing a profile")?)
}

fn profile(door: &Door, enrollment: &AppleEnrollment, ownership: Ownership, challenge: &str) -> Enrollment {
    let settings = door.settings();
    let name = |part: &str, title: &str| Name {
        identifier: if part.is_empty() { IDENTIFIER.to_owned() } else { format!("{IDENTIFIER}.{part}") },
        uuid: uuid(&format!("{}/{part}", enrollment.id)),
        title: title.to_owned(),
    };
    let description = match ownership {
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
        roots: door.roots().iter().map(|it| root(enrollment, it)).collect(),
        identity: identity(settings, enrollment, &name, challenge),
        mdm: Mdm {
            name: name("mdm", "Device management"),
            server_url: format!("{}/apple/mdm", settings.url),
            check_in_url: format!("{}/apple/mdm", settings.url),
            topic: enrollment.topic.clone(),
            rights: Rights(u32::try_from(enrollment.rights).unwrap_or_default()),
            signs_messages: true,
            managed_account: None,
        },
    }
}

fn identity(
    settings: &AppleSettings,
    enrollment: &AppleEnrollment,
    name: &dyn Fn(&str, &str) -> Name,
    challenge: &str,
) -> Identity {
    let (challenge, subject) = (challenge.to_owned(), enrollment.id.to_string());
    match enrollment.certification {
        Certification::Scep => Identity::Scep(Scep {
            name: name("scep", "Device certificate"),
            url: format!("{}/apple/scep", settings.url),
            challenge,
            subject,
        }),
        Certification::Acme => Identity::Acme(Acme {
            name: name("acme", "Device certificate"),
            directory_url: acme::directory_url(settings),
            client_identifier: challenge,
            subject,
        }),
    }
}

/// By what it is: another file may name the same ones in another order.
fn root(enrollment: &AppleEnrollment, certificate: &Certificate) -> (Name, Vec<u8>) {
    let fingerprint = hex::encode(certificate.fingerprint());
    let name = Name {
        identifier: format!("{IDENTIFIER}.root.{fingerprint}"),
        uuid: uuid(&format!("{}/root/{fingerprint}", enrollment.id)),
        title: certificate.common_name().unwrap_or("The server’s authority").to_owned(),
    };
    (name, certificate.der().to_vec())
}

/// The same for the same text: a profile that is sent again replaces the one that is there.
pub(super) fn uuid(of: &str) -> String {
    let hash = secret::sha256(of.as_bytes());
    let hex = hex::encode_upper(hash.iter().take(16).copied().collect::<Vec<_>>());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
