//! How long the report of a restore may become.

/// The longest report of a restore that is taken, in bytes.
pub const MAX_REPORT: usize = 96 << 20;

/// What the device's report of these files takes at most, in bytes of JSON: each path as restored, and once more as kept
/// or as failed with a reason.
pub(super) fn report_bytes<'a>(paths: impl Iterator<Item = &'a str>) -> usize {
    // The size, the hash and the names of the fields.
    const BESIDE: usize = 160;
    paths
        .map(|it| 2 * (it.len() + it.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).count() * 5) + BESIDE)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::manifest::ManifestFile;
    use domain::restore::RestoreFailure;
    use wire::RestoreResult;

    #[test]
    fn a_report_is_never_longer_than_was_reckoned() {
        for name in ["a", "/home/ada/\"quoted\" and \\ back", "\u{1}\u{1f}\n\t", "\u{7f}ünïcödé ", &"x\\".repeat(2000)]
        {
            let paths: Vec<String> = (0..50).map(|it| format!("{name}{it}")).collect();
            let files =
                paths.iter().map(|path| ManifestFile { path: path.clone(), size: u64::MAX, sha256: "0".repeat(64) });
            let kept = RestoreResult { files: files.collect(), kept: paths.clone(), ..RestoreResult::default() };
            let reason = "what was read back from the disk is not what was written".to_owned();
            let failures = paths.iter().map(|path| RestoreFailure { path: path.clone(), reason: reason.clone() });
            let failed = RestoreResult { failures: failures.collect(), ..RestoreResult::default() };

            for report in [kept, failed] {
                let bytes = serde_json::to_vec(&report).unwrap().len();
                let reckoned = report_bytes(paths.iter().map(String::as_str));
                assert!(bytes <= reckoned + 100, "{name:?}: {bytes} of {reckoned}");
            }
        }
    }
}
