//! The tables, the same on both databases; `tests/it/store.rs` checks them against the migrations.
mod act;
mod apple;
mod backup;
mod console;
mod content;
mod device;
mod key;
mod person;
mod retention;

pub use act::*;
pub use apple::*;
pub use backup::*;
pub use console::*;
pub use content::*;
pub use device::*;
pub use key::*;
pub use person::*;
pub use retention::*;

diesel::allow_tables_to_appear_in_same_query!(
    teams,
    users,
    user_roles,
    preferences,
    sessions,
    sign_in_throttles,
    known_browsers,
    one_time_links,
    api_tokens,
    settings,
    enrollment_tokens,
    enrollments,
    agent_enrollments,
    facts,
    devices,
    device_removals,
    device_status,
    request_ids,
    policies,
    repositories,
    repository_tokens,
    objects,
    copies,
    copy_locks,
    avoided_packs,
    kept_objects,
    restore_points,
    restore_tests,
    backup_attempts,
    device_proof,
    device_listings,
    commands,
    wipe_requests,
    approvals,
    restores,
    restore_undos,
    content_reads,
    activity,
    activity_head,
    mail_outbox,
    disk_samples,
    device_alerts,
    team_keys,
    recovery_keys,
    escrows,
    copy_tests,
    retention_changes,
    holds,
    held_devices,
    prunes,
    trashed_objects,
    team_quotas,
    apple_authority,
    apple_enrollments,
    apple_challenges,
    apple_accounts,
    apple_service,
    apple_service_devices,
    apple_certificates,
    apple_queries,
    apple_deferrals,
    apple_messages,
    apple_reports,
    device_secrets,
);
