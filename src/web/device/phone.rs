//! "Proven restorable" of a phone or tablet: each app keeps its files to itself there, so nothing can be backed up from here,
//! and what its maker's cloud has nobody else can look at.
use super::answer::{self, Answer, ProofFacts};
use crate::web::layout::Layout;
use domain::device::{Ownership, Platform};
use domain::fact::{FactKind, FactValue, Facts};
use domain::time::Time;

/// The answer of any device. Of a phone it is neither green nor red: nobody knows.
pub fn proven(
    proof: &ProofFacts<'_>,
    (platform, ownership): (Platform, Ownership),
    facts: &Facts,
    layout: &Layout,
) -> Answer {
    match platform {
        Platform::Ios | Platform::Ipados if !proof.can_back_up && proof.newest.is_none() => Answer {
            tone: "",
            icon: "circle-help",
            headline: "Cannot say".to_owned(),
            lines: vec![sentence(ownership, facts, &|at| layout.zone.short(at))],
        },
        Platform::Ios
        | Platform::Ipados
        | Platform::Android
        | Platform::Linux
        | Platform::Macos
        | Platform::Windows => answer::proven(proof, layout),
    }
}

/// What Apple reports of the backup that it keeps itself.
fn sentence(ownership: Ownership, facts: &Facts, told: &dyn Fn(Time) -> String) -> String {
    let value = |kind| facts.get(kind).map(|it| &it.value);
    let last = value(FactKind::LastCloudBackup)
        .and_then(|it| if let FactValue::Number(at) = it { Some(Time::from_millis(*at)) } else { None });
    let is_on =
        value(FactKind::CloudBackup).and_then(|it| if let FactValue::Flag(is_on) = it { Some(*is_on) } else { None });
    match (ownership, last, is_on) {
        (_, Some(at), Some(false)) => format!(
            "Apple reports a backup on {}, and that backups are switched off since. We cannot test it.",
            told(at)
        ),
        (_, Some(at), Some(true) | None) => format!("Apple reports a backup on {}. We cannot test it.", told(at)),
        (_, None, Some(true)) => "Apple reports that backups are switched on, and none so far.".to_owned(),
        (_, None, Some(false)) => "Apple reports that backups are switched off.".to_owned(),
        (Ownership::Personal, None, None) => {
            "This server does not ask a personal device whether Apple has a backup of it.".to_owned()
        }
        (Ownership::Company, None, None) => "The device has not said whether Apple has a backup of it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fact::Reported;

    #[test]
    fn what_apple_reports_is_told_as_its_word_and_never_as_proven() {
        let facts = |on: Option<bool>, last: Option<i64>| {
            let on = on.map(|it| (FactKind::CloudBackup, FactValue::Flag(it)));
            let last = last.map(|it| (FactKind::LastCloudBackup, FactValue::Number(it)));
            let now = Time::from_millis(1);
            let said = on.into_iter().chain(last).map(|(kind, value)| Reported {
                kind,
                value,
                source: "DeviceInformation".to_owned(),
                measured_at: now,
            });
            Facts::default().with(said, now)
        };
        let told = |ownership, on, last| sentence(ownership, &facts(on, last), &|_| "12 Nov".to_owned());
        let company = |on, last| told(Ownership::Company, on, last);
        assert_eq!(company(Some(true), Some(5)), "Apple reports a backup on 12 Nov. We cannot test it.");
        assert!(company(Some(false), Some(5)).contains("switched off since. We cannot test it."));
        assert_eq!(company(Some(true), None), "Apple reports that backups are switched on, and none so far.");
        assert_eq!(company(Some(false), None), "Apple reports that backups are switched off.");
        assert_eq!(company(None, None), "The device has not said whether Apple has a backup of it.");
        assert!(told(Ownership::Personal, None, None).contains("does not ask a personal device"));
    }
}
