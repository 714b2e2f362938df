//! Apple's device-enrolment service as bytes: which devices Apple says are an organisation's.
//!
//! Source: Apple, “Device Assignment” (`mdmenrollment.apple.com`), and RFC 5849 for how a session begins.
mod answer;
mod oauth;
mod token;

pub use answer::{Account, Change, Listed, ServiceFault, account, assigned, defined, listed, session};
pub use oauth::authorization;
pub use token::{ServerToken, TokenFault};

/// The most bytes of an answer that are read: 1,000 devices, which Apple's pages have at most.
pub const MAX_ANSWER: usize = 4 << 20;

/// What asks for the devices after a cursor, or for all.
pub fn list_request(cursor: Option<&str>) -> String {
    match cursor {
        Some(cursor) => serde_json::json!({ "limit": 1000, "cursor": cursor }),
        None => serde_json::json!({ "limit": 1000 }),
    }
    .to_string()
}

/// The definition of how a device enrolls; `url` is where it asks for its profile.
pub fn profile_request(url: &str) -> String {
    serde_json::json!({
        "profile_name": "Holdfast",
        "url": url,
        "is_supervised": true,
        "is_mandatory": true,
        "is_mdm_removable": false,
        "await_device_configured": false,
        "skip_setup_items": [],
        "devices": [],
    })
    .to_string()
}

/// What gives devices a profile that was defined.
pub fn assign_request(profile: &str, serials: &[String]) -> String {
    serde_json::json!({ "profile_uuid": profile, "devices": serials }).to_string()
}
