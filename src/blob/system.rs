//! What the system says of a place: its disk, its mount, the machine behind it. Judged by
//! [`failure_domain`](domain::failure_domain).
use domain::failure_domain::SeenFolder;
use rustix::fs::{major, minor};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// Whoever can be asked about places. Tests answer for other machines than the one they run on.
pub trait System: Send + Sync {
    /// A folder, which need not be there yet: then the one above it, in which it would be made.
    ///
    /// # Errors
    /// When nothing above it can be looked at.
    fn folder(&self, path: &Path) -> io::Result<SeenFolder>;

    /// The names and addresses of the machine behind a name; if it is this one, then all of this one's.
    fn hosts(&self, name: &str) -> BTreeSet<String>;

    /// What tells this machine from every other, also from inside of a container on it.
    fn marks(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisMachine;

impl System for ThisMachine {
    fn folder(&self, path: &Path) -> io::Result<SeenFolder> {
        let (path, there) = resolve(path)?;
        let found = fs::metadata(&there)?;
        let mount = mount_of(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), &there);
        let mount = mount.unwrap_or_default();
        let mut disks = disks_of(found.dev(), 0);
        if let Ok(source) = fs::metadata(&mount.source)
            && source.file_type().is_block_device()
        {
            // A file system of several volumes has a number for each that is nobody's disk.
            disks.extend(disks_of(source.rdev(), 0));
        }
        let hosts = match mount.server() {
            Some(server) => self.hosts(server),
            None => own_names(),
        };
        Ok(SeenFolder { path, device: found.dev(), mount: mount.what(), disks, hosts })
    }

    fn hosts(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::from([name.to_ascii_lowercase()]);
        let addresses: Vec<IpAddr> =
            (name, 0).to_socket_addrs().map(|it| it.map(|it| it.ip().to_canonical()).collect()).unwrap_or_default();
        for address in addresses {
            found.insert(address.to_string());
            if is_own(address) {
                found.extend(own_names());
            }
        }
        found
    }

    fn marks(&self) -> BTreeSet<String> {
        let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
        let ids = [mark("machine", "/etc/machine-id"), mark("boot", "/proc/sys/kernel/random/boot_id")];
        ids.into_iter().flatten().chain(Some(name).filter(|it| !it.is_empty() && it != "localhost")).collect()
    }
}

/// A short hash of what the system calls itself: the machine's own id is not for others.
fn mark(what: &str, path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok().filter(|it| !it.trim().is_empty())?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("holdfast/{}", text.trim()).as_bytes());
    Some(format!("{what} {}", hex::encode(hash.as_ref().get(..6)?)))
}

/// The machine's own names, as far as every place on it has them in common.
fn own_names() -> BTreeSet<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    [name, "localhost".to_owned(), "127.0.0.1".to_owned()].into_iter().filter(|it| !it.is_empty()).collect()
}

