//! A loss in words: short for lists, a headline and lines for pages, sentences for mails, and what is agreed to.
use super::{Amount, Loss, Unknown, Verdict};
use crate::device::DeviceState;
use crate::key_holder::{CAPPED, GOES_WITH_IT, KeyHolder};
use crate::proof::Grade;
use crate::time::Time;
use crate::words::{bytes, capital, counted, files, number};

/// How times are written: in the reader's zone on a page, in UTC elsewhere.
pub type Say<'a> = &'a dyn Fn(Time) -> String;

/// "1 file (10 B)".
fn amount(it: Amount) -> String {
    format!("{} ({})", files(it.files), bytes(it.bytes))
}

const fn verb(count: i64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

impl Unknown {
    /// "Not known since 22 Nov 21:59".
    pub fn short(&self, say: Say<'_>) -> String {
        match self {
            Self::StoreAway(since) => format!("Not known since {}: the backups cannot be read", say(*since)),
            Self::Clock => "Not known: the server’s clock is wrong".to_owned(),
            Self::RootsAway(roots) => format!("Not known: {}", away(roots)),
            Self::TwoMachines => "Not known: two machines may have this identity".to_owned(),
            Self::Silent(since) | Self::NotCounted(Some(since)) => format!("Not known since {}", say(*since)),
            Self::NotCounted(None) => "Not known: the device has not counted its files".to_owned(),
        }
    }

    /// Why, in a sentence.
    fn line(&self, say: Say<'_>) -> String {
        match self {
            Self::StoreAway(since) => {
                format!(
                    "The backup store has been unreadable since {}, so nothing in it can be counted on.",
                    say(*since)
                )
            }
            Self::Clock => "The server’s clock is behind what it knows about this device: check the clock.".to_owned(),
            Self::RootsAway(roots) => {
                format!("When the device looked, {}: the disk may not be mounted there.", away(roots))
            }
            Self::TwoMachines => {
                "Two machines may have this device’s identity, and each counts only its own files.".to_owned()
            }
            Self::Silent(since) => {
                format!(
                    "What is on the device is unknown: it last checked in at {} and has missed two check-ins since.",
                    say(*since)
                )
            }
            Self::NotCounted(Some(since)) => {
                format!(
                    "What is on the device is unknown: it checks in, but has not counted its files since {}.",
                    say(*since)
                )
            }
            Self::NotCounted(None) => "What is on the device is unknown: it has never counted its files.".to_owned(),
        }
    }
}

/// "/mnt/disk does not carry its mark": the folder itself may be there but empty because a disk is not mounted.
fn away(roots: &[String]) -> String {
    match roots {
        [] => "a folder does not carry its mark".to_owned(),
        [one] => format!("{one} does not carry its mark"),
        [one, other] => format!("{one} and {other} do not carry their marks"),
        [one, rest @ ..] => format!("{one} and {} more folders do not carry their marks", number(rest.len())),
    }
}

/// What became of a device that is not enrolled.
const fn ended(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Wiped => "This device has been wiped. Its backups are kept.",
        DeviceState::CompanyDataRemoved => {
            "The key to its backups is gone from the device, and no folder was touched. Its backups are kept."
        }
        DeviceState::WipeFailed => {
            "Something was left on the device, and its key is gone: erase it by hand, then remove it or enroll it again."
        }
        DeviceState::RemovalFailed => {
            "The key to its backups may still be on the device. The server no longer accepts it; remove the device or enroll it again."
        }
        DeviceState::Removed => "This device was removed from the lists. Any backups it has are kept.",
        DeviceState::Enrolled => "This device is enrolled.",
    }
}

impl Loss {
    /// In a few words, for a list: "Lose 4, risk 92".
    pub fn short(&self, say: Say<'_>) -> String {
        match self.verdict {
            Verdict::Ended(state) => state.name().to_owned(),
            Verdict::NoData => "No data yet".to_owned(),
            Verdict::Everything => "Lose everything".to_owned(),
            Verdict::Unknown => self.not_known(say),
            Verdict::Nothing => "Nothing".to_owned(),
            Verdict::Some => {
                let mut parts = Vec::new();
                match self.lost() {
                    Some(lost) if lost.files > 0 => parts.push(format!("lose {}", number(lost.files))),
                    Some(_) => {}
                    None => parts.push(format!("lose at least {}", number(self.damaged.amount.files))),
                }
                parts.extend(self.short_risk());
                if let Some(unknown) = &self.unknown {
                    parts.push(lower(&unknown.short(say)));
                }
                capital(&parts.join(", "))
            }
        }
    }

