//! The tables, the same on both databases; `tests/it/store/schema.rs` checks them against the migrations.

diesel::table! {
    teams (id) {
        id -> Text,
        name -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        email -> Text,
        name -> Text,
        password_hash -> Nullable<Text>,
        state -> Text,
        time_zone -> Text,
        created_by -> Nullable<Text>,
        created_at -> BigInt,
        password_changed_at -> Nullable<BigInt>,
        founder_at -> Nullable<BigInt>,
        locked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    user_roles (user_id, role, scope) {
        user_id -> Text,
        role -> Text,
        scope -> Text,
        granted_by -> Nullable<Text>,
        granted_at -> BigInt,
    }
}

diesel::table! {
    preferences (user_id, name) {
        user_id -> Text,
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    sessions (id_hash) {
        id_hash -> Text,
        user_id -> Text,
        created_at -> BigInt,
        last_seen_at -> BigInt,
        reauthenticated_at -> BigInt,
        user_agent -> Text,
        address -> Text,
    }
}

diesel::table! {
    sign_in_throttles (account) {
        account -> Text,
        failure_count -> BigInt,
        not_before_at -> BigInt,
    }
}

diesel::table! {
    known_browsers (token_hash) {
        token_hash -> Text,
        user_id -> Text,
        last_used_at -> BigInt,
    }
}

diesel::table! {
    one_time_links (token_hash) {
        token_hash -> Text,
        purpose -> Text,
        user_id -> Nullable<Text>,
        created_by -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    api_tokens (id) {
        id -> Text,
        user_id -> Text,
        name -> Text,
        token_hash -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    settings (name) {
        name -> Text,
        value -> Text,
        updated_at -> BigInt,
        next_value -> Nullable<Text>,
        next_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    enrollment_tokens (id) {
        id -> Text,
        token_hash -> Text,
        name -> Text,
        team_id -> Nullable<Text>,
        device_id -> Nullable<Text>,
        ownership -> Text,
        use_limit -> BigInt,
        use_count -> BigInt,
        created_by -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    devices (id) {
        id -> Text,
        name -> Text,
        person -> Text,
        team_id -> Nullable<Text>,
        platform -> Text,
        model -> Text,
        serial -> Text,
        os_version -> Text,
        ownership -> Text,
        state -> Text,
        generation -> BigInt,
        enrolled_at -> BigInt,
        erased_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    device_removals (device_id) {
        device_id -> Text,
        generation -> BigInt,
        requested_by -> Text,
        requested_name -> Text,
        requested_at -> BigInt,
        due_at -> BigInt,
    }
}

diesel::table! {
    device_status (device_id) {
        device_id -> Text,
        last_seen_at -> Nullable<BigInt>,
        next_check_in_at -> Nullable<BigInt>,
        facts -> Text,
        encryption -> Text,
        changed_files -> Nullable<BigInt>,
        changed_bytes -> Nullable<BigInt>,
        changed_measured_at -> Nullable<BigInt>,
        changed_until -> Nullable<BigInt>,
        heard_until -> Nullable<BigInt>,
        roots_away -> Text,
        policy_version -> Text,
        address -> Text,
        continuity -> Text,
        continuity_version -> BigInt,
        doubt -> Text,
        doubt_since -> Nullable<BigInt>,
    }
}

diesel::table! {
    enrollments (device_id, generation) {
        device_id -> Text,
        generation -> BigInt,
        channel -> Text,
        identity -> Text,
        carries -> Text,
        token_id -> Text,
        enrolled_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    agent_enrollments (device_id, generation) {
        device_id -> Text,
        generation -> BigInt,
        sealing_key -> Text,
        protected_roots -> Text,
        version -> Text,
    }
}

diesel::table! {
    facts (device_id, kind, number) {
        device_id -> Text,
        kind -> Text,
        number -> BigInt,
        since -> BigInt,
        value -> Nullable<Text>,
        source -> Text,
    }
}

diesel::table! {
    request_ids (device_id, jti) {
        device_id -> Text,
        jti -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    policies (id) {
        id -> Text,
        name -> Text,
        team_id -> Nullable<Text>,
        version -> BigInt,
        requirements -> Text,
        created_by -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        removed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    repositories (id) {
        id -> Text,
        device_id -> Text,
        generation -> BigInt,
        state -> Text,
        sealed_master_key -> Text,
        quota_bytes -> BigInt,
        stored_bytes -> BigInt,
        object_count -> BigInt,
        newest_at -> BigInt,
        created_at -> BigInt,
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
        verified_at -> Nullable<BigInt>,
        damaged_at -> Nullable<BigInt>,
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

diesel::table! {
    mail_outbox (id) {
        id -> Text,
        dedupe_key -> Nullable<Text>,
        recipient -> Text,
        subject -> Text,
        body -> Text,
        state -> Text,
        created_at -> BigInt,
        attempt_count -> BigInt,
        next_attempt_at -> BigInt,
        sent_at -> Nullable<BigInt>,
        last_error -> Text,
    }
}

diesel::table! {
    disk_samples (disk, at) {
        disk -> Text,
        at -> BigInt,
        free_bytes -> BigInt,
        total_bytes -> BigInt,
    }
}

diesel::table! {
    device_alerts (device_id, kind) {
        device_id -> Text,
        kind -> Text,
        evidence_at -> BigInt,
        told_at -> BigInt,
    }
}

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
    activity,
    activity_head,
    mail_outbox,
    disk_samples,
    device_alerts,
);