/// Whether an address is one of this machine's: only such a one can be listened on.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// A path with symbolic links resolved, and the part of it that is there.
fn resolve(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let absolute = std::path::absolute(path)?;
    let mut there = absolute.as_path();
    let mut rest = Vec::new();
    loop {
        match fs::canonicalize(there) {
            Ok(found) => {
                let whole = rest.iter().rev().fold(found.clone(), |path, part| path.join(part));
                return Ok((whole, found));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !there.is_symlink() => {
                match (there.parent(), there.components().next_back()) {
                    (Some(above), Some(Component::Normal(part))) => {
                        rest.push(part.to_owned());
                        there = above;
                    }
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// What is mounted somewhere.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mount {
    kind: String,
    source: String,
}

impl Mount {
    /// The machine it comes from, if it comes over a network: `HOST:/PATH`, `//HOST/SHARE`, `USER@HOST:PATH`.
    fn server(&self) -> Option<&str> {
        let networks = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "fuse.glusterfs", "9p", "afs"];
        if !networks.contains(&self.kind.as_str()) {
            return None;
        }
        let text = self.source.strip_prefix("//").unwrap_or(&self.source);
        let text = text.rsplit_once('@').map_or(text, |(_, it)| it);
        if let Some((inside, _)) = text.strip_prefix('[').and_then(|it| it.split_once(']')) {
            return Some(inside);
        }
        text.split(['/', ':', ',']).next().filter(|it| !it.is_empty())
    }

    /// What two places must not have in common. The data sets of a ZFS pool are on the same disks.
    fn what(&self) -> String {
        match self.kind.as_str() {
            "zfs" => self.source.split('/').next().unwrap_or_default().to_owned(),
            _ => self.source.clone(),
        }
    }
}

/// The mount that `path` is on, of the lines in `/proc/self/mountinfo`; the later one lies over the earlier.
fn mount_of(lines: &str, path: &Path) -> Option<Mount> {
    let mounts = lines.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let at = PathBuf::from(unescape(before.split(' ').nth(4)?));
        let mut after = after.split(' ');
        Some((at, Mount { kind: after.next()?.to_owned(), source: unescape(after.next()?) }))
    });
    let over = mounts.filter(|(at, _)| path.starts_with(at));
    over.max_by_key(|(at, _)| at.components().count()).map(|(_, mount)| mount)
}

/// Spaces and the like are written as three octal digits after a backslash.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..3).and_then(|it| u8::from_str_radix(it, 8).ok());
        match (digits, part.get(3..)) {
            (Some(byte), Some(rest)) => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            _ => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

/// How deep disks may lie below each other.
const DEPTH: usize = 6;

/// The whole disks below a device, by the kernel's names: a partition's disk, the disks of a volume, the disk of an
/// image file.
fn disks_of(device: u64, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let link = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    if depth < DEPTH
        && let Ok(at) = fs::canonicalize(link)
    {
        collect_disks(&at, depth, &mut found);
    }
    found
}

fn collect_disks(at: &Path, depth: usize, found: &mut BTreeSet<String>) {
    if depth >= DEPTH {
        return;
    }
    let below: Vec<PathBuf> = fs::read_dir(at.join("slaves"))
        .map(|it| it.filter_map(|it| fs::canonicalize(it.ok()?.path()).ok()).collect())
        .unwrap_or_default();
    if !below.is_empty() {
        below.iter().for_each(|it| collect_disks(it, depth + 1, found));
        return;
    }
    if at.join("partition").exists()
        && let Some(disk) = at.parent()
    {
        return collect_disks(disk, depth + 1, found);
    }
    let image = fs::read_to_string(at.join("loop/backing_file"));
    if let Ok(image) = image
        && let Ok(file) = fs::metadata(image.trim_end_matches('\n'))
    {
        found.extend(disks_of(file.dev(), depth + 1));
    }
    found.extend(at.file_name().map(|it| it.to_string_lossy().into_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 22 0:40 / /mnt/nas\\040one rw - nfs4 nas.example.org:/export/one rw,vers=4.2\n\
        31 22 0:41 / /mnt/share rw - cifs //files/backups rw\n\
        32 22 0:42 / /mnt/ssh rw - fuse.sshfs ada@host9:/srv rw\n\
        33 22 0:43 / /mnt/six rw - nfs [2001:db8::9]:/export rw\n\
        34 22 0:44 / /pool/a rw - zfs tank/a rw\n\
        35 22 8:17 / /mnt/disk rw - ext4 /dev/sdb1 rw\n\
        36 35 0:45 / /mnt/disk rw - tmpfs tmpfs rw\n";

    fn at(path: &str) -> Mount {
        mount_of(MOUNTS, Path::new(path)).unwrap()
    }

    #[test]
    fn a_mount_says_what_it_is_and_whose() {
        for (path, what, server) in [
            ("/srv/blobs", "/dev/sda1", None),
            ("/mnt/nas one/copy", "nas.example.org:/export/one", Some("nas.example.org")),
            ("/mnt/share", "//files/backups", Some("files")),
            ("/mnt/ssh/x", "ada@host9:/srv", Some("host9")),
            ("/mnt/six", "[2001:db8::9]:/export", Some("2001:db8::9")),
            ("/pool/a/b", "tank", None),
            ("/mnt/disk/x", "tmpfs", None),
        ] {
            assert_eq!((at(path).what().as_str(), at(path).server()), (what, server), "{path}");
        }
        assert_eq!(at("/mnt/nas onemore").what(), "/dev/sda1", "only whole names count");
        assert_eq!(mount_of("rubbish\n1 2 3 - \n", Path::new("/")), None);
    }

    #[test]
    fn a_link_is_the_folder_it_leads_to_even_before_that_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(real.join("blobs")).unwrap();
        std::os::unix::fs::symlink(real.join("blobs"), real.join("link")).unwrap();

        let direct = ThisMachine.folder(&real.join("blobs/copy")).unwrap();
        let linked = ThisMachine.folder(&real.join("link/copy")).unwrap();

        assert_eq!(direct.path, real.join("blobs/copy"));
        assert_eq!(linked, direct);
        assert_eq!(direct.device, fs::metadata(&real).unwrap().dev());
        assert!(!direct.mount.is_empty() && direct.hosts.contains("localhost"), "{direct:?}");
        std::os::unix::fs::symlink("nowhere", real.join("dangling")).unwrap();
        assert!(ThisMachine.folder(&real.join("dangling/copy")).is_err(), "nobody can say where that leads");
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        let own = own_names();
        for name in ["localhost", "127.0.0.1", "LOCALHOST"] {
            let found = ThisMachine.hosts(name);
            assert!(own.iter().all(|it| found.contains(it)), "{name}: {found:?}");
        }
        let other = ThisMachine.hosts("192.0.2.7");
        assert_eq!(other, BTreeSet::from(["192.0.2.7".to_owned()]));
    }

    #[test]
    fn a_partition_and_a_volume_are_on_their_disks() {
        let folder = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(folder.path().join(path)).unwrap();
        make("block/sda/sda1");
        fs::write(folder.path().join("block/sda/sda1/partition"), "1").unwrap();
        make("block/sdb");
        make("virtual/dm-0/slaves");
        for (name, to) in [("sda1", "block/sda/sda1"), ("sdb", "block/sdb")] {
            let link = folder.path().join("virtual/dm-0/slaves").join(name);
            std::os::unix::fs::symlink(folder.path().join(to), link).unwrap();
        }
        let disks = |path: &str| {
            let mut found = BTreeSet::new();
            collect_disks(&folder.path().join(path), 0, &mut found);
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            (disks("block/sda/sda1"), disks("block/sdb"), disks("virtual/dm-0")),
            ("sda".to_owned(), "sdb".to_owned(), "sda sdb".to_owned())
        );
    }
}
