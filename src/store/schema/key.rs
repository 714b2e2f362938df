//! The keys that open repositories, other than the proof key, and what is sealed to them.

diesel::table! {
    team_keys (id) {
        id -> Text,
        team_id -> Nullable<Text>,
        public_key -> Text,
        sealed_private_key -> Text,
        voucher -> Text,
        made_at -> BigInt,
        retired_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    recovery_keys (id) {
        id -> Text,
        name -> Text,
        public_key -> Text,
        voucher -> Text,
        made_at -> BigInt,
        made_by -> Text,
        confirmed_at -> Nullable<BigInt>,
        confirmed_by -> Nullable<Text>,
        retired_at -> Nullable<BigInt>,
        seal_again_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    escrows (repository_id, recovery_key_id) {
        repository_id -> Text,
        recovery_key_id -> Text,
        sealed_master_key -> Text,
        sealed_at -> BigInt,
        object_name -> Nullable<Text>,
        kept_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    copy_tests (id) {
        id -> Text,
        device_id -> Text,
        repository_id -> Text,
        restore_point_id -> Text,
        point_at -> BigInt,
        store_id -> Text,
        recovery_key_id -> Text,
        runner -> Text,
        started_at -> BigInt,
        finished_at -> BigInt,
        result -> Text,
        level -> Text,
        file_count -> BigInt,
        matched_count -> BigInt,
        excluded_count -> BigInt,
        byte_count -> BigInt,
        failures -> Text,
        summary -> Text,
        valid_until -> Nullable<BigInt>,
        withdrawn_at -> Nullable<BigInt>,
        superseded_at -> Nullable<BigInt>,
    }
}
