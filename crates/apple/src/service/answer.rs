//! What the service answers.
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The longest text of a device that is kept, in characters.
const MAX_TEXT: usize = 200;
/// The longest cursor or identifier, in bytes.
const MAX_CURSOR: usize = 1000;
/// The most devices in one answer.
const MAX_DEVICES: usize = 1000;

/// What the service says no with, or what is wrong with its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceFault {
    #[error("the session has ended")]
    Session,
    #[error("the list has to be read from its beginning")]
    Cursor,
    #[error("Apple’s terms have changed: somebody has to accept them in Apple Business Manager")]
    TermsNotSigned,
    #[error("Apple’s service says “{0}”")]
    Refused(String),
    #[error("Apple’s service asks to come later")]
    Later,
    #[error("Apple’s service answers what cannot be read")]
    Answer,
}

impl ServiceFault {
    /// What an answer with an error says: a word, in quotes or not, or something longer.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let word: String = String::from_utf8_lossy(body)
            .trim()
            .trim_matches('"')
            .chars()
            .filter(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | ' ' | '.'))
            .take(80)
            .collect();
        match (status, word.as_str()) {
            (401, _) | (403, "FORBIDDEN") => Self::Session,
            (403, "T_C_NOT_SIGNED") => Self::TermsNotSigned,
            (400, "EXPIRED_CURSOR" | "INVALID_CURSOR" | "CURSOR_REQUIRED") => Self::Cursor,
            (429 | 503, _) => Self::Later,
            (status, "") => Self::Refused(status.to_string()),
            (_, word) => Self::Refused(word.to_owned()),
        }
    }
}

/// Whose the devices are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    pub organization: String,
}

/// A device, as far as something changed about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub serial: String,
    pub model: String,
    pub description: String,
    /// It is this organisation's no more, or another server's.
    pub is_gone: bool,
    /// When that changed; none in a list of all.
    pub at: Option<Timestamp>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// One for each serial number, as it last was.
    pub changes: Vec<Change>,
    pub cursor: String,
    pub has_more: bool,
}

fn parsed(body: &[u8]) -> Result<Value, ServiceFault> {
    serde_json::from_slice(body).map_err(|_other| ServiceFault::Answer)
}

fn identifier(value: &Value, key: &str) -> Result<String, ServiceFault> {
    let found = value.get(key).and_then(Value::as_str).unwrap_or_default();
    // It is sent back in a header or as JSON.
    let is_sound = (1..=MAX_CURSOR).contains(&found.len()) && found.bytes().all(|it| it.is_ascii_graphic());
    if is_sound { Ok(found.to_owned()) } else { Err(ServiceFault::Answer) }
}

fn text(value: &Value, key: &str) -> String {
    let found = value.get(key).and_then(Value::as_str).unwrap_or_default();
    found.chars().filter(|it| !it.is_control()).take(MAX_TEXT).collect::<String>().trim().to_owned()
}

/// The session that began.
///
/// # Errors
/// When none is in the answer.
pub fn session(body: &[u8]) -> Result<String, ServiceFault> {
    identifier(&parsed(body)?, "auth_session_token")
}

/// Whose account it is.
///
/// # Errors
/// When the answer cannot be read.
pub fn account(body: &[u8]) -> Result<Account, ServiceFault> {
    let said = parsed(body)?;
    Ok(Account { organization: text(&said, "org_name") })
}

/// A page of devices.
///
/// # Errors
/// When the answer cannot be read, or has more than was asked for.
pub fn listed(body: &[u8]) -> Result<Listed, ServiceFault> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        devices: Vec<Value>,
        #[serde(default)]
        more_to_follow: bool,
    }
    let said = parsed(body)?;
    let cursor = identifier(&said, "cursor")?;
    let page: Page = serde_json::from_value(said).map_err(|_other| ServiceFault::Answer)?;
    if page.devices.len() > MAX_DEVICES {
        return Err(ServiceFault::Answer);
    }
    let mut changes: Vec<Change> = Vec::new();
    for change in page.devices.iter().filter_map(change) {
        // The same device may be there more than once: what is later is true.
        match changes.iter_mut().find(|it| it.serial == change.serial) {
            Some(earlier) if earlier.at <= change.at => *earlier = change,
            Some(_) => {}
            None => changes.push(change),
        }
    }
    Ok(Listed { changes, cursor, has_more: page.more_to_follow })
}

