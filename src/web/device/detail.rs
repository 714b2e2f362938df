//! The details of a device, in words.
use super::answer;
use crate::error::Result;
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::backup_attempt::BackupAttempt;
use crate::store::device::Device;
use crate::web::filter::bytes;
use crate::web::layout::Layout;
use domain::device::Encryption;
use domain::fact::{FactKind, FactValue, Facts, Unit};
use domain::key_holder::NO_PROOF;
use domain::policy::Value;
use domain::time::Time;

/// A line of the details, with where it comes from.
pub(super) struct Detail {
    pub name: &'static str,
    pub value: String,
    pub source: String,
}

/// The value that a requirement was checked against, in words.
pub(in crate::web) fn measured(layout: &Layout, value: &Value) -> String {
    match value {
        Value::Nothing => "Nothing known".to_owned(),
        Value::Encryption(Encryption::On) => "Encrypted".to_owned(),
        Value::Encryption(Encryption::Off) => "Not encrypted".to_owned(),
        Value::Encryption(Encryption::Unknown) => "Unknown".to_owned(),
        Value::At(at) => layout.since(at),
        Value::Version(version) => version.clone(),
        Value::Passcode(true) => "Set".to_owned(),
        Value::Passcode(false) => "Not set".to_owned(),
        Value::NoKey => NO_PROOF.to_owned(),
    }
}

/// What is known of it, the server's own knowledge first.
pub(super) fn details(
    device: &Device,
    agent: Option<&AgentEnrollment>,
    address: &str,
    attempt: Option<&BackupAttempt>,
    facts: &Facts,
    layout: &Layout,
) -> Result<Vec<Detail>> {
    let mut details = Vec::new();
    let mut known = |name, value: String| details.push(Detail { name, value, source: String::new() });
    known("Model", device.model.clone());
    known("Operating system", device.os_version.clone());
    known("Ownership", device.ownership.name().to_owned());
    known("Enrolled", layout.zone.full(device.enrolled_at));
    known("Enrolment", format!("number {}", device.generation));
    if let Some(agent) = agent {
        known("Agent", agent.version.clone());
        known("Protected folders", agent.roots()?.join(", "));
    }
    known("Address", address.to_owned());
    if let Some(attempt) = attempt {
        known("Last backup attempt", layout.zone.full(attempt.tried_at));
    }
    let always = [FactKind::PasscodeSet, FactKind::FreeBytes, FactKind::BatteryPercent];
    // Only our agent counts what differs.
    for kind in always.into_iter().chain(agent.map(|_| FactKind::Changes)) {
        let (value, source) = match facts.get(kind) {
            Some(fact) => (fact_value(kind, &fact.value, layout), answer::said(fact, layout)),
            None => ("Unknown".to_owned(), String::new()),
        };
        details.push(Detail { name: kind.name(), value, source });
    }
    // Only some channels bring these: of the others it is not unknown, there is none.
    for kind in [
        FactKind::Supervised,
        FactKind::LostMode,
        FactKind::ActivationLock,
        FactKind::RecoveryKeySet,
        FactKind::CloudBackup,
        FactKind::LastCloudBackup,
    ] {
        if let Some(fact) = facts.get(kind) {
            let (value, source) = (fact_value(kind, &fact.value, layout), answer::said(fact, layout));
            details.push(Detail { name: kind.name(), value, source });
        }
    }
    details.retain(|it| !it.value.is_empty());
    Ok(details)
}

/// A fact's value in words.
fn fact_value(kind: FactKind, value: &FactValue, layout: &Layout) -> String {
    match value {
        FactValue::Flag(is_so) => match (kind, is_so) {
            (FactKind::PasscodeSet, true) => "Set".to_owned(),
            (FactKind::PasscodeSet, false) => "Not set".to_owned(),
            (_, true) => "Yes".to_owned(),
            (_, false) => "No".to_owned(),
        },
        FactValue::Number(count) => match kind.unit() {
            Unit::Bytes => bytes(*count),
            Unit::Percent => format!("{count} %"),
            Unit::Moment => layout.zone.full(Time::from_millis(*count)),
            Unit::None => count.to_string(),
        },
        FactValue::Text(text) => text.clone(),
        FactValue::Encryption(it) => it.method.clone(),
        FactValue::Changes(it) => format!("{}, {}", layout.files(it.files), bytes(it.bytes)),
        FactValue::Paths(paths) => paths.join(", "),
    }
}
