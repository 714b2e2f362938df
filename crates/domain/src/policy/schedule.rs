//! What a device must follow of its policies.
use super::{Applied, Requirement};
use crate::id::PolicyId;
use crate::time::minutes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The spans a device's schedule follows: the tightest of all policies that apply to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    pub backup_every: Option<Duration>,
    pub check_in_within: Option<Duration>,
}

impl Schedule {
    /// The tightest spans of `policies`.
    pub fn tightest(policies: &[Applied]) -> Self {
        let all = || policies.iter().flat_map(|it| &it.requirements);
        let backups = all()
            .filter_map(|it| if let Requirement::BackupEvery { minutes } = it { Some(span(*minutes)) } else { None });
        let check_ins = all()
            .filter_map(|it| if let Requirement::CheckInWithin { minutes } = it { Some(span(*minutes)) } else { None });
        Self { backup_every: backups.min(), check_in_within: check_ins.min() }
    }

    /// How often to check in: `default`, or twice in the time a policy allows.
    pub fn check_in_every(&self, default: Duration) -> Duration {
        self.check_in_within.map_or(default, |it| default.min(it / 2)).max(MIN_CHECK_IN)
    }
}

/// No device is asked to check in more often.
const MIN_CHECK_IN: Duration = Duration::from_secs(5);

/// What the device must follow. `version` changes with the content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePolicy {
    pub version: String,
    /// The shortest backup interval of all policies; none if no policy asks for backups.
    pub backup_every_seconds: Option<u64>,
    pub check_in_every_seconds: u64,
    /// The folders recorded at enrolment.
    pub protected_roots: Vec<String>,
    /// Which policies apply, for the person at the device.
    #[serde(default)]
    pub policies: Vec<PolicyName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    pub id: PolicyId,
    pub name: String,
}

fn span(count: u32) -> Duration {
    minutes(u64::from(count))
}