fn change(said: &Value) -> Option<Change> {
    let serial = text(said, "serial_number");
    let is_sound = !serial.is_empty() && serial.len() <= 64 && serial.bytes().all(|it| it.is_ascii_alphanumeric());
    is_sound.then(|| Change {
        serial,
        model: text(said, "model"),
        description: text(said, "description"),
        is_gone: text(said, "op_type") == "deleted",
        at: text(said, "op_date").parse().ok(),
    })
}

/// The identifier of a profile that was defined.
///
/// # Errors
/// When none is in the answer.
pub fn defined(body: &[u8]) -> Result<String, ServiceFault> {
    identifier(&parsed(body)?, "profile_uuid")
}

/// Which devices a profile was given to.
///
/// # Errors
/// When the answer cannot be read.
pub fn assigned(body: &[u8]) -> Result<Vec<String>, ServiceFault> {
    let said = parsed(body)?;
    let devices = said.get("devices").and_then(Value::as_object).ok_or(ServiceFault::Answer)?;
    let done = devices.iter().filter(|(_, word)| word.as_str() == Some("SUCCESS"));
    Ok(done.map(|(serial, _)| serial.clone()).take(MAX_DEVICES).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_each_device_once_as_it_last_was() {
        let page = listed(
            br#"{"devices":[
                {"serial_number":"F2LX001","model":"iPhone 14","description":"IPHONE 14","op_type":"added","op_date":"2026-11-01T00:00:00Z"},
                {"serial_number":"F2LX001","op_type":"deleted","op_date":"2026-11-03T00:00:00Z"},
                {"serial_number":"F2LX001","op_type":"modified","op_date":"2026-11-02T00:00:00Z"},
                {"serial_number":"../etc"}, {"serial_number":""}, 7, {"model":"none"},
                {"serial_number":"F2LX002","model":"iPad\u0007"}],
              "cursor":"c1","more_to_follow":true,"fetched_until":"2026-11-03T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!((page.cursor.as_str(), page.has_more), ("c1", true));
        let found: Vec<_> = page.changes.iter().map(|it| (it.serial.as_str(), it.is_gone)).collect();
        assert_eq!(found, [("F2LX001", true), ("F2LX002", false)]);
        assert_eq!(page.changes[1].model, "iPad");
    }

    #[test]
    fn an_answer_that_is_not_what_was_asked_for_is_refused() {
        let many = format!("{{\"cursor\":\"c\",\"devices\":[{}1]}}", "{},".repeat(1000));
        for bad in
            ["", "[]", "{}", "{\"cursor\":\"\"}", "{\"cursor\":\"a b\"}", "{\"cursor\":\"c\",\"devices\":7}", &many]
        {
            assert_eq!(listed(bad.as_bytes()), Err(ServiceFault::Answer), "{bad:.60}");
        }
        let long = "a".repeat(1001);
        for bad in [
            String::new(),
            "{}".to_owned(),
            format!("{{\"auth_session_token\":\"{long}\"}}"),
            "{\"auth_session_token\":\"a\\r\\nb\"}".to_owned(),
        ] {
            assert_eq!(session(bad.as_bytes()), Err(ServiceFault::Answer));
        }
        assert_eq!(session(br#"{"auth_session_token":"s1"}"#).as_deref(), Ok("s1"));
        assert_eq!(defined(br#"{"profile_uuid":"p1"}"#).as_deref(), Ok("p1"));
        assert_eq!(assigned(b"{}"), Err(ServiceFault::Answer));
        let done = assigned(br#"{"devices":{"A":"SUCCESS","B":"NOT_ACCESSIBLE","C":7}}"#).unwrap();
        assert_eq!(done, ["A"]);
        assert_eq!(account(br#"{"org_name":"Example Ltd"}"#).unwrap().organization, "Example Ltd");
    }

    #[test]
    fn each_no_of_the_service_has_its_meaning() {
        use ServiceFault as F;
        for (status, body, expected) in [
            (401, "UNAUTHORIZED", F::Session),
            (403, "\"FORBIDDEN\"", F::Session),
            (403, "T_C_NOT_SIGNED\n", F::TermsNotSigned),
            (403, "ACCESS_DENIED", F::Refused("ACCESS_DENIED".to_owned())),
            (400, "EXPIRED_CURSOR", F::Cursor),
            (400, "INVALID_CURSOR", F::Cursor),
            (400, "EXHAUSTED_CURSOR", F::Refused("EXHAUSTED_CURSOR".to_owned())),
            (429, "", F::Later),
            (503, "<html>", F::Later),
            (500, "", F::Refused("500".to_owned())),
        ] {
            assert_eq!(F::of(status, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
