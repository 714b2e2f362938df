//! The rules. Pure functions and value types: no I/O, no queries, no clock.
//!
//! A decision gets `now` and the facts as arguments and returns a value; a
//! refusal is a value too, so that a page can say why.
pub mod access_list;
pub mod account;
pub mod activity;
pub mod apple_settings;
pub mod backup;
pub mod baseline;
pub mod by;
pub mod certification;
pub mod channel;
pub mod command;
pub mod consent;
pub mod console_copy;
pub mod content;
pub mod continuity;
pub mod copy;
pub mod copy_proof;
pub mod crossing;
pub mod device;
pub mod device_secret;
pub mod disaster;
pub mod epoch;
pub mod escrow;
pub mod fact;
pub mod failure_domain;
pub mod fields;
pub mod ground;
pub mod guard;
pub mod id;
pub mod incident;
pub mod inventory;
pub mod key_holder;
pub mod loss;
pub mod lost;
pub mod manifest;
pub mod name;
pub mod note;
pub mod object;
pub mod policy;
pub mod proof;
pub mod push_certificate;
pub mod recovery_key;
pub mod restore;
pub mod restore_test;
pub mod retention;
pub mod role;
pub mod shortfall;
pub mod shown;
pub mod space;
#[cfg(feature = "sql")]
mod sql;
pub mod team_key;
#[cfg(test)]
mod testing;
mod text;
pub mod time;
pub mod verification;
pub mod wipe;
pub mod words;

#[cfg(test)]
mod tests {
    use crate::activity::{Outcome, Via};
    use crate::command::{CommandKind, CommandState};
    use crate::content::{ReadKind, ReadOutcome};
    use crate::continuity::Doubt;
    use crate::device::{DeviceState, Ownership, Platform};
    use crate::device_secret::SecretKind;
    use crate::fact::FactKind;
    use crate::ground::{AwayCause, Disk, StopCause};
    use crate::manifest::EntryKind;
    use crate::policy::{Compliance, RequirementKind};
    use crate::proof::{Grade, Level};
    use crate::restore::{Conflict, FileClass, RestoreState, UndoState};
    use crate::retention::{HoldCause, PruneState};
    use crate::role::Role;
    use crate::verification::{Pace, Standing};
    use crate::wipe::{WipeAction, WipeReason, WipeState};
    use std::collections::BTreeSet;

    fn all_differ<T: Copy>(all: &[T], text: impl Fn(T) -> &'static str) {
        let texts: BTreeSet<_> = all.iter().map(|it| text(*it)).collect();
        assert!(texts.len() == all.len() && texts.iter().all(|it| it.len() > 1), "{texts:?}");
    }

    #[test]
    fn people_know_each_value_from_the_others_by_its_name() {
        all_differ(SecretKind::ALL, SecretKind::name);
        all_differ(Via::ALL, Via::name);
        all_differ(Outcome::ALL, Outcome::name);
        all_differ(CommandKind::ALL, CommandKind::name);
        all_differ(CommandState::ALL, CommandState::name);
        all_differ(Doubt::ALL, Doubt::name);
        all_differ(DeviceState::ALL, DeviceState::name);
        all_differ(Ownership::ALL, Ownership::name);
        all_differ(Platform::ALL, Platform::name);
        all_differ(FactKind::ALL, FactKind::name);
        all_differ(Disk::ALL, Disk::name);
        all_differ(Compliance::ALL, Compliance::name);
        all_differ(RequirementKind::ALL, RequirementKind::name);
        all_differ(Grade::ALL, Grade::name);
        all_differ(Level::ALL, Level::name);
        all_differ(Conflict::ALL, Conflict::name);
        all_differ(FileClass::ALL, FileClass::name);
        all_differ(RestoreState::ALL, RestoreState::name);
        all_differ(UndoState::ALL, UndoState::name);
        all_differ(PruneState::ALL, PruneState::name);
        all_differ(HoldCause::ALL, HoldCause::name);
        all_differ(Role::ALL, Role::name);
        all_differ(WipeAction::ALL, WipeAction::name);
        all_differ(WipeReason::ALL, WipeReason::name);
        all_differ(WipeState::ALL, WipeState::name);
        all_differ(Standing::ALL, Standing::name);
        all_differ(ReadKind::ALL, ReadKind::name);
        all_differ(ReadOutcome::ALL, ReadOutcome::name);
        all_differ(&[EntryKind::File, EntryKind::Folder, EntryKind::Symlink, EntryKind::Unknown], EntryKind::name);
    }

    #[test]
    fn each_value_says_in_a_sentence_what_only_it_means() {
        all_differ(Role::ALL, Role::sentence);
        all_differ(WipeAction::ALL, WipeAction::noun);
        all_differ(WipeAction::ALL, WipeAction::verb);
        all_differ(AwayCause::ALL, AwayCause::advice);
        all_differ(StopCause::ALL, StopCause::advice);
        all_differ(Pace::ALL, Pace::sentence);
        all_differ(Standing::ALL, Standing::sentence);
        all_differ(&[Doubt::OlderState, Doubt::TwoMachines], Doubt::sentence);
        all_differ(&[Platform::Linux, Platform::Macos, Platform::Ios], Platform::lock_sentence);
    }
}
