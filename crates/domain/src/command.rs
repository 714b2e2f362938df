//! What we ask a device to do.
use crate::guard::GuardedAct;
use crate::id::{CommandId, RestoreId};
use crate::note::Note;
use crate::restore::RestoreOrder;
use crate::role::Permission;
use crate::text::text_enum;
use crate::time::Time;
use crate::wipe::Erasure;
use serde::{Deserialize, Serialize};

text_enum! {
    /// A command, common to all platforms.
    CommandKind {
        Lock = "lock", BackUpNow = "back_up_now", Wipe = "wipe", RemoveCompanyData = "remove_company_data",
        Restore = "restore",
        /// Removes what a restore made and puts back what it replaced.
        UndoRestore = "undo_restore",
        /// Nobody can use the device, it shows a note, and it says where it is.
        LostModeOn = "lost_mode_on",
        LostModeOff = "lost_mode_off",
        PlaySound = "play_sound",
        Locate = "locate",
        ClearPasscode = "clear_passcode",
        Restart = "restart",
        ShutDown = "shut_down",
        /// A new recovery key of its disk, known to this server.
        RotateRecoveryKey = "rotate_recovery_key",
        /// A password without which it starts from no other disk, known to this server.
        SetRecoveryLock = "set_recovery_lock",
        /// What opens its maker's activation lock.
        FetchBypassCode = "fetch_bypass_code",
    }
}

impl CommandKind {
    /// Those that come from a wipe request.
    pub const ERASING: [Self; 2] = [Self::Wipe, Self::RemoveCompanyData];

    /// Those that our own agent may carry out; the others are only in protocols of the devices' makers.
    pub const OF_AGENTS: [Self; 6] =
        [Self::Lock, Self::BackUpNow, Self::Wipe, Self::RemoveCompanyData, Self::Restore, Self::UndoRestore];

    /// Whether it comes from a wipe request.
    pub fn erases(self) -> bool {
        Self::ERASING.contains(&self)
    }

    /// Whether it erases, removes or replaces files: a device refuses it while its server may be out of date.
    pub fn overwrites(self) -> bool {
        match self {
            Self::Wipe | Self::RemoveCompanyData | Self::Restore | Self::UndoRestore => true,
            Self::Lock
            | Self::BackUpNow
            | Self::LostModeOn
            | Self::LostModeOff
            | Self::PlaySound
            | Self::Locate
            | Self::ClearPasscode
            | Self::Restart
            | Self::ShutDown
            | Self::RotateRecoveryKey
            | Self::SetRecoveryLock
            | Self::FetchBypassCode => false,
        }
    }

