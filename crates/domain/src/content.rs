//! Reading what devices backed up: each time somebody does, and how it ended.
use crate::activity::Action;
use crate::text::text_enum;

text_enum! {
    /// What somebody read in a restore point.
    ReadKind {
        /// The names in a folder, or what is known of a file.
        List = "list",
        /// In which restore points a name is.
        Search = "search",
        /// What two restore points differ in.
        Compare = "compare",
        /// A file, or a folder as an archive.
        Download = "download",
    }
}

impl ReadKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "Looked at",
            Self::Search => "Searched",
            Self::Compare => "Compared",
            Self::Download => "Downloaded",
        }
    }

    /// The act of the history.
    pub const fn action(self) -> Action {
        match self {
            Self::List => Action::ContentsListed,
            Self::Search => Action::ContentsSearched,
            Self::Compare => Action::ContentsCompared,
            Self::Download => Action::ContentsDownloaded,
        }
    }
}

text_enum! {
    /// How a download ended.
    ReadOutcome {
        /// All of it was sent.
        Complete = "complete",
        /// All of it was sent except what is damaged in the store, which is named in it.
        LeftOut = "left_out",
        /// It ended before its end.
        BrokenOff = "broken_off",
    }
}

impl ReadOutcome {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::LeftOut => "Without what is damaged",
            Self::BrokenOff => "Broken off",
        }
    }
}
