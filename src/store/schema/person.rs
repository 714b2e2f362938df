//! People: who they are, what they may do, and how they sign in.

diesel::table! {
    teams (id) {
        id -> Text,
        name -> Text,
        created_at -> BigInt,
        key_holder -> Text,
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