    /// The name on a button and in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "Lock",
            Self::BackUpNow => "Back up now",
            Self::Wipe => "Wipe",
            Self::RemoveCompanyData => "Remove company data",
            Self::Restore => "Restore",
            Self::UndoRestore => "Undo restore",
            Self::LostModeOn => "Lost mode on",
            Self::LostModeOff => "Lost mode off",
            Self::PlaySound => "Play a sound",
            Self::Locate => "Locate",
            Self::ClearPasscode => "Clear passcode",
            Self::Restart => "Restart",
            Self::ShutDown => "Shut down",
            Self::RotateRecoveryKey => "New recovery key",
            Self::SetRecoveryLock => "Set recovery lock",
            Self::FetchBypassCode => "Fetch activation lock code",
        }
    }

    /// What it does, for whoever is about to ask for it; empty where a page of its own says it.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::LostModeOn => {
                "Nobody can use it until lost mode ends, whatever they know. It shows your note and the number to call, \
                 and can be asked where it is."
            }
            Self::LostModeOff => "It can be used again with its passcode. Where it was is forgotten here.",
            Self::PlaySound => "It plays a sound for two minutes, also if it is muted. Only in lost mode.",
            Self::Locate => "It says where it is; its person is told that you asked. Only in lost mode.",
            Self::ClearPasscode => {
                "It opens without a passcode until its person sets a new one: whoever has it in their hand reads what \
                 is on it."
            }
            Self::Restart => "It restarts. Until somebody enters its passcode, it may not be reached.",
            Self::ShutDown => "It turns off, and is reached again only once somebody turns it on.",
            Self::RotateRecoveryKey => {
                "Its disk gets a new recovery key, which is kept here. The old one opens nothing."
            }
            Self::SetRecoveryLock => {
                "Its recovery system asks for a password, which is made and kept here: nobody starts it from another \
                 disk without it."
            }
            Self::FetchBypassCode => "It gives the code that removes its activation lock, which is kept here.",
            Self::Lock | Self::BackUpNow | Self::Wipe | Self::RemoveCompanyData | Self::Restore | Self::UndoRestore => {
                ""
            }
        }
    }

    /// What it takes to ask for one, and to take it back.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Lock
            | Self::LostModeOn
            | Self::LostModeOff
            | Self::PlaySound
            | Self::Locate
            | Self::Restart
            | Self::ShutDown
            | Self::RotateRecoveryKey
            | Self::SetRecoveryLock
            | Self::FetchBypassCode => Permission::LockDevices,
            // Whoever has the device in their hand then reads what is on it.
            Self::ClearPasscode => Permission::ReadContents,
            Self::BackUpNow => Permission::RunBackups,
            Self::Wipe | Self::RemoveCompanyData => Permission::RequestWipe,
            Self::Restore | Self::UndoRestore => Permission::Restore,
        }
    }

    /// The row of the table of guards that an order for one device has to pass; none if it is enough to be allowed to.
    pub const fn guarded(self) -> Option<GuardedAct> {
        match self {
            Self::LostModeOn | Self::LostModeOff => Some(GuardedAct::LostMode),
            Self::Locate => Some(GuardedAct::LocateDevice),
            Self::ClearPasscode => Some(GuardedAct::ClearPasscode),
            Self::Restart | Self::ShutDown => Some(GuardedAct::TurnOffDevice),
            Self::RotateRecoveryKey | Self::SetRecoveryLock | Self::FetchBypassCode => {
                Some(GuardedAct::ChangeRecoveryKey)
            }
            // A wipe and a restore pass theirs with their own requests.
            Self::Lock
            | Self::BackUpNow
            | Self::Wipe
            | Self::RemoveCompanyData
            | Self::Restore
            | Self::UndoRestore
            | Self::PlaySound => None,
        }
    }

    /// Whether a freeze stops it: it opens a device, or gives a secret of it away.
    pub const fn loosens(self) -> bool {
        match self {
            Self::LostModeOff
            | Self::ClearPasscode
            | Self::RotateRecoveryKey
            | Self::SetRecoveryLock
            | Self::FetchBypassCode => true,
            Self::Lock
            | Self::BackUpNow
            | Self::Wipe
            | Self::RemoveCompanyData
            | Self::Restore
            | Self::UndoRestore
            | Self::LostModeOn
            | Self::PlaySound
            | Self::Locate
            | Self::Restart
            | Self::ShutDown => false,
        }
    }

    /// Whether it is asked for by itself; the others are part of a wipe or a restore, which has rules of its own.
    pub const fn stands_alone(self) -> bool {
        match self {
            Self::Lock
            | Self::BackUpNow
            | Self::LostModeOn
            | Self::LostModeOff
            | Self::PlaySound
            | Self::Locate
            | Self::ClearPasscode
            | Self::Restart
            | Self::ShutDown
            | Self::RotateRecoveryKey
            | Self::SetRecoveryLock
            | Self::FetchBypassCode => true,
            Self::Wipe | Self::RemoveCompanyData | Self::Restore | Self::UndoRestore => false,
        }
    }

    /// Whether one in this state can still be cancelled.
    ///
    /// # Errors
    /// Why not: it is part of something that is stopped in its own way, or its device has it.
    pub const fn may_cancel(self, state: CommandState) -> Result<(), NotCancellable> {
        match self {
            Self::Wipe | Self::RemoveCompanyData => Err(NotCancellable::OfAWipe),
            Self::Restore => Err(NotCancellable::OfARestore),
            Self::UndoRestore => Err(NotCancellable::OfAnUndo),
            Self::Lock
            | Self::BackUpNow
            | Self::LostModeOn
            | Self::LostModeOff
            | Self::PlaySound
            | Self::Locate
            | Self::ClearPasscode
            | Self::Restart
            | Self::ShutDown
            | Self::RotateRecoveryKey
            | Self::SetRecoveryLock
            | Self::FetchBypassCode => match state {
                CommandState::Queued => Ok(()),
                CommandState::Delivered
                | CommandState::Acknowledged
                | CommandState::Failed
                | CommandState::Expired
                | CommandState::Cancelled => Err(NotCancellable::TooLate(state)),
            },
        }
    }
}

/// Why a command cannot be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCancellable {
    #[error("stop the wipe request instead")]
    OfAWipe,
    #[error("cancel the restore instead")]
    OfARestore,
    #[error("the undo of a restore is not taken back; it can be restored again")]
    OfAnUndo,
    #[error("too late: the command is “{}”", .0.name())]
    TooLate(CommandState),
}

text_enum! {
    /// The life of a command; the device's own answer ends it.
    CommandState {
        Queued = "queued", Delivered = "delivered", Acknowledged = "acknowledged",
        Failed = "failed", Expired = "expired", Cancelled = "cancelled",
    }
}

impl CommandState {
    /// Those of a command that has not ended.
    pub const OPEN: [Self; 2] = [Self::Queued, Self::Delivered];

    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Delivered => "Delivered",
            Self::Acknowledged => "Done",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether it is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Failed | Self::Expired | Self::Cancelled)
    }
}

