//! The console itself: settings, and whom it tells what.

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
