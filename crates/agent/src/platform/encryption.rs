//! Whether storage is encrypted: from the mount table down to the block devices.
//!
//! A path is on a mount, a mount on a block device, and that on others (`slaves`), such as an LVM volume on a
//! dm-crypt device. The path is encrypted if every way down passes through dm-crypt. If the way cannot be
//! followed (an overlay, a network file system), the answer is unknown.
use domain::device::Encryption;
use domain::fact::EncryptionFact;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The state of all roots together, and where it comes from: one that is not encrypted makes it off.
pub fn of(roots: &[PathBuf]) -> (EncryptionFact, String) {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    together(roots.iter().map(|root| of_path(root, &mounts, Path::new("/sys/dev/block"))))
}

type Finding = (Encryption, String, String);

fn together(findings: impl Iterator<Item = Finding>) -> (EncryptionFact, String) {
    let rank = |it: &Finding| match it.0 {
        Encryption::Off => 0,
        Encryption::Unknown => 1,
        Encryption::On => 2,
    };
    let (state, method, source) = findings
        .min_by_key(rank)
        .unwrap_or_else(|| (Encryption::Unknown, String::new(), "no protected folder".to_owned()));
    (EncryptionFact { state, method }, source)
}

fn of_path(path: &Path, mounts: &[u8], blocks: &Path) -> Finding {
    let unknown = |source: String| (Encryption::Unknown, String::new(), source);
    let Some(mount) = mount_of(path, mounts) else { return unknown("mountinfo".to_owned()) };
    let device = blocks.join(&mount.device);
    if !device.exists() {
        return unknown(format!("{} has no block device", mount.file_system));
    }
    match methods(&device, 0) {
        Some(found) if found.is_empty() => (Encryption::Unknown, String::new(), "block device".to_owned()),
        Some(found) if found.iter().all(|it| !it.is_empty()) => {
            let method = found.into_iter().next().unwrap_or_default();
            (Encryption::On, method, "dm-crypt".to_owned())
        }
        Some(_) => (Encryption::Off, String::new(), "block device".to_owned()),
        None => unknown("block device".to_owned()),
    }
}

/// The method of each way down from a block device; empty if one ends without encryption.
fn methods(device: &Path, depth: u32) -> Option<Vec<String>> {
    if depth > 16 {
        return None;
    }
    if let Ok(uuid) = fs::read_to_string(device.join("dm/uuid"))
        && let Some(rest) = uuid.strip_prefix("CRYPT-")
    {
        let method = rest.split('-').next().unwrap_or_default();
        return Some(vec![if method.is_empty() { "dm-crypt".to_owned() } else { method.to_owned() }]);
    }
    // A partition has its own slaves; the disk below it is not one of them.
    let slaves: Vec<PathBuf> = match fs::read_dir(device.join("slaves")) {
        Ok(entries) => entries.filter_map(Result::ok).map(|it| it.path()).collect(),
        Err(_) => Vec::new(),
    };
    if slaves.is_empty() {
        return Some(vec![String::new()]);
    }
    let mut found = Vec::new();
    for slave in slaves {
        found.extend(methods(&slave, depth + 1)?);
    }
    Some(found)
}

struct Mount {
    /// `major:minor`.
    device: String,
    file_system: String,
}

/// The mount a path is on: the longest mount point that leads to it, the last one if there are several.
fn mount_of(path: &Path, mounts: &[u8]) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in mounts.split(|it| *it == b'\n') {
        let text: Vec<&[u8]> = line.split(|it| *it == b' ').collect();
        let [_, _, device, _, point, rest @ ..] = text.as_slice() else { continue };
        let Some(dash) = rest.iter().position(|it| *it == b"-") else { continue };
        let Some(file_system) = rest.get(dash + 1) else { continue };
        let point = unescape(point);
        let length = point.as_os_str().as_bytes().len();
        if path.starts_with(&point) && best.as_ref().is_none_or(|(longest, _)| length >= *longest) {
            let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
            best = Some((length, Mount { device: text(device), file_system: text(file_system) }));
        }
    }
    best.map(|(_, mount)| mount)
}

/// Mount points are written with `\040` for a space, and so on.
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let octal =
            tail.get(..3).and_then(|it| std::str::from_utf8(it).ok()).and_then(|it| u8::from_str_radix(it, 8).ok());
        match (*first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            (byte, _) => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 0:20 / / rw - overlay overlay rw\n\
        30 22 254:1 / /home rw,relatime shared:1 - ext4 /dev/mapper/home rw\n\
        31 22 8:1 / /mnt/my\\040disk rw - ext4 /dev/sda1 rw\n\
        32 22 254:2 / /srv rw - xfs /dev/mapper/vg-srv rw\n";

    fn block(dir: &Path, number: &str, uuid: &str) -> PathBuf {
        let path = dir.join(number);
        fs::create_dir_all(path.join("dm")).unwrap();
        fs::create_dir_all(path.join("slaves")).unwrap();
        fs::write(path.join("dm/uuid"), uuid).unwrap();
        path
    }

    #[test]
    fn each_path_is_followed_down_to_its_encryption() {
        let dir = tempfile::tempdir().unwrap();
        block(dir.path(), "254:1", "CRYPT-LUKS2-0123-home");
        fs::create_dir_all(dir.path().join("8:1/slaves")).unwrap();
        let volume = block(dir.path(), "254:2", "LVM-abc");
        block(&volume, "slaves/dm-1", "CRYPT-LUKS1-0123-pv");

        let state = |path: &str| of_path(Path::new(path), MOUNTS.as_bytes(), dir.path());

        assert_eq!(state("/home/ada"), (Encryption::On, "LUKS2".to_owned(), "dm-crypt".to_owned()));
        assert_eq!(state("/mnt/my disk/x").0, Encryption::Off);
        assert_eq!(state("/srv").0, Encryption::On);
        assert_eq!(state("/etc"), (Encryption::Unknown, String::new(), "overlay has no block device".to_owned()));
        // One way down without encryption is enough to read the data.
        fs::create_dir_all(volume.join("slaves/sdb1")).unwrap();
        assert_eq!(state("/srv").0, Encryption::Off);
    }

    #[test]
    fn one_folder_without_encryption_makes_the_device_unencrypted() {
        let finding = |state| (state, String::new(), "x".to_owned());
        let states = [Encryption::On, Encryption::Unknown, Encryption::Off];
        assert_eq!(together(states.into_iter().map(finding)).0.state, Encryption::Off);
        assert_eq!(
            together([Encryption::On, Encryption::Unknown].into_iter().map(finding)).0.state,
            Encryption::Unknown
        );
        assert_eq!(together(std::iter::empty()).0.state, Encryption::Unknown);
    }
}
