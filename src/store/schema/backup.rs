//! What is stored of a device, and what was proven of it.

diesel::table! {
    repositories (id) {
        id -> Text,
        device_id -> Text,
        generation -> BigInt,
        state -> Text,
        sealed_master_key -> Text,
        team_key_id -> Nullable<Text>,
        quota_bytes -> BigInt,
        stored_bytes -> BigInt,
        object_count -> BigInt,
        newest_at -> BigInt,
        created_at -> BigInt,
        key_holder -> Text,
    }
}

diesel::table! {
    repository_tokens (id) {
        id -> Text,
        repository_id -> Text,
        kind -> Text,
        token_hash -> Text,
        name -> Text,
        created_by -> Nullable<Text>,
        user_id -> Nullable<Text>,
        reason -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        as_of -> Nullable<BigInt>,
    }
}

diesel::table! {
    objects (repository_id, kind, name) {
        repository_id -> Text,
        kind -> Text,
        name -> Text,
        size_bytes -> BigInt,
        received_at -> BigInt,
        uncopied -> Nullable<BigInt>,
    }
}

diesel::table! {
    copies (repository_id, kind, name, location) {
        repository_id -> Text,
        kind -> Text,
        name -> Text,
        location -> Text,
        rank -> Text,
        added_at -> BigInt,
        verified_at -> Nullable<BigInt>,
        damaged_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    avoided_packs (repository_id, pack_name) {
        repository_id -> Text,
        pack_name -> Text,
        indexes -> Text,
        avoided_at -> BigInt,
    }
}

diesel::table! {
    copy_locks (repository_id, kind, name) {
        repository_id -> Text,
        kind -> Text,
        name -> Text,
        added_at -> BigInt,
        locked_until -> BigInt,
        held_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    kept_objects (repository_id, kind, name) {
        repository_id -> Text,
        kind -> Text,
        name -> Text,
        body -> Text,
    }
}

diesel::table! {
    restore_points (id) {
        id -> Text,
        repository_id -> Text,
        device_id -> Text,
        snapshot_name -> Text,
        sent_by -> Text,
        manifest_name -> Nullable<Text>,
        received_at -> BigInt,
        as_of -> BigInt,
        sequence -> BigInt,
        claimed_at -> Nullable<BigInt>,
        file_count -> Nullable<BigInt>,
        size_bytes -> Nullable<BigInt>,
        excluded_count -> BigInt,
        excluded -> Text,
        reported_at -> Nullable<BigInt>,
        stored_at -> Nullable<BigInt>,
        verified_at -> Nullable<BigInt>,
        verified_until -> Nullable<BigInt>,
        partial_at -> Nullable<BigInt>,
        partial_until -> Nullable<BigInt>,
        proven_at -> Nullable<BigInt>,
        proven_until -> Nullable<BigInt>,
        failed_at -> Nullable<BigInt>,
        failed_keys -> Text,
        failed_rest -> Nullable<Text>,
        made_good_at -> Nullable<BigInt>,
        test_id -> Nullable<Text>,
        retest -> Nullable<Text>,
        trashed_by -> Nullable<Text>,
    }
}

diesel::table! {
    restore_tests (id) {
        id -> Text,
        restore_point_id -> Text,
        device_id -> Text,
        cause -> Text,
        asked_by -> Nullable<Text>,
        state -> Text,
        result -> Nullable<Text>,
        level -> Text,
        queued_at -> BigInt,
        claimed_until -> Nullable<BigInt>,
        started_at -> Nullable<BigInt>,
        finished_at -> Nullable<BigInt>,
        file_count -> BigInt,
        matched_count -> BigInt,
        excluded_count -> BigInt,
        excluded_bytes -> BigInt,
        byte_count -> BigInt,
        stored_bytes_read -> BigInt,
        base_point_id -> Nullable<Text>,
        beyond_files -> Nullable<BigInt>,
        beyond_bytes -> Nullable<BigInt>,
        failures -> Text,
        summary -> Text,
        runner -> Text,
    }
}

diesel::table! {
    backup_attempts (device_id) {
        device_id -> Text,
        tried_at -> BigInt,
        failing_since -> Nullable<BigInt>,
        failed_count -> BigInt,
        reason -> Text,
        left_out -> Text,
        away -> Text,
    }
}

diesel::table! {
    device_proof (device_id) {
        device_id -> Text,
        rank -> BigInt,
        newest_point_id -> Nullable<Text>,
        newest_at -> Nullable<BigInt>,
        stored_at -> Nullable<BigInt>,
        verified_at -> Nullable<BigInt>,
        verified_tested_at -> Nullable<BigInt>,
        verified_until -> Nullable<BigInt>,
        partial_at -> Nullable<BigInt>,
        partial_tested_at -> Nullable<BigInt>,
        partial_until -> Nullable<BigInt>,
        partial_file_count -> BigInt,
        partial_matched_count -> BigInt,
        proven_point_id -> Nullable<Text>,
        proven_at -> Nullable<BigInt>,
        proven_tested_at -> Nullable<BigInt>,
        proven_until -> Nullable<BigInt>,
        file_count -> BigInt,
        matched_count -> BigInt,
        not_proven_files -> Nullable<BigInt>,
        not_proven_bytes -> Nullable<BigInt>,
        baseline_id -> Nullable<Text>,
        baseline_at -> Nullable<BigInt>,
        baseline_files -> Nullable<BigInt>,
        baseline_bytes -> Nullable<BigInt>,
        filled_points -> BigInt,
        failed_at -> Nullable<BigInt>,
        failed_test_id -> Nullable<Text>,
        noted_at -> Nullable<BigInt>,
        damaged_files -> BigInt,
        damaged_names -> Text,
        store_away_since -> Nullable<BigInt>,
    }
}

diesel::table! {
    device_listings (device_id) {
        device_id -> Text,
        state -> Text,
        team_id -> Nullable<Text>,
        platform -> Text,
        ownership -> Text,
        name -> Text,
        person -> Text,
        search -> Text,
        enrolled_at -> BigInt,
        encryption -> Text,
        rank -> BigInt,
        newest_at -> BigInt,
        stored_at -> BigInt,
        verified_until -> BigInt,
        partial_until -> BigInt,
        proven_at -> BigInt,
        proven_until -> BigInt,
        proven_tested_at -> BigInt,
        tested_at -> BigInt,
        noted_at -> BigInt,
        failed_at -> BigInt,
        seen_at -> BigInt,
        changed -> BigInt,
        counted_until -> BigInt,
        not_proven -> BigInt,
        holds_files -> BigInt,
        damaged -> BigInt,
        store_away_at -> BigInt,
    }
}
