//! What is kept, held and in the trash.

diesel::table! {
    retention_changes (id) {
        id -> Text,
        before -> Text,
        rule -> Text,
        state -> Text,
        reason -> Text,
        requested_by -> Text,
        requested_at -> BigInt,
        approved_by -> Nullable<Text>,
        approved_at -> Nullable<BigInt>,
        in_force_at -> Nullable<BigInt>,
        expires_at -> BigInt,
    }
}

diesel::table! {
    holds (id) {
        id -> Text,
        scope -> Text,
        cause -> Text,
        device_id -> Nullable<Text>,
        person -> Nullable<Text>,
        point_id -> Nullable<Text>,
        reason -> Text,
        made_by -> Nullable<Text>,
        made_name -> Text,
        made_at -> BigInt,
        lift_reason -> Nullable<Text>,
        lift_asked_by -> Nullable<Text>,
        lift_asked_at -> Nullable<BigInt>,
        lifted_by -> Nullable<Text>,
        lifted_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    held_devices (hold_id, device_id) {
        hold_id -> Text,
        device_id -> Text,
    }
}

diesel::table! {
    prunes (id) {
        id -> Text,
        repository_id -> Text,
        device_id -> Text,
        state -> Text,
        rule -> Text,
        sequence -> BigInt,
        point_count -> BigInt,
        object_count -> BigInt,
        byte_count -> BigInt,
        published -> Text,
        trashed_at -> BigInt,
        erase_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    trashed_objects (prune_id, kind, name) {
        prune_id -> Text,
        repository_id -> Text,
        kind -> Text,
        name -> Text,
        size_bytes -> BigInt,
        received_at -> BigInt,
        verified_at -> Nullable<BigInt>,
        damaged_at -> Nullable<BigInt>,
        aside_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    team_quotas (team_id) {
        team_id -> Text,
        quota_bytes -> BigInt,
        stored_bytes -> BigInt,
        full_at -> Nullable<BigInt>,
    }
}