    fn short_risk(&self) -> Option<String> {
        match (self.not_proven, self.proof_holds()) {
            (Some(it), true) if it.files == 0 => None,
            (Some(it), true) => Some(format!("risk {}", number(it.files))),
            (None, true) => Some("risk not known".to_owned()),
            (Some(it), false) if it.files > 0 => Some(format!("risk all {}", number(it.files))),
            (Some(_), false) => Some("no proof holds".to_owned()),
            (None, false) => Some("risk all".to_owned()),
        }
    }

    fn not_known(&self, say: Say<'_>) -> String {
        self.unknown.as_ref().map_or_else(|| "Not known".to_owned(), |it| it.short(say))
    }

    /// The answer on a page: "4 files lost, 92 not proven".
    pub fn headline(&self, say: Say<'_>) -> String {
        match self.verdict {
            Verdict::Ended(state) => state.name().to_owned(),
            Verdict::NoData => "No data yet".to_owned(),
            Verdict::Everything => "Everything would be lost".to_owned(),
            Verdict::Unknown => self.not_known(say),
            Verdict::Nothing => "Nothing would be lost".to_owned(),
            Verdict::Some => {
                let lost = match self.lost() {
                    Some(it) if it.files == 0 => None,
                    Some(it) => Some(format!("{} lost", files(it.files))),
                    None => Some(format!("At least {} lost", files(self.damaged.amount.files))),
                };
                let risk = match (self.not_proven, self.proof_holds()) {
                    (Some(it), _) if it.files > 0 && lost.is_some() => Some(format!("{} not proven", number(it.files))),
                    (Some(it), _) if it.files > 0 => Some(format!("{} not proven", files(it.files))),
                    (Some(_), true) => None,
                    (None, true) => Some("newest backup not proven".to_owned()),
                    (Some(_) | None, false) => Some("nothing in the backup is proven".to_owned()),
                };
                capital(&[lost, risk].into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The layers in sentences, under the headline.
    pub fn lines(&self, say: Say<'_>) -> Vec<String> {
        match self.verdict {
            Verdict::Ended(state) => vec![ended(state).to_owned()],
            Verdict::NoData => {
                let what = if self.newest.is_some() { "no backup holds any" } else { "there is no backup" };
                vec![format!("The device counted no files in its folders, and {what}.")]
            }
            Verdict::Nothing => {
                let at = self.proven.map(|it| format!(" up to {}", say(it.at))).unwrap_or_default();
                vec![format!("All data{at} was restored and compared.")]
            }
            Verdict::Everything | Verdict::Unknown | Verdict::Some => {
                let mut lines = self.first_layer(say);
                lines.extend(self.damage());
                lines.extend(self.second_layer(say));
                lines.extend(self.third_layer(say));
                if self.key_holder == KeyHolder::Customer && self.verdict != Verdict::Everything {
                    lines.extend([CAPPED, GOES_WITH_IT].map(str::to_owned));
                }
                lines
            }
        }
    }

    fn first_layer(&self, say: Say<'_>) -> Vec<String> {
        let mut lines: Vec<_> = self.unknown.iter().map(|it| it.line(say)).collect();
        match self.only_here {
            Some(it) if it.files == 0 => lines.push("The device counted no files that exist only on it.".to_owned()),
            Some(it) => lines.push(format!(
                "{} {} only on this device and will be lost.",
                amount(it),
                verb(it.files, "exists", "exist")
            )),
            None => {
                lines.push(
                    "How many files exist only on this device is not known; all of them will be lost.".to_owned(),
                );
                lines.extend(self.counted.map(|it| {
                    format!("At {} it counted {} that no backup had.", say(it.measured_at), amount(it.amount))
                }));
            }
        }
        lines
    }

    fn damage(&self) -> Option<String> {
        let it = self.damaged.amount;
        let (are, they) = (verb(it.files, "is", "are"), verb(it.files, "It", "They"));
        (it.files > 0).then(|| {
            format!(
                "{} {are} damaged in the store, and no other restore point holds an intact copy. {they} will be lost.",
                if it.bytes == 0 { files(it.files) } else { amount(it) }
            )
        })
    }

    fn second_layer(&self, say: Say<'_>) -> Option<String> {
        let Some(newest) = self.newest.filter(|_| self.verdict != Verdict::Everything) else {
            return Some(match self.newest {
                None => "There is no backup of this device here.".to_owned(),
                Some(it) => format!("The device reported a backup at {}; this server has not received it.", say(it.at)),
            });
        };
        let Some(it) = self.not_proven else {
            return Some(format!("How much of the {} backup is unproven is not known.", say(newest.at)));
        };
        if it.files == 0 {
            return None;
        }
        // Damaged files may be among the backup's files: they are not counted again as others.
        let is_second = self.only_here.is_some_and(|it| it.files > 0);
        let what = match (is_second, it.files) {
            (true, 1) => format!("Another file ({})", bytes(it.bytes)),
            (true, _) => format!("Another {}", amount(it)),
            (false, _) => amount(it),
        };
        let are = verb(it.files, "is", "are");
        let is_proven_point = self.proven.is_some_and(|it| it.id == newest.id);
        if self.key_holder == KeyHolder::Customer {
            return Some(format!(
                "{what} {are} in the {} backup, which only the customer’s key opens.",
                say(newest.at)
            ));
        }
        let which = match (self.grade, is_proven_point) {
            (Grade::Failed, _) => "which failed its restore test",
            (Grade::OutOfDate, true) => "whose proof is out of date",
            (Grade::OutOfDate, false) => "for which no proof holds",
            (Grade::Proven, true) => {
                return Some(format!("{what} {are} in the {} backup and could not be compared.", say(newest.at)));
            }
            (Grade::Partial, _) => "and could not be shown to come back",
            (Grade::Never | Grade::Unknown | Grade::Reported | Grade::Stored | Grade::Verified | Grade::Proven, _) => {
                "which has never been restored"
            }
        };
        Some(format!("{what} {are} in the {} backup, {which}.", say(newest.at)))
    }

    fn third_layer(&self, say: Say<'_>) -> Option<String> {
        Some(match (self.proven, self.proof_holds()) {
            _ if self.verdict == Verdict::Everything => return None,
            (Some(it), true) => format!("Everything up to {} is proven.", say(it.at)),
            (Some(it), false) => {
                format!("Everything up to {} was proven once; that proof no longer holds.", say(it.at))
            }
            (None, _) => "Nothing is proven.".to_owned(),
        })
    }

    /// Headline and layers in one text, for mails and the history.
    pub fn sentence(&self, say: Say<'_>) -> String {
        let lines = self.lines(say).join(" ");
        match self.verdict {
            Verdict::Some => lines,
            Verdict::Ended(_) | Verdict::NoData | Verdict::Everything | Verdict::Unknown | Verdict::Nothing => {
                format!("{}. {lines}", self.headline(say))
            }
        }
    }

    /// The value of the consent box: the numbers themselves, so that old ones are not taken for new ones.
    pub fn consent(&self) -> String {
        let number = |it: Option<Amount>| it.map_or_else(|| "unknown".to_owned(), |it| it.files.to_string());
        let damaged = match self.damaged.amount.files {
            0 => String::new(),
            count => format!(" ({count} damaged)"),
        };
        format!("{} lost{damaged}, {} not proven", number(self.lost()), number(self.not_proven))
    }

    /// What is agreed to, after "I accept". That a device counted no files is only its own word, so what is
    /// missing is named instead.
    pub fn accepted(&self) -> String {
        let damaged = self.damaged.amount.files;
        let are_damaged = match damaged {
            0 => String::new(),
            count => format!(", of which {} damaged in the store", counted(count, "is", "are")),
        };
        let lost = match self.lost() {
            Some(it) if it.files == 0 => None,
            Some(it) => Some(format!("losing {}{are_damaged}", files(it.files))),
            None => Some(format!("losing an unknown number of files{are_damaged}")),
        };
        let risked = match self.not_proven {
            Some(it) if it.files == 0 => None,
            Some(it) => {
                Some(format!("risking {}", counted(it.files, "file that is not proven", "files that are not proven")))
            }
            None => Some("risking an unknown number of files that are not proven".to_owned()),
        };
        match (lost, risked) {
            (Some(lost), Some(risked)) => format!("{lost}, and {risked}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) if self.newest.is_some() => "that none of its backups has a proof that holds".to_owned(),
            (None, None) => "that it has no backup: whatever it did not count is lost".to_owned(),
        }
    }
}

/// In lower case, for the middle of a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}", first.to_lowercase(), letters.as_str())).unwrap_or_default()
}
