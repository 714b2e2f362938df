//! The history of acts: who did what, when, to what.
use crate::id::DeviceId;
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};

text_enum! {
    /// What kind of actor acted.
    ActorKind { User = "user", Device = "device", System = "system" }
}

text_enum! {
    /// How an act came in.
    Via { Web = "web", Api = "api", CommandLine = "command_line", Agent = "agent", Apple = "apple", Restic = "restic", Job = "job" }
}

impl Via {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "page",
            Self::Api => "API token",
            Self::CommandLine => "command line",
            Self::Agent => "agent",
            Self::Apple => "Apple’s protocol",
            Self::Restic => "restic client",
            Self::Job => "by itself",
        }
    }
}

text_enum! {
    /// An act; its wording for people is [`Action::phrase`].
    Action {
        SetUpLinkMade = "set_up_link_made",
        SetUp = "set_up",
        SignedIn = "signed_in",
        SignInFailed = "sign_in_failed",
        SignedOut = "signed_out",
        SignedOutEverywhere = "signed_out_everywhere",
        PasswordChanged = "password_changed",
        UserAdded = "user_added",
        UserChanged = "user_changed",
        UserDisabled = "user_disabled",
        UserLocked = "user_locked",
        UserUnlocked = "user_unlocked",
        LinkMade = "one_time_link_made",
        SessionsEnded = "sessions_ended",
        FounderAdded = "founder_added",
        FounderRemoved = "founder_removed",
        ProofKeyCopyChecked = "proof_key_copy_checked",
        RecoveryKeyMade = "recovery_key_made",
        RecoveryKeyConfirmed = "recovery_key_confirmed",
        RecoveryKeyRetired = "recovery_key_retired",
        RecoveryKeySealedTo = "recovery_key_sealed_to",
        TeamKeyMade = "team_key_made",
        TeamKeyRetired = "team_key_retired",
        TeamKeyDestroyed = "team_key_destroyed",
        MasterKeyUnsealed = "master_key_unsealed",
        ProofKeyReplaced = "proof_key_replaced",
        Frozen = "frozen",
        Unfrozen = "unfrozen",
        RoleGranted = "role_granted",
        RoleRevoked = "role_revoked",
        TeamAdded = "team_added",
        TeamQuotaChanged = "team_space_changed",
        TeamFull = "team_space_full",
        TeamKeyHandedOver = "team_key_handed_over",
        ApiTokenMade = "api_token_made",
        ApiTokenRevoked = "api_token_revoked",
        SettingChanged = "setting_changed",
        Exported = "exported",
        TestMailAsked = "test_mail_asked",
        MailGivenUp = "mail_given_up",
        EnrollmentTokenMade = "enrollment_token_made",
        EnrollmentTokenRevoked = "enrollment_token_revoked",
        DeviceEnrolled = "device_enrolled",
        DeviceReenrolled = "device_reenrolled",
        IdentityDoubted = "identity_doubted",
        IdentityRefused = "identity_refused",
        DeviceLeft = "device_left_management",
        DeviceAuthorityMade = "device_authority_made",
        DeviceServiceKeyMade = "device_service_key_made",
        DeviceServiceTokenSet = "device_service_token_set",
        DevicesGiven = "devices_given",
        DeviceSecretKept = "device_secret_kept",
        DeviceSecretRevealed = "device_secret_revealed",
        DeviceChanged = "device_changed",
        DeviceRemoved = "device_removed",
        DeviceRemovalHeld = "device_removal_held",
        DeviceRemovalStopped = "device_removal_stopped",
        PolicyAdded = "policy_added",
        PolicyChanged = "policy_changed",
        PolicyRemoved = "policy_removed",
        CommandQueued = "command_queued",
        CommandCancelled = "command_cancelled",
        CommandFinished = "command_finished",
        CommandExpired = "command_expired",
        RepositoryTokenMade = "repository_token_made",
        RepositoryTokenRevoked = "repository_token_revoked",
        BackupStored = "backup_stored",
        BackupFailed = "backup_failed",
        ObjectDamaged = "object_damaged",
        ObjectHealed = "object_healed",
        PacksAvoided = "packs_avoided",
        StoreAway = "store_away",
        StoreBack = "store_back",
        SecondStoreSet = "second_store_set",
        SecondStoreLeft = "second_store_left_out",
        SecondStoreAway = "second_store_away",
        SecondStoreBack = "second_store_back",
        ProtectionFound = "second_store_protection_found",
        SecondStoreLocked = "second_store_locked",
        CopyDamaged = "copy_damaged",
        PullerMade = "puller_made",
        PullerRevoked = "puller_revoked",
        CopyTestPassed = "copy_test_passed",
        CopyTestPartial = "copy_test_partial",
        CopyTestFailed = "copy_test_failed",
        CopyTestUnproven = "copy_test_unproven",
        ConsoleCopyFailed = "console_copy_failed",
        ConsoleRestored = "console_restored",
        BackupsStopped = "backups_stopped",
        BackupsTakenAgain = "backups_taken_again",
        DatabaseDamaged = "database_damaged",
        DatabaseNotChecked = "database_not_checked",
        DatabaseWhole = "database_whole",
        RestoreTestAsked = "restore_test_asked",
        RestoreTestPassed = "restore_test_passed",
        RestoreTestPartial = "restore_test_partial",
        RestoreTestFailed = "restore_test_failed",
        RestoreTestUnproven = "restore_test_unproven",
        WipeRequested = "wipe_requested",
        WipeHeld = "wipe_held",
        WipeHoldEnded = "wipe_hold_ended",
        WipeApproved = "wipe_approved",
        WipeReleased = "wipe_released",
        WipeDelivered = "wipe_delivered",
        WipeAcknowledged = "wipe_acknowledged",
        WipeConfirmed = "wipe_confirmed",
        WipeFailed = "wipe_failed",
        WipeExpired = "wipe_expired",
        WipeStopped = "wipe_stopped",
        WipeNeedsReview = "wipe_needs_review",
        RestoreRequested = "restore_requested",
        RestoreApproved = "restore_approved",
        RestoreRefused = "restore_refused",
        RestoreStarted = "restore_started",
        RestoreCompared = "restore_compared",
        RestoreFailed = "restore_failed",
        RestoreCancelled = "restore_cancelled",
        RestoreExpired = "restore_expired",
        RestoreUndoRequested = "restore_undo_requested",
        RestoreUndone = "restore_undone",
        RestoreNotUndone = "restore_not_undone",
        RetentionChangeRequested = "retention_change_requested",
        RetentionChangeAgreed = "retention_change_agreed",
        RetentionChangeCancelled = "retention_change_cancelled",
        RetentionChangeTookEffect = "retention_change_took_effect",
        RetentionLengthened = "retention_lengthened",
        HoldMade = "hold_made",
        HoldLiftAsked = "hold_lift_asked",
        HoldLifted = "hold_lifted",
        HoldStays = "hold_stays",
        AnomalyFound = "anomaly_found",
        PointsTrashed = "restore_points_trashed",
        PointsPutBack = "restore_points_put_back",
        PointsErased = "restore_points_erased",
        ContentsListed = "contents_listed",
        ContentsSearched = "contents_searched",
        ContentsCompared = "contents_compared",
        ContentsDownloaded = "contents_downloaded",
        ContentsDownloadBrokenOff = "contents_download_broken_off",
    }
}

