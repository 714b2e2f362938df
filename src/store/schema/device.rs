//! Devices: how they came in, and what they say.

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
    enrollments (device_id, generation) {
        device_id -> Text,
        generation -> BigInt,
        channel -> Text,
        identity -> Text,
        carries -> Text,
        token_id -> Text,
        enrolled_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        cannot -> Text,
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
