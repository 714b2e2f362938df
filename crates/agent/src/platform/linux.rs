//! Linux, from `/proc`, `/sys` and `/etc`.
use super::{Hardware, Platform, encryption};
use domain::device::Platform as Kind;
use domain::time::Time;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wire::{DeviceFacts, Fact};

/// This machine.
#[derive(Debug, Clone, Copy)]
pub struct Linux;

impl Platform for Linux {
    fn kind(&self) -> Kind {
        Kind::Linux
    }

    fn hardware(&self) -> Hardware {
        Hardware {
            host_name: line("/proc/sys/kernel/hostname").unwrap_or_default(),
            model: model().unwrap_or_default(),
            serial: line("/sys/class/dmi/id/product_serial").filter(|it| is_real(it)).unwrap_or_default(),
            os_version: os_version(&fs::read_to_string("/etc/os-release").unwrap_or_default()).unwrap_or_default(),
        }
    }

    fn facts(&self, roots: &[PathBuf], now: Time) -> DeviceFacts {
        let hardware = self.hardware();
        let text = |value: String, source: &str| (!value.is_empty()).then(|| fact(value, source, now));
        let (encryption, source) = encryption::of(roots);
        DeviceFacts {
            encryption: Some(fact(encryption, &source, now)),
            // Linux has no single place that says whether a password protects the screen.
            passcode_set: None,
            os_version: text(hardware.os_version, "/etc/os-release"),
            model: text(hardware.model, "dmi"),
            serial: text(hardware.serial, "dmi"),
            free_bytes: free_bytes(roots).map(|it| fact(it, "statvfs", now)),
            battery_percent: battery(Path::new("/sys/class/power_supply")).map(|it| fact(it, "power_supply", now)),
            changes: None,
            roots_away: None,
        }
    }

    fn lock(&self) -> Result<String, String> {
        match Command::new("loginctl").arg("lock-sessions").output() {
            Ok(output) if output.status.success() => Ok("asked logind to lock every session".to_owned()),
            Ok(output) => {
                let reason = String::from_utf8_lossy(&output.stderr);
                Err(format!("logind did not lock the sessions: {}", reason.trim()))
            }
            Err(_) => Err("this device has no lock that the agent can use (loginctl is missing)".to_owned()),
        }
    }
}

fn fact<T>(value: T, source: &str, measured_at: Time) -> Fact<T> {
    Fact { value, source: source.to_owned(), measured_at }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Manufacturers leave these where a value should be.
fn is_real(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ![
        "to be filled by o.e.m.",
        "default string",
        "not specified",
        "none",
        "0",
        "system serial number",
        "system product name",
    ]
    .contains(&lower.as_str())
}

fn model() -> Option<String> {
    let vendor = line("/sys/class/dmi/id/sys_vendor").filter(|it| is_real(it)).unwrap_or_default();
    let product = line("/sys/class/dmi/id/product_name").filter(|it| is_real(it))?;
    Some(if product.starts_with(&vendor) { product } else { format!("{vendor} {product}").trim().to_owned() })
}

/// `PRETTY_NAME`, such as `Debian GNU/Linux 12 (bookworm)`.
fn os_version(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        os_release.lines().find_map(|line| line.strip_prefix(key)).map(|it| it.trim().trim_matches('"').to_owned())
    };
    value("PRETTY_NAME=").or_else(|| value("NAME="))
}

/// The least free space of any root.
fn free_bytes(roots: &[PathBuf]) -> Option<i64> {
    roots
        .iter()
        .filter_map(|root| rustix::fs::statvfs(root).ok())
        .filter_map(|it| i64::try_from(it.f_bavail.saturating_mul(it.f_frsize)).ok())
        .min()
}

fn battery(supplies: &Path) -> Option<i64> {
    let entries = fs::read_dir(supplies).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| {
        let kind = fs::read_to_string(entry.path().join("type")).ok()?;
        // A mouse has a battery too; its scope is "Device".
        let scope = fs::read_to_string(entry.path().join("scope")).unwrap_or_default();
        let capacity: i64 = fs::read_to_string(entry.path().join("capacity")).ok()?.trim().parse().ok()?;
        (kind.trim() == "Battery" && scope.trim() != "Device" && (0..=100).contains(&capacity)).then_some(capacity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_system_is_read() {
        let text = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(os_version(text).unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os_version("NAME=Alpine\n").unwrap(), "Alpine");
        assert_eq!(os_version(""), None);
    }

    #[test]
    fn a_placeholder_is_not_a_serial() {
        for bad in ["To Be Filled By O.E.M.", "Default string", "None", "0"] {
            assert!(!is_real(bad), "{bad}");
        }
        assert!(is_real("5CG1234XYZ"));
    }

    #[test]
    fn only_the_machines_own_battery_counts() {
        let dir = tempfile::tempdir().unwrap();
        let supply = |name: &str, files: &[(&str, &str)]| {
            fs::create_dir(dir.path().join(name)).unwrap();
            for (file, text) in files {
                fs::write(dir.path().join(name).join(file), text).unwrap();
            }
        };
        supply("AC", &[("type", "Mains\n")]);
        supply("mouse", &[("type", "Battery\n"), ("scope", "Device\n"), ("capacity", "5\n")]);
        assert_eq!(battery(dir.path()), None);

        supply("BAT0", &[("type", "Battery\n"), ("capacity", "71\n")]);

        assert_eq!(battery(dir.path()), Some(71));
        assert_eq!(battery(&dir.path().join("missing")), None);
    }

    #[test]
    fn facts_carry_their_source_and_time() {
        let now = Time::from_millis(5);
        let facts = Linux.facts(&[PathBuf::from("/")], now);
        let free = facts.free_bytes.unwrap();
        assert_eq!((free.source.as_str(), free.measured_at), ("statvfs", now));
        assert_eq!(facts.encryption.unwrap().measured_at, now);
    }
}
