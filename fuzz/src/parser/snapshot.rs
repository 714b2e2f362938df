//! Snapshots as a device may write them.
use super::{ONE, TWO};
use repository::Snapshot;
use serde_json::json;

pub fn seeds() -> Vec<Vec<u8>> {
    super::json([
        json!({"time": "2026-11-29T10:00:00.123456789+01:00", "tree": ONE, "paths": ["/home"], "hostname": "h",
            "tags": ["x", format!("holdfast-manifest:{TWO}")]}),
        json!({"tree": ONE, "paths": null, "tags": null}),
    ])
}

pub fn check(json: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::parse(json) else { return false };
    for name in snapshot.manifests() {
        let tags = snapshot.tags.as_deref().unwrap_or_default();
        assert!(tags.iter().any(|it| it.ends_with(name.as_str())), "a manifest that no tag names");
    }
    let _ = snapshot.claimed_at();
    true
}
