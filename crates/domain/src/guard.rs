//! What one session may not do alone: the one table of the acts that ask for the password again, are reported
//! by mail, wait, or need a second person.
//!
//! Pages, jobs, the API and the command line all read it here, so that a hole in one of them is not a hole in
//! all. `tests/it/guard.rs` walks every route that changes something and checks it against this table.
use crate::role::Permission;
use crate::text::text_enum;

text_enum! {
    /// An act that one stolen session must not be able to do unseen.
    GuardedAct {
        RequestWipe = "request_wipe",
        ReviewWipe = "review_wipe",
        ApproveWipe = "approve_wipe",
        EndWipeHold = "end_wipe_hold",
        /// A restore of a device's own backup to the same enrolment that made it.
        RestoreToItself = "restore_to_itself",
        /// A restore to another device, or to another enrolment of the same one.
        RestoreElsewhere = "restore_elsewhere",
        /// The same if the two devices do not belong to one person.
        RestoreToAnotherPerson = "restore_to_another_person",
        /// A restore of a device's own backup to itself that replaces the files it finds there.
        RestoreReplacing = "restore_replacing",
        UndoRestore = "undo_restore",
        ApproveRestore = "approve_restore",
        /// A token for a restic client that appends and cannot read.
        MakeAppendingToken = "make_appending_token",
        /// A token for a restic client that reads what a device backed up.
        MakeReadingToken = "make_reading_token",
        /// A file or folder of a restore point, read in the browser.
        DownloadContents = "download_contents",
        MakeEnrollmentToken = "make_enrollment_token",
        /// An enrolment token for more than [`FEW_USES`] devices.
        MakeWideEnrollmentToken = "make_wide_enrollment_token",
        EnrollAgain = "enroll_again",
        /// A change of the person or team of a device that has one: it changes who is told about the device,
        /// and who may act on it.
        ChangePerson = "change_person",
        RemoveDevice = "remove_device",
        LockMany = "lock_many",
        /// Putting a device into lost mode, and out of it again.
        LostMode = "lost_mode",
        /// Asking a lost device where it is.
        LocateDevice = "locate_device",
        /// Taking the passcode off a device: whoever has it in their hand reads what is on it.
        ClearPasscode = "clear_passcode",
        /// Restarting a device, or shutting it down: it may not be reached after.
        TurnOffDevice = "turn_off_device",
        /// Giving a Mac a new recovery key or recovery lock, or fetching what opens an activation lock.
        ChangeRecoveryKey = "change_recovery_key",
        /// Reading a secret of a device that this server keeps: a recovery key, a PIN, an activation lock's code.
        RevealDeviceSecret = "reveal_device_secret",
        BackUpMany = "back_up_many",
        ProveMany = "prove_many",
        InviteUser = "invite_user",
        ChangeRoles = "change_roles",
        DisableUser = "disable_user",
        EnableUser = "enable_user",
        MakeUserLink = "make_user_link",
        ChangeSettings = "change_settings",
        /// Asking for less in a policy that guards data, or removing it: its devices follow at once.
        LoosenPolicy = "loosen_policy",
        MakeApiToken = "make_api_token",
        ChangePassword = "change_password",
        /// Keeping every restore point for longer.
        LengthenRetention = "lengthen_retention",
        /// Keeping fewer restore points than before, in any way.
        ShortenRetention = "shorten_retention",
        ApproveShorterRetention = "approve_shorter_retention",
        MakeHold = "make_hold",
        LiftHold = "lift_hold",
        ApproveHoldLift = "approve_hold_lift",
        /// Leaving the keys to a team's backups to the customer, for good.
        HandOverKeys = "hand_over_keys",
        /// With which every Apple device is woken.
        ChangePushCertificate = "change_push_certificate",
    }
}

/// How many devices one person can lock one by one within an hour without entering the password again; after
/// that it counts as locking many.
pub const FEW_LOCKS: i64 = 20;

