//! Secrets in a device's answers: they are encrypted again, with a key of this server, before they are kept.
use crate::error::Result;
use crate::protocol::apple::authority::Opened;
use crate::service::device_secret::Sealed;
use crate::store::device_secret::DeviceSecret;
use apple::certificate::Strength;
use apple::cms;
use apple::plist::{Dictionary, Read};
use domain::device_secret::SecretKind;
use domain::id::DeviceId;
use domain::name;

/// The longest secret that is kept, in characters.
const MAX_SECRET: usize = 100;

/// The secrets in an answer that are not those that are kept already, encrypted for the database.
///
/// # Errors
/// When one that is kept cannot be opened. What a device sends and nobody can read is left out, and logged.
pub fn secrets(
    opened: &Opened,
    (device, generation): (DeviceId, i64),
    kept: &[DeviceSecret],
    answer: &Dictionary,
) -> Result<Vec<Sealed>> {
    let mut found = Vec::new();
    for (kind, text) in said(opened, device, answer) {
        let of_kind = |it: &&DeviceSecret| it.kind == kind && it.generation == generation;
        let current = kept.iter().filter(of_kind).find(|it| it.confirmed_at.is_some() && it.ended_at.is_none());
        let is_known = match current {
            Some(current) => opened.unseal_secret(current)? == text,
            None => false,
        };
        if !is_known {
            found.push(opened.seal_secret((device, kind), &text)?);
        }
    }
    Ok(found)
}

fn said(opened: &Opened, device: DeviceId, answer: &Dictionary) -> Vec<(SecretKind, String)> {
    let security = answer.dictionary("SecurityInfo").and_then(|it| it.data("FDE_PersonalRecoveryKeyCMS"));
    let rotated = answer.dictionary("RotateResult").and_then(|it| it.data("EncryptedNewRecoveryKey"));
    let keys = [security, rotated].into_iter().flatten().filter_map(|it| key(opened, device, it));
    let code = answer.text("ActivationLockBypassCode").map(ToOwned::to_owned).filter(|it| is_secret(it));
    let code = code.map(|it| (SecretKind::BypassCode, it));
    keys.map(|it| (SecretKind::RecoveryKey, it)).chain(code).collect()
}

/// A recovery key that was encrypted to this server.
fn key(opened: &Opened, device: DeviceId, envelope: &[u8]) -> Option<String> {
    let registrar = &opened.registrar;
    let plain = cms::decrypt(envelope, &registrar.certificate, &registrar.key, Strength::WithLegacy)
        .inspect_err(
            |why| tracing::warn!(%device, %why, "a recovery key cannot be read: it was encrypted to another key"),
        )
        .ok()?;
    let text = str::from_utf8(&plain.content).ok()?.trim().to_owned();
    is_secret(&text).then_some(text)
}

fn is_secret(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_SECRET && name::is_plain(text)
}
