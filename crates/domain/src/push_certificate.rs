//! The certificate with which Apple lets a server wake devices: how it stands, and which one may take its place.
use crate::time::{Time, days};
use crate::words::counted;
use std::time::Duration;

/// What the topic of each begins with.
pub const TOPIC: &str = "com.apple.mgmt.";

/// How long before its end people are told.
pub const WARN_BEFORE: Duration = days(60);

/// How many days before the end a mail goes out.
const REMINDERS: [u64; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 14, 30, 60];

/// What Apple's portal takes, and what to do about it: nobody who runs this server can leave it out.
pub const VENDOR: &str = "Apple’s portal takes only requests that a holder of an MDM vendor certificate has signed, and \
 Holdfast has none. Members of Apple’s developer programs can ask Apple for such a certificate (“MDM CSR”) and sign the \
 request with another tool; or somebody who has one signs it for you. Give nobody more than the request: its key never \
 leaves this server.";

/// Why no profile is handed out before the topic is known.
pub const NO_TOPIC: &str = "Before Apple devices can enroll, this server needs a push certificate: whoever manages its \
 settings puts one in there, under “Apple push”.";

/// How it is renewed.
pub const RENEWAL: &str = "To renew it, sign in at identity.apple.com with the same Apple account as before, and choose \
 “Renew” beside the certificate. The topic stays the same then. “Create” makes another topic, and every device would have \
 to enroll again.";

/// A push certificate, as far as it matters to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushCertificate {
    /// `com.apple.mgmt.External.…`: what devices are told to listen to when they enroll.
    pub topic: String,
    pub until: Time,
}

/// How the waking of devices stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushStanding {
    /// There is no certificate.
    Absent,
    Good {
        until: Time,
    },
    /// It is good, and has to be renewed.
    Ends {
        until: Time,
        days: u64,
    },
    Ended {
        at: Time,
    },
}

impl PushStanding {
    /// How it stands with this certificate.
    pub fn of(certificate: Option<&PushCertificate>, now: Time) -> Self {
        let Some(PushCertificate { until, .. }) = certificate else { return Self::Absent };
        let (until, left) = (*until, until.since(now));
        if until <= now {
            Self::Ended { at: until }
        } else if left <= WARN_BEFORE {
            Self::Ends { until, days: left.as_secs() / days(1).as_secs() }
        } else {
            Self::Good { until }
        }
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "No push certificate",
            Self::Good { .. } => "In date",
            Self::Ends { .. } => "Ends soon",
            Self::Ended { .. } => "Expired",
        }
    }

    /// How it stands; `when` says a time as the reader wants it.
    pub fn sentence(self, when: &dyn Fn(Time) -> String) -> String {
        match self {
            Self::Absent => {
                "There is no push certificate: no Apple device is woken, and orders wait until it comes by itself."
                    .to_owned()
            }
            Self::Good { until } => format!("The push certificate for Apple devices is good until {}.", when(until)),
            Self::Ends { until, days: 0 } => {
                format!("The push certificate for Apple devices ends in less than a day, at {}.", when(until))
            }
            Self::Ends { until, days } => format!(
                "The push certificate for Apple devices ends in {}, on {}.",
                counted(i64::try_from(days).unwrap_or(i64::MAX), "day", "days"),
                when(until)
            ),
            Self::Ended { at } => format!(
                "The push certificate for Apple devices ended on {}: none is woken, and orders wait until it comes by \
                 itself.",
                when(at)
            ),
        }
    }

    /// Whether somebody has to do something.
    pub const fn is_due(self) -> bool {
        match self {
            Self::Good { .. } => false,
            Self::Absent | Self::Ends { .. } | Self::Ended { .. } => true,
        }
    }

    /// Which reminder is due by mail: each is sent once, and they come closer together. None if there is none.
    pub fn reminder(self) -> Option<String> {
        match self {
            Self::Absent | Self::Good { .. } => None,
            Self::Ends { until, days } => {
                let stage = REMINDERS.iter().find(|it| days <= **it)?;
                Some(format!("{}/{stage}", until.millis()))
            }
            Self::Ended { at } => Some(format!("{}/ended", at.millis())),
        }
    }
}

/// A certificate that somebody puts in, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What it says as its user id.
    pub topic: Option<String>,
    pub from: Time,
    pub until: Time,
    /// Whether it is for the key of the request that was made here.
    pub is_for_our_key: bool,
}

/// Why a certificate is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    #[error("Make a request first: there is no key here that a certificate could belong to.")]
    NoRequest,
    #[error("This is not one certificate in PEM, which begins with -----BEGIN CERTIFICATE-----.")]
    Unreadable,
    #[error("This certificate belongs to another key than that of the request on this page.")]
    OtherKey,
    #[error(
        "This is no push certificate for device management: its user ID does not begin with com.apple.mgmt. and a name."
    )]
    NoTopic,
    #[error("This certificate ended on {}.", .0.iso())]
    Ended(Time),
    #[error("This certificate is good only from {} on. Is the server’s clock right?", .0.iso())]
    Early(Time),
    #[error(
        "This certificate has another topic, {topic}, than the profiles of {}: all of them would have to enroll again. \
         Renew the present certificate at identity.apple.com instead of making another.",
        counted(*.devices, "enrolled device", "enrolled devices")
    )]
    OtherTopic { topic: String, devices: i64 },
}