/// An enrolment token for at most this many devices does not ask for the password again.
pub const FEW_USES: i64 = 20;

/// Who gets a mail about an act, queued in the act's own transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The activity is enough.
    Nobody,
    /// Everyone who may read the activity of the devices concerned.
    Watchers,
    /// The same, and the device's person.
    WatchersAndPerson,
    /// Everyone who manages people, and the person whose account it is.
    Overseers,
    /// The one who acts: it concerns only them.
    Oneself,
}

/// What has to pass between an act and its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    None,
    /// The hold and the hourly limit of wipes.
    WipeHold,
    /// 72 hours, if it loosens a guard or gives power over wipes.
    Settles,
    /// A week after a second person agreed.
    Week,
}

/// What one act has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The permission needed to act; none for what anybody does with their own account.
    pub permission: Option<Permission>,
    /// Whether the password is asked for again unless it was entered in the last 15 minutes.
    pub fresh: bool,
    pub told: Told,
    pub wait: Wait,
    /// The permission a second person needs to agree before anything happens.
    pub second: Option<Permission>,
    /// Whether a reason is required, which the mail and the activity repeat.
    pub reason: bool,
}

impl GuardedAct {
    /// The row of the table.
    pub fn guard(self) -> Guard {
        use Permission as P;
        let fresh =
            Guard { permission: None, fresh: true, told: Told::Nobody, wait: Wait::None, second: None, reason: false };
        let by = |permission| Guard { permission: Some(permission), ..fresh };
        match self {
            Self::RequestWipe => Guard {
                told: Told::Watchers,
                wait: Wait::WipeHold,
                second: Some(P::ApproveWipe),
                reason: true,
                ..by(P::RequestWipe)
            },
            Self::ReviewWipe => Guard { told: Told::Watchers, second: Some(P::ApproveWipe), ..by(P::RequestWipe) },
            Self::ApproveWipe => Guard { told: Told::Watchers, wait: Wait::WipeHold, ..by(P::ApproveWipe) },
            Self::EndWipeHold => by(P::ApproveWipe),
            Self::RestoreToItself => by(P::Restore),
            // No second person: what goes is kept on the device, out of reach of whoever ordered it.
            Self::RestoreReplacing | Self::UndoRestore => Guard { told: Told::WatchersAndPerson, ..by(P::Restore) },
            Self::RestoreElsewhere => elsewhere(P::Restore),
            Self::RestoreToAnotherPerson => elsewhere(P::ReadContents),
            Self::ApproveRestore => Guard { told: Told::WatchersAndPerson, ..by(P::ApproveRestore) },
            Self::MakeAppendingToken => by(P::RunBackups),
            Self::MakeReadingToken | Self::DownloadContents | Self::ClearPasscode | Self::RevealDeviceSecret => {
                Guard { told: Told::WatchersAndPerson, reason: true, ..by(P::ReadContents) }
            }
            Self::MakeEnrollmentToken => Guard { fresh: false, ..by(P::EnrollDevices) },
            Self::MakeWideEnrollmentToken => Guard { told: Told::Watchers, ..by(P::EnrollDevices) },
            Self::EnrollAgain => by(P::EnrollDevices),
            Self::ChangePerson => Guard { told: Told::WatchersAndPerson, ..by(P::EnrollDevices) },
            Self::RemoveDevice => Guard { told: Told::Watchers, wait: Wait::WipeHold, ..by(P::EnrollDevices) },
            Self::LockMany => Guard { told: Told::Watchers, ..by(P::LockDevices) },
            Self::LostMode => Guard { told: Told::WatchersAndPerson, ..by(P::LockDevices) },
            Self::LocateDevice => Guard { told: Told::WatchersAndPerson, reason: true, ..by(P::LockDevices) },
            Self::TurnOffDevice | Self::ChangeRecoveryKey => Guard { told: Told::Watchers, ..by(P::LockDevices) },
            Self::BackUpMany | Self::ProveMany => Guard { fresh: false, ..by(P::RunBackups) },
            Self::InviteUser | Self::ChangeRoles | Self::EnableUser | Self::MakeUserLink => {
                Guard { told: Told::Overseers, wait: Wait::Settles, ..by(P::ManageUsers) }
            }
            Self::DisableUser => Guard { told: Told::Overseers, ..by(P::ManageUsers) },
            Self::ChangeSettings => Guard { told: Told::Overseers, wait: Wait::Settles, ..by(P::ManageSettings) },
            Self::LoosenPolicy => Guard { told: Told::Overseers, ..by(P::EditPolicies) },
            Self::MakeApiToken => by(P::ManageUsers),
            Self::HandOverKeys => Guard { told: Told::Overseers, ..by(P::ManageUsers) },
            Self::ChangePassword => fresh,
            Self::ChangePushCertificate => Guard { told: Told::Overseers, ..by(P::ManageSettings) },
            Self::LengthenRetention => Guard { told: Told::Overseers, ..by(P::ManageSettings) },
            Self::ShortenRetention => Guard {
                told: Told::Overseers,
                wait: Wait::Week,
                second: Some(P::ApproveRemoval),
                reason: true,
                ..by(P::ManageSettings)
            },
            Self::ApproveShorterRetention => Guard { told: Told::Overseers, wait: Wait::Week, ..by(P::ApproveRemoval) },
            // Not the device's person: a hold is nothing that they are told about.
            Self::MakeHold => Guard { told: Told::Watchers, reason: true, ..by(P::Hold) },
            Self::LiftHold => {
                Guard { told: Told::Watchers, second: Some(P::ApproveRemoval), reason: true, ..by(P::Hold) }
            }
            Self::ApproveHoldLift => Guard { told: Told::Watchers, ..by(P::ApproveRemoval) },
        }
    }
}

