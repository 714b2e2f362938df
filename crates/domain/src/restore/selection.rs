//! Which files of a restore point are wanted.
use crate::manifest::ManifestFile;
use crate::text::text_enum;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How many paths may be chosen one by one.
pub const MAX_PATHS: usize = 10_000;

/// Which part of a restore point is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    All,
    Class(FileClass),
    /// Files and folders in the manifest's spelling; a folder means everything below it.
    Paths(Vec<String>),
}

impl Selection {
    /// What is chosen, ready to be checked file by file.
    pub fn chosen(&self) -> Chosen<'_> {
        match self {
            Self::All => Chosen::All,
            Self::Class(class) => Chosen::Class(*class),
            Self::Paths(paths) => Chosen::below(paths),
        }
    }

    /// The paths as in an order; an empty list means everything.
    pub fn paths(&self, files: &[ManifestFile]) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Class(class) => {
                files.iter().map(|it| &it.path).filter(|it| FileClass::of(it) == *class).cloned().collect()
            }
            Self::Paths(chosen) => chosen.clone(),
        }
    }
}

/// A [`Selection`] prepared for checking many files, and possibly naming many.
#[derive(Debug)]
pub enum Chosen<'a> {
    All,
    Class(FileClass),
    /// Without a trailing slash.
    Below(HashSet<&'a str>),
}

impl<'a> Chosen<'a> {
    /// Files, and folders with everything below them.
    pub fn below(paths: &'a [String]) -> Self {
        Self::Below(paths.iter().map(|it| it.trim_end_matches('/')).collect())
    }

    /// Whether a file is chosen.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Class(class) => FileClass::of(path) == *class,
            Self::Below(paths) => {
                let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
                paths.contains(path) || above.any(|it| paths.contains(it))
            }
        }
    }
}

text_enum! {
    /// What kind of thing a file is, judged by its extension.
    FileClass {
        Contacts = "contacts", Calendars = "calendars", Photos = "photos",
        Documents = "documents", AppData = "app_data",
    }
}

impl FileClass {
    /// The name on a form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Calendars => "Calendars",
            Self::Photos => "Photos",
            Self::Documents => "Documents",
            Self::AppData => "App data and everything else",
        }
    }

    /// The class of a path.
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or(String::new(), |(_, it)| it.to_ascii_lowercase());
        match ending.as_str() {
            "vcf" | "vcard" => Self::Contacts,
            "ics" | "ical" => Self::Calendars,
            "jpg" | "jpeg" | "png" | "gif" | "webp" | "heic" | "heif" | "tif" | "tiff" | "bmp" | "raw" | "dng"
            | "mp4" | "mov" => Self::Photos,
            "pdf" | "doc" | "docx" | "odt" | "xls" | "xlsx" | "ods" | "csv" | "ppt" | "pptx" | "odp" | "txt" | "md"
            | "rtf" | "html" | "tex" => Self::Documents,
            _ => Self::AppData,
        }
    }
}
