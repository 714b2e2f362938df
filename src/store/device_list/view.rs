//! The saved views of the list.
use domain::loss::Part;

/// A saved view of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    All,
    Failed,
    NeverProven,
    OutOfDate,
    /// Only part of the newest tested backup came back and was compared.
    Partial,
    NotEncrypted,
    Silent,
    /// The server holds nothing from the device.
    LoseAll,
    /// Something changed since the proof, or no proof holds.
    AtRisk,
    /// What is on the device is not known, or there is no data yet.
    CannotSay,
    /// All of it is proven, and nothing changed since.
    Restorable,
    /// Any part except the last.
    NotRestorable,
    /// A tenth or less of its backup space is left.
    NearlyFull,
    /// It is not known which machine reports as the device: a clone, or state from an older image.
    InDoubt,
}

impl View {
    /// The views of the pills, in their order.
    pub const PILLS: &'static [Self] =
        &[Self::All, Self::Failed, Self::NeverProven, Self::Partial, Self::OutOfDate, Self::NotEncrypted, Self::Silent];
    /// The four parts of "If we lost…": every enrolled device is in exactly one.
    pub const PARTS: &'static [Self] = &[Self::LoseAll, Self::AtRisk, Self::CannotSay, Self::Restorable];
    /// Every view.
    pub const ALL: &'static [Self] = &[
        Self::All,
        Self::Failed,
        Self::NeverProven,
        Self::Partial,
        Self::OutOfDate,
        Self::NotEncrypted,
        Self::Silent,
        Self::LoseAll,
        Self::AtRisk,
        Self::CannotSay,
        Self::Restorable,
        Self::NotRestorable,
        Self::NearlyFull,
        Self::InDoubt,
    ];

    /// The word in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failed => "failed",
            Self::NeverProven => "never_proven",
            Self::OutOfDate => "out_of_date",
            Self::Partial => "partial",
            Self::NotEncrypted => "not_encrypted",
            Self::Silent => "silent",
            Self::LoseAll => Part::LoseAll.as_str(),
            Self::AtRisk => Part::AtRisk.as_str(),
            Self::CannotSay => Part::CannotSay.as_str(),
            Self::Restorable => Part::Restorable.as_str(),
            Self::NotRestorable => "not_restorable",
            Self::NearlyFull => "nearly_full",
            Self::InDoubt => "in_doubt",
        }
    }

    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Failed => "Failed",
            Self::NeverProven => "Never proven",
            Self::OutOfDate => "Proof out of date",
            Self::Partial => "Partly proven",
            Self::NotEncrypted => "Not encrypted",
            Self::Silent => "Silent",
            Self::LoseAll => "Would lose everything",
            Self::AtRisk => "Would lose recent work",
            Self::CannotSay => "Cannot say",
            Self::Restorable => "Proven to come back",
            Self::NotRestorable => "Not proven to come back",
            Self::NearlyFull => "Backups nearly full",
            Self::InDoubt => "Two machines, perhaps",
        }
    }

    /// The view of a word; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }
}