/// Both kinds of restore to another device: the target's start-up files would be the source's.
const fn elsewhere(permission: Permission) -> Guard {
    Guard {
        permission: Some(permission),
        fresh: true,
        told: Told::WatchersAndPerson,
        wait: Wait::None,
        second: Some(Permission::ApproveRestore),
        reason: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_agrees_as_a_second_person_is_not_the_one_who_asks() {
        for act in GuardedAct::ALL {
            let guard = act.guard();
            assert!(guard.second.is_none() || guard.permission != guard.second, "{act}");
        }
    }

    #[test]
    fn what_needs_a_second_person_or_waits_asks_for_the_password_and_is_told() {
        for act in GuardedAct::ALL {
            let guard = act.guard();
            if guard.second.is_some() || guard.wait != Wait::None {
                assert!(guard.fresh && guard.told != Told::Nobody, "{act}");
            }
        }
    }

    #[test]
    fn reading_what_a_device_backed_up_has_a_reason_and_its_person_is_told() {
        for act in [GuardedAct::MakeReadingToken, GuardedAct::RestoreElsewhere, GuardedAct::RestoreToAnotherPerson] {
            let guard = act.guard();
            assert!(guard.fresh && guard.reason && guard.told == Told::WatchersAndPerson, "{act}");
        }
    }

    /// One row: permission, password, told, wait, second person, reason.
    type Row = (Option<Permission>, bool, Told, Wait, Option<Permission>, bool);

    fn row(act: GuardedAct) -> Row {
        let Guard { permission, fresh, told, wait, second, reason } = act.guard();
        (permission, fresh, told, wait, second, reason)
    }

    /// The table once more, in another form: whoever changes a row says so twice.
    #[test]
    fn each_act_has_to_pass_what_was_decided_for_it() {
        use GuardedAct as A;
        use Permission as P;
        let plain = |permission| (Some(permission), true, Told::Nobody, Wait::None, None, false);
        let told = |permission, told| (Some(permission), true, told, Wait::None, None, false);
        let person = |wait| (Some(P::ManageUsers), true, Told::Overseers, wait, None, false);
        let crosses =
            |permission| (Some(permission), true, Told::WatchersAndPerson, Wait::None, Some(P::ApproveRestore), true);
        let quick = |permission| (Some(permission), false, Told::Nobody, Wait::None, None, false);
        for act in A::ALL {
            let expected = match act {
                A::RequestWipe => {
                    (Some(P::RequestWipe), true, Told::Watchers, Wait::WipeHold, Some(P::ApproveWipe), true)
                }
                A::ReviewWipe => (Some(P::RequestWipe), true, Told::Watchers, Wait::None, Some(P::ApproveWipe), false),
                A::ApproveWipe => (Some(P::ApproveWipe), true, Told::Watchers, Wait::WipeHold, None, false),
                A::EndWipeHold => plain(P::ApproveWipe),
                A::RestoreToItself => plain(P::Restore),
                A::RestoreReplacing | A::UndoRestore => told(P::Restore, Told::WatchersAndPerson),
                A::RestoreElsewhere => crosses(P::Restore),
                A::RestoreToAnotherPerson => crosses(P::ReadContents),
                A::ApproveRestore => told(P::ApproveRestore, Told::WatchersAndPerson),
                A::MakeAppendingToken => plain(P::RunBackups),
                A::MakeReadingToken | A::DownloadContents => {
                    (Some(P::ReadContents), true, Told::WatchersAndPerson, Wait::None, None, true)
                }
                A::MakeEnrollmentToken => quick(P::EnrollDevices),
                A::MakeWideEnrollmentToken => told(P::EnrollDevices, Told::Watchers),
                A::EnrollAgain => plain(P::EnrollDevices),
                A::ChangePerson => told(P::EnrollDevices, Told::WatchersAndPerson),
                A::RemoveDevice => (Some(P::EnrollDevices), true, Told::Watchers, Wait::WipeHold, None, false),
                A::LockMany => told(P::LockDevices, Told::Watchers),
                A::LostMode => told(P::LockDevices, Told::WatchersAndPerson),
                A::LocateDevice => (Some(P::LockDevices), true, Told::WatchersAndPerson, Wait::None, None, true),
                A::ClearPasscode | A::RevealDeviceSecret => {
                    (Some(P::ReadContents), true, Told::WatchersAndPerson, Wait::None, None, true)
                }
                A::TurnOffDevice | A::ChangeRecoveryKey => told(P::LockDevices, Told::Watchers),
                A::BackUpMany | A::ProveMany => quick(P::RunBackups),
                A::InviteUser | A::ChangeRoles | A::EnableUser | A::MakeUserLink => person(Wait::Settles),
                A::DisableUser => person(Wait::None),
                A::ChangeSettings => (Some(P::ManageSettings), true, Told::Overseers, Wait::Settles, None, false),
                A::LoosenPolicy => told(P::EditPolicies, Told::Overseers),
                A::MakeApiToken => plain(P::ManageUsers),
                A::HandOverKeys => told(P::ManageUsers, Told::Overseers),
                A::ChangePassword => (None, true, Told::Nobody, Wait::None, None, false),
                A::ChangePushCertificate => told(P::ManageSettings, Told::Overseers),
                A::LengthenRetention => told(P::ManageSettings, Told::Overseers),
                A::ShortenRetention => {
                    (Some(P::ManageSettings), true, Told::Overseers, Wait::Week, Some(P::ApproveRemoval), true)
                }
                A::ApproveShorterRetention => (Some(P::ApproveRemoval), true, Told::Overseers, Wait::Week, None, false),
                A::MakeHold => (Some(P::Hold), true, Told::Watchers, Wait::None, None, true),
                A::LiftHold => (Some(P::Hold), true, Told::Watchers, Wait::None, Some(P::ApproveRemoval), true),
                A::ApproveHoldLift => told(P::ApproveRemoval, Told::Watchers),
            };
            assert_eq!(row(*act), expected, "{act}");
        }
    }
}
