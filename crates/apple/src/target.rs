//! What a device is, as far as it decides what may be asked of it.
use std::fmt;

/// An operating system with this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// iOS, and iPadOS, which has its version numbers.
    Ios,
    Macos,
}

impl System {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ios => "iOS",
            Self::Macos => "macOS",
        }
    }
}

/// A version, such as 17.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16);

impl Version {
    /// Reads one; parts that are not there are 0. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        let first = parts.next()?.ok()?;
        let mut further = || parts.next().transpose().ok().map(Option::unwrap_or_default);
        Some(Self(first, further()?, further()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(formatter, "{major}.{minor}")?;
        if *patch > 0 { write!(formatter, ".{patch}") } else { Ok(()) }
    }
}

/// What an enrolment allows its server: bits of `AccessRights` in its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(pub u32);

impl Rights {
    pub const INSPECT_PROFILES: Self = Self(1);
    pub const INSTALL_PROFILES: Self = Self(2);
    pub const LOCK_AND_CLEAR_PASSCODE: Self = Self(4);
    pub const ERASE: Self = Self(8);
    pub const QUERY_DEVICE: Self = Self(16);
    pub const QUERY_APPLICATIONS: Self = Self(256);
    pub const QUERY_SECURITY: Self = Self(1024);
    /// All there are.
    pub const ALL: Self = Self(8191);

    /// Whether all of `other` are among them.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A device, for what it can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub system: System,
    pub version: Version,
    /// Owned by the organisation, which said so to Apple or by cable.
    pub is_supervised: bool,
    /// Enrolled by its user, whose it stays.
    pub is_personal: bool,
    pub rights: Rights,
}

impl Target {
    /// Whether it has one of these versions or a later one; none: not on this system.
    pub fn is_at_least(&self, ios: Option<Version>, macos: Option<Version>) -> bool {
        let since = match self.system {
            System::Ios => ios,
            System::Macos => macos,
        };
        since.is_some_and(|it| self.version >= it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order_and_what_is_none_is_none() {
        let read = |text| Version::parse(text);
        assert_eq!(read("17"), Some(Version(17, 0, 0)));
        assert_eq!(read("10.13.2").map(|it| it.to_string()).as_deref(), Some("10.13.2"));
        assert!(read("9.3") < read("10.0") && read("17.0.1") > read("17.0"));
        for bad in ["", "seventeen", "17.x", "17.0.x", "n/a", "-1", "99999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
