//! What can be chosen where a device erases itself by its maker's own means.
use crate::device::Platform;
use crate::policy::{Compliance, at_least};
use crate::text::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    /// What a Mac does if it cannot erase its contents and settings and would have to destroy its whole system.
    /// Source: Apple, `EraseDevice`, `ObliterationBehavior`.
    Obliteration {
        Default = "default",
        DoNotObliterate = "do_not_obliterate",
        ObliterateWithWarning = "obliterate_with_warning",
        Always = "always",
    }
}

impl Obliteration {
    /// What it means, for whoever chooses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "Destroy the system then, after answering with an error",
            Self::DoNotObliterate => "Answer with an error then, and erase nothing",
            Self::ObliterateWithWarning => "Destroy the system then, after answering that all is well",
            Self::Always => "Always destroy the whole system: macOS has to be installed again",
        }
    }

    /// Whether the device may have erased itself although it answered with an error.
    pub const fn errs_and_erases(self) -> bool {
        matches!(self, Self::Default)
    }
}

/// How a device erases itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Erasure {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obliteration: Option<Obliteration>,
    /// It keeps its eSIM, and can be reached over the mobile network.
    #[serde(skip_serializing_if = "is_off")]
    pub keeps_data_plan: bool,
    /// It cannot be set up from another phone that is near.
    #[serde(skip_serializing_if = "is_off")]
    pub refuses_proximity_setup: bool,
    /// It comes back by itself and enrolls again, without anybody touching it.
    #[serde(skip_serializing_if = "is_off")]
    pub returns_to_service: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
const fn is_off(flag: &bool) -> bool {
    !*flag
}

impl Erasure {
    /// What each choice says, on the form and wherever it is repeated.
    pub const KEEPS_DATA_PLAN: &str =
        "It keeps its mobile data plan (eSIM), so that it is reached over the mobile network";
    pub const REFUSES_PROXIMITY_SETUP: &str = "It cannot be set up from another phone near it (iOS 11.3 or newer)";
    pub const RETURNS_TO_SERVICE: &str = "It comes back by itself and enrolls again (iOS 17 or newer, with a network that needs no password, or a cable)";

    /// Whether nothing was chosen.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// What of it a device of this system does not know, which it would be sent without. `os_version` is such as `iOS 17.5`.
    pub fn refusal(&self, platform: Platform, os_version: &str) -> Option<String> {
        let since = |least: &str| {
            let has = os_version.rsplit(' ').next().unwrap_or_default();
            at_least(has, least) == Compliance::Compliant
        };
        let is_phone = matches!(platform, Platform::Ios | Platform::Ipados);
        let is_mac = platform == Platform::Macos;
        let all = [
            (self.obliteration.is_some(), is_mac && since("12"), "a Mac with macOS 12"),
            (self.keeps_data_plan, is_phone && since("11"), "an iPhone or iPad with iOS 11"),
            (self.refuses_proximity_setup, is_phone && since("11.3"), "an iPhone or iPad with iOS 11.3"),
            (self.returns_to_service, is_phone && since("17"), "an iPhone or iPad with iOS 17"),
        ];
        let (_, _, needs) = all.into_iter().find(|(is_chosen, can, _)| *is_chosen && !can)?;
        Some(format!("what was chosen needs {needs} or newer, and the device has {os_version}"))
    }

    /// Whether an error still leaves open whether the device was erased: a Mac to which nothing else was said.
    pub fn errs_and_erases(&self) -> bool {
        self.obliteration.is_none_or(Obliteration::errs_and_erases)
    }

    /// What was chosen, in words; empty if nothing was.
    pub fn words(&self) -> Vec<&'static str> {
        let chosen = [
            (self.keeps_data_plan, Self::KEEPS_DATA_PLAN),
            (self.refuses_proximity_setup, Self::REFUSES_PROXIMITY_SETUP),
            (self.returns_to_service, Self::RETURNS_TO_SERVICE),
        ];
        let flags = chosen.into_iter().filter_map(|(is_on, text)| is_on.then_some(text));
        self.obliteration.map(Obliteration::name).into_iter().chain(flags).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mac_that_was_told_so_erases_nothing_after_an_error() {
        let of = |obliteration| Erasure { obliteration, ..Erasure::default() }.errs_and_erases();
        assert!(of(None) && of(Some(Obliteration::Default)));
        assert!(!of(Some(Obliteration::DoNotObliterate)) && !of(Some(Obliteration::Always)));
    }

    #[test]
    fn what_a_device_does_not_know_is_not_promised() {
        let refusal = |erasure: Erasure, platform, version| erasure.refusal(platform, version);
        let obliteration = Erasure { obliteration: Some(Obliteration::DoNotObliterate), ..Erasure::default() };
        assert!(refusal(obliteration.clone(), Platform::Macos, "macOS 11.7").is_some());
        assert_eq!(refusal(obliteration.clone(), Platform::Macos, "macOS 14.5"), None);
        assert!(refusal(obliteration, Platform::Ios, "iOS 17.5").is_some());
        let back = Erasure { returns_to_service: true, ..Erasure::default() };
        assert!(refusal(back.clone(), Platform::Ios, "iOS 16.7").unwrap().contains("iOS 17"));
        assert_eq!(refusal(back, Platform::Ipados, "iPadOS 17.0"), None);
        assert_eq!(refusal(Erasure::default(), Platform::Linux, ""), None);
    }

    #[test]
    fn what_was_not_chosen_is_not_written() {
        assert_eq!(serde_json::to_string(&Erasure::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<Erasure>("{}").unwrap().is_plain());
        let chosen = Erasure { keeps_data_plan: true, obliteration: Some(Obliteration::Always), ..Erasure::default() };
        let json = serde_json::to_string(&chosen).unwrap();
        assert_eq!(json, "{\"obliteration\":\"always\",\"keeps_data_plan\":true}");
        assert_eq!((serde_json::from_str(&json).ok().as_ref(), chosen.words().len()), (Some(&chosen), 2));
    }
}