impl Offered {
    /// The certificate, if this server can use it.
    ///
    /// # Errors
    /// When it is another key's, no push certificate, or out of date.
    pub fn accept(self, now: Time) -> Result<PushCertificate, PushRefusal> {
        if !self.is_for_our_key {
            return Err(PushRefusal::OtherKey);
        }
        let is_name = |it: &str| it.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        let is_topic = |it: &String| it.strip_prefix(TOPIC).is_some_and(|rest| !rest.is_empty() && is_name(rest));
        let topic = self.topic.filter(|it| it.len() <= 255 && is_topic(it)).ok_or(PushRefusal::NoTopic)?;
        if self.until <= now {
            return Err(PushRefusal::Ended(self.until));
        }
        if self.from > now {
            return Err(PushRefusal::Early(self.from));
        }
        Ok(PushCertificate { topic, until: self.until })
    }
}

impl PushCertificate {
    /// Whether it may take the place of the present one, where `devices` are enrolled with another topic.
    ///
    /// # Errors
    /// When there are any: none of them could be woken any more.
    pub fn reaches_all(self, devices: i64) -> Result<Self, PushRefusal> {
        match devices {
            0 => Ok(self),
            devices => Err(PushRefusal::OtherTopic { topic: self.topic, devices }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn until(until: Time) -> PushCertificate {
        PushCertificate { topic: "com.apple.mgmt.External.1".to_owned(), until }
    }

    fn standing(left: Duration) -> PushStanding {
        PushStanding::of(Some(&until(NOW + left)), NOW)
    }

    #[test]
    fn sixty_days_before_its_end_somebody_has_to_renew_it() {
        let second = Duration::from_secs(1);
        assert!(!standing(days(60) + second).is_due());
        assert_eq!(standing(days(60)), PushStanding::Ends { until: NOW + days(60), days: 60 });
        assert_eq!(standing(second), PushStanding::Ends { until: NOW + second, days: 0 });
        assert_eq!(standing(Duration::ZERO), PushStanding::Ended { at: NOW });
        assert_eq!(PushStanding::of(None, NOW), PushStanding::Absent);
        assert!(PushStanding::Absent.is_due());
    }

    #[test]
    fn reminders_come_at_most_once_a_day_and_closer_together() {
        let all: Vec<_> = (0..=70).rev().filter_map(|it| standing(days(it)).reminder()).collect();
        // The same certificate each time, so that only the stage differs.
        let stages: Vec<_> = all.iter().map(|it| it.split_once('/').unwrap().1.to_owned()).collect();
        let told: BTreeSet<_> = stages.iter().cloned().collect();
        assert_eq!(told.len(), 11, "{told:?}");
        let first = |stage: &str| 60 - stages.iter().position(|it| it == stage).unwrap();
        assert_eq!(
            (first("60"), first("30"), first("14"), first("7"), first("1"), first("ended")),
            (60, 30, 14, 7, 1, 0)
        );
        assert_eq!(standing(days(61)).reminder(), None);
        assert_eq!(PushStanding::Absent.reminder(), None, "the page says it");
        let renewed = PushStanding::of(Some(&until(NOW + days(365))), NOW + days(340)).reminder();
        assert_ne!(renewed, standing(days(25)).reminder(), "the next certificate has its own");
    }

    #[test]
    fn only_a_push_certificate_for_our_key_and_in_date_is_accepted() {
        let good = || Offered {
            topic: Some("com.apple.mgmt.External.1".to_owned()),
            from: NOW,
            until: NOW + days(365),
            is_for_our_key: true,
        };
        assert_eq!(good().accept(NOW), Ok(until(NOW + days(365))));
        let topic = |it: &str| Offered { topic: Some(it.to_owned()), ..good() };
        let long = format!("com.apple.mgmt.{}", "a".repeat(300));
        for (offered, why) in [
            (Offered { is_for_our_key: false, ..good() }, PushRefusal::OtherKey),
            (Offered { topic: None, ..good() }, PushRefusal::NoTopic),
            (topic("com.apple.mgmt."), PushRefusal::NoTopic),
            (topic("com.example.app"), PushRefusal::NoTopic),
            (topic("com.apple.mgmt.a\r\nb"), PushRefusal::NoTopic),
            (topic(&long), PushRefusal::NoTopic),
            (Offered { until: NOW, ..good() }, PushRefusal::Ended(NOW)),
            (Offered { from: NOW + days(1), ..good() }, PushRefusal::Early(NOW + days(1))),
        ] {
            assert_eq!(offered.accept(NOW), Err(why));
        }
    }

    #[test]
    fn another_topic_is_refused_while_a_device_is_enrolled() {
        let certificate = until(NOW + days(365));
        assert_eq!(certificate.clone().reaches_all(0), Ok(certificate.clone()));
        let why = certificate.reaches_all(2).unwrap_err().to_string();
        assert!(why.contains("2 enrolled devices: all of them would have to enroll again"), "{why}");
    }
}
