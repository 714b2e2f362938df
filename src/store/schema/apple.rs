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
        certification -> Text,
        settings_due_at -> Nullable<BigInt>,
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
        attested_serial -> Nullable<Text>,
        attested_udid -> Nullable<Text>,
    }
}

diesel::table! {
    apple_orders (id) {
        id -> Text,
        enrollment_id -> Text,
        account -> Text,
        challenge -> Text,
        identifier -> Text,
        token -> Text,
        state -> Text,
        detail -> Text,
        public_key -> Nullable<Text>,
        attested_serial -> Nullable<Text>,
        attested_udid -> Nullable<Text>,
        attested_at -> Nullable<BigInt>,
        certificate -> Nullable<Text>,
        made_at -> BigInt,
        expires_at -> BigInt,
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
        generation -> BigInt,
        fingerprint -> Text,
        made_at -> BigInt,
        command_id -> Nullable<Text>,
        confirmed_at -> Nullable<BigInt>,
        doubted_at -> Nullable<BigInt>,
        ended_at -> Nullable<BigInt>,
        revealed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    apple_push_request (id) {
        id -> BigInt,
        key -> Text,
        request -> Text,
        made_at -> BigInt,
    }
}

diesel::table! {
    apple_push_certificate (id) {
        id -> BigInt,
        key -> Text,
        certificate -> Text,
        topic -> Text,
        until -> BigInt,
        put_in_at -> BigInt,
    }
}

diesel::table! {
    apple_settings (scope) {
        scope -> Text,
        team_id -> Nullable<Text>,
        version -> BigInt,
        settings -> Text,
        changed_by -> Text,
        changed_at -> BigInt,
    }
}

diesel::table! {
    apple_setting_states (enrollment_id, kind) {
        enrollment_id -> Text,
        kind -> Text,
        asked_for -> Nullable<Text>,
        wanted -> Nullable<Text>,
        left_out -> Text,
        sent -> Nullable<Text>,
        sent_as -> Nullable<Text>,
        sent_at -> BigInt,
        installed -> Nullable<Text>,
        installed_at -> Nullable<BigInt>,
        failure -> Nullable<Text>,
        failed_at -> Nullable<BigInt>,
        missed_at -> Nullable<BigInt>,
    }
}
