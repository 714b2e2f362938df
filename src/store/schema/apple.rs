//! Devices that are managed through Apple's protocol.

diesel::table! {
    apple_authority (id) {
        id -> BigInt,
        certificate -> Text,
        registrar -> Text,
        sealed_key -> Text,
        authority_key -> Text,
        registrar_key -> Text,
        made_at -> BigInt,
    }
}

diesel::table! {
    apple_enrollments (id) {
        id -> Text,
        token_id -> Text,
        topic -> Text,
        rights -> BigInt,
        made_at -> BigInt,
        name -> Nullable<Text>,
        said -> Nullable<Text>,
        device_id -> Nullable<Text>,
        generation -> Nullable<BigInt>,
        push_token -> Nullable<Text>,
        push_magic -> Nullable<Text>,
        unlock_token -> Nullable<Text>,
        bootstrap_token -> Nullable<Text>,
        push_due_at -> BigInt,
        push_tries -> BigInt,
        ended_at -> Nullable<BigInt>,
        account -> Nullable<Text>,
        only_serial -> Nullable<Text>,
    }
}

diesel::table! {
    apple_challenges (hash) {
        hash -> Text,
        enrollment_id -> Text,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_certificates (fingerprint) {
        fingerprint -> Text,
        enrollment_id -> Text,
        serial -> Text,
        issued_at -> BigInt,
        not_after -> BigInt,
        used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_queries (enrollment_id, kind) {
        enrollment_id -> Text,
        kind -> Text,
        asked_as -> Nullable<Text>,
        asked_at -> BigInt,
        answered_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_deferrals (enrollment_id, asked_as) {
        enrollment_id -> Text,
        asked_as -> Text,
    }
}

diesel::table! {
    apple_messages (enrollment_id, number) {
        enrollment_id -> Text,
        number -> BigInt,
        at -> BigInt,
        sender -> Text,
        kind -> Text,
        body -> Text,
    }
}

diesel::table! {
    apple_reports (enrollment_id, kind) {
        enrollment_id -> Text,
        kind -> Text,
        at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    device_secrets (id) {
        id -> Text,
        device_id -> Text,
        kind -> Text,
        sealed -> Text,
        made_at -> BigInt,
        command_id -> Nullable<Text>,
        confirmed_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        revealed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_accounts (token_id) {
        token_id -> Text,
        account -> Text,
        access_hash -> Nullable<Text>,
        access_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_service (id) {
        id -> BigInt,
        certificate -> Text,
        sealed_key -> Text,
        made_at -> BigInt,
        token_file -> Nullable<Text>,
        token_until -> Nullable<BigInt>,
        organization -> Text,
        profile_uuid -> Nullable<Text>,
        sync_cursor -> Nullable<Text>,
        listing_from -> Nullable<BigInt>,
        synced_at -> Nullable<BigInt>,
        due_at -> BigInt,
        failure -> Nullable<Text>,
    }
}

diesel::table! {
    apple_service_devices (serial) {
        serial -> Text,
        model -> Text,
        description -> Text,
        said_at -> BigInt,
        removed_at -> Nullable<BigInt>,
        token_id -> Nullable<Text>,
        profile_uuid -> Nullable<Text>,
    }
}
