//! What is to be done, by whose consent, and what was done.

diesel::table! {
    commands (id) {
        id -> Text,
        device_id -> Text,
        generation -> BigInt,
        kind -> Text,
        payload -> Text,
        state -> Text,
        request_key -> Nullable<Text>,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        delivered_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        result -> Nullable<Text>,
    }
}

diesel::table! {
    wipe_requests (id) {
        id -> Text,
        device_id -> Text,
        generation -> BigInt,
        state -> Text,
        action -> Text,
        reason -> Text,
        ticket -> Text,
        facts -> Text,
        facts_digest -> Text,
        request_key -> Nullable<Text>,
        requested_by -> Text,
        requested_at -> BigInt,
        passed_at -> Nullable<BigInt>,
        approved_by -> Nullable<Text>,
        approved_at -> Nullable<BigInt>,
        release_at -> Nullable<BigInt>,
        command_id -> Nullable<Text>,
        delivered_at -> Nullable<BigInt>,
        acknowledged_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        stopped_by -> Nullable<Text>,
        state_note -> Text,
        report -> Nullable<Text>,
        expires_at -> BigInt,
        erasure -> Text,
    }
}

diesel::table! {
    approvals (act, subject_id, approver_id, digest) {
        act -> Text,
        subject_id -> Text,
        approver_id -> Text,
        digest -> Text,
        approved_at -> BigInt,
    }
}

diesel::table! {
    restores (id) {
        id -> Text,
        device_id -> Text,
        target_device_id -> Text,
        target_generation -> BigInt,
        repository_id -> Text,
        restore_point_id -> Text,
        selection -> Text,
        conflict -> Text,
        state -> Text,
        request_key -> Nullable<Text>,
        requested_by -> Text,
        requested_at -> BigInt,
        reason -> Text,
        agreed -> Nullable<Text>,
        shown -> Nullable<Text>,
        waiting_order -> Nullable<Text>,
        approved_by -> Nullable<Text>,
        approved_at -> Nullable<BigInt>,
        ticket_hash -> Nullable<Text>,
        expires_at -> BigInt,
        command_id -> Nullable<Text>,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        file_count -> BigInt,
        restored_count -> BigInt,
        matched_count -> BigInt,
        byte_count -> BigInt,
        failures -> Text,
    }
}

diesel::table! {
    restore_undos (restore_id) {
        restore_id -> Text,
        command_id -> Text,
        state -> Text,
        requested_by -> Text,
        requested_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        report -> Text,
        note -> Text,
    }
}

diesel::table! {
    activity (seq) {
        seq -> BigInt,
        id -> Text,
        at -> BigInt,
        actor_kind -> Text,
        actor_id -> Nullable<Text>,
        actor_name -> Text,
        via -> Text,
        action -> Text,
        device_id -> Nullable<Text>,
        object_kind -> Text,
        object_id -> Text,
        object_name -> Text,
        reason -> Text,
        result -> Text,
        address -> Text,
        canonical -> Text,
    }
}

diesel::table! {
    activity_head (id) {
        id -> BigInt,
        seq -> BigInt,
    }
}
