//! Messages of the agent protocol, in both directions: what was read is written and read again as it was.
use super::{ID, NOW, ONE, TWO};
use domain::fact::Facts;
use domain::time::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const AT: i64 = NOW * 1000;

pub fn seeds() -> Vec<Vec<u8>> {
    super::json([
        json!({"sub": "d", "aud": "holdfast:x", "iat": NOW, "exp": NOW + 60, "jti": "01234567-89ab", "htm": "POST",
            "htu": "/agent/v1/check-in", "body_sha256": ONE}),
        enroll(),
        check_in(),
        check_in_answer(),
        json!({"generation": 1, "snapshot": ONE, "manifest": TWO, "file_count": 1, "size_bytes": 3,
            "excluded": ["/home/b"], "left_out": {"count": 1, "named": [{"path": "/home/c", "reason": "a socket"}]},
            "away": [{"path": "/mnt", "reason": "it is missing"}], "started_at": AT, "finished_at": AT}),
        json!({"generation": 1, "at": AT, "reason": "the disk is full"}),
        json!({"restored_count": 1, "file_count": 2}),
        json!({"files": [{"path": "/home/a", "size": 3, "sha256": ONE}], "kept": ["/home/b"],
            "failures": [{"path": "/home/c", "reason": "no room"}],
            "shortfalls": [{"kind": "owner", "count": 1, "paths": ["/home/a"]}]}),
        json!({"command_id": ID, "generation": 1, "complete": false, "key_destroyed": true, "finished_at": AT,
            "roots": [{"path": "/home", "removed_files": 1, "removed_bytes": 3, "refused": ["/home/c"]}]}),
        json!({"error": "bad_message", "message": "no", "field": "facts", "server_time": AT}),
    ])
}

fn enroll() -> Value {
    json!({"token": "hf_enroll_x", "name": "laptop", "platform": "linux", "model": "T14", "serial": "A1",
        "os_version": "12", "agent_version": "1", "signing_key": "x", "sealing_key": "x", "protected_roots": ["/home"],
        "device_id": ID, "device_generation": 1})
}

fn check_in() -> Value {
    let fact = |value: Value| json!({"value": value, "source": "test", "measured_at": AT});
    json!({"generation": 1, "agent_version": "1", "policy_version": "x",
        "facts": {"encryption": fact(json!({"state": "on", "method": "LUKS2"})), "passcode_set": fact(json!(true)),
            "os_version": fact(json!("12")), "free_bytes": fact(json!(5)),
            "changes": fact(json!({"files": 1, "bytes": 3})), "roots_away": fact(json!(["/mnt"]))},
        "results": [{"id": ID, "done": true, "detail": "locked", "finished_at": AT}],
        "continuity": {"baton": "1.x", "attempt": "a"}})
}

fn check_in_answer() -> Value {
    let command = |kind: &str, payload: Value| json!({"id": ID, "kind": kind, "generation": 1, "expires_at": AT, "payload": payload});
    let restore = json!({"restore": {"restore_id": ID, "repository_id": ID, "repository_path": "/restic/x/",
        "snapshot": ONE, "sealed": "x", "selection": ["/home/a"], "conflict": "keep_both", "landing": "in_place",
        "file_count": 1, "size_bytes": 3}});
    json!({"server_time": AT, "next_check_in_seconds": 300, "baton": "2.x",
        "policy": {"version": "x", "backup_every_seconds": 3600, "check_in_every_seconds": 300,
            "protected_roots": ["/home"], "policies": [{"id": ID, "name": "All"}]},
        "commands": [command("lock", json!("none")), command("wipe", json!({"wipe": {"roots": ["/home"]}})),
            command("restore", restore)]})
}

pub fn check(json: &[u8]) -> bool {
    if let Ok(message) = serde_json::from_slice::<wire::CheckIn>(json) {
        kept(message);
    }
    [
        again::<wire::Claims>,
        again::<wire::Enroll>,
        again::<wire::CheckIn>,
        again::<wire::BackupReport>,
        again::<wire::FailedAttempt>,
        again::<wire::RestoreProgress>,
        again::<wire::RestoreResult>,
        again::<wire::WipeReport>,
        again::<wire::ErrorAnswer>,
        again::<wire::Enrolled>,
        again::<wire::CheckInAnswer>,
        again::<wire::ManifestStored>,
        again::<wire::WipeReceipt>,
        again::<wire::RestoreSecret>,
    ]
    .map(|it| it(json))
    .contains(&true)
}

fn again<T: DeserializeOwned + Serialize>(json: &[u8]) -> bool {
    let Ok(message) = serde_json::from_slice::<T>(json) else { return false };
    let written = serde_json::to_string(&message).unwrap();
    let read: T = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
    true
}

/// What a device says about itself is kept, and is the same when it is read again.
fn kept(message: wire::CheckIn) {
    let now = Time::from_millis(AT);
    let said = message.facts.reported().into_iter().filter(|it| it.faults(now).is_empty());
    let facts = Facts::default().with(said, now);
    let kept = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&kept).unwrap(), facts);
}
