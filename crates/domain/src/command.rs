//! What we ask a device to do.
use crate::id::{CommandId, RestoreId};
use crate::restore::RestoreOrder;
use crate::role::Permission;
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};

text_enum! {
    /// A command, common to all platforms.
    CommandKind {
        Lock = "lock", BackUpNow = "back_up_now", Wipe = "wipe", RemoveCompanyData = "remove_company_data",
        Restore = "restore",
        /// Removes what a restore made and puts back what it replaced.
        UndoRestore = "undo_restore",
    }
}

impl CommandKind {
    /// Those that come from a wipe request.
    pub const ERASING: [Self; 2] = [Self::Wipe, Self::RemoveCompanyData];

    /// Whether it comes from a wipe request.
    pub fn erases(self) -> bool {
        Self::ERASING.contains(&self)
    }

    /// Whether it erases, removes or replaces files: a device refuses it while its server may be out of date.
    pub fn overwrites(self) -> bool {
        match self {
            Self::Wipe | Self::RemoveCompanyData | Self::Restore | Self::UndoRestore => true,
            Self::Lock | Self::BackUpNow => false,
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
        }
    }

    /// What it takes to ask for one, and to take it back.
    pub const fn permission(self) -> Permission {
        match self {
            Self::Lock => Permission::LockDevices,
            Self::BackUpNow => Permission::RunBackups,
            Self::Wipe | Self::RemoveCompanyData => Permission::RequestWipe,
            Self::Restore | Self::UndoRestore => Permission::Restore,
        }
    }

    /// Whether it is asked for by itself; the others are part of a wipe or a restore, which has rules of its own.
    pub const fn stands_alone(self) -> bool {
        match self {
            Self::Lock | Self::BackUpNow => true,
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
            Self::Lock | Self::BackUpNow => match state {
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
    Lock,
    BackUpNow,
    /// The folders as recorded at enrolment.
    Wipe {
        roots: Vec<String>,
    },
    RemoveCompanyData,
    Restore(RestoreOrder),
    UndoRestore {
        restore_id: RestoreId,
    },
}

impl Order {
    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::Lock => CommandKind::Lock,
            Self::BackUpNow => CommandKind::BackUpNow,
            Self::Wipe { .. } => CommandKind::Wipe,
            Self::RemoveCompanyData => CommandKind::RemoveCompanyData,
            Self::Restore(_) => CommandKind::Restore,
            Self::UndoRestore { .. } => CommandKind::UndoRestore,
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
    fn only_a_lock_or_a_backup_that_no_device_has_is_cancelled_as_a_command() {
        for kind in CommandKind::ALL {
            for state in CommandState::ALL {
                let expected = match (kind, state) {
                    (CommandKind::Lock | CommandKind::BackUpNow, CommandState::Queued) => Ok(()),
                    (CommandKind::Lock | CommandKind::BackUpNow, _) => Err(NotCancellable::TooLate(*state)),
                    (CommandKind::Wipe | CommandKind::RemoveCompanyData, _) => Err(NotCancellable::OfAWipe),
                    (CommandKind::Restore, _) => Err(NotCancellable::OfARestore),
                    (CommandKind::UndoRestore, _) => Err(NotCancellable::OfAnUndo),
                };
                assert_eq!(kind.may_cancel(*state), expected, "{kind} {state}");
            }
            assert_eq!(kind.stands_alone(), kind.may_cancel(CommandState::Queued).is_ok(), "{kind}");
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
