//! Answers of Apple's device-enrolment service, and what is in its token file.
use apple::service::{ServerToken, ServiceFault, account, assigned, defined, listed, session};
use serde_json::json;
use std::collections::HashSet;

pub fn seeds() -> Vec<Vec<u8>> {
    let device = |serial: &str, what: &str| {
        json!({"serial_number": serial, "model": "iPhone 14", "description": "IPHONE 14", "color": "BLUE",
            "profile_status": "empty", "op_type": what, "op_date": "2026-11-20T00:00:00Z"})
    };
    let token = json!({"consumer_key": "CK_1", "consumer_secret": "CS_1", "access_token": "AT_1",
        "access_secret": "AS_1", "access_token_expiry": "2027-11-30T10:00:00Z"});
    let mail = format!("Content-Type: text/plain\n\n-----BEGIN MESSAGE-----\n{token}\n-----END MESSAGE-----\n");
    let mut all = super::json([
        json!({"auth_session_token": "1234"}),
        json!({"org_name": "Example Ltd", "server_uuid": "1"}),
        json!({"devices": [device("F2LX001", "added"), device("F2LX001", "deleted")], "cursor": "c1",
            "more_to_follow": true, "fetched_until": "2026-11-20T00:00:00Z"}),
        json!({"profile_uuid": "1", "devices": {"F2LX001": "SUCCESS", "F2LX002": "NOT_ACCESSIBLE"}}),
    ]);
    all.push(mail.into_bytes());
    all
}

pub fn check(bytes: &[u8]) -> bool {
    for status in [400, 401, 403, 429, 500] {
        assert!(ServiceFault::of(status, bytes).to_string().chars().count() < 200, "it is shown to people");
    }
    let page = listed(bytes);
    if let Ok(page) = &page {
        let serials: HashSet<_> = page.changes.iter().map(|it| &it.serial).collect();
        assert_eq!(serials.len(), page.changes.len(), "each device once");
        assert!(serials.len() <= 1000 && serials.iter().all(|it| it.bytes().all(|it| it.is_ascii_alphanumeric())));
    }
    let cursor = page.as_ref().ok().map(|it| it.cursor.clone());
    for text in [session(bytes).ok(), defined(bytes).ok(), cursor].into_iter().flatten() {
        assert!(text.bytes().all(|it| it.is_ascii_graphic()), "it goes into a header: {text:?}");
    }
    page.is_ok()
        || session(bytes).is_ok()
        || defined(bytes).is_ok()
        || assigned(bytes).is_ok()
        || account(bytes).is_ok()
        || ServerToken::read(bytes).is_ok()
}
