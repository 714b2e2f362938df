//! Who read what devices backed up.

diesel::table! {
    content_reads (id) {
        id -> Text,
        kind -> Text,
        device_id -> Text,
        restore_point_id -> Text,
        user_id -> Text,
        user_name -> Text,
        at -> BigInt,
        path -> Text,
        reason -> Text,
        outcome -> Nullable<Text>,
        note -> Text,
        byte_count -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}