/// What a device is to do, with what it needs to know for it; kept with the command as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Order {
    /// With a note that a phone shows; our own agent shows none.
    Lock {
        #[serde(default, skip_serializing_if = "Note::is_empty")]
        note: Note,
    },
    BackUpNow,
    /// The folders as recorded at enrolment, and what its maker's protocol lets choose.
    Wipe {
        roots: Vec<String>,
        #[serde(default, skip_serializing_if = "Erasure::is_plain")]
        erasure: Erasure,
    },
    RemoveCompanyData,
    Restore(RestoreOrder),
    UndoRestore {
        restore_id: RestoreId,
    },
    LostModeOn {
        note: Note,
    },
    LostModeOff,
    PlaySound,
    Locate,
    ClearPasscode,
    Restart,
    ShutDown,
    RotateRecoveryKey,
    SetRecoveryLock,
    FetchBypassCode,
}

impl Order {
    /// A lock without a note.
    pub fn lock() -> Self {
        Self::Lock { note: Note::default() }
    }

    /// A wipe of these folders, with nothing chosen.
    pub fn wipe(roots: Vec<String>) -> Self {
        Self::Wipe { roots, erasure: Erasure::default() }
    }

    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::Lock { .. } => CommandKind::Lock,
            Self::BackUpNow => CommandKind::BackUpNow,
            Self::Wipe { .. } => CommandKind::Wipe,
            Self::RemoveCompanyData => CommandKind::RemoveCompanyData,
            Self::Restore(_) => CommandKind::Restore,
            Self::UndoRestore { .. } => CommandKind::UndoRestore,
            Self::LostModeOn { .. } => CommandKind::LostModeOn,
            Self::LostModeOff => CommandKind::LostModeOff,
            Self::PlaySound => CommandKind::PlaySound,
            Self::Locate => CommandKind::Locate,
            Self::ClearPasscode => CommandKind::ClearPasscode,
            Self::Restart => CommandKind::Restart,
            Self::ShutDown => CommandKind::ShutDown,
            Self::RotateRecoveryKey => CommandKind::RotateRecoveryKey,
            Self::SetRecoveryLock => CommandKind::SetRecoveryLock,
            Self::FetchBypassCode => CommandKind::FetchBypassCode,
        }
    }
}

/// One command for a device; handed out again until its end is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    pub id: CommandId,
    /// The enrolment it is for.
    pub generation: i64,
    pub expires_at: Time,
    pub order: Order,
}

/// How a command ended on the device, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub id: CommandId,
    pub done: bool,
    /// What happened, for a person; the reason if it was not done.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_alone_and_no_device_has_is_cancelled_as_a_command() {
        for kind in CommandKind::ALL {
            for state in CommandState::ALL {
                let expected = match (kind, state) {
                    (CommandKind::Wipe | CommandKind::RemoveCompanyData, _) => Err(NotCancellable::OfAWipe),
                    (CommandKind::Restore, _) => Err(NotCancellable::OfARestore),
                    (CommandKind::UndoRestore, _) => Err(NotCancellable::OfAnUndo),
                    (_, CommandState::Queued) => Ok(()),
                    (_, _) => Err(NotCancellable::TooLate(*state)),
                };
                assert_eq!(kind.may_cancel(*state), expected, "{kind} {state}");
            }
            assert_eq!(kind.stands_alone(), kind.may_cancel(CommandState::Queued).is_ok(), "{kind}");
        }
    }

    #[test]
    fn an_order_of_an_older_server_is_read_as_it_was_meant() {
        let read = |text: &str| serde_json::from_str::<Order>(text).unwrap();
        assert_eq!(read("{\"kind\":\"lock\"}"), Order::Lock { note: Note::default() });
        let wipe = read("{\"kind\":\"wipe\",\"roots\":[\"/home\"]}");
        assert_eq!(wipe, Order::Wipe { roots: vec!["/home".to_owned()], erasure: Erasure::default() });
        assert_eq!(serde_json::to_string(&wipe).unwrap(), "{\"kind\":\"wipe\",\"roots\":[\"/home\"]}");
    }

    #[test]
    fn an_order_takes_the_permission_that_its_guard_names() {
        for kind in CommandKind::ALL {
            let guarded = kind.guarded().map(|it| it.guard().permission);
            assert!(guarded.is_none_or(|it| it == Some(kind.permission())), "{kind}");
        }
    }

    #[test]
    fn a_command_is_open_until_it_has_ended() {
        for state in CommandState::ALL {
            assert_eq!(CommandState::OPEN.contains(state), !state.is_final(), "{state}");
        }
    }

    #[test]
    fn only_a_wipe_and_a_removal_of_company_data_erase() {
        for kind in CommandKind::ALL {
            assert_eq!(kind.erases(), matches!(kind, CommandKind::Wipe | CommandKind::RemoveCompanyData), "{kind}");
            assert_eq!(kind.erases(), kind.permission() == Permission::RequestWipe, "{kind}");
        }
    }
}