impl Action {
    /// What was done, as a page says it after the object's name: "wipe requested".
    pub fn phrase(self) -> String {
        self.as_str().replace('_', " ")
    }
}

text_enum! {
    /// How an act ended.
    Outcome { Done = "done", Refused = "refused", Failed = "failed" }
}

impl Outcome {
    /// The word on the badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Refused => "Refused",
            Self::Failed => "Failed",
        }
    }
}

/// Who acts, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    /// A user's or device's id; none for the system.
    pub id: Option<String>,
    pub name: String,
    pub via: Via,
    /// The address the request came from; empty if there is none.
    pub address: String,
}

impl Actor {
    /// The server itself, in a background job.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: None, name: "Holdfast".to_owned(), via: Via::Job, address: String::new() }
    }

    /// A device, by the name it has now; `address` is empty where it is not known.
    pub fn device(id: DeviceId, name: &str, via: Via, address: &str) -> Self {
        Self {
            kind: ActorKind::Device,
            id: Some(id.to_string()),
            name: name.to_owned(),
            via,
            address: address.to_owned(),
        }
    }
}

/// One entry of the history in the form of its canonical bytes.
///
/// The bytes are this struct as JSON: fields in the order below, no white
/// space. They are stored beside the columns, so that anyone can hash and check the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, 3 … without a gap.
    pub seq: i64,
    pub id: String,
    /// UTC milliseconds.
    pub at: Time,
    pub actor: Actor,
    pub action: Action,
    pub device_id: Option<String>,
    pub object: Object,
    pub reason: String,
    pub outcome: Outcome,
}

/// What an act was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// A noun of the glossary, such as `wipe_request`.
    pub kind: String,
    pub id: String,
    pub name: String,
}

impl Object {
    pub fn new(kind: &str, id: impl ToString, name: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string(), name: name.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn an_act_is_said_in_words() {
        assert_eq!(Action::RoleGranted.phrase(), "role granted");
    }

    #[test]
    fn an_actor_is_named_with_the_way_it_came() {
        let id = DeviceId::generate(Time::from_millis(1));
        let device = Actor::device(id, "laptop-1", Via::Agent, "192.0.2.1");
        assert_eq!((device.kind, device.id, device.via), (ActorKind::Device, Some(id.to_string()), Via::Agent));
        assert_eq!((&*device.name, &*device.address), ("laptop-1", "192.0.2.1"));
        assert_eq!((Actor::system().kind, Actor::system().id), (ActorKind::System, None));
        let object = Object::new("device", id, "laptop-1");
        assert_eq!((&*object.kind, object.id, &*object.name), ("device", id.to_string(), "laptop-1"));
    }
}
